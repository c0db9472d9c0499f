#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A thin flow through a home agent, to see whether forwarding goes on while something else happens.

usage: flow.py INTERFACE GATEWAY-MAC MOBILES

Sends packets in turns to an address that is nobody's home and to home addresses of mobile nodes of
perf/registrations, over the interface, on which they come back: as they are, or in a tunnel to the
care-of address. Ends with its standard input, and prints {"plain": {"sent", "lost", "longest_gap_ms"},
"bound": {...}}; the gap is the longest time without any that came back.
"""

import json
import random
import select
import socket
import struct
import sys
import time

PER_S = 2000
TURN_S = 0.002
ELSEWHERE = socket.inet_pton(socket.AF_INET6, "2001:db8:9::9")
CORRESPONDENT = socket.inet_pton(socket.AF_INET6, "2001:db8:8::8")
HOME = socket.inet_pton(socket.AF_INET6, "2001:db8:1::")[:12]
MARK = b"unw-flow"
LEAST_S = 0.1
SETTLE_S = 0.5


def packet(destination, number):
    """A UDP packet without a checksum to reckon: the number is at its end, and so is the mark."""
    payload = MARK + struct.pack("!Q", number)
    udp = struct.pack("!HHHH", 7, 7, 8 + len(payload), 0xffff) + payload
    return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + CORRESPONDENT + destination + udp


class Kind:
    """What became of the packets of one kind. Even numbers are plain, odd ones bound."""

    def __init__(self, now):
        self.sent = self.came = 0
        self.last, self.longest = now, 0.0

    def note(self, now):
        self.longest = max(self.longest, now - self.last)
        self.last = now
        self.came += 1


def receive(link, kinds):
    while select.select([link], [], [], 0)[0]:
        frame, address = link.recvfrom(2048)
        if address[2] != socket.PACKET_OUTGOING and frame[-16:-8] == MARK:
            kinds[frame[-1] & 1].note(time.monotonic())


def run(link, head, n_mobiles):
    number, begin = 0, time.monotonic()
    kinds = Kind(begin), Kind(begin)
    while time.monotonic() - begin < LEAST_S or not select.select([sys.stdin], [], [], 0)[0]:
        while number < (time.monotonic() - begin) * PER_S:
            home = HOME + struct.pack("!I", random.randrange(n_mobiles) + 0x10000)
            link.send(head + packet(home if number & 1 else ELSEWHERE, number))
            kinds[number & 1].sent += 1
            number += 1
        receive(link, kinds)
        time.sleep(TURN_S)
    end = time.monotonic()
    time.sleep(SETTLE_S)
    gaps = [max(kind.longest, end - kind.last) for kind in kinds]
    receive(link, kinds)
    return {name: {"sent": kind.sent, "lost": kind.sent - kind.came, "longest_gap_ms": gap * 1e3}
            for name, kind, gap in zip(("plain", "bound"), kinds, gaps)}


def main():
    interface, gateway, n_mobiles = sys.argv[1:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd)) as link:
        link.bind((interface, 0x86dd))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        head = bytes.fromhex(gateway.replace(":", "")) + link.getsockname()[4] + b"\x86\xdd"
        print(json.dumps(run(link, head, int(n_mobiles))))


if __name__ == "__main__":
    main()
