// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/esp_guard.h"

#include <string.h>

#include <rte_common.h>

enum { FULL_MS = 4, MS_PER_S = 1000 }; // worth of time that the share may save up

static int64_t full(const struct esp_guard *guard)
{
	return (int64_t)guard->hz / MS_PER_S * FULL_MS / ESP_GUARD_SHARE;
}

void esp_guard_init(struct esp_guard *guard, const struct hash_seed *seed, uint64_t hz)
{
	memset(guard, 0, sizeof(*guard));
	guard->seed = *seed;
	guard->hz = hz;
	guard->tokens = full(guard);
}

void esp_guard_turn(struct esp_guard *guard, uint64_t now_tsc)
{
	uint64_t more = (now_tsc - guard->filled_tsc) / ESP_GUARD_SHARE;

	guard->tokens += (int64_t)RTE_MIN(more, (uint64_t)(full(guard) - guard->tokens));
	guard->filled_tsc = now_tsc;
}

static uint64_t *bucket_of(struct esp_guard *guard, uint32_t spi, uint64_t source)
{
	uint64_t hash =
		hash_fold(source ^ guard->seed.q[1], ((uint64_t)spi << 1 ^ guard->seed.q[2]) | 1);

	return &guard->empty_tsc[hash % ESP_GUARD_BUCKETS];
}

// A bucket of n tokens is empty when it would be full again only after n intervals.
bool esp_guard_admit(
	struct esp_guard *guard, uint32_t spi, uint64_t source, bool is_peer, uint64_t now_tsc)
{
	uint64_t interval = guard->hz / ESP_GUARD_PER_S;
	uint64_t *bucket;

	if (is_peer)
		return guard->tokens > 0;
	if (guard->tokens <= full(guard) / 2)
		return false;
	bucket = bucket_of(guard, spi, source);
	if (*bucket < now_tsc)
		*bucket = now_tsc;
	if (*bucket - now_tsc > (ESP_GUARD_BURST - 1) * interval)
		return false;
	*bucket += interval;
	return true;
}

void esp_guard_good(struct esp_guard *guard, uint32_t spi, uint64_t source, bool is_peer)
{
	if (!is_peer)
		*bucket_of(guard, spi, source) -= guard->hz / ESP_GUARD_PER_S;
}

void esp_guard_bad(struct esp_guard *guard, uint64_t ticks)
{
	guard->tokens -= (int64_t)ticks;
}
