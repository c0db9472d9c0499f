# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The box as a mobile's correspondent: Home Address option in, type 2 routing header out, Binding
Errors; and what a mobile says to others through its tunnel. Ids of the conformance list."""

import errno
import os
import socket
import subprocess
import time

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    HAO, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6MPSol, ICMPv6PacketTooBig,
    IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, MIP6MH_BE,
    MIP6MH_CoTI, MIP6MH_Generic, MIP6MH_HoT, MIP6MH_HoTI, HBHOptUnknown, Pad1, Raw, fragment6,
    in6_chksum)

from harness import mip6, netns
from harness.box import BUILD
from harness.lab import ACCESS_BOX, ACCESS_PEER, CORE_BOX, CORRESPONDENT
from harness.netns import inside

pytestmark = pytest.mark.sanitize

IPV6_RECVERR = 25  # linux/in6.h
NOT_ROUTABLE = ["ff02::1", "ff0e::1", "fe80::1", "::1", "::", "::ffff:1.2.3.4"]


@pytest.fixture
def mobile(lab):
    one = lab.mobile()
    one.register()
    return one


def echo(home, dst, payload, **how):
    """The bytes of an echo request whose checksum counts the home address as its source."""
    request = ICMPv6EchoRequest(id=9, seq=1, data=payload, **how)
    return bytes(IPv6(src=home, dst=dst) / request)[40:]


def with_home_option(src, dst, home, upper, nh=58, options=None, **ip):
    """A packet with a Home Address option in front of the bytes of an upper layer."""
    options = [HAO(hoa=home)] if options is None else options
    return IPv6(src=src, dst=dst, **ip) / IPv6ExtHdrDestOpt(nh=nh, options=options) / Raw(upper)


def probe(mobile, src=None, dst=None, home=None, payload=None):
    """An echo request of a mobile with the Home Address option, and its payload."""
    payload = payload or os.urandom(16)
    home, dst = home or mobile.home, dst or mobile.agent
    return with_home_option(src or mobile.care_of, dst, home, echo(home, dst, payload)), payload


def routed(frame):
    """(home address, next header, bytes behind) of a frame with a type 2 routing header."""
    assert frame.next_header == 43
    header = frame.ip_bytes[40:64]
    assert header[1:8] == bytes([2, 2, 1, 0, 0, 0, 0])
    return socket.inet_ntop(socket.AF_INET6, header[8:]), header[0], frame.ip_bytes[64:]


def expect_routed_echo(wire, mark, payload, home, care_of, agent):
    frame = wire.expect(lambda f: payload in f.raw and f.src == agent, mark, what="an echo reply")
    assert frame.dst == care_of
    target, proto, upper = routed(frame)
    assert (target, proto, upper[0]) == (home, 58, 129)
    # What the mobile sees when it has followed the routing header has a right checksum.
    assert in6_chksum(58, IPv6(src=agent, dst=home), upper) == 0
    return frame


def binding_errors(wire, mark, dst):
    return [f for f in wire.since(mark) if f.is_ip6 and mip6.is_mobility(f, 7, dst=dst)]


def expect_binding_error(wire, mark, home, dst, src, status=1):
    answer = mip6.Answer(wire.expect(
        lambda f: mip6.is_mobility(f, 7, dst=dst), mark, what="a Binding Error"))
    assert answer.checksum_ok
    assert (answer.src, answer.status, answer.header.ha) == (src, status, home)
    assert len(answer.mobility) == 24
    return answer


def assert_probe_fails(lab, mobile, src=None):
    """The box has no such binding: Binding Error 1 to where the packet came from."""
    packet, _ = probe(mobile, src)
    mark = mobile.wire.mark()
    with lab.counting_drops() as drops:
        mobile.wire.send(packet)
        expect_binding_error(mobile.wire, mark, mobile.home, src or mobile.care_of, mobile.agent)
    assert drops == {"home_option_unbound": 1}


def assert_probe_works(mobile, src=None, dst=None):
    packet, payload = probe(mobile, src, dst)
    mark = mobile.wire.mark()
    mobile.wire.send(packet)
    return expect_routed_echo(mobile.wire, mark, payload, mobile.home, src or mobile.care_of,
                              dst or mobile.agent)


# With a binding.

@pytest.mark.parametrize("where", ["agent", "other-agent", "port"])
def test_echo_with_home_address_option_is_answered_with_a_routing_header(lab, mobile, where):
    """2.1.5; RFC 6275 9.3.1, 9.3.2: to any address of ours"""
    dst = {"agent": mobile.agent, "other-agent": "2001:db8:3::1", "port": CORE_BOX}[where]
    before = lab.workers()[0]
    assert_probe_works(mobile, dst=dst)
    after = lab.workers()[0]
    assert after["home_options"] == before["home_options"] + 1
    assert after["routed"] == before["routed"] + 1
    binding = lab.box.binding(mobile.home)
    assert (binding["packets_down"], binding["packets_up"]) == (1, 0)


def test_the_routing_header_leads_to_where_the_mobile_is_now(lab, mobile):
    """2.2.14, 5.1.6: after a movement the old care-of address is as good as any other"""
    assert_probe_works(mobile)
    mobile.register(care_of=mobile.second_care_of)
    assert_probe_works(mobile, mobile.second_care_of)
    assert_probe_fails(lab, mobile, mobile.care_of)


def test_ping_of_our_own_kernel_has_a_routing_header(lab, mobile):
    """RFC 6275 9.3.2: whoever speaks first"""
    mark = lab.access.mark()
    with inside(lab.ha), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as kernel:
        kernel.bind((CORE_BOX, 0))
        kernel.sendto(b"a datagram of the kernel's", (mobile.home, 999))
    frame = lab.access.expect(lambda f: b"a datagram of the kernel's" in f.raw, mark)
    assert (frame.src, frame.dst) == (CORE_BOX, mobile.care_of)
    home, proto, upper = routed(frame)
    assert (home, proto) == (mobile.home, 17)
    assert in6_chksum(17, IPv6(src=CORE_BOX, dst=home), upper) == 0


def test_without_a_binding_no_routing_header(lab):
    """X6275.9.3.2-2: the kernel learns that there is nobody"""
    mobile = lab.mobile()
    marks = lab.access.mark(), lab.core.mark()
    with inside(lab.ha), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as kernel:
        kernel.settimeout(5)
        kernel.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        kernel.bind((CORE_BOX, 0))
        kernel.connect((mobile.home, 999))
        kernel.send(b"for nobody")
        with pytest.raises(OSError) as error:
            kernel.recv(1)
    assert error.value.errno == errno.EHOSTUNREACH
    assert not [f for wire, mark in zip((lab.access, lab.core), marks) for f in wire.since(mark)
                if b"for nobody" in f.raw]


def test_path_mtu_behind_the_routing_header(lab, mobile):
    """The kernel, which knows only the home address, comes to send what fits (RFC 6275 9.3.2)"""
    def send():
        payload, mark = os.urandom(1400), lab.access.mark()
        kernel.sendto(payload, (mobile.home, 999))
        lab.settle()
        return [f for f in lab.access.since(mark)
                if f.is_ip6 and f.dst == mobile.care_of and f.next_header in (41, 43)]

    def tell(frame, home=None):
        quote = frame.ip_bytes if home is None else (
            frame.ip_bytes[:48] + mip6.packed(home) + frame.ip_bytes[64:])
        lab.access.send(IPv6(src=ACCESS_PEER, dst=CORE_BOX) / ICMPv6PacketTooBig(mtu=1380) /
                        Raw(quote[:1232]))

    with inside(lab.ha), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as kernel:
        kernel.bind((CORE_BOX, 0))
        [whole] = send()
        assert (whole.next_header, len(whole.ip_bytes)) == (43, 1400 + 48 + 24)
        tell(whole, home=lab.mobile().home)  # forged: about a home address without a binding
        assert [len(f.ip_bytes) for f in send()] == [1400 + 48 + 24]
        tell(whole)
        lab.settle()
        assert send() == []  # too long, and the kernel is told
        pieces = send()
        assert len(pieces) == 2
        assert all(f.next_header == 43 and f.ip_bytes[40] == 44 and len(f.ip_bytes) <= 1380
                   for f in pieces)


@pytest.mark.parametrize("n_bytes", [1200, 4000])
def test_fragments_each_have_the_option_and_the_header(lab, mobile, n_bytes):
    """The option stands before the Fragment header (RFC 6275 6.3), and so does the routing header."""
    payload = os.urandom(n_bytes - 8)
    upper = echo(mobile.home, mobile.agent, payload)
    mark = lab.access.mark()
    for offset in range(0, len(upper), 1000):
        piece = upper[offset:offset + 1000]
        lab.access.send(
            IPv6(src=mobile.care_of, dst=mobile.agent) /
            IPv6ExtHdrDestOpt(nh=44, options=[HAO(hoa=mobile.home)]) /
            IPv6ExtHdrFragment(nh=58, offset=offset // 8, m=int(offset + 1000 < len(upper)),
                               id=77) / Raw(piece))
    got = {}
    while len(got) < len(upper):
        frame, number = lab.access.wait(
            lambda f: f.next_header == 43 and f.dst == mobile.care_of, mark)
        mark = number + 1
        home, proto, behind = routed(frame)
        assert home == mobile.home and len(frame.ip_bytes) <= 1500
        start = 0
        if proto == 44:
            start, behind = int.from_bytes(behind[2:4], "big") & ~7, behind[8:]
        got.update(enumerate(behind, start))
    whole = bytes(got[n] for n in range(len(upper)))
    assert whole[0] == 129 and whole[8:] == payload
    assert in6_chksum(58, IPv6(src=mobile.agent, dst=mobile.home), whole) == 0


def test_tcp_with_our_kernel_over_both(lab, mobile):
    """A connection that knows only the home address, with what the kernel says of the first MTU."""
    with inside(lab.ha), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as server:
        server.bind((mobile.agent, 0))
        server.listen()
        port = server.getsockname()[1]
        mark = lab.access.mark()
        syn = bytes(IPv6(src=mobile.home, dst=mobile.agent) /
                    TCP(sport=4001, dport=port, flags="S", seq=100, options=[("MSS", 1440)]))[40:]
        lab.access.send(with_home_option(mobile.care_of, mobile.agent, mobile.home, syn, 6))
        frame = lab.access.expect(lambda f: f.next_header == 43 and f.src == mobile.agent, mark)
        home, proto, upper = routed(frame)
        answer = TCP(upper)
        assert (home, proto, answer.flags, answer.ack) == (mobile.home, 6, "SA", 101)
        assert dict(answer.options)["MSS"] <= 1500 - 24 - 60
        assert in6_chksum(6, IPv6(src=mobile.agent, dst=home), upper) == 0
        ack = bytes(IPv6(src=mobile.home, dst=mobile.agent) / TCP(
            sport=4001, dport=port, flags="A", seq=101, ack=answer.seq + 1))[40:]
        lab.access.send(with_home_option(mobile.care_of, mobile.agent, mobile.home, ack, 6))
        server.settimeout(5)
        connection, peer = server.accept()
        with connection:
            assert peer[0] == mobile.home
            mark = lab.access.mark()
            connection.send(os.urandom(4000))
            frame = lab.access.expect(lambda f: f.next_header == 43 and len(f.raw) > 1000, mark)
            assert len(frame.ip_bytes) <= 1500


@pytest.mark.parametrize("how", ["padding", "skipped-option", "own-header", "two-headers",
                                 "behind-routing", "behind-hop-by-hop"])
def test_where_the_option_may_stand(lab, mobile, how):
    payload = os.urandom(16)
    upper = echo(mobile.home, mobile.agent, payload)
    head = IPv6(src=mobile.care_of, dst=mobile.agent)
    option, skipped = HAO(hoa=mobile.home), HBHOptUnknown(otype=0x1f, optdata=b"xy")
    packet = {
        "padding": head / IPv6ExtHdrDestOpt(nh=58, options=[Pad1(), option]),
        "skipped-option": head / IPv6ExtHdrDestOpt(nh=58, options=[skipped, option]),
        "own-header": head / IPv6ExtHdrDestOpt(options=[skipped]) / IPv6ExtHdrDestOpt(
            nh=58, options=[option]),
        "two-headers": head / IPv6ExtHdrDestOpt(options=[option]) / IPv6ExtHdrDestOpt(
            nh=58, options=[skipped]),
        "behind-routing": head / IPv6ExtHdrRouting(type=0, segleft=0, addresses=[CORRESPONDENT]) /
        IPv6ExtHdrDestOpt(nh=58, options=[option]),
        "behind-hop-by-hop": head / IPv6ExtHdrHopByHop(options=[skipped]) / IPv6ExtHdrDestOpt(
            nh=58, options=[option]),
    }[how]
    mark = lab.access.mark()
    lab.access.send(packet / Raw(upper))
    expect_routed_echo(lab.access, mark, payload, mobile.home, mobile.care_of, mobile.agent)


def test_our_mobile_client_and_the_agent_ping_each_other(lab):
    """unwired-mobile takes what comes behind a routing header; its own goes through the tunnel"""
    home, access = lab.mobile().home, lab.namespaces.prefix + "access"
    netns.run("ip", "-n", access, "-6", "route", "add", "2001:db8:1::1", "via", ACCESS_BOX)
    client = subprocess.Popen(
        ["ip", "netns", "exec", access, BUILD / "mobile" / "unwired-mobile", "--home", home,
         "--home-agent", "2001:db8:1::1", "--care-of", ACCESS_PEER, "--tun", "mobile0",
         "--route", "2001:db8::/32", "--control", lab.box.dir / "mobile.sock"],
        stderr=open(lab.box.dir / "mobile.log", "wb"))
    try:
        lab.box.wait_for(lambda: lab.box.binding(home) is not None, 10, "the registration")
        before = lab.workers()[0]["routed"]
        for where, words in ((access, ["-I", home, "2001:db8:1::1"]),
                             (lab.ha, ["-I", "2001:db8:1::1", home])):
            for size in (56, 1400, 3000):
                out = netns.run("ip", "netns", "exec", where, "ping", "-n", "-c", 3, "-i", 0.05,
                                "-W", 2, "-s", size, *words)
                assert " 0% packet loss" in out and "DUP" not in out, out
        assert lab.workers()[0]["routed"] >= before + 18
    finally:
        client.terminate()
        assert client.wait(10) == 0
        netns.run("ip", "-n", access, "-6", "route", "del", "2001:db8:1::1", "via", ACCESS_BOX)


# Without one.

def test_probe_without_a_binding_gets_a_binding_error(lab):
    """X6275.9.3.3-2; RFC 6275 9.3.1, 9.3.3"""
    mobile = lab.mobile()
    before = lab.workers()[0]["binding_errors"]
    assert_probe_fails(lab, mobile)
    assert lab.workers()[0]["binding_errors"] == before + 1


def test_probe_after_an_update_with_a_wrong_checksum(lab):
    """1.1.8"""
    mobile = lab.mobile()
    mark, _ = mobile.send_update(cksum=0x1234)
    mobile.assert_silence(mark)
    assert_probe_fails(lab, mobile)


@pytest.mark.parametrize("flags", ["AH", "H"], ids=["3.1.11", "3.1.12"])
def test_probe_after_deregistration(lab, mobile, flags):
    assert_probe_works(mobile)
    assert mobile.update(lifetime_s=0, flags=flags).status == 0
    assert_probe_fails(lab, mobile)


def test_probe_after_expiry(lab):
    """2.1.8"""
    mobile = lab.mobile()
    mobile.register(lifetime_s=4)
    assert_probe_works(mobile)
    lab.box.wait_for(lambda: lab.box.binding(mobile.home) is None, 10, "the end of the binding")
    assert_probe_fails(lab, mobile)


def test_probe_after_refusal(lab):
    mobile = lab.mobile(home="2001:db8:1::bad")
    assert mobile.update().status == 129
    assert_probe_fails(lab, mobile)


@pytest.mark.parametrize("first, second, flags", [
    pytest.param(first, second, flags, id=name) for name, first, second, flags in [
        ("2.6.7", 15, 14, "AH"), ("2.6.10", 15, 14, "H"), ("2.6.8", 15, 15, "AH"),
        ("2.6.11", 15, 15, "H"), ("2.6.9", 15, 32783, "AH"), ("2.6.12", 15, 32783, "H"),
        ("2.8.7", 32783, 32782, "AH"), ("2.8.10", 32783, 32782, "H"),
        ("2.8.8", 32783, 32783, "AH"), ("2.8.11", 32783, 32783, "H"),
        ("2.8.9", 32783, 15, "AH"), ("2.8.12", 32783, 15, "H")]])
def test_probe_after_an_old_sequence_number(lab, first, second, flags):
    mobile = lab.mobile()
    mobile.register(seq=first)
    answer = mobile.update(seq=second, care_of=mobile.second_care_of, flags=flags)
    assert (answer.status, answer.seq) == (135, first)
    assert_probe_fails(lab, mobile, mobile.second_care_of)
    assert_probe_works(mobile)


def test_mobile_prefix_solicitation_without_a_binding(lab):
    """8.1.4, for plain ones (D4)"""
    mobile = lab.mobile()
    upper = bytes(IPv6(src=mobile.home, dst=mobile.agent) / ICMPv6MPSol(id=4))[40:]
    mark = lab.access.mark()
    lab.access.send(with_home_option(mobile.care_of, mobile.agent, mobile.home, upper))
    expect_binding_error(lab.access, mark, mobile.home, mobile.care_of, mobile.agent)


def test_home_address_of_somebody_else(lab, mobile):
    """Attack 19: bound, but not at the address that the packet comes from"""
    other = lab.mobile()
    other.register()
    packet, payload = probe(mobile, src=other.care_of)
    mark = lab.access.mark()
    lab.access.send(packet)
    expect_binding_error(lab.access, mark, mobile.home, other.care_of, mobile.agent)
    lab.settle()
    assert not [f for f in lab.access.since(mark) if payload in f.raw]


def test_home_address_that_is_nobodys_here(lab, mobile):
    packet, _ = probe(mobile, home="2001:db8:99::9")
    mark = lab.access.mark()
    lab.access.send(packet)
    expect_binding_error(lab.access, mark, "2001:db8:99::9", mobile.care_of, mobile.agent)


@pytest.mark.parametrize("home", NOT_ROUTABLE)
def test_home_address_that_no_node_can_have(lab, mobile, home):
    """X6275.9.3.1-3, D3: silence"""
    packet, _ = probe(mobile, home=home)
    mark = lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(packet)
        mobile.assert_silence(mark)
    assert drops == {"home_option_bad": 1}


@pytest.mark.parametrize("how", ["twice", "twice-in-two-headers", "short", "long",
                                 "before-routing"])
def test_option_against_the_rules(lab, mobile, how):
    """RFC 6275 6.3"""
    upper = echo(mobile.home, mobile.agent, os.urandom(8))
    head, option = IPv6(src=mobile.care_of, dst=mobile.agent), HAO(hoa=mobile.home)
    packed = mip6.packed(mobile.home)
    packet = {
        "twice": head / IPv6ExtHdrDestOpt(nh=58, options=[option, option]),
        "twice-in-two-headers": head / IPv6ExtHdrDestOpt(options=[option]) / IPv6ExtHdrDestOpt(
            nh=58, options=[option]),
        "short": head / IPv6ExtHdrDestOpt(nh=58, options=[
            HBHOptUnknown(otype=0xc9, optdata=packed[:12])]),
        "long": head / IPv6ExtHdrDestOpt(nh=58, options=[
            HBHOptUnknown(otype=0xc9, optdata=packed + b"\0\0")]),
        "before-routing": head / IPv6ExtHdrDestOpt(options=[option]) / IPv6ExtHdrRouting(
            nh=58, type=0, segleft=0, addresses=[CORRESPONDENT]),
    }[how]
    mark = lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(packet / Raw(upper))
        mobile.assert_silence(mark)
    assert drops == {"home_option_bad": 1}


@pytest.mark.parametrize("src", ["ff02::7", "::", "fe80::9"])
def test_no_binding_error_to_what_is_no_single_node(lab, src):
    """X6275.9.3.3-1"""
    mobile = lab.mobile()
    packet, _ = probe(mobile, src=src)
    mark = lab.access.mark()
    lab.access.send(packet)
    lab.settle()
    assert not [f for f in lab.access.since(mark) if f.is_ip6 and mip6.is_mobility(f, 7)]


def test_no_binding_error_about_an_error(lab):
    """As for ICMPv6, RFC 4443 2.4 (e): errors are not answered with errors"""
    mobile = lab.mobile()
    upper = bytes(IPv6(src=mobile.home, dst=mobile.agent) / ICMPv6DestUnreach() / Raw(bytes(60)))
    mark = lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(with_home_option(mobile.care_of, mobile.agent, mobile.home, upper[40:]))
        lab.settle()
    assert drops == {"home_option_unbound": 1}
    assert not binding_errors(lab.access, mark, mobile.care_of)


def test_binding_errors_are_rate_limited(lab):
    """X6275.9.3.3-4, attack 17: a hundred a second to a /64 and fifty at once, to others as before"""
    mobile, other = lab.mobile(), lab.mobile()
    raw = bytes(probe(mobile)[0])
    mark, started_s = lab.access.mark(), time.monotonic()
    for _ in range(1500):  # fewer than its ring holds
        lab.access.send(raw)
    lab.settle()
    n = len(binding_errors(lab.access, mark, mobile.care_of))
    assert 50 <= n <= 51 + 100 * (time.monotonic() - started_s)
    lab.access.send(probe(other)[0])
    expect_binding_error(lab.access, mark, other.home, other.care_of, other.agent)


def test_a_binding_error_is_no_longer_than_what_it_answers(lab):
    """Attack 17: the shortest packet that gets one"""
    mobile = lab.mobile()
    packet = with_home_option(mobile.care_of, mobile.agent, mobile.home, b"", nh=59)
    mark = lab.access.mark()
    lab.access.send(packet)
    expect_binding_error(lab.access, mark, mobile.home, mobile.care_of, mobile.agent)
    assert len(bytes(packet)) >= 64


@pytest.mark.parametrize("has_home", [True, False], ids=["X6275.9.3.1-1", "X6275.9.3.3-3"])
def test_unknown_mobility_header_is_judged_as_such(lab, has_home):
    """Status 2 and not 1, with or without the option"""
    mobile = lab.mobile()
    packet = (mip6.mobile_headers(mobile.care_of, mobile.agent, mobile.home if has_home else None) /
              MIP6MH_Generic(mhtype=99, msg=bytes(2)))
    mark = lab.access.mark()
    lab.access.send(packet)
    expect_binding_error(lab.access, mark, mobile.home if has_home else "::", mobile.care_of,
                         mobile.agent, status=2)


@pytest.mark.parametrize("inner", [True, False], ids=["tunnelled", "tunnel"])
def test_option_on_a_tunnel_is_no_way_around_the_source_check(lab, mobile, inner):
    """A tunnel from the home address, or an inner packet with somebody's home address"""
    other, payload = lab.mobile(), os.urandom(16)
    other.register()
    if inner:
        packet = mobile.tunnelled(with_home_option(
            mobile.home, mobile.agent, other.home, echo(other.home, mobile.agent, payload)))
    else:
        packet = with_home_option(mobile.care_of, mobile.agent, mobile.home,
                                  bytes(mobile.up_inner(payload)), nh=41)
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(packet)
        lab.settle()
        lab.settle(lab.core)
    assert drops == {"home_option_unbound" if inner else "tunnel_wrong_source": 1}
    came = [f for f in lab.core.since(marks[0]) + lab.access.since(marks[1]) if payload in f.raw]
    assert not came, came


