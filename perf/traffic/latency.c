// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/latency.h"

void latency_merge(struct latency *latency, const struct latency *other)
{
	for (unsigned int i = 0; i < LATENCY_BINS; i++)
		latency->bins[i] += other->bins[i];
	latency->n += other->n;
	latency->sum_ns += other->sum_ns;
	if (other->most_ns > latency->most_ns)
		latency->most_ns = other->most_ns;
}

uint64_t latency_at(const struct latency *latency, double share)
{
	double wanted = share * (double)latency->n;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < LATENCY_BINS && latency->n > 0; i++) {
		seen += latency->bins[i];
		if (latency->bins[i] > 0 && (double)seen >= wanted) {
			uint64_t end = latency_least_ns(i + 1) - 1;

			return end < latency->most_ns ? end : latency->most_ns;
		}
	}
	return 0;
}
