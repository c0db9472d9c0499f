# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Several workers: every flow arrives in order, fragments meet, and the counters add up."""

import os
import random
import signal
import struct

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, Raw

from harness import account, thread
from harness.lab import CORRESPONDENT, Lab, network
from harness.stream import Stream, numbered

N_FLOWS, N_PER_FLOW = 64, 20
RING = 1900  # frames that surely fit into a receive ring


@pytest.fixture(scope="module")
def lab(root):
    made = Lab([network("open", 1)], worker_cores=(0, 1))
    try:
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


def test_ports_tell_what_their_queues_are_chosen_by(lab):
    """AF_PACKET sockets are chosen by the kernel; DPDK has no say in it."""
    assert {p["name"]: (p["rx_queues"], p["rss"]) for p in lab.box.rows("ports")} == {
        "core0": (2, "none"), "acc0": (2, "none")}


@pytest.mark.sanitize
def test_two_workers_share_the_flows_and_count_exactly(lab):
    down, up = lab.mobile(), lab.mobile()
    down.register()
    up.register()
    marker = os.urandom(8)
    marks = lab.core.mark(), lab.access.mark()
    before = lab.workers()
    assert len(before) == 2
    for flow in range(N_FLOWS):
        transport = UDP(sport=2000 + flow, dport=99)
        to_mobile = bytes(IPv6(src=CORRESPONDENT, dst=down.home) / transport /
                          Raw(marker + b"%04d" % flow))
        from_mobile = bytes(up.tunnelled(IPv6(src=up.home, dst=CORRESPONDENT) / transport /
                                         Raw(marker + b"%04d" % flow)))
        for _ in range(N_PER_FLOW):
            lab.core.send(to_mobile)
            lab.access.send(from_mobile)
    total = N_FLOWS * N_PER_FLOW
    for wire, mark in zip((lab.core, lab.access), marks):
        lab.box.wait_for(lambda: wire.count(lambda f: marker in f.raw, mark) >= total, 5,
                         "all packets of all flows")
        assert wire.count(lambda f: marker in f.raw, mark) == total
    after = lab.workers()
    took = [b["rx"] - a["rx"] for a, b in zip(before, after)]
    assert sum(took) >= 2 * total
    assert all(share > 0 for share in took), took
    assert sum(w["encapsulated"] for w in after) - sum(w["encapsulated"] for w in before) == total
    assert sum(w["decapsulated"] for w in after) - sum(w["decapsulated"] for w in before) == total
    binding = lab.box.binding(down.home)
    assert (binding["packets_down"], binding["packets_up"]) == (total, 0)
    binding = lab.box.binding(up.home)
    assert (binding["packets_down"], binding["packets_up"]) == (0, total)


def test_movement_with_two_workers_leaves_no_packet_on_the_old_way(lab):
    one = lab.mobile()
    one.register()
    for turn in range(6):
        new = (one.second_care_of, one.care_of)[turn % 2]
        one.register(care_of=new)
        for _ in range(8):
            one.receive_down(care_of=new, fl=os.urandom(1)[0])


def moved(before, after, name):
    """By how much a counter of each worker has grown."""
    return [b[name] - a[name] for a, b in zip(before, after)]


def handed_over(lab, before):
    """(to peers, from peers), once nothing is on its way among them."""
    def counts():
        after = lab.workers()
        return moved(before, after, "to_peers"), moved(before, after, "from_peers")

    lab.box.wait_for(lambda: len({sum(c) for c in counts()}) == 1, 3, "empty rings among workers")
    return counts()


