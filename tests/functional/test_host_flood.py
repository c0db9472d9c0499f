# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Floods towards the box's own addresses: signalling, BFD and neighbours go their way beside them.

The main lcore stands still while packets pour in, so that each flood meets full queues for certain.
"""

import socket
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    HAO, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig,
    IPv6, IPv6ExtHdrDestOpt)
from scapy.packet import Raw

from harness import netns, thread
from harness.lab import ACCESS_BOX, ACCESS_PEER, CORE_BOX, CORRESPONDENT, Lab, network

N_FLOOD = 3000
RING = 1500  # frames that surely fit into a receive ring
HOST_BURST, ERROR_BURST, MAIN_RING = 512, 256, 1023
BFD_PORT, BGP_PORT = 3784, 179
N_BFD = 8


@pytest.fixture(scope="module")
def lab(root):
    """A lab of its own: its main lcore is stopped again and again."""
    made = Lab([network("open", 1)])
    try:
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


def copies(packet):
    return [bytes(packet)] * N_FLOOD


def echo_requests(_):
    return copies(IPv6(src=CORRESPONDENT, dst=CORE_BOX) / ICMPv6EchoRequest(data=b"x" * 32))


def junk_datagrams(lab):
    return copies(IPv6(src=CORRESPONDENT, dst=lab.networks["open"]["agent_addresses"][0]) /
                  UDP(sport=9, dport=9999) / Raw(b"junk"))


def ip4_echo_requests(_):
    return copies(IP(src="192.0.2.77", dst="192.0.2.1") / ICMP() / Raw(b"y" * 32))


def bfd_from_afar(_):
    """A router has passed it on."""
    return copies(IPv6(src=CORRESPONDENT, dst=CORE_BOX, hlim=254) /
                  UDP(sport=50000, dport=BFD_PORT) / Raw(bytes(24)))


def tunnel_errors(lab):
    mobile = lab.mobile()
    tunnelled = mobile.tunnelled(mobile.down_packet())
    return copies(IPv6(src=CORRESPONDENT, dst=mobile.agent) / ICMPv6PacketTooBig(mtu=1300) /
                  IPv6(src=mobile.agent, dst=mobile.care_of) / tunnelled.payload)


def solicitations(lab):
    return copies(solicitation(CORE_BOX, "2001:db8:ff::2", lab.core))


def connection_requests(_):
    return copies(IPv6(src=CORRESPONDENT, dst=CORE_BOX) / TCP(sport=1025, dport=BGP_PORT))


def unresolved(_):
    return [bytes(IPv6(src=CORRESPONDENT, dst=f"2001:db8:fe::bad:{n + 1:x}") / UDP())
            for n in range(N_FLOOD)]


def solicitation(target, source, wire):
    return (IPv6(src=source, dst=target, hlim=255) / ICMPv6ND_NS(tgt=target) /
            ICMPv6NDOptSrcLLAddr(lladdr=":".join(f"{b:02x}" for b in wire.own_mac)))


def received(lab):
    return sum(w["rx"] for w in lab.box.telemetry("/unwired/workers")["items"].values())


def send_all(lab, wire, packets):
    """Sends so that the receive rings bear it, and returns when workers have taken all."""
    for at in range(0, len(packets), RING):
        before, batch = received(lab), packets[at:at + RING]
        for packet in batch:
            kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
            wire.send_frame(wire.box_mac + wire.own_mac + kind + packet)
        lab.box.wait_for(lambda: received(lab) >= before + len(batch), 5, "workers to take all")


class Legal:
    """What must get through: an update, BFD, a question for our link-layer address, and BGP."""

    def __init__(self, lab):
        self.lab, self.wire = lab, lab.access
        self.mobile = lab.mobile()
        with netns.inside(lab.ha):
            self.bfd = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.bfd.bind((ACCESS_BOX, BFD_PORT))
        self.bfd.settimeout(5)

    def send(self):
        self.mark, _ = self.mobile.send_update()
        for _ in range(N_BFD):
            self.wire.send(IPv6(src=ACCESS_PEER, dst=ACCESS_BOX, hlim=255) /
                           UDP(sport=50000, dport=BFD_PORT) / Raw(bytes(24)))

    def send_neighbor(self):
        self.wire.send(solicitation(ACCESS_BOX, ACCESS_PEER, self.wire))

    def send_bgp(self):
        self.wire.send(IPv6(src=ACCESS_PEER, dst=ACCESS_BOX) / TCP(sport=1025, dport=BGP_PORT))

    def assert_answered(self):
        assert self.mobile.answer(self.mark).status == 0
        for _ in range(N_BFD):
            assert self.bfd.recv(64) == bytes(24)

    def assert_neighbor_answered(self):
        self.wire.expect(lambda f: f.next_header == 58 and ICMPv6ND_NA in f.ip and
                         f.ip[ICMPv6ND_NA].tgt == ACCESS_BOX, self.mark, what="an advertisement")

    def assert_bgp_answered(self):
        self.wire.expect(lambda f: f.next_header == 6 and f.ip[TCP].sport == BGP_PORT, self.mark,
                         what="the kernel's answer to a connection request")


# What is dropped of each flood; what else may stand beside the flooded class.
OTHER = {"host_flood", "main_other_full"}
FLOODS = {
    echo_requests: OTHER,
    junk_datagrams: OTHER,
    ip4_echo_requests: OTHER,
    bfd_from_afar: OTHER,
    tunnel_errors: {"error_flood", "main_other_full"},
    solicitations: {"main_neighbor_full"},
    connection_requests: {"main_routing_full"},
    unresolved: {"main_glean_full", "park", "neighbor_silent"},
}


@pytest.mark.sanitize
@pytest.mark.parametrize("flood", FLOODS, ids=lambda f: f.__name__)
def test_a_flood_to_us_costs_nobody_else(lab, flood):
    legal, traffic = Legal(lab), lab.mobile()
    traffic.register()
    packets = flood(lab)
    with lab.counting_drops() as drops:
        with thread.stopped(lab.box.dataplane.popen.pid):
            send_all(lab, lab.core, packets)
            legal.send()
            if flood is not solicitations:
                legal.send_neighbor()
            if flood is not connection_requests:
                legal.send_bgp()
            traffic.receive_down()  # workers forward all the time
            traffic.receive_up()
        legal.assert_answered()
        if flood is not solicitations:
            legal.assert_neighbor_answered()
        if flood is not connection_requests:
            legal.assert_bgp_answered()
        lab.settle()
    legal.bfd.close()
    assert drops.keys() <= FLOODS[flood], drops
    assert sum(drops.values()) >= N_FLOOD - MAIN_RING, drops


def test_packets_to_us_have_a_rate(lab):
    """Also when the main lcore could take more: the rest of its time is others'."""
    lab.settle(lab.core)
    with lab.counting_drops() as drops:
        send_all(lab, lab.core, junk_datagrams(lab)[:RING])
        lab.settle(lab.core)
    assert 0 < drops["host_flood"] <= RING - HOST_BURST
    assert drops.keys() == {"host_flood"}


def test_home_address_options_have_a_rate(lab):
    """Beyond it nobody looks for their bindings: that many cost the forwarding nothing."""
    one = bytes(IPv6(src="2001:db8:a1::77", dst=ACCESS_BOX) /
                IPv6ExtHdrDestOpt(options=[HAO(hoa="2001:db8:1::abcd")]) / UDP())
    lab.settle(lab.access)
    started_s = time.monotonic()
    with lab.counting_drops() as drops:
        send_all(lab, lab.access, [one] * RING)
        lab.settle(lab.access)
    assert drops.keys() == {"home_option_unbound", "home_option_flood"}
    assert sum(drops.values()) == RING
    looked_up = drops["home_option_unbound"]
    assert HOST_BURST <= looked_up <= HOST_BURST + 10000 * (time.monotonic() - started_s)
