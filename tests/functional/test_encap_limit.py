# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The Tunnel Encapsulation Limit option, RFC 2473 4.1.1: found, inherited, put in."""

import os

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    HBHOptUnknown, ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6ParamProblem, IPv6,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, MIP6OptAltCoA,
    Raw, defragment6)

from harness.lab import ACCESS_PEER, CORRESPONDENT, Lab, network

pytestmark = pytest.mark.sanitize

LIMIT, LAST = 4, 0


@pytest.fixture(scope="module")
def lab(root):
    """One network without a limit, one with, and one whose packets may enter no further tunnel."""
    made = Lab([network("open", 1), network("limited", 5, encapsulation_limit=LIMIT),
                network("last", 6, encapsulation_limit=LAST)])
    try:
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


def registered(lab, name):
    mobile = lab.mobile(name)
    mobile.register()
    return mobile


def option(value):
    return HBHOptUnknown(otype=4, optdata=bytes([value]))


def limit_of(frame):
    """The limit in an outer header, or None; the frame's inner packet."""
    raw = frame.ip_bytes
    if raw[6] == 41:
        return None, raw[40:]
    assert raw[6] == 60
    assert raw[40:44] == bytes([41, 0, 4, 1]) and raw[45:48] == bytes([1, 1, 0])
    return raw[44], raw[48:]


def tunnelled(lab, mobile, packet, payload):
    mark = lab.access.mark()
    lab.core.send(packet)
    return lab.access.expect(
        lambda f: payload in f.raw and f.dst == mobile.care_of, mark, what="a tunnelled packet")


@pytest.mark.parametrize("name, expected", [("open", None), ("limited", LIMIT), ("last", LAST)])
def test_configured_limit(lab, name, expected):
    mobile, payload = registered(lab, name), os.urandom(16)
    sent = bytes(mobile.down_packet(payload))
    limit, inner = limit_of(tunnelled(lab, mobile, sent, payload))
    assert limit == expected
    assert inner == sent[:7] + bytes([63]) + sent[8:]


def where(kind, dst, value, payload):
    head = IPv6(src=CORRESPONDENT, dst=dst)
    end = IPv6(src=CORRESPONDENT, dst="2001:db8:30::1") / UDP() / Raw(payload)
    skipped = HBHOptUnknown(otype=0x1e, optdata=b"abc")
    return {
        "alone": lambda: head / IPv6ExtHdrDestOpt(options=[option(value)]) / end,
        "second": lambda: head / IPv6ExtHdrDestOpt(options=[skipped, option(value)]) / end,
        "no-tunnel": lambda: head / IPv6ExtHdrDestOpt(options=[option(value)]) / UDP() /
        Raw(payload),
        "hop-by-hop": lambda: head / IPv6ExtHdrHopByHop(options=[skipped]) /
        IPv6ExtHdrDestOpt(options=[option(value)]) / end,
        "routing": lambda: head / IPv6ExtHdrRouting(type=0, segleft=0, addresses=["::1"]) /
        IPv6ExtHdrDestOpt(options=[option(value)]) / end,
        "fragment": lambda: head / IPv6ExtHdrFragment(nh=60, m=1, id=8) / Raw(
            bytes([41, 0, 4, 1, value, 1, 1, 0]) + bytes(end)),
        "other-options": lambda: head / IPv6ExtHdrDestOpt(options=[skipped]) /
        IPv6ExtHdrDestOpt(options=[option(value)]) / end,
    }[kind]()


KINDS = ["alone", "second", "no-tunnel", "hop-by-hop", "routing", "fragment", "other-options"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["open", "limited"])
@pytest.mark.parametrize("value", [1, 255])
def test_limit_of_the_packet_is_inherited(lab, name, kind, value):
    """4.1.1 (c): one less, whatever is configured"""
    mobile, payload = registered(lab, name), os.urandom(16)
    limit, inner = limit_of(tunnelled(lab, mobile, where(kind, mobile.home, value, payload), payload))
    assert limit == value - 1
    assert payload in inner


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["open", "limited"])
def test_limit_zero_enters_no_tunnel(lab, name, kind):
    """4.1.1 (b): Parameter Problem code 0 that points at the limit"""
    mobile, payload = registered(lab, name), os.urandom(16)
    sent = bytes(where(kind, mobile.home, 0, payload))
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(sent)
        frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, marks[0])
    error = frame.ip[ICMPv6ParamProblem]
    assert (error.type, error.code) == (4, 0)
    assert sent[error.ptr - 2:error.ptr + 1] == bytes([4, 1, 0])
    assert frame.ip_bytes[48:] == sent
    assert drops == {"encap_option": 1}
    assert not [f for f in lab.access.since(marks[1]) if payload in f.raw]


@pytest.mark.parametrize("kind", ["behind-a-tunnel", "later-fragment", "cut"])
def test_what_is_no_limit_for_this_packet(lab, kind):
    """4.1.1 (a): left to right, to the first header that is none of its own"""
    mobile, payload = registered(lab, "open"), os.urandom(16)
    head = IPv6(src=CORRESPONDENT, dst=mobile.home)
    limit = IPv6ExtHdrDestOpt(options=[option(0)])
    packet = {
        "behind-a-tunnel": lambda: head / IPv6(src=CORRESPONDENT, dst="2001:db8:30::1") / limit /
        UDP() / Raw(payload),
        "later-fragment": lambda: head / IPv6ExtHdrFragment(nh=60, offset=2, id=8) / Raw(
            bytes([41, 0, 4, 1, 0, 1, 1, 0]) + payload),
        "cut": lambda: head / IPv6ExtHdrFragment(nh=60, m=1, id=8) / Raw(
            bytes([41, 9, 4, 1, 0, 1, 1, 0]) + payload),
    }[kind]()
    assert limit_of(tunnelled(lab, mobile, packet, payload))[0] is None


