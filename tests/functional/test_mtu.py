# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Sizes around every edge of a tunnel: fragments of our own, reassembly of others', Packet Too Big and
the other errors that come out of tunnels (RFC 2473 sections 7 and 8, RFC 8200 section 4.5)."""

import itertools
import os
import random
import socket
import struct
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded,
    IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, MIP6OptAltCoA, Raw, defragment6,
    fragment6)

from harness import mip6, netns
from harness.lab import ACCESS_PEER, CORRESPONDENT, Lab, network

pytestmark = pytest.mark.sanitize

ROUTER = "2001:db8:a1:ffff::1"  # on the way to the care-of addresses
MTU = 1500
TIMEOUT_S = 2.0  # of a packet that is not completed


def sized(mobile, length, **ip):
    """A packet to a home address of exactly that many bytes."""
    packet = bytes(mobile.down_packet(os.urandom(length - 48), **ip))
    assert len(packet) == length
    return packet


def hop_on(packet):
    return packet[:7] + bytes([packet[7] - 1]) + packet[8:]


def tunnel_frames(lab, mobile, mark):
    """What went to a mobile since mark, whole or in fragments."""
    return [f for f in lab.access.since(mark)
            if f.is_ip6 and f.dst == mobile.care_of and f.next_header in (41, 44)]


def joined(frames):
    """The outer packet that scapy makes of fragments, in bytes."""
    whole = defragment6([IPv6(f.ip_bytes) for f in frames])
    return bytes(whole)


def spliced(packets):
    """The payload of fragments of fragments, where scapy sees the inner headers only."""
    at, payload = 0, b""
    for packet in sorted(packets, key=lambda p: struct.unpack_from("!H", p, 42)[0]):
        assert packet[6] == 44 and struct.unpack_from("!H", packet, 42)[0] & 0xfff8 == at
        payload += packet[48:]
        at = len(payload)
    return payload


def is_error(frame, error, dst):
    return frame.next_header == 58 and frame.dst == dst and error in frame.ip


def status(lab, *names):
    """Counters of the dataplane."""
    data = lab.box.ctl("status")["dataplane_status"]
    return tuple(data[name] for name in names) if len(names) > 1 else data[names[0]]


@pytest.fixture
def mobile(lab):
    one = lab.mobile()
    one.register()
    return one


@pytest.fixture(scope="module")
def narrow(root):
    """A lab whose access port has the smallest MTU that IPv6 allows."""
    made = Lab([network("open", 1)])
    try:
        for name, interface in ((made.namespaces.prefix + "access", "p1"), (made.ha, "h1")):
            netns.run("ip", "-n", name, "link", "set", interface, "mtu", 1280)
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


# Into the tunnel.

@pytest.mark.parametrize("length", [48, 1239, 1240, 1241, 1279, 1280, 1281, 1459, 1460])
def test_what_fits_goes_in_one_piece(lab, mobile, length):
    packet = sized(mobile, length)
    mark = lab.access.mark()
    lab.core.send(packet)
    lab.access.expect(lambda f: f.next_header == 41 and f.dst == mobile.care_of, mark)
    lab.settle()
    frame, = tunnel_frames(lab, mobile, mark)
    assert frame.ip_bytes[40:] == hop_on(packet)


@pytest.mark.parametrize("length", [1461, 1462, 1499, 1500])
def test_what_does_not_fit_is_refused_with_the_tunnels_mtu(lab, mobile, length):
    packet = sized(mobile, length)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(packet)
        frame = lab.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), marks[0])
    assert frame.ip[ICMPv6PacketTooBig].mtu == MTU - 40
    assert frame.ip_bytes[48:] == packet[:1232]
    assert tunnel_frames(lab, mobile, marks[1]) == []
    assert drops == {"too_big": 1}


@pytest.mark.parametrize("length, n_pieces", [(1239, 1), (1240, 1), (1241, 2), (1279, 2), (1280, 2)])
def test_smallest_packets_are_fragmented_on_a_narrow_link(narrow, length, n_pieces):
    """RFC 2473 7.1 (b)"""
    mobile = narrow.mobile()
    mobile.register()
    packet = sized(mobile, length, tc=0x2c)
    before = narrow.workers()[0]
    mark = narrow.access.mark()
    narrow.core.send(packet)
    narrow.box.wait_for(lambda: len(tunnel_frames(narrow, mobile, mark)) == n_pieces, 5, "all pieces")
    frames = tunnel_frames(narrow, mobile, mark)
    assert all(len(f.ip_bytes) <= 1280 for f in frames)
    assert all((f.src, f.ip.tc, f.ip.hlim) == (mobile.agent, 0x2c, frames[0].ip.hlim)
               for f in frames)
    if n_pieces > 1:
        assert len({f.ip[IPv6ExtHdrFragment].id for f in frames}) == 1
        assert all(len(f.ip_bytes) % 8 == 0 for f in frames[:-1])
    outer = joined(frames) if n_pieces > 1 else frames[0].ip_bytes
    assert outer[6] == 41 and outer[40:] == hop_on(packet)
    after = narrow.workers()[0]
    assert after["fragmented"] - before["fragmented"] == (n_pieces > 1)


@pytest.mark.parametrize("length", [1281, 1400, 1500])
def test_larger_ones_are_refused_on_a_narrow_link(narrow, length):
    """RFC 2473 7.1 (a): never less than 1280 is asked for"""
    mobile = narrow.mobile()
    mobile.register()
    mark = narrow.core.mark()
    narrow.core.send(sized(mobile, length))
    frame = narrow.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    assert frame.ip[ICMPv6PacketTooBig].mtu == 1280


def test_fragments_of_many_packets_have_identifications_of_their_own(narrow):
    mobile = narrow.mobile()
    mobile.register()
    packets = [sized(mobile, 1280) for _ in range(64)]
    mark = narrow.access.mark()
    narrow.core.send(*packets)
    narrow.box.wait_for(lambda: len(tunnel_frames(narrow, mobile, mark)) == 128, 5, "all pieces")
    by_id = {}
    for frame in tunnel_frames(narrow, mobile, mark):
        by_id.setdefault(frame.ip[IPv6ExtHdrFragment].id, []).append(frame)
    assert len(by_id) == 64
    assert {joined(frames)[40:] for frames in by_id.values()} == {hop_on(p) for p in packets}


def test_the_linux_kernel_puts_our_fragments_together(narrow):
    """What its reassembly made of them comes out of a raw socket of protocol 41."""
    mobile = narrow.mobile()
    assert mobile.update(care_of=ACCESS_PEER).status == 0
    with netns.inside(narrow.namespaces.prefix + "access"):
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_IPV6)
    packets = [sized(mobile, length) for length in range(1241, 1281)]
    with raw:
        raw.settimeout(5)
        narrow.core.send(*packets)
        assert {raw.recv(2000) for _ in packets} == {hop_on(p) for p in packets}


# The path behind the link.

def error_about(error, outer, src=ROUTER, quote=1232, cksum=None):
    """An ICMPv6 error of a router about one of our packets, from its bytes."""
    packet = IPv6(src=src, dst=IPv6(outer).src) / error / Raw(outer[:quote])
    if cksum is not None:
        packet[1].cksum = cksum
    return bytes(packet)


def outer_packet(lab, mobile, length):
    """Has the box send a tunnel packet about an inner packet of that length: (inner, outer)."""
    packet = sized(mobile, length)
    mark = lab.access.mark()
    lab.core.send(packet)
    frame = lab.access.expect(
        lambda f: f.next_header == 41 and f.dst == mobile.care_of and packet[48:] in f.raw, mark)
    return packet, frame.ip_bytes


def settle_errors(lab):
    """What was sent before has been dealt with, in the main lcore too."""
    lab.settle()
    lab.settle(lab.core)


@pytest.mark.parametrize("path_mtu, told", [(1400, 1360), (1321, 1281), (1320, 1280), (1319, 1280),
                                            (1280, 1280)])
def test_path_mtu_is_learned_from_an_error_and_kept(lab, mobile, path_mtu, told):
    """X6275.9.3.4-1; RFC 2473 8.2, RFC 8201"""
    packet, outer = outer_packet(lab, mobile, 1460)
    mark = lab.core.mark()
    lab.access.send(error_about(ICMPv6PacketTooBig(mtu=path_mtu), outer))
    frame = lab.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    assert frame.ip[ICMPv6PacketTooBig].mtu == told
    assert frame.src == mobile.agent
    assert frame.ip_bytes[48:] == hop_on(packet)[:1232 - 40]  # what the router's quote had of it
    assert len(frame.ip_bytes) <= 1280
    # From now on the box says it itself.
    mark, access = lab.core.mark(), lab.access.mark()
    lab.core.send(sized(mobile, max(told, 1280) + 1))
    frame = lab.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    assert frame.ip[ICMPv6PacketTooBig].mtu == told
    assert tunnel_frames(lab, mobile, access) == []
    # What is as large as told arrives, in fragments where it must.
    packet = sized(mobile, told)
    lab.core.send(packet)
    n_pieces = 1 if told + 40 <= path_mtu else 2
    lab.box.wait_for(lambda: len(tunnel_frames(lab, mobile, access)) == n_pieces, 5, "the packet")
    frames = tunnel_frames(lab, mobile, access)
    assert all(len(f.ip_bytes) <= path_mtu for f in frames)
    assert (joined(frames) if n_pieces > 1 else frames[0].ip_bytes)[40:] == hop_on(packet)


def test_path_mtu_is_of_one_care_of_address(lab, mobile):
    other = lab.mobile()
    other.register()
    _, outer = outer_packet(lab, mobile, 1460)
    mark = lab.core.mark()
    lab.access.send(error_about(ICMPv6PacketTooBig(mtu=1300), outer))
    lab.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    outer_packet(lab, other, 1460)
    mobile.register(care_of=mobile.second_care_of)
    packet, mark = sized(mobile, 1460), lab.access.mark()
    lab.core.send(packet)
    lab.access.expect(lambda f: f.dst == mobile.second_care_of and packet[48:] in f.raw, mark)


def test_an_error_about_our_fragment_makes_smaller_fragments(lab, mobile):
    """Two routers with smaller and smaller links; the inner packet may not shrink."""
    _, outer = outer_packet(lab, mobile, 1460)
    mark = lab.core.mark()
    lab.access.send(error_about(ICMPv6PacketTooBig(mtu=1312), outer))
    lab.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    packet, mark, core = sized(mobile, 1280), lab.access.mark(), lab.core.mark()
    lab.core.send(packet)
    lab.box.wait_for(lambda: len(tunnel_frames(lab, mobile, mark)) == 2, 5, "two pieces")
    first = tunnel_frames(lab, mobile, mark)[0]
    assert len(first.ip_bytes) == 1312
    before = status(lab, "path_mtus_learned", "tunnel_errors_forged")
    lab.access.send(error_about(ICMPv6PacketTooBig(mtu=1280), first.ip_bytes))
    settle_errors(lab)
    lab.box.wait_for(lambda: status(lab, "path_mtus_learned", "tunnel_errors_forged") ==
                     (before[0] + 1, before[1]), 3, "the smaller path MTU")
    mark = lab.access.mark()
    lab.core.send(packet)
    lab.box.wait_for(lambda: len(tunnel_frames(lab, mobile, mark)) == 2, 5, "two pieces")
    frames = tunnel_frames(lab, mobile, mark)
    assert all(len(f.ip_bytes) <= 1280 for f in frames)
    assert joined(frames)[40:] == hop_on(packet)
    # The correspondent could do nothing about it and is not bothered.
    assert lab.core.count(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), core) == 0


def reheaded(outer, at, address):
    """The outer packet with another address at that place."""
    packed = mip6.packed(address)
    return outer[:at] + packed + outer[at + 16:]


FORGERIES = {
    "inner-destination-of-another": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=1300), reheaded(o, 64, "2001:db8:1::dead")),
    "inner-destination-not-at-home": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=1300), reheaded(o, 64, "2001:db8:77::1")),
    "wrong-agent": lambda lab, m, o: bytes(
        IPv6(src=ROUTER, dst="2001:db8:3::1") / ICMPv6PacketTooBig(mtu=1300) /
        Raw(reheaded(o, 8, "2001:db8:3::1")[:1232])),
    "wrong-care-of": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=1300), reheaded(o, 24, m.second_care_of)),
    "bad-checksum": lambda lab, m, o: error_about(ICMPv6PacketTooBig(mtu=1300), o, cksum=0x1234),
    "mtu-as-large-as-the-packet": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=len(o)), o),
    "mtu-larger-than-the-packet": lambda lab, m, o: error_about(ICMPv6PacketTooBig(mtu=9000), o),
    "mtu-below-1280": lambda lab, m, o: error_about(ICMPv6PacketTooBig(mtu=1279), o),
    "mtu-0": lambda lab, m, o: error_about(ICMPv6PacketTooBig(mtu=0), o),
    "outer-longer-than-inner": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=1300), o[:4] + struct.pack("!H", 9000) + o[6:]),
    "later-fragment": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=1300),
        bytes(IPv6(src=m.agent, dst=m.care_of) / IPv6ExtHdrFragment(nh=41, offset=100, m=0, id=1) /
              Raw(o[40:]))),
    "quote-cut-in-the-inner-header": lambda lab, m, o: error_about(
        ICMPv6PacketTooBig(mtu=1300), o, quote=79),
}


@pytest.mark.parametrize("make", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_errors_are_ignored_and_counted(lab, mobile, make):
    _, outer = outer_packet(lab, mobile, 1460)
    before = status(lab, "tunnel_errors_forged", "path_mtus_learned", "tunnel_errors_relayed")
    mark = lab.core.mark()
    lab.access.send(make(lab, mobile, outer))
    settle_errors(lab)
    lab.box.wait_for(lambda: status(lab, "tunnel_errors_forged") == before[0] + 1, 3, "its count")
    assert status(lab, "path_mtus_learned", "tunnel_errors_relayed") == before[1:]
    assert lab.core.count(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark) == 0
    outer_packet(lab, mobile, 1460)


def test_an_error_about_a_mobile_that_left_is_ignored(lab, mobile):
    _, outer = outer_packet(lab, mobile, 1460)
    mobile.update(lifetime_s=0)
    before = status(lab, "tunnel_errors_forged")
    lab.access.send(error_about(ICMPv6PacketTooBig(mtu=1300), outer))
    lab.box.wait_for(lambda: status(lab, "tunnel_errors_forged") == before + 1, 3, "its count")


@pytest.mark.parametrize("error", [
    ICMPv6DestUnreach(code=0), ICMPv6DestUnreach(code=3), ICMPv6DestUnreach(code=4),
    ICMPv6TimeExceeded(code=0), ICMPv6TimeExceeded(code=1), ICMPv6ParamProblem(code=1, ptr=6),
    ICMPv6ParamProblem(code=2, ptr=40)], ids=lambda e: f"{e.type}-{e.code}")
def test_errors_from_inside_the_tunnel_mean_unreachable(lab, mobile, error):
    """5.1.7; RFC 2473 8.1, 8.3"""
    packet, outer = outer_packet(lab, mobile, 300)
    mark = lab.core.mark()
    lab.access.send(error_about(error, outer))
    frame = lab.core.expect(lambda f: is_error(f, ICMPv6DestUnreach, CORRESPONDENT), mark)
    assert (frame.ip[ICMPv6DestUnreach].code, frame.src) == (3, mobile.agent)
    assert frame.ip_bytes[48:] == hop_on(packet)


def icmp_inners(mobile):
    head = IPv6(src=CORRESPONDENT, dst=mobile.home)
    error = ICMPv6DestUnreach(code=4) / IPv6(src=mobile.home, dst=CORRESPONDENT) / UDP() / Raw(b"x")
    return {
        "error": (head / error, False),
        "error-behind-options": (head / IPv6ExtHdrDestOpt() / error, False),
        "first-fragment-of-an-error": (
            head / IPv6ExtHdrFragment(nh=58, m=1, id=5) / Raw(bytes(error)[:48]), False),
        "later-fragment-of-icmp": (
            head / IPv6ExtHdrFragment(nh=58, offset=6, id=5) / Raw(bytes(48)), False),
        "echo-request": (head / ICMPv6EchoRequest(), True),
        "echo-request-behind-options": (head / IPv6ExtHdrDestOpt() / ICMPv6EchoRequest(), True),
        "later-fragment-of-udp": (
            head / IPv6ExtHdrFragment(nh=17, offset=6, id=5) / Raw(bytes(48)), True),
    }


@pytest.mark.parametrize("kind", ["error", "error-behind-options", "first-fragment-of-an-error",
                                  "later-fragment-of-icmp", "echo-request",
                                  "echo-request-behind-options", "later-fragment-of-udp"])
def test_no_error_about_an_error_is_relayed(lab, mobile, kind):
    """RFC 4443 2.4 (e)"""
    packet, is_told = icmp_inners(mobile)[kind]
    access, core = lab.access.mark(), lab.core.mark()
    lab.core.send(packet)
    outer = lab.access.expect(lambda f: f.next_header == 41 and f.dst == mobile.care_of, access)
    before = status(lab, "tunnel_errors_relayed", "tunnel_errors_ignored")
    lab.access.send(error_about(ICMPv6DestUnreach(code=0), outer.ip_bytes))
    settle_errors(lab)
    expected = (before[0] + is_told, before[1] + (not is_told))
    lab.box.wait_for(lambda: status(lab, "tunnel_errors_relayed", "tunnel_errors_ignored") ==
                     expected, 3, "its count")
    lab.settle(lab.core)
    assert lab.core.count(lambda f: is_error(f, ICMPv6DestUnreach, CORRESPONDENT), core) == is_told


# Out of the tunnel.

def pieces_of(packet, size, nh=41, offset=0, ident=None):
    """Fragments of the payload of a packet, each with size bytes but the last."""
    packet = bytes(packet)
    payload, ident = packet[40:], ident or random.getrandbits(32)
    head = IPv6(packet[:40])
    out = []
    for at in range(offset, len(payload), size):
        piece = payload[at:at + size]
        out.append(bytes(IPv6(src=head.src, dst=head.dst, hlim=head.hlim, tc=head.tc) /
                         IPv6ExtHdrFragment(nh=nh, offset=at // 8, m=at + size < len(payload),
                                            id=ident) / Raw(piece)))
    return out


def uplink(mobile, length=1400, **ip):
    """(inner packet of that many bytes, the tunnel packet around it)"""
    inner = bytes(mobile.up_inner(os.urandom(length - 48), **ip))
    assert len(inner) == length
    return inner, mobile.tunnelled(IPv6(inner))


def expect_inner(wire, inner, mark, what="the inner packet"):
    frame = wire.expect(lambda f: f.ip_bytes[48:] == inner[48:], mark, what=what)
    assert frame.ip_bytes == hop_on(inner)


@pytest.mark.parametrize("size", [48, 128, 712, 1432])
@pytest.mark.parametrize("order", ["forward", "backward", "random"])
def test_fragmented_tunnel_packets_in_any_order(lab, mobile, order, size):
    inner, packet = uplink(mobile, 460 if size == 48 else 1400)
    pieces = pieces_of(packet, size)
    if order == "backward":
        pieces.reverse()
    elif order == "random":
        random.shuffle(pieces)
    mark, before = lab.core.mark(), lab.workers()[0]
    lab.access.send(*pieces)
    expect_inner(lab.core, inner, mark)
    after = lab.workers()[0]
    if len(pieces) > 1:
        assert after["reassembled"] == before["reassembled"] + 1
        assert after["absorbed"] == before["absorbed"] + len(pieces) - 1
    assert after["held"] == 0


@pytest.mark.parametrize("order", itertools.permutations(range(3)), ids=str)
def test_every_order_of_three_fragments(lab, mobile, order):
    inner, packet = uplink(mobile, 1400)
    pieces = pieces_of(packet, 480)
    mark = lab.core.mark()
    lab.access.send(*(pieces[n] for n in order))
    expect_inner(lab.core, inner, mark)
    lab.settle()
    assert lab.core.count(lambda f: f.ip_bytes[48:] == inner[48:], mark) == 1


def test_scapys_fragments(lab, mobile):
    inner, packet = uplink(mobile, 1460)
    outer = packet.copy()
    whole = IPv6(src=outer.src, dst=outer.dst) / IPv6ExtHdrFragment(id=99) / IPv6(inner)
    mark = lab.core.mark()
    lab.access.send(*fragment6(whole, 1280))
    expect_inner(lab.core, inner, mark)


def test_fragments_with_headers_that_every_piece_has(lab, mobile):
    """Unfragmentable headers before the fragment header, destination options behind it."""
    inner, _ = uplink(mobile, 600)
    outer = IPv6(src=mobile.care_of, dst=mobile.agent)
    behind = bytes(IPv6ExtHdrDestOpt(nh=41)) + inner
    mark = lab.core.mark()
    for at, more in ((0, 1), (304, 0)):
        lab.access.send(outer / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(
            nh=60, offset=at // 8, m=more, id=7) / Raw(behind[at:] if at else behind[:304]))
    expect_inner(lab.core, inner, mark)


def test_a_fragment_of_its_own(lab, mobile):
    """RFC 6946"""
    inner, packet = uplink(mobile, 500)
    mark = lab.core.mark()
    lab.access.send(*pieces_of(packet, 1400, ident=5))
    expect_inner(lab.core, inner, mark)


def test_two_packets_at_once_are_not_mixed(lab, mobile):
    inners, queues = [], []
    for _ in range(6):
        inner, packet = uplink(mobile, 1400)
        inners.append(inner)
        queues.append(pieces_of(packet, 480))
    mark = lab.core.mark()
    for step in zip(*queues):
        lab.access.send(*step)
    for inner in inners:
        expect_inner(lab.core, inner, mark)


def damaged(pieces):
    """name: (fragments that must not become a packet, the drops that count them)"""
    first, second, third = pieces

    def moved(piece, offset, more):
        return piece[:42] + struct.pack("!H", offset | more) + piece[44:]

    return {
        "overlap": ([first, moved(second, 472, 1), third], {"fragment_overlap", "fragment_timeout"}),
        "overlap-by-all": ([first, moved(second, 0, 1)], {"fragment_overlap"}),
        "duplicate": ([first, first], {"fragment_overlap"}),
        "two-ends": ([third, moved(third, 960 + 480, 0)], {"fragment_overlap"}),
        "beyond-the-end": ([third, moved(second, 960 + 960, 1)], {"fragment_overlap"}),
        "missing-first": ([second, third], {"fragment_timeout"}),
        "missing-middle": ([first, third], {"fragment_timeout"}),
        "missing-last": ([first, second], {"fragment_timeout"}),
        "length-not-in-eights": (
            [first[:4] + struct.pack("!H", len(first) - 43) + first[6:-3]], {"fragment_bad"}),
        "beyond-65535": ([moved(third, 65528, 0)], {"fragment_bad"}),
        "nothing-in-it": ([first[:4] + struct.pack("!H", 8) + first[6:48]], {"fragment_bad"}),
    }


@pytest.mark.parametrize("kind", ["overlap", "overlap-by-all", "duplicate", "two-ends",
                                  "beyond-the-end", "missing-first", "missing-middle",
                                  "missing-last", "length-not-in-eights", "beyond-65535",
                                  "nothing-in-it"])
def test_fragments_that_are_no_packet(lab, mobile, kind):
    inner, packet = uplink(mobile, 1400)
    pieces, names = damaged(pieces_of(packet, 480))[kind]
    mark = lab.core.mark()
    with lab.counting_drops() as drops:
        lab.access.send(*pieces)
        lab.box.wait_for(lambda: sum(w["held"] for w in lab.workers()) == 0, 2 * TIMEOUT_S + 1,
                         "the buffers that were held")
        lab.settle()
    assert set(drops) == names and sum(drops.values()) == len(pieces)
    assert lab.core.count(lambda f: inner[-100:] in f.raw, mark) == 0


@pytest.mark.parametrize("kind, type_, code, pointer", [
    ("missing-last", 3, 1, None), ("missing-first", None, None, None),
    ("length-not-in-eights", 4, 0, 4), ("beyond-65535", 4, 0, 42)])
def test_what_the_sender_of_fragments_is_told(lab, mobile, kind, type_, code, pointer):
    """RFC 8200 4.5"""
    _, packet = uplink(mobile, 1400)
    pieces, _ = damaged(pieces_of(packet, 480))[kind]
    mark = lab.access.mark()
    lab.access.send(*pieces)

    def errors():
        return [f for f in lab.access.since(mark)
                if f.is_ip6 and f.next_header == 58 and f.dst == mobile.care_of]

    if type_ is None:
        time.sleep(TIMEOUT_S + 0.5)
        lab.settle()
        assert errors() == []
        return
    lab.box.wait_for(errors, TIMEOUT_S + 2, "an error")
    error = errors()[0].ip_bytes
    assert (error[40], error[41]) == (type_, code)
    assert error[48:] == pieces[0][:1232]
    if pointer is not None:
        assert struct.unpack_from("!I", error, 44)[0] == pointer


def test_tiny_first_fragments(lab, mobile):
    """The inner header is in the second piece: the packet as a whole is what is judged."""
    inner, packet = uplink(mobile, 400)
    ident = random.getrandbits(32)
    tiny = pieces_of(bytes(packet)[:48] + bytes(8), 8, ident=ident)[:1]
    mark = lab.core.mark()
    lab.access.send(*tiny, *pieces_of(packet, 500, offset=8, ident=ident))
    expect_inner(lab.core, inner, mark)


def test_spoofed_tunnel_in_fragments_is_dropped(lab, mobile):
    inner, packet = uplink(mobile, 1400)
    packet = bytes(packet)
    packet = packet[:8] + mip6.packed(mobile.second_care_of) + packet[24:]
    with lab.counting_drops() as drops:
        lab.access.send(*pieces_of(packet, 480))
        lab.settle()
        lab.box.wait_for(lambda: sum(w["held"] for w in lab.workers()) == 0, 2, "the buffers")
    assert drops == {"tunnel_wrong_source": 1}


@pytest.mark.parametrize("size", [24, 32])
def test_binding_update_in_fragments(lab, size):
    """Its Home Address option stands in the part that is fragmented."""
    mobile = lab.mobile()
    packet = bytes(mobile.update_packet(1))
    pieces = pieces_of(packet, size, nh=60)
    assert len(pieces) > 1
    mark = mobile.wire.mark()
    lab.access.send(*reversed(pieces))
    answer = mobile.answer(mark)
    assert answer.status == 0
    mobile.assert_bound()


def test_fragments_of_other_protocols_are_the_kernels(lab, mobile):
    """A large ping to the agent is answered by our kernel, whole."""
    payload = os.urandom(2000)
    ping = IPv6(src=ACCESS_PEER, dst=mobile.agent) / ICMPv6EchoRequest(id=3, data=payload)
    ping = IPv6(bytes(ping))
    mark = lab.access.mark()
    lab.access.send(*pieces_of(ping, 1200, nh=58))
    lab.box.wait_for(lambda: len([f for f in lab.access.since(mark) if f.is_ip6 and
                                  f.dst == ACCESS_PEER and f.next_header == 44]) == 2, 5, "the answer")
    frames = [f for f in lab.access.since(mark) if f.is_ip6 and f.next_header == 44]
    assert payload in joined(frames)


def test_ping_of_the_agent_larger_than_a_buffer_through_the_tunnel(lab, mobile):
    """The whole packet has several segments on its way to the kernel; the answer is fragmented by the
    kernel, each piece behind a type 2 routing header (RFC 6275 9.3.2)."""
    payload = os.urandom(2800)
    ping = IPv6(src=mobile.home, dst=mobile.agent) / ICMPv6EchoRequest(id=4, data=payload)
    mark = lab.access.mark()
    lab.access.send(*pieces_of(mobile.tunnelled(IPv6(bytes(ping))), 1200))

    def answer():
        return [f.ip_bytes for f in lab.access.since(mark)
                if f.is_ip6 and f.next_header == 43 and f.dst == mobile.care_of]

    lab.box.wait_for(lambda: len(answer()) == 2, 5, "an answer in two pieces")
    assert all(piece[48:64] == mip6.packed(mobile.home) for piece in answer())
    # As they look when the routing header was followed.
    inner = defragment6([IPv6(piece[:6] + piece[40:41] + piece[7:24] + piece[48:64] + piece[64:])
                         for piece in answer()])
    assert payload in bytes(inner) and (inner.src, inner.dst) == (mobile.agent, mobile.home)


@pytest.mark.parametrize("length", [1280, 1460, 1461, 1500])
def test_fragmented_from_one_mobile_to_another(lab, mobile, length):
    other = lab.mobile()
    other.register()
    inner, packet = uplink(mobile, length, dst=other.home)
    mark = lab.access.mark()
    lab.access.send(*pieces_of(packet, 728))
    if length <= 1460:
        frame = lab.access.expect(
            lambda f: f.next_header == 41 and f.dst == other.care_of, mark)
        assert frame.ip_bytes[40:] == hop_on(inner)
    else:
        frame = lab.access.expect(
            lambda f: f.next_header == 41 and f.dst == mobile.care_of, mark)
        error = IPv6(frame.ip_bytes[40:])
        assert error.dst == mobile.home and error[ICMPv6PacketTooBig].mtu == 1460


@pytest.mark.parametrize("length", [1501, 2800, 9000])
def test_larger_than_any_link_is_refused_through_the_tunnel(lab, mobile, length):
    """A packet of several segments, to a correspondent and to another mobile"""
    other = lab.mobile()
    other.register()
    for dst, told in ((CORRESPONDENT, 1500), (other.home, 1460)):
        inner, packet = uplink(mobile, length, dst=dst)
        mark = lab.access.mark()
        with lab.counting_drops() as drops:
            lab.access.send(*pieces_of(packet, 1400))
            frame = lab.access.expect(
                lambda f: f.next_header == 41 and f.dst == mobile.care_of, mark)
        error = IPv6(frame.ip_bytes[40:])
        assert error.dst == mobile.home and error[ICMPv6PacketTooBig].mtu == told
        assert frame.ip_bytes[88:] == inner[:1232]
        assert drops == {"too_big": 1}


def nested_pair(lab):
    """A mobile on the access wire, and one whose care-of address is the other's home address."""
    outer, nested = lab.mobile(), lab.mobile()
    outer.register()
    assert nested.update(care_of=outer.care_of,
                         options=[MIP6OptAltCoA(acoa=outer.home)]).status == 0
    return outer, nested


