# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What we promise of speed, as ratios of things measured in the same run, and whether it is kept."""

import statistics

from .noise import ratios, summary


class Rows:
    """The rows of a result, by name and number of bindings."""

    def __init__(self, result):
        self.by_key = {(r["row"], r["bindings"]): r for r in result["rows"]}
        self.sizes = sorted({b for name, b in self.by_key if name == "encap"})

    def row(self, name, bindings):
        return self.by_key.get((name, bindings))

    def ns(self, name, bindings):
        """Nanoseconds a packet of each round, or None."""
        row = self.row(name, bindings)
        return row["ns"]["rounds"] if row and "ns" in row else None

    def speed(self, name, base, bindings):
        """How fast one thing is against another at so many bindings, by rounds."""
        over, under = self.ns(base, bindings), self.ns(name, bindings)
        return summary(ratios(over, under)) if over and under else None

    def worst_speed(self, name, base):
        """The same at the size where it comes out lowest."""
        found = [(self.speed(name, base, n), n) for n in self.sizes]
        found = [(s, n) for s, n in found if s]
        if not found:
            return None
        worst, at = min(found, key=lambda f: f[0]["median"])
        return {**worst, "bindings": at}

    def extra(self, name, key, least=0):
        """A figure beside the nanoseconds, of the largest size that has it, from `least` bindings on."""
        for n in sorted((b for row, b in self.by_key if row == name and b >= least), reverse=True):
            value = self.row(name, n).get("extra", {}).get(key)
            if value is not None:
                return {**(value if isinstance(value, dict) else {"median": value}), "bindings": n}
        return None


def _at(name, base, bindings):
    def value(rows):
        return rows.speed(name, base, bindings)
    return value


def _misses(rows):
    """What ten million bindings cost more than a thousand, in units of two random lines of memory."""
    few, many = rows.ns("encap", 1000), rows.ns("encap", 10_000_000)
    line = rows.ns("memory_lines", 10_000_000)
    if not few or not many or not line:
        return None
    few = statistics.median(few)  # of another process: its rounds pair with none of these
    if len(many) != len(line):
        many, line = [statistics.median(many)], [statistics.median(line)]
    return {**summary([(m - few) / (2 * one) for m, one in zip(many, line)]), "bindings": 10_000_000}


def _extra(name, key, least=0):
    def value(rows):
        return rows.extra(name, key, least)
    return value


def _cpu(name):
    """Microseconds of control's processor for a Binding Update, of the largest table."""
    def value(rows):
        n = max((b for row, b in rows.by_key if row == name), default=0)
        row = rows.row(name, n)
        if not row or "cpu_us" not in row:
            return None
        return {**{k: row["cpu_us"][k] for k in ("median", "min", "max")}, "bindings": n}
    return value


def _cpu_beyond(name, base):
    """How many microseconds more an Update of one row costs than one of another, by rounds that took turns."""
    def value(rows):
        n = max((b for row, b in rows.by_key if row == name), default=0)
        over, under = rows.row(name, n), rows.row(base, n)
        if not over or not under:
            return None
        pairs = zip(over["cpu_us"]["rounds"], under["cpu_us"]["rounds"])
        return {**summary([a - b for a, b in pairs]), "bindings": n}
    return value


def _p99_ms(*names):
    """The worst p99 from Update to Acknowledgement, of all answers: what neighbours on the machine took of the core is
    in it, and out of it in the row's undisturbed_us."""
    def value(rows):
        found = [(row["latency_us"]["p99"] / 1e3, n) for (name, n), row in rows.by_key.items()
                 if name in names and "latency_us" in row]
        return {"median": max(found)[0], "bindings": max(found)[1]} if found else None
    return value


def _largest(name, base):
    """How fast one thing is against another with the largest table."""
    def value(rows):
        found = rows.speed(name, base, rows.sizes[-1]) if rows.sizes else None
        return {**found, "bindings": rows.sizes[-1]} if found else None
    return value


