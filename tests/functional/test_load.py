# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The load generator works; how fast, no test can say."""

import json
import os
import subprocess

from harness.box import CONTROL, ROOT


def rows_of(tmp_path, *options):
    out = tmp_path / "rows.json"
    done = subprocess.run(
        [str(ROOT / "perf/registrations"), "--build", str(CONTROL.parent.parent), "--mobiles",
         "2000", "--updates", "1000", "--rounds", "2", "--seconds", "0.3", "--cores", "0,0", "--out",
         str(out), *options], capture_output=True, text=True, timeout=90, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return {row["row"]: row for row in json.loads(out.read_text())["rows"]}


def check(rows, prefix, most_lost=0):
    for name in ("initial", "refresh", "handover"):
        row = rows[prefix + name]
        assert row["bindings"] == 2000 and row["extra"]["refused"] == 0
        assert row["cpu_us"]["min"] > 0
        assert row["extra"]["lost"] <= most_lost
    latency = rows[prefix + "refresh"]["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"]
    alone = rows[prefix + "refresh"]["extra"]["undisturbed_us"]
    assert alone["answers"] <= latency["answers"] and alone["max"] <= latency["max"]


def test_every_row_of_registrations(tmp_path):
    rows = rows_of(tmp_path)
    assert set(rows) == {"reg_import", "reg_filling", "reg_initial", "reg_refresh", "reg_handover",
                         "reg_bogus", "reg_disk", "reg_memory", "reg_restart"}
    check(rows, "reg_")
    assert rows["reg_bogus"]["extra"]["refused"] > 0
    assert rows["reg_disk"]["latency_us"]["answers"] > 10
    assert rows["reg_filling"]["bindings"] == 2000  # after the restart


def test_what_each_proof_costs(tmp_path):
    rows = rows_of(tmp_path, "initial", "proofs")
    for name in ("signed", "secured", "open"):
        row = rows["reg_" + name]
        assert row["bindings"] == 2000 and row["cpu_us"]["min"] > 0
        assert row["extra"]["refused"] == 0  # all were acknowledged, under ESP those of the secured


def test_registrations_through_the_whole_chain(tmp_path):
    rows = rows_of(tmp_path, "--chain", "initial", "refresh", "handover", "restart")
    assert set(rows) == {"chain_import", "chain_initial", "chain_refresh", "chain_handover",
                         "chain_memory", "chain_restart", "chain_resync", "chain_filling"}
    check(rows, "chain_", 1000)  # a busy machine drops frames
    # The dataplane forwards whatever the control process does, and from the beginning.
    for name, kinds in (("restart", ("plain", "bound")), ("resync", ("plain", "bound")),
                        ("filling", ("plain",))):
        for kind in kinds:
            flow = rows["chain_" + name]["extra"]["flow"][kind]
            assert flow["sent"] > 0 and flow["lost"] <= flow["sent"] // 2, (name, flow)
