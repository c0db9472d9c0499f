# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Several workers: every flow arrives, and the counters add up."""

import os

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, Raw

from harness.lab import CORRESPONDENT, network

N_FLOWS, N_PER_FLOW = 64, 20


@pytest.fixture
def lab(own_lab):
    return own_lab([network("open", 1)], worker_cores=(0, 1))


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
