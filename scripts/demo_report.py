# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What scripts/demo prints at the end."""

import json

import demo_chart

N_COLUMNS = 80
N_ROWS = 5


def print_chart(journey):
    span = journey.start_ns, journey.end_ns, N_COLUMNS
    values = [rate * 8 / 1e6 for rate in demo_chart.rates(journey.samples, *span)]
    print("\nReceived at the home address (TCP and probes)")
    for line in demo_chart.draw(values, N_ROWS, "Mbit/s"):
        print(line)
    print(demo_chart.marks([(e["at_ns"], e["letter"]) for e in journey.events], *span))


def print_events(journey):
    """One row for each handover and kill; losses are of the probes, one way each."""
    print("\n   at                                                        lost there  back  "
          "longest gap  signalling")
    for event in journey.events:
        at_s = (event["at_ns"] - journey.start_ns) / 1e9
        if event["rtt_ms"] is not None:
            took = f"{event['rtt_ms']:7.1f} ms"
        else:
            took = f"away {event['seconds']:.1f} s" if event["seconds"] else "no answer"
        allowed = f"  (up to {event['allowed']} allowed)" if "allowed" in event else ""
        print(f"{at_s:5.1f}  {event['letter']}  {event['text']:<54}{event['lost_there']:6d}"
              f"{event['lost_back']:6d}  {event['gap_ms']:8.1f} ms  {took:>10}{allowed}")


def dataplane_losses(journey):
    """Named drops of all lives of the dataplane, and what never got into it."""
    drops, unseen = {}, 0
    for first, last in journey.epochs:
        for name, packets in last["drops"].items():
            grown = packets - first["drops"].get(name, 0)
            if grown > 0:
                drops[name] = drops.get(name, 0) + grown
        unseen += (last["offered"] - first["offered"]) - (last["port_rx"] - first["port_rx"])
    return drops, max(0, unseen)


def print_losses(journey):
    drops, unseen = dataplane_losses(journey)
    named = ", ".join(f"{name} {packets}" for name, packets in sorted(drops.items())) or "none"
    home, *care_ofs = journey.mobile_status
    lost = sum(e["lost_there"] + e["lost_back"] for e in journey.events) + journey.n_elsewhere
    print("\nWhere packets were lost")
    print(f"  at the ends          {lost} of {2 * journey.n_sent} probes, there and back"
          f" ({journey.n_elsewhere} at other times than above)")
    print(f"  by the dataplane     {named}")
    print(f"  in front of it       {unseen} (receive ring of the packet socket; a busy machine's)")
    print(f"  at the mobile        {sum(int(c.get('overruns', 0)) for c in care_ofs)}"
          " (receive buffer of its socket)")
    print("\nRegistrations")
    print(f"  {home['acknowledged']} acknowledged, {home['retransmitted']} retransmitted,"
          f" {home['refused']} refused; late packets heard at care-of addresses that were left:"
          f" {sum(int(c.get('late', 0)) for c in care_ofs)}")


def tcp_result(journey, name):
    """One line about a run of iperf3."""
    log = (journey.directory / f"{name}.log").read_text()
    try:
        end = json.loads(log)["end"]
    except (ValueError, KeyError):
        return f"no result: {log[-200:].strip()}"
    return (f"{end['sum_received']['bits_per_second'] / 1e6:.0f} Mbit/s,"
            f" {end['sum_received']['bytes'] / 1e6:.0f} MB,"
            f" {end['sum_sent']['retransmits']} segments sent again")


def print_traffic(journey):
    print("\nTraffic from the correspondent to the home address")
    print(f"  TCP under way        {tcp_result(journey, 'iperf3')}")
    print(f"  TCP alone afterwards {tcp_result(journey, 'speed')}")
    for line in (journey.directory / "ping.log").read_text().splitlines()[-2:]:
        if "packets transmitted" in line or line.startswith("rtt"):
            print(f"  ping                 {line}")


def print_report(journey):
    print_chart(journey)
    print_events(journey)
    print_losses(journey)
    print_traffic(journey)
    if journey.protection:
        journey.protection.print_report()
    print("\nPromises")
    for text, kept in journey.promises:
        print(f"  {'kept  ' if kept else 'BROKEN'}  {text}")
    n_broken = sum(1 for _, kept in journey.promises if not kept)
    print(f"\n{'All promises kept.' if n_broken == 0 else f'{n_broken} promise(s) broken.'}")
