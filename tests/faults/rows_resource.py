# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What there is too little of: memory, buffers, table entries, descriptors, disk, CPU."""

import collections
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

import buffers
import limits
from harness import netns, thread
from harness.box import CTL, DATAPLANE
from harness.lab import CORRESPONDENT
from row import Row

RESOURCES = 130
SMALL_TABLE = 24
LOG_DISK_KB = 64
MEMORY_ROOM_KB = 256


def too_little_memory(run):
    """R1: a start that cannot work says so in one line, next to a process that goes on."""
    box = run.bed.box
    with tempfile.TemporaryDirectory(prefix="unwired-r1-") as other:
        config = pathlib.Path(other) / "unwired.json"
        for more in ({"hugepages": "on", "memory_mb": 1048576}, {"memory_mb": 1048576},
                     {"memory_mb": 64}):
            config.write_text(json.dumps(
                {**box.config, "dataplane": {**box.config["dataplane"], **more}}))
            done = subprocess.run(
                ["ip", "netns", "exec", box.namespace, str(DATAPLANE), "--config", str(config),
                 "--run-dir", f"{other}/run", "--state-dir", f"{other}/state"],
                capture_output=True, text=True, timeout=20)
            lines = done.stderr.strip().splitlines()
            run.require(done.returncode == 1, f"{more}: exit status {done.returncode}")
            run.require(len(lines) == 1 and " err " in lines[0] and "key=dataplane." in lines[0],
                        f"{more}: {done.stderr}")


def no_buffers(run):
    """R2: nobody gives packet buffers back, and what is left is held by fragments; then they are free."""
    bed, box, lab = run.bed, run.bed.box, run.bed.lab
    agent = bed.mobiles[0].agent
    fragments = [bytes(IPv6(src=f"2001:db8:a5:{n:x}::2", dst=agent) /
                       IPv6ExtHdrFragment(nh=41, m=1, id=n) / Raw(bytes(512))) for n in range(1500)]
    before = _losses(box)
    with run.outage(data=True, signalling=True):
        with buffers.lost(box.dataplane.popen.pid) as n_lost:
            for at in range(0, len(fragments), 100):
                lab.access.send(*fragments[at:at + 100])
                time.sleep(0.02)
            with netns.inside(lab.ha), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours:
                for _ in range(1000):  # what the box itself has to say has no buffer either
                    ours.sendto(b"x", (CORRESPONDENT, 9))
            time.sleep(0.3)
            taken = _losses(box) - before
        freed = time.monotonic()
    bed.mobiles[0].receive_down()
    bed.mobiles[0].receive_up()
    run.note(f"{n_lost} buffers lost, forwarding again {time.monotonic() - freed:.2f} s after")
    run.note(f"without a buffer: {dict(taken)}")
    run.require(sum(taken.values()) > 0, "nothing was dropped by name")


def _losses(box):
    """What was lost for want of a buffer, by name: drops, and frames that stayed with the device."""
    drops = box.drops()
    return collections.Counter(
        {name: drops[name] for name in ("mbuf_empty", "no_buffer")} |
        {"rx_no_buffer": sum(p["rx_no_buffer"] for p in box.rows("ports"))})


def full_table(run):
    """R3: who comes too late is told so; who is in stays."""
    bed, run_lab = run.bed, run.bed.lab
    run.may_refuse.add(RESOURCES)
    inside, refused = [], None
    for _ in range(2 * SMALL_TABLE):
        one = run_lab.mobile()
        status = one.update().status
        if status == RESOURCES:
            refused = one
            break
        run.require(status == 0, f"refused with {status}")
        inside.append(one)
    run.require(refused is not None and inside, "the table never filled")
    run.require(len(bed.bindings()) == SMALL_TABLE, f"{len(bed.bindings())} of {SMALL_TABLE} bound")
    refused.assert_unbound()
    for one in bed.mobiles:
        answer = one.update()
        run.require(answer.status == 0, f"a bound mobile was refused with {answer.status}")
    inside[0].register(lifetime_s=0)
    run.require(refused.update().status == 0, "no room after one left")
    refused.assert_bound()
    for one in inside[1:] + [refused]:
        one.register(lifetime_s=0)


def _log_on_small_disk(bed):
    """The logs of both processes lie on a disk of their own."""
    disk = bed.box.dir / "logs"
    disk.mkdir()
    netns.run("mount", "-t", "tmpfs", "-o", f"size={LOG_DISK_KB}k,mode=755", "tmpfs", disk)
    for name in ("control", "dataplane"):
        (bed.box.dir / f"{name}.log").symlink_to(disk / f"{name}.log")
    close = bed.lab.close

    def close_and_unmount():
        problems = close()
        netns.run("umount", "-l", disk, check=False)
        return problems

    bed.lab.close = close_and_unmount


def _fill(directory):
    """Takes all room there. Returns the file that has it."""
    filler = directory / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", 0) as file:
        while True:
            file.write(bytes(4096))
    return filler


