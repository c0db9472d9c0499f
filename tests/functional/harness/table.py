# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Routing tables like those of the Internet, put into the kernel of a lab and judged by packets.

Gateways are permanent neighbours with a MAC address of their own each, so that a forwarded frame
tells which route its packet took.
"""

import ipaddress
import json
import random
import re
import socket
import struct
import subprocess
import time

from . import netns

# Shares of prefix lengths among the routes of the Internet (APNIC, 2025), in per mille.
LENGTHS4 = {24: 605, 23: 100, 22: 115, 21: 52, 20: 44, 19: 26, 18: 14, 17: 9, 16: 14, 15: 2, 14: 2,
            13: 1, 12: 1, 25: 4, 27: 3, 29: 4, 32: 4}
LENGTHS6 = {48: 470, 47: 25, 46: 45, 45: 15, 44: 105, 42: 20, 40: 95, 38: 5, 36: 30, 34: 5, 33: 20,
            32: 110, 30: 5, 29: 40, 28: 3, 64: 5, 56: 2}
N_GATEWAYS = 64  # of each version on each port
N_GROUPS = 16  # nexthop objects with several ways, of each version
TTL, PROTOCOL, MAGIC = 64, 253, 0x756e7769
PORTS = (("core0", 0), ("acc0", 1))


def gateway(version, port, n):
    """The address of a gateway and its MAC address."""
    mac = f"02:{version:02x}:{port:02x}:00:00:{n:02x}"
    if version == 4:
        return f"{'192.0.2' if port == 0 else '198.51.100'}.{n + 100}", mac
    return f"2001:db8:{'ff' if port == 0 else 'fe'}::{n + 0x100:x}", mac


def prefixes4(n, rng):
    """n IPv4 prefixes in unicast space."""
    found = set()
    lengths, weights = list(LENGTHS4), list(LENGTHS4.values())
    # Longer ones than /24 lie together, as customers' do.
    hosts = [rng.randrange(1 << 24, 223 << 24) & ~0xff for _ in range(max(1, n // 500))]
    while len(found) < n:
        length = rng.choices(lengths, weights)[0]
        if length > 24:
            address = rng.choice(hosts) | rng.randrange(256)
        else:
            address = rng.randrange(1 << 24, 223 << 24)
        address &= ~((1 << 32 - length) - 1) & 0xffffffff
        if address >> 24 in (10, 127, 192, 198) or address >> 16 == 0xa9fe:
            continue
        found.add((address, length))
    return [f"{socket.inet_ntoa(struct.pack('!I', a))}/{n}" for a, n in sorted(
        found, key=lambda _: rng.random())]


def prefixes6(n, rng):
    """n IPv6 prefixes inside the blocks of n / 8 holders, which lie together as registries give."""
    found = set()
    lengths, weights = list(LENGTHS6), list(LENGTHS6.values())
    regions = [0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00]
    holders = [(rng.choice(regions) << 16 | rng.randrange(1 << 17) << 3 & 0xfffff) & 0xfffffff8
               for _ in range(max(1, n // 8))]
    while len(found) < n:
        length = rng.choices(lengths, weights)[0]
        address = rng.choice(holders) << 96
        # Few bits in the middle: assignments begin at the start of a block.
        address |= rng.randrange(8) << 96 | rng.choice(
            (rng.randrange(256), rng.randrange(1 << 16))) << 80 | rng.randrange(4) << 64
        address &= ~((1 << 128 - length) - 1) & (1 << 128) - 1
        found.add((address, length))
    return [f"{ipaddress.IPv6Address(a)}/{n}" for a, n in sorted(
        found, key=lambda _: rng.random())]


class Table:
    """Routes over the gateways of a lab with two ports."""

    def __init__(self, lab, n_routes4, n_routes6, seed=1):
        self.lab = lab
        self.rng = random.Random(seed)
        self.prefixes = {4: prefixes4(n_routes4, self.rng), 6: prefixes6(n_routes6, self.rng)}
        self.macs = {}  # of gateways
        self.ways = {}  # of the prefixes in the kernel, as words
        self.groups = {}  # gateways of each group object
        self.inside_only = False  # destinations lie in prefixes of the table

    def batch(self, lines, timeout_s=600, check=True):
        """Has ip carry out many commands. Returns: seconds."""
        path = self.lab.box.dir / "batch"
        path.write_text("\n".join(lines) + "\n")
        start = time.monotonic()
        netns.run("ip", "-n", self.lab.ha, "-force", "-batch", path, timeout=timeout_s,
                  check=check)
        return time.monotonic() - start

    def make_gateways(self):
        """Gateways, and nexthop objects of single ways and of groups."""
        lines = []
        for version in (4, 6):
            for device, port in PORTS:
                for n in range(N_GATEWAYS):
                    address, mac = gateway(version, port, n)
                    self.macs[address] = bytes.fromhex(mac.replace(":", ""))
                    lines.append(f"neigh replace {address} lladdr {mac} dev {device} nud permanent")
                    lines.append(f"nexthop replace id {self.single(version, port, n)} via {address} "
                                 f"dev {device}")
            for group in range(N_GROUPS):
                ways = [(port, (group * 3 + k) % N_GATEWAYS) for port in (0, 1) for k in (0, 1)]
                members = "/".join(str(self.single(version, *way)) for way in ways)
                lines.append(f"nexthop replace id {1000 * version + group} group {members}")
                self.groups[1000 * version + group] = {gateway(version, *way)[0] for way in ways}
        self.batch(lines)

    def delete_groups(self, version):
        """Deletes the group objects, and thereby their routes."""
        self.batch([f"nexthop del id {1000 * version + n}" for n in range(N_GROUPS)])
        groups = {f"nhid {1000 * version + n}" for n in range(N_GROUPS)}
        self.ways = {p: way for p, way in self.ways.items() if way not in groups}

    @staticmethod
    def single(version, port, n):
        return version * 256 + port * 128 + n

    def way(self, version, n):
        """The words of a route's way: by gateway, by nexthop object, by group."""
        kind = n % 10
        if kind < 6:
            device, port = PORTS[n % 2]
            return f"via {gateway(version, port, n // 2 % N_GATEWAYS)[0]} dev {device}"
        if kind < 9:
            return f"nhid {self.single(version, n % 2, n // 10 % N_GATEWAYS)}"
        return f"nhid {1000 * version + n // 10 % N_GROUPS}"

    def lines(self, verb, version, prefixes=None, shift=0):
        """Commands about all prefixes of a version, or some."""
        head = f"route {verb} "
        chosen = self.prefixes[version] if prefixes is None else prefixes
        if verb == "del":
            for prefix in chosen:
                self.ways.pop(prefix, None)
            return [head + prefix for prefix in chosen]
        for n, prefix in enumerate(chosen):
            self.ways[prefix] = self.way(version, n + shift)
        return [head + f"{prefix} {self.ways[prefix]}" for prefix in chosen]

    def count(self):
        """IPv4 and IPv6 prefixes in the forwarding tables."""
        status = self.lab.box.telemetry("/unwired/status")
        return status["routes_ip4"], status["routes_ip6"]

    def settled_count(self):
        """The count once it stands still."""
        before = None
        while before != self.count():
            before = self.count()
            time.sleep(0.3)
        return before

    def _learned(self, is_ours):
        rows = self.lab.box.rows("routes")
        return sum(1 for r in rows if is_ours(r["prefix"]) and
                   r["type"] in ("adjacency", "glean", "group"))

    def learned4(self):
        """Prefixes that count against max_routes."""
        return self._learned(lambda prefix: "." in prefix)

    def learned6(self):
        return self._learned(lambda prefix: "." not in prefix)

    def wait_count(self, n4, n6, timeout_s=120):
        """Waits until the forwarding tables hold that many. Returns: seconds."""
        start = time.monotonic()
        self.lab.box.wait_for(lambda: self.count() == (n4, n6), timeout_s,
                              f"{n4} and {n6} prefixes in the tables")
        return time.monotonic() - start

    def destinations(self, version, n):
        """Addresses inside prefixes of the table (many inside longer ones), and a few anywhere."""
        found = []
        for _ in range(n):
            if version == 4:
                net = ipaddress.IPv4Network(self.rng.choice(self.prefixes[4]))
                found.append(str(net[self.rng.randrange(net.num_addresses)])
                             if self.inside_only or self.rng.random() < 0.9 else
                             f"{self.rng.randrange(11, 126)}.{self.rng.randrange(256)}."
                             f"{self.rng.randrange(256)}.{self.rng.randrange(256)}")
            else:
                net = ipaddress.IPv6Network(self.rng.choice(self.prefixes[6]))
                low = self.rng.randrange(net.num_addresses) if self.rng.random() < 0.9 else \
                    self.rng.randrange(1 << 96)
                found.append(str(ipaddress.IPv6Address(int(net.network_address) ^ low)))
        return found

    def _group_of(self, version, address):
        """The gateways of the group that the longest match for an address goes by, or an empty set."""
        for length in range(32 if version == 4 else 64, 0, -1):
            way = self.ways.get(str(ipaddress.ip_network(f"{address}/{length}", strict=False)))
            if way is not None:
                number = int(way.split()[-1]) if way.startswith("nhid") else 0
                return self.groups.get(number, set())
        return set()

    def _kernel_says(self, version, addresses):
        """The gateways that the kernel may send to, for each address a set; empty: nowhere. (What
        fibmatch says of IPv6 groups is wrong in Linux 6: they are added here.)"""
        path = self.lab.box.dir / "gets"
        path.write_text("".join(f"route get {a}\n" for a in addresses))
        done = subprocess.run(
            ["ip", "-n", self.lab.ha, f"-{version}", "-json", "-force", "-batch", str(path)],
            capture_output=True, text=True, timeout=300)
        failed = {int(n) - 1 for n in re.findall(r"gets:(\d+)", done.stderr)}
        decoder = json.JSONDecoder()
        answers, at = [], 0
        text = done.stdout.strip()
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            answers.append({value[0]["gateway"]} if "gateway" in value[0] else set())
            while at < len(text) and text[at].isspace():
                at += 1
        answers = iter(answers)
        allowed = [set() if n in failed else next(answers) for n in range(len(addresses))]
        for n, address in enumerate(addresses):
            group = self._group_of(version, address)
            assert not group or allowed[n] <= group
            allowed[n] |= group
        return allowed

    @staticmethod
    def probe(version, number, address):
        """A packet to an address that carries a number, of the protocol for experiments."""
        body = struct.pack("!II", MAGIC, number)
        if version == 6:
            return (struct.pack("!IHBB", 0x60000000, len(body), PROTOCOL, TTL) +
                    socket.inet_pton(socket.AF_INET6, "2001:db8:ff::7") +
                    socket.inet_pton(socket.AF_INET6, address) + body)
        head = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, TTL, PROTOCOL, 0,
                                     socket.inet_aton("192.0.2.7"), socket.inet_aton(address)))
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xffff) + (total >> 16)
        struct.pack_into("!H", head, 10, ~(total + (total >> 16)) & 0xffff)
        return bytes(head) + body

    def mismatches(self, version, n):
        """Sends packets to n addresses and compares their ways with the kernel's. Returns: those that
        went elsewhere, as (address, gateways of the kernel, MAC address seen or None)."""
        addresses = self.destinations(version, n)
        allowed = self._kernel_says(version, addresses)
        marks = [(wire, wire.mark()) for wire in (self.lab.core, self.lab.access)]
        head = self.lab.core.box_mac + self.lab.core.own_mac + (
            b"\x86\xdd" if version == 6 else b"\x08\x00")
        for number, address in enumerate(addresses):
            self.lab.core.send_frame(head + self.probe(version, number, address))
            if number % 64 == 63:
                time.sleep(0.01)
        expected = sum(1 for one in allowed if one)

        def seen():
            found = {}
            at = 14 + (40 if version == 6 else 20)
            for wire, mark in marks:
                for frame in wire.since(mark):
                    if frame.raw[:3] == bytes((2, version, frame.raw[2])) and \
                            frame.raw[at:at + 4] == struct.pack("!I", MAGIC):
                        found[struct.unpack_from("!I", frame.raw, at + 4)[0]] = frame.raw[:6]
            return found
        deadline = time.monotonic() + 5
        while len(seen()) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        found = seen()
        return [(address, allowed[number], found.get(number))
                for number, address in enumerate(addresses)
                if (found.get(number) not in {self.macs.get(g) for g in allowed[number]}
                    if allowed[number] else number in found)]
