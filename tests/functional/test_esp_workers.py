# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""ESP where two workers share every SA, and in outer headers with a Tunnel Encapsulation Limit."""

import os
import random
import struct

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    HBHOptUnknown, ICMPv6PacketTooBig, ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt,
    IPv6ExtHdrRouting, MIP6MH_BA, Raw)

from harness import esp
from harness.keeper import IN, LOW, OUT, PAYLOAD, SIGNALLING
from harness.lab import CORRESPONDENT
from test_esp import (
    AGENT, CARE_OF, HOME, SLOT, Bed, came_out, hop_on, next_sealed, probe, update,
    update_under)

pytestmark = pytest.mark.sanitize

N_FLOWS, N_PER_FLOW = 64, 12
WINDOW = 1024
CBC = next(s for s in esp.SUITES if s.name == "cbc128-sha1")


@pytest.fixture(scope="module")
def made(root):
    bed = Bed(worker_cores=(0, 1))
    yield bed
    problems = bed.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def bed(made):
    """The bed as at its start."""
    made.fill()
    made.keeper.events.clear()
    return made


def counters(bed):
    """The counters of each worker, from the dataplane itself."""
    return list(bed.lab.box.telemetry("/unwired/workers,0")["items"].values())


def taken(before, after):
    return [b["rx"] - a["rx"] for a, b in zip(before, after)]


def flows(marker):
    """Packets to the home address of as many flows as take both workers."""
    return [bytes(IPv6(src=f"2001:db8:20::{flow + 1:x}", dst=HOME) / UDP(sport=2000 + flow, dport=99) /
                  Raw(marker + struct.pack("!HH", flow, n)))
            for n in range(N_PER_FLOW) for flow in range(N_FLOWS)]


def sealed_since(bed, mark, n, what):
    """The ESP packets to the care-of address since mark, n of them."""
    def found():
        return [f.ip_bytes for f in bed.lab.access.since(mark)
                if f.is_ip6 and f.dst == CARE_OF and f.next_header == esp.PROTOCOL]
    bed.lab.box.wait_for(lambda: len(found()) >= n, 10, what)
    bed.settle()
    return found()


@pytest.mark.parametrize("suite", [esp.GCM, CBC], ids=repr)
def test_two_workers_seal_under_one_sa(bed, suite):
    """I6: no number and no IV twice, none left out; all opens."""
    outward = bed.sa(PAYLOAD, OUT, suite, protect=[PAYLOAD])
    before, mark, marker = counters(bed), bed.lab.access.mark(), os.urandom(8)
    sent = flows(marker)
    for packet in sent:
        bed.lab.core.send(packet)
    sealed = sealed_since(bed, mark, len(sent), "all packets under ESP")
    assert all(share > N_PER_FLOW for share in taken(before, counters(bed)))
    numbers = [struct.unpack_from("!I", packet, 44)[0] for packet in sealed]
    assert sorted(numbers) == list(range(1, len(sent) + 1))
    assert len({packet[48:48 + (8 if suite is esp.GCM else 16)] for packet in sealed}) == len(sent)
    opened = {outward.open(packet[40:])[0] for packet in sealed}
    assert opened == {hop_on(packet) for packet in sent}
    assert bed.sas()[outward.spi]["packets"] == len(sent)


def test_two_workers_keep_within_a_grant(bed):
    """None of them goes beyond the numbers that are on the disk; a new grant goes on there."""
    limit = 300
    outward = bed.sa(PAYLOAD, OUT, protect=[PAYLOAD], seq_limit=limit)
    mark, sent, before = bed.lab.access.mark(), flows(os.urandom(8)), bed.drops()
    for packet in sent:
        bed.lab.core.send(packet)
    bed.keeper.wait(lambda: [e for e in bed.keeper.events if e.event == LOW], what="a call for more")
    bed.lab.box.wait_for(lambda: bed.drops().get("esp_sequence", 0) - before.get("esp_sequence", 0) ==
                         len(sent) - (limit - 1), 10, "drops for want of numbers")
    assert len(sealed_since(bed, mark, limit - 1, "what there were numbers for")) == limit - 1
    bed.keeper.sa_grant(SLOT, outward.spi, PAYLOAD, 1 << 20)
    bed.settle()
    for packet in sent:
        bed.lab.core.send(packet)
    sealed = sealed_since(bed, mark, limit - 1 + len(sent), "the rest")
    numbers = [struct.unpack_from("!I", packet, 44)[0] for packet in sealed]
    assert sorted(numbers) == list(range(1, limit + len(sent)))
    assert all(outward.open(packet[40:]) for packet in sealed[-5:])


