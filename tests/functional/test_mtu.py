# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Tunnels whose path is narrower than the link: errors from inside, fragments outside (RFC 2473)."""

import itertools
import os
import random

import pytest
from scapy.layers.inet6 import (
    ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment, Raw)

from harness.lab import CORRESPONDENT

pytestmark = pytest.mark.sanitize

ROUTER = "2001:db8:a9::1"  # somewhere between us and the care-of address
_identifier = itertools.count(random.randrange(1 << 30))


@pytest.fixture
def mobile(lab):
    one = lab.mobile()
    one.register()
    return one


def down(mobile, length):
    """(a packet to the home address of that length, its payload)"""
    payload = os.urandom(length - 48)
    return bytes(mobile.down_packet(payload)), payload


def too_big_inside(mobile, mtu, outer_bytes, **change):
    """What a router on the tunnel's path sends to the agent about a tunnel packet of ours."""
    return (IPv6(src=ROUTER, dst=mobile.agent, **change) / ICMPv6PacketTooBig(mtu=mtu) /
            Raw(outer_bytes[:1232]))


def tunnel_packet(lab, mobile, length):
    """Sends a packet of that length and returns the tunnel packet that left for it, as bytes."""
    sent, payload = down(mobile, length)
    mark = lab.access.mark()
    lab.core.send(sent)
    return lab.access.expect(lambda f: payload[:64] in f.raw and f.dst == mobile.care_of,
                             mark).ip_bytes


def learn(lab, mobile, mtu):
    """Has the box learn a path MTU. Returns the error that the correspondent was told."""
    outer = tunnel_packet(lab, mobile, 1460)
    mark = lab.core.mark()
    lab.access.send(too_big_inside(mobile, mtu, outer))
    return lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark,
                           what="the relayed Packet Too Big")


def test_packet_too_big_from_inside_is_relayed_and_learned(lab, mobile):
    """X6275.9.3.4-1"""
    frame = learn(lab, mobile, 1400)
    error = frame.ip[ICMPv6PacketTooBig]
    assert error.mtu == 1360
    quoted = IPv6(bytes(error.payload))
    assert (quoted.src, quoted.dst) == (CORRESPONDENT, mobile.home)
    # From now on it is answered at once, and what fits goes through.
    sent, payload = down(mobile, 1361)
    marks = lab.core.mark(), lab.access.mark()
    lab.core.send(sent)
    frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, marks[0])
    assert frame.ip[ICMPv6PacketTooBig].mtu == 1360
    assert frame.ip_bytes[48:] == sent[:1232]
    assert lab.access.count(lambda f: payload in f.raw, marks[1]) == 0
    assert len(tunnel_packet(lab, mobile, 1360)) == 1400


def test_other_mobiles_keep_their_own_path(lab, mobile):
    learn(lab, mobile, 1300)
    other = lab.mobile()
    other.register()
    assert len(tunnel_packet(lab, other, 1460)) == 1500


def forged(mobile, outer):
    """Errors that quote what we cannot have sent."""
    stranger = IPv6(outer)
    stranger.dst = mobile.second_care_of
    other_agent = IPv6(outer)
    other_agent.src = "2001:db8:3::1"
    other_home = bytearray(outer)
    other_home[40 + 24 + 14:40 + 40] = b"\xfe\xfe"
    return {"care-of": bytes(stranger), "agent": bytes(other_agent), "home": bytes(other_home)}


@pytest.mark.parametrize("what", ["care-of", "agent", "home", "small", "checksum"])
def test_forged_packet_too_big_teaches_nothing(lab, mobile, what):
    outer = tunnel_packet(lab, mobile, 1460)
    if what == "small":  # the quoted packet had fitted
        message = too_big_inside(mobile, 1500, outer)
    elif what == "checksum":
        message = bytearray(bytes(too_big_inside(mobile, 1300, outer)))
        message[42] ^= 0x55
    else:
        message = too_big_inside(mobile, 1300, forged(mobile, outer)[what])
    mark = lab.core.mark()
    lab.access.send(message)
    lab.settle()
    assert lab.core.count(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark) == 0
    assert len(tunnel_packet(lab, mobile, 1460)) == 1500


@pytest.mark.parametrize("error", [ICMPv6TimeExceeded(), ICMPv6DestUnreach(code=0),
                                   ICMPv6DestUnreach(code=3)],
                         ids=["time-exceeded", "no-route", "address"])
def test_other_errors_from_inside_become_unreachable(lab, mobile, error):
    """5.1.7"""
    outer = tunnel_packet(lab, mobile, 300)
    mark = lab.core.mark()
    lab.access.send(IPv6(src=ROUTER, dst=mobile.agent) / error / Raw(outer))
    frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark,
                            what="the relayed error")
    told = frame.ip[ICMPv6DestUnreach]
    assert (told.type, told.code) == (1, 3)
    assert frame.ip_bytes[48:] == outer[40:]
    mobile.assert_bound()


