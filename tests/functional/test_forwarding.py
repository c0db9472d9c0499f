# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What the dataplane does with every kind of packet: tunnels, plain forwarding, errors, drops."""

import os

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, HBHOptUnknown, MIP6OptAltCoA, Raw)
from scapy.layers.l2 import Ether

from harness import mip6, netns
from harness.lab import ACCESS_BOX, CORE_BOX, CORE_PEER, CORRESPONDENT

pytestmark = pytest.mark.sanitize

FOREIGN = "2001:db8:a3::9"  # plainly routed to the access wire


def fields(ip_bytes):
    """(traffic class, flow label, payload length, next header, hop limit) of an IPv6 header."""
    word = int.from_bytes(ip_bytes[:4], "big")
    assert word >> 28 == 6
    return (word >> 20 & 0xff, word & 0xfffff, int.from_bytes(ip_bytes[4:6], "big"),
            ip_bytes[6], ip_bytes[7])


def expect_one(wire, mark, payload, lab, what):
    """The only frame with that payload, after what was sent later has come too."""
    frame = wire.expect(lambda f: payload in f.raw, mark, what=what)
    lab.settle()
    assert wire.count(lambda f: payload in f.raw, mark) == 1
    return frame


def assert_not_forwarded(lab, payload, mark_core, mark_access):
    lab.settle()
    lab.settle(lab.core)
    for wire, mark in ((lab.core, mark_core), (lab.access, mark_access)):
        came = [f for f in wire.since(mark) if payload in f.raw and f.next_header != 58]
        assert not came, came


@pytest.fixture
def mobile(lab):
    one = lab.mobile()
    one.register()
    return one


# Downlink.

def test_outer_header(lab, mobile):
    """X6275.10.4.2-1; RFC 2473, RFC 6438"""
    payload = os.urandom(64)
    sent = bytes(mobile.down_packet(payload, hlim=33, tc=0xb8, fl=0x12345))
    mark = lab.access.mark()
    lab.core.send(sent)
    frame = expect_one(lab.access, mark, payload, lab, "the tunnelled packet")
    outer = frame.ip_bytes
    traffic_class, label, length, next_header, hop_limit = fields(outer)
    assert (frame.src, frame.dst) == (mobile.agent, mobile.care_of)
    assert next_header == 41
    assert length == len(sent) == len(outer) - 40
    assert hop_limit in (64, 255)
    assert traffic_class == 0xb8
    assert label != 0
    assert outer[40:] == sent[:7] + bytes([32]) + sent[8:]
    assert frame.raw[:12] == lab.access.own_mac + lab.access.box_mac


def test_flow_label_is_one_per_flow_and_differs_between_flows(lab, mobile):
    def label(port):
        payload = os.urandom(16)
        mark = lab.access.mark()
        lab.core.send(IPv6(src=CORRESPONDENT, dst=mobile.home) / UDP(sport=port, dport=9) /
                      Raw(payload))
        return fields(lab.access.expect(lambda f: payload in f.raw, mark).ip_bytes)[1]

    labels = {port: label(port) for port in range(1000, 1016)}
    assert all(labels.values())
    assert len(set(labels.values())) >= 12
    assert all(label(port) == labels[port] for port in labels)


@pytest.mark.parametrize("ecn", range(4))
@pytest.mark.parametrize("dscp", [0, 46])
def test_downlink_ecn_is_copied(lab, mobile, ecn, dscp):
    """RFC 6040 4.1, normal mode"""
    frame = mobile.receive_down(tc=dscp << 2 | ecn)
    assert fields(frame.ip_bytes)[0] & 3 == ecn
    assert fields(frame.ip_bytes[40:])[0] == dscp << 2 | ecn


@pytest.mark.parametrize("kind", ["fragment", "later-fragment", "hop-by-hop", "destination", "none",
                                  "unknown", "minimal"])
