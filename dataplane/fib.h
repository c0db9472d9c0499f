// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The IPv6 forwarding table: destination -> index of a tagged next hop. Two complete tables; the
// writer changes the one that nobody reads, publishes it, waits one grace period for the whole
// batch and makes the same changes to the other. So readers never meet a table in motion, whatever
// the library underneath does on delete. The default route stands beside them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

// Looks up n destinations. Shape: dst[n], out[n]; 1 <= n <= 64. A miss gives 0 (NEXTHOP_NO_ROUTE).
// Thread: any online worker.
void fib6_lookup_bulk(const struct ip6 *dst, uint32_t *out, unsigned int n);

// Makes the tables for max_routes prefixes. Before start. Returns: 0 or -ENOMEM.
int fib6_init(uint32_t max_routes);
// Frees them. Workers must have stopped.
void fib6_free(void);

// Bytes of DPDK memory that fib6_init(max_routes) takes.
uint64_t fib6_memory(uint32_t max_routes);

// Adds or changes, or deletes, a prefix in the table that is not read yet. Thread: mirror only.
// Returns: 0, -ENOSPC (full; nothing changed), -ENOENT (delete of what is not there), -ENOMEM.
int fib6_set(const struct ip6_prefix *prefix, uint32_t nexthop);
int fib6_del(const struct ip6_prefix *prefix);

// Shows workers what was set and deleted since the last call; when it returns, no reader uses what
// was before. Blocks for one grace period unless nothing was changed. Thread: mirror only.
// Returns: true when something was published.
bool fib6_commit(void);
