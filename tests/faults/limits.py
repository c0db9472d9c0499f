# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Limits put on a running process from outside, by the kernel's control groups (version 1)."""

import contextlib
import os
import pathlib
import tempfile
import time

ROOT = pathlib.Path("/sys/fs/cgroup")


def has(controller):
    """Whether this machine has that controller in version 1."""
    return (ROOT / controller / "cgroup.procs").exists()


def _remove(group):
    """Removes an empty group, which the dead leave a little later than they die."""
    for _ in range(50):
        try:
            os.rmdir(group)
            return
        except OSError:
            time.sleep(0.1)


@contextlib.contextmanager
def limited(controller, pid, *settings):
    """The process is in a group of its own with these (file, value) for the time of the block; of memory
    counts what it takes from then on. Gives the group's directory."""
    group = pathlib.Path(tempfile.mkdtemp(prefix="unwired-faults-", dir=ROOT / controller))
    try:
        for name, value in settings:
            (group / name).write_text(str(value))
        (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (ROOT / controller / "cgroup.procs").write_text(left)
        _remove(group)
