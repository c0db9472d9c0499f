# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The machine under the measurement: what it is, its quietest core, its hugepages."""

import contextlib
import os
import pathlib
import platform
import subprocess
import time

LOOK_S = 0.6  # how long each core is listened to
GAP_NS = 20_000  # a pause in a busy loop that somebody else must have caused
HUGEPAGE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
HUGEPAGE_MB = 2


def _listen(core):
    """Shares of a core's time that a busy loop on it does not get, and its longest pause."""
    os.sched_setaffinity(0, {core})
    lost = longest = 0
    begin = last = time.perf_counter_ns()
    while last - begin < LOOK_S * 1e9:
        now = time.perf_counter_ns()
        if now - last > GAP_NS:
            lost += now - last
            longest = max(longest, now - last)
        last = now
    return {"core": core, "lost": lost / (last - begin), "longest_pause_us": longest / 1e3}


def listen():
    """Listens to all cores that this process may use at the same time; the quietest comes first."""
    cores = sorted(os.sched_getaffinity(0))
    ends = []
    for core in cores:
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            found = _listen(core)
            os.write(into, f"{found['lost']} {found['longest_pause_us']}".encode())
            os._exit(0)
        os.close(into)
        ends.append((core, pid, out))
    found = []
    for core, pid, out in ends:
        with os.fdopen(out) as pipe:
            lost, longest = map(float, pipe.read().split())
        os.waitpid(pid, 0)
        found.append({"core": core, "lost": lost, "longest_pause_us": longest})
    # Cores alike within a thousandth: the last, since interrupts go to the first.
    return sorted(found, key=lambda c: (round(c["lost"], 3), -c["core"]))


def _read(path, otherwise=""):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return otherwise


def _siblings(core):
    """Cores that share the core's execution units, itself among them."""
    found = set()
    text = _read(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list", str(core))
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def pick_cores():
    """(the quiet core, another one or None, what was heard on all). The other is for a second worker and
    for what must not run beside the measurement; not a sibling of the first if that can be avoided."""
    heard = listen()
    quiet = heard[0]["core"]
    others = [c["core"] for c in heard[1:]]
    others.sort(key=lambda c: c in _siblings(quiet))  # stable: the quietest stays first
    return quiet, others[0] if others else None, heard


def describe():
    """What a reader needs to judge figures from this machine."""
    cpuinfo = _read("/proc/cpuinfo")
    fields = dict(line.split(":", 1) for line in cpuinfo.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    dpdk = subprocess.run(["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True)
    return {
        "cpu": fields.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "is_virtual": "hypervisor" in fields.get("flags", "").split(),
        "has_avx512": "avx512f" in fields.get("flags", "").split(),
        "memory_mb": memory_mb(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none"),
        "isolated_cores": _read("/sys/devices/system/cpu/isolated"),
        "kernel": platform.release(),
        "system": _read("/etc/debian_version"),
        "dpdk": dpdk.stdout.strip(),
    }


def memory_mb():
    """Memory that can be had."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 0


def _pages(name):
    return int(_read(HUGEPAGE / name, "0"))


@contextlib.contextmanager
def hugepages(need_mb):
    """Sees to need_mb of free hugepages for the time of the block: those that are there or, as root, more
    from the kernel, which gets them back. Gives True when there are enough."""
    before = _pages("nr_hugepages")
    missing = -(-need_mb // HUGEPAGE_MB) - _pages("free_hugepages")
    asked = 0
    if missing > 0 and os.geteuid() == 0 and memory_mb() > need_mb + 1024:
        with contextlib.suppress(OSError):
            (HUGEPAGE / "nr_hugepages").write_text(str(before + missing))
            asked = _pages("nr_hugepages") - before
    try:
        yield _pages("free_hugepages") * HUGEPAGE_MB >= need_mb
    finally:
        if asked > 0:
            with contextlib.suppress(OSError):
                left = max(0, _pages("nr_hugepages") - asked)
                (HUGEPAGE / "nr_hugepages").write_text(str(left))
