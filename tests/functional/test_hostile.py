# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Damaged and forged packets in numbers: nothing dies, nothing is bound, everything is counted."""

import random
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    HAO, ICMPv6EchoRequest, ICMPv6HAADRequest, ICMPv6MPSol, ICMPv6ND_NS, ICMPv6PacketTooBig, IPv6,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, MIP6MH_Generic,
    MIP6MH_HoT, MIP6MH_HoTI, MIP6OptAltCoA, Raw)

from conftest import NETWORKS, SUBSCRIBERS
from harness import mip6
from harness.lab import CORRESPONDENT, Lab

pytestmark = pytest.mark.sanitize

N_PER_SEED = 400
AGENTS_ANYCAST = "2001:db8:1:0:fdff:ffff:ffff:fffe"  # RFC 2526, of the home network "open"


@pytest.fixture(scope="module")
def lab(root):
    """A lab of its own: what it forwards and quotes is as malformed as what it got."""
    made = Lab(NETWORKS, SUBSCRIBERS)
    made.judges_form = False
    try:
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


def templates(mobile):
    """Good packets of every kind that the box looks into."""
    inner = mobile.up_inner(b"inner payload")
    yield mobile.update_packet(7, options=[MIP6OptAltCoA(acoa=mobile.second_care_of)])
    yield mobile.tunnelled(inner)
    yield mobile.tunnelled(mobile.tunnelled(inner))
    yield mobile.tunnelled(mobile.update_packet(8))
    yield mobile.down_packet(b"down")
    yield mobile.tunnelled(IPv6(src=mobile.home, dst=mobile.agent) / ICMPv6EchoRequest(data=b"x"))
    yield (IPv6(src=mobile.care_of, dst=mobile.agent) / IPv6ExtHdrHopByHop() /
           IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=[mobile.home]) / UDP())
    yield IPv6(src=mobile.care_of, dst=mobile.agent) / IPv6ExtHdrFragment(m=1, id=3, nh=135) / Raw(
        bytes(mip6.bu_header(9, 400)))
    yield IPv6(src=CORRESPONDENT, dst=mobile.home) / ICMPv6PacketTooBig(mtu=1000) / inner
    yield IPv6(src=mobile.care_of, dst=mobile.agent) / MIP6MH_Generic(mhtype=1, msg=bytes(10))
    yield IPv6(src="fe80::5", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="2001:db8:fe::1")


def damaged(rnd, raw):
    """A copy with some bytes changed, cut off or added; mostly with lengths that fit again."""
    raw = bytearray(raw)
    for _ in range(rnd.choice((1, 1, 1, 2, 4, 12))):
        kind = rnd.random()
        at = rnd.randrange(4, len(raw))
        if kind < 0.6:
            raw[at] = rnd.choice((0, 1, 0x3b, 41, 43, 44, 60, 135, 0x7f, 0x80, 0xff,
                                  rnd.randrange(256)))
        elif kind < 0.75 and len(raw) > 45:
            del raw[at:at + rnd.randrange(1, 16)]
        elif kind < 0.9:
            raw[at:at] = bytes(rnd.randrange(256) for _ in range(rnd.randrange(1, 24)))
        else:
            raw[at] ^= 1 << rnd.randrange(8)
    if rnd.random() < 0.8 and len(raw) >= 40:
        raw[4:6] = (len(raw) - 40).to_bytes(2, "big")
    return bytes(raw)


def from_anywhere(rnd, raw):
    """With another source network, so that the limit of one sender does not spare control a look."""
    return raw[:8] + mip6.packed(f"2001:db8:a7:{rnd.randrange(65536):x}::2") + raw[24:]


def with_fresh_checksum(raw, source, destination):
    """The Mobility Header behind a 64-byte head, its checksum made right again."""
    mobility = bytearray(raw[64:])
    if len(mobility) % 2 or len(mobility) < 6:
        return raw
    mobility[4:6] = b"\0\0"
    mobility[4:6] = mip6.mh_checksum(source, destination, bytes(mobility)).to_bytes(2, "big")
    return raw[:64] + bytes(mobility)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_packets_of_every_kind(lab, seed):
    rnd = random.Random(seed)
    mobile, bystander = lab.mobile(), lab.mobile()
    mobile.register(seq=5)
    bystander.register(seq=5)
    kinds = [bytes(t) for t in templates(mobile)]
    for n in range(N_PER_SEED):
        raw = damaged(rnd, rnd.choice(kinds))
        if raw[20:21] == b"\x3c":  # an update, as most have their source in other places, too
            raw = from_anywhere(rnd, raw)
        (lab.access if rnd.random() < 0.8 else lab.core).send(raw)
        if n % 64 == 63:
            lab.settle()
    lab.settle()
    lab.settle(lab.core)
    assert lab.box.dataplane.alive and lab.box.control.alive
    assert lab.box.binding(bystander.home)["sequence"] == 5
    bystander.receive_down()
    bystander.receive_up()


