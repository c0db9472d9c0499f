# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""IPv4 as a router forwards it: RFC 791, RFC 792, RFC 1812."""

import os

import pytest
from scapy.layers.inet import (ICMP, IP, UDP, IPOption, IPOption_LSRR, IPOption_NOP, IPOption_RR,
                               IPOption_Router_Alert, IPOption_SSRR, defragment)
from scapy.packet import Raw

from harness import ether, netns
from harness.lab import ACCESS_PEER, Lab, configuration, network

pytestmark = pytest.mark.sanitize

CORE_BOX4, CORE_PEER4 = "192.0.2.1", "192.0.2.2"
ACCESS_BOX4, ACCESS_PEER4 = "198.51.100.1", "198.51.100.2"
SENDER = "192.0.2.77"  # a correspondent behind the core wire, as far as addresses go
FAR = "203.0.113.9"  # routed to the access wire
MTU = 1300  # of the access port


def make_lab():
    config = configuration([network("open", 1)])
    config["dataplane"]["ports"][1]["addresses"].append(f"{ACCESS_BOX4}/24")
    config["dataplane"]["ports"][1]["mtu"] = MTU
    lab = Lab(config["home_networks"], config=config)
    try:
        access = lab.namespaces.prefix + "access"
        netns.run("ip", "-n", access, "address", "add", f"{ACCESS_PEER4}/24", "dev", "p1")
        netns.run("ip", "-n", access, "link", "set", "p1", "mtu", MTU)
        # Correspondents of the core wire are the peer's own, so that it answers ARP for them.
        netns.run("ip", "-n", lab.namespaces.prefix + "peer", "address", "add", f"{SENDER}/24",
                  "dev", "p0")
        lab.start()
        lab.ha_run("ip", "route", "add", "203.0.113.0/24", "via", ACCESS_PEER4, "dev", "acc0")
        lab.ha_run("ip", "route", "add", "blackhole", "203.0.113.64/26")
        lab.ha_run("ip", "route", "add", "prohibit", "203.0.113.128/26")
        wait_routes(lab, "203.0.113.0/24", "203.0.113.64/26", "203.0.113.128/26")
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


def wait_routes(lab, *prefixes):
    """Waits until the dataplane has routes."""
    def there():
        known = {row["prefix"] for row in lab.box.rows("routes")}
        return all(prefix in known for prefix in prefixes)
    lab.box.wait_for(there, 5, f"routes {prefixes}")


def packet(size=100, payload=None, **ip):
    """A UDP packet of size bytes with a marker in it."""
    ip.setdefault("src", SENDER)
    ip.setdefault("dst", FAR)
    ip.setdefault("id", int.from_bytes(os.urandom(2), "big"))
    head = IP(**ip) / UDP(sport=1000, dport=2000)
    room = size - len(bytes(head))
    return head / Raw(payload if payload is not None else os.urandom(room))


