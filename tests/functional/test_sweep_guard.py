# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The real dataplane against a control process played by the test: what it sweeps, and when."""

import select
import socket
import struct
import time

import pytest

from harness.lab import network

HELLO, SYNC_BEGIN, SYNC_END, SYNC_DONE, AGENT_SET, PREFIX_SET = 1, 2, 3, 4, 5, 6
BINDING_SET = 7
HOLD_S = 2
STORE, OTHER_STORE = 0x1111, 0x2222


def raw(address):
    return socket.inet_pton(socket.AF_INET6, address)


class PlayedControl:
    """The connecting end of the socket, as records.h describes it."""

    def __init__(self, box, store_id):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(str(box.run_dir / "dataplane.sock"))
        self.sync_id = 0
        self.done = []  # (error, live, stale)
        self.version = None
        while self.version is None:
            self.receive(5)
        self.send(HELLO, struct.pack("=IIQQQII", self.version, 4096, 5, store_id, 0, 0, 0))

    def send(self, kind, body, flags=0):
        body += bytes(-len(body) % 8)
        self.socket.send(struct.pack("=HHI", kind, flags, 8 + len(body)) + body)

    def receive(self, timeout_s=0.0):
        if not select.select([self.socket], [], [], timeout_s)[0]:
            return
        message = self.socket.recv(1 << 17)
        assert message, "the dataplane hung up"
        at = 0
        while at < len(message):
            kind, _flags, length = struct.unpack_from("=HHI", message, at)
            if kind == HELLO:
                self.version = struct.unpack_from("=I", message, at + 8)[0]
            if kind == SYNC_DONE:
                self.done.append(struct.unpack_from("=iII", message, at + 16))
            at += length

    def bind(self, *numbers):
        for n in numbers:
            body = struct.pack("=IIHHI", n, 1000 + n, 1, 1, 0) + raw(f"2001:db8:1::a:{n:x}")
            body += raw(f"2001:db8:a0::{n:x}") + struct.pack("=HHBBHII", 0, 0, 1, 0, 0, 0, 0)
            self.send(BINDING_SET, body)

    def fill(self, *numbers, force=0):
        """Sends everything; returns (error, live, stale) of the answer."""
        self.sync_id += 1
        self.done.clear()
        self.send(SYNC_BEGIN, struct.pack("=QII", self.sync_id, HOLD_S, 0))
        self.send(AGENT_SET, struct.pack("=HHI", 0, 0, 0) + raw("2001:db8:1::1"))
        self.send(PREFIX_SET, struct.pack("=HBBI", 1, 128, 64, 0) + raw("2001:db8:1::") +
                  bytes(8))
        self.bind(*numbers)
        self.send(SYNC_END, struct.pack("=QII", self.sync_id, force, 0))
        return self.next_done()

    def next_done(self, timeout_s=5):
        deadline = time.monotonic() + timeout_s
        while not self.done:
            assert time.monotonic() < deadline, "no SYNC_DONE came"
            self.receive(0.1)
        return self.done.pop(0)


@pytest.fixture
def play(own_lab):
    """A function that connects a control process with a store to one dataplane."""
    lab = own_lab([network("open", 1)], start=False, orphan_hold_s=HOLD_S)
    lab.box.start_dataplane()
    made = []

    def connect(store_id):
        made.append(PlayedControl(lab.box, store_id))
        return made[-1]

    yield connect
    for one in made:
        one.socket.close()


REFUSED = -125


def test_a_small_share_is_swept_and_a_large_one_is_not(play):
    control = play(STORE)
    assert control.fill(*range(100)) == (0, 100, 0)
    assert control.fill(*range(95)) == (0, 95, 5)
    assert control.fill(*range(90)) == (REFUSED, 95, 5)
    assert control.fill(*range(90), force=1) == (0, 90, 5)


def test_the_share_is_of_what_was_there_before(play):
    control = play(STORE)
    assert control.fill(1, 2) == (0, 2, 0)
    assert control.fill(*range(10, 100)) == (REFUSED, 92, 2)


def test_any_stale_entry_of_another_store_takes_force(play):
    control = play(STORE)
    assert control.fill(*range(100)) == (0, 100, 0)
    control.socket.close()
    time.sleep(0.2)
    control = play(OTHER_STORE)
    assert control.fill(*range(99)) == (REFUSED, 100, 1)
    assert control.fill(*range(99), force=1) == (0, 99, 1)
    assert control.fill(*range(98)) == (0, 98, 1)  # it is that store's table now


def test_what_is_kept_is_told_and_ends_with_the_hold(play):
    control = play(STORE)
    assert control.fill(*range(20)) == (0, 20, 0)
    start = time.monotonic()
    assert control.fill() == (REFUSED, 20, 20)
    control.bind(3, 4)  # mobiles that register anew
    assert control.next_done() == (REFUSED, 20, 18)
    assert control.next_done(timeout_s=HOLD_S + 2) == (0, 2, 18)
    assert HOLD_S - 0.2 <= time.monotonic() - start <= HOLD_S + 1.5


def test_coming_again_with_the_wrong_store_does_not_prolong_the_hold(play):
    control = play(STORE)
    assert control.fill(*range(20)) == (0, 20, 0)
    start = time.monotonic()
    assert control.fill() == (REFUSED, 20, 20)
    time.sleep(HOLD_S / 2)
    assert control.fill() == (REFUSED, 20, 20)
    assert control.next_done(timeout_s=HOLD_S + 2) == (0, 0, 20)
    assert time.monotonic() - start <= HOLD_S + 0.9
