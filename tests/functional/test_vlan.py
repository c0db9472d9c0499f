# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""VLANs, and mobility domains behind them whose addresses overlap."""

import os
import signal
import time

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                                ICMPv6TimeExceeded, IPv6)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from harness import ether, mip6
from harness.lab import ACCESS_PEER, CORRESPONDENT, Lab, configuration, network

pytestmark = pytest.mark.sanitize

RED, BLUE, PLAIN = 100, 200, 300  # VLANs of domain 1, of domain 2 and of domain 0
DOMAINS = {RED: 1, BLUE: 2}
BOX4, BOX6 = "10.0.0.1", "2001:db8:f1::1"  # the same in both domains
GATEWAY4 = {RED: "10.0.0.8", BLUE: "10.0.0.9"}
GATEWAY6 = {RED: "2001:db8:f1::8", BLUE: "2001:db8:f1::9"}
FAR4, FAR6 = "203.0.113.9", "2001:db8:20::20"  # behind the gateway of either domain
PLAIN_BOX, PLAIN_HOST = "2001:db8:f3::1", "2001:db8:f3::9"
HOME = "2001:db8:50::1:7"  # a home address of both domains
N_STRANGERS = 800
AGENT = {RED: "2001:db8:a9::1", BLUE: "2001:db8:a9::2"}


def make_lab():
    both = [f"{BOX4}/24", f"{BOX6}/64"]
    networks = [network("open", 1)] + [
        network(name, 50, prefixes=["2001:db8:50::/64"], agent_addresses=[AGENT[vlan]],
                domain=DOMAINS[vlan]) for name, vlan in (("red", RED), ("blue", BLUE))]
    config = configuration(networks)
    config["dataplane"]["max_routes"] = 1000
    config["dataplane"]["ports"][0]["vlans"] = [
        {"id": RED, "domain": 1, "addresses": both}, {"id": BLUE, "domain": 2, "addresses": both},
        {"id": PLAIN, "addresses": [f"{PLAIN_BOX}/64"]}]
    lab = Lab(networks, config=config)
    try:
        lab.start()
        mac = ":".join(f"{b:02x}" for b in lab.core.own_mac)
        for vlan, domain in DOMAINS.items():
            device = ("dev", f"core0.{vlan}")
            for gateway in (GATEWAY4[vlan], GATEWAY6[vlan]):
                lab.ha_run("ip", "neigh", "replace", gateway, "lladdr", mac, *device, "nud",
                           "permanent")
            table = ("table", 10000 + domain)
            lab.ha_run("ip", "route", "add", "203.0.113.0/24", "via", GATEWAY4[vlan], *device,
                       *table)
            lab.ha_run("ip", "-6", "route", "add", "2001:db8:20::/48", "via", GATEWAY6[vlan],
                       *device, *table)
        lab.ha_run("ip", "neigh", "replace", PLAIN_HOST, "lladdr", mac, "dev", f"core0.{PLAIN}",
                   "nud", "permanent")

        def there():
            rows = lab.box.rows("routes")
            return all(any(r["prefix"] == p and r["domain"] == d and r["type"] == "adjacency"
                           for r in rows)
                       for p in ("203.0.113.0/24", "2001:db8:20::/48") for d in (1, 2))
        lab.box.wait_for(there, 5, "the routes of the domains")
    except BaseException:
        print("\n".join(lab.close()))
        raise
    return lab


@pytest.fixture(scope="module")
def lab(root):
    one = make_lab()
    yield one
    problems = one.close()
    assert not problems, "\n".join(problems)


def udp4(src, dst, size=60, **ip):
    head = IP(src=src, dst=dst, **ip) / UDP(sport=5, dport=6)
    return head / Raw(os.urandom(size - 28))


def udp6(src, dst, size=80, **ip):
    head = IPv6(src=src, dst=dst, **ip) / UDP(sport=5, dport=6)
    return head / Raw(os.urandom(size - 48))


