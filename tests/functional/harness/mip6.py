# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Mobile IPv6 messages as a mobile makes and reads them, by scapy and the Python library only."""

import hashlib
import hmac
import ipaddress
import os
import struct
import time

from scapy.layers.inet6 import (
    HAO, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, MIP6MH_BA, MIP6MH_BE, MIP6MH_BU,
    MIP6OptMNID, MIP6OptMsgAuth, MIP6OptReplayProtection, Pad1, PadN)

MOBILITY = 135
LIFETIME_UNIT_S = 4

BU_A, BU_H, BU_L, BU_K = "A", "H", "L", "K"


def packed(address):
    return ipaddress.IPv6Address(address).packed


def mh_checksum(src, dst, mobility):
    """RFC 6275 6.1.1, of a Mobility Header whose checksum field is zero."""
    data = packed(src) + packed(dst) + struct.pack("!II", len(mobility), MOBILITY) + mobility
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def bu_header(seq, lifetime_s, flags="AH", options=(), **fields):
    """The Binding Update itself."""
    return MIP6MH_BU(seq=seq, flags=flags, mhtime=lifetime_s // LIFETIME_UNIT_S,
                     options=list(options), **fields)


def mobile_headers(src, dst, hao=None, hlim=64):
    """IPv6 header of a mobile's message, with a Home Address option if it is to have one."""
    packet = IPv6(src=src, dst=dst, hlim=hlim)
    if hao is not None:
        packet /= IPv6ExtHdrDestOpt(options=[HAO(hoa=hao)])
    return packet


def binding_update(home, care_of, agent, seq, lifetime_s=400, flags="AH", options=(), hao=True,
                   **fields):
    """A whole Binding Update from the care-of address."""
    return (mobile_headers(care_of, agent, home if hao else None) /
            bu_header(seq, lifetime_s, flags, options, **fields))


def ntp_now(offset_s=0.0):
    """The time as the MESG-ID option has it; the low bits are noise so that no two are equal."""
    now = time.time() + offset_s + 2208988800
    fraction = int(now % 1 * 2**32) & ~0xff | os.urandom(1)[0]
    return int(now) << 32 | fraction


def authenticator(key, care_of, home, mobility_data):
    """RFC 4285 5.1: first 96 bits, checksum field taken as zero."""
    data = mobility_data[:4] + b"\x00\x00" + mobility_data[6:]
    return hmac.new(key, packed(care_of) + packed(home) + data, hashlib.sha1).digest()[:12]


def readdressed(packet, src, home, seq):
    """A copy of an update (IPv6, Home Address option, Mobility Header) from elsewhere, for another
    home, with another number; its checksum right. Scapy would take minutes for a flood of them."""
    raw = bytearray(packet)
    agent = str(ipaddress.IPv6Address(bytes(raw[24:40])))
    raw[8:24] = packed(src)
    raw[48:64] = packed(home)
    raw[68:70] = b"\0\0"
    raw[70:72] = seq.to_bytes(2, "big")
    raw[68:70] = mh_checksum(home, agent, bytes(raw[64:])).to_bytes(2, "big")
    return bytes(raw)


def authenticated_update(home, care_of, agent, seq, spi, key, mn_id=None, mesg_id=None,
                         lifetime_s=400, flags="AH", options=(), signed_care_of=None):
    """A Binding Update with MN-ID, MESG-ID (unless None) and the MN-HA option last."""
    options = list(options)
    if mn_id is not None:
        options.append(MIP6OptMNID(subtype=1, id=mn_id))
    if mesg_id is not None:
        options.append(MIP6OptReplayProtection(timestamp=mesg_id))
    options.append(MIP6OptMsgAuth(subtype=1, mspi=spi, authdata=b"\x00" * 12))
    draft = bytes(bu_header(seq, lifetime_s, flags, options, cksum=0))
    if _auth_offset(draft) + 19 != len(draft):  # it is to be the last, so padding goes before it
        options.insert(-1, PadN(optdata=b"\x00\x00"))
        draft = bytes(bu_header(seq, lifetime_s, flags, options, cksum=0))
    assert _auth_offset(draft) + 19 == len(draft)
    end_of_spi = _auth_offset(draft) + 7
    options[-1] = MIP6OptMsgAuth(subtype=1, mspi=spi, authdata=authenticator(
        key, signed_care_of or care_of, home, draft[:end_of_spi]))
    return (mobile_headers(care_of, agent, home) /
            bu_header(seq, lifetime_s, flags, options))


def _auth_offset(mobility):
    """Where the authentication option stands in the bytes of a BU or BA."""
    at = 12
    while at < len(mobility):
        if mobility[at] == 9:
            return at
        at += 1 if mobility[at] == 0 else 2 + mobility[at + 1]
    raise AssertionError("no authentication option")


class Answer:
    """A Binding Acknowledgement or Binding Error, taken apart and checked as a mobile would."""

    def __init__(self, frame):
        ip = frame.ip
        self.frame = frame
        self.src, self.dst = ip.src, ip.dst
        self.routing_home = None
        if IPv6ExtHdrRouting in ip:
            routing = ip[IPv6ExtHdrRouting]
            assert (routing.type, routing.len, routing.segleft) == (2, 2, 1)
            self.routing_home = routing.addresses[0]
        self.mobility = frame.ip_bytes[40 + (24 if self.routing_home else 0):]
        zeroed = self.mobility[:4] + b"\x00\x00" + self.mobility[6:]
        self.checksum_ok = struct.unpack_from("!H", self.mobility, 4)[0] == mh_checksum(
            self.src, self.routing_home or self.dst, zeroed)
        self.header = ip[MIP6MH_BA] if MIP6MH_BA in ip else ip[MIP6MH_BE]
        self.status = self.header.status

    @property
    def seq(self):
        return self.header.seq

    @property
    def lifetime_s(self):
        return self.header.mhtime * LIFETIME_UNIT_S

    @property
    def options(self):
        return [o for o in self.header.options if not isinstance(o, (Pad1, PadN))]

    def option(self, kind):
        return next((o for o in self.options if isinstance(o, kind)), None)

    def authentic(self, key, care_of, home):
        """Whether the MN-HA option, which must be last, holds the right value."""
        at = _auth_offset(self.mobility)
        given = self.mobility[at + 7:at + 19]
        assert self.mobility[at + 19:] in (b"", b"\x01\x02\x00\x00")
        return given == authenticator(key, care_of, home, self.mobility[:at + 7])


def is_mobility(frame, kind, home=None, dst=None):
    """Whether a frame is a Mobility Header of that type (with that type 2 routing header)."""
    raw = frame.raw
    if raw[20] == 43 and len(raw) >= 54 + 24 and raw[56] == 2:
        routing_home, at = raw[62:78], 78
        if raw[54] != MOBILITY:
            return False
    elif raw[20] == MOBILITY:
        routing_home, at = None, 54
    else:
        return False
    if len(raw) < at + 6 or raw[at + 2] != kind:
        return False
    if dst is not None and raw[38:54] != packed(dst):
        return False
    return home is None or routing_home == packed(home)
