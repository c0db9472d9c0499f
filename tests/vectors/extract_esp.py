#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Writes esp.hex: ESP packets of real peers, with what scapy's own IPsec finds in them.

Usage: extract_esp.py PCAP_FOLDER > esp.hex
       extract_esp.py --tunnels PCAP_FOLDER > esp_tunnels.hex

Each packet is a comment line (capture, frame number), a line of hex, from the IPv6 header on, and a line
of hex of what its ESP protects: the payload without padding. Keys as the captures' README gives them.
With --tunnels: the sets whose tunnels are under ESP, with all that went in and out of them in the clear, too,
as comment line and line of hex.
"""
import pathlib
import sys

from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.utils import RawPcapReader

ENCRYPTION_KEY, AUTHENTICATION_KEY = bytes(range(16)), bytes(range(0x10, 0x24))
SUITES = {f"{name}--{link}": suite for link in ("ha-uplink", "home-link") for name, suite in (
    ("09-ipsec-aes", ("AES-CBC", ENCRYPTION_KEY)), ("10-ipsec-espnull", ("NULL", None)))}
TUNNELS = [f"{name}--ha-uplink" for name in (
    "11-ipsec-payload-tunnel", "13-ipsec-hoti-esp-tunnel", "14-ipsec-mh-icmp-payload")]
HOME = bytes.fromhex("20010db8000100000000000000000100")
HOPOPTS, ROUTING, ESP_PROTOCOL, DSTOPTS = 0, 43, 50, 60
HEAD, CHECK_VALUE = 40, 12


def esp_of(packet):
    """The ESP part of a packet, or None."""
    end = HEAD + int.from_bytes(packet[4:6], "big")
    proto, at = packet[6], HEAD
    while proto in (HOPOPTS, ROUTING, DSTOPTS):
        proto, at = packet[at], at + (packet[at + 1] + 1) * 8
    return packet[at:end] if proto == ESP_PROTOCOL else None


def payload_of(esp, cipher, key):
    """What scapy decrypts, after it checked the check value."""
    association = SecurityAssociation(ESP, spi=int.from_bytes(esp[:4], "big"), crypt_algo=cipher,
                                      crypt_key=key, auth_algo="HMAC-SHA1-96",
                                      auth_key=AUTHENTICATION_KEY)
    carrier = IPv6(src="::1", dst="::2", nh=ESP_PROTOCOL) / ESP(esp)
    return bytes(association.decrypt(IPv6(bytes(carrier))))[HEAD:]


def tunnels(folder):
    for name in TUNNELS:
        for number, (frame, _) in enumerate(RawPcapReader(str(folder / f"{name}.pcap")), 1):
            packet = frame[14:]
            if frame[12:14] == b"\x86\xdd" and (HOME in packet or esp_of(packet)):
                print(f"# {name} frame {number}")
                print(packet[:HEAD + int.from_bytes(packet[4:6], "big")].hex())


def main():
    if sys.argv[1] == "--tunnels":
        tunnels(pathlib.Path(sys.argv[2]))
        return
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pcap")):
        if path.stem not in SUITES:
            continue
        for number, (frame, _) in enumerate(RawPcapReader(str(path)), 1):
            packet = frame[14:]
            esp = esp_of(packet) if frame[12:14] == b"\x86\xdd" else None
            if esp is None:
                continue
            print(f"# {path.stem} frame {number}")
            print(packet[:HEAD + int.from_bytes(packet[4:6], "big")].hex())
            print(payload_of(esp, *SUITES[path.stem]).hex())


main()
