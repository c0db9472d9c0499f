# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The Linux kernel as the mobile's tunnel end: IPv6-in-IPv6 that none of us wrote (SRv6 encap.red
out, End.DT6 in). Only the signalling is played."""

import os
import re
import socket
import subprocess
import threading
import time

import pytest

from harness import mip6, netns
from harness.lab import CORE_BOX, CORRESPONDENT, Lab, network
from harness.wire import Wire

AGENT = "2001:db8:1::1"
N_BYTES = 8 << 20


class KernelMobile:
    """A namespace with two access links, whose kernel tunnels from the care-of address in use."""

    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        self.home = f"2001:db8:1::f:{number}"
        self.name = lab.namespaces.add(f"mn{number}")
        self.router = lab.namespaces.prefix + "peer"
        self.seq = 0
        self.care_of, self.gateway, self.wires = [], [], []
        lab.namespaces.sysctl(self.name, "net.ipv6.conf.all.forwarding", 1)
        netns.run("ip", "-n", self.name, "-6", "rule", "add", "pref", 10, "table", "local")
        for link in range(2):
            here, there = f"b{link}", f"a{number}{link}"
            prefix = f"2001:db8:{number}{link}a"
            lab.namespaces.veth(self.name, here, self.router, there)
            lab.namespaces.address(self.router, there, f"{prefix}::1/64")
            lab.namespaces.address(self.name, here, f"{prefix}::2/64")
            self.care_of.append(f"{prefix}::2")
            self.gateway.append(f"{prefix}::1")
            table = 100 + link
            netns.run("ip", "-n", self.name, "-6", "rule", "add", "pref", 5, "ipproto", 41,
                      "to", f"{prefix}::2", "table", table)
            netns.run("ip", "-n", self.name, "-6", "route", "add", f"{prefix}::2/128", "encap",
                      "seg6local", "action", "End.DT6", "table", 255, "dev", here, "table", table)
            self.wires.append(Wire(self.name, here, "/dev/null",
                                   netns.Namespaces.mac(self.router, there)))
        netns.run("ip", "-n", self.name, "-6", "rule", "delete", "pref", 0, "table", "local")
        lab.namespaces.address(self.name, "lo", f"{self.home}/128")
        self.tunnel_from(0)

    def tunnel_from(self, link):
        """The kernel's side of a movement."""
        device, gateway = f"b{link}", self.gateway[link]
        netns.run("ip", "-n", self.name, "sr", "tunsrc", "set", self.care_of[link])
        netns.run("ip", "-n", self.name, "-6", "route", "replace", AGENT, "via", gateway,
                  "dev", device)
        for prefix in ("2001:db8:20::/64", "2001:db8:1::f:0/112"):
            netns.run("ip", "-n", self.name, "-6", "route", "replace", prefix, "encap", "seg6",
                      "mode", "encap.red", "segs", AGENT, "dev", device, "src", self.home)

    def register(self, link):
        self.seq += 1
        wire = self.wires[link]
        mark = wire.mark()
        wire.send(mip6.binding_update(self.home, self.care_of[link], AGENT, self.seq))
        answer = mip6.Answer(wire.expect(
            lambda f: mip6.is_mobility(f, 6, self.home), mark, what="acknowledgement"))
        assert answer.status == 0

    def move(self, link):
        self.tunnel_from(link)
        self.register(link)

    def run(self, *command, **how):
        return netns.run("ip", "netns", "exec", self.name, *command, **how)


@pytest.fixture(scope="module")
def lab(root):

    made = Lab([network("open", 1)], n_ports=1)
    try:
        peer = made.namespaces.prefix + "peer"
        made.cn = made.namespaces.add("cn")
        made.namespaces.sysctl(peer, "net.ipv6.conf.all.forwarding", 1)
        made.namespaces.veth(made.cn, "c0", peer, "n0")
        made.namespaces.address(peer, "n0", "2001:db8:20::1/64")
        made.namespaces.address(made.cn, "c0", f"{CORRESPONDENT}/64")
        made.namespaces.route(made.cn, "default", "via", "2001:db8:20::1")
        made.namespaces.route(peer, "2001:db8:1::/64", "via", CORE_BOX)
        made.start()
        made.mobiles = [KernelMobile(made, n) for n in (1, 2)]
        for one in made.mobiles:
            one.register(0)
        yield made
    finally:
        for one in getattr(made, "mobiles", []):
            for wire in one.wires:
                wire.close()
        problems = made.close()
    assert not problems, "\n".join(problems)


def ping_statistics(output):
    """(sent, received, doubled)"""
    sent, received = re.search(r"(\d+) packets transmitted, (\d+) received", output).groups()
    doubled = re.search(r"\+(\d+) duplicates", output)
    return int(sent), int(received), int(doubled.group(1)) if doubled else 0


