// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Token buckets for what anybody can make us send: errors and refusals. RFC 4443 section 2.4 (f),
// RFC 6275 section 9.3.3.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

enum {
	LIMITER_PER_SECOND = 1000, // in all
	LIMITER_SOURCE_PER_SECOND = 100, // of one source /64
	LIMITER_N_SOURCES = 4096, // buckets; sources that fall together share one
};

// One bucket; tokens are refilled when it is looked at.
struct limiter_bucket {
	uint64_t refilled_ns;
	uint32_t tokens;
};

// All buckets of one process. Zero but for seed is ready to use.
struct limiter {
	uint64_t seed; // random: sources are chosen by others
	struct limiter_bucket all;
	struct limiter_bucket sources[LIMITER_N_SOURCES];
};

// Takes a token for an answer to this address. now_ns: any clock that never steps back.
// Returns: true when the answer may be sent.
bool limiter_take(struct limiter *limiter, const struct ip6 *to, uint64_t now_ns);
