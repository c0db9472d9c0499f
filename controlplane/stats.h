// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the control process counts.
#pragma once

#include <stdint.h>

#include "controlplane/codec/ip6chain.h"
#include "controlplane/codec/mh_parse.h"
#include "controlplane/decide.h"

// Drops that are not the codec's or the decision's.
enum stats_drop {
	STATS_DROP_TUNNELLED, // signalling inside a reverse tunnel
	STATS_DROP_NOT_MH, // punted, but no Mobility Header
	STATS_DROP_UNUSED_TYPE, // a message that a home agent has no use for
	STATS_DROP_LIMITED, // an error or refusal over the rate limit
	STATS_DROP_UNPROTECTED, // under no security association where one is needed
	STATS_DROP_WRONG_SA, // under that of another home address, or for another use
	STATS_DROP_SOLICITATION, // a Mobile Prefix Solicitation that is malformed, or not wanted
	STATS_DROP_NOT_ANSWERABLE, // an error about a packet that allows none
	STATS_DROP_MAX,
};

enum {
	STATS_N_LATENCIES = 16, // classes of commit latency: below 64 us, 128 us, ... and the rest
	STATS_LATENCY_FIRST_US = 64,
};

struct stats {
	uint64_t answers[256]; // Binding Acknowledgements by status
	uint64_t kinds[DECIDE_DEREGISTER + 1]; // what became of Updates, from DECIDE_REFUSE on
	uint64_t chain_drops[IP6CHAIN_WHY_MAX];
	uint64_t mh_drops[MH_VERDICT_MAX];
	uint64_t decide_drops[DECIDE_DROP_MAX];
	uint64_t drops[STATS_DROP_MAX];
	uint64_t n_binding_errors; // Binding Error messages sent
	uint64_t n_prefix_advertisements; // Mobile Prefix Advertisements sent
	uint64_t n_param_problems; // ICMPv6 Parameter Problems sent
	uint64_t n_expired;
	uint64_t n_over_quota; // refused: too many home addresses of one mobile node
	uint64_t n_holds_forgotten; // before their time, for want of room
	uint64_t n_counters_late; // final counters of lives that are forgotten
	uint64_t n_dataplane_errors; // bindings that the dataplane refused
	uint64_t n_replication_failures; // groups that other home agents do not have as asked
	struct {
		uint64_t n_grants; // of sequence numbers, beside the first ones
		uint64_t n_groups, n_group_errors; // of reserved numbers
		uint64_t n_pruned; // entries of the reserve that nobody will ask for any more
		int last_error; // negative errno of the newest group; 0 = it was written
	} sas;
	uint64_t n_commits, n_commit_failures;
	uint64_t commit_us_sum;
	uint64_t commit_latency[STATS_N_LATENCIES];
};

// Counts one commit that took so long.
void stats_commit(struct stats *stats, uint64_t took_ns);

// Calls fn with the name ("decide_nonce") and the number of every drop reason.
void stats_each_drop(
	const struct stats *stats, void (*fn)(void *ctx, const char *name, uint64_t n), void *ctx);