def test_sizes_for_a_mobile_behind_a_mobile(lab):
    """Two tunnels: the first packet that is too large tells the sender what fits into both."""
    outer, nested = nested_pair(lab)
    mark = lab.core.mark()
    lab.core.send(sized(nested, 1421))
    frame = lab.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    assert frame.ip[ICMPv6PacketTooBig].mtu == 1420
    packet, mark = sized(nested, 1420), lab.access.mark()
    lab.core.send(packet)
    frame = lab.access.expect(lambda f: f.next_header == 41 and f.dst == outer.care_of, mark)
    assert len(frame.ip_bytes) == 1500 and frame.ip_bytes[80:] == hop_on(packet)


def test_smallest_packets_reach_a_mobile_behind_a_mobile_on_a_narrow_link(narrow):
    """1280 bytes may not shrink: both tunnels fragment. The first packet teaches the way."""
    outer, nested = nested_pair(narrow)
    narrow.core.send(sized(nested, 1280))
    narrow.settle()
    narrow.box.wait_for(lambda: status(narrow, "path_mtus") >= 1, 3, "the learned path MTU")
    packet, mark = sized(nested, 1280), narrow.access.mark()
    narrow.core.send(packet)
    narrow.box.wait_for(lambda: len(tunnel_frames(narrow, outer, mark)) == 3, 5, "three pieces")
    frames = tunnel_frames(narrow, outer, mark)
    assert all(len(f.ip_bytes) <= 1280 for f in frames)
    middle = [f.ip_bytes[40:] for f in frames if f.next_header == 41]
    middle.append(spliced([f.ip_bytes for f in frames if f.next_header == 44]))
    assert spliced(middle) == hop_on(packet)


