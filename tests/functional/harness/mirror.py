# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""unwired-xfrm as the test plays it: the records of controlplane/learned.h."""

import socket
import struct
import threading

BEGIN, MOBILE, END = 1, 2, 3
_USES = {"signalling": 1, "discovery": 2, "routability": 3, "payload": 4}
_DIRECTIONS = {"in": 1, "out": 2}
_ENCRYPTIONS = {"aes-gcm-16": 1, "chacha20-poly1305": 2, "aes-cbc": 3, "null": 4}
_AUTHENTICATIONS = {None: 0, "hmac-sha1-96": 1, "hmac-sha256-128": 2, "hmac-sha384-192": 3,
                    "hmac-sha512-256": 4}


def packed(listed):
    """One association of a subscribers' file as a record has it."""
    encryption, authentication = (bytes.fromhex(listed.get(name, "")) for name in (
        "encryption_key", "authentication_key"))
    return struct.pack(
        ">IBBBBBHIQQBB", listed["spi"], _USES[listed["use"]], _DIRECTIONS[listed["direction"]],
        _ENCRYPTIONS[listed["encryption"]], _AUTHENTICATIONS[listed.get("authentication")],
        listed.get("esn", False), 64 if listed["direction"] == "in" else 0, 0, 0, 0,
        len(encryption), len(authentication)) + encryption + authentication


class Mirror:
    """What unwired-xfrm says."""

    def __init__(self, run_dir, agent):
        self.agent = agent
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(run_dir / "ike.sock"))

    def send(self, kind, home="::", agent="::", body=b"", version=1, length=None):
        self.socket.send(struct.pack("=HHI", version, kind, len(body) if length is None else length) +
                         socket.inet_pton(socket.AF_INET6, home) +
                         socket.inet_pton(socket.AF_INET6, agent) + body)

    def mobile(self, home, associations, agent=None, protect=0):
        self.send(MOBILE, home, agent or self.agent,
                  struct.pack("BB", len(associations), protect) + b"".join(associations))

    def all(self, mobiles, protect=0):
        self.send(BEGIN)
        for home, associations in mobiles.items():
            self.mobile(home, associations, protect=protect)
        self.send(END)

    def close(self):
        self.socket.close()


class Daemon(threading.Thread):
    """Comes back by itself, as unwired-xfrm does, and tells everything. Until close()."""

    def __init__(self, run_dir, agent, mobiles, protect, retry_s=0.1):
        super().__init__(name="mirror", daemon=True)
        self.run_dir, self.agent, self.retry_s = run_dir, agent, retry_s
        self.mobiles, self.protect = mobiles, protect
        self._stop_now = threading.Event()
        self.start()

    def run(self):
        while not self._stop_now.wait(self.retry_s):
            try:
                one = Mirror(self.run_dir, self.agent)
            except OSError:
                continue
            try:
                one.all(self.mobiles, self.protect)
                one.socket.settimeout(0.1)
                while not self._stop_now.is_set():
                    try:
                        if one.socket.recv(1) == b"":
                            break
                    except TimeoutError:
                        continue
            except OSError:
                pass
            one.close()

    def close(self):
        self._stop_now.set()
        self.join()