def _flood(is_updates):
    """The worst of the floods of bogus Updates, or of all others: per cent of legal packets lost, but for those that
    were due while somebody else had the core."""
    def value(rows):
        found = []
        for (name, n), row in _floods(rows):
            if (name == "flood") == is_updates and "lost_percent" in row.get("extra", {}):
                rounds = zip(*(row["extra"][k]["rounds"] for k in ("lost_percent", "lost_in_gaps_percent")))
                found.append({**summary([max(0, lost - gaps) for lost, gaps in rounds]), "bindings": n})
        return max(found, key=lambda f: f["median"], default=None)
    return value


def _floods(rows):
    """The rows of floods: ((name, bindings), row)."""
    return [(key, row) for key, row in rows.by_key.items() if key[0].startswith("flood")]


def _flood_beside(rows):
    """The worst of the floods beside 60 % of legal load: per cent lost."""
    found = [{**summary(row["extra"]["lost_beside_percent"]["rounds"]), "bindings": n}
             for (_, n), row in _floods(rows) if "lost_beside_percent" in row.get("extra", {})]
    return max(found, key=lambda f: f["median"], default=None)


def _flood_cost(rows):
    """The dearest of the floods' packets against encapsulation, both without what making them takes."""
    found = []
    for (_, n), row in _floods(rows):
        extra, encap, made = row.get("extra", {}), rows.ns("encap", n), rows.ns("made", n)
        if "alone_ns" in extra and encap and made:
            rounds = zip(extra["alone_ns"]["rounds"], extra["made_ns"]["rounds"], encap, made)
            found.append({**summary([(a - b) / (c - d) for a, b, c, d in rounds]), "bindings": n})
    return max(found, key=lambda f: f["median"], default=None)


def _check_time(rows):
    """The worst of the floods with wrong check values: per cent of a worker's time in checks."""
    found = [{**summary(row["extra"]["time_percent"]["rounds"]), "bindings": n}
             for (_, n), row in _floods(rows) if "time_percent" in row.get("extra", {})]
    return max(found, key=lambda f: f["median"], default=None)


def _sealing(size, base, base_bindings=1000):
    """How fast a worker seals payloads of a size, with the SAs of 1,000 mobiles, against what the cipher takes
    alone."""
    def value(rows):
        over, under = rows.ns(f"{base}_{size}", base_bindings), rows.ns(f"esp_encap_{size}", 1000)
        return {**summary(ratios(over, under)), "bindings": 1000} if over and under else None
    return value


