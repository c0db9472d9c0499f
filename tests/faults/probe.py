# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Steady traffic of many mobiles in both directions, and what became of each packet of it.

Each packet carries whose it is, its number and when it was sent, each with its complement, so that
all packets of a flow have one and the same UDP checksum and only these bytes need to be replaced.
"""

import hmac
import struct
import threading
import time

from scapy.layers.inet6 import IPv6

from harness.lab import CORRESPONDENT, PROBE_PORT
from harness.mip6 import packed

MAGIC = b"fltprobe"
_FORMAT = struct.Struct("!HHIIQQ")
_TUNNEL = 41
_EXPERIMENT = b"\x88\xb5"  # an Ethernet type for experiments (IEEE 802)
# For harness.wire.only where much else leaves the box: the plain path's packets, answers and errors,
# probes out of a tunnel (which end in nothing but their mark), packets to the probe's port in one.
FILTER = ((12, 2, (0x88b5,)), (20, 1, (43, 58, 135)),
          (62, 4, (int.from_bytes(MAGIC[:4], "big"),)), (96, 2, (PROBE_PORT,)))
ESP, ICV_LEN = 50, 16
LATE_S = 0.25  # what comes later than this after it was sent is a gap too


def payload(flow, number, time_ns):
    """The payload of one packet."""
    return MAGIC + _FORMAT.pack(flow, ~flow & 0xffff, number, ~number & 0xffffffff,
                                time_ns, ~time_ns & 0xffffffffffffffff)


class Flow:
    """The packets of one mobile in one direction."""

    def __init__(self, number, mobile, is_down):
        self.number, self.mobile, self.is_down = number, mobile, is_down
        ends = mobile.lab.core, mobile.wire
        self.wire, self.arrives_at = ends if is_down else ends[::-1]
        packet = (mobile.down_packet(payload(number, 0, 0)) if is_down else
                  IPv6(src=mobile.care_of, dst=mobile.agent) / mobile.up_inner(payload(number, 0, 0)))
        self.head = (self.wire.box_mac + self.wire.own_mac + b"\x86\xdd" +
                     bytes(packet)[:-len(payload(0, 0, 0))])
        self.care_of = {packed(mobile.care_of), packed(mobile.second_care_of)}
        self.home = packed(mobile.home)
        self.sent = []  # when, by number
        self.came = {}  # when, by number
        self.is_measured = True

    def send(self):
        now = time.time()
        self.wire.send_frame(self.head + payload(self.number, len(self.sent), int(now * 1e9)))
        self.sent.append(now)

    def is_delivery(self, raw):
        """Whether a frame that carries this flow's mark is a delivery to whom it is for."""
        if self.is_down:
            return (raw[20] == _TUNNEL and raw[60] == 17 and raw[38:54] in self.care_of and
                    raw[78:94] == self.home)
        return raw[20] == 17 and raw[22:38] == self.home and raw[38:54] == packed(CORRESPONDENT)

    def is_error_to_sender(self, raw):
        """Whether it is an ICMP error that tells the sender of the packet about it."""
        if self.is_down:
            return raw[20] == 58 and raw[38:54] == packed(CORRESPONDENT)
        return (raw[20] == _TUNNEL and raw[60] == 58 and raw[38:54] in self.care_of and
                raw[78:94] == self.home) or (raw[20] == 58 and raw[38:54] in self.care_of)

    def lost(self):
        return [n for n in range(len(self.sent)) if n not in self.came]

    def latest_s(self):
        """The longest time that a packet took."""
        return max((t - self.sent[n] for n, t in self.came.items()), default=0.0)

    def gap_s(self):
        """The longest time in which what was sent was not served, or came late."""
        longest = late if (late := self.latest_s()) > LATE_S else 0.0
        begin = None
        for n, sent in enumerate(self.sent):
            if n in self.came:
                if begin is not None:
                    longest = max(longest, sent - begin)
                begin = None
            elif begin is None:
                begin = sent
        if begin is not None:
            longest = max(longest, self.sent[-1] - begin)
        return longest