PING = ("ping", "-n", "-i", "0.02", "-W", "2", "-c")


def test_ping_both_ways(lab):
    one = lab.mobiles[0]
    out = netns.run("ip", "netns", "exec", lab.cn, *PING, 50, one.home)
    assert ping_statistics(out) == (50, 50, 0)
    out = one.run(*PING, 50, "-I", one.home, CORRESPONDENT)
    assert ping_statistics(out) == (50, 50, 0)


@pytest.mark.parametrize("size", [56, 1000, 1412])
def test_ping_sizes(lab, size):
    """1412 bytes make an inner packet of 1460, the largest that fits."""
    out = netns.run("ip", "netns", "exec", lab.cn, *PING, 10, "-s", size, "-M", "do",
                    lab.mobiles[0].home)
    assert ping_statistics(out) == (10, 10, 0)


@pytest.mark.parametrize("size", [1413, 1452, 4000])
def test_larger_packets_come_as_fragments(lab, size):
    """The first is answered with Packet Too Big, then the sender's kernel makes fragments that fit
    into the tunnel. Requests are counted, for the mobile's kernel cannot send such large answers:
    its SRv6 encapsulates first and fragments then, and loses the header of all but the first."""
    one = lab.mobiles[0]

    def n_requests():
        counters = one.run("cat", "/proc/net/snmp6")
        return int(re.search(r"^Icmp6InEchos\s+(\d+)", counters, re.MULTILINE).group(1))

    before = n_requests()
    netns.run("ip", "netns", "exec", lab.cn, "ping", "-n", "-i", "0.05", "-W", "1", "-c", 6,
              "-s", size, "-M", "want", one.home, check=False)
    lab.box.wait_for(lambda: n_requests() - before >= 5, 3, "five of six requests")


def transfer(from_namespace, to_namespace, to_address, data):
    """Sends data over a TCP connection of the two kernels. Returns what came out."""
    with netns.inside(to_namespace):
        listener = socket.create_server((to_address, 0), family=socket.AF_INET6)
    with netns.inside(from_namespace):
        sender = socket.socket(socket.AF_INET6)
    received = bytearray()

    def receive():
        connection = listener.accept()[0]
        connection.settimeout(20)
        with connection:
            while piece := connection.recv(1 << 16):
                received.extend(piece)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    with sender, listener:
        sender.settimeout(20)
        sender.connect((to_address, listener.getsockname()[1]))
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        thread.join(30)
    return bytes(received)


def test_tcp_to_the_mobile(lab):
    """Its first segments are too big for the tunnel: Packet Too Big must bring the size down."""
    one, data = lab.mobiles[0], os.urandom(N_BYTES)
    assert transfer(lab.cn, one.name, one.home, data) == data


def test_tcp_from_the_mobile(lab):
    one, data = lab.mobiles[0], os.urandom(N_BYTES)
    assert transfer(one.name, lab.cn, CORRESPONDENT, data) == data


def test_ping_between_two_mobiles(lab):
    one, other = lab.mobiles
    out = one.run(*PING, 50, "-I", one.home, other.home)
    assert ping_statistics(out) == (50, 50, 0)


def test_ping_goes_on_while_the_mobile_moves(lab):
    one = lab.mobiles[0]
    with lab.counting_drops() as drops:
        ping = subprocess.Popen(
            ["ip", "netns", "exec", lab.cn, *PING, "200", one.home],
            stdout=subprocess.PIPE, text=True)
        for link in (1, 0, 1, 0):
            time.sleep(0.8)
            one.move(link)
        out = ping.communicate(timeout=30)[0]
    sent, received, doubled = ping_statistics(out)
    assert (sent, doubled) == (200, 0)
    # Between the kernel's switch and our acknowledgement its packets are those of a spoofer.
    assert sent - received <= 4 * 10, out
    assert set(drops) <= {"tunnel_wrong_source"}
    assert sent - received == sum(drops.values())


def test_tcp_goes_on_while_the_mobile_moves(lab):
    one = lab.mobiles[0]
    server = subprocess.Popen(
        ["ip", "netns", "exec", one.name, "iperf3", "-s", "-1", "-B", one.home],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = None
    try:
        lab.box.wait_for(lambda: ":5201" in one.run("ss", "-ltnH"), 5, "the iperf3 server")
        client = subprocess.Popen(
            ["ip", "netns", "exec", lab.cn, "iperf3", "-c", one.home, "-t", "4", "-b", "20M"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for link in (1, 0, 1):
            time.sleep(0.9)
            one.move(link)
        out = client.communicate(timeout=30)[0]
        assert client.returncode == 0, out
        received = re.search(r"([\d.]+) MBytes .*receiver", out)
        assert received and float(received.group(1)) > 5, out
    finally:
        for process in (client, server):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        one.move(0)