def test_downlink_leaves_what_is_behind_the_header_alone(lab, mobile, kind):
    payload = os.urandom(24)
    head = IPv6(src=CORRESPONDENT, dst=mobile.home)
    packet = bytes({
        "fragment": head / IPv6ExtHdrFragment(nh=17, m=1, id=7) / Raw(payload),
        "later-fragment": head / IPv6ExtHdrFragment(nh=17, offset=3, id=7) / Raw(payload),
        "hop-by-hop": head / IPv6ExtHdrHopByHop(
            options=[HBHOptUnknown(otype=0x1e, optdata=b"abc")]) / UDP() / Raw(payload),
        "destination": head / IPv6ExtHdrDestOpt(
            options=[HBHOptUnknown(otype=0x1e, optdata=b"abc")]) / UDP() / Raw(payload),
        "none": IPv6(src=CORRESPONDENT, dst=mobile.home, nh=59) / Raw(payload),
        "unknown": IPv6(src=CORRESPONDENT, dst=mobile.home, nh=253) / Raw(payload),
        "minimal": head / UDP(sport=1, dport=2) / Raw(payload),
    }[kind])
    mark = lab.access.mark()
    lab.core.send(packet)
    frame = expect_one(lab.access, mark, payload, lab, kind)
    assert frame.ip_bytes[40:] == packet[:7] + bytes([63]) + packet[8:]


def test_downlink_hop_limit_1_is_answered(lab, mobile):
    """X3963.6.5-1"""
    sent = bytes(mobile.down_packet(os.urandom(20), hlim=1))
    mark = lab.core.mark()
    with lab.counting_drops() as drops:
        lab.core.send(sent)
        frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    error = frame.ip[ICMPv6TimeExceeded]
    assert (error.type, error.code) == (3, 0)
    assert frame.ip_bytes[48:] == sent
    assert frame.src in (CORE_BOX, ACCESS_BOX, mobile.agent)
    assert drops == {"hop_limit": 1}


@pytest.mark.parametrize("length, fits", [(1460, True), (1461, False), (1500, False)])
def test_packet_too_big_tells_what_fits_into_the_tunnel(lab, mobile, length, fits):
    payload = os.urandom(length - 48)
    mark_core, mark_access = lab.core.mark(), lab.access.mark()
    sent = bytes(mobile.down_packet(payload))
    assert len(sent) == length
    lab.core.send(sent)
    if fits:
        lab.access.expect(lambda f: payload in f.raw and len(f.ip_bytes) == 1500, mark_access)
        return
    frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark_core)
    error = frame.ip[ICMPv6PacketTooBig]
    assert (error.type, error.code, error.mtu) == (2, 0, 1460)
    assert len(frame.ip_bytes) == 1280
    assert frame.ip_bytes[48:] == sent[:1232]
    assert_not_forwarded(lab, payload, mark_core, mark_access)


def test_unbound_home_address_is_unreachable(lab):
    """The sender learns it: address unreachable, with its packet quoted."""
    mobile = lab.mobile()
    with lab.counting_drops() as drops:
        frame = mobile.assert_unbound()
    assert frame.src in (CORE_BOX, ACCESS_BOX, mobile.agent)
    assert drops == {"unbound": 1}


@pytest.mark.parametrize("packet", [
    lambda home: IPv6(src="ff02::1", dst=home) / UDP() / Raw(b"never answered 1"),
    lambda home: IPv6(src="::", dst=home) / UDP() / Raw(b"never answered 2"),
    lambda home: IPv6(src=CORRESPONDENT, dst=home) / ICMPv6DestUnreach() / Raw(bytes(48)),
    lambda home: IPv6(src=CORRESPONDENT, dst=home, hlim=1) / ICMPv6TimeExceeded() / Raw(bytes(48)),
], ids=["from-multicast", "from-unspecified", "icmp-error", "icmp-error-hop-limit"])
def test_errors_that_must_not_be_answered(lab, packet):
    """RFC 4443 2.4 (e)"""
    mobile = lab.mobile()
    mark = lab.core.mark()
    lab.core.send(packet(mobile.home))
    lab.settle(lab.core)
    assert lab.core.count(lambda f: f.next_header == 58 and f.dst in (CORRESPONDENT, "::"),
                          mark) == 0


