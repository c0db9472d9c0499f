# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Packets that mean harm, beside those that do not."""

import os
import pathlib
import random
import struct
import time

from scapy.layers.inet6 import (
    ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment, MIP6OptAltCoA, Raw, fragment6)

import probe
from blast import Blast
from harness import wire
from harness.lab import ACCESS_BOX, CORRESPONDENT
from harness.mip6 import is_mobility, mh_checksum
from row import Row

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
ROUTER = "2001:db8:a1:ffff::1"  # on the way to the care-of addresses
N_CORPUS_HOMES = 0x300  # home addresses that the corpus may register
BURST, PAUSE_S = 16, 0.004
CORPUS_PER_S = 30000
ERRORS_PER_S = 1100 + 300  # the worker's own and the kernel's
N_BUFFERS_FRAGMENTS = 4096  # a tenth of the buffers


def _paced(end, packets, length_s):
    """Sends the packets again and again for that long. Returns how many it sent."""
    until, n = time.monotonic() + length_s, 0
    while time.monotonic() < until:
        for _ in range(BURST):
            end.send(packets[n % len(packets)])
            n += 1
        time.sleep(PAUSE_S)
    return n


# N2: MTU.

def _too_big(quoted, mtu, agent):
    return IPv6(src=ROUTER, dst=agent) / ICMPv6PacketTooBig(mtu=mtu) / Raw(bytes(quoted)[:1200])


def _down_in(lab, mobile, length):
    """What a packet to the mobile of that length becomes: ("whole" or "pieces" or the MTU said)."""
    payload = os.urandom(length - 48)
    marks = lab.access.mark(), lab.core.mark()
    lab.core.send(mobile.down_packet(payload))
    lab.settle()
    lab.settle(lab.core)
    for frame in lab.access.since(marks[0]):
        if frame.is_ip6 and frame.dst == mobile.care_of and payload[:64] in frame.raw:
            return "whole" if frame.next_header == 41 else "pieces"
    for frame in lab.core.since(marks[1]):
        if frame.is_ip6 and frame.next_header == 58 and payload[:64] in frame.raw:
            return frame.ip[ICMPv6PacketTooBig].mtu
    return "nothing"


def narrow_path(run):
    """N2: a path that becomes narrow, and one that somebody only says is."""
    lab = run.bed.lab
    near, far = lab.mobile(), lab.mobile()
    for one in (near, far):
        one.register()
    run.require(_down_in(lab, near, 1460) == "whole", "1460 bytes do not fit before")
    for target, quoted in ((near, far.tunnelled(far.up_inner(b"x" * 1000))),
                           (near, IPv6(src=near.agent, dst="2001:db8:a1:eeee::2") /
                            near.down_packet(b"x" * 1000)),
                           (near, IPv6(src=near.agent, dst=near.care_of) /
                            far.down_packet(b"x" * 1000))):
        lab.access.send(_too_big(quoted, 1280, target.agent))
    run.require(_down_in(lab, near, 1460) == "whole", "a forged Packet Too Big was believed")
    frame = near.receive_down(b"y" * 1300)
    lab.access.send(_too_big(frame.ip_bytes, 1280, near.agent))
    lab.settle()
    began = time.monotonic()
    run.require(_down_in(lab, near, 1460) == 1280, "the correspondent was not told of a narrow path")
    run.require(_down_in(lab, near, 1280) == "pieces", "1280 bytes did not go in fragments")
    run.require(time.monotonic() - began < 5, "a black hole")
    run.require(_down_in(lab, far, 1460) == "whole", "another mobile pays for the narrow path")


# N3: fragments.

def _fragment(source, agent, identifier, offset, more, data):
    return bytes(IPv6(src=source, dst=agent) /
                 IPv6ExtHdrFragment(nh=41, offset=offset, m=more, id=identifier) / Raw(data))


