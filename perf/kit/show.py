# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A result as text for people, and as the chart."""

import statistics

from . import chart

WITHOUT_NIC = ("Taken WITHOUT a network card: net_null ports whose receive callback makes the packets. "
               "Rates are of the worker alone;\na NIC's driver adds 10 to 20 ns a packet. Ratios are what counts; "
               "absolute figures hold for this machine at this hour.")


def _number(value):
    if value == 0 or value == int(value) and abs(value) >= 10:
        return f"{value:.0f}"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def human(bindings):
    for limit, letter in ((1_000_000, "M"), (1_000, "k")):
        if bindings >= limit:
            return f"{bindings / limit:g}{letter}"
    return str(bindings)


def machine_lines(machine):
    kind = "virtual machine" if machine["is_virtual"] else "machine"
    heard = next((c for c in machine.get("heard", []) if c["core"] == machine["core"]), None)
    pages = "2 MB hugepages" if machine["hugepages"] else "NO hugepages: misses of the TLB weigh in"
    yield (f"{machine['cpu']}, {machine['cores']} cores, {kind}, kernel {machine['kernel']}, "
           f"DPDK {machine['dpdk']}; {pages}")
    if heard:
        yield (f"measured on core {machine['core']}: others took {heard['lost'] * 100:.2f} % of it, "
               f"longest pause {heard['longest_pause_us']:.0f} us")
        if heard["lost"] > 0.01:
            yield "this core is NOT quiet: expect scatter, repeat on a quiet machine"


def rows_lines(result):
    """Every row: nanoseconds, rate, scatter, and the time of a burst."""
    yield f"{'row':<16}{'bindings':>9}{'ns':>9}{'min':>9}{'max':>9}{'Mpps':>9}   burst us p50/p99/p99.9"
    for row in result["rows"]:
        ns = row.get("ns")
        if not ns:
            continue
        burst = row.get("burst_ns") or {}
        times = "/".join(f"{burst[k] / 1000:.2f}" for k in ("p50", "p99", "p99.9") if burst.get(k))
        yield (f"{row['row']:<16}{human(row['bindings']):>9}{ns['median']:>9.2f}{ns['min']:>9.2f}"
               f"{ns['max']:>9.2f}{1e3 / ns['median']:>9.2f}   {times}".rstrip())


def registration_lines(result):
    """What Binding Updates cost the control process and how long their answers take."""
    rows = [r for r in result["rows"] if "cpu_us" in r or "latency_us" in r]
    if not rows:
        return
    yield (f"{'registrations':<16}{'bindings':>9}{'cpu us':>9}{'min':>9}{'max':>9}{'a second':>9}"
           f"   us to the answer p50/p99/p99.9, p99 undisturbed")
    for row in rows:
        cpu = row.get("cpu_us")
        values = "".join(f"{cpu[k]:>9.2f}" for k in ("median", "min", "max")) if cpu else " " * 27
        rate = row["extra"].get("updates_per_s")
        values += f"{rate['median']:>9.0f}" if rate else " " * 9
        latency = row.get("latency_us") or {}
        times = "/".join(f"{latency[k]:.0f}" for k in ("p50", "p99", "p99.9") if k in latency)
        alone = row["extra"].get("undisturbed_us")
        times += f", {alone['p99']}" if alone else ""
        yield f"{row['row']:<16}{human(row['bindings']):>9}{values}   {times}".rstrip()


def micro_lines(result):
    """Micro benchmarks: TSC cycles for a packet or an operation."""
    micro = result.get("micro")
    if not micro:
        return
    yield f"{'table or stage':<28}{'entries':>9}{'cycles':>9}{'min':>9}{'max':>9}{'ns':>9}"
    for row in micro:
        cycles = row["cycles"]
        yield (f"{row['row']:<28}{human(row['entries']):>9}{cycles['median']:>9.1f}{cycles['min']:>9.1f}"
               f"{cycles['max']:>9.1f}{cycles['median'] / result['machine']['tsc_hz'] * 1e9:>9.2f}")


def unmeasured(goal):
    return "not measured" + (f": {goal['why']}" if "why" in goal else "")


