# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The promises that hold at the end of every run, whatever the fault was."""

import pathlib
import re
import time
import urllib.request

import planted
from harness import account, netns
from probe import LATE_S

SETTLE_S = 4.0  # for buffers, queues and counters to come to rest
SHORT_LIFETIME_S = 4
EXPIRY_SLACK_S = 1.25  # a binding may outlive its lifetime by a second; the rest is a busy machine's
GROWTH_KB = 16 << 10
NOT_SECRET_FREE = ("subscribers",)  # the files that keep the keys


def _n_fds(process):
    return len(list(pathlib.Path(f"/proc/{process.popen.pid}/fd").iterdir()))


def _anonymous_kb(process):
    status = pathlib.Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status).group(1))


def _buffers(bed):
    return bed.box.ctl("status")["dataplane_status"]["buffers_in_use"]


def rest_of(bed):
    """What the box holds when it is at rest."""
    time.sleep(0.3)
    return {"buffers": _buffers(bed), "control_fds": _n_fds(bed.box.control),
            "dataplane_fds": _n_fds(bed.box.dataplane),
            "control_kb": _anonymous_kb(bed.box.control)}


def _within(look, holds, timeout_s=SETTLE_S):
    """Looks until it holds or the time is over; the last look."""
    deadline = time.monotonic() + timeout_s
    while not holds(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def _overlaps(spans, begin, end, slack_s=0.3):
    return any(b - slack_s <= end and begin <= e + slack_s for b, e in spans)


def no_foreign_delivery(run, _row):
    """I4"""
    yield from run.probe.foreign[:4]
    if run.probe.doubled:
        yield f"{run.probe.doubled} packets came twice"


def one_true_answer(run, row):
    """I5"""
    if not row.roams:
        return
    yield from run.roamers.answered_twice()[:4]
    outages = run.data_outages + run.signalling_outages
    yield from [text for when, text in run.roamers.unusable
                if not _overlaps(outages, when, when + 0.25)][:4]
    bound = run.bed.bindings()
    for home, (seq, care_of) in run.roamers.acknowledged.items():
        has = bound.get(home)
        if has is None or (has["sequence"] - seq & 0xffff) >= 0x8000:
            yield f"{home} was acknowledged with sequence {seq}, the box has {has}"
        elif has["sequence"] == seq and has["care_of"] != care_of:
            yield f"{home} was acknowledged at {care_of}, the box has {has}"
    strange = {status for _, status in run.roamers.refused} - run.may_refuse
    if strange:
        yield f"registrations were refused with {sorted(strange)}"


def conservation(run, _row):
    """I7"""
    yield from account.problems(run.bed.box)


def bounded(run, _row):
    """I8"""
    bed = run.bed
    at_rest = bed.rest["buffers"]
    seen = _within(lambda: _buffers(bed), lambda n: n <= at_rest)
    if seen > at_rest:
        yield f"{seen} packet buffers in use at rest, {at_rest} at the start"
    for name, process in (("control", bed.box.control), ("dataplane", bed.box.dataplane)):
        before = bed.rest[f"{name}_fds"]
        seen = _within(lambda: _n_fds(process), lambda n: n <= before)
        if seen > before:
            yield f"{name} has {seen} descriptors, {before} at the start"
    seen = _anonymous_kb(bed.box.control)
    if seen > bed.rest["control_kb"] + GROWTH_KB:
        yield f"control has {seen} kB of memory, {bed.rest['control_kb']} kB at the start"


def lifetimes(run, _row):
    """I9"""
    if run.short is None:
        return
    flow, asked, acknowledged = run.short
    first_end, last_end = asked + SHORT_LIFETIME_S, acknowledged + SHORT_LIFETIME_S + EXPIRY_SLACK_S
    for begin, end in run.signalling_outages:
        if begin <= last_end <= end + EXPIRY_SLACK_S:
            last_end = end + EXPIRY_SLACK_S
    early = [n for n, sent in enumerate(flow.sent)
             if acknowledged < sent < first_end - 0.02 and n not in flow.came and
             not _overlaps(run.data_outages, sent, sent)]
    late = [n for n in flow.came if flow.sent[n] > last_end]
    if early:
        yield (f"{len(early)} packets lost before the end of a lifetime, the first "
               f"{flow.sent[early[0]] - asked:.2f} s after its beginning")
    if late:
        yield (f"{len(late)} packets delivered after the end of a lifetime, the last "
               f"{max(flow.sent[n] for n in late) - acknowledged:.2f} s after its beginning")
    home = flow.mobile.home
    if run.bed.box.binding(home) is not None and time.time() > last_end:
        yield f"{home} is still bound"


def comes_up_alone(run, _row):
    """I11"""
    box = run.bed.box
    for process in (box.control, box.dataplane):
        if process is None or not process.alive:
            yield f"{process and process.name} is dead"
    if (sync := _within(box.sync, lambda word: word == "synced")) != "synced":
        yield f"control and dataplane are not in step: {sync}"


def no_secrets(run, _row):
    """I12"""
    bed = run.bed
    seen = {}
    for path in bed.box.dir.rglob("*"):
        if path.is_file() and not path.name.startswith(NOT_SECRET_FREE) and \
                path.suffix != ".pcap":
            seen[str(path.relative_to(bed.box.dir))] = path.read_bytes()
    for core in pathlib.Path(bed.scratch).glob("core*"):
        seen[core.name] = core.read_bytes()
    for words in (("status",), ("show", "bindings"), ("show", "networks"), ("show", "drops"),
                  ("show", "sync")):
        for form in ((), ("--json",)):
            done = bed.box.ctl_process(*form, *words)
            seen[" ".join(("unwiredctl", *form, *words))] = (done.stdout + done.stderr).encode()
    with netns.inside(bed.lab.ha):
        seen["metrics"] = urllib.request.urlopen("http://[::1]:9273/metrics", timeout=5).read()
    for name, text in seen.items():
        if any(key in text for key in planted.keys()):
            yield f"a key stands in {name}"


INVARIANTS = {"I4": no_foreign_delivery, "I5": one_true_answer, "I7": conservation, "I8": bounded,
              "I9": lifetimes, "I11": comes_up_alone, "I12": no_secrets}


def _covered_s(spans):
    """The seconds that spans of time cover together."""
    total_s, covered_to = 0.0, 0.0
    for begin, end in sorted(spans):
        total_s += max(0.0, end - max(begin, covered_to))
        covered_to = max(covered_to, end)
    return total_s


def _excess(gap_s, bar_ms, outages, machine_s=0.0):
    """How long a gap is and may be, in a sentence, when it is too long: the bar stands on top of the
    time in which the row itself, or who starts processes again, had them down, and of that for which
    the machine did not serve others either."""
    if bar_ms is None:
        return None
    allowed_ms = bar_ms + 1000 * (_covered_s(outages) + machine_s)
    if gap_s * 1000 <= allowed_ms:
        return None
    return f"gap of {gap_s * 1000:.0f} ms, {allowed_ms:.0f} allowed"


def judge(run, row):
    """Adds what is broken to the run: bars of the row, then the invariants."""
    # Packets that were only late are measured by those of the path beside the box's.
    n_lost, machine_s = run.probe.n_lost(), run.probe.machine_s()
    if text := _excess(run.probe.gap_s(), row.data_bar_ms, run.data_outages,
                       0.0 if n_lost else LATE_S + 2 * machine_s):
        run.broken.append(f"data {text} ({n_lost} of {run.probe.n_sent()} packets lost; the machine "
                          f"alone took {machine_s * 1000:.0f} ms)")
    if text := _excess(run.signalling_gap_s, row.signalling_bar_ms, run.signalling_outages):
        run.broken.append(f"signalling {text}")
    for name in ("I11", *(n for n in INVARIANTS if n != "I11")):
        broken = [f"{name}: {text}" for text in INVARIANTS[name](run, row)]
        run.broken += broken
        if name == "I11" and broken:
            return  # nothing more can be asked
