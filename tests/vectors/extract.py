#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Writes mh.hex: every distinct IPv6 packet with a Mobility Header in clear from a folder of captures.

Usage: extract.py PCAP_FOLDER > mh.hex

Each packet is a comment line (capture, frame number, MH type) and a line of hex, from the IPv6 header
on. Packets inside IPv6-in-IPv6 tunnels are written without the outer header; ESP hides the rest. A
message that is seen on several links is written once (hop limits aside).
"""
import pathlib
import sys

from scapy.utils import RawPcapReader

IPV6, ROUTING, DSTOPTS, HOPOPTS, MH = 41, 43, 60, 0, 135


def find_mh(packet):
    """The innermost IPv6 packet that carries a Mobility Header in clear, and its MH type, or None."""
    start = 0
    while True:
        if len(packet) < start + 40:
            return None
        end = start + 40 + int.from_bytes(packet[start + 4:start + 6], "big")
        proto, at = packet[start + 6], start + 40
        while proto in (ROUTING, DSTOPTS, HOPOPTS) and at + 2 <= len(packet):
            proto, at = packet[at], at + (packet[at + 1] + 1) * 8
        if proto == IPV6:
            start = at
            continue
        if proto != MH or end > len(packet):
            return None
        return packet[start:end], packet[at + 2]


def main():
    seen = set()
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pcap")):
        for number, (raw, _) in enumerate(RawPcapReader(str(path)), 1):
            if raw[12:14] != b"\x86\xdd":
                continue
            found = find_mh(raw[14:])
            if found is None:
                continue
            packet, mh_type = found
            key = packet[:7] + packet[8:]
            if key in seen:
                continue
            seen.add(key)
            print(f"# {path.stem} frame {number} type {mh_type}")
            print(packet.hex())


if __name__ == "__main__":
    main()