def came(wire, packet, mark, what="the packet"):
    tail = bytes(packet)[-16:]
    return ether.expect(wire, lambda s: tail in s.raw and s.ip.__class__ in (IP, IPv6) and
                        not (isinstance(s.ip, IPv6) and s.ip.nh == 58), mark, what=what)


@pytest.mark.parametrize("vlan", [RED, BLUE])
@pytest.mark.parametrize("version", [4, 6])
def test_each_domain_has_its_own_routes(lab, vlan, version):
    packet = udp4(GATEWAY4[vlan], FAR4) if version == 4 else udp6(GATEWAY6[vlan], FAR6)
    mark, mark_access = lab.core.mark(), lab.access.mark()
    ether.send(lab.core, packet, vlan=vlan, priority=5)
    seen = came(lab.core, packet, mark)
    kind = b"\x08\x00" if seen.is_ip4 else b"\x86\xdd"
    assert seen.raw[:18] == (lab.core.own_mac + lab.core.box_mac + b"\x81\x00" +
                             vlan.to_bytes(2, "big") + kind)
    ether.settle(lab.box)
    tail = bytes(packet)[-16:]
    assert ether.count(lab.core, lambda s: tail in s.raw, mark) == 1
    assert ether.count(lab.access, lambda s: tail in s.raw, mark_access) == 0


def test_domain_0_does_not_know_their_routes(lab):
    with lab.counting_drops() as drops:
        ether.send(lab.core, udp4("192.0.2.2", FAR4))
        ether.settle(lab.box)
    assert drops == {"no_route": 1}


@pytest.mark.parametrize("vlan", [RED, BLUE])
def test_domains_do_not_know_routes_of_domain_0(lab, vlan):
    """The access network, the agent addresses and the home prefix of domain 0 are out of reach."""
    one = lab.mobile("open")
    one.register()
    with lab.counting_drops() as drops:
        for dst in (ACCESS_PEER, AGENT[vlan], one.home, one.agent):
            ether.send(lab.core, udp6(GATEWAY6[vlan], dst), vlan=vlan)
        ether.settle(lab.box)
    assert drops == {"no_route": 4}


@pytest.mark.parametrize("vlan", [1, 99, 101, 4095])
def test_unknown_vlan(lab, vlan):
    mark = lab.core.mark()
    packet = udp6(GATEWAY6[RED], FAR6)
    with lab.counting_drops() as drops:
        ether.send(lab.core, packet, vlan=vlan)
        ether.settle(lab.box)
    assert drops == {"unknown_vlan": 1}
    assert ether.count(lab.core, lambda s: bytes(packet)[-16:] in s.raw, mark) == 0


def test_priority_tag_is_no_vlan(lab):
    packet = udp6(CORRESPONDENT, "2001:db8:a0::77")
    mark = lab.access.mark()
    ether.send(lab.core, packet, vlan=0, priority=7)
    assert came(lab.access, packet, mark).vlan is None


def test_cut_tag(lab):
    with lab.counting_drops() as drops:
        lab.core.send_frame(lab.core.box_mac + lab.core.own_mac + b"\x81\x00\x00")
        lab.core.send_frame(lab.core.box_mac + lab.core.own_mac + b"\x81\x00\x00\x64")
        ether.settle(lab.box)
    assert sum(drops.values()) <= 2


@pytest.mark.parametrize("size", [1280, 1499, 1500])
def test_tag_does_not_count_for_the_mtu(lab, size):
    """Both ways between an untagged port and a VLAN of domain 0."""
    out = udp6("2001:db8:a0::77", PLAIN_HOST, size)
    mark = lab.core.mark()
    lab.access.send(out)
    seen = came(lab.core, out, mark)
    assert seen.vlan == PLAIN and len(seen.ip_bytes) == size
    back = udp6(PLAIN_HOST, "2001:db8:a0::77", size)
    mark = lab.access.mark()
    ether.send(lab.core, back, vlan=PLAIN)
    seen = came(lab.access, back, mark)
    assert seen.vlan is None and len(seen.ip_bytes) == size


