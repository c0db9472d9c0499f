# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""unwired-traffic, the generator for real beds, on both sides of a real home agent, at low rates."""

import json
import subprocess

import pytest

from harness.box import BUILD, Box
from harness.lab import ACCESS_PEER, CORE_PEER, CORRESPONDENT, configuration, network
from harness.netns import Namespaces

N_MOBILES = 50
RATE = 500


class Bed:
    """A home agent and, in one namespace, the far ends of both of its wires."""

    def __init__(self):
        self.namespaces = Namespaces()
        self.ha, self.far = self.namespaces.add("ha"), self.namespaces.add("far")
        for outside, inside in (("p0", "h0"), ("p1", "h1")):
            Namespaces.veth(self.far, outside, self.ha, inside)
            Namespaces.sysctl(self.far, f"net.ipv6.conf.{outside}.disable_ipv6", 1)
        self.box = Box(self.ha, configuration([network("open", 1)]), None, self.routes)
        self.box.start()

    def routes(self):
        Namespaces.route(self.ha, "default", "via", CORE_PEER, "dev", "core0")
        Namespaces.route(self.ha, "2001:db8:a0::/44", "via", ACCESS_PEER, "dev", "acc0")

    def traffic(self, *more, care_of="2001:db8:a1::", timeout_s=60):
        """Runs the generator; gives (exit status, its findings or None, what it printed)."""
        out = self.box.dir / "traffic.json"
        out.unlink(missing_ok=True)
        macs = [Namespaces.mac(self.ha, i) for i in ("h0", "h1")]
        done = subprocess.run(
            ["ip", "netns", "exec", self.far, str(BUILD / "perf/traffic/unwired-traffic"),
             "--core", f"0,{macs[0]}", "--access", f"1,{macs[1]}", "--home", "2001:db8:1::2:0",
             "--care-of", care_of, "--mobiles", str(N_MOBILES), "--agent", "2001:db8:1::1",
             "--correspondent", CORRESPONDENT, "--json", str(out), *map(str, more), "--",
             "--lcores", "0@(0,1)", "--no-pci", "--no-huge", "-m", "256", "--no-telemetry",
             "--file-prefix", self.far, "--vdev", "net_af_packet0,iface=p0",
             "--vdev", "net_af_packet1,iface=p1"],
            capture_output=True, text=True, timeout=timeout_s)
        found = json.loads(out.read_text()) if out.exists() else None
        return done.returncode, found, done.stdout + done.stderr

    def close(self):
        try:
            return self.box.close()
        finally:
            self.box.remove()
            self.namespaces.close()


@pytest.fixture(scope="module")
def bed(root):
    made = Bed()
    yield made
    problems = made.close()
    assert not problems, "\n".join(problems)


def check_latency(latency):
    order = [latency[k] for k in ("p50", "p90", "p99", "p99.9", "max")]
    assert order == sorted(order) and 0 < order[0] and order[-1] < 5e6
    assert 0 < latency["mean"] <= latency["max"]


def test_unbound_mobiles_get_nothing(bed):
    status, found, said = bed.traffic("--seconds", 1, "--rate", RATE, "--direction", "down")
    assert status == 0, said
    trial, = found["trials"]
    assert trial["down"]["sent"] > 0 and trial["down"]["received"] == 0
    assert trial["down"]["loss"] == 1.0


def test_binds_mobiles_and_measures_both_ways(bed):
    status, found, said = bed.traffic("--register", 100, "--seconds", 2, "--rate", RATE, "--size",
                                      "imix")
    assert status == 0, said
    assert found["registration"]["bound"] == N_MOBILES
    rows = bed.box.ctl("show", "bindings")
    assert {r["care_of"][0]["address"] for r in rows} == {
        f"2001:db8:a1::{i:x}" if i else "2001:db8:a1::" for i in range(N_MOBILES)}
    trial, = found["trials"]
    for direction in ("down", "up"):
        count = trial[direction]
        # A busy machine may drop; what is no packet's fault must never happen.
        assert count["sent"] + count["unsent"] == pytest.approx(2 * RATE, rel=0.02)
        assert 0.5 * count["sent"] < count["received"] <= count["sent"]
        assert count["stray"] == 0
        check_latency(count["latency_us"])
    # What it counted is what the home agent counted, but for learning packets and what got lost.
    assert sum(r["packets_down"] for r in bed.box.ctl("show", "bindings")) >= \
        trial["down"]["received"]


def test_search_ends_with_a_rate(bed):
    status, found, said = bed.traffic(
        "--register", 100, "--search", "--max-loss", 0.5, "--precision", 0.5, "--rate", RATE,
        "--seconds", 0.5, "--direction", "up", "--size", "128,256")
    assert status == 0, said
    assert 1 <= len(found["trials"]) <= 3
    assert found["ndr_pps"] == max(
        (t["rate"] for t in found["trials"] if t["up"]["loss"] <= 0.5), default=0)
    assert "down" not in found["trials"][0]


def test_what_arrives_at_the_wrong_address_is_told(bed):
    """The generator is told other care-of addresses than those that the mobiles are bound to."""
    assert bed.traffic("--register", 100, "--seconds", 0.2, "--rate", RATE)[0] == 0
    status, found, said = bed.traffic("--seconds", 1, "--rate", RATE, "--direction", "down",
                                      care_of="2001:db8:a2::")
    assert status == 0, said
    count = found["trials"][0]["down"]
    assert count["stray"] > 0 and count["received"] == 0
    assert "AT THE WRONG ADDRESS" in said


@pytest.mark.parametrize("wrong", [
    ("--size", "77"), ("--size", "78,2000"), ("--rate", "0"), ("--mobiles", "1.5"),
    ("--direction", "sideways"), ("--core", "0"), ("--home", "here"), ("--nonsense",)])
def test_refuses_what_makes_no_sense(wrong):
    done = subprocess.run([str(BUILD / "perf/traffic/unwired-traffic"), "--core",
                           "0,02:00:00:00:00:01", *wrong, "--", "--no-pci"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert wrong[0].lstrip("-") in done.stderr