def table_lines(table):
    """The goals with their marks."""
    width = max(len(goal["what"]) for goal in table)
    yield f"{'':<{width}}{'at':>7}{'value':>9}{'min':>9}{'max':>9}{'must':>8}{'aim':>8}"
    for goal in table:
        limits = f"{_number(goal['must']):>8}{_number(goal['aim']):>8}"
        if goal["mark"] == "-":
            yield f"{goal['what']:<{width}}{'':>7}{'-':>9}{'':>18}{limits}   {unmeasured(goal)}"
            continue
        at = human(goal["bindings"]) if goal.get("bindings") else ""
        spread = "".join(f"{_number(goal[k]):>9}" if k in goal else f"{'':>9}" for k in ("min", "max"))
        yield (f"{goal['what']:<{width}}{at:>7}{_number(goal['median']):>9}{spread}{limits}   "
               f"{goal['mark']}")


LINES_GBPS = (10, 25, 100, 200)
FRAMES = (("78 B", 78), ("512 B", 512), ("imix", 365))  # at the core side, without FCS
ON_THE_WIRE = 40 + 4 + 20  # outer header, FCS, preamble and gap
DRIVER_NS = 15  # of a real card, received and sent


def line_rows(result):
    """(line, frame, Mpps on a full line after encapsulation, cores at each number of bindings)."""
    ns = {r["bindings"]: r["ns"]["median"] + DRIVER_NS for r in result["rows"] if r["row"] == "encap"}
    for gbps in LINES_GBPS:
        for name, size in FRAMES:
            mpps = gbps * 1e3 / 8 / (size + ON_THE_WIRE)
            yield gbps, name, mpps, {n: mpps * ns[n] / 1e3 for n in sorted(ns)}


def line_lines(result):
    """By arithmetic: how many cores like this one would fill the lines of real cards."""
    rows = list(line_rows(result))
    sizes = sorted(rows[0][3])
    if not sizes:
        return
    ends = sorted({sizes[0], sizes[-1]})
    yield (f"{'cores for a line':<20}{'Mpps':>9}" + "".join(f"{'at ' + human(n):>9}" for n in ends) +
           f"   by arithmetic: ns above + {DRIVER_NS} for a card's driver")
    for gbps, name, mpps, cores in rows:
        yield f"{f'{gbps}GbE, {name}':<20}{mpps:>9.1f}" + "".join(f"{cores[n]:>9.1f}" for n in ends)


def lines(result):
    yield from machine_lines(result["machine"])
    yield ""
    yield from rows_lines(result)
    yield ""
    for part in (micro_lines(result), registration_lines(result)):
        found = list(part)
        yield from found + [""] if found else found
    yield from table_lines(result["table"])
    yield ""
    yield from line_lines(result)
    yield ""
    yield WITHOUT_NIC


def _markdown(heads, rows):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _micro_table(result):
    """A row for each table or stage, a column for each number of entries that most have."""
    cycles = {(r["row"], r["entries"]): r["cycles"]["median"] for r in result["micro"]}
    sizes = sorted({n for name, n in cycles if name == "encap"})
    scale = 1e9 / result["machine"]["tsc_hz"]
    for name in dict.fromkeys(r["row"] for r in result["micro"]):
        of_row = sorted(n for row, n in cycles if row == name)
        if of_row == sizes:
            yield name, *(f"{cycles[name, n]:.0f} ({cycles[name, n] * scale:.1f})" for n in sizes)
        else:
            told = ", ".join(f"{cycles[name, n]:.0f} ({cycles[name, n] * scale:.1f}) at {human(n)}"
                             for n in of_row)
            yield name, told, *([""] * (len(sizes) - 1))


