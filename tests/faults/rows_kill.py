# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Processes that die: control at every point of a registration, the CLI, the dataplane, a worker."""

import re
import socket
import subprocess
import time

import killpoint
from harness import netns, thread
from harness.box import CTL
from row import Row

TRIES = 3
RETRY_S = 3.0  # a client gets its answer within this, whatever died
N_LISTED = 300


def _answer_of(mobile, mark, seq, care_of, timeout_s):
    try:
        return mobile.answer(mark, seq, care_of, timeout_s)
    except AssertionError:
        return None


def _retry(run, mobile, care_of, since):
    """What a mobile does that got no answer: tries anew. Returns the seconds until it had one."""
    while time.time() < since + 10:
        mark, seq = mobile.send_update(care_of=care_of)
        answer = _answer_of(mobile, mark, seq, care_of, 0.2)
        if answer is not None and answer.status == 135:
            mobile.seq = answer.seq
        elif answer is not None:
            run.require(answer.status == 0, f"the retry was refused with {answer.status}")
            return time.time() - since
    run.require(False, "no answer within 10 s")
    return 10.0


def _die_at(run, mobile, name, number):
    """Control dies there in the middle of a registration; the supervisor starts it again. Returns how
    long the mobile was without an answer, or None when control did not come to that point."""
    bed, box = run.bed, run.bed.box
    point = f"{name}#{number}"
    care_of = (mobile.care_of, mobile.second_care_of)[mobile.seq & 1]
    with killpoint.armed(box.control.popen.pid, box.dir / "strace.log", name, number):
        since = time.time()
        mark, seq = mobile.send_update(care_of=care_of)
        try:
            box.control.popen.wait(0.7)
        except subprocess.TimeoutExpired:
            return None
    with run.outage(signalling=True):
        was_told = _answer_of(mobile, mark, seq, care_of, 0.05)
        box.control = None
        bed.restart_control(run)
    has = box.binding(mobile.home)
    if was_told is not None and was_told.status == 0:
        run.require(has is not None and has["sequence"] == seq and
                    has["care_of"][0]["address"] == care_of,
                    f"killed at {point}: acknowledged {seq} at {care_of}, but there is {has}")
    waited_s = _retry(run, mobile, care_of, since)
    run.require(waited_s <= RETRY_S, f"killed at {point}: {waited_s:.1f} s without an answer")
    mobile.receive_down(care_of=care_of)
    return waited_s


def _points(run, mobile):
    box = run.bed.box
    return killpoint.calls_of(box.control.popen.pid, box.dir / "strace.log",
                              lambda: mobile.register(care_of=mobile.second_care_of))


def kill_control(run):
    """K1: before, in the middle of and after storing, publishing and answering."""
    mobile = run.bed.lab.mobile()
    mobile.register()
    points = _points(run, mobile)
    names = [name for name, _ in points]
    run.require("fdatasync" in names or "fsync" in names, f"nothing is made durable: {points}")
    if run.is_quick:
        stored = max(i for i, name in enumerate(names) if "sync" in name or "write" in name)
        points = [points[names.index("fdatasync")], points[stored + 1], points[-1]]
    waits = {}
    for name, number in points:
        for _ in range(TRIES):  # not every commit writes its pages by the same calls
            waited_s = _die_at(run, mobile, name, number)
            if waited_s is not None:
                waits[f"{name}#{number}"] = waited_s
                break
    run.require(len(waits) >= len(points) - 1, f"only {list(waits)} were reached of {points}")
    worst = max(waits, key=waits.get)
    run.signalling_gap_s = waits[worst]
    run.note(f"{len(waits)} kill points, the longest wait {waits[worst]:.2f} s at {worst}")


def kill_helpers(run):
    """K3: whoever reads our lists and dies with them half read."""
    bed = run.bed
    for _ in range(N_LISTED):
        bed.lab.mobile().send_update()
    bed.box.wait_for(lambda: len(bed.bindings()) >= N_LISTED, 10, "bindings to list")
    ctl = [str(CTL), "--run-dir", str(bed.box.run_dir)]
    for words in (["show", "bindings"], ["--json", "show", "bindings"], ["monitor"]) * 3:
        with subprocess.Popen(ctl + words, stdout=subprocess.PIPE) as helper:
            if words[-1] != "monitor":
                helper.stdout.read(1)
            time.sleep(0.05)
            helper.kill()
    for _ in range(5):
        with netns.inside(bed.lab.ha):
            reader = socket.create_connection(("::1", 9273), timeout=2)
        with reader:
            reader.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def kill_dataplane(run):
    """K4 on one box: its bindings come back with it."""
    with run.outage(data=True, signalling=True):
        run.bed.box.kill_dataplane()
        run.bed.restart_dataplane(run)
    run.note("one box alone: the gap is the time of its restart")


def _watched(run, stop):
    """Does something to a worker; the watchdog must end the process, and it comes back. Returns what
    the dataplane said of it: CPU time and time, in ms."""
    box = run.bed.box
    workers = thread.named(box.dataplane.popen.pid, "rte-worker")
    with run.outage(data=True, signalling=True):
        stop(workers[0])
        said = re.findall(r"worker_stuck worker=0 cpu_ms=(\d+) waited_ms=(\d+)\n(.*\[0x)?",
                          box.dataplane.tail(80))
        box.dataplane = None
        run.bed.restart_dataplane(run)
    assert said, "nothing was logged of the stuck worker"
    return int(said[-1][0]), int(said[-1][1]), said[-1][2] != ""


def stick_worker(run):
    """K5: a worker in an endless loop, and one that hangs."""
    box = run.bed.box

    def spins(worker):
        thread.spin(box.dataplane.popen.pid, worker)
        box.dataplane.popen.wait(10)

    def hangs(worker):
        with thread.stopped(worker) as has_died:
            box.wait_for(has_died, 10, "the watchdog to end the dataplane")
        box.dataplane.popen.wait(10)

    cpu_ms, waited_ms, has_stack = _watched(run, spins)
    run.note(f"endless loop: ended after {cpu_ms} ms of CPU time, {waited_ms} ms in all")
    run.require(cpu_ms <= 550 and waited_ms <= 2200, "the endless loop was noticed late")
    run.require(has_stack, "no stack of the worker was dumped")
    if not run.is_quick:
        _, waited_ms, _ = _watched(run, hangs)
        run.note(f"hanging: ended after {waited_ms} ms")
        run.require(waited_ms <= 2300, "the hanging worker was noticed late")


ROWS = [
    Row("K1", "control dies at every call of a registration", kill_control,
        data_bar_ms=0, signalling_bar_ms=3000, roams=False, quick=True),
    Row("K3", "CLI, monitor, metrics readers die half way", kill_helpers,
        data_bar_ms=0, signalling_bar_ms=1000, quick=True),
    Row("K4", "the dataplane dies", kill_dataplane,
        data_bar_ms=1000, quick=True),
    Row("K5", "a worker stuck", stick_worker, data_bar_ms=1000, quick=True),
]
