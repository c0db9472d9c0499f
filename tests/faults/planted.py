# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Subscribers with keys that must never be seen outside of the files that keep them."""

import base64
import hashlib

N_SUBSCRIBERS = 8


def _subscriber(n):
    return {"mn_id": f"planted{n}@example.net", "home_addresses": [f"2001:db8:2::f:{n:x}"],
            "keys": [{"spi": 2000 + n, "algorithm": "hmac-sha1",
                      "key": hashlib.sha256(b"planted %d" % n).digest()[:16].hex()}]}


SUBSCRIBERS = [_subscriber(n) for n in range(N_SUBSCRIBERS)]


def mobile(lab, n):
    """The mobile of subscriber number n."""
    row = SUBSCRIBERS[n]
    return lab.mobile("auth", home=row["home_addresses"][0], spi=row["keys"][0]["spi"],
                      key=bytes.fromhex(row["keys"][0]["key"]), mn_id=row["mn_id"].encode())


def keys():
    """Each key in every form that it might be printed in."""
    forms = set()
    for row in SUBSCRIBERS:
        text = row["keys"][0]["key"]
        raw = bytes.fromhex(text)
        forms |= {raw, text.encode(), text.upper().encode(), base64.b64encode(raw).rstrip(b"=")}
    return forms