def test_own_address_answers(lab):
    mark = lab.core.mark()
    ether.send(lab.core, IP(src=GATEWAY4[RED], dst=BOX4) / ICMP(id=77), vlan=RED)
    seen = ether.expect(lab.core, lambda s: s.is_ip4 and s.ip.haslayer(ICMP) and
                        s.ip[ICMP].type == 0 and s.ip[ICMP].id == 77, mark, what="an echo reply")
    assert (seen.vlan, seen.ip.src, seen.ip.dst) == (RED, BOX4, GATEWAY4[RED])
    for vlan in (RED, BLUE):
        mark = lab.core.mark()
        ether.send(lab.core, IPv6(src=GATEWAY6[vlan], dst=BOX6) / ICMPv6EchoRequest(id=vlan),
                   vlan=vlan)
        seen = ether.expect(lab.core, lambda s: s.ip.haslayer(ICMPv6EchoReply) and
                            s.ip[ICMPv6EchoReply].id == vlan, mark, what="an echo reply")
        assert (seen.vlan, seen.ip.dst) == (vlan, GATEWAY6[vlan])


def test_neighbours_are_found_by_arp_in_their_vlan(lab):
    packet = udp4(GATEWAY4[BLUE], "10.0.0.70")
    mark = lab.core.mark()
    ether.send(lab.core, packet, vlan=BLUE)

    def request():
        return [s for s in ether.since(lab.core, mark)
                if s.ether.haslayer(ARP) and s.ether[ARP].pdst == "10.0.0.70"]
    lab.box.wait_for(request, 5, "an ARP request")
    asked = request()[0]
    assert asked.vlan == BLUE and asked.ether[ARP].psrc == BOX4
    answer = Ether(dst=lab.core.box_mac, src=lab.core.own_mac) / Dot1Q(vlan=BLUE) / ARP(
        op=2, hwsrc="02:00:00:00:00:77", psrc="10.0.0.70", hwdst=lab.core.box_mac, pdst=BOX4)
    lab.core.send_frame(bytes(answer))
    seen = came(lab.core, packet, mark, "the parked packet")
    assert seen.vlan == BLUE and seen.raw[:6] == b"\x02\x00\x00\x00\x00\x77"
    rows = [r for r in lab.box.rows("neighbors") if r["address"] == "10.0.0.70"]
    assert [r["port"] for r in rows] == [f"core0.{BLUE}"]


def test_errors_go_back_into_the_domain(lab):
    for vlan in (RED, BLUE):
        mark = lab.core.mark()
        src = GATEWAY6[vlan]
        ether.send(lab.core, udp6(src, FAR6, hlim=1), vlan=vlan)
        seen = ether.expect(lab.core, lambda s: s.ip.haslayer(ICMPv6TimeExceeded), mark)
        assert (seen.vlan, seen.ip.src, seen.ip.dst) == (vlan, BOX6, src)
        mark = lab.core.mark()
        ether.send(lab.core, udp4(GATEWAY4[vlan], FAR4, ttl=1), vlan=vlan)
        seen = ether.expect(lab.core, lambda s: s.is_ip4 and s.ip.haslayer(ICMP) and
                            s.ip[ICMP].type == 11, mark)
        assert (seen.vlan, seen.ip.src, seen.ip.dst) == (vlan, BOX4, GATEWAY4[vlan])


# Mobiles.

@pytest.fixture(scope="module")
def mobiles(lab):
    """Two mobiles with the same home address, each in its domain."""
    both = {RED: lab.mobile("red", home=HOME), BLUE: lab.mobile("blue", home=HOME)}
    for one in both.values():
        one.register()
    assert both[RED].care_of != both[BLUE].care_of
    return both


