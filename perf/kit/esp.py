# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""ESP of the shipping worker, in turns with what DPDK says AES-GCM alone costs on the same core."""

import csv
import shutil

from . import noise, programs

RAW = "dpdk-test-crypto-perf"  # of Debian's dpdk-dev
DEVICES = {"raw_mb": "crypto_aesni_mb", "raw_gcm": "crypto_aesni_gcm"}
SIZES = (64, 1400)
MOBILES = (1, 1000)  # with an SA each
MEMORY_MB = 768


def raw_missing(other):
    """Why the raw rows cannot be measured, or None. other: a second core, or None."""
    if shutil.which(RAW) is None:
        return f"{RAW} is not installed"
    if other is None:
        return f"{RAW} needs a second core for its main thread, which spins"
    return None


def raw_ns(text):
    """Nanoseconds of an operation by size, from what the program prints."""
    lines = [line.lstrip("#") for line in text.splitlines() if line.startswith("#lcore") or line[:1].isdigit()]
    found = {int(row["Buffer Size(B)"]): 1e3 / float(row["Ops(Millions)"]) for row in csv.DictReader(lines)
             if int(row["Failed Enq"]) == int(row["Failed Deq"]) == 0}
    if set(found) != set(SIZES):
        raise programs.Failed(f"{RAW} said:\n{text[-3000:]}")
    return found


def raw_round(device, core, other, has_hugepages, operations, timeout_s):
    """AES-128-GCM of payloads of each size by DPDK's driver, with one key, 8 bytes of additional data and bursts
    of 32, on the second lcore. Returns {size: ns}."""
    return raw_ns(programs.run([
        RAW, *programs.eal([other, core], MEMORY_MB, has_hugepages, "--vdev", device + "0"), "--",
        "--ptest", "throughput", "--devtype", device, "--optype", "aead", "--aead-algo", "aes-gcm",
        "--aead-op", "encrypt", "--aead-key-sz", 16, "--aead-iv-sz", 12, "--aead-aad-sz", 8,
        "--digest-sz", 16, "--buffer-sz", ",".join(map(str, SIZES)), "--total-ops", operations,
        "--burst-sz", 32, "--pool-sz", 16384, "--csv-friendly", "--silent"], timeout_s).stdout)


def rows(build, core, other, has_hugepages, rounds, packets, timeout_s):
    """Rows by rounds that take turns. The raw ones, where they can be had, have one "binding": one key."""
    found = {}
    is_raw = raw_missing(other) is None
    for _ in range(rounds):
        for name, device in DEVICES.items() if is_raw else ():
            took = raw_round(device, core, other, has_hugepages, 5 * packets, timeout_s)
            for size, ns in took.items():
                found.setdefault((f"{name}_{size}", 1), []).append(ns)
        for n in MOBILES:
            one = programs.run_json(build / "perf" / "unwired-bench-esp", [
                "--rounds", 1, "--packets", packets, n, "--",
                *programs.eal([core], MEMORY_MB, has_hugepages, "--vdev", "net_null0")], timeout_s)
            for row in one["rows"]:
                found.setdefault((row["row"], n), []).extend(row["ns"]["rounds"])
    return [{"row": name, "bindings": n, "ns": {**noise.summary(ns), "rounds": ns}}
            for (name, n), ns in found.items()]
