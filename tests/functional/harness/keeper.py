# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The control process as the test plays it: the other end of the dataplane's socket (records.h)."""

import ipaddress
import pathlib
import re
import select
import socket
import struct
import time

RECORDS = pathlib.Path(__file__).resolve().parents[3] / "dataplane" / "api" / "records.h"
VERSION = int(re.search(r"API_VERSION = (\d+)", RECORDS.read_text())[1])
(HELLO, SYNC_BEGIN, SYNC_END, SYNC_DONE, AGENT_SET, HOME_PREFIX_SET, BINDING_SET, BINDING_DEL,
 BINDING_ERR, COUNTERS_GET, COUNTERS, CREDIT, PACKET_OUT, PUNT, PUNT_CREDIT, SA_SET, SA_DEL, SA_GRANT,
 SA_ERR, SA_EVENT) = range(1, 21)
SIGNALLING, DISCOVERY, ROUTABILITY, PAYLOAD = 1, 2, 3, 4
IN, OUT = 1, 2
LOW, EXPIRED, FINAL = 1, 2, 3
IP6_IP6, NO_LIMIT, ESN, LEARNED = 1, 256, 1, 2


def packed(address):
    return ipaddress.IPv6Address(address).packed


class Punt:
    """A packet that came up, with what the dataplane says of it."""

    def __init__(self, body):
        (self.lane, self.tunnelled, _, length, src, dst, self.sa_slot, self.sa_use) = (
            struct.unpack_from("=BBHI16s16sIB3x", body))
        self.outer_src, self.outer_dst = (str(ipaddress.IPv6Address(a)) for a in (src, dst))
        self.packet = body[48:48 + length]


class Event:
    """What became of an SA."""

    def __init__(self, body):
        (self.slot, self.spi, self.use, self.direction, self.agent, self.event, self.seq,
         self.packets, self.bytes) = struct.unpack_from("=IIBBHB3xQQQ", body)


class Keeper:
    """Connects like control, says what it is told to, and keeps what comes up."""

    def __init__(self, path, store_id=1):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(str(path))
        self.punts, self.events, self.errors, self.done = [], [], [], []
        self.sync_id = 0
        self.send(HELLO, struct.pack("=IIQQQII", VERSION, 0, 5, store_id, 0, 0, 0))

    def send(self, kind, body):
        body += bytes(-len(body) % 8)
        self.socket.send(struct.pack("=HHI", kind, 0, 8 + len(body)) + body)

    def receive(self, timeout_s=0.0):
        while select.select([self.socket], [], [], timeout_s)[0]:
            timeout_s = 0
            message = self.socket.recv(1 << 17)
            assert message, "the dataplane hung up"
            at = 0
            while at < len(message):
                kind, _, length = struct.unpack_from("=HHI", message, at)
                self._take(kind, message[at + 8:at + length])
                at += length

    def _take(self, kind, body):
        if kind == PUNT:
            self.punts.append(Punt(body))
            self.send(PUNT_CREDIT, struct.pack("=II", 1, 0))
        elif kind == SA_EVENT:
            self.events.append(Event(body))
        elif kind == SA_ERR:
            self.errors.append(struct.unpack_from("=IIBBHi", body))
        elif kind == SYNC_DONE:
            self.done.append(struct.unpack_from("=QiIII", body))

    def wait(self, found, timeout_s=5.0, what="what was waited for"):
        """Receives until found() is true, and returns what it gave."""
        deadline = time.monotonic() + timeout_s
        while not (result := found()):
            assert time.monotonic() < deadline, f"{what} did not come"
            self.receive(0.05)
        return result

    # Down.

    def sync_begin(self):
        self.sync_id += 1
        self.send(SYNC_BEGIN, struct.pack("=QII", self.sync_id, 300, 0))

    def sync_end(self, force=True):
        self.send(SYNC_END, struct.pack("=QII", self.sync_id, force, 0))
        self.wait(lambda: any(d[0] == self.sync_id and d[1] == 0 for d in self.done),
                  what="SYNC_DONE")

    def agent(self, index, address, encap_limit=NO_LIMIT):
        self.send(AGENT_SET, struct.pack("=HHI16s", index, encap_limit, 0, packed(address)))

    def home_prefix(self, index, prefix, protect=()):
        net = ipaddress.IPv6Network(prefix)
        self.send(HOME_PREFIX_SET, struct.pack(
            "=HBBI16sII", index, 128, net.prefixlen, 0, net.network_address.packed,
            sum(1 << use for use in protect), 0))

    def binding(self, handle, home, care_of, sa_slot=0, agent=0, home_prefix=1, generation=1):
        self.send(BINDING_SET, struct.pack(
            "=IIHHI16s16sHHBBHII", handle, generation, home_prefix, 1, 0, packed(home),
            packed(care_of), agent, 0, IP6_IP6, 0, 0, 0, sa_slot))

    def sa(self, suite, slot, spi, use, direction, home, *, keys=None, agent=0, protect=(), esn=False,
           learned=False, window=64, seq_next=1, seq_limit=1 << 31, packets=0, octets=0):
        enc, auth = keys or (suite.enc_key, suite.auth_key)
        self.send(SA_SET, struct.pack(
            "=IIBBBBBBHHHHHII16sQQQQ", slot, spi, use, direction, suite.encryption,
            suite.authentication, (ESN if esn else 0) | (LEARNED if learned else 0), sum(1 << u for u in protect), agent,
            window if direction == IN else 0, len(enc), len(auth), 0, 0, 0, packed(home),
            seq_next, seq_limit, packets, octets) + enc + auth)

    def sa_del(self, slot, spi, use, direction, agent=0):
        self.send(SA_DEL, struct.pack("=IIBBHI", slot, spi, use, direction, agent, 0))

    def sa_grant(self, slot, spi, use, seq_limit, agent=0):
        self.send(SA_GRANT, struct.pack("=IIBBHIQ", slot, spi, use, OUT, agent, 0, seq_limit))

    def packet_out(self, packet, sa_slot=0, sa_use=0):
        packet = bytes(packet)
        self.send(PACKET_OUT, struct.pack("=IIB7x", len(packet), sa_slot, sa_use) + packet)

    def close(self):
        self.socket.close()
