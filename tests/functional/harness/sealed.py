# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A mobile whose messages and traffic go under its security associations, by scapy's ESP."""

import os
import struct

from scapy.layers.inet6 import IPv6

from . import mip6, sas
from .lab import Mobile

IPV6, ROUTING, ESP, MH = 41, 43, 50, 135
BINDING_ACKNOWLEDGEMENT = 6


class Answer:
    """A Binding Acknowledgement that came under ESP."""

    def __init__(self, message):
        self.status, _, self.seq, units = struct.unpack_from("!BBHH", message, 6)
        self.lifetime_s = units * mip6.LIFETIME_UNIT_S


class Sealed(Mobile):
    """The mobile of a home address with associations as its home agent lists them."""

    def __init__(self, lab, net, number, home, listed):
        super().__init__(lab, net, number, home)
        self.listed = listed
        self.ends = {(a["use"], a["direction"]): sas.scapy_end(listed, a["use"], a["direction"])
                     for a in listed}

    def seal(self, use, payload, protocol):
        return self.ends[use, "in"].seal(bytes(payload), protocol)

    def open(self, use, sealed):
        return self.ends[use, "out"].open(sealed)

    def transport(self, use, packet):
        """A packet with a Home Address option whose payload is put under ESP (RFC 3776 section 3.1)."""
        raw = bytes(packet)
        sealed = self.seal(use, raw[64:], raw[40])
        return (raw[:4] + struct.pack("!H", 24 + len(sealed)) + raw[6:40] + bytes([ESP]) +
                raw[41:64] + sealed)

    def update_packet(self, seq, care_of=None, **how):
        return self.transport("signalling", super().update_packet(seq, care_of, **how))

    def answer(self, mark, seq=None, care_of=None, timeout_s=5.0):
        """The acknowledgement under ESP behind a type 2 routing header, opened and checked."""
        def matches(frame):
            raw = frame.ip_bytes
            return (frame.dst == (care_of or self.care_of) and raw[6] == ROUTING and raw[40] == ESP and
                    raw[48:64] == mip6.packed(self.home))
        raw = self.wire.expect(matches, mark, timeout_s, "a sealed acknowledgement").ip_bytes
        opened, protocol = self.open("signalling", raw[64:])
        assert protocol == MH and opened[2] == BINDING_ACKNOWLEDGEMENT
        assert opened[4:6] == struct.pack("!H", mip6.mh_checksum(
            self.agent, self.home, opened[:4] + b"\0\0" + opened[6:]))
        answer = Answer(opened)
        assert seq is None or answer.seq == seq
        return answer

    def tunnelled(self, inner, care_of=None, use="payload"):
        sealed = self.seal(use, inner, IPV6)
        return bytes(IPv6(src=care_of or self.care_of, dst=self.agent, nh=ESP,
                          plen=len(sealed))) + sealed

    def receive_down(self, payload=None, care_of=None, **ip):
        """As an open mobile's, out of ESP: what was sent to it, opened."""
        return self.receive_sealed(self.down_packet(payload or os.urandom(12), **ip), "payload", care_of)

    def receive_sealed(self, packet, use, care_of=None):
        """Sends a packet to the home address; returns what comes to the mobile, opened."""
        mark = self.wire.mark()
        self.lab.core.send(packet)
        frame = self.wire.expect(
            lambda f: f.dst == (care_of or self.care_of) and f.next_header == ESP, mark,
            what="a sealed packet")
        opened, protocol = self.open(use, frame.ip_bytes[40:])
        assert protocol == IPV6
        return opened


def numbers(frames, agent):
    """(SPI, sequence number, IV of 8 bytes) of each ESP packet of the home agent among frames."""
    found = []
    for frame in frames:
        raw = frame.ip_bytes if frame.is_ip6 and frame.src == agent else b""
        at = 40 if len(raw) > 60 and raw[6] == ESP else 64
        if at == 40 or len(raw) > 84 and raw[6] == ROUTING and raw[40] == ESP:
            found.append((raw[at:at + 4], raw[at + 4:at + 8], raw[at + 8:at + 16]))
    return found