# id, what, the least (or most) it must be, what we aim at, whether more is better, the value.
GOALS = (
    ("encap_1k", "encapsulation at 1k bindings / M", 0.25, 0.36, True, _at("encap", "mac", 1000)),
    ("encap_10m", "encapsulation at 10M / M", 0.16, 0.24, True, _at("encap", "mac", 10_000_000)),
    ("misses", "(ns at 10M - ns at 1k) / two random memory lines", 1.5, 1.0, False, _misses),
    ("decap", "decapsulation with source check / encapsulation", 0.90, 1.0, True,
     lambda rows: rows.worst_speed("decap", "encap")),
    ("mixed", "half down, half up, 10% plain / encapsulation", 0.85, 0.95, True,
     lambda rows: rows.worst_speed("mixed", "encap")),
    ("churn", "encapsulation while 50,000 care-of addresses a second change / at rest", 0.95, 0.99,
     True, _largest("churn", "encap")),
    ("flood", "% of legal packets lost: half of all bogus signalling, 60% load", 0.1, 0.0, False, _flood(True)),
    ("flood_other", "the same: half of all another attack's (the worst of them)", 0.1, 0.0, False, _flood(False)),
    ("flood_beside", "the same: 60% load legal, and as many bogus beside", 0.1, 0.0, False, _flood_beside),
    ("flood_cost", "a bogus packet, whatever it is / encapsulation", 0.25, 0.2, False, _flood_cost),
    ("check_time", "% of a worker's time for wrong check values", 5.05, 5.05, False, _check_time),
    ("esp_64", "ESP with AES-GCM of 64 bytes / DPDK's crypto_aesni_mb alone", 0.5, 0.65, True,
     _sealing(64, "raw_mb", 1)),
    ("esp_1400", "the same of 1400 bytes", 0.7, 0.8, True, _sealing(1400, "raw_mb", 1)),
    ("esp_64_gcm", "ESP with AES-GCM of 64 bytes / DPDK's crypto_aesni_gcm alone", 0.5, 0.65, True,
     _sealing(64, "raw_gcm", 1)),
    ("esp_1400_gcm", "the same of 1400 bytes", 0.7, 0.8, True, _sealing(1400, "raw_gcm", 1)),
    ("esp_64_loop", "ESP of 64 bytes / a loop over IPsec-MB's function, as many keys", 0.0, 0.65, True,
     _sealing(64, "gcm_keys")),
    ("esp_1400_loop", "the same of 1400 bytes", 0.0, 0.8, True, _sealing(1400, "gcm_keys")),
    ("esp_wrong", "time for a wrong check value of ESP / for a right one", 1.0, 0.9, False,
     _at("esp_decap_64", "esp_forged_64", 1000)),
    ("two_exact", "two workers on the same bindings: counters are exact", 1, 1, True,
     _extra("two_workers", "counters_exact")),
    ("two_workers", "two workers on the same bindings / on separate ones", 0.0, 0.9, True,
     _largest("two_workers", "two_separate")),
    ("memory", "bytes a binding in the dataplane", 192, 128, False,
     _extra("memory", "bytes_per_binding", 100_000)),
    ("control_memory", "bytes a binding in the control process", 384, 256, False,
     _extra("reg_memory", "control_bytes_per_binding", 100_000)),
    ("refresh", "us of control's processor for a refresh", 6.6, 2.0, False, _cpu("reg_refresh")),
    ("handover", "us of control's processor for a handover", 6.6, 2.0, False, _cpu("reg_handover")),
    ("secured", "us more for an Update under ESP than for one without any proof", 1.0, 0.5, False,
     _cpu_beyond("reg_secured", "reg_open")),
    ("answer", "ms from Update to Acknowledgement, p99, at a third of the rate", 5.0, 1.0, False,
     _p99_ms("reg_refresh", "reg_handover")),
    ("expiry", "the same while a tenth of the bindings ends in a second", 5.0, 1.0, False,
     _p99_ms("reg_expiry")),
    ("restart", "s until a restarted control process is ready", 10, 5, False,
     _extra("reg_restart", "seconds")),
    ("filling", "s until it has filled an empty dataplane", 10, 5, False,
     lambda rows: rows.extra("chain_filling", "seconds") or rows.extra("reg_filling", "seconds")),
    ("import", "s to import the subscribers", 120, 60, False, _extra("reg_import", "seconds")),
)


# Those that need dpdk-test-crypto-perf.
RAW = ("esp_64", "esp_1400", "esp_64_gcm", "esp_1400_gcm")


def mark(value, must, aim, more_is_better):
    """How a value stands to its two limits."""
    def reaches(limit):
        return value >= limit if more_is_better else value <= limit

    return "aim" if reaches(aim) else "must" if reaches(must) else "MISSED"


def table(result):
    """The goals with what was measured: [{"id", "what", "must", "aim", "more_is_better", "median"?,
    "min"?, "max"?, "bindings"?, "mark", "why"?}]. What this run did not measure has the mark "-", and says why
    where that is known."""
    rows = Rows(result)
    found = []
    for id_, what, must, aim, more, value_of in GOALS:
        goal = {"id": id_, "what": what, "must": must, "aim": aim, "more_is_better": more}
        value = value_of(rows)
        if value is None:
            why = result.get("missing", {}).get(id_)
            found.append({**goal, "mark": "-", **({"why": why} if why else {})})
        else:
            found.append({**goal, **value, "mark": mark(value["median"], must, aim, more)})
    return found