def checksum(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (total ^ 0xffff).to_bytes(2, "big")


def marker(p):
    return bytes(p)[-16:]


def forwarded(lab, p, what="the forwarded packet"):
    mark = lab.access.mark()
    ether.send(lab.core, p)
    tail = marker(p)
    return ether.expect(lab.access, lambda s: s.is_ip4 and s.ip_bytes.endswith(tail), mark,
                        what=what)


def not_forwarded(lab, *packets, reasons, answers=0, **how):
    """Nothing of the packets leaves on the access wire; they are dropped for these reasons."""
    mark, mark_core = lab.access.mark(), lab.core.mark()
    with lab.counting_drops() as drops:
        for p in packets:
            ether.send(lab.core, p, **how)
        ether.settle(lab.box)
    assert drops == reasons
    tails = [marker(p) for p in packets]
    assert ether.count(lab.access, lambda s: any(t in s.raw for t in tails), mark) == 0
    assert ether.count(lab.core, lambda s: s.is_ip4 and s.ip.proto == 1, mark_core) == answers


def error(lab, p, **how):
    """The ICMP error that a packet is answered with, checked in form."""
    mark = lab.core.mark()
    ether.send(lab.core, p, **how)
    raw = bytes(p)
    seen = ether.expect(lab.core, lambda s: s.is_ip4 and s.ip.proto == 1 and s.ip.dst == SENDER and
                        raw[4:6] == s.ip_bytes[32:34], mark, what="an ICMP error")
    ip = seen.ip
    assert (ip.src, ip.ttl, ip.tos, len(ip.options)) == (CORE_BOX4, 64, 0xc0, 0)
    assert len(seen.ip_bytes) == min(576, 28 + len(raw))
    assert seen.ip_bytes[28:] == raw[:548]
    for layer in (IP, ICMP):
        copy = ip.copy()
        stated = copy[layer].chksum
        del copy[layer].chksum
        assert IP(bytes(copy))[layer].chksum == stated
    return ip[ICMP]


# Ordinary forwarding.

def test_own_addresses_answer(lab):
    for namespace, address in (("peer", CORE_BOX4), ("access", ACCESS_BOX4)):
        netns.run("ip", "netns", "exec", lab.namespaces.prefix + namespace,
                  "ping", "-c", 3, "-i", 0.05, "-W", 2, address)


@pytest.mark.parametrize("ttl", [2, 64, 255])
@pytest.mark.parametrize("tos", [0, 0xb9])
def test_one_hop(lab, ttl, tos):
    p = packet(ttl=ttl, tos=tos)
    seen = forwarded(lab, p)
    sent = bytes(p)
    assert seen.raw[:12] == lab.access.own_mac + lab.access.box_mac
    assert seen.ip.ttl == ttl - 1
    assert seen.ip_bytes[:8] == sent[:8] and seen.ip_bytes[12:] == sent[12:]
    stated = seen.ip.chksum
    copy = seen.ip.copy()
    del copy.chksum
    assert IP(bytes(copy)).chksum == stated


def test_checksum_stays_right_at_every_value(lab):
    """RFC 1624: the incremental update, also around 0x0000 and 0xffff."""
    base = bytes(packet(ttl=2, id=0))
    word = IP(base).chksum
    wanted = {0x0000, 0x0001, 0xfeff, 0xff00, 0xfffe, 0x00ff, 0x0100}
    for value in sorted(wanted):
        raw = bytearray(base)
        # The identifier takes up the difference, so that the checksum is the value.
        ident = (word - value) % 0xffff
        raw[4:6] = ident.to_bytes(2, "big")
        raw[10:12] = value.to_bytes(2, "big")
        seen = forwarded(lab, bytes(raw), f"the packet with checksum {value:#x}")
        assert checksum(seen.ip_bytes[:20]) == b"\0\0"


def test_back_and_forth_between_kernels(lab):
    """Two Linux hosts through the box."""
    peer, access = lab.namespaces.prefix + "peer", lab.namespaces.prefix + "access"
    netns.run("ip", "-n", peer, "route", "add", "198.51.100.0/24", "via", CORE_BOX4)
    netns.run("ip", "-n", access, "route", "add", "192.0.2.0/24", "via", ACCESS_BOX4)
    try:
        out = netns.run("ip", "netns", "exec", peer, "ping", "-c", 5, "-i", 0.05, "-W", 2,
                        "-s", 1272, "-M", "do", ACCESS_PEER4)
        assert " 0% packet loss" in out
        # Larger ones in fragments; the answers are cut by the host there.
        out = netns.run("ip", "netns", "exec", peer, "ping", "-c", 3, "-i", 0.05, "-W", 2,
                        "-s", 1400, "-M", "dont", ACCESS_PEER4)
        assert " 0% packet loss" in out
        out = netns.run("ip", "netns", "exec", peer, "ping", "-c", 2, "-i", 0.05, "-W", 1,
                        "-s", 1273, "-M", "do", ACCESS_PEER4, check=False)
        assert "1300" in out or "100% packet loss" in out
        out = netns.run("ip", "netns", "exec", peer, "ip", "route", "get", ACCESS_PEER4)
        assert f"mtu {MTU}" in out
    finally:
        netns.run("ip", "-n", peer, "route", "del", "198.51.100.0/24")
        netns.run("ip", "-n", access, "route", "del", "192.0.2.0/24")


def test_padding_is_cut_off(lab):
    p = bytes(packet(payload=b"ab"))
    mark = lab.access.mark()
    ether.send(lab.core, p + bytes(30))
    seen = ether.expect(lab.access, lambda s: s.is_ip4 and s.ip_bytes[4:6] == p[4:6], mark)
    assert seen.ip_bytes[20:] == p[20:]
    assert len(seen.raw) <= 60


@pytest.mark.parametrize("option", [
    IPOption_NOP(), IPOption_RR(length=11, pointer=4, routers=["0.0.0.0", "0.0.0.0"]),
    IPOption_Router_Alert(), IPOption(copy_flag=1, optclass=2, option=30, length=4, value=b"zz")],
    ids=["nop", "record", "alert", "unknown"])
def test_options_are_left_alone(lab, option):
    p = packet(options=[option])
    sent = bytes(p)
    seen = forwarded(lab, p)
    assert seen.ip_bytes[12:] == sent[12:]


# What goes wrong, and who is told.

@pytest.mark.parametrize("ttl", [0, 1])
def test_time_exceeded(lab, ttl):
    p = packet(ttl=ttl)
    with lab.counting_drops() as drops:
        answer = error(lab, p)
    assert (answer.type, answer.code) == (11, 0)
    assert drops == {"hop_limit": 1}


@pytest.mark.parametrize("dst, code, reason", [
    ("198.18.0.1", 0, "no_route"), ("203.0.113.70", 13, "route_drop"),
    ("203.0.113.130", 13, "route_drop")])
def test_unreachable(lab, dst, code, reason):
    p = packet(dst=dst)
    with lab.counting_drops() as drops:
        answer = error(lab, p)
    assert (answer.type, answer.code) == (3, code)
    assert drops == {reason: 1}


@pytest.mark.parametrize("size", [MTU - 1, MTU, MTU + 1, 1500])
def test_do_not_fragment(lab, size):
    p = packet(size, flags="DF")
    if size <= MTU:
        assert len(forwarded(lab, p).ip_bytes) == size
        return
    with lab.counting_drops() as drops:
        answer = error(lab, p)
    assert (answer.type, answer.code, answer.nexthopmtu) == (3, 4, MTU)
    assert drops == {"too_big": 1}


@pytest.mark.parametrize("size", [MTU, MTU + 1, MTU + 7, MTU + 8, MTU + 9, 1499, 1500])
def test_fragments(lab, size):
    p = packet(size, ttl=9)
    mark = lab.access.mark()
    ether.send(lab.core, p)
    n = 1 if size <= MTU else 2
    seen = ether.expect(lab.access, lambda s: s.is_ip4 and s.ip.id == p.id and s.ip.src == SENDER,
                        mark, n=n)
    pieces = [seen] if n == 1 else seen
    assert all(len(s.ip_bytes) <= MTU and s.ip.ttl == 8 for s in pieces)
    assert all(len(s.ip_bytes) % 8 == 4 for s in pieces[:-1])  # 20 and a multiple of 8
    whole = bytes(defragment([s.ip for s in pieces])[0])
    assert whole[20:] == bytes(p)[20:]


def test_only_copied_options_are_in_later_fragments(lab):
    """RFC 791 3.1: the copied flag."""
    copied = IPOption(copy_flag=1, optclass=2, option=30, length=6, value=b"copy")
    once = IPOption_RR(length=7, pointer=4, routers=["0.0.0.0"])
    p = packet(1496, options=[once, copied])
    mark = lab.access.mark()
    ether.send(lab.core, p)
    one, two = ether.expect(lab.access, lambda s: s.is_ip4 and s.ip.id == p.id, mark, n=2)
    sent = bytes(p)
    header = (sent[0] & 15) * 4
    assert one.ip_bytes[20:header] == sent[20:header]
    length = two.ip.ihl * 4
    assert two.ip_bytes[20:length] == bytes(copied) + bytes(-len(bytes(copied)) % 4)
    assert one.ip_bytes[header:] + two.ip_bytes[length:] == sent[header:]


@pytest.mark.parametrize("option", [IPOption_LSRR, IPOption_SSRR], ids=["loose", "strict"])
def test_source_routes_are_not_followed(lab, option):
    not_forwarded(lab, packet(options=[option(routers=["198.51.100.2"])]),
                  reasons={"source_route": 1})


def test_malformed_options_are_answered(root):
    """RFC 1812 4.3.3.5"""
    lab = make_lab()
    lab.judges_form = False  # what is quoted is malformed
    try:
        for options, at in ((b"\x07\x01\x00\x00", 20), (b"\x01\x07\x40\x00", 21),
                            (b"\x07\x00\x00\x00", 20), (b"\x01\x01\x01\x07", 23)):
            raw = bytearray(bytes(packet(options=[IPOption_NOP()])))
            raw[10:12] = b"\0\0"
            raw[20:24] = options
            raw[10:12] = checksum(raw[:24])
            made = sum(w["made"] for w in lab.workers())
            with lab.counting_drops() as drops:
                answer = error(lab, bytes(raw))
            assert (answer.type, answer.code, answer.ptr) == (12, 0, at)
            assert drops == {"bad_ip4_header": 1}
            assert sum(w["made"] for w in lab.workers()) == made + 1
    finally:
        problems = lab.close()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("change, reason", [
    (dict(version=5), "bad_ip4_header"), (dict(ihl=4), "bad_ip4_header"),
    (dict(ihl=15, chksum=0), "bad_ip4_checksum"), (dict(len=19), "bad_ip4_header"),
    (dict(len=101), "bad_ip4_header"), (dict(chksum=0x1234), "bad_ip4_checksum")],
    ids=["version", "short-header", "header-not-there", "short", "long", "checksum"])
def test_bad_headers_are_dropped_in_silence(lab, change, reason):
    """RFC 1812 5.2.2"""
    not_forwarded(lab, packet(100, **change), reasons={reason: 1})


@pytest.mark.parametrize("length", [14, 15, 33])
def test_cut_frames(lab, length):
    raw = lab.core.box_mac + lab.core.own_mac + b"\x08\x00" + bytes(packet())
    with lab.counting_drops() as drops:
        lab.core.send_frame(raw[:length])
        ether.settle(lab.box)
    assert drops == {"bad_ip4_header": 1}


@pytest.mark.parametrize("addresses", [
    dict(src="0.0.0.0"), dict(src="0.1.2.3"), dict(src="127.0.0.1"), dict(src="224.0.0.5"),
    dict(src="240.0.0.1"), dict(src="255.255.255.255"), dict(dst="0.0.0.0"), dict(dst="127.9.9.9"),
    dict(dst="240.0.0.1"), dict(src="127.0.0.1", dst="224.0.0.5")], ids=str)
def test_martians(lab, addresses):
    """RFC 1812 5.3.7"""
    not_forwarded(lab, packet(**addresses), reasons={"bad_address": 1})


def test_link_local_source_stays_on_its_link(lab):
    """RFC 3927 7"""
    not_forwarded(lab, packet(src="169.254.7.7"), reasons={"link_local_source": 1})


@pytest.mark.parametrize("dst", ["255.255.255.255", "224.0.0.5", "239.1.2.3", "169.254.9.9",
                                 "198.51.100.255"])
def test_broadcast_and_multicast_are_not_forwarded(lab, dst):
    """RFC 1812 5.3.4, RFC 2644"""
    p = packet(dst=dst)
    mark = lab.access.mark()
    ether.send(lab.core, p)
    ether.settle(lab.box)
    assert ether.count(lab.access, lambda s: marker(p) in s.raw and s.ip.proto == 17, mark) == 0


@pytest.mark.parametrize("mac", [b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x01"], ids=["broad", "multi"])
def test_unicast_in_broadcast_frames(lab, mac):
    """RFC 1812 5.3.4: not forwarded, and nobody is told"""
    not_forwarded(lab, packet(ttl=1), packet(), reasons={"broadcast_frame": 2}, dst=mac)


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_no_error_about_an_error(lab, kind):
    """RFC 1812 4.3.2.7"""
    p = IP(src=SENDER, dst=FAR, ttl=1) / ICMP(type=kind) / Raw(os.urandom(32))
    not_forwarded(lab, p, reasons={"hop_limit": 1})


def test_error_about_an_echo(lab):
    p = IP(src=SENDER, dst=FAR, ttl=1, id=7) / ICMP() / Raw(os.urandom(32))
    assert error(lab, p).type == 11


def test_errors_are_limited(lab):
    """RFC 1812 4.3.2.8"""
    packets = [packet(ttl=1) for _ in range(400)]
    mark = lab.core.mark()
    ether.send(lab.core, *packets)
    ether.settle(lab.box)
    n = ether.count(lab.core, lambda s: s.is_ip4 and s.ip.proto == 1, mark)
    assert 1 <= n <= 400
    suppressed = sum(w["icmp_suppressed"] for w in lab.workers())
    assert suppressed > 0 or n == 400


# Neighbours and routes.

def test_first_packets_wait_for_the_neighbour(lab):
    access = lab.namespaces.prefix + "access"
    netns.run("ip", "-n", access, "address", "add", "198.51.100.40/24", "dev", "p1")
    p = [packet(dst="198.51.100.40") for _ in range(4)]
    mark = lab.access.mark()
    ether.send(lab.core, *p)
    for one in p:
        seen = ether.expect(lab.access, lambda s: s.is_ip4 and marker(one) in s.raw, mark)
        assert seen.ip.ttl == 63
    rows = [r for r in lab.box.rows("neighbors") if r["address"] == "198.51.100.40"]
    assert rows and rows[0]["mac"]


def test_silent_neighbour(lab):
    mark = lab.access.mark()
    ether.send(lab.core, packet(dst="198.51.100.99"))
    lab.box.wait_for(lambda: any(
        s.ether.type == 0x806 and s.ether.payload.pdst == "198.51.100.99"
        for s in ether.since(lab.access, mark)), 3, "an ARP request")
    lab.box.wait_for(lambda: lab.box.drops().get("neighbor_silent", 0) > 0, 6, "the packet to be given up")


def test_host_route_and_longest_match(lab):
    lab.ha_run("ip", "route", "add", "203.0.113.200/29", "via", CORE_PEER4, "dev", "core0")
    lab.ha_run("ip", "route", "add", "203.0.113.201/32", "via", ACCESS_PEER4, "dev", "acc0")
    wait_routes(lab, "203.0.113.200/29", "203.0.113.201/32")
    assert forwarded(lab, packet(dst="203.0.113.201"))
    p = packet(dst="203.0.113.202")
    mark = lab.core.mark()
    ether.send(lab.core, p)
    ether.expect(lab.core, lambda s: s.is_ip4 and marker(p) in s.raw, mark)
    lab.ha_run("ip", "route", "del", "203.0.113.200/29")
    lab.ha_run("ip", "route", "del", "203.0.113.201/32")
    lab.box.wait_for(lambda: "203.0.113.200/29" not in {r["prefix"] for r in lab.box.rows("routes")},
                     5, "the route to go")
    assert forwarded(lab, packet(dst="203.0.113.202"))


def test_gateway_of_the_other_version(lab):
    """RFC 8950: IPv4 over an IPv6 next hop"""
    lab.ha_run("ip", "route", "add", "198.18.7.0/24", "via", "inet6", "2001:db8:fe::2", "dev",
               "acc0")
    wait_routes(lab, "198.18.7.0/24")
    seen = forwarded(lab, packet(dst="198.18.7.7"))
    assert seen.raw[:14] == lab.access.own_mac + lab.access.box_mac + b"\x08\x00"
    lab.ha_run("ip", "route", "del", "198.18.7.0/24")


def test_multipath_spreads_flows(lab):
    lab.ha_run("ip", "route", "add", "198.18.8.0/24", "nexthop", "via", ACCESS_PEER4, "dev",
               "acc0", "nexthop", "via", CORE_PEER4, "dev", "core0")
    wait_routes(lab, "198.18.8.0/24")
    marks = lab.access.mark(), lab.core.mark()
    packets = [IP(src=SENDER, dst="198.18.8.1") / UDP(sport=s, dport=9) / Raw(os.urandom(16))
               for s in range(3000, 3032) for _ in range(2)]
    ether.send(lab.core, *packets)
    ether.settle(lab.box)
    ports = [{s.ip[UDP].sport for s in ether.since(wire, mark)
              if s.is_ip4 and s.ip.dst == "198.18.8.1" and s.ip.haslayer(UDP)}
             for wire, mark in zip((lab.access, lab.core), marks)]
    assert all(len(side) >= 4 for side in ports), ports
    assert not ports[0] & ports[1]
    lab.ha_run("ip", "route", "del", "198.18.8.0/24")


def test_routes_that_vanish_in_silence(lab):
    """Linux says nothing of routes lost with an address."""
    lab.ha_run("ip", "address", "add", "192.168.7.1/24", "dev", "acc0")
    lab.ha_run("ip", "route", "add", "198.18.9.0/24", "via", ACCESS_PEER4, "dev", "acc0", "src",
               "192.168.7.1")
    wait_routes(lab, "198.18.9.0/24", "192.168.7.0/24")
    lab.ha_run("ip", "address", "del", "192.168.7.1/24", "dev", "acc0")
    lab.box.wait_for(lambda: not {"198.18.9.0/24", "192.168.7.0/24"} &
                     {r["prefix"] for r in lab.box.rows("routes")}, 5, "the routes to go")


def test_link_without_carrier(lab):
    """Linux says nothing of IPv4 routes over a link that lost its carrier."""
    access = lab.namespaces.prefix + "access"
    netns.run("ip", "-n", access, "link", "set", "p1", "down")
    lab.box.wait_for(lambda: "203.0.113.0/24" not in {r["prefix"] for r in lab.box.rows("routes")},
                     5, "routes over the link to go")
    assert error(lab, packet(dst="203.0.113.1")).type == 3
    netns.run("ip", "-n", access, "link", "set", "p1", "up")
    lab.namespaces.address(access, "p1", f"{ACCESS_PEER}/64")
    wait_routes(lab, "203.0.113.0/24")
    assert forwarded(lab, packet())


def test_ip6_still_flows_beside(lab):
    one = lab.mobile()
    one.register()
    one.receive_down()
    one.receive_up()


def test_v4mapped_destination_is_nobody(lab):
    from scapy.layers.inet6 import IPv6
    p = IPv6(src="2001:db8:20::20", dst="::ffff:203.0.113.9") / UDP() / Raw(os.urandom(16))
    with lab.counting_drops() as drops:
        ether.send(lab.core, p)
        ether.settle(lab.box)
    assert drops == {"bad_address": 1}
