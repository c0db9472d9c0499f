// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A histogram of times whose steps grow with the value: 64 in each doubling, so that any percentile is
// right to 1.6 %, from a nanosecond to hours.
#pragma once

#include <stdint.h>

enum { LATENCY_STEPS_LOG2 = 6, LATENCY_BINS = (65 - LATENCY_STEPS_LOG2) << LATENCY_STEPS_LOG2 };

// All zero is empty.
struct latency {
	uint64_t n, sum_ns, most_ns;
	uint64_t bins[LATENCY_BINS];
};

// The bin of a time, and the least time of a bin.
static inline unsigned int latency_bin(uint64_t ns)
{
	unsigned int log2, shift;

	if (ns < 2u << LATENCY_STEPS_LOG2)
		return (unsigned int)ns;
	log2 = 63 - (unsigned int)__builtin_clzll(ns);
	shift = log2 - LATENCY_STEPS_LOG2;
	return (shift << LATENCY_STEPS_LOG2) + (unsigned int)(ns >> shift);
}

static inline uint64_t latency_least_ns(unsigned int bin)
{
	unsigned int shift = bin >> LATENCY_STEPS_LOG2;

	if (shift <= 1)
		return bin;
	shift--;
	return (uint64_t)(bin - (shift << LATENCY_STEPS_LOG2)) << shift;
}

static inline void latency_add(struct latency *latency, uint64_t ns)
{
	latency->bins[latency_bin(ns)]++;
	latency->n++;
	latency->sum_ns += ns;
	if (ns > latency->most_ns)
		latency->most_ns = ns;
}

// Adds all of other.
void latency_merge(struct latency *latency, const struct latency *other);

// The time that a share (0..1) of all took at most; 0 when there is none.
uint64_t latency_at(const struct latency *latency, double share);
