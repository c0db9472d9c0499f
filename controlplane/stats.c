// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/stats.h"

#include <stdio.h>

static const char *const drop_names[STATS_DROP_MAX] = {
	[STATS_DROP_TUNNELLED] = "tunnelled",
	[STATS_DROP_NOT_MH] = "not_mh",
	[STATS_DROP_UNUSED_TYPE] = "unused_type",
	[STATS_DROP_LIMITED] = "answer_limited",
	[STATS_DROP_UNPROTECTED] = "unprotected",
	[STATS_DROP_WRONG_SA] = "wrong_sa",
	[STATS_DROP_SOLICITATION] = "solicitation",
	[STATS_DROP_NOT_ANSWERABLE] = "not_answerable",
};

void stats_commit(struct stats *stats, uint64_t took_ns)
{
	uint64_t us = took_ns / 1000;
	unsigned int class = 0;

	while (class < STATS_N_LATENCIES - 1 && us >= ((uint64_t)STATS_LATENCY_FIRST_US << class))
		class ++;
	stats->n_commits++;
	stats->commit_us_sum += us;
	stats->commit_latency[class]++;
}

void stats_each_drop(
	const struct stats *stats, void (*fn)(void *ctx, const char *name, uint64_t n), void *ctx)
{
	char name[64];

	for (unsigned int i = IP6CHAIN_FINE + 1; i < IP6CHAIN_WHY_MAX; i++) {
		snprintf(name, sizeof(name), "chain_%s", ip6chain_why_name(i));
		fn(ctx, name, stats->chain_drops[i]);
	}
	for (unsigned int i = MH_OK + 1; i < MH_VERDICT_MAX; i++) {
		snprintf(name, sizeof(name), "mh_%s", mh_verdict_name(i));
		fn(ctx, name, stats->mh_drops[i]);
	}
	for (unsigned int i = DECIDE_DROP_NONE + 1; i < DECIDE_DROP_MAX; i++) {
		snprintf(name, sizeof(name), "decide_%s", decide_drop_name(i));
		fn(ctx, name, stats->decide_drops[i]);
	}
	for (unsigned int i = 0; i < STATS_DROP_MAX; i++)
		fn(ctx, drop_names[i], stats->drops[i]);
}