# Floods.

def test_a_flood_of_first_fragments_leaves_a_good_peer_alone(lab, mobile):
    """Attack: the table is full of packets that never end. A peer that has sent one sound packet in
    fragments before is known, and keeps its share."""
    inner, packet = uplink(mobile, 1400)
    mark = lab.core.mark()
    lab.access.send(*pieces_of(packet, 720))
    expect_inner(lab.core, inner, mark, "the packet that makes the peer known")
    strange = [bytes(IPv6(src=f"2001:db8:a9::{n:x}", dst=mobile.agent) /
                     IPv6ExtHdrFragment(nh=41, offset=0, m=1, id=n) / Raw(bytes(64)))
               for n in range(5000)]
    n_good, most_held = 40, 0
    mark = lab.core.mark()
    good = []
    with lab.counting_drops() as drops:
        for n in range(n_good):
            lab.access.send(*strange[n * 125:n * 125 + 60])
            inner, packet = uplink(mobile, 1400)
            pieces = pieces_of(packet, 720)
            lab.access.send(pieces[0])
            lab.access.send(*strange[n * 125 + 60:n * 125 + 125])
            lab.access.send(*pieces[1:])
            good.append(inner)
            if n % 10 == 9:
                most_held = max(most_held, sum(w["held"] for w in lab.workers()))
        for inner in good:
            expect_inner(lab.core, inner, mark, "a good packet beside the flood")
        assert 0 < most_held <= 1024
        lab.box.wait_for(lambda: sum(w["held"] for w in lab.workers()) == 0, 2 * TIMEOUT_S + 2,
                         "the buffers that were held")
    assert set(drops) <= {"fragment_evicted", "fragment_timeout", "fragment_no_room"}
    assert sum(drops.values()) == len(strange)


