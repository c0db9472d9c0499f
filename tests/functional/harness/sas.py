# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Security associations as the subscribers' file and the mobile's own file list them."""

import os

from harness import esp

# What a file says, and scapy: the name, and the length of a key.
ENCRYPTIONS = {"aes-gcm-16": ("AES-GCM", 20), "chacha20-poly1305": ("CHACHA20-POLY1305", 36),
               "aes-cbc": ("AES-CBC", 16), "null": ("NULL", 0)}
AUTHENTICATIONS = {None: ("NULL", 0), "hmac-sha1-96": ("HMAC-SHA1-96", 20),
                   "hmac-sha256-128": ("SHA2-256-128", 32), "hmac-sha384-192": ("SHA2-384-192", 48),
                   "hmac-sha512-256": ("SHA2-512-256", 64)}
USES = ("signalling", "discovery", "routability", "payload")


def association(use, direction, spi, encryption="aes-gcm-16", authentication=None, **more):
    """An entry of security_associations with random keys."""
    made = {"use": use, "direction": direction, "spi": spi, "encryption": encryption, **more}
    enc_len, auth_len = ENCRYPTIONS[encryption][1], AUTHENTICATIONS[authentication][1]
    if enc_len:
        made["encryption_key"] = os.urandom(enc_len).hex()
    if authentication:
        made["authentication"] = authentication
        made["authentication_key"] = os.urandom(auth_len).hex()
    return made


def associations(first_spi, uses=USES, **how):
    """One of each use each way."""
    both = [(use, direction) for use in uses for direction in ("in", "out")]
    return [association(use, direction, first_spi + i, **how)
            for i, (use, direction) in enumerate(both)]


def mirrored(listed):
    """The same as the other end lists them."""
    other = {"in": "out", "out": "in"}
    return [dict({k: v for k, v in a.items() if k != "replay_window"},
                 direction=other[a["direction"]]) for a in listed]


class _Suite:
    def __init__(self, listed):
        self.crypt = ENCRYPTIONS[listed["encryption"]][0]
        self.auth = AUTHENTICATIONS[listed.get("authentication")][0]


def scapy_end(listed, use, direction):
    """The association of a list as scapy seals and opens for it."""
    one = next(a for a in listed if (a["use"], a["direction"]) == (use, direction))
    return esp.Association(_Suite(one), one["spi"], keys=(
        bytes.fromhex(one.get("encryption_key", "")),
        bytes.fromhex(one.get("authentication_key", ""))))