@pytest.mark.parametrize("length, fits", [(1452, True), (1453, False), (1500, False)])
def test_packet_too_big_reckons_with_the_option(lab, length, fits):
    mobile = registered(lab, "limited")
    payload = os.urandom(length - 48)
    sent = bytes(mobile.down_packet(payload))
    assert len(sent) == length
    if fits:
        assert len(tunnelled(lab, mobile, sent, payload).ip_bytes) == 1500
        return
    mark = lab.core.mark()
    lab.core.send(sent)
    frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    assert frame.ip[ICMPv6PacketTooBig].mtu == 1452


def from_the_path(mobile, frame, error):
    """An ICMPv6 error of a router on the way to the care-of address."""
    return IPv6(src=ACCESS_PEER, dst=mobile.agent) / error / Raw(frame.ip_bytes[:1232])


def test_path_mtu_behind_the_option(lab):
    """What is told to the correspondent, and fragments that hold the option"""
    mobile = registered(lab, "limited")
    payload = os.urandom(1400 - 48)
    frame = tunnelled(lab, mobile, mobile.down_packet(payload), payload)
    mark = lab.core.mark()
    lab.access.send(from_the_path(mobile, frame, ICMPv6PacketTooBig(mtu=1380)))
    told = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    assert told.ip[ICMPv6PacketTooBig].mtu == 1380 - 48
    assert told.src == mobile.agent
    # And smaller yet: 1280, where packets of 1280 bytes have to be cut.
    frame = tunnelled(lab, mobile, mobile.down_packet(payload[:1300 - 48]), payload[:1300 - 48])
    lab.access.send(from_the_path(mobile, frame, ICMPv6PacketTooBig(mtu=1280)))
    lab.settle()
    payload = os.urandom(1280 - 48)
    sent = bytes(mobile.down_packet(payload))
    mark = lab.access.mark()
    lab.core.send(sent)
    pieces = []
    while len(pieces) < 2:
        piece, number = lab.access.wait(
            lambda f: f.next_header == 44 and f.dst == mobile.care_of, mark, what="a fragment")
        pieces.append(piece.ip)
        assert len(piece.ip_bytes) <= 1280
        mark = number + 1
    whole = bytes(defragment6(pieces))
    assert whole[40:48] == bytes([41, 0, 4, 1, LIMIT, 1, 1, 0])
    assert whole[48:] == sent[:7] + bytes([63]) + sent[8:]


def test_tunnel_entry_on_the_way_that_refuses(lab):
    """RFC 2473 8.1, 8.3: its Parameter Problem becomes unreachable for the correspondent"""
    mobile, payload = registered(lab, "last"), os.urandom(16)
    sent = bytes(mobile.down_packet(payload))
    frame = tunnelled(lab, mobile, sent, payload)
    mark = lab.core.mark()
    lab.access.send(from_the_path(mobile, frame, ICMPv6ParamProblem(code=0, ptr=44)))
    told = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    assert (told.ip[ICMPv6DestUnreach].type, told.ip[ICMPv6DestUnreach].code) == (1, 3)
    assert payload in told.ip_bytes


@pytest.mark.parametrize("name, expected", [("limited", LIMIT - 1), ("last", None)])
def test_mobile_behind_a_mobile(lab, name, expected):
    """Our own two tunnels keep to it too."""
    outside, nested = registered(lab, "open"), lab.mobile(name)
    assert nested.update(options=[MIP6OptAltCoA(acoa=outside.home)]).status == 0
    payload = os.urandom(16)
    sent = bytes(nested.down_packet(payload))
    if expected is not None:
        limit, middle = limit_of(tunnelled(lab, outside, sent, payload))
        assert limit == expected and middle[6] == 60 and middle[44] == LIMIT
        return
    mark = lab.core.mark()
    with lab.counting_drops() as drops:
        lab.core.send(sent)
        told = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    assert (told.ip[ICMPv6DestUnreach].type, told.ip[ICMPv6DestUnreach].code) == (1, 3)
    assert drops == {"encap_option": 1}


def test_tunnels_to_us_may_have_the_option(lab):
    mobile, payload = registered(lab, "open"), os.urandom(16)
    mark = lab.core.mark()
    lab.access.send(IPv6(src=mobile.care_of, dst=mobile.agent) /
                    IPv6ExtHdrDestOpt(options=[option(0)]) / mobile.up_inner(payload))
    lab.core.expect(lambda f: payload in f.raw and f.src == mobile.home and f.next_header == 17, mark)


def test_reload_changes_the_limit_of_living_bindings(lab):
    mobile = registered(lab, "limited")
    net = lab.networks["limited"]
    try:
        for value in (7, None, LIMIT):
            net.pop("encapsulation_limit", None)
            if value is not None:
                net["encapsulation_limit"] = value
            lab.box.write_config()
            assert lab.box.ctl_process("reload").returncode == 0
            lab.box.wait_synced()
            payload = os.urandom(16)
            assert limit_of(tunnelled(lab, mobile, mobile.down_packet(payload), payload))[0] == value
            mobile.receive_up()
    finally:
        net["encapsulation_limit"] = LIMIT
        lab.box.write_config()