def test_errors_are_rate_limited(lab):
    mobile = lab.mobile()
    packet = bytes(mobile.down_packet(b"flood of the unbound"))
    mark = lab.core.mark()
    for _ in range(3000):
        lab.core.send(packet)
    lab.settle(lab.core)
    errors = lab.core.count(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    assert 1 <= errors < 2500


def test_link_local_source_is_not_tunnelled(lab, mobile):
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(mobile.down_packet(payload, src="fe80::5"))
        lab.settle(lab.core)
    assert_not_forwarded(lab, payload, *marks)
    assert drops.get("link_local_source") == 1


# Uplink.

def test_decapsulated_packet_is_the_inner_one(lab, mobile):
    payload = os.urandom(40)
    inner = bytes(mobile.up_inner(payload, hlim=17, tc=0x28, fl=0xabcde))
    mark = lab.core.mark()
    lab.access.send(mobile.tunnelled(IPv6(inner), hlim=5))
    frame = expect_one(lab.core, mark, payload, lab, "the inner packet")
    assert frame.ip_bytes == inner[:7] + bytes([16]) + inner[8:]
    assert frame.raw[:12] == lab.core.own_mac + lab.core.box_mac


ECN_NAMES = ["not-ect", "ect1", "ect0", "ce"]
# RFC 6040 figure 4, by [inner][outer]; None = drop.
ECN_AT_EXIT = [[0, 0, 0, None],
               [1, 1, 1, 3],
               [2, 1, 2, 3],
               [3, 3, 3, 3]]


@pytest.mark.parametrize("outer", range(4), ids=[f"outer-{n}" for n in ECN_NAMES])
@pytest.mark.parametrize("inner", range(4), ids=[f"inner-{n}" for n in ECN_NAMES])
def test_uplink_ecn(lab, mobile, inner, outer):
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    expected = ECN_AT_EXIT[inner][outer]
    with lab.counting_drops() as drops:
        lab.access.send(mobile.tunnelled(mobile.up_inner(payload, tc=0xb8 | inner), tc=outer))
        if expected is None:
            assert_not_forwarded(lab, payload, *marks)
        else:
            frame = lab.core.expect(lambda f: payload in f.raw, marks[0])
            assert fields(frame.ip_bytes)[0] == 0xb8 | expected
    assert drops == ({"tunnel_ecn": 1} if expected is None else {})


def test_uplink_hop_limit_1_is_answered_through_the_tunnel(lab, mobile):
    inner = bytes(mobile.up_inner(os.urandom(20), hlim=1))
    mark = lab.access.mark()
    lab.access.send(mobile.tunnelled(IPv6(inner)))
    frame = lab.access.expect(
        lambda f: f.next_header == 41 and f.dst == mobile.care_of, mark, what="Time Exceeded")
    error = IPv6(frame.ip_bytes[40:])
    assert error.dst == mobile.home
    assert (error[ICMPv6TimeExceeded].type, error[ICMPv6TimeExceeded].code) == (3, 0)
    assert frame.ip_bytes[88:] == inner


def spoofs():
    """name: (packet of (lab, mobile, other mobile, payload), the drop that counts it)."""
    return {
        "6.2.2-wrong-outer-source": (
            lambda m, o, p: m.tunnelled(m.up_inner(p), m.second_care_of), "tunnel_wrong_source"),
        "outer-source-of-another-mobile": (
            lambda m, o, p: m.tunnelled(m.up_inner(p), o.care_of), "tunnel_wrong_source"),
        "inner-source-of-another-mobile": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, src=o.home)), "tunnel_wrong_source"),
        "inner-source-not-bound": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, src=f"2001:db8:1::99:{m.number:x}")),
            "tunnel_unbound"),
        "inner-source-not-at-home": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, src=CORRESPONDENT)), "tunnel_unbound"),
        "inner-source-is-the-agent": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, src=m.agent)), "tunnel_unbound"),
        "to-another-agent-address": (
            lambda m, o, p: m.tunnelled(m.up_inner(p), dst="2001:db8:2::1"),
            "tunnel_wrong_agent"),
        "inner-destination-link-local": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, dst="fe80::1")), "inner_scope"),
        "inner-destination-multicast": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, dst="ff0e::1")), "inner_scope"),
        "inner-cut": (
            lambda m, o, p: m.tunnelled(m.up_inner(p, plen=200)), "tunnel_bad_inner"),
        "inner-of-version-4": (
            lambda m, o, p: m.tunnelled(Raw(b"\x45" + bytes(m.up_inner(p))[1:]), nh=41),
            "tunnel_protocol"),
        "inner-shorter-than-a-header": (
            lambda m, o, p: m.tunnelled(Raw(b"\x60" + p), nh=41), "tunnel_bad_inner"),
        "ipv4-inside": (
            lambda m, o, p: m.tunnelled(IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / Raw(p), nh=4),
            "tunnel_protocol"),
    }


