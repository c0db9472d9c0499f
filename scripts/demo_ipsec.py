# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The demo's IPsec mode: keys of this run, the packets that the wires saw, and what they prove."""

import ipaddress
import json
import os
import shutil
import struct
import subprocess
import sys
import time

from demo_lab import CORRESPONDENT, HOME, HOME_AGENT, LAB_ID, PROBE_PORT, ROOT, Program, wait_for
from demo_probe import PADDING

# What protects what; the lengths are those of the keys in bytes (AES-GCM: with its salt of 4).
GCM = {"encryption": "aes-gcm-16", "encryption_key": 20}
CBC = {"encryption": "aes-cbc", "encryption_key": 16,
       "authentication": "hmac-sha256-128", "authentication_key": 32}
SUITES = {"signalling": CBC, "discovery": CBC, "routability": GCM, "payload": GCM}
IN, OUT = "in", "out"
FIRST_SPI = 4096
REPLAY_WINDOW = 1024  # two ways for a while, and a machine that is busy with much else
SNAP_BYTES = 192
RESTART_NS = 250_000_000  # what left just before a kill has passed the wire by then

HOP_OPTIONS, ROUTING, FRAGMENT, ESP, ICMP6, DST_OPTIONS = 0, 43, 44, 50, 58, 60
TEXT = PADDING[:40]


def association(use, direction, spi):
    """As the home agent lists it, with random keys."""
    made = {"use": use, "direction": direction, "spi": spi}
    for name, value in SUITES[use].items():
        made[name] = os.urandom(value).hex() if isinstance(value, int) else value
    return made


def line(associations):
    """What either end reads: what comes in has a window against replay."""
    return json.dumps({"home_addresses": [HOME], "protect": ["payload"], "security_associations": [
        {**a, "replay_window": REPLAY_WINDOW} if a["direction"] == IN else a for a in associations]})


class Packet:
    """The start of an IPv6 packet: what can be read in it on the way."""

    def __init__(self, raw):
        self.src, self.dst = raw[8:24], raw[24:40]
        self.kind = "clear"
        self.number = None  # (SPI, sequence number), (SPI, IV)
        protocol, at = raw[6], 40
        while protocol in (HOP_OPTIONS, ROUTING, DST_OPTIONS, FRAGMENT) and len(raw) >= at + 8:
            if protocol == FRAGMENT and raw[at + 2:at + 4] > b"\0\7":  # not the first
                self.kind = "esp" if raw[at] == ESP else "clear"
                return
            protocol, at = raw[at], at + (8 if protocol == FRAGMENT else (raw[at + 1] + 1) * 8)
        if protocol == ESP and len(raw) >= at + 16:
            self.kind = "esp"
            self.number = raw[at:at + 8], raw[at:at + 4] + raw[at + 8:at + 16]
        elif protocol == ICMP6 and len(raw) > at and 130 <= raw[at] <= 143:
            self.kind = "neighbours"  # discovery of neighbours and of listeners
        elif protocol == ICMP6 and len(raw) >= at + 48 and raw[at] < 128:
            self.kind = "error" if Packet(raw[at + 8:]).kind == "esp" else "clear"


def read_capture(path):
    """(time in ns, IPv6 packet) of each frame of a file of tcpdump's."""
    data = path.read_bytes()
    at = 24
    while at + 16 <= len(data):
        seconds, microseconds, length, _ = struct.unpack_from("=IIII", data, at)
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if frame[12:14] == b"\x86\xdd":
            yield seconds * 10**9 + microseconds * 1000, frame[14:]


class Capture:
    """tcpdump at an interface of the lab."""

    def __init__(self, namespace, interface, expression, directory):
        self.path = directory / f"{interface}.pcap"
        self.program = Program(f"tcpdump-{interface}", namespace, [
            "tcpdump", "-n", "-Z", "root", "-i", interface, "-s", SNAP_BYTES, "-B", 16384, "-w",
            self.path, expression], directory)
        wait_for(f"tcpdump at {interface}",
                 lambda: "listening on" in self.program.log.read_text())

    def end(self):
        """How many packets it missed."""
        self.program.end()
        lines = self.program.log.read_text().splitlines()
        return next(int(text.split()[0]) for text in lines if "dropped by kernel" in text)