@pytest.mark.parametrize("length", [1241, 1264, 1280])
def test_packets_that_may_not_shrink_are_fragmented_outside(lab, mobile, length):
    """RFC 2473 7.1 (b): 1280 and less always gets through."""
    learn(lab, mobile, 1280)
    sent, _ = down(mobile, length)
    mark = lab.access.mark()
    lab.core.send(sent)

    def fragments():
        return [f for f in lab.access.since(mark) if f.is_ip6 and f.dst == mobile.care_of and
                f.next_header == 44]

    lab.box.wait_for(lambda: len(fragments()) >= 2, 3, "two fragments")
    lab.settle()
    parts = sorted((f.ip for f in fragments()), key=lambda p: p[IPv6ExtHdrFragment].offset)
    assert [len(p) <= 1280 for p in parts] == [True, True]
    heads = [p[IPv6ExtHdrFragment] for p in parts]
    assert [h.m for h in heads] == [1, 0]
    assert {h.nh for h in heads} == {41} and len({h.id for h in heads}) == 1
    assert {p.src for p in parts} == {mobile.agent}
    bodies = [bytes(h.payload) for h in heads]
    assert heads[0].offset == 0 and heads[1].offset * 8 == len(bodies[0])
    inner = b"".join(bodies)
    assert inner == sent[:7] + bytes([63]) + sent[8:]


def test_fragments_of_different_packets_have_different_identifiers(lab, mobile):
    learn(lab, mobile, 1280)
    mark = lab.access.mark()
    for _ in range(20):
        lab.core.send(down(mobile, 1280)[0])

    def identifiers():
        return [f.ip[IPv6ExtHdrFragment].id for f in lab.access.since(mark)
                if f.is_ip6 and f.dst == mobile.care_of and f.next_header == 44]

    lab.box.wait_for(lambda: len(identifiers()) >= 40, 3, "forty fragments")
    assert len(set(identifiers())) == 20


# Fragments that come to us.

def cut(packet, *at, identifier=None):
    """An IPv6 packet as fragments that begin at these offsets of what is behind its header."""
    raw = bytes(packet)
    body, identifier = raw[40:], next(_identifier) if identifier is None else identifier
    starts = (0, *at)
    ends = (*at, len(body))
    head = IPv6(raw[:40])
    for start, end in zip(starts, ends):
        yield (IPv6(src=head.src, dst=head.dst) /
               IPv6ExtHdrFragment(nh=head.nh, offset=start // 8, m=int(end < len(body)),
                                  id=identifier) / Raw(body[start:end]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_fragmented_tunnel_packet_is_put_together(lab, mobile, order):
    payload = os.urandom(1200)
    inner = bytes(mobile.up_inner(payload))
    parts = list(cut(mobile.tunnelled(IPv6(inner)), 480, 960))
    mark = lab.core.mark()
    for n in order:
        lab.access.send(parts[n])
    frame = lab.core.expect(lambda f: payload in f.raw, mark, what="the packet put together")
    assert frame.ip_bytes == inner[:7] + bytes([63]) + inner[8:]
    lab.settle()
    assert lab.core.count(lambda f: payload in f.raw, mark) == 1


def test_fragmented_update_is_answered_or_dropped_but_harms_nothing(lab):
    """A signalling message needs no fragments, but one that has them is a message all the same."""
    mobile = lab.mobile()
    for part in cut(mobile.update_packet(4), 24):
        mobile.wire.send(part)
    lab.settle()
    binding = lab.box.binding(mobile.home)
    assert binding is None or binding["sequence"] == 4


def test_overlapping_fragments_are_dropped(lab, mobile):
    """RFC 5722"""
    payload = os.urandom(1000)
    packet = mobile.tunnelled(mobile.up_inner(payload))
    first, last = cut(packet, 512, identifier=77)
    overlap = (IPv6(src=mobile.care_of, dst=mobile.agent) /
               IPv6ExtHdrFragment(nh=41, offset=60, m=1, id=77) / Raw(bytes(64)))
    mark = lab.core.mark()
    with lab.counting_drops() as drops:
        lab.access.send(first, overlap, last)
        lab.settle()
    assert lab.core.count(lambda f: f.src == mobile.home, mark) == 0
    assert any(name.startswith("fragment_") for name in drops), drops


def test_spoofed_fragments_are_judged_as_the_whole(lab, mobile):
    payload = os.urandom(1000)
    mark = lab.core.mark()
    with lab.counting_drops() as drops:
        for part in cut(mobile.tunnelled(mobile.up_inner(payload), mobile.second_care_of), 512):
            lab.access.send(part)
        lab.settle()
    assert lab.core.count(lambda f: payload[-64:] in f.raw, mark) == 0
    assert drops == {"tunnel_wrong_source": 1}


def test_flood_of_first_fragments_leaves_room_for_known_peers(lab, mobile):
    """Attack row 15: strangers cannot fill the table."""
    mobile_payload = os.urandom(1000)
    for part in cut(mobile.tunnelled(mobile.up_inner(mobile_payload)), 512):
        lab.access.send(part)  # now the care-of address is a known peer
    for n in range(3000):
        lab.access.send(next(cut(IPv6(src=f"2001:db8:a8::{n:x}", dst=mobile.agent, nh=41) /
                                 Raw(bytes(64)), 32)))
    payload = os.urandom(1000)
    mark = lab.core.mark()
    for part in cut(mobile.tunnelled(mobile.up_inner(payload)), 512):
        lab.access.send(part)
    lab.core.expect(lambda f: payload in f.raw, mark, what="a packet in the middle of the flood")
