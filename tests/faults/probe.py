# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Steady traffic of many mobiles in both directions, and what became of each packet of it.

Each packet carries whose it is, its number and when it was sent, each with its complement, so that
all packets of a flow have one and the same UDP checksum and only these bytes need to be replaced.
"""

import struct
import threading
import time

from harness.lab import CORRESPONDENT
from harness.mip6 import packed

MAGIC = b"fltprobe"
_FORMAT = struct.Struct("!HHIIQQ")
_IP, _TUNNEL = 14, 41
LATE_S = 0.25  # what comes later than this after it was sent is a gap too


def payload(flow, number, time_ns):
    """The payload of one packet."""
    return MAGIC + _FORMAT.pack(flow, ~flow & 0xffff, number, ~number & 0xffffffff,
                                time_ns, ~time_ns & 0xffffffffffffffff)


class Flow:
    """The packets of one mobile in one direction."""

    def __init__(self, number, mobile, is_down):
        self.number, self.mobile, self.is_down = number, mobile, is_down
        self.wire = mobile.lab.core if is_down else mobile.wire
        packet = (mobile.down_packet(payload(number, 0, 0)) if is_down else
                  mobile.tunnelled(mobile.up_inner(payload(number, 0, 0))))
        self.head = bytes(packet)[:-len(payload(0, 0, 0))]
        self.care_of = {packed(mobile.care_of), packed(mobile.second_care_of)}
        self.home = packed(mobile.home)
        self.sent = []  # when, by number
        self.came = {}  # when, by number
        self.is_measured = True

    def send(self):
        now = time.time()
        self.wire.send(self.head + payload(self.number, len(self.sent), int(now * 1e9)))
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

    def gap_s(self):
        """The longest time in which what was sent was not served, or came late."""
        longest = max((late for n, t in self.came.items()
                       if (late := t - self.sent[n]) > LATE_S), default=0.0)
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


class Probe:
    """Sends the flows one after another, a packet each `interval_s`, until the block is left."""

    def __init__(self, lab, mobiles, interval_s=0.004):
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

    def add(self, mobile, is_down, is_measured=True):
        flow = Flow(len(self.flows), mobile, is_down)
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
        self.marks = [(wire, wire.mark()) for wire in {self.lab.core, self.lab.access}]
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
            if wire is not (flow.mobile.wire if flow.is_down else self.lab.core):
                return
            if number in flow.came:
                self.doubled += 1
            flow.came.setdefault(number, frame.time_s)
        elif not flow.is_error_to_sender(frame.raw):
            self.foreign.append(f"packet {number} of {flow.mobile.home} left as {frame.ip.summary()}")

    def collect(self):
        """Reads what came; after the block."""
        for wire, mark in self.marks:
            for frame in wire.since(mark):
                self._take(wire, frame)

    def measured(self):
        return [f for f in self.flows if f.is_measured]

    def gap_s(self):
        return max((f.gap_s() for f in self.measured()), default=0.0)

    def n_lost(self):
        return sum(len(f.lost()) for f in self.measured())

    def n_sent(self):
        return sum(len(f.sent) for f in self.measured())
