# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Floods of Updates against a home network with IPsec: without ESP, under SPIs that nobody has, with wrong
check values, and of what was overheard. The mobiles whose SPIs and addresses they carry register meanwhile."""

import contextlib
import itertools
import os
import struct
import time

from harness import mip6
from row import Row
from rows_flood import N_DISTINCT, flood, source

N_SEALED = 8
SPI_AT, NUMBER_AT = 64, 68  # behind IPv6 and the Home Address option


def _sent_by(mobile):
    """An Update as the mobile would send it next, and may have sent."""
    mobile.seq += 1
    return bytearray(bytes(mobile.update_packet(mobile.seq)))


def _from(packet, address):
    return bytes(packet[:8]) + mip6.packed(address) + bytes(packet[24:])


def unprotected(run):
    """A1: Updates without ESP, and under SPIs that nobody has."""
    whole = [_sent_by(one) for one in run.bed.sealed]
    for n, packet in zip(range(N_DISTINCT), itertools.cycle(whole)):
        if n % 2:
            yield bytes(mip6.binding_update(run.bed.sealed[n % N_SEALED].home, source(n),
                                            run.bed.sealed[0].agent, n))
        else:
            packet[SPI_AT:SPI_AT + 4] = struct.pack("!I", 0x70000000 + n)
            yield _from(packet, source(n))


def forged(run, of=source):
    """A2: under the mobiles' own SPIs, with fresh numbers and wrong check values."""
    whole = [_sent_by(one) for one in run.bed.sealed]
    for n, packet in zip(range(N_DISTINCT), itertools.cycle(whole)):
        packet[NUMBER_AT:NUMBER_AT + 4] = struct.pack("!I", 0x10000 + n)
        packet[-12:] = os.urandom(12)
        yield _from(packet, of(n))


def forged_from_peers(run):
    """A2: the same, from the addresses that the mobiles have."""
    return forged(run, lambda n: run.bed.sealed[n % N_SEALED].care_of)


def replayed(run):
    """A3: what the mobiles sent and was answered, from where they are and from elsewhere."""
    whole = []
    for one in run.bed.sealed:
        packet = _sent_by(one)
        mark = one.wire.mark()
        one.wire.send(bytes(packet))
        assert one.answer(mark, seq=one.seq).status == 0
        whole.append(packet)
    for n, packet in zip(range(N_DISTINCT), itertools.cycle(whole)):
        yield bytes(packet) if n % 2 else _from(packet, source(n))


def _log_lines(box):
    return sum(path.read_text(errors="replace").count("\n") for path in box.dir.glob("*.log"))


def _row(make, reasons):
    """reasons: the drops of which each packet of the flood is to have one."""
    def fault(run):
        box, lab = run.bed.box, run.bed.lab
        for one in run.bed.sealed:
            one.register()
        packets = list(make(run))

        @contextlib.contextmanager
        def during():
            lines, bound = _log_lines(box), set(run.bed.bindings())
            with lab.counting_drops() as drops:
                yield
            written = _log_lines(box) - lines
            counted = {name: drops.get(name, 0) for name in reasons}
            run.note(f"drops {counted}, log lines {written}")
            run.require(sum(counted.values()) > 0, "nothing of it was dropped for its reason")
            # Others would be work that a packet drew which had no right to any.
            strange = {name: n for name, n in drops.items()
                       if name.startswith("esp_") and name not in reasons}
            run.require(not strange, f"other drops of ESP: {strange}")
            run.require(written == 0, f"{written} lines were logged")
            run.require(set(run.bed.bindings()) == bound, "bindings came or went")
        flood(run, packets, run.bed.sealed, during)
    fault.__doc__ = make.__doc__
    return fault


def restart_control(run):
    """K1i: control dies and comes back; what it knew of the IKE daemon's associations it is told again while
    the dataplane goes on forwarding under them. Mobiles move all the time, as far as they are heard."""
    box, bed = run.bed.box, run.bed
    began = time.time()
    for _ in range(1 if run.is_quick else 5):
        box.kill_control()
        time.sleep(0.3)
        with run.outage(signalling=True):
            box.start_control()
            box.wait_synced()
            box.wait_for(lambda: box.ctl("status")["security_associations"]["mobiles_of_ike"] ==
                         len(bed.sealed), 5, "what is learned")
        run.require("learned_awaited" in box.control.tail(), "nothing was waited for")
        for one in bed.sealed:
            one.register()
    run.note(f"{time.time() - began:.1f} s")
    run.probe.collect()
    numbers = [n for flow in run.probe.flows if hasattr(flow, "spi") for n in flow.numbers]
    run.require(len(numbers) > 10, "nothing was sealed")
    for flow in run.probe.flows:
        if hasattr(flow, "spi"):
            run.require(len(set(flow.numbers)) == len(flow.numbers), "I6: a number left twice")


ROWS = [
    Row("K1i", "control dies, associations are an IKE daemon's", restart_control, data_bar_ms=0,
        signalling_bar_ms=3000, quick=True, bed={"n_sealed": 2, "is_learned": True,
                                                         "judges_form": False}),
] + [
    Row(name, title, _row(make, reasons), data_bar_ms=None, roams=False, has_short=False,
        bed={"judges_form": False, "n_sealed": N_SEALED})
    for name, title, make, reasons in (
        ("A1s", "a flood of updates without an association", unprotected, ("esp_required", "esp_no_sa")),
        ("A2", "a flood of wrong check values", forged, ("esp_icv", "esp_budget")),
        ("A2p", "the same from the mobiles' addresses", forged_from_peers, ("esp_icv", "esp_budget")),
        ("A3", "a flood of replayed updates", replayed, ("esp_replay",)))
]
