// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The forwarding tables: destination -> index of a tagged next hop, one for each mobility domain and
// address family. Each is two complete tables; the writer changes the one that nobody reads,
// publishes it, waits one grace period for the whole batch and makes the same changes to the other.
// So readers never meet a table in motion, whatever the code underneath does on delete.
//
// IPv6 stands in one hash table of all lengths (lpm.h). An IPv4 address a.b.c.d is looked up as a.b.c.d::
// in a table of DPDK's rte_lpm6: one memory access for prefixes up to /24, two for longer ones.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "dataplane/base/addr.h"

enum fib_family { FIB_IP6, FIB_IP4, FIB_FAMILIES };

// Looks up n destinations in a domain. Shape: dst[n], out[n]; 1 <= n <= 64. A miss gives 0
// (NEXTHOP_NO_ROUTE). Thread: any online worker.
void fib6_lookup_bulk(uint8_t domain, const struct ip6 *dst, uint32_t *out, unsigned int n);
// The same for IPv4 addresses in network order.
void fib4_lookup_bulk(uint8_t domain, const uint32_t *dst_be, uint32_t *out, unsigned int n);

// Makes the tables of n_domains, each for that many prefixes of a family. Before start.
// Returns: 0 or -ENOMEM, logged.
int fib_init(uint8_t n_domains, uint32_t max_ip4, uint32_t max_ip6);
// Frees them. Workers must have stopped.
void fib_free(void);

// Bytes of DPDK memory that fib_init takes.
uint64_t fib_memory(uint8_t n_domains, uint32_t max_ip4, uint32_t max_ip6);

// Adds or changes, or deletes, a prefix (IPv4 v4-mapped) in the table that is not read yet. Thread:
// mirror only. Returns: 0, -ENOSPC (full; nothing changed), -ENOENT (delete of what is not there),
// -ENOMEM. is_favorite: see lpm_set; means nothing for IPv4.
int fib_set(uint8_t domain, enum fib_family family, const struct ip6_prefix *prefix,
	uint32_t nexthop, bool is_favorite);
int fib_del(uint8_t domain, enum fib_family family, const struct ip6_prefix *prefix);

// Shows workers what was set and deleted in any table since the last call; when it returns, no reader
// uses what was before. Blocks for one grace period unless nothing was changed. Thread: mirror only.
// Returns: true when something was published.
bool fib_commit(void);
