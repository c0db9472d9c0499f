# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Mobiles that move all the time, one registration after another, and keep a record of it."""

import os
import threading
import time

from harness.mip6 import is_mobility, packed

WAIT_S = 0.25  # for an answer, and for the binding to work after it


class Roamers:
    """Registers the mobiles in turn, each time from their other care-of address, until the block
    is left; tries anew with the next sequence number when no answer comes."""

    def __init__(self, mobiles, interval_s=0.04):
        self.mobiles = mobiles
        self.interval_s = interval_s
        self.acknowledged_at = []  # when
        self.acknowledged = {}  # (sequence number, care-of address) by home address
        self.refused = []  # (when, status)
        self.unusable = []  # (when, sentence): accepted, but did not work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roamers", daemon=True)

    def _update(self, mobile):
        care_of = (mobile.care_of, mobile.second_care_of)[mobile.seq & 1]
        mark, seq = mobile.send_update(care_of=care_of)
        try:
            answer = mobile.answer(mark, seq, care_of, timeout_s=WAIT_S)
        except AssertionError:
            return
        now = time.time()
        if answer.status:
            self.refused.append((now, answer.status))
            return
        self.acknowledged_at.append(now)
        self.acknowledged[mobile.home] = (seq, care_of)
        token = os.urandom(12)
        mark = mobile.wire.mark()
        mobile.lab.core.send(mobile.down_packet(token))
        try:
            mobile.wire.expect(lambda f: token in f.raw and f.next_header == 41 and
                               f.dst == care_of, mark, WAIT_S)
        except AssertionError:
            self.unusable.append((now, f"{mobile.home} was told that {care_of} is bound (sequence "
                                       f"{seq}), but was not reachable there"))

    def _run(self):
        turn = 0
        while not self._stop.is_set():
            self._update(self.mobiles[turn % len(self.mobiles)])
            turn += 1
            self._stop.wait(self.interval_s)

    def __enter__(self):
        self.mark = self.mobiles[0].wire.mark()
        self.began_at = time.time()
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()
        self.ended_at = time.time()

    def gap_s(self):
        """The longest time without an acknowledgement."""
        times = [self.began_at, *self.acknowledged_at, self.ended_at]
        return max(b - a for a, b in zip(times, times[1:]))

    def answered_twice(self):
        """Sentences about Binding Updates that got more than one answer."""
        homes = {packed(m.home): m.home for m in self.mobiles}
        answers = {}
        for frame in self.mobiles[0].wire.since(self.mark):
            if frame.is_ip6 and is_mobility(frame, 6) and frame.raw[62:78] in homes:
                key = homes[frame.raw[62:78]], int.from_bytes(frame.raw[86:88], "big")
                answers[key] = answers.get(key, 0) + 1
        return [f"{n} answers to sequence {seq} of {home}"
                for (home, seq), n in answers.items() if n > 1]