def test_two_workers_share_a_window(bed):
    """Each packet twice, the copies from addresses that lead to the other worker, all at once and out of
    order: each passes exactly once."""
    inward = bed.sa(PAYLOAD, IN, window=WINDOW)
    n = WINDOW // 2
    inners = [probe(HOME, CORRESPONDENT, 64) for _ in range(n)]
    sealed = [inward.seal(inner, 41) for inner in inners]
    packets = [bytes(IPv6(src=f"2001:db8:a1:{(i + copy) % 32:x}::2", dst=AGENT, nh=esp.PROTOCOL) /
                     Raw(one)) for i, one in enumerate(sealed) for copy in range(2)]
    random.Random(1).shuffle(packets)
    before, mark, drops = counters(bed), bed.lab.core.mark(), bed.drops()
    for packet in packets:
        bed.lab.access.send(packet)
    expected = {hop_on(inner) for inner in inners}

    def came():
        return [f.ip_bytes for f in bed.lab.core.since(mark) if f.ip_bytes in expected]
    bed.lab.box.wait_for(lambda: len(came()) >= n, 10, "the inner packets")
    bed.lab.box.wait_for(lambda: bed.drops().get("esp_replay", 0) - drops.get("esp_replay", 0) >= n, 10,
                         "drops of the copies")
    bed.settle()
    assert sorted(came()) == sorted(expected)
    assert bed.drops()["esp_replay"] - drops.get("esp_replay", 0) == n
    assert all(share > n // 8 for share in taken(before, counters(bed)))
    row = bed.sas()[inward.spi]
    assert (row["packets"], row["replayed"], row["sequence"]) == (n, n, n)


def test_an_sa_that_changes_under_two_workers(bed):
    """A new key while both seal: every packet opens under the one that its SPI names."""
    ends = [bed.sa(PAYLOAD, OUT, protect=[PAYLOAD])]
    mark, sent = bed.lab.access.mark(), flows(os.urandom(8))
    for i, packet in enumerate(sent):
        bed.lab.core.send(packet)
        if i % 128 == 100:
            ends.append(bed.sa(PAYLOAD, OUT, protect=[PAYLOAD]))
    sealed = sealed_since(bed, mark, len(sent), "all packets under ESP")
    by_spi = {struct.pack("!I", end.spi): end for end in ends}
    assert {packet[40:44] for packet in sealed} == set(by_spi)
    assert {by_spi[packet[40:44]].open(packet[40:])[0] for packet in sealed} == set(map(hop_on, sent))
    assert len({packet[40:48] for packet in sealed}) == len(sealed)


# Tunnel Encapsulation Limit, RFC 2473 section 4.1.1: the option stands between the outer header and ESP.

LIMIT = 4


@pytest.fixture
def limited(bed):
    bed.keeper.agent(0, AGENT, LIMIT)
    bed.settle()
    yield bed
    bed.keeper.agent(0, AGENT)


def option(value):
    return IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=4, optdata=bytes([value]))])


def sealed_behind_limit(bed, packet):
    """(limit, ESP packet) of what is sealed for a packet to the home address."""
    mark = bed.lab.access.mark()
    bed.lab.core.send(packet)
    raw = bed.lab.access.expect(lambda f: f.dst == CARE_OF and f.next_header == 60, mark,
                                what="an outer header with options").ip_bytes
    assert raw[40:44] == bytes([esp.PROTOCOL, 0, 4, 1]) and raw[45:48] == bytes([1, 1, 0])
    return raw[44], raw[48:]


