# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The load generator works; how fast, no test can say."""

import json
import os
import subprocess

from harness.box import CONTROL, ROOT


def test_every_row_of_registrations(tmp_path):
    out = tmp_path / "rows.json"
    build = CONTROL.parent.parent
    done = subprocess.run(
        [str(ROOT / "perf/registrations"), "--build", str(build), "--mobiles", "2000", "--updates",
         "1000", "--rounds", "2", "--seconds", "0.3", "--cores", "0,0", "--out", str(out)],
        capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    rows = {row["row"]: row for row in json.loads(out.read_text())["rows"]}
    assert set(rows) == {"reg_import", "reg_filling", "reg_initial", "reg_refresh", "reg_handover",
                         "reg_bogus", "reg_memory", "reg_restart"}
    for name in ("reg_initial", "reg_refresh", "reg_handover"):
        row = rows[name]
        assert row["bindings"] == 2000 and row["extra"]["refused"] == 0
        assert row["cpu_us"]["min"] > 0
    assert rows["reg_bogus"]["extra"]["refused"] > 0
    assert rows["reg_filling"]["bindings"] == 2000  # after the restart
    latency = rows["reg_refresh"]["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"]
