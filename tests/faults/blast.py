# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Frames at tens of thousands a second: many with each system call."""

import ctypes
import os
import socket
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
BATCH = 64


class _Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    """struct mmsghdr (x86-64)."""

    _fields_ = [("name", ctypes.c_void_p), ("name_len", ctypes.c_uint32),
                ("parts", ctypes.POINTER(_Part)), ("n_parts", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_len", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent_len", ctypes.c_uint32)]


class Blast(threading.Thread):
    """Sends the frames over and over, per_s of them a second (None: as fast as it goes), until the
    block is left or n_frames are out. `sent` and `sent_bytes` count."""

    def __init__(self, wire, frames, per_s=None, n_frames=None):
        super().__init__(name="blast", daemon=True)
        self.per_s, self.n_frames = per_s, n_frames
        self.sent = self.sent_bytes = 0
        self.took_s = 0.0
        self.socket = socket.socket(fileno=os.dup(wire.socket.fileno()))
        self._lengths = [len(f) for f in frames]
        self._bytes = [ctypes.create_string_buffer(f, len(f)) for f in frames]
        self._parts = (_Part * len(frames))(
            *(_Part(ctypes.addressof(b), len(b)) for b in self._bytes))
        self._messages = (_Message * len(frames))()
        for message, at in zip(self._messages, range(len(frames))):
            message.parts = ctypes.pointer(self._parts[at])
            message.n_parts = 1
        self._stop_now = threading.Event()

    def _send(self, at, n):
        """Sends n frames from number `at` on. Returns how many went."""
        first = ctypes.byref(self._messages, at * ctypes.sizeof(_Message))
        done = _libc.sendmmsg(self.socket.fileno(), first, n, 0)
        if done < 0:  # the queue of the link is full
            time.sleep(0.0005)
            return 0
        return done

    def run(self):
        began = time.monotonic()
        at = 0
        while not self._stop_now.is_set() and (self.n_frames is None or self.sent < self.n_frames):
            if self.per_s is not None:
                ahead_s = self.sent / self.per_s - (time.monotonic() - began)
                if ahead_s > 0:
                    time.sleep(ahead_s)
            n = min(BATCH, len(self._lengths) - at)
            if self.n_frames is not None:
                n = min(n, self.n_frames - self.sent)
            done = self._send(at, n)
            self.sent += done
            self.sent_bytes += sum(self._lengths[at:at + done])
            at = (at + done) % len(self._lengths)
        self.took_s = time.monotonic() - began

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self._stop_now.set()
        self.join()
        self.socket.close()
