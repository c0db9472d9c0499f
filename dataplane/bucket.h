// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A token bucket that one thread alone takes from, kept as the time up to which tokens are spent.
// Empty memory is a full bucket.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Takes a token if there is one. cost_tsc: ticks in which one token comes; burst: tokens of a full bucket.
static inline bool bucket_take(
	uint64_t *spent_tsc, uint64_t now_tsc, uint64_t cost_tsc, uint32_t burst)
{
	uint64_t oldest = now_tsc - burst * cost_tsc;

	if (*spent_tsc < oldest || *spent_tsc > now_tsc + cost_tsc)
		*spent_tsc = oldest;
	if (*spent_tsc + cost_tsc > now_tsc)
		return false;
	*spent_tsc += cost_tsc;
	return true;
}
