# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Clocks that jump, and time in which nothing runs."""

import os
import signal
import time

from row import Row

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
STEPS = ("+3600", "-3600", "@2038-01-19 03:14:06", "+0")
ID_MISMATCH = 144  # RFC 4285: what an authenticated mobile is told whose clock differs from ours


def _false_clock(bed):
    """Control is started with a wall clock of its own, which bed.step_clock sets. Its other clocks
    are the machine's."""
    file = bed.box.dir / "wall-clock"

    def step_clock(to):
        file.with_suffix(".new").write_text(f"{to}\n")
        file.with_suffix(".new").rename(file)

    assert os.path.exists(FAKETIME), "needs the Debian package libfaketime"
    bed.step_clock = step_clock
    bed.box.wrap["control"] = [
        "env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]
    step_clock("+0")


def step_clock(run):
    """C1: no step of the wall clock changes a lifetime, nor does one across a restart."""
    bed = run.bed
    run.may_refuse.add(ID_MISMATCH)
    held = {one.home for one in bed.mobiles}
    for to in STEPS[:2] if run.is_quick else STEPS:
        bed.step_clock(to)
        time.sleep(0.8)
        run.require(held <= bed.bindings().keys(), f"bindings ended with the clock at {to}")
        bed.box.kill_control()
        bed.restart_control(run)
        run.require(held <= bed.bindings().keys(), f"bindings ended in a restart with the clock at {to}")
    saw = {status for _, status in run.roamers.refused}
    run.require(ID_MISMATCH in saw, "the clock of control did not step")
    bed.step_clock("+0")


def pause(run):
    """C2: everything stands still, as a virtual machine that is moved."""
    box = run.bed.box
    length_s = 3 if run.is_quick else 10
    with run.outage(data=True, signalling=True):
        for process in (box.control, box.dataplane):
            process.popen.send_signal(signal.SIGSTOP)
        time.sleep(length_s)
        for process in (box.dataplane, box.control):
            process.popen.send_signal(signal.SIGCONT)
    run.note(f"stood still for {length_s} s")


ROWS = [
    Row("C1", "the wall clock steps 1 h, back, past 2038", step_clock,
        data_bar_ms=0, bed={"prepare": _false_clock}),
    Row("C2", "both processes stand still", pause,
        data_bar_ms=1000, quick=True),
]