@pytest.mark.parametrize("make, drop", spoofs().values(), ids=spoofs().keys())
def test_spoofed_tunnel_is_dropped_and_counted(lab, mobile, make, drop):
    other = lab.mobile()
    other.register()
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(make(mobile, other, payload))
        assert_not_forwarded(lab, payload, *marks)
    assert drops == {drop: 1}
    assert lab.box.binding(mobile.home)["packets_up"] == 0
    assert lab.box.binding(other.home)["packets_up"] == 0


def test_old_care_of_address_is_a_spoof_after_a_movement(lab, mobile):
    """X6275.10.4.6-2 without the security association"""
    mobile.register(care_of=mobile.second_care_of)
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(mobile.tunnelled(mobile.up_inner(payload), mobile.care_of))
        assert_not_forwarded(lab, payload, *marks)
    assert drops == {"tunnel_wrong_source": 1}


# Mobile to mobile.

def test_mobile_to_mobile(lab, mobile):
    other = lab.mobile()
    other.use_core()
    other.register()
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    lab.access.send(mobile.tunnelled(mobile.up_inner(payload, dst=other.home)))
    frame = lab.core.expect(lambda f: payload in f.raw, marks[0])
    assert (frame.src, frame.dst, frame.next_header) == (other.agent, other.care_of, 41)
    inner = IPv6(frame.ip_bytes[40:])
    assert (inner.src, inner.dst, inner.hlim) == (mobile.home, other.home, 63)
    assert lab.access.count(lambda f: payload in f.raw, marks[1]) == 0
    assert lab.box.binding(mobile.home)["packets_up"] == 1
    assert lab.box.binding(other.home)["packets_down"] == 1


def test_mobile_to_unbound_mobile_is_answered_through_the_tunnel(lab, mobile):
    other = lab.mobile()
    mark = lab.access.mark()
    lab.access.send(mobile.tunnelled(mobile.up_inner(os.urandom(16), dst=other.home)))
    frame = lab.access.expect(
        lambda f: f.next_header == 41 and f.dst == mobile.care_of, mark, what="unreachable")
    inner = IPv6(frame.ip_bytes[40:])
    assert inner.dst == mobile.home
    assert (inner[ICMPv6DestUnreach].type, inner[ICMPv6DestUnreach].code) == (1, 3)