def _bad_fragments(agent):
    """Never complete, overlapping, tiny, without a first one, longer than a packet can be."""
    packets = []
    for n in range(512):
        source = f"2001:db8:a4:{n:x}::2"
        packets.append(_fragment(source, agent, n, 0, 1, bytes(1200)))
        if n % 8 == 1:
            packets.append(_fragment(source, agent, n, 100, 0, bytes(600)))
        if n % 8 == 2:
            packets.append(_fragment(source, agent, n, 1, 1, bytes(8)))
        if n % 8 == 3:
            packets.append(_fragment(source, agent, n, 8190, 0, bytes(64)))
        if n % 8 == 4:
            packets.append(_fragment(source, agent, 9000 + n, 20, 0, b"z"))
    return packets


def fragments(run):
    """N3: their packets never come together, those of a known peer do."""
    bed, lab = run.bed, run.bed.lab
    packets, mobile, most = _bad_fragments("2001:db8:1::1"), lab.mobile(), 0
    mobile.register()
    n_sent, n_through, n_whole = 0, 0, 4 if run.is_quick else 10
    for _ in range(n_whole):
        n_sent += _paced(lab.access, packets, 0.3)
        most = max(most, bed.box.ctl("status")["dataplane_status"]["buffers_in_use"])
        payload = os.urandom(1200)
        mark = lab.core.mark()
        whole = mobile.tunnelled(mobile.up_inner(payload))
        pieces = fragment6(IPv6(src=whole.src, dst=whole.dst) / IPv6ExtHdrFragment(id=n_sent) /
                           whole.payload, 800)
        lab.access.send(*reversed(pieces))
        time.sleep(0.1)
        n_through += lab.core.count(lambda f: payload in f.raw and f.src == mobile.home, mark)
    run.require(n_through == n_whole, f"{n_through} of {n_whole} packets of a bound mobile came together")
    run.require(most <= N_BUFFERS_FRAGMENTS, f"{most} buffers held fragments")
    run.note(f"{n_sent} fragments, at most {most} buffers in use")


# M1: the fuzz corpus.

def _frames_of(data):
    """The frames of a pipeline input, each behind its 16-bit length."""
    frames, at = [], 0
    while at + 2 <= len(data):
        length = struct.unpack_from("!H", data, at)[0] & 0x7fff
        frames.append(data[at + 2:at + 2 + length])
        at += 2 + length
    return [f for f in frames if len(f) >= 14]


def _corpus(end):
    """All of the corpus that can be a frame, addressed to the box."""
    head = end.box_mac + end.own_mac
    frames = [head + f[12:] for p in sorted((CORPUS / "pipeline").iterdir())
              for f in _frames_of(p.read_bytes())]
    for name in ("ip6chain", "inner"):
        frames += [head + b"\x86\xdd" + p.read_bytes() for p in sorted((CORPUS / name).iterdir())]
    for path in sorted((CORPUS / "mh").iterdir()):
        packet = IPv6(src=f"2001:db8:a5::{len(frames):x}", dst="2001:db8:1::1", nh=135)
        message = bytearray(path.read_bytes())
        message[4:6] = bytes(2)
        if len(message) % 2 == 0:
            message[4:6] = mh_checksum(packet.src, packet.dst, bytes(message)).to_bytes(2, "big")
        frames.append(head + b"\x86\xdd" + bytes(packet / Raw(bytes(message))))
    return frames


def _damaged(rnd, frame):
    frame = bytearray(frame)
    for _ in range(rnd.choice((0, 1, 2, 4))):
        frame[rnd.randrange(12, len(frame))] = rnd.randrange(256)
    return bytes(frame[:1500])


def _loss(run, begin, end):
    """The part of the probe's packets of that time that did not come."""
    sent = [(flow, n) for flow in run.probe.measured() for n, at in enumerate(list(flow.sent))
            if begin <= at < end]
    return sum(n not in flow.came for flow, n in sent) / len(sent)


