// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/limiter.h"

#include "dataplane/base/clock.h"

static void refill(struct limiter_bucket *bucket, uint32_t per_second, uint64_t now_ns)
{
	uint64_t step_ns = CLOCK_NS_PER_S / per_second;
	uint64_t n = (now_ns - bucket->refilled_ns) / step_ns;

	if (bucket->refilled_ns == 0 || n >= per_second) {
		bucket->tokens = per_second;
		bucket->refilled_ns = now_ns;
		return;
	}
	bucket->tokens += (uint32_t)n;
	if (bucket->tokens > per_second)
		bucket->tokens = per_second;
	bucket->refilled_ns += n * step_ns;
}

// Mixes the seed and the upper 64 bits of the address (the finaliser of SplitMix64, twice keyed).
static uint32_t source_idx(uint64_t seed, const struct ip6 *a)
{
	uint64_t x;

	memcpy(&x, a->b, sizeof(x));
	x = (x ^ seed) * 0xbf58476d1ce4e5b9ULL;
	x = ((x ^ (x >> 27)) + seed) * 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return (uint32_t)(x % LIMITER_N_SOURCES);
}

bool limiter_take(struct limiter *limiter, const struct ip6 *to, uint64_t now_ns)
{
	struct limiter_bucket *source = &limiter->sources[source_idx(limiter->seed, to)];

	refill(&limiter->all, LIMITER_PER_SECOND, now_ns);
	refill(source, LIMITER_SOURCE_PER_SECOND, now_ns);
	if (limiter->all.tokens == 0 || source->tokens == 0)
		return false;
	limiter->all.tokens--;
	source->tokens--;
	return true;
}
