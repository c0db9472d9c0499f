# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A home agent between two wires whose far ends are the test: correspondents and access networks.

    core wire: 2001:db8:ff::/64, we are ::2, behind us everything but the access networks
    access wire: 2001:db8:fe::/64, we are ::2, behind us 2001:db8:a0::/44
"""

import contextlib
import ipaddress
import itertools
import os
import pathlib
import shutil

from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.packet import Raw

from . import account, decode, mip6, netns
from .box import Box
from .netns import Namespaces
from .wire import Wire

CORE_BOX, CORE_PEER = "2001:db8:ff::1", "2001:db8:ff::2"
ACCESS_BOX, ACCESS_PEER = "2001:db8:fe::1", "2001:db8:fe::2"
CORRESPONDENT = "2001:db8:20::20"
PROBE_PORT = 7777
SENDER_BURST = 10  # updates of one sender that the box lets through at once


def network(name, number, authentication="none", **more):
    """A home network of the configuration: 2001:db8:NUMBER::/64 with agent ::1."""
    return {"name": name, "protocols": ["mip6"], "domain": 0,
            "prefixes": [f"2001:db8:{number}::/64"], "agent_addresses": [f"2001:db8:{number}::1"],
            "link": "virtual", "authentication": authentication, "max_lifetime_s": 420, **more}


def configuration(networks, n_ports=2, worker_cores=(0,), **dataplane):
    """A whole configuration for the namespaces of a lab."""
    ports = [{"name": "core0", "device": "net_af_packet0,iface=h0",
              "addresses": [f"{CORE_BOX}/64", "192.0.2.1/24"]},
             {"name": "acc0", "device": "net_af_packet1,iface=h1",
              "addresses": [f"{ACCESS_BOX}/64"]}]
    return {"node": {"name": "test", "site": "lab"},
            "dataplane": {"worker_cores": list(worker_cores), "main_core": 0, "idle": "sleep",
                          "hugepages": "off", "max_bindings": 4096, "ports": ports[:n_ports],
                          **dataplane},
            "home_networks": list(networks)}


class Lab:
    """Namespaces, wires and a box; close() takes everything away and says what was wrong."""

    def __init__(self, networks, subscribers=None, n_ports=2, worker_cores=(0,), config=None,
                 **dataplane):
        self.namespaces = Namespaces()
        self.wires = []
        self.box = None
        self.judges_form = True  # False where the test itself sends what is malformed
        self._numbers = itertools.count(1)
        self._scratch_numbers = itertools.count(0x8000)
        self._scratch = {}
        try:
            self._build(networks, subscribers, n_ports, worker_cores, config, dataplane)
        except BaseException:
            self.close()
            raise

    def _build(self, networks, subscribers, n_ports, worker_cores, config, dataplane):
        self.ha = self.namespaces.add("ha")
        peers = [("peer", "p0", "h0", CORE_PEER), ("access", "p1", "h1", ACCESS_PEER)][:n_ports]
        self.config = config or configuration(networks, n_ports, worker_cores, **dataplane)
        self.networks = {n["name"]: n for n in self.config["home_networks"]}
        for short, outside, inside, address in peers:
            name = self.namespaces.add(short)
            Namespaces.veth(name, outside, self.ha, inside)
            Namespaces.address(name, outside, f"{address}/64")
        netns.run("ip", "-n", self.namespaces.prefix + "peer", "address", "add", "192.0.2.2/24",
                  "dev", "p0")
        self.box = Box(self.ha, self.config, subscribers, self.routes)
        for short, outside, inside, _ in peers:
            self.wires.append(Wire(
                self.namespaces.prefix + short, outside, self.box.dir / f"{short}.pcap",
                Namespaces.mac(self.ha, inside)))
        self.core = self.wires[0]
        self.access = self.wires[-1]

    def ha_run(self, *command):
        """Runs a command in the box's namespace."""
        return netns.run("ip", "netns", "exec", self.ha, *command)

    def routes(self):
        """The routes that vanish with the dataplane's interfaces."""
        Namespaces.route(self.ha, "default", "via", CORE_PEER, "dev", "core0")
        if len(self.wires) > 1:
            Namespaces.route(self.ha, "2001:db8:a0::/44", "via", ACCESS_PEER, "dev", "acc0")

    def start(self):
        self.box.start()
        return self

    # Mobiles.

    def mobile(self, network_name="open", home=None, **how):
        """A mobile of its own home address and two care-of addresses, on the access wire."""
        return Mobile(self, self.networks[network_name], next(self._numbers), home, **how)

    def settle(self, wire=None):
        """Returns when control has dealt with everything sent on this wire before."""
        wire = wire or self.access
        if wire not in self._scratch or self._scratch[wire].seq == SENDER_BURST:
            self._scratch[wire] = Mobile(self, next(
                c for c in self.networks.values() if c["authentication"] == "none"),
                next(self._scratch_numbers))
            if wire is self.core and self.core is not self.access:
                self._scratch[wire].use_core()
        assert self._scratch[wire].update().status in (0, 1)

    @contextlib.contextmanager
    def counting_drops(self):
        """Gives a dictionary that holds, after the block, how many packets each drop took."""
        before = self.box.drops()
        taken = {}
        yield taken
        for name, packets in self.box.drops().items():
            if packets != before.get(name, 0):
                taken[name] = packets - before.get(name, 0)

    def workers(self):
        """The counters of each worker."""
        return sorted(self.box.rows("workers"), key=lambda w: w["worker"])

    # The end.

    def close(self):
        """Ends the box and takes everything away. Returns what was wrong, a list of sentences."""
        try:
            return self._end()
        finally:
            self.namespaces.close()

    def _end(self):
        problems = []
        for wire in self.wires:
            wire.close()
        if self.box is not None:
            if self.box.dataplane is not None and self.box.dataplane.alive:
                problems += account.problems(self.box)
            problems += self.box.close()
            for pcap in self.box.dir.glob("*.pcap") if self.judges_form else ():
                problems += [f"tshark on {pcap.name}: {line}" for line in decode.complaints(pcap)]
            if problems:
                problems.append(self.box.logs())
                keep = os.environ.get("UNWIRED_KEEP")
                if keep:
                    shutil.copytree(self.box.dir, pathlib.Path(keep) / self.box.dir.name,
                                    ignore=shutil.ignore_patterns("run", "*.notify"), dirs_exist_ok=True)
            self.box.remove()
        return problems