def test_mobile_behind_a_mobile(lab, mobile):
    """Its care-of address is a home address here: two tunnels, trap 19"""
    nested = lab.mobile()
    assert nested.update(options=[MIP6OptAltCoA(acoa=mobile.home)]).status == 0
    payload = os.urandom(16)
    mark = lab.access.mark()
    lab.core.send(nested.down_packet(payload))
    frame = lab.access.expect(lambda f: payload in f.raw, mark, what="a packet in two tunnels")
    assert (frame.dst, frame.next_header) == (mobile.care_of, 41)
    middle = IPv6(frame.ip_bytes[40:])
    assert (middle.src, middle.dst, middle.nh) == (nested.agent, mobile.home, 41)
    assert middle[IPv6].payload.dst == nested.home
    # And the way back: decapsulated twice.
    mark = lab.core.mark()
    inner = nested.up_inner(payload)
    lab.access.send(mobile.tunnelled(nested.tunnelled(inner, care_of=mobile.home)))
    lab.core.expect(lambda f: payload in f.raw and f.src == nested.home, mark)


# Plain forwarding.

@pytest.mark.parametrize("way", ["to-access", "to-core"])
def test_plain_forwarding(lab, way):
    payload = os.urandom(16)
    here, there, src, dst = ((lab.core, lab.access, CORRESPONDENT, FOREIGN) if way == "to-access"
                             else (lab.access, lab.core, FOREIGN, CORRESPONDENT))
    sent = bytes(IPv6(src=src, dst=dst, hlim=9, tc=3) / UDP() / Raw(payload))
    mark, back = there.mark(), here.mark()
    here.send(sent)
    frame = expect_one(there, mark, payload, lab, "the forwarded packet")
    assert frame.ip_bytes == sent[:7] + bytes([8]) + sent[8:]
    assert here.count(lambda f: payload in f.raw, back) == 0


def test_plain_forwarding_out_of_the_port_it_came_in(lab):
    payload = os.urandom(16)
    mark = lab.core.mark()
    lab.core.send(IPv6(src=CORRESPONDENT, dst="2001:db8:21::1") / UDP() / Raw(payload))
    assert lab.core.expect(lambda f: payload in f.raw, mark).dst == "2001:db8:21::1"


def test_plain_forwarding_hop_limit_1(lab):
    sent = bytes(IPv6(src=CORRESPONDENT, dst=FOREIGN, hlim=1) / UDP() / Raw(os.urandom(9)))
    mark = lab.core.mark()
    lab.core.send(sent)
    frame = lab.core.expect(lambda f: f.next_header == 58 and f.dst == CORRESPONDENT, mark)
    assert frame.ip[ICMPv6TimeExceeded].code == 0
    assert frame.ip_bytes[48:] == sent


def test_frame_for_another_station_is_not_forwarded(lab):
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(IPv6(src=CORRESPONDENT, dst=FOREIGN) / UDP() / Raw(payload),
                      dst_mac=b"\x02\x00\x00\x99\x99\x99")
        assert_not_forwarded(lab, payload, *marks)
    assert drops.get("not_for_us") == 1


@pytest.mark.parametrize("damage", [
    lambda p: p[:4] + b"\xff\xff" + p[6:], lambda p: b"\x40" + p[1:], lambda p: p[:30]],
    ids=["longer-than-the-frame", "version-4", "cut"])
def test_unsound_header_is_dropped(lab, damage):
    payload = os.urandom(16)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(damage(bytes(IPv6(src=CORRESPONDENT, dst=FOREIGN) / UDP() / Raw(payload))))
        assert_not_forwarded(lab, payload, *marks)
    assert drops.get("bad_ip6_header") == 1


def test_blackhole_route_drops(lab):
    netns.run("ip", "-n", lab.ha, "-6", "route", "add", "blackhole", "2001:db8:b1ac::/48")
    try:
        payload = os.urandom(16)

        def is_dropped():
            with lab.counting_drops() as drops:
                lab.core.send(IPv6(src=CORRESPONDENT, dst="2001:db8:b1ac::1") / UDP() /
                              Raw(payload))
                lab.settle(lab.core)
            return drops.get("route_drop") == 1

        lab.box.wait_for(is_dropped, 3, "the blackhole in the mirror")
    finally:
        netns.run("ip", "-n", lab.ha, "-6", "route", "delete", "blackhole", "2001:db8:b1ac::/48")


