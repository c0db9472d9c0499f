# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A steady stream of numbered packets, to see what is lost, doubled or misdirected."""

import struct
import threading
import time

_MAGIC = b"numbered"


def numbered(n):
    """A payload that carries n; all of them have one and the same UDP checksum."""
    return _MAGIC + struct.pack("!II", n, ~n & 0xffffffff)


def number_in(raw):
    """The number that a frame carries, or None."""
    at = raw.rfind(_MAGIC)
    if at < 0 or len(raw) < at + 16:
        return None
    n, complement = struct.unpack_from("!II", raw, at + 8)
    return n if n == ~complement & 0xffffffff else None


class Stream:
    """Sends numbered copies of a packet in a thread until the block is left.

    with Stream(wire, packet_with_payload(numbered(0)), per_s=500) as stream: ...
    """

    def __init__(self, wire, packet, per_s=500):
        self.wire = wire
        self.head, found, _ = bytes(packet).partition(numbered(0))
        assert found
        self.interval_s = 1 / per_s
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        due = time.monotonic()
        while not self._stop.is_set():
            self.wire.send(self.head + numbered(self.sent))
            self.sent += 1
            due += self.interval_s
            left = due - time.monotonic()
            if left > 0:
                time.sleep(left)
            elif left < -0.1:
                due = time.monotonic()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()


def arrivals(wire, mark, until=None, timeout_s=3.0):
    """[(number, frame)] of a stream's packets since mark, once number `until` - 1 has come (or
    the time is over)."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = [(number_in(f.raw), f) for f in wire.since(mark) if _MAGIC in f.raw]
        found = [(n, f) for n, f in found if n is not None]
        if until is None or time.monotonic() > deadline or any(n >= until - 1 for n, _ in found):
            return found
        time.sleep(0.05)
