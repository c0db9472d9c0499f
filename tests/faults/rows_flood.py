# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Floods beside legal traffic on the same port, as ratios: what the same traffic suffers from as many
harmless packets is what the machine costs, the rest is what the attack does."""

import contextlib
import dataclasses
import ipaddress
import time

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    HAO, ICMPv6EchoRequest, ICMPv6HAADRequest, ICMPv6MPSol, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, MIP6MH_Generic, Raw)

import probe
from blast import Blast
from harness import mip6, wire
from harness.lab import ACCESS_PEER, CORRESPONDENT
from harness.netns import Namespaces
from row import Row

AGENT = "2001:db8:1::1"
N_DISTINCT = 512
STEP, FIRST_PER_S, MOST_PER_S = 1.6, 2000, 100000
LOSS_BAR, LATENCY_BAR, TRIES = 0.001, 2, 3
SLACK_S = 0.005  # below this, latencies are those of the machine's scheduler
STRANGERS = ipaddress.IPv6Network("2001:db8:a6::/48")


def source(n):
    """An address in a /64 of its own, behind the access network."""
    return str(STRANGERS.network_address + (n << 64) + 0x66)


def bogus_updates(lab):
    """A1: updates for homes that are not bound, without and with an authenticator of nobody's key."""
    whole = [bytes(mip6.binding_update("2001:db8:1::f00:0", source(0), AGENT, 1)),
             bytes(mip6.authenticated_update("2001:db8:2::f00:0", source(0), "2001:db8:2::1", 1, 77,
                                             b"nobody's key", b"nobody@example.net",
                                             mip6.ntp_now()))]
    return [mip6.readdressed(whole[n % 2], source(n), f"2001:db8:{1 + n % 2}::f00:{n:x}", n)
            for n in range(N_DISTINCT)]


def errors_wanted(lab):
    """A4: Home Address options without a binding, unknown messages, wrong checksums."""
    def make(n):
        home = f"2001:db8:1::f00:{n:x}"
        options = IPv6ExtHdrDestOpt(options=[HAO(hoa=home)])
        if n % 3 == 0:
            return IPv6(src=source(n), dst=AGENT) / options / UDP() / Raw(bytes(20))
        if n % 3 == 1:
            return mip6.mobile_headers(source(n), AGENT, home) / MIP6MH_Generic(
                mhtype=77, res=0, msg=bytes(10))
        return mip6.mobile_headers(source(n), AGENT, home) / MIP6MH_Generic(
            mhtype=5, res=0, cksum=1, msg=bytes(10))
    return [bytes(make(n)) for n in range(N_DISTINCT)]


def neighbours(lab):
    """A6: neighbour solicitations, home agent discovery, prefix solicitations, echo requests."""
    def make(n):
        if n % 4 == 0:
            return (IPv6(src=ACCESS_PEER, dst="ff02::1:ff00:1", hlim=255) /
                    ICMPv6ND_NS(tgt=f"2001:db8:fe::{n:x}") / ICMPv6NDOptSrcLLAddr())
        upper = (None, ICMPv6HAADRequest(id=n), ICMPv6MPSol(id=n), ICMPv6EchoRequest(id=n))[n % 4]
        to = "2001:db8:1:0:fdff:ffff:ffff:fffe" if n % 4 == 1 else AGENT
        return IPv6(src=source(n), dst=to) / upper
    return [bytes(make(n)) for n in range(N_DISTINCT)]


def chains(lab):
    """A7: first fragments, routing headers of type 0, deep chains of extension headers."""
    def make(n):
        head = IPv6(src=source(n), dst=AGENT)
        if n % 3 == 0:
            return head / IPv6ExtHdrFragment(nh=41, m=1, id=n) / Raw(bytes(64))
        if n % 3 == 1:
            return head / IPv6ExtHdrRouting(type=0, addresses=[CORRESPONDENT] * 4) / UDP()
        deep = head / IPv6ExtHdrHopByHop()
        for _ in range(12):
            deep = deep / IPv6ExtHdrDestOpt()
        return deep / UDP()
    return [bytes(make(n)) for n in range(N_DISTINCT)]


def harmless(packets):
    """As many packets of the same lengths that are only forwarded."""
    return [bytes(IPv6(src=source(n), dst=CORRESPONDENT) / UDP() /
                  Raw(bytes(max(0, len(packet) - 48)))) for n, packet in enumerate(packets)]


@dataclasses.dataclass
class Phase:
    """What legal traffic and signalling had while something else was sent beside."""

    loss: float
    p99_s: float
    heard: int  # mobiles whose update was acknowledged within TRIES
    asked: int
    bytes_in: int  # of what was beside
    bytes_out: int  # that its sources were sent
    per_s: float  # of what was beside

    def __str__(self):
        return (f"loss {100 * self.loss:.2f} %, p99 {1000 * self.p99_s:.1f} ms, {self.heard} of "
                f"{self.asked} heard, {self.bytes_out / max(1, self.bytes_in):.2f} of its bytes back, "
                f"{self.per_s:.0f}/s beside")