@pytest.mark.parametrize("seed", range(4))
def test_damaged_updates_with_a_right_checksum(lab, seed):
    """They get past the checksum, so the option parser sees them."""
    rnd = random.Random(1000 + seed)
    mobile, bystander = lab.mobile(), lab.mobile()
    bystander.register(seq=5)
    options = [MIP6OptAltCoA(acoa=mobile.care_of)]
    whole = bytes(mobile.update_packet(7, options=options))
    for n in range(N_PER_SEED):
        raw = whole[:64] + damaged(rnd, whole[64:])
        raw = raw[:4] + (len(raw) - 40).to_bytes(2, "big") + raw[6:]
        raw = with_fresh_checksum(raw, mobile.home, mobile.agent)
        mobile.wire.send(from_anywhere(rnd, raw))
        if n % 64 == 63:
            lab.settle()
    lab.settle()
    assert lab.box.control.alive
    assert lab.box.binding(bystander.home)["sequence"] == 5
    bystander.assert_bound()


def home_test_init(source):
    """A HoTI to the correspondent, from that home address."""
    return IPv6(src=source, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=b"8 octets")


@pytest.mark.parametrize("how", ["from-elsewhere", "from-another-mobile", "of-another-mobile",
                                 "without-a-tunnel"])
def test_forged_home_test_does_not_reach_the_correspondent(lab, how):
    """Attack 20, without security associations: only out of the tunnel from the right care-of address"""
    mobile, other = lab.mobile(), lab.mobile()
    for one in (mobile, other):
        one.register()
    packet = {
        "from-elsewhere": lambda: mobile.tunnelled(home_test_init(mobile.home), mobile.second_care_of),
        "from-another-mobile": lambda: mobile.tunnelled(home_test_init(mobile.home), other.care_of),
        "of-another-mobile": lambda: mobile.tunnelled(home_test_init(other.home)),
        "without-a-tunnel": lambda: mip6.mobile_headers(mobile.second_care_of, mobile.agent,
                                                        mobile.home) / MIP6MH_HoTI(),
    }[how]()
    mark = lab.core.mark()
    lab.access.send(packet)
    lab.settle()
    lab.settle(lab.core)
    assert not [f for f in lab.core.since(mark) if b"8 octets" in f.raw]


def test_home_test_goes_to_the_care_of_address_only(lab):
    """Attack 20: nobody but the mobile, at the end of its tunnel, sees the token"""
    mobile, other = lab.mobile(), lab.mobile()
    for one in (mobile, other):
        one.register()
    mark = lab.access.mark()
    lab.core.send(IPv6(src=CORRESPONDENT, dst=mobile.home) /
                  MIP6MH_HoT(cookie=b"8 octets", token=b"keygen!!"))
    lab.settle(lab.core)
    seen = [f for f in lab.access.since(mark) if b"keygen!!" in f.raw]
    assert [(f.dst, f.next_header) for f in seen] == [(mobile.care_of, 41)]


def test_discovery_and_solicitations_in_numbers_are_not_answered_with_more(lab):
    """Attack 24: home agent discovery, prefix solicitations, unbound and in a bound mobile's name"""
    mobile, packets = lab.mobile(), []
    mobile.register()
    for n in range(400):
        src = f"2001:db8:a9:{n:x}::2"
        option = IPv6ExtHdrDestOpt(options=[HAO(hoa=mobile.home)])
        packets += [IPv6(src=src, dst=AGENTS_ANYCAST) / ICMPv6HAADRequest(id=n),
                    IPv6(src=src, dst=mobile.agent) / ICMPv6HAADRequest(id=n),
                    IPv6(src=src, dst=mobile.agent) / ICMPv6MPSol(id=n),
                    IPv6(src=src, dst=mobile.agent) / option / ICMPv6MPSol(id=n)]
    packets = [bytes(p) for p in packets]
    mark = lab.access.mark()
    for at in range(0, len(packets), 16):
        lab.access.send(*packets[at:at + 16])
        time.sleep(0.004)
    lab.settle()
    back = [f.ip_bytes for f in lab.access.since(mark)
            if f.is_ip6 and f.dst.startswith("2001:db8:a9:")]
    assert sum(map(len, back)) <= sum(map(len, packets))
    assert not [raw for raw in back if raw[6] == 58 and raw[40] in (145, 147)]  # we answer neither
    mobile.receive_down()
    mobile.receive_up()


def heard(mobile, tries=3):
    """Whether an unknown mobile gets its answer with the retransmissions that RFC 6275 11.8 gives it."""
    for _ in range(tries):
        try:
            return mobile.update().status == 0
        except AssertionError:  # no answer: it sends again
            continue
    return False


def test_flood_of_updates_starves_nobody_for_long(lab):
    """Unanswerable updates from everywhere; an honest mobile registers right behind them."""
    mobile = lab.mobile()
    flood = [bytes(mip6.binding_update(f"2001:db8:2::f100:{n:x}", f"2001:db8:a5::{n:x}",
                                       "2001:db8:2::1", n)) for n in range(256)]
    for _ in range(8):
        for packet in flood:
            lab.access.send(packet)
    assert heard(mobile)
    mobile.assert_bound()