class SealedFlow(Flow):
    """The same of a mobile whose payload goes under ESP that hides nothing (RFC 2410), so that it can be
    read on the wire."""

    def __init__(self, number, mobile, is_down):
        super().__init__(number, mobile, is_down)
        out, back = mobile.ends["payload", "in"], mobile.ends["payload", "out"]
        self.spi, self.key = out.spi.to_bytes(4, "big"), out.auth_key
        self.back_spi, self.back_key = back.spi.to_bytes(4, "big"), back.auth_key
        self.n_sealed = 0
        self.numbers = []  # of what the box sealed

    def _seal(self, inner):
        self.n_sealed += 1
        text = self.spi + self.n_sealed.to_bytes(4, "big") + inner
        n_pad = -(len(inner) + 2) % 4
        text += bytes(range(1, n_pad + 1)) + bytes([n_pad, 41])
        text += hmac.digest(self.key, text, "sha256")[:ICV_LEN]
        return (self.head[:18] + len(text).to_bytes(2, "big") + bytes([ESP]) + self.head[21:54] + text)

    def send(self):
        if self.is_down:
            super().send()
            return
        now = time.time()
        inner = self.head[54:] + payload(self.number, len(self.sent), int(now * 1e9))
        self.wire.send_frame(self._seal(inner))
        self.sent.append(now)

    def is_delivery(self, raw):
        if not self.is_down:
            return super().is_delivery(raw)
        esp = raw[54:54 + int.from_bytes(raw[18:20], "big")]
        if raw[20] != ESP or raw[38:54] not in self.care_of or esp[:4] != self.back_spi or \
                hmac.digest(self.back_key, esp[:-ICV_LEN], "sha256")[:ICV_LEN] != esp[-ICV_LEN:]:
            return False
        self.numbers.append(int.from_bytes(esp[4:8], "big"))
        return esp[8 + 24:8 + 40] == self.home


class PlainFlow(Flow):
    """Packets of the path beside the box's."""

    def __init__(self, number, path):
        self.number, self.wire, self.arrives_at = number, path.near, path.far
        self.head = b"\xff" * 6 + path.near.own_mac + _EXPERIMENT
        self.sent, self.came = [], {}
        self.is_measured = False

    def is_delivery(self, raw):
        return raw[12:14] == _EXPERIMENT


class Probe:
    """Sends the flows one after another, a packet each `interval_s`, until the block is left."""

    def __init__(self, lab, mobiles, plain_path, interval_s=0.004):
        self.lab = lab
        self.interval_s = interval_s
        self.flows = []
        self.foreign = []  # sentences about packets that went to somebody else
        self.doubled = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        for mobile in mobiles:
            self.add(mobile, True)
            self.add(mobile, False)
        self.plain = PlainFlow(len(self.flows), plain_path)
        self.flows.append(self.plain)

    def add(self, mobile, is_down, is_measured=True):
        kind = SealedFlow if hasattr(mobile, "ends") else Flow
        flow = kind(len(self.flows), mobile, is_down)
        flow.is_measured = is_measured
        self.flows.append(flow)
        return flow

    def _run(self):
        due, turn = time.monotonic(), 0
        while not self._stop.is_set():
            self.flows[turn % len(self.flows)].send()
            turn += 1
            due = max(due + self.interval_s, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))

    def __enter__(self):
        self.marks = {flow.arrives_at: flow.arrives_at.mark() for flow in self.flows}
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()

    def _take(self, wire, frame):
        at = frame.raw.find(MAGIC)
        if at < 0 or len(frame.raw) < at + 8 + 12:
            return
        fields = struct.unpack_from("!HHII", frame.raw, at + 8)
        if fields[0] ^ fields[1] != 0xffff or fields[0] >= len(self.flows):
            return
        flow, number = self.flows[fields[0]], fields[2]
        if flow.is_delivery(frame.raw):
            # Right after a start the route to the care-of addresses may not stand yet, and what is
            # rightly addressed goes the default way: lost, but to nobody else.
            if wire is not flow.arrives_at:
                return
            if number in flow.came:
                self.doubled += 1
            flow.came.setdefault(number, frame.time_s)
        elif not flow.is_error_to_sender(frame.raw):
            self.foreign.append(f"packet {number} of {flow.mobile.home} left as {frame.ip.summary()}")

    def collect(self):
        """Reads what has come since the last time."""
        for wire, mark in self.marks.items():
            frames = wire.since(mark)
            self.marks[wire] += len(frames)
            for frame in frames:
                self._take(wire, frame)

    def measured(self):
        return [f for f in self.flows if f.is_measured]

    def gap_s(self):
        return max((f.gap_s() for f in self.measured()), default=0.0)

    def machine_s(self):
        """The longest time that the machine kept a packet on a path without the box."""
        return self.plain.latest_s()

    def n_lost(self):
        return sum(len(f.lost()) for f in self.measured())

    def n_sent(self):
        return sum(len(f.sent) for f in self.measured())