def test_route_change_is_followed(lab):
    prefix, payload = "2001:db8:70::/48", os.urandom(16)

    def arrives(wire):
        mark = wire.mark()
        lab.core.send(IPv6(src=CORRESPONDENT, dst="2001:db8:70::1") / UDP() / Raw(payload))
        lab.settle(lab.core)
        lab.settle()
        return wire.count(lambda f: payload in f.raw, mark) > 0

    try:
        for via, port, wire in (("2001:db8:fe::2", "acc0", lab.access),
                                (CORE_PEER, "core0", lab.core)):
            netns.run("ip", "-n", lab.ha, "-6", "route", "replace", prefix, "via", via, "dev", port)
            lab.box.wait_for(lambda: arrives(wire), 3, f"the route over {port} in the mirror")
    finally:
        netns.run("ip", "-n", lab.ha, "-6", "route", "delete", prefix)


def neighbour_answer(wire, solicitation, target):
    """The frame by which the far end says that it has that address."""
    asker = solicitation.raw[6:12]
    return bytes(Ether(src=wire.own_mac.hex(":"), dst=asker.hex(":")) /
                 IPv6(src=target, dst=solicitation.src, hlim=255) /
                 ICMPv6ND_NA(tgt=target, R=0, S=1, O=1) /
                 ICMPv6NDOptDstLLAddr(lladdr=wire.own_mac.hex(":")))


def test_packets_wait_for_an_unresolved_neighbour(lab):
    target, payload = "2001:db8:ff::77", os.urandom(16)
    mark = lab.core.mark()
    for n in range(3):
        lab.access.send(IPv6(src=FOREIGN, dst=target) / UDP() / Raw(payload + bytes([n])))
    asked = lab.core.expect(
        lambda f: f.next_header == 58 and ICMPv6ND_NS in f.ip and f.ip[ICMPv6ND_NS].tgt == target,
        mark, what="a neighbour solicitation")
    assert lab.core.count(lambda f: payload in f.raw, mark) == 0
    lab.core.send_frame(neighbour_answer(lab.core, asked, target))
    for n in range(3):
        lab.core.expect(lambda f: payload + bytes([n]) in f.raw and f.dst == target, mark,
                        what=f"parked packet {n}")


def test_tunnel_packets_wait_for_an_unresolved_neighbour(lab):
    """The care-of address is on a link of ours and was never heard of."""
    mobile = lab.mobile()
    mobile.use_core()
    care_of, payload = "2001:db8:ff::78", os.urandom(16)
    assert mobile.update(options=[MIP6OptAltCoA(acoa=care_of)]).status == 0
    mark = lab.core.mark()
    lab.core.send(mobile.down_packet(payload))
    asked = lab.core.expect(
        lambda f: f.next_header == 58 and ICMPv6ND_NS in f.ip and f.ip[ICMPv6ND_NS].tgt == care_of,
        mark, what="a neighbour solicitation")
    lab.core.send_frame(neighbour_answer(lab.core, asked, care_of))
    frame = lab.core.expect(lambda f: payload in f.raw and f.next_header == 41, mark)
    assert (frame.src, frame.dst) == (mobile.agent, care_of)


# Our own addresses.

@pytest.mark.parametrize("address", [CORE_BOX, ACCESS_BOX, "2001:db8:1::1", "2001:db8:3::1"])
def test_own_addresses_answer_pings(lab, address):
    """0.0.0"""
    payload = os.urandom(32)
    mark = lab.core.mark()
    lab.core.send(IPv6(src=CORRESPONDENT, dst=address) / ICMPv6EchoRequest(id=5, data=payload))
    frame = lab.core.expect(
        lambda f: payload in f.raw and f.dst == CORRESPONDENT and f.src == address, mark,
        what="an echo reply")
    assert ICMPv6EchoReply in frame.ip
    lab.settle(lab.core)
    assert lab.core.count(lambda f: payload in f.raw, mark) == 1


