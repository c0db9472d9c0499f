# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A rate over time as blocks in the terminal, and losses and gaps out of the probe's records."""

BLOCKS = " ▁▂▃▄▅▆▇█"


def rates(samples, start_ns, end_ns, n_columns):
    """Bytes per second in n_columns equal pieces of time, from a growing counter's samples."""
    width_ns = (end_ns - start_ns) / n_columns
    total = [0.0] * n_columns
    for (t0, b0), (t1, b1) in zip(samples, samples[1:]):
        first = max(0, int((t0 - start_ns) / width_ns))
        last = min(n_columns - 1, int((t1 - start_ns) / width_ns))
        for column in range(first, last + 1):
            left = start_ns + column * width_ns
            overlap = min(t1, left + width_ns) - max(t0, left)
            if overlap > 0 and t1 > t0:
                total[column] += (b1 - b0) * overlap / (t1 - t0)
    return [bytes_ * 1e9 / width_ns for bytes_ in total]


def draw(values, n_rows, unit):
    """Lines of a bar chart. A short burst far above the usual is cut off and marked by a +."""
    usual = sorted(values)[len(values) // 2]
    top = min(max(values), 2.5 * usual) if usual > 0 else max(values) or 1.0
    more = "+" if top < max(values) else " "
    lines = []
    for row in reversed(range(n_rows)):
        cells = []
        for value in values:
            eighths = round(value / top * n_rows * 8) - row * 8
            cells.append(BLOCKS[max(0, min(8, eighths))])
        label = f"{top:.0f}{more}{unit}" if row == n_rows - 1 else ""
        lines.append(f"{label:>15} │{''.join(cells)}│")
    return lines


def marks(events, start_ns, end_ns, n_columns):
    """A line with each event's letter below its moment. events: (ns, letter)."""
    cells = [" "] * n_columns
    for at_ns, letter in events:
        column = int((at_ns - start_ns) / (end_ns - start_ns) * n_columns)
        while column < n_columns - 1 and cells[column] != " ":
            column += 1
        cells[min(column, n_columns - 1)] = letter
    return f"{'':>15}  {''.join(cells)}"


def lost_between(sent, arrived, start_ns, end_ns):
    """How many of the packets sent in that time never arrived. sent: time by number."""
    return sum(1 for number, at_ns in enumerate(sent)
               if start_ns <= at_ns < end_ns and number not in arrived)


def longest_gap_ns(arrivals_ns, start_ns, end_ns):
    """The longest time without an arrival whose middle lies in that time. arrivals_ns in order."""
    return max((b - a for a, b in zip(arrivals_ns, arrivals_ns[1:])
                if start_ns <= (a + b) / 2 < end_ns), default=0)
