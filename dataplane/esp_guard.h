// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What packets with wrong check values may cost a worker. Whoever has seen an SPI can send such; each costs
// a computation. So for each SA and source there is a bucket of failures, and for the worker a share of
// its time that failures may take altogether, half of which is for the sources that the SAs' last good
// packets came from. So a flood from elsewhere starves no mobile, wherever it has moved to, and one that
// forges a mobile's own address takes no more than the share.
//
// Buckets stand in a table of a fixed size that a keyed hash leads into. Everything belongs to one worker.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"
#include "dataplane/base/hash.h"

enum {
	ESP_GUARD_PER_S = 50, // failures of an SA and a source
	ESP_GUARD_BURST = 64, // no less than a burst: what is under way counts
	ESP_GUARD_SHARE = 20, // one part in so many of a worker's time
	ESP_GUARD_BUCKETS = 8192,
};

struct esp_guard {
	struct hash_seed seed;
	uint64_t hz;
	int64_t tokens; // ticks that failures may take now; below 0: what they took beyond
	uint64_t filled_tsc;
	uint64_t empty_tsc[ESP_GUARD_BUCKETS]; // when the bucket would be full again
};

// hz: of the times that the others are given.
void esp_guard_init(struct esp_guard *guard, const struct hash_seed *seed, uint64_t hz);

// Fills the share up to now. Call it once a burst.
void esp_guard_turn(struct esp_guard *guard, uint64_t now_tsc);

// A keyed hash of a source. Never 0. All workers of a seed agree on it.
static inline uint64_t esp_guard_source(const struct esp_guard *guard, const struct ip6 *source)
{
	return hash_ip6(&guard->seed, source) | 1;
}

// Whether a packet under SPI from a source may have its check value computed. is_peer: the SA's last good
// packet came from there. Takes a token of the bucket, which esp_guard_good gives back.
bool esp_guard_admit(
	struct esp_guard *guard, uint32_t spi, uint64_t source, bool is_peer, uint64_t now_tsc);
void esp_guard_good(struct esp_guard *guard, uint32_t spi, uint64_t source, bool is_peer);

// A check value was wrong and took so many ticks.
void esp_guard_bad(struct esp_guard *guard, uint64_t ticks);