def markdown(result):
    """The figures as tables for a document."""
    yield from machine_lines(result["machine"])
    yield ""
    yield from _markdown(("promise", "at", "measured", "least to greatest", "must", "aim", ""), (
        (goal["what"], human(goal["bindings"]) if goal.get("bindings") else "",
         _number(goal["median"]) if "median" in goal else "",
         f"{_number(goal['min'])} to {_number(goal['max'])}" if "min" in goal else "",
         _number(goal["must"]), _number(goal["aim"]),
         unmeasured(goal) if goal["mark"] == "-" else goal["mark"]) for goal in result["table"]))
    yield ""
    yield from _markdown(("row", "bindings", "ns a packet", "least to greatest", "Mpps",
                          "us a burst, p50 / p99 / p99.9"), (
        (row["row"], human(row["bindings"]), f"{row['ns']['median']:.1f}",
         f"{row['ns']['min']:.1f} to {row['ns']['max']:.1f}", f"{1e3 / row['ns']['median']:.1f}",
         " / ".join(f"{row['burst_ns'][k] / 1e3:.2f}" for k in ("p50", "p99", "p99.9"))
         if row.get("burst_ns") else "") for row in result["rows"] if "ns" in row))
    yield ""
    sizes = sorted({r["entries"] for r in result["micro"] if r["row"] == "encap"})
    yield from _markdown(("table or stage: cycles (ns)", *(human(n) for n in sizes)), _micro_table(result))
    yield ""
    yield from _markdown(("registrations", "bindings", "us of control", "least to greatest",
                          "a second", "ms to the answer, p50 / p99 / p99.9", "p99 undisturbed"), (
        (row["row"], human(row["bindings"]), f"{row['cpu_us']['median']:.2f}",
         f"{row['cpu_us']['min']:.2f} to {row['cpu_us']['max']:.2f}",
         f"{row['extra']['updates_per_s']['median']:,.0f}",
         " / ".join(f"{row['latency_us'][k] / 1e3:.2f}" for k in ("p50", "p99", "p99.9"))
         if "latency_us" in row else "",
         f"{row['extra']['undisturbed_us']['p99'] / 1e3:.2f}" if "undisturbed_us" in row["extra"] else "")
        for row in result["rows"] if "cpu_us" in row))


def _curve(result, row_name, name, **how):
    """Only where M was measured, too: the rows beside security associations are another table of bindings."""
    points = []
    sizes = {row["bindings"] for row in result["rows"] if row["row"] == "mac"}
    for row in result["rows"]:
        if row["row"] == row_name and row["bindings"] in sizes and "ns" in row:
            ns = row["ns"]
            points.append((row["bindings"], 1e3 / ns["median"], 1e3 / ns["max"], 1e3 / ns["min"]))
    points.sort()
    return [{"name": name, "points": points, "colour": chart.COLOURS.get(row_name), **how}] if points else []


def _memory_limit(result):
    """What fetching two random lines a packet would allow if nothing else took time."""
    ns = [r["ns"]["median"] for r in result["rows"] if r["row"] == "memory_lines"]
    sizes = sorted({r["bindings"] for r in result["rows"] if r["row"] == "encap"})
    if not ns or not sizes:
        return []
    mpps = 1e3 / (2 * statistics.median(ns))
    return [{"name": "two random memory lines", "colour": chart.COLOURS["memory"], "dash": "2 4",
             "points": [(n, mpps) for n in sorted({sizes[0], sizes[-1]})]}]


def _peers(peers):
    out = []
    for i, peer in enumerate(peers.get("peers", []) if peers else []):
        out.append({"name": peer["name"], "colour": chart.PEER_COLOURS[i % len(chart.PEER_COLOURS)],
                    "dash": "7 3", "points": sorted(map(tuple, peer["points"]))})
    return out


def svg(result, peers=None):
    """The chart: our curves, M, the memory limit and, if given, peers' figures."""
    series = _curve(result, "mac", "M: MAC forwarding", dash="1 0")
    series += _memory_limit(result)
    series += _curve(result, "encap", "Unwired encapsulation", is_ours=True)
    series += _curve(result, "decap", "Unwired decapsulation", is_ours=True)
    series += _peers(peers)
    machine = result["machine"]
    notes = [f"Without a NIC: {machine['cpu']}, one core, 78-byte frames, random home addresses; "
             f"bars: all rounds."]
    if peers:
        notes.append(f"Peers: {peers['taken']}")
    title = "Packets a second over the number of bindings"
    return chart.draw(title, f"Unwired {result['version']}, {result['taken'][:10]}", series, notes)