@pytest.mark.parametrize("vlan", [RED, BLUE])
def test_one_home_address_in_two_domains(lab, mobiles, vlan):
    one = mobiles[vlan]
    down = udp6(FAR6, HOME)
    mark = lab.access.mark()
    ether.send(lab.core, down, vlan=vlan)
    seen = came(lab.access, down, mark, "the tunnelled packet")
    assert (seen.vlan, seen.ip.src, seen.ip.dst) == (None, AGENT[vlan], one.care_of)
    up = udp6(HOME, FAR6)
    mark = lab.core.mark()
    lab.access.send(one.tunnelled(up))
    seen = came(lab.core, up, mark, "the packet out of the tunnel")
    assert (seen.vlan, seen.ip.src, seen.ip.nh) == (vlan, HOME, 17)
    binding = lab.box.binding(f"{HOME}@{DOMAINS[vlan]}")
    assert binding["care_of"][0]["address"] == one.care_of
    assert (binding["packets_down"], binding["packets_up"]) == (1, 1)


def test_home_address_is_unknown_in_domain_0(lab, mobiles):
    packet = udp6(CORRESPONDENT, HOME)
    mark, mark_core = lab.access.mark(), lab.core.mark()
    ether.send(lab.core, packet)
    ether.settle(lab.box)
    assert ether.count(lab.access, lambda s: bytes(packet)[-16:] in s.raw, mark) == 0
    assert all(s.vlan is None for s in ether.since(lab.core, mark_core))


def test_tunnel_to_the_agent_of_the_other_domain(lab, mobiles):
    for vlan, other in ((RED, BLUE), (BLUE, RED)):
        up = udp6(HOME, FAR6)
        mark = lab.core.mark()
        with lab.counting_drops() as drops:
            lab.access.send(mobiles[vlan].tunnelled(up, dst=AGENT[other]))
            ether.settle(lab.box)
        assert drops == {"tunnel_wrong_source": 1}
        assert ether.count(lab.core, lambda s: bytes(up)[-16:] in s.raw, mark) == 0


def test_tunnels_end_in_domain_0_only(lab, mobiles):
    """A tunnel packet in a VLAN of a domain is none, even to an address of ours."""
    up = udp6(HOME, FAR6)
    mark, before = lab.core.mark(), sum(w["decapsulated"] for w in lab.workers())
    for dst in (AGENT[RED], BOX6):
        ether.send(lab.core, mobiles[RED].tunnelled(up, dst=dst), vlan=RED)
    ether.settle(lab.box)
    assert sum(w["decapsulated"] for w in lab.workers()) == before
    assert ether.count(lab.core, lambda s: s.raw[-16:] == bytes(up)[-16:] and s.ip.nh == 17,
                       mark) == 0


def test_signalling_is_classed_by_the_bindings_of_the_domain(lab, mobiles):
    """A mobile of a domain is known: while strangers fill their half of the window, it is heard."""
    packet = bytes(mip6.binding_update("2001:db8:1::beef", "2001:db8:a7::66", "2001:db8:1::1", 1))
    strangers = [packet[:8] + mip6.packed(f"2001:db8:a7:{n:x}::66") + packet[24:]
                 for n in range(N_STRANGERS)]

    def status(key):
        return lab.box.telemetry("/unwired/status")[key]
    control = lab.box.control.popen
    control.send_signal(signal.SIGSTOP)
    try:
        lab.access.send(*strangers)
        lab.box.wait_for(lambda: status("punts_waiting") >= 100, 5, "a queue of strangers")
        ether.settle(lab.box)
        on_way = status("punts_on_way")
        mark, seq = mobiles[RED].send_update()
        lab.box.wait_for(lambda: status("punts_on_way") == on_way + 1, 5, "the known one's turn")
    finally:
        control.send_signal(signal.SIGCONT)
    assert mobiles[RED].answer(mark, seq, timeout_s=20).status == 0


