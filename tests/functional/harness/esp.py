# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""ESP as scapy makes and opens it: the independent other end of an SA."""

import hashlib

from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

PROTOCOL = 50


class Suite:
    """Algorithms by the numbers of records.h and by scapy's names, with keys."""

    def __init__(self, name, encryption, authentication, crypt, key_len, auth, auth_len):
        material = hashlib.sha512(name.encode()).digest() + hashlib.sha512(b"2" + name.encode()).digest()
        self.name = name
        self.encryption, self.authentication = encryption, authentication
        self.crypt, self.auth = crypt, auth
        self.enc_key, self.auth_key = material[:key_len], material[64:64 + auth_len]

    def __repr__(self):
        return self.name


_HMACS = [("sha1", 1, "HMAC-SHA1-96", 20), ("sha256", 2, "SHA2-256-128", 32),
          ("sha384", 3, "SHA2-384-192", 48), ("sha512", 4, "SHA2-512-256", 64)]

GCM = Suite("gcm128", 1, 0, "AES-GCM", 20, "NULL", 0)
SUITES = [GCM, Suite("gcm256", 1, 0, "AES-GCM", 36, "NULL", 0),
          Suite("chacha20", 2, 0, "CHACHA20-POLY1305", 36, "NULL", 0)]
SUITES += [Suite(f"{cipher}-{name}", encryption, number, crypt, key_len, auth, auth_len)
           for cipher, encryption, crypt, key_len in (
               ("cbc128", 3, "AES-CBC", 16), ("cbc256", 3, "AES-CBC", 32), ("null", 4, "NULL", 0))
           for name, number, auth, auth_len in _HMACS]


class Association:
    """One SA of a mobile: seals for the box, or opens what the box sealed."""

    def __init__(self, suite, spi, keys=None):
        self.suite, self.spi, self.seq = suite, spi, 0
        self.enc_key, self.auth_key = keys or (suite.enc_key, suite.auth_key)

    def _scapy(self):
        return SecurityAssociation(
            ESP, spi=self.spi, crypt_algo=self.suite.crypt, crypt_key=self.enc_key or None,
            auth_algo=self.suite.auth, auth_key=self.auth_key or None)

    def seal(self, payload, next_header, seq=None):
        """The ESP packet of a payload, without headers in front."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        carrier = IPv6(src="::1", dst="::2", nh=next_header) / Raw(payload)
        return bytes(self._scapy().encrypt(carrier, seq_num=seq))[40:]

    def open(self, sealed):
        """(payload, next header) of an ESP packet; raises when its check value is wrong."""
        carrier = IPv6(src="::1", dst="::2", nh=PROTOCOL) / ESP(sealed)
        opened = self._scapy().decrypt(IPv6(bytes(carrier)))
        return bytes(opened)[40:], opened.nh
