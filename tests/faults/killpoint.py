# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""kill -9 of a process at the system call of one's choice, by strace.

The kill points of the control process are found, not marked: one registration is traced, and every
system call in it is a point. The call at which the process dies is not executed any more.
"""

import contextlib
import re
import subprocess
import time

_WAITING = ("epoll_wait", "epoll_pwait")
_CALL = re.compile(r"^(?:\[pid +\d+\] )?(\w+)\(")


@contextlib.contextmanager
def traced(pid, log, *more):
    """strace on the process for the time of the block; it stands when the block begins."""
    with subprocess.Popen(["strace", "-p", str(pid), "-o", str(log), *more],
                          stderr=subprocess.PIPE, text=True) as strace:
        line = strace.stderr.readline()
        assert "attached" in line, f"strace: {line}"
        try:
            yield strace
        finally:
            if strace.poll() is None:
                strace.terminate()
            strace.stderr.read()


def calls_of(pid, log, action):
    """The system calls that the process makes for what action() asks of it: [(name, how many'th of
    that name it is)], the wait after them last."""
    with traced(pid, log):
        action()
        time.sleep(0.05)
    calls, count = [], {}
    names = [m.group(1) for line in log.read_text().splitlines() if (m := _CALL.match(line))]
    while names and names[0] in _WAITING:
        names.pop(0)
    for name in names:
        count[name] = count.get(name, 0) + 1
        calls.append((name, count[name]))
        if name in _WAITING:
            break
    return calls


def armed(pid, log, name, number):
    """A context in which the process dies at its number'th call of that name."""
    return traced(pid, log, "-e", f"trace={name}", "-e",
                  f"inject={name}:error=EINTR:signal=KILL:when={number}")