def replay_corpus(run):
    """M1: what the fuzzers know, from both sides, at a high rate, beside good traffic."""
    lab, rnd = run.bed.lab, random.Random(1)
    wires, length_s = (lab.access, lab.core), 2 if run.is_quick else 6
    frames = {w: [_damaged(rnd, f) for f in _corpus(w) * 24] for w in wires}
    n_in, took_s = 0, 0.0
    with wire.only(wires, probe.FILTER):
        marks, began = [(w, w.mark()) for w in wires], time.time()
        time.sleep(2 * length_s)
        beside = time.time()
        for w in wires:
            with Blast(w, frames[w], CORPUS_PER_S) as blast:
                time.sleep(length_s)
            n_in, took_s = n_in + blast.sent, took_s + blast.took_s
        ended = time.time()
        time.sleep(0.5)
    run.probe.collect()
    n_errors = sum(w.count(lambda f: f.next_header == 58 and f.raw[54] < 128 or
                           is_mobility(f, 7), mark) for w, mark in marks)
    alone, with_corpus = _loss(run, began, beside), _loss(run, beside, ended)
    run.note(f"{n_in} frames in, {n_in / took_s:.0f}/s, {n_errors} errors out")
    run.note(f"good traffic: {100 * alone:.2f} % lost before, {100 * with_corpus:.2f} % beside")
    run.require(with_corpus <= alone + 0.001, "good traffic suffers")
    run.require(n_errors <= ERRORS_PER_S * (took_s + 1), f"{n_errors} errors in {took_s:.0f} s")


def _beyond_the_corpus(bed):
    """Leaves the home addresses that the corpus registers to it."""
    for _ in range(N_CORPUS_HOMES):
        bed.lab.mobile()


# M3: care-of addresses.

def bad_care_of(run):
    """M3: care-of addresses that would loop, come back to us or multiply."""
    lab = run.bed.lab
    one, other = lab.mobile(), lab.mobile()
    one.register()
    answer = other.update(options=[MIP6OptAltCoA(acoa=one.home)])  # a mobile behind a mobile
    run.require(answer.status == 0, f"a mobile behind a mobile was refused with {answer.status}")
    targets = {"the agent": one.agent, "our port": ACCESS_BOX, "itself": one.home,
               "a cycle": other.home, "all nodes": "ff02::1", "multicast": "ff0e::1",
               "link-local": "fe80::1", "loopback": "::1", "nobody": "::"}
    for name, care_of in targets.items():
        for options in ([MIP6OptAltCoA(acoa=care_of)], []):
            mark, seq = one.send_update(care_of=None if options else care_of, options=options)
            lab.settle()
            answers = [f for f in lab.access.since(mark) if f.is_ip6 and
                       is_mobility(f, 6, one.home)]
            run.require(len(answers) <= 1, f"{len(answers)} answers to care-of {name}")
            for frame in answers:
                status = frame.raw[84]
                run.require(status >= 128, f"care-of {name} was accepted with {status}")
            has = run.bed.box.binding(one.home)
            run.require(has is not None and has["care_of"][0]["address"] == one.care_of,
                        f"care-of {name}: {has}")
    for mobile in (one, other):
        payload = os.urandom(16)
        mark = lab.access.mark()
        lab.core.send(mobile.down_packet(payload))
        lab.settle()
        n = lab.access.count(lambda f: payload in f.raw, mark)
        run.require(n == 1, f"one packet to {mobile.home} became {n}")
    run.require(lab.core.count(lambda f: f.dst == CORRESPONDENT and f.next_header == 41) == 0,
                "a tunnel to the correspondent")


ROWS = [
    Row("N2", "a narrow path, and forged news of one", narrow_path, data_bar_ms=0),
    Row("N3", "fragments that never come together", fragments, data_bar_ms=100),
    Row("M1", "the fuzz corpus beside good traffic", replay_corpus, data_bar_ms=100,
        bed={"prepare": _beyond_the_corpus, "judges_form": False}),
    Row("M3", "care-of addresses that loop or multiply", bad_care_of, data_bar_ms=0, quick=True),
]
