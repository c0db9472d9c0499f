#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""usage: relay.py CORE FROM TO

Sends every frame that comes in on one interface out of the other, from one processor core."""

import os
import select
import socket
import sys


def main():
    core, source, destination = sys.argv[1:]
    os.sched_setaffinity(0, [int(core)])
    ends = []
    for name in (source, destination):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        end.bind((name, 3))
        ends.append(end)
    print("ready", flush=True)
    while True:
        select.select(ends[:1], [], [])
        ends[1].send(ends[0].recv(2048))


if __name__ == "__main__":
    main()
