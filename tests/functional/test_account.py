# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The account that is taken after every test sees what it should."""

import time

from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from harness import account, thread
from harness.lab import CORE_BOX, CORRESPONDENT


def received(lab):
    return sum(w["rx"] for w in lab.workers())


def test_packets_between_threads_are_missing(lab):
    lab.settle(lab.core)
    assert account.problems(lab.box) == []
    with thread.stopped(lab.box.dataplane.popen.pid):
        before = sum(p["worker_rx"] for p in account.rows(lab.box, "/unwired/ports"))
        lab.core.send(*[IPv6(src=CORRESPONDENT, dst=CORE_BOX) / ICMPv6EchoRequest()] * 8)
        lab.box.wait_for(lambda: sum(p["worker_rx"] for p in account.rows(
            lab.box, "/unwired/ports")) >= before + 8, 5, "the workers' having them")
        wrong = "\n".join(account.sentences(lab.box))
        assert "workers to main lcore" in wrong
        assert "packet buffers in use and not held" in wrong
    assert account.problems(lab.box) == []


def test_what_is_held_by_right_is_not_missing(lab):
    agent = lab.networks["open"]["agent_addresses"][0]
    before = received(lab)
    lab.access.send(IPv6(src="2001:db8:a9::9", dst=agent) / IPv6ExtHdrFragment(m=1, id=7, nh=41) /
                    Raw(bytes(64)))
    lab.core.send(IPv6(src=CORRESPONDENT, dst="2001:db8:fe::6161") / UDP() / Raw(b"waits"))
    lab.box.wait_for(lambda: received(lab) >= before + 2, 5, "both packets")
    status = lab.box.telemetry("/unwired/status")
    assert status["buffers_in_use"] > 0 and status["waiting_for_neighbors"] == 1
    assert account.problems(lab.box) == []


def test_a_quiet_box_costs_little(lab):
    lab.settle()
    assert account.problems(lab.box) == []
    costs_s = []
    for _ in range(5):
        begin = time.monotonic()
        assert account.problems(lab.box) == []
        costs_s.append(time.monotonic() - begin)
    assert min(costs_s) < 0.05
