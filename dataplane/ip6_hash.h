// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A hash of an address for tables whose keys strangers choose.
#pragma once

#include <stdint.h>
#include <string.h>

#include <rte_jhash.h>

#include "dataplane/base/addr.h"

// seed is random, from start.
static inline uint32_t ip6_hash(const struct ip6 *a, uint32_t seed)
{
	uint32_t words[4]; // an address stands at any alignment

	memcpy(words, a, sizeof(words));
	return rte_jhash_32b(words, 4, seed);
}