def _frames(lab, packets):
    head = lab.access.box_mac + lab.access.own_mac + b"\x86\xdd"
    return [head + packet for packet in packets]


class Measurement:
    """Legal traffic out of the tunnels of some mobiles, on the port that the flood comes in by."""

    def __init__(self, run, signallers=None):
        self.run, self.lab = run, run.bed.lab
        self.mobiles = [self.lab.mobile() for _ in range(4)]
        for one in self.mobiles:
            one.register()
        self.legal = _frames(self.lab, [bytes(one.tunnelled(one.up_inner(bytes(64))))
                                        for one in self.mobiles] * 16)
        self.signallers = signallers or [self.lab.mobile() for _ in range(8)]

    def _through(self):
        return sum(self.run.bed.box.binding(one.home)["packets_up"] for one in self.mobiles)

    def _come_to_rest(self):
        seen = -1
        while (now := self._through()) != seen:
            seen = now
            time.sleep(0.2)
        return seen

    def loss(self, per_s, length_s):
        """The part of legal traffic that is lost at a rate, alone."""
        before = self._come_to_rest()
        with Blast(self.lab.access, self.legal, per_s, int(per_s * length_s)) as blast:
            blast.join()
        return 1 - (self._come_to_rest() - before) / blast.sent

    def no_loss_per_s(self, length_s):
        """F0: the highest rate of a coarse search at which nothing is lost."""
        best, per_s = None, FIRST_PER_S
        while per_s < MOST_PER_S and self.loss(per_s, length_s) == 0:
            best, per_s = per_s, int(per_s * STEP)
        return best

    def _hear(self):
        heard = 0
        for one in self.signallers:
            for _ in range(TRIES):
                mark, seq = one.send_update()
                try:
                    heard += one.answer(mark, seq=seq, timeout_s=1).status == 0
                    break
                except AssertionError:
                    continue
        return heard

    def phase(self, legal_per_s, beside, length_s):
        """Legal traffic with as many packets of another kind beside it."""
        mark, before = self.lab.access.mark(), self._come_to_rest()
        began = time.time()
        with (Blast(self.lab.access, self.legal, legal_per_s, int(legal_per_s * length_s)) as legal,
              Blast(self.lab.access, _frames(self.lab, beside), legal_per_s) as other):
            heard = self._hear()
            legal.join()
        ended = time.time()
        through = self._come_to_rest() - before
        self.run.probe.collect()
        late = sorted(t - flow.sent[n] for flow in self.run.probe.measured()
                      for n, t in list(flow.came.items()) if began < flow.sent[n] < ended)
        back = sum(len(f.ip_bytes) for f in self.lab.access.since(mark)
                   if f.is_ip6 and ipaddress.IPv6Address(f.raw[38:54]) in STRANGERS)
        return Phase(1 - through / legal.sent, late[int(len(late) * 0.99)] if late else float("inf"),
                     heard, len(self.signallers), other.sent_bytes, back,
                     other.sent / other.took_s)


def flood(run, packets, signallers=None, during=contextlib.nullcontext):
    """Sends packets beside legal traffic, within the block that during() gives, while signallers register,
    and judges it."""
    lab = run.bed.lab
    with wire.only((lab.access, lab.core), probe.FILTER):
        measurement = Measurement(run, signallers)
        best = measurement.no_loss_per_s(0.5 if run.is_quick else 1)
        run.require(best is not None, f"packets are lost at {FIRST_PER_S} a second")
        if best is None:
            return
        per_s, length_s = int(0.6 * best), 2 if run.is_quick else 5
        control = measurement.phase(per_s, harmless(packets), length_s)
        with during():
            attack = measurement.phase(per_s, packets, length_s)
    run.note(f"F0 {best}/s, legal {per_s}/s")
    run.note(f"harmless beside: {control}")
    run.note(f"attack beside:   {attack}")
    run.require(attack.loss <= control.loss + LOSS_BAR, "the attack costs legal traffic")
    run.require(attack.p99_s <= LATENCY_BAR * control.p99_s + SLACK_S,
                "the attack makes legal traffic late")
    run.require(attack.heard == attack.asked, "mobiles were not heard in three tries")
    run.require(attack.bytes_out <= attack.bytes_in, "more was sent than came")


def _flood(make):
    def fault(run):
        flood(run, make(run.bed.lab))
    fault.__doc__ = make.__doc__
    return fault


ROWS = [
    Row(f"{name}", title, _flood(make), data_bar_ms=None, roams=False, has_short=False,
        bed={"judges_form": False})
    for name, title, make in (
        ("A1", "a flood of bogus updates", bogus_updates),
        ("A4", "a flood that asks for errors", errors_wanted),
        ("A6", "a flood of neighbour and agent discovery", neighbours),
        ("A7", "a flood of fragments, routing headers, chains", chains))
]
