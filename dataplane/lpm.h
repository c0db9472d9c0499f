// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Longest prefix match for IPv6: one hash table of prefixes of all lengths, asked from the longest length
// that occurs near an address to the shortest. Which lengths occur is told by a filter over the first 32
// bits of the address, so that most look-ups ask for one or two. Few lines of cache are touched however
// deep a prefix is, a change costs one entry (the last of its length also a walk over the filter, at most
// 2 MiB), and memory grows with the prefixes alone. The hash is keyed.
//
// Nobody may read a table that is being changed: fib.c keeps two, changes the one that no worker reads,
// and swaps them with a grace period between.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

struct lpm;

enum { LPM_BULK_MAX = 64 };

// Makes an empty table. Prefixes shorter than /32 are asked for with every address. Owned by the caller.
// Returns: NULL without memory.
struct lpm *lpm_new(const char *name, uint32_t max_prefixes);
void lpm_free(struct lpm *lpm);

// Bytes that lpm_new takes.
uint64_t lpm_memory(uint32_t max_prefixes);

// Adds or changes a prefix, whose bits beyond its length are zero. is_favorite: many look-ups in a row will
// end at this one, as at a home prefix: they need not ask for its length, nor for those of prefixes inside,
// unless what they look for may stand inside. Costs a walk over the whole table.
// Returns: 0 or -ENOSPC.
int lpm_set(struct lpm *lpm, const struct ip6_prefix *prefix, uint32_t nexthop, bool is_favorite);
// Returns: 0 or -ENOENT.
int lpm_del(struct lpm *lpm, const struct ip6_prefix *prefix);

// Looks up n addresses. Shape: dst[n], out[n]; 1 <= n <= LPM_BULK_MAX. A miss gives 0.
void lpm_lookup_bulk(const struct lpm *lpm, const struct ip6 *dst, uint32_t *out, unsigned int n);