class Protection:
    """The security associations of a journey, and the judgement of what left under them."""

    def __init__(self, directory):
        self.directory = directory
        self.captures = []
        self.numbers_at_kills = []  # (event, last number before it, first behind it)
        self.packets = {}  # on the access links, by kind
        self.n_refused = self.n_missed = 0
        self.sas = ""
        pairs = [(use, direction) for use in SUITES for direction in (IN, OUT)]
        self.listed = [association(use, direction, FIRST_SPI + i)
                       for i, (use, direction) in enumerate(pairs)]
        self.payload_spi = next(a["spi"] for a in self.listed
                                if (a["use"], a["direction"]) == ("payload", OUT))
        self.config = directory / "unwired.json"
        self.mobile_file = directory / "mobile.json"
        self._write_files()

    def _write_files(self):
        """The lab's configuration with IPsec, and the same keys for either end."""
        config = json.loads((ROOT / "config/examples/lab.json").read_text())
        network = config["home_networks"][0]
        del network["//authentication"]
        network["authentication"] = "ipsec"
        config["subscribers"] = {"file": "subscribers.jsonl"}
        self.config.write_text(json.dumps(config))
        self._write_keys(self.directory / "subscribers.jsonl", self.listed)
        for user in ("unwired", "nobody"):
            try:
                shutil.chown(self.directory / "subscribers.jsonl", user)
                break
            except LookupError:
                continue
        other = {IN: OUT, OUT: IN}
        self._write_keys(self.mobile_file,
                         [{**a, "direction": other[a["direction"]]} for a in self.listed])

    @staticmethod
    def _write_keys(path, associations):
        path.touch(0o600)
        path.write_text(line(associations) + "\n")

    def start(self):
        """Listens where the mobile is attached, and in front of the home agent."""
        for n in (1, 2, 3):
            self.captures.append(Capture(f"acc{n}", f"acc{n}-mn", "ip6", self.directory))
        self.captures.append(Capture(
            "core", "core-ha", f"src host {HOME_AGENT} or udp port {PROBE_PORT}", self.directory))

    def send_unprotected_update(self):
        """A stranger says where the home address is now."""
        subprocess.run(["ip", "netns", "exec", f"uw-{LAB_ID}-cn", sys.executable, "-B",
                        ROOT / "scripts/demo_stranger.py", CORRESPONDENT, HOME, HOME_AGENT],
                       check=True)
        time.sleep(0.3)

    def stop(self):
        self.n_missed = sum(capture.end() for capture in self.captures)

    def judge(self, journey):
        """Reads the captures and adds promises to the journey."""
        agent = ipaddress.IPv6Address(HOME_AGENT).packed
        *access, front = (list(read_capture(c.path)) for c in self.captures)
        self.n_read_in_clear = sum(TEXT in raw for _, raw in front)
        self.n_read_on_access = sum(TEXT in raw for link in access for _, raw in link)
        from_mobile = []
        for link in access:
            for _, raw in link:
                packet = Packet(raw)
                self.packets[packet.kind] = self.packets.get(packet.kind, 0) + 1
                if packet.number and packet.dst == agent:
                    from_mobile.append(packet.number)
        from_agent = [(at_ns, packet) for at_ns, packet in ((t, Packet(raw)) for t, raw in front)
                      if packet.src == agent]
        self._judge_numbers(journey, from_mobile, [(t, p.number) for t, p in from_agent if p.number])
        journey.promise("nothing but ESP between mobile and home agent",
                        self.packets.get("esp", 0) > 0 and self.packets.get("clear", 0) == 0
                        and all(p.kind == "esp" for _, p in from_agent))
        journey.promise("what the probes say is read in front of the home agent, and on no access link",
                        self.n_read_in_clear > 0 and self.n_read_on_access == 0)

    def _judge_numbers(self, journey, from_mobile, from_agent):
        gcm_spis = {struct.pack("!I", a["spi"]) for a in self.listed if a["encryption"] == "aes-gcm-16"}
        self.n_numbers = self.n_twice = 0
        for numbers in (from_mobile, [number for _, number in from_agent]):
            pairs = [pair for pair, _ in numbers]
            ivs = [iv for pair, iv in numbers if pair[:4] in gcm_spis]
            self.n_numbers += len(pairs)
            self.n_twice += len(pairs) - len(set(pairs)) + len(ivs) - len(set(ivs))
        journey.promise("no sequence number and no IV was used twice under one key",
                        self.n_numbers > 0 and self.n_twice == 0)
        spi = struct.pack("!I", self.payload_spi)
        payload = [(t, int.from_bytes(pair[4:], "big")) for t, (pair, _) in from_agent
                   if pair[:4] == spi]
        for event in journey.events:
            if event["letter"] in "CD":
                behind_ns = event["at_ns"] + RESTART_NS
                before = max(number for t, number in payload if t < behind_ns)
                after = min(number for t, number in payload if t >= behind_ns)
                self.numbers_at_kills.append((event, before, after))
                journey.promise(f"sequence numbers went on behind the {event['text']}", after > before)

    def print_report(self):
        kinds = [("esp", "ESP"), ("neighbours", "discovery of neighbours"),
                 ("error", "errors that quote ESP"), ("clear", "in the clear")]
        print("\nUnder IPsec")
        print("  on the access links  " + ", ".join(
            f"{self.packets.get(kind, 0)} {text}" for kind, text in kinds))
        print(f"  text of the probes   read {self.n_read_in_clear} times in front of the home agent,"
              f" {self.n_read_on_access} times on the access links")
        print(f"  (SPI, number, IV)    {self.n_numbers} seen, {self.n_twice} twice"
              f" ({self.n_missed} packets missed by tcpdump)")
        for event, before, after in self.numbers_at_kills:
            print(f"  {event['text']:<36} payload's numbers: {before}, then {after}")
        print(f"  unprotected Updates  1 sent, {self.n_refused} dropped as esp_required\n")
        print("\n".join("  " + row for row in self.sas.splitlines()))
