# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What a few rounds can tell: paired ratios, and whether two series differ by more than noise."""

import itertools
import math
import random
import statistics

EXACT_MAX = 200_000  # ways to deal the values to two series that are still tried one by one
DRAWS = 20_000  # beyond that, so many of them at random


def ratios(over, under):
    """over/under of each round, for series whose rounds took turns; of the medians otherwise."""
    if len(over) == len(under):
        return [a / b for a, b in zip(over, under)]
    return [statistics.median(over) / statistics.median(under)]


def summary(values):
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ranks(values):
    """The rank of each value, ties sharing theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end + 1 < len(order) and values[order[end + 1]] == values[order[at]]:
            end += 1
        for i in order[at:end + 1]:
            found[i] = (at + end) / 2
        at = end + 1
    return found


def chance(old, new):
    """How likely two series of one kind come out at least as far apart as these by their rank sums
    (Mann-Whitney, two-sided). Exact for few rounds, by random dealing for many."""
    rank = ranks(old + new)
    n, middle = len(old), len(old) * (len(rank) - 1) / 2
    apart = abs(sum(rank[:n]) - middle) - 1e-9
    if math.comb(len(rank), n) <= EXACT_MAX:
        deals = itertools.combinations(rank, n)
        hits = total = 0
        for deal in deals:
            total += 1
            hits += abs(sum(deal) - middle) >= apart
        return hits / total
    dealer = random.Random(1)
    hits = sum(abs(sum(dealer.sample(rank, n)) - middle) >= apart for _ in range(DRAWS))
    return (hits + 1) / (DRAWS + 1)


def interval(old, new, share=0.98, draws=2000):
    """Where the ratio of the medians new/old lies, in that share of bootstrap draws."""
    dealer = random.Random(1)
    found = sorted(statistics.median(dealer.choices(new, k=len(new))) /
                   statistics.median(dealer.choices(old, k=len(old))) for _ in range(draws))
    cut = int(draws * (1 - share) / 2)
    return found[cut], found[-1 - cut]
