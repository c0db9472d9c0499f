#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The demo's measuring instrument: numbered UDP packets from one end, sent back by the other.

demo_probe.py send SRC DST PORT PACKETS_PER_S FILE   sends, and records what comes back
demo_probe.py echo ADDRESS PORT INTERFACE FILE       sends back, records, samples the interface

Both end on SIGTERM and then write FILE (JSON). Times of arrival are the kernel's, so that a busy
machine does not look like a slow network; all times are ns of the wall clock.
"""

import ctypes
import json
import select
import signal
import socket
import struct
import sys
import time

HEAD = struct.Struct("!QQ")  # number, time of sending
PADDING = b"Whoever reads this on the way could read anything. ".ljust(84, b".")
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
PR_SET_TIMERSLACK = 29
SAMPLE_NS = 100_000_000


class Stop(Exception):
    """SIGTERM came."""


def on_term(_number, _frame):
    raise Stop


def open_socket(address, port=0):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def receive(sock):
    """One packet: (payload, time of arrival, sender), or None."""
    try:
        data, ancillary, _flags, sender = sock.recvmsg(2048, 64)
    except BlockingIOError:
        return None
    seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
    return data, seconds * 10**9 + nanoseconds, sender


def send(src, dst, port, packets_per_s, path):
    """Sends at an even pace; one that comes late is sent at once, none is left out."""
    sock = open_socket(src)  # not connected: ICMP errors are no reason not to send
    gap_ns = 10**9 // packets_per_s
    sent, back = [], []
    due_ns = time.time_ns()
    try:
        while True:
            now_ns = time.time_ns()
            if now_ns >= due_ns:
                sock.sendto(HEAD.pack(len(sent), now_ns) + PADDING, (dst, port))
                sent.append(now_ns)
                due_ns += gap_ns
                continue
            if select.select([sock], [], [], (due_ns - now_ns) / 1e9)[0]:
                packet = receive(sock)
                if packet:
                    back.append((HEAD.unpack_from(packet[0])[0], packet[1]))
    except Stop:
        pass
    with open(path, "w", encoding="ascii") as file:
        json.dump({"sent": sent, "back": back}, file)


def interface_bytes(name):
    """Bytes that came in on an interface of this namespace."""
    with open("/proc/self/net/dev", encoding="ascii") as file:
        for line in file:
            if line.strip().startswith(name + ":"):
                return int(line.split(":")[1].split()[0])
    return 0


def echo(address, port, interface, path):
    sock = open_socket(address, port)
    received, samples = [], []
    sample_ns = 0
    try:
        while True:
            select.select([sock], [], [], SAMPLE_NS / 1e9)
            while packet := receive(sock):
                data, at_ns, sender = packet
                received.append((HEAD.unpack_from(data)[0], at_ns))
                try:
                    sock.sendto(data, sender)
                except OSError:
                    pass  # counts as lost on the way back
            now_ns = time.time_ns()
            if now_ns >= sample_ns:
                samples.append((now_ns, interface_bytes(interface)))
                sample_ns = now_ns + SAMPLE_NS
    except Stop:
        pass
    with open(path, "w", encoding="ascii") as file:
        json.dump({"received": received, "samples": samples}, file)


def main():
    signal.signal(signal.SIGTERM, on_term)
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1000)
    if sys.argv[1] == "send":
        src, dst, port, packets_per_s, path = sys.argv[2:]
        send(src, dst, int(port), int(packets_per_s), path)
    else:
        address, port, interface, path = sys.argv[2:]
        echo(address, int(port), interface, path)


if __name__ == "__main__":
    main()