@pytest.mark.parametrize("suite", [esp.GCM, CBC], ids=repr)
def test_limit_stands_before_esp(limited, suite):
    outward = limited.sa(PAYLOAD, OUT, suite, protect=[PAYLOAD])
    for length in (48, 100, 1380):
        inner = probe(CORRESPONDENT, HOME, length)
        limit, sealed = sealed_behind_limit(limited, inner)
        assert limit == LIMIT and outward.open(sealed) == (hop_on(inner), 41)


def test_limit_of_the_packet_is_inherited_under_esp(bed):
    outward = bed.sa(PAYLOAD, OUT, protect=[PAYLOAD])
    inner = bytes(IPv6(src=CORRESPONDENT, dst=HOME) / option(3) / IPv6(src=CORRESPONDENT, dst="2001:db8:30::1") /
                  UDP() / Raw(os.urandom(16)))
    limit, sealed = sealed_behind_limit(bed, inner)
    assert limit == 2 and outward.open(sealed) == (hop_on(inner), 41)
    refused = bytes(IPv6(src=CORRESPONDENT, dst=HOME) / option(0) /
                    IPv6(src=CORRESPONDENT, dst="2001:db8:30::1") / UDP() / Raw(os.urandom(16)))
    marks = bed.lab.core.mark(), bed.lab.access.mark()
    bed.lab.core.send(refused)
    error = bed.lab.core.expect(lambda f: ICMPv6ParamProblem in f.ip, marks[0])
    assert refused[error.ip[ICMPv6ParamProblem].ptr - 2:][:3] == bytes([4, 1, 0])
    bed.settle()
    assert not bed.lab.access.count(lambda f: f.dst == CARE_OF, marks[1])


def test_packet_too_big_reckons_with_option_and_esp(limited):
    outward = limited.sa(PAYLOAD, OUT, protect=[PAYLOAD])
    room = ((1500 - 40 - 8 - 16 - 16) & ~3) - 2
    mark = limited.lab.core.mark()
    limited.lab.core.send(probe(CORRESPONDENT, HOME, room + 1))
    error = limited.lab.core.expect(lambda f: ICMPv6PacketTooBig in f.ip, mark)
    assert error.ip[ICMPv6PacketTooBig].mtu == room
    inner = probe(CORRESPONDENT, HOME, room)
    _, sealed = sealed_behind_limit(limited, inner)
    assert len(sealed) + 48 <= 1500 and outward.open(sealed)[0] == hop_on(inner)


def test_mobiles_with_a_limit_are_heard(limited):
    """Their outer header may have the option; in the Update's there is none, it is no tunnel."""
    inward = limited.sa(PAYLOAD, IN)
    inner = probe(HOME, CORRESPONDENT, 100)
    mark = limited.lab.core.mark()
    limited.lab.access.send(bytes(IPv6(src=CARE_OF, dst=AGENT) / IPv6ExtHdrDestOpt(
        nh=esp.PROTOCOL, options=[HBHOptUnknown(otype=4, optdata=bytes([2]))]) /
        Raw(inward.seal(inner, 41))))
    came_out(limited, inner, mark)


def test_transport_mode_has_no_limit(limited):
    inward, outward = limited.sa(SIGNALLING, IN), limited.sa(SIGNALLING, OUT)
    limited.keeper.punts.clear()
    limited.lab.access.send(update_under(inward, HOME, CARE_OF, update()))
    limited.keeper.wait(lambda: limited.keeper.punts, what="the update")
    answer = (IPv6(src=AGENT, dst=CARE_OF) /
              IPv6ExtHdrRouting(type=2, addresses=[HOME], segleft=1) / MIP6MH_BA(status=0, seq=5))
    mark = limited.lab.access.mark()
    limited.keeper.packet_out(answer, SLOT, SIGNALLING)
    sealed = next_sealed(limited, CARE_OF, mark).ip_bytes
    assert (sealed[6], sealed[40]) == (43, esp.PROTOCOL)
    assert outward.open(sealed[64:]) == (bytes(answer)[64:], 135)
