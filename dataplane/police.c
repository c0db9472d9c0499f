// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/police.h"

#include <stdbool.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "dataplane/base/hash.h"
#include "dataplane/base/log.h"

enum {
	SENDERS = 1 << 17, // buckets of one class
	RECEIVERS = 1 << 14, // buckets of errors
	BURSTS_PER_S = 20, // a class may send 1/20 s of its budget at once,
	BURST_MIN = 64, // but at least so many packets, and
	BURST_MAX =
		1024, // no more: handing over a flood's first ones must not outlast the receive queues
};

// A bucket is the time at which it will be full again, in ticks. Each packet puts that off by one
// interval; no packet may put it off by more than the tolerance from now (the GCRA of ATM).
// Writers: workers, by compare and swap.
struct limit {
	uint64_t at_tsc;
	// Writer: main lcore; readers: workers. Apart from each other they make no harm: an interval
	// with the tolerance of another one lets a burst differ for one packet.
	uint64_t interval_tsc, tolerance_tsc;
	uint32_t per_s;
} __rte_cache_aligned;

static struct {
	struct hash_seed seed;
	uint64_t tsc_hz, interval_tsc; // of a sender
	struct limit classes[POLICE_CLASSES];
	uint64_t senders[POLICE_CLASSES][SENDERS];
	uint64_t errors __rte_cache_aligned; // bucket of all errors
	uint64_t receivers[RECEIVERS];
} police;

int police_init(uint64_t tsc_hz)
{
	police.tsc_hz = tsc_hz;
	police.interval_tsc = tsc_hz / POLICE_SENDER_PER_S;
	for (unsigned int i = 0; i < POLICE_CLASSES; i++)
		police_budget_set(i, POLICE_BUDGET_MIN);
	if (hash_seed_draw(&police.seed) != 0) {
		log_err("police_failed reason=\"no random numbers\"");
		return -EIO;
	}
	return 0;
}

uint64_t police_sender(const struct ip6 *source, const struct ip6 *home)
{
	uint64_t q[2] = { 0, hash_ip6(&police.seed, home) };

	memcpy(&q[0], source, sizeof(q[0]));
	return hash_16(&police.seed, q) | 1;
}

static bool has_token(uint64_t at_tsc, uint64_t now_tsc, uint64_t tolerance_tsc)
{
	return at_tsc <= now_tsc + tolerance_tsc;
}

static bool take(uint64_t *bucket, uint64_t now_tsc, uint64_t interval_tsc, uint64_t tolerance_tsc)
{
	uint64_t at = __atomic_load_n(bucket, __ATOMIC_RELAXED);

	do {
		if (!has_token(at, now_tsc, tolerance_tsc))
			return false;
	} while (!__atomic_compare_exchange_n(bucket, &at, RTE_MAX(at, now_tsc) + interval_tsc,
		true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

void police_prefetch(enum police_class class, uint64_t sender, uint64_t now_tsc)
{
	const struct limit *limit = &police.classes[class];

	if (has_token(__atomic_load_n(&limit->at_tsc, __ATOMIC_RELAXED), now_tsc,
		    __atomic_load_n(&limit->tolerance_tsc, __ATOMIC_RELAXED)))
		__builtin_prefetch(&police.senders[class][(sender >> 1) % SENDERS], 1);
}

enum police_verdict police_take(enum police_class class, uint64_t sender, uint64_t now_tsc)
{
	struct limit *limit = &police.classes[class];
	uint64_t tolerance = __atomic_load_n(&limit->tolerance_tsc, __ATOMIC_RELAXED);
	uint64_t interval = __atomic_load_n(&limit->interval_tsc, __ATOMIC_RELAXED);
	uint64_t *bucket = &police.senders[class][(sender >> 1) % SENDERS];

	// The class first: it is what a flood hits, and its line is at hand.
	if (unlikely(!has_token(
		    __atomic_load_n(&limit->at_tsc, __ATOMIC_RELAXED), now_tsc, tolerance)))
		return POLICE_OVER_CLASS;
	if (unlikely(!take(bucket, now_tsc, police.interval_tsc,
		    (POLICE_SENDER_BURST - 1) * police.interval_tsc)))
		return POLICE_OVER_SENDER;
	if (unlikely(!take(&limit->at_tsc, now_tsc, interval, tolerance)))
		return POLICE_OVER_CLASS;
	return POLICE_PASS;
}

bool police_error(uint64_t receiver, uint64_t now_tsc)
{
	const uint64_t q[2] = { receiver, 0 };
	uint64_t interval = police.tsc_hz / POLICE_ERRORS_PER_S;
	uint64_t interval_to = police.tsc_hz / POLICE_RECEIVER_PER_S;
	uint64_t tolerance = (POLICE_ERRORS_BURST - 1) * interval;
	uint64_t *bucket = &police.receivers[hash_16(&police.seed, q) % RECEIVERS];

	return has_token(__atomic_load_n(&police.errors, __ATOMIC_RELAXED), now_tsc, tolerance) &&
	       take(bucket, now_tsc, interval_to, (POLICE_RECEIVER_BURST - 1) * interval_to) &&
	       take(&police.errors, now_tsc, interval, tolerance);
}

// Packets that a class with this budget may send at once.
static uint32_t burst_of(uint32_t per_s)
{
	uint32_t burst = per_s / BURSTS_PER_S;

	if (burst < BURST_MIN)
		return BURST_MIN;
	return burst < BURST_MAX ? burst : BURST_MAX;
}

void police_budget_set(enum police_class class, uint32_t per_s)
{
	struct limit *limit = &police.classes[class];
	uint64_t interval;

	per_s = RTE_MAX(per_s, (uint32_t)POLICE_BUDGET_MIN);
	interval = police.tsc_hz / per_s;
	__atomic_store_n(&limit->interval_tsc, interval, __ATOMIC_RELAXED);
	__atomic_store_n(&limit->tolerance_tsc, interval * (burst_of(per_s) - 1), __ATOMIC_RELAXED);
	__atomic_store_n(&limit->per_s, per_s, __ATOMIC_RELAXED);
}

uint32_t police_budget(enum police_class class)
{
	return __atomic_load_n(&police.classes[class].per_s, __ATOMIC_RELAXED);
}
