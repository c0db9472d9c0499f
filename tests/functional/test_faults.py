# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The quick part of the fault runner: tests/faults/run tells of the whole."""

import json
import pathlib
import subprocess

from harness.box import BUILD

RUN = pathlib.Path(__file__).resolve().parents[1] / "faults" / "run"


def test_promises_hold_through_the_quick_faults(root, tmp_path):
    output = tmp_path / "faults.json"
    done = subprocess.run([str(RUN), "--quick", "--json", str(output)], capture_output=True,
                          text=True, timeout=600, env={"UNWIRED_BUILD": str(BUILD),
                                                       "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["row"]: row for row in json.loads(output.read_text())}
    assert {"K1", "K3", "K4", "K5", "C2", "R1", "M3"} <= rows.keys()
    assert all(row["sent"] > 0 for row in rows.values())


def test_unknown_row_is_refused():
    done = subprocess.run([str(RUN), "K99"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "K99" in done.stderr and "K1" in done.stderr
