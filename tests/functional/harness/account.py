# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What became of every packet and every packet buffer of a box, which must add up when it is at rest.

For each worker, what came in has left, was dropped by name or is held. For each port, what its driver
gave and took is what the workers had from it and sent to it: frames that the driver refused are among
its errors. Between the threads nothing is on its way. Of the buffers as many are in use as at the start, but
for those that are held by right: fragments and what waits for the next burst (held), packets that
wait for a neighbour or for control.
"""

import time

REST_S = 2.0  # for queues to become empty, on a busy machine


def rows(box, command):
    """All rows of a telemetry listing, which comes in parts."""
    found, first = [], 0
    while first >= 0:
        answer = box.telemetry(f"{command},{first}" if first else command)
        found += answer["items"].values()
        first = answer["next"]
    return found


def _worker_sentences(workers):
    for w in workers:
        came = w["rx"] + w["from_main"] + w["from_peers"] + w["made"]
        left = w["tx"] + w["to_main"] + w["to_peers"] + w["drops"] + w["absorbed"] + w["held"]
        if came != left:
            yield f"worker {w['worker']}: {came} packets in, {left} out: {w}"


def _port_sentences(ports):
    for p in ports:
        if p["rx_packets"] != p["worker_rx"]:
            yield (f"port {p['name']}: the driver gave {p['rx_packets']} frames, workers had "
                   f"{p['worker_rx']}")
        if p["tx_packets"] + p["tx_errors"] != p["worker_tx"]:
            yield (f"port {p['name']}: workers sent {p['worker_tx']} frames, the driver took "
                   f"{p['tx_packets']} and refused {p['tx_errors']}")


def _thread_sentences(workers, status):
    def total(name):
        return sum(w[name] for w in workers)

    for name, given, taken in (("workers to main lcore", total("to_main"), status["from_workers"]),
                               ("main lcore to workers", status["injected"], total("from_main")),
                               ("worker to worker", total("to_peers"), total("from_peers"))):
        if given != taken:
            yield f"{name}: {given} packets given, {taken} taken"


def _held(workers, status):
    return (sum(w["held"] for w in workers) + status["waiting_for_neighbors"] +
            status["punts_waiting"])


def sentences(box):
    """What does not add up at this moment."""
    workers, status = rows(box, "/unwired/workers"), box.telemetry("/unwired/status")
    yield from _worker_sentences(workers)
    yield from _port_sentences(rows(box, "/unwired/ports"))
    yield from _thread_sentences(workers, status)
    in_use = status["buffers_in_use"] - _held(workers, status)
    if in_use > box.buffers_at_start:
        yield (f"{in_use} packet buffers in use and not held, {box.buffers_at_start} at the start: "
               f"{status}")


def buffers(box):
    """Buffers in use by drivers alone."""
    status = box.telemetry("/unwired/status")
    return status["buffers_in_use"] - _held(rows(box, "/unwired/workers"), status)


def problems(box):
    """What does not add up even when the box has had its time to come to rest."""
    deadline = time.monotonic() + REST_S
    try:
        while (wrong := list(sentences(box))) and time.monotonic() < deadline:
            time.sleep(0.05)
    except OSError as error:  # the box is broken, and that is the finding
        return [f"the counters cannot be read: {error}"]
    return wrong