class Mobile:
    """A mobile node that the test plays: its addresses, its messages and its traffic."""

    def __init__(self, lab, net, number, home=None, spi=None, key=None, mn_id=None):
        self.lab = lab
        self.agent = net["agent_addresses"][0]
        prefix = ipaddress.IPv6Network(net["prefixes"][0])
        self.home = home or str(prefix[0x10000 + number])
        self.care_of = f"2001:db8:a1:{number:x}::2"
        self.second_care_of = f"2001:db8:a2:{number:x}::2"
        self.wire = lab.access
        self.seq = 0
        self.spi, self.key, self.mn_id = spi, key, mn_id
        self.number = number

    def use_core(self):
        """Its care-of addresses are on the core wire instead."""
        self.wire = self.lab.core
        self.care_of = f"2001:db8:c1:{self.number:x}::2"
        self.second_care_of = f"2001:db8:c2:{self.number:x}::2"

    def update_packet(self, seq, care_of=None, **how):
        if self.key is None:
            return mip6.binding_update(self.home, care_of or self.care_of, self.agent, seq, **how)
        how.setdefault("mesg_id", mip6.ntp_now())
        how.setdefault("mn_id", self.mn_id)
        how.setdefault("spi", self.spi)
        how.setdefault("key", self.key)
        return mip6.authenticated_update(
            self.home, care_of or self.care_of, self.agent, seq, **how)

    def send_update(self, seq=None, care_of=None, **how):
        """Sends a Binding Update. Returns (a mark before it, the sequence number)."""
        self.seq = self.seq + 1 & 0xffff if seq is None else seq
        mark = self.wire.mark()
        self.wire.send(self.update_packet(self.seq, care_of, **how))
        return mark, self.seq

    def answer(self, mark, seq=None, care_of=None, timeout_s=5.0):
        """The Binding Acknowledgement that came since mark, checked in form."""
        def matches(frame):
            return (mip6.is_mobility(frame, 6, self.home, care_of or self.care_of) and
                    (seq is None or mip6.Answer(frame).seq == seq))
        found = mip6.Answer(self.wire.expect(
            matches, mark, timeout_s, f"a Binding Acknowledgement for {self.home}"))
        assert found.checksum_ok
        assert found.src == self.agent
        return found

    def update(self, seq=None, care_of=None, **how):
        """Sends a Binding Update and returns its acknowledgement."""
        mark, _ = self.send_update(seq, care_of, **how)
        return self.answer(mark, care_of=care_of)

    def register(self, **how):
        """Registers and must be accepted."""
        answer = self.update(**how)
        assert answer.status == 0
        return answer

    def assert_silence(self, mark, *addresses):
        """Nothing went to this mobile since mark, though control has seen everything."""
        self.lab.settle(self.wire)
        mine = {mip6.packed(a) for a in (addresses or (self.home, self.care_of,
                                                       self.second_care_of))}
        came = [f for f in self.wire.since(mark) if f.is_ip6 and f.raw[38:54] in mine]
        assert not came, came

    # Traffic.

    def down_packet(self, payload=b"down", **ip):
        ip.setdefault("src", CORRESPONDENT)
        return IPv6(dst=self.home, **ip) / UDP(sport=PROBE_PORT, dport=PROBE_PORT) / Raw(payload)

    def up_inner(self, payload=b"up", **ip):
        ip.setdefault("dst", CORRESPONDENT)
        return (IPv6(**{"src": self.home, **ip}) / UDP(sport=PROBE_PORT, dport=PROBE_PORT) /
                Raw(payload))

    def tunnelled(self, inner, care_of=None, **outer):
        return IPv6(**{"src": care_of or self.care_of, "dst": self.agent, **outer}) / inner

    def receive_down(self, payload=None, care_of=None, **ip):
        """Sends a packet to the home address and returns the tunnelled frame that came of it."""
        payload = payload or os.urandom(12)
        mark = self.wire.mark()
        self.lab.core.send(self.down_packet(payload, **ip))
        return self.wire.expect(
            lambda f: payload in f.raw and f.next_header == 41 and
            f.dst == (care_of or self.care_of), mark, what=f"a tunnelled packet for {self.home}")

    def receive_up(self, payload=None, care_of=None, **ip):
        """Sends a packet through the tunnel and returns the frame that reaches the core."""
        payload = payload or os.urandom(12)
        mark = self.lab.core.mark()
        self.wire.send(self.tunnelled(self.up_inner(payload, **ip), care_of))
        return self.lab.core.expect(
            lambda f: payload in f.raw and f.src == self.home and f.next_header == 17, mark,
            what=f"a packet from {self.home}")

    def assert_bound(self, care_of=None):
        self.receive_down(care_of=care_of)

    def assert_unbound(self):
        """A packet for the home address is answered as to an unreachable address."""
        payload = os.urandom(12)
        mark = self.lab.core.mark()
        self.lab.core.send(self.down_packet(payload))
        frame = self.lab.core.expect(
            lambda f: f.next_header == 58 and payload in f.raw, mark, what="ICMPv6 unreachable")
        error = frame.ip[ICMPv6DestUnreach]
        assert (error.type, error.code) == (1, 3)
        assert frame.dst == CORRESPONDENT
        return frame