# Jumbo frames.

@pytest.fixture(scope="module")
def jumbo(root):
    made = Lab([network("open", 1)])
    try:
        for short, outside, inside in (("peer", "p0", "h0"), ("access", "p1", "h1")):
            netns.run("ip", "-n", made.namespaces.prefix + short, "link", "set", outside, "mtu", 9000)
            netns.run("ip", "-n", made.ha, "link", "set", inside, "mtu", 9000)
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("length", [1500, 4000, 8959, 8960])
def test_jumbo_packets(jumbo, length):
    mobile = jumbo.mobile()
    mobile.register()
    packet, mark = sized(mobile, length), jumbo.access.mark()
    jumbo.core.send(packet)
    frame = jumbo.access.expect(lambda f: f.next_header == 41 and f.dst == mobile.care_of, mark)
    assert frame.ip_bytes[40:] == hop_on(packet)
    inner, packet = uplink(mobile, length)
    mark = jumbo.core.mark()
    jumbo.access.send(packet)
    expect_inner(jumbo.core, inner, mark)
    mark = jumbo.core.mark()
    jumbo.access.send(*pieces_of(packet, 3200))
    expect_inner(jumbo.core, inner, mark, "a jumbo packet that came in fragments")


def test_jumbo_packet_too_big(jumbo):
    mobile = jumbo.mobile()
    mobile.register()
    mark = jumbo.core.mark()
    jumbo.core.send(sized(mobile, 8961))
    frame = jumbo.core.expect(lambda f: is_error(f, ICMPv6PacketTooBig, CORRESPONDENT), mark)
    assert frame.ip[ICMPv6PacketTooBig].mtu == 8960
