# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Neighbours that are asked for, that do not answer, and that somebody scans; interfaces that go."""

import os

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6ND_NS, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from harness import netns
from harness.lab import CORE_BOX, CORE_PEER, CORRESPONDENT, network
from test_forwarding import neighbour_answer

GATEWAY = "2001:db8:fe::66"
BEHIND = "2001:db8:a1::"


@pytest.fixture
def lab(own_lab):
    return own_lab([network("open", 1)])


def is_asked(target):
    return lambda f: (f.next_header == 58 and ICMPv6ND_NS in f.ip and
                      f.ip[ICMPv6ND_NS].tgt == target)


def test_senders_are_told_of_a_silent_neighbor(lab):
    target, payload = "2001:db8:fe::5151", os.urandom(16)
    mark = lab.core.mark()
    with lab.counting_drops() as drops:
        for n in range(3):
            lab.core.send(IPv6(src=CORRESPONDENT, dst=target) / UDP() / Raw(payload + bytes([n])))
        lab.core.expect(
            lambda f: f.dst == CORRESPONDENT and ICMPv6DestUnreach in f.ip and payload in f.raw,
            mark, timeout_s=6, what="address unreachable")
        lab.settle(lab.core)
    errors = [f for f in lab.core.since(mark) if f.is_ip6 and f.dst == CORRESPONDENT and
              ICMPv6DestUnreach in f.ip]
    assert [f.ip[ICMPv6DestUnreach].code for f in errors] == [3, 3, 3]
    assert {f.src for f in errors} == {"2001:db8:fe::1"}
    assert drops == {"neighbor_silent": 3}


def test_scan_of_a_link_keeps_nobody_from_a_next_hop(lab):
    mark = lab.access.mark()
    for n in range(1500):
        lab.core.send(IPv6(src=CORRESPONDENT, dst=f"2001:db8:fe::bad:{n + 1:x}") / UDP())
    lab.ha_run("ip", "-6", "route", "add", f"{BEHIND}/48", "via", GATEWAY, "dev", "acc0")
    lab.box.wait_for(lambda: any(r["prefix"] == f"{BEHIND}/48" for r in lab.box.rows("routes")), 5,
                     "the route")
    payload = os.urandom(16)
    lab.core.send(IPv6(src=CORRESPONDENT, dst=BEHIND + "1") / UDP() / Raw(payload))
    asked = lab.access.expect(is_asked(GATEWAY), mark, what="a solicitation of the next hop")
    assert lab.box.drops()["park"] > 1000
    lab.access.send_frame(neighbour_answer(lab.access, asked, GATEWAY))
    lab.access.expect(lambda f: payload in f.raw, mark, what="the parked packet")
    scanned = {f.ip[ICMPv6ND_NS].tgt for f in lab.access.since(mark)
               if f.is_ip6 and f.next_header == 58 and ICMPv6ND_NS in f.ip and
               ":bad:" in f.ip[ICMPv6ND_NS].tgt}
    assert 1 <= len(scanned) <= 256


@pytest.mark.parametrize("name", ["core0", "unwired0"])
def test_deleted_interface_ends_the_dataplane(own_lab, name):
    lab = own_lab([network("open", 1)], start=False)
    lab.box.start_dataplane()
    process, lab.box.dataplane = lab.box.dataplane, None
    try:
        netns.run("ip", "-n", lab.ha, "link", "delete", name)
        assert process.popen.wait(5) == 1
        assert f"interface_lost name={name}" in process.tail()
    finally:
        process.kill()


def test_port_without_an_address_has_errors_to_send(own_lab):
    lab = own_lab([network("open", 1)], start=False)
    lab.box.config["dataplane"]["ports"][1]["addresses"] = []
    lab.box.write_config()
    lab.box.after_dataplane = lambda: lab.namespaces.route(
        lab.ha, "default", "via", CORE_PEER, "dev", "core0")
    lab.start()
    mark = lab.core.mark()
    lab.access.send(IPv6(src=CORRESPONDENT, dst="2001:db8:21::1", hlim=1) / UDP())
    error = lab.core.expect(lambda f: f.dst == CORRESPONDENT and ICMPv6TimeExceeded in f.ip, mark,
                            timeout_s=3, what="time exceeded")
    assert error.src == CORE_BOX