def test_kernels_ping_each_other_over_the_link(lab):
    peer = lab.namespaces.prefix + "peer"
    for address in (CORE_BOX, "192.0.2.1"):
        out = netns.run("ip", "netns", "exec", peer, "ping", "-n", "-c", 3, "-i", 0.05, "-W", 2,
                        address)
        assert " 0% packet loss" in out and "DUP" not in out, out


def test_mobile_pings_the_agent_through_the_tunnel(lab, mobile):
    """What is ours to a mobile goes there with a routing header, RFC 6275 9.3.2"""
    payload = os.urandom(32)
    mark = lab.access.mark()
    lab.access.send(mobile.tunnelled(
        IPv6(src=mobile.home, dst=mobile.agent) / ICMPv6EchoRequest(id=6, data=payload)))
    frame = lab.access.expect(
        lambda f: payload in f.raw and f.next_header == 43, mark, what="an echo reply")
    assert (frame.src, frame.dst) == (mobile.agent, mobile.care_of)
    assert frame.ip_bytes[40:48] == bytes([58, 2, 2, 1, 0, 0, 0, 0])
    assert frame.ip_bytes[48:64] == mip6.packed(mobile.home)
    assert frame.ip_bytes[64] == 129


def test_nothing_was_forwarded_by_the_kernel(lab, mobile):
    mobile.receive_down()
    mobile.receive_up()
    counters = netns.run("ip", "netns", "exec", lab.ha, "cat", "/proc/net/snmp6")
    forwarded = next(line.split()[1] for line in counters.splitlines()
                     if line.startswith("Ip6OutForwDatagrams"))
    assert forwarded == "0"


def test_mobile_headers_reach_control_only_for_our_addresses(lab, mobile):
    """A Binding Update that passes through to some other home agent is forwarded."""
    payload = bytes(mip6.binding_update("2001:db8:9::1", FOREIGN, "2001:db8:30::1", 1))
    mark = lab.core.mark()
    lab.access.send(payload)
    frame = lab.core.expect(lambda f: f.dst == "2001:db8:30::1", mark)
    assert frame.ip_bytes == payload[:7] + bytes([63]) + payload[8:]


# Forged with an address of ours.

@pytest.mark.parametrize("to", ["care-of", "elsewhere", "home"])
@pytest.mark.parametrize("kind", ["tunnel", "ipv4-tunnel", "fragment", "options", "hop-by-hop",
                                  "routing", "signalling"])
def test_what_mobiles_take_only_from_us_is_not_forwarded_for_others(lab, mobile, kind, to):
    """A tunnel packet that seems to be from the agent would be decapsulated by the mobile."""
    payload = os.urandom(16)
    dst = {"care-of": mobile.care_of, "elsewhere": FOREIGN, "home": mobile.home}[to]
    head = IPv6(src=CORE_BOX if to == "elsewhere" else mobile.agent, dst=dst)
    packet = {
        "tunnel": lambda: head / IPv6(src=CORRESPONDENT, dst=mobile.home) / UDP() / Raw(payload),
        "ipv4-tunnel": lambda: head / IP(src="192.0.2.9", dst="192.0.2.8") / UDP() / Raw(payload),
        "fragment": lambda: head / IPv6ExtHdrFragment(nh=41, m=1, id=5) / Raw(payload),
        "options": lambda: head / IPv6ExtHdrDestOpt() / UDP() / Raw(payload),
        "hop-by-hop": lambda: head / IPv6ExtHdrHopByHop() / UDP() / Raw(payload),
        "routing": lambda: head / IPv6ExtHdrRouting(type=2, addresses=[mobile.home]) / UDP() /
        Raw(payload),
        "signalling": lambda: head / Raw(bytes([59, 2, 7, 0, 0, 0, 1, 0]) + payload),
    }[kind]()
    if kind == "signalling":
        packet[IPv6].nh = 135
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(packet)
        assert_not_forwarded(lab, payload, *marks)
    assert drops == {"own_source": 1}
