# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The far end of a port: frames as they are on the veth, sent and received by the test itself."""

import contextlib
import ctypes
import functools
import select
import socket
import struct
import threading
import time

from scapy.layers.inet6 import IPv6

from . import netns

_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_TP_STATUS_VLAN_VALID = 0x10
_PCAP_MAX_FRAMES = 30000
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_LOAD = {1: 0x30, 2: 0x28, 4: 0x20}  # classic BPF: load so many bytes at an absolute offset
_JUMP_EQUAL, _RETURN = 0x15, 0x06


def _with_tag(raw, ancillary):
    """Puts the VLAN tag back that Linux took out of a received frame."""
    for level, kind, data in ancillary:
        if (level, kind) != (_SOL_PACKET, _PACKET_AUXDATA) or len(data) < 20:
            continue
        status, tci, tpid = struct.unpack_from("=I12xHH", data)
        if status & _TP_STATUS_VLAN_VALID:
            return raw[:12] + struct.pack("!HH", tpid or 0x8100, tci) + raw[12:]
    return raw


def _filter(wanted):
    """Classic BPF that takes a frame when one of (offset, bytes there, values) holds. A load beyond the
    frame's end refuses it, so what is for short frames comes first."""
    program = []
    for offset, n_bytes, values in wanted:
        program.append((_LOAD[n_bytes], 0, 0, offset))
        for value in values:
            program += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, 65535)]
    program.append((_RETURN, 0, 0, 0))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


@contextlib.contextmanager
def only(wires, wanted):
    """The wires keep only such frames for the time of the block: (offset, bytes there, values)."""
    code = _filter(wanted)
    room = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(room))
    for wire in wires:
        wire.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    try:
        yield
    finally:
        for wire in wires:
            wire.socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


class Frame:
    """One received frame: when, its bytes, and lazily what scapy reads in it."""

    def __init__(self, time_s, raw):
        self.time_s = time_s
        self.raw = raw

    @property
    def is_ip6(self):
        return self.raw[12:14] == b"\x86\xdd" and len(self.raw) >= 54

    @property
    def ip_bytes(self):
        return self.raw[14:14 + 40 + struct.unpack_from("!H", self.raw, 18)[0]]

    @functools.cached_property
    def ip(self):
        return IPv6(self.ip_bytes)

    @property
    def src(self):
        return socket.inet_ntop(socket.AF_INET6, self.raw[22:38])

    @property
    def dst(self):
        return socket.inet_ntop(socket.AF_INET6, self.raw[38:54])

    @property
    def next_header(self):
        return self.raw[20]

    def __repr__(self):
        return self.ip.summary() if self.is_ip6 else self.raw.hex()


class Wire:
    """Sends frames to the box and keeps every frame that comes from it (also in a pcap file)."""

    def __init__(self, namespace, interface, pcap, box_mac=None):
        self.frames = []
        self.interface = interface
        self.own_mac = bytes.fromhex(netns.Namespaces.mac(namespace, interface).replace(":", ""))
        self.box_mac = bytes.fromhex(box_mac.replace(":", "")) if box_mac else None
        with netns.inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 32 << 20)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self.socket.bind((interface, 3))
        self.pcap = open(pcap, "wb")
        self.pcap.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        self._changed = threading.Condition()
        self._stop = False
        self._thread = threading.Thread(target=self._read, name=f"wire-{interface}", daemon=True)
        self._thread.start()

    def _read(self):
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        while not self._stop:
            if not poll.poll(100):
                continue
            try:
                raw, ancillary, _, address = self.socket.recvmsg(65535, 64)
            except OSError:  # the interface went down; it may come back
                continue
            if address[2] == _PACKET_OUTGOING:
                continue
            raw = _with_tag(raw, ancillary)
            now = time.time()
            with self._changed:
                self.frames.append(Frame(now, raw))
                self._changed.notify_all()
                if len(self.frames) <= _PCAP_MAX_FRAMES:
                    self.pcap.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6),
                                                len(raw), len(raw)) + raw)

    def mark(self):
        """The number of frames so far: a place to look from."""
        with self._changed:
            return len(self.frames)

    def since(self, mark):
        with self._changed:
            return self.frames[mark:]

    def send(self, *packets, dst_mac=None):
        """Sends IPv6 packets (scapy's or bytes) to the box."""
        head = (dst_mac or self.box_mac) + self.own_mac + b"\x86\xdd"
        for packet in packets:
            self.socket.send(head + bytes(packet))

    def send_frame(self, raw):
        self.socket.send(raw)

    def wait(self, matches, mark=0, timeout_s=5.0, what="a packet"):
        """The first frame since mark for which matches(frame) holds, and its number."""
        deadline = time.monotonic() + timeout_s
        number = mark
        while True:
            with self._changed:
                while number >= len(self.frames):
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        if time.monotonic() >= deadline:
                            raise AssertionError(
                                f"{what} did not come; since then came {self.frames[mark:][-12:]}")
                batch = self.frames[number:]
            for frame in batch:
                if frame.is_ip6 and matches(frame):
                    return frame, number
                number += 1

    def expect(self, matches, mark=0, timeout_s=5.0, what="a packet"):
        return self.wait(matches, mark, timeout_s, what)[0]

    def count(self, matches, mark=0):
        return sum(1 for f in self.since(mark) if f.is_ip6 and matches(f))

    def close(self):
        self._stop = True
        self._thread.join()
        self.socket.close()
        self.pcap.close()
