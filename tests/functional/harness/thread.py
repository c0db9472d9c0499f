# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""One thread of a process, stopped or sent into an endless loop from outside, by ptrace (x86-64)."""

import contextlib
import ctypes
import os
import pathlib
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long

_GETREGS, _SETREGS, _DETACH, _SEIZE, _INTERRUPT = 12, 13, 17, 0x4206, 0x4207
_WALL = 0x40000000
_N_REGS = 27
_ORIG_RAX, _RIP = 15, 16  # of struct user_regs_struct
_JUMP_TO_ITSELF = b"\xeb\xfe"


def _ptrace(request, tid, data=0):
    if _libc.ptrace(request, tid, None, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {tid}")


def named(pid, prefix):
    """The numbers of a process' threads whose names begin so, in order."""
    tasks = sorted(pathlib.Path(f"/proc/{pid}/task").iterdir(), key=lambda t: int(t.name))
    return [int(t.name) for t in tasks if (t / "comm").read_text().startswith(prefix)]


def _stop(tid):
    _ptrace(_SEIZE, tid)
    _ptrace(_INTERRUPT, tid)
    os.waitpid(tid, _WALL)


@contextlib.contextmanager
def stopped(tid):
    """This one thread stands still for the time of the block. Gives a function that says whether the
    process has died meanwhile: its parent learns of it only after that function has said so."""
    def has_died():
        try:
            number, status = os.waitpid(tid, _WALL | os.WNOHANG)
        except ChildProcessError:
            return True
        return number == tid and (os.WIFSIGNALED(status) or os.WIFEXITED(status))

    _stop(tid)
    try:
        yield has_died
    finally:
        try:
            _ptrace(_DETACH, tid)
        except OSError:  # it has died: nobody could wait for the process before this thread of it
            has_died()


def _endless_loop(pid):
    """The address of a jump to itself somewhere in the process' code."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if rights[2] != "x" or "[v" in line:
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            memory.seek(begin)
            at = memory.read(end - begin).find(_JUMP_TO_ITSELF)
            if at >= 0:
                return begin + at
    raise LookupError("no endless loop in the code of the process")


def spin(pid, tid):
    """Sends this one thread into an endless loop, for ever."""
    target = _endless_loop(pid)
    _stop(tid)
    try:
        registers = ctypes.create_string_buffer(8 * _N_REGS)
        _ptrace(_GETREGS, tid, ctypes.addressof(registers))
        struct.pack_into("Q", registers, 8 * _RIP, target)
        struct.pack_into("q", registers, 8 * _ORIG_RAX, -1)  # no system call to go on with
        _ptrace(_SETREGS, tid, ctypes.addressof(registers))
    finally:
        _ptrace(_DETACH, tid)
