// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The binding table: home address -> forwarding entry. Buckets of one cache line hold three whole
// keys and their entries' indices, so a look-up costs the bucket line and the entry line, both
// fetched ahead for a whole burst, and nearly always in one page of memory.
//
// One writer (main lcore), any number of readers (workers, online in RCU). An entry never changes but
// for its counters; a change is a new entry under the same key. What is unlinked is reused or
// reported only after a grace period. The hash is keyed with random seeds, because home addresses
// are chosen by others; a bucket that overflows grows a chain out of a pool that suffices for
// max_bindings whatever the keys, since holes in a chain are closed from its tail.
#pragma once

#include <assert.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>

#include "dataplane/api/records.h"
#include "dataplane/base/addr.h"

// Look-up key: the address with bits beyond the key length zero and its first two bytes, which the
// home prefix (at least /16) implies, replaced by the home prefix's id. So domains may overlap.
union bindtab_key {
	uint8_t b[16];
	uint64_t q[2];
};

// Flags of a binding.
enum {
	BINDING_SIDE_RECORD = 0x0001, // several care-of addresses or flow rules: not in use yet
	BINDING_SA = 0x0002, // sa_slot is valid
};

// The forwarding entry of one version of a binding: exactly one cache line.
// Writer: main lcore before it is published; counters by workers, relaxed.
struct binding {
	struct ip6 care_of;
	uint64_t packets_down, bytes_down; // to the mobile, inner bytes
	uint64_t packets_up, bytes_up; // from the mobile
	uint16_t agent; // outer source: index of the agent address
	uint16_t home_prefix;
	uint16_t flags;
	uint16_t port;
	union {
		uint32_t gre_key;
		uint32_t sa_slot; // IPv6-in-IPv6, with BINDING_SA
	};
	uint32_t generation;
} __rte_cache_aligned;
static_assert(sizeof(struct binding) == 64, "a forwarding entry is one cache line");

struct bindtab;

// Told of each version that is gone, after its grace period: its account is final.
// Borrowed: entry, for the call only.
typedef void (*bindtab_retired_fn)(void *ctx, uint32_t handle, const struct binding *entry);

// Makes an empty table for max_bindings entries. Before start.
// Owns: the caller; free with bindtab_free. Returns: NULL with errno ENOMEM.
struct bindtab *bindtab_new(uint32_t max_bindings, bindtab_retired_fn retired, void *ctx);
void bindtab_free(struct bindtab *tab);

// Adds the entry of key, or replaces it by a new version (retiring the old one).
// Returns: 0, -ENOSPC (max_bindings reached), or -EAGAIN: too much waits for a grace period; call
// bindtab_poll and try again. Thread: main lcore.
int bindtab_set(struct bindtab *tab, const union bindtab_key *key, uint32_t handle,
	const struct binding *entry);

// Removes key. Returns: 0, -ENOENT or -EAGAIN (as above). Thread: main lcore.
int bindtab_del(struct bindtab *tab, const union bindtab_key *key);

// The living entry of key with its handle, or NULL. Thread: main lcore.
const struct binding *bindtab_find(
	const struct bindtab *tab, const union bindtab_key *key, uint32_t *handle);

// Finishes what a passed grace period allows: retired entries are reported, slots and chain buckets
// reused. Call it every turn; it never waits. Returns: true when nothing is left to finish.
bool bindtab_poll(struct bindtab *tab);

uint32_t bindtab_count(const struct bindtab *tab);
uint32_t bindtab_max(const struct bindtab *tab);

// Mark and sweep. bindtab_mark_begin makes all entries stale, bindtab_set makes fresh.
void bindtab_mark_begin(struct bindtab *tab);
uint32_t bindtab_stale(const struct bindtab *tab);
// Removes stale entries among the next `budget` ones. Returns: true when the sweep is complete.
bool bindtab_sweep(struct bindtab *tab, uint32_t budget);
// Makes the next bindtab_sweep begin at the first entry.
void bindtab_sweep_begin(struct bindtab *tab);

// Looks up n keys. Shape: keys[n], out[n], 1 <= n <= 64; out[i] = NULL on a miss.
// Returns: how many were found.
// Thread: any online worker. Owns: out[i] borrowed until the worker's next quiescent state.
// Cost: two cache lines per key, both prefetched.
unsigned int bindtab_lookup_bulk(const struct bindtab *tab, const union bindtab_key *keys,
	struct binding **out, unsigned int n);

// Makes the key of an address under a home prefix of key_len bits. In one piece: a small store into a key
// that is read at once would hold up the look-up.
static inline void bindtab_key_make(
	union bindtab_key *key, const struct ip6 *addr, uint16_t home_prefix, uint8_t key_len)
{
	__m128i whole = _mm_loadu_si128((const __m128i *)(const void *)addr);

	if (unlikely(key_len < 128)) {
		struct ip6 cut = *addr;

		ip6_mask(&cut, key_len);
		whole = _mm_loadu_si128((const __m128i *)(const void *)&cut);
	}
	_mm_storeu_si128((__m128i *)(void *)key, _mm_insert_epi16(whole, home_prefix, 0));
}

// What the table would need for max_bindings entries, in bytes.
size_t bindtab_memory(uint32_t max_bindings);