@contextlib.contextmanager
def _monitors(box, n):
    """So many readers of events, more than control has descriptors for."""
    readers = [subprocess.Popen([str(CTL), "--run-dir", str(box.run_dir), "monitor"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for _ in range(n)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def _cpu_s(process):
    """CPU time that a process has spent."""
    fields = pathlib.Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def no_descriptors_no_disk(run):
    """R4: logs and listings suffer, bindings do not."""
    bed, box = run.bed, run.bed.box
    filler = _fill(box.dir / "logs")
    box.ctl_process("reload")  # logs
    run.require(os.statvfs(filler).f_bavail == 0, "the disk of the logs is not full")
    fresh = bed.lab.mobile()
    fresh.register()
    fresh.assert_bound()
    box.kill_control()
    n_fds = bed.rest["control_fds"]
    box.wrap["control"] = ["prlimit", f"--nofile={n_fds}:{n_fds}"]
    with run.outage(signalling=True):
        box.start_control()
        bed.lab.settle()
    with _monitors(box, 8):
        before_s = _cpu_s(box.control)
        time.sleep(1)
        spent_s = _cpu_s(box.control) - before_s
        run.require(spent_s < 0.3, f"control spent {spent_s:.1f} s of a second without descriptors")
        fresh.register()
        fresh.assert_bound()
    filler.unlink()
    box.wait_for(lambda: box.ctl_process("status").returncode == 0, 5, "the status again")
    del box.wrap["control"]
    box.kill_control()
    bed.restart_control(run)


def no_memory(run):
    """R4: control may have no more memory than it has; what it acknowledges it does not forget, and
    when the kernel ends it, it comes back."""
    bed, box, acked, statuses, ends = run.bed, run.bed.box, [], [], 0
    run.may_refuse.add(RESOURCES)
    if not limits.has("memory"):
        run.note("not done: no memory control group on this machine")
        return
    with limits.limited("memory", box.control.popen.pid,
                        ("memory.limit_in_bytes", MEMORY_ROOM_KB << 10)) as group:
        for _ in range(100 if run.is_quick else 400):
            one = bed.lab.mobile()
            mark, seq = one.send_update()
            try:
                statuses.append(one.answer(mark, seq, timeout_s=0.3).status)
            except AssertionError:
                statuses.append(None)
            if statuses[-1] == 0:
                acked.append(one)
            if len(acked) % 20 == 0:
                box.ctl_process("show", "bindings")
            if not box.control.alive:
                ends += 1
                box.control = None
                bed.restart_control(run)
        n_short = int((group / "memory.failcnt").read_text())
    bound = bed.bindings()
    for one in acked:
        run.require(one.home in bound, f"{one.home} was acknowledged and forgotten")
    acked[-1].assert_bound()
    told = {status: statuses.count(status) for status in dict.fromkeys(statuses)}
    run.note(f"answers {told}, {n_short} times at the limit, ended by the kernel {ends} times")
    for one in acked:
        one.send_update(lifetime_s=0)
    bed.lab.settle()


@contextlib.contextmanager
def _hogs(core, nices):
    """Endless loops on that core, one for each niceness."""
    hogs = []
    try:
        for nice in nices:
            hogs.append(subprocess.Popen([sys.executable, "-c", f"""
import os
os.setpriority(os.PRIO_PROCESS, 0, {nice})
os.sched_setaffinity(0, [{core}])
while True:
    pass
"""]))
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def stolen_cpu(run):
    """R5: somebody else wants the workers' core, half of all time is taken, cores are taken away."""
    box = run.bed.box
    core = box.config["dataplane"]["worker_cores"][0]
    length_s = 0.7 if run.is_quick else 2
    for nices in ([0], [0, 0, 0], [-20]):
        with _hogs(core, nices):
            time.sleep(length_s)
    if limits.has("cpu"):
        with limits.limited("cpu", box.dataplane.popen.pid, ("cpu.cfs_period_us", 20000),
                            ("cpu.cfs_quota_us", 10000)), _hogs(core, [0]):
            time.sleep(length_s)
    others = os.sched_getaffinity(0) - {core}
    for worker in thread.named(box.dataplane.popen.pid, "rte-worker"):
        before = os.sched_getaffinity(worker)
        for cores in (others, before):
            if cores:
                os.sched_setaffinity(worker, cores)
                time.sleep(length_s)


ROWS = [
    Row("R1", "starts with memory that is not there", too_little_memory,
        data_bar_ms=0, quick=True),
    Row("R2", "all packet buffers are lost for a while", no_buffers,
        data_bar_ms=2000, signalling_bar_ms=2000),
    Row("R3", "the binding table is full", full_table, data_bar_ms=0, has_short=False,
        bed={"max_bindings": SMALL_TABLE}),
    Row("R4", "no descriptors, the log's disk is full", no_descriptors_no_disk, data_bar_ms=0,
        signalling_bar_ms=4000,
        bed={"prepare": _log_on_small_disk}),
    Row("R4m", "no more memory for control", no_memory, data_bar_ms=0, signalling_bar_ms=4000),
    Row("R5", "others take the workers' core, half the time, cores", stolen_cpu, data_bar_ms=None,
        signalling_bar_ms=None),
]