# Return routability with others, through the tunnel.

def test_home_test_through_the_tunnel(lab, mobile):
    """HoTI goes on to the correspondent as it is, HoT comes back in the tunnel (RFC 6275 5.2.5)"""
    init = bytes(IPv6(src=mobile.home, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=b"8 octets"))
    mark = lab.core.mark()
    lab.access.send(mobile.tunnelled(Raw(init), nh=41))
    frame = lab.core.expect(lambda f: f.src == mobile.home and f.next_header == 135, mark)
    assert frame.ip_bytes == init[:7] + bytes([63]) + init[8:]
    test = bytes(IPv6(src=CORRESPONDENT, dst=mobile.home) /
                 MIP6MH_HoT(cookie=b"8 octets", token=b"keygen!!"))
    mark = lab.access.mark()
    lab.core.send(test)
    frame = lab.access.expect(lambda f: f.dst == mobile.care_of and f.next_header == 41, mark)
    assert frame.ip_bytes[40:] == test[:7] + bytes([63]) + test[8:]


def test_care_of_test_passes_by(lab, mobile):
    init = bytes(IPv6(src=mobile.care_of, dst=CORRESPONDENT) / MIP6MH_CoTI(cookie=b"8 octets"))
    mark = lab.core.mark()
    lab.access.send(init)
    frame = lab.core.expect(lambda f: f.src == mobile.care_of and f.next_header == 135, mark)
    assert frame.ip_bytes == init[:7] + bytes([63]) + init[8:]


@pytest.mark.parametrize("kind", ["HoTI", "HoTI-with-option", "CoTI"])
def test_we_are_no_correspondent_for_return_routability(lab, mobile, kind):
    """Attack 20: silence, counted"""
    def unused():
        return lab.box.ctl("status")["drops"].get("unused_type", 0)

    packet = {
        "HoTI": lambda: mip6.mobile_headers(mobile.care_of, mobile.agent) / MIP6MH_HoTI(),
        "HoTI-with-option": lambda: mip6.mobile_headers(
            mobile.care_of, mobile.agent, mobile.home) / MIP6MH_HoTI(),
        "CoTI": lambda: mip6.mobile_headers(mobile.care_of, mobile.agent) / MIP6MH_CoTI(),
    }[kind]()
    before = unused()
    mark = lab.access.mark()
    lab.access.send(packet)
    mobile.assert_silence(mark)
    assert unused() == before + 1