def test_too_big_for_the_tunnel_is_told_in_the_domain(lab, mobiles):
    mark = lab.core.mark()
    ether.send(lab.core, udp6(GATEWAY6[BLUE], HOME, 1480), vlan=BLUE)
    seen = ether.expect(lab.core, lambda s: s.ip.haslayer(ICMPv6PacketTooBig), mark)
    assert (seen.vlan, seen.ip.dst, seen.ip[ICMPv6PacketTooBig].mtu) == (BLUE, GATEWAY6[BLUE], 1460)


def test_error_to_a_mobile_goes_through_its_tunnel(lab, mobiles):
    one = mobiles[BLUE]
    mark = lab.access.mark()
    lab.access.send(one.tunnelled(udp6(HOME, FAR6, hlim=1)))
    seen = ether.expect(lab.access, lambda s: isinstance(s.ip, IPv6) and s.ip.dst == one.care_of and
                        s.ip.haslayer(ICMPv6TimeExceeded), mark)
    assert seen.ip.src == AGENT[BLUE] and seen.ip.payload.dst == HOME


def test_a_main_table_route_over_a_domain_is_not_followed(lab):
    """An operator's slip must not join domains."""
    lab.ha_run("ip", "route", "add", "198.18.1.0/24", "via", GATEWAY4[RED], "dev",
               f"core0.{RED}", "onlink")
    time.sleep(0.3)
    mark = lab.core.mark()
    packet = udp4("192.0.2.2", "198.18.1.1")
    with lab.counting_drops() as drops:
        ether.send(lab.core, packet)
        ether.settle(lab.box)
    lab.ha_run("ip", "route", "del", "198.18.1.0/24")
    assert drops == {"route_drop": 1}
    assert ether.count(lab.core, lambda s: s.vlan is not None, mark) == 0


def test_carrier_of_the_port_is_that_of_its_vlans(lab):
    state = lab.ha_run("ip", "link", "show", f"core0.{RED}")
    assert "LOWER_UP" in state
    peer = lab.namespaces.prefix + "peer"
    from harness import netns
    netns.run("ip", "-n", peer, "link", "set", "p0", "down")
    try:
        lab.box.wait_for(lambda: "NO-CARRIER" in lab.ha_run("ip", "link", "show", f"core0.{RED}"),
                         5, "the VLAN without carrier")
        lab.box.wait_for(lambda: not any(r["prefix"] == "203.0.113.0/24"
                                         for r in lab.box.rows("routes")), 5, "no routes over it")
    finally:
        netns.run("ip", "-n", peer, "link", "set", "p0", "up")
    lab.box.wait_for(lambda: sum(r["prefix"] == "203.0.113.0/24"
                                 for r in lab.box.rows("routes")) == 2, 5, "the routes again")


def test_rules_of_vlans_that_are_gone_go_with_the_next_start(lab):
    stale = ["ip", "rule", "add", "iif", "core0.400", "table", "10007", "pref", "180", "protocol",
             "191"]
    foreign = ["ip", "-6", "rule", "add", "iif", "core0.400", "table", "77", "pref", "185"]
    for words in (stale, [stale[0], "-6", *stale[1:]], foreign):
        lab.ha_run(*words)

    def rules():
        return lab.ha_run("ip", "rule"), lab.ha_run("ip", "-6", "rule")
    before = [sorted(text.splitlines()) for text in rules()]
    assert all("core0.400" in text for text in rules())
    lab.box.dataplane.end(30)
    lab.box.start_dataplane()
    lab.box.wait_synced()
    for was, text in zip(before, rules()):
        assert "10007" not in text
        # Ours are there again, and once; those of others stay.
        assert sorted(text.splitlines()) == [line for line in was if "10007" not in line]
    lab.ha_run("ip", "-6", "rule", "del", "pref", "185")
