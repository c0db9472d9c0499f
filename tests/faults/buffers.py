# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Packet buffers that are lost to a running dataplane, and given back: the pool's free list is changed
from outside while the process stands still. For DPDK 22.11 on x86-64."""

import contextlib
import os
import pathlib
import signal
import struct
import subprocess
import time

from harness.box import DATAPLANE

_POOL_NAME = b"packets\0"
_POOL_DATA = 32  # of struct rte_mempool: its ring
_RING_NAME = b"MP_packets\0"
_SIZE, _PROD, _CONS, _OBJECTS = 48, 128, 256, 384  # of struct rte_ring
_WORKER_LOOK = 8192  # bytes of struct worker in which the pool's address stands
_POINTER = struct.Struct("Q")


class _Memory:
    """The memory of a process."""

    def __init__(self, pid):
        self.pid = pid
        self.file = open(f"/proc/{pid}/mem", "r+b", 0)

    def read(self, at, n):
        return os.pread(self.file.fileno(), n, at)

    def write(self, at, data):
        os.pwrite(self.file.fileno(), data, at)

    def pointer(self, at):
        return _POINTER.unpack(self.read(at, 8))[0]

    def pair(self, at):
        """Head and tail of one end of a ring."""
        return struct.unpack("II", self.read(at, 8))


def _symbol(memory, name):
    """The address of a variable of the program."""
    lines = subprocess.run(["nm", str(DATAPLANE)], capture_output=True, text=True, check=True).stdout
    offset = next(int(line.split()[0], 16) for line in lines.splitlines()
                  if line.split()[-1] == name)
    base = next(int(line.split("-")[0], 16)
                for line in pathlib.Path(f"/proc/{memory.pid}/maps").read_text().splitlines()
                if line.endswith(DATAPLANE.name))
    return base + offset


def _ring(memory):
    """The address of the ring of free buffers: the pool is what a worker points to by that name."""
    worker = memory.pointer(_symbol(memory, "workers"))
    for (at,) in _POINTER.iter_unpack(memory.read(worker, _WORKER_LOOK)):
        with contextlib.suppress(OSError, OverflowError):
            if memory.read(at, len(_POOL_NAME)) == _POOL_NAME:
                ring = memory.pointer(at + _POOL_DATA)
                assert memory.read(ring, len(_RING_NAME)) == _RING_NAME
                return ring
    raise LookupError("no pool of packet buffers")


@contextlib.contextmanager
def _at_rest(memory, ring):
    """The process stands still, and no thread of it is in the middle of the ring."""
    for _ in range(100):
        os.kill(memory.pid, signal.SIGSTOP)
        try:
            while not all("\nState:\tT" in (task / "status").read_text()
                          for task in pathlib.Path(f"/proc/{memory.pid}/task").iterdir()):
                time.sleep(0.001)
            prod, cons = memory.pair(ring + _PROD), memory.pair(ring + _CONS)
            if prod[0] == prod[1] and cons[0] == cons[1]:
                yield prod[0], cons[0]
                return
        finally:
            os.kill(memory.pid, signal.SIGCONT)
        time.sleep(0.001)
    raise TimeoutError("the ring of free buffers never rests")


def _slots(memory, ring, begin, n):
    """Address and length in bytes of the parts in which n places from number begin on lie."""
    size = struct.unpack("I", memory.read(ring + _SIZE, 4))[0]
    while n > 0:
        part = min(n, size - begin % size)
        yield ring + _OBJECTS + begin % size * 8, part * 8
        begin, n = begin + part, n - part


@contextlib.contextmanager
def lost(pid):
    """All free buffers are gone for the time of the block. Gives how many."""
    memory = _Memory(pid)
    ring = _ring(memory)
    with _at_rest(memory, ring) as (prod, cons):
        n = prod - cons & 0xffffffff
        taken = b"".join(memory.read(*part) for part in _slots(memory, ring, cons, n))
        memory.write(ring + _CONS, struct.pack("II", prod, prod))
    try:
        yield n
    finally:
        with _at_rest(memory, ring) as (prod, _):
            for at, length in _slots(memory, ring, prod, n):
                memory.write(at, taken[:length])
                taken = taken[length:]
            end = prod + n & 0xffffffff
            memory.write(ring + _PROD, struct.pack("II", end, end))
        memory.file.close()