def scattered(packet, size):
    """Fragments that the kernel gives to several queues: it looks at the next header of each, of
    which only the first one's counts (RFC 8200 section 4.5)."""
    packet = bytes(packet)
    head, payload, ident = IPv6(packet[:40]), packet[40:], random.getrandbits(32)
    for at in range(0, len(payload), size):
        nh = head.nh if at == 0 else random.choice((41, 60, 135))
        yield bytes(IPv6(src=head.src, dst=head.dst) / IPv6ExtHdrFragment(
            nh=nh, offset=at // 8, m=at + size < len(payload), id=ident) /
            Raw(payload[at:at + size]))


@pytest.mark.sanitize
def test_fragments_of_one_packet_meet_on_one_worker(lab):
    mobiles = [lab.mobile() for _ in range(8)]
    before = lab.workers()
    for one in mobiles:  # the update of every other mobile comes in fragments, too
        mark = one.wire.mark()
        if one.number % 2:
            for piece in scattered(one.update_packet(1), 24):
                lab.access.send(piece)
        else:
            lab.access.send(one.update_packet(1))
        assert one.answer(mark).status == 0
    n_updates = len(mobiles) // 2
    payloads, mark = [], lab.core.mark()
    for _ in range(8):
        pieces = []
        for one in mobiles:
            payloads.append(os.urandom(1300))
            pieces += scattered(one.tunnelled(one.up_inner(payloads[-1])), 304)
        random.shuffle(pieces)
        lab.access.send(*pieces)
    for payload in payloads:
        lab.core.expect(lambda f: payload in f.raw, mark, what="a packet that came in pieces")
    to_peers, from_peers = handed_over(lab, before)
    assert all(to_peers) and all(from_peers), (to_peers, from_peers)
    after = lab.workers()
    assert all(moved(before, after, "reassembled"))
    assert sum(moved(before, after, "reassembled")) == len(payloads) + n_updates
    assert sum(moved(before, after, "decapsulated")) == len(payloads)
    assert sum(moved(before, after, "drops")) == 0
    assert [w["held"] for w in after] == [0, 0]


def in_full_bursts(lab, wire, packets):
    """Sends packets that the box finds all at once, as a worker that can hardly follow would."""
    pid = lab.box.ctl("status")["dataplane_status"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wire.send(*packets)
    finally:
        os.kill(pid, signal.SIGCONT)


def flow_of(frame):
    """(flow label, number in its flow) of a packet of heavy_tunnel."""
    return (int.from_bytes(frame.raw[14:18], "big") & 0xfffff,
            struct.unpack_from("!I", frame.raw, 14 + 48 + 8)[0])


def heavy_tunnel(mobile, marker, first, n):
    """n tunnel packets of one mobile: 32 flows, which differ by their flow labels alone, so that the
    kernel gives all to one queue."""
    for k in range(first, first + n):
        yield bytes(mobile.tunnelled(mobile.up_inner(
            marker + struct.pack("!I", k // 32), fl=1 + k % 32)))


def test_a_heavy_tunnel_is_spread_over_the_workers_and_flows_keep_their_order(lab):
    one, marker = lab.mobile(), os.urandom(8)
    one.register()
    mark, before = lab.core.mark(), lab.workers()
    rounds = [RING, RING, 20, RING]
    for k, n in enumerate(rounds):
        first = sum(rounds[:k])
        in_full_bursts(lab, lab.access, list(heavy_tunnel(one, marker, first, n)))
        lab.box.wait_for(lambda: lab.core.count(lambda f: marker in f.raw, mark) >= first + n, 10,
                         f"all packets of round {k}")
    total = sum(rounds)
    to_peers, from_peers = handed_over(lab, before)
    after = lab.workers()
    assert min(moved(before, after, "rx")) < 50, "the tunnel is one flow to the kernel"
    assert sum(moved(before, after, "spread_pairs")) >= 1
    assert sum(to_peers) > total // 4, to_peers
    assert all(n > 100 for n in moved(before, after, "forwarded"))
    assert sum(moved(before, after, "forwarded")) == total
    assert sum(moved(before, after, "decapsulated")) == total
    assert sum(moved(before, after, "drops")) == 0
    binding = lab.box.binding(one.home)
    assert (binding["packets_down"], binding["packets_up"]) == (0, total)
    flows = {}
    for frame in lab.core.since(mark):
        if marker in frame.raw:
            label, number = flow_of(frame)
            flows.setdefault(label, []).append(number)
    assert len(flows) == 32 and sum(map(len, flows.values())) == total
    assert all(numbers == sorted(numbers) for numbers in flows.values())


def first_fragments(src, agent, n):
    """Fragments of n packets that never become whole, of a peer that nobody knows."""
    head = bytearray(bytes(IPv6(src=src, dst=agent) / IPv6ExtHdrFragment(nh=41, m=1) / Raw(bytes(64))))
    for ident in range(n):
        head[44:48] = struct.pack("!I", ident)
        yield bytes(head)


def receiver_of(lab, send):
    """The number of the worker that gets what send() sends, more than others may send meanwhile."""
    before, n = lab.workers(), 20
    for _ in range(n):
        send()
    lab.box.wait_for(lambda: max(moved(before, lab.workers(), "rx")) >= n, 5, "all on one worker")
    return max(range(2), key=lambda i: moved(before, lab.workers(), "rx")[i])


def received(lab, worker):
    """At once: nobody else may have to wait meanwhile."""
    return next(w["rx"] for w in account.rows(lab.box, "/unwired/workers") if w["worker"] == worker)


def test_fragments_displace_nothing_that_is_spread(lab):
    """The other worker stands still: what waits for it is what its rings take."""
    one, marker = lab.mobile(), os.urandom(8)
    one.register()
    n_flood, n_heavy = 7500, 1500
    tunnel = heavy_tunnel(one, marker, 0, n_heavy)
    alive = one.tunnelled(one.up_inner(numbered(0)))
    here = receiver_of(lab, lambda: lab.access.send(alive))
    src = next(src for src in (f"2001:db8:ab:{i:x}::1" for i in range(16)) if here == receiver_of(
        lab, lambda: lab.access.send(*first_fragments(src, one.agent, 1))))
    flood = list(first_fragments(src, one.agent, n_flood))
    mark, before = lab.core.mark(), lab.workers()
    other = thread.named(lab.box.dataplane.popen.pid, "rte-worker")[1 - here]
    with lab.counting_drops() as drops:
        with Stream(lab.access, alive):  # the tunnel is not silent, so it stays heavy
            in_full_bursts(lab, lab.access, [alive] * 512)
            lab.box.wait_for(lambda: moved(before, lab.workers(), "spread_pairs")[here] == 1, 5,
                             "a heavy tunnel")
            with thread.stopped(other):
                for k in range(5):
                    taken = received(lab, here)
                    lab.access.send(*flood[k * 1500:(k + 1) * 1500],
                                    *(next(tunnel) for _ in range(300)))
                    lab.box.wait_for(lambda: received(lab, here) >= taken + 1800, 1, "all")
        lab.box.wait_for(lambda: lab.core.count(lambda f: marker in f.raw, mark) >= n_heavy, 5,
                         "all that came out of the tunnel")
    to_peers = moved(before, lab.workers(), "to_peers")[here]
    assert to_peers > n_heavy // 4 + 512, "fragments and what was spread"
    lab.box.wait_for(lambda: not any(w["held"] for w in lab.workers()), 5, "the fragments' end")
    assert drops["fragment_flood"] > n_flood // 8
    assert not {"peer_ring_full", "tx_full", "mbuf_empty"} & drops.keys(), drops


def test_a_light_tunnel_stays_on_its_worker(lab):
    one, marker = lab.mobile(), os.urandom(8)
    one.register()
    mark, before = lab.core.mark(), lab.workers()
    for packet in heavy_tunnel(one, marker, 0, 300):
        lab.access.send(packet)
    lab.box.wait_for(lambda: lab.core.count(lambda f: marker in f.raw, mark) == 300, 10, "all")
    assert sum(moved(before, lab.workers(), "to_peers")) == 0


def test_a_spoofed_tunnel_is_never_spread(lab):
    one, marker = lab.mobile(), os.urandom(8)
    one.register()
    one.care_of = one.second_care_of
    before = lab.workers()
    with lab.counting_drops() as drops:
        in_full_bursts(lab, lab.access, list(heavy_tunnel(one, marker, 0, RING)))
        lab.box.wait_for(lambda: sum(moved(before, lab.workers(), "drops")) >= RING, 5, "all drops")
    after = lab.workers()
    assert drops == {"tunnel_wrong_source": RING}
    assert sum(moved(before, after, "spread_pairs")) == sum(moved(before, after, "to_peers")) == 0


def test_one_worker_alone_spreads_nothing(own_lab):
    alone = own_lab([network("open", 1)])
    one, marker = alone.mobile(), os.urandom(8)
    one.register()
    mark = alone.core.mark()
    in_full_bursts(alone, alone.access, list(heavy_tunnel(one, marker, 0, RING)))
    alone.box.wait_for(lambda: alone.core.count(lambda f: marker in f.raw, mark) == RING, 10, "all")
    worker, = alone.workers()
    assert (worker["spread_pairs"], worker["to_peers"], worker["from_peers"]) == (0, 0, 0)
