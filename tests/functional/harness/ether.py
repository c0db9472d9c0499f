# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Frames of any kind on a wire: IPv4, and VLAN tags. (Wire itself speaks untagged IPv6.)"""

import time

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether


def send(wire, *packets, vlan=None, dst=None, priority=0):
    """Sends IP packets (scapy's or bytes), tagged if vlan is given."""
    for packet in packets:
        raw = bytes(packet)
        kind = b"\x86\xdd" if raw[0] >> 4 == 6 else b"\x08\x00"
        if vlan is not None:
            kind = b"\x81\x00" + (priority << 13 | vlan).to_bytes(2, "big") + kind
        wire.send_frame((dst or wire.box_mac) + wire.own_mac + kind + raw)


class Seen:
    """A frame that came: its VLAN (None without) and its IP packet."""

    def __init__(self, raw):
        self.raw = raw
        self.ether = Ether(raw)
        self.vlan = self.ether[Dot1Q].vlan if self.ether.haslayer(Dot1Q) else None
        offset = 14 if self.vlan is None else 18
        kind = raw[offset - 2:offset]
        self.ip_bytes = b""
        if kind == b"\x08\x00":
            self.ip_bytes = raw[offset:offset + int.from_bytes(raw[offset + 2:offset + 4], "big")]
            self.ip = IP(self.ip_bytes)
        elif kind == b"\x86\xdd":
            length = int.from_bytes(raw[offset + 4:offset + 6], "big")
            self.ip_bytes = raw[offset:offset + 40 + length]
            self.ip = IPv6(self.ip_bytes)
        else:
            self.ip = None

    @property
    def is_ip4(self):
        return isinstance(self.ip, IP)

    def __repr__(self):
        return self.ether.summary()


def since(wire, mark):
    return [Seen(frame.raw) for frame in wire.since(mark)]


def expect(wire, matches, mark, timeout_s=5.0, what="a packet", n=1):
    """The first n frames with an IP packet since mark that match; one alone is no list."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = since(wire, mark)
        found = [s for s in seen if s.ip is not None and matches(s)]
        if len(found) >= n:
            return found[0] if n == 1 else found[:n]
        assert time.monotonic() < deadline, f"{what} did not come; since then came {seen[-12:]}"
        time.sleep(0.01)


def count(wire, matches, mark):
    return sum(1 for s in since(wire, mark) if s.ip is not None and matches(s))


def settle(box, timeout_s=2.0):
    """Returns when the workers' counters stand still: what was sent has been dealt with."""
    def figures():
        return [(w["rx"], w["tx"], w["drops"], w["to_main"], w["held"]) for w in box.rows("workers")]
    deadline = time.monotonic() + timeout_s
    before = figures()
    while time.monotonic() < deadline:
        time.sleep(0.05)
        now = figures()
        if now == before:
            return
        before = now
