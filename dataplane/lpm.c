// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/lpm.h"

#include <errno.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_malloc.h>

#include "dataplane/base/hash.h"

enum {
	MAX_LEN = 128,
	// How much of an address tells which lengths to look for: what a registry gives out.
	FILTER_BITS = 32,
	FILTER_MIN = 1 << 10, // slots
	FILTER_MAX = 1 << 16,
	FILTER_MULTIPLIER = 0x9e3779b1, // 2^32 / golden ratio
};

struct entry {
	uint64_t q[2];
	uint32_t nexthop;
	uint32_t len;
	uint64_t reserved;
};
static_assert(sizeof(struct entry) == 32, "two entries are one cache line");

// A set of prefix lengths 1..128; the longest is the lowest bit of the first word.
struct lengths {
	uint64_t w[2];
};

struct lpm {
	struct hash_seed seed;
	struct entry *entries;
	uint64_t *used; // a bit for each entry: most searches for what is not there end at one
	struct lengths *filter; // may hold lengths that are no longer there
	struct lengths everywhere; // shorter than the filter's bits
	uint64_t masks[MAX_LEN + 1][2];
	uint32_t entry_mask;
	uint32_t filter_slots;
	uint8_t filter_shift;
	uint32_t default_nexthop; // length 0
	// Writer only.
	uint32_t max_prefixes, n_prefixes;
	uint32_t n_of[MAX_LEN + 1]; // prefixes of a length
};

static uint32_t entries_of(uint32_t max_prefixes)
{
	return rte_align32pow2(RTE_MAX(3 * max_prefixes, 64u));
}

static uint32_t slots_of(uint32_t max_prefixes)
{
	uint32_t n = rte_align32pow2(max_prefixes);

	return RTE_MIN(RTE_MAX(n, (uint32_t)FILTER_MIN), (uint32_t)FILTER_MAX);
}

uint64_t lpm_memory(uint32_t max_prefixes)
{
	return sizeof(struct lpm) + (uint64_t)entries_of(max_prefixes) * sizeof(struct entry) +
	       entries_of(max_prefixes) / 8 +
	       (uint64_t)slots_of(max_prefixes) * sizeof(struct lengths);
}

struct lpm *lpm_new(const char *name, uint32_t max_prefixes)
{
	struct lpm *lpm = rte_zmalloc(name, sizeof(*lpm), RTE_CACHE_LINE_SIZE);

	if (lpm == NULL)
		return NULL;
	lpm->max_prefixes = max_prefixes;
	lpm->entry_mask = entries_of(max_prefixes) - 1;
	lpm->filter_slots = slots_of(max_prefixes);
	lpm->filter_shift = (uint8_t)(32 - rte_log2_u32(lpm->filter_slots));
	lpm->entries = rte_zmalloc(
		name, ((size_t)lpm->entry_mask + 1) * sizeof(struct entry), RTE_CACHE_LINE_SIZE);
	lpm->used = rte_zmalloc(name, ((size_t)lpm->entry_mask + 1) / 8, RTE_CACHE_LINE_SIZE);
	lpm->filter =
		rte_zmalloc(name, lpm->filter_slots * sizeof(struct lengths), RTE_CACHE_LINE_SIZE);
	for (unsigned int len = 0; len <= MAX_LEN; len++) {
		struct ip6 all = { .b = { 0 } };

		memset(&all, 0xff, sizeof(all));
		ip6_mask(&all, (uint8_t)len);
		memcpy(lpm->masks[len], &all, sizeof(all));
	}
	if (lpm->entries == NULL || lpm->used == NULL || lpm->filter == NULL ||
		hash_seed_draw(&lpm->seed) != 0) {
		lpm_free(lpm);
		return NULL;
	}
	return lpm;
}

void lpm_free(struct lpm *lpm)
{
	if (lpm == NULL)
		return;
	rte_free(lpm->entries);
	rte_free(lpm->used);
	rte_free(lpm->filter);
	rte_free(lpm);
}

static inline struct lengths *filter_slot(const struct lpm *lpm, const void *address)
{
	uint32_t first;

	memcpy(&first, address, sizeof(first));
	return &lpm->filter[first * (uint32_t)FILTER_MULTIPLIER >> lpm->filter_shift];
}

static inline uint32_t place(const struct lpm *lpm, const uint64_t q[2], uint32_t len)
{
	return ((uint32_t)hash_fold(q[0] ^ lpm->seed.q[0], q[1] ^ lpm->seed.q[1]) + len) &
	       lpm->entry_mask;
}

static inline bool is_used(const struct lpm *lpm, uint32_t at)
{
	return lpm->used[at / 64] >> at % 64 & 1;
}

// True with *at the entry of exactly q and len; false with *at the free one where it would be.
static inline bool find(const struct lpm *lpm, const uint64_t q[2], uint32_t len, uint32_t *at)
{
	for (*at = place(lpm, q, len); is_used(lpm, *at); *at = (*at + 1) & lpm->entry_mask) {
		const struct entry *e = &lpm->entries[*at];

		if (likely(((e->q[0] ^ q[0]) | (e->q[1] ^ q[1]) | (e->len ^ len)) == 0))
			return true;
	}
	return false;
}

static void lengths_change(struct lengths *set, uint32_t len, bool is_in)
{
	unsigned int bit = MAX_LEN - len;

	if (is_in)
		set->w[bit / 64] |= 1ULL << bit % 64;
	else
		set->w[bit / 64] &= ~(1ULL << bit % 64);
}

int lpm_set(struct lpm *lpm, const struct ip6_prefix *prefix, uint32_t nexthop)
{
	uint64_t q[2];
	uint32_t at;

	if (prefix->len == 0) {
		lpm->default_nexthop = nexthop;
		return 0;
	}
	memcpy(q, &prefix->addr, sizeof(q));
	if (!find(lpm, q, prefix->len, &at)) {
		if (lpm->n_prefixes == lpm->max_prefixes)
			return -ENOSPC;
		lpm->n_prefixes++;
		lpm->n_of[prefix->len]++;
		lpm->used[at / 64] |= 1ULL << at % 64;
		lengths_change(prefix->len < FILTER_BITS ? &lpm->everywhere : filter_slot(lpm, q),
			prefix->len, true);
	}
	lpm->entries[at] =
		(struct entry){ .q = { q[0], q[1] }, .len = prefix->len, .nexthop = nexthop };
	return 0;
}

// Nothing of a length is left: nobody needs to ask for it any more.
static void length_forget(struct lpm *lpm, uint32_t len)
{
	lengths_change(&lpm->everywhere, len, false);
	for (uint32_t i = 0; i < lpm->filter_slots; i++)
		lengths_change(&lpm->filter[i], len, false);
}

int lpm_del(struct lpm *lpm, const struct ip6_prefix *prefix)
{
	uint32_t hole, at;
	uint64_t q[2];

	if (prefix->len == 0) {
		lpm->default_nexthop = 0;
		return 0;
	}
	memcpy(q, &prefix->addr, sizeof(q));
	if (!find(lpm, q, prefix->len, &hole))
		return -ENOENT;
	lpm->n_prefixes--;
	if (--lpm->n_of[prefix->len] == 0)
		length_forget(lpm, prefix->len);
	// What follows moves up as far as its own place, so that no search ends at the hole.
	for (at = (hole + 1) & lpm->entry_mask; is_used(lpm, at); at = (at + 1) & lpm->entry_mask) {
		uint32_t own = place(lpm, lpm->entries[at].q, lpm->entries[at].len);

		if (((at - own) & lpm->entry_mask) < ((at - hole) & lpm->entry_mask))
			continue;
		lpm->entries[hole] = lpm->entries[at];
		hole = at;
	}
	lpm->used[hole / 64] &= ~(1ULL << hole % 64);
	return 0;
}

static inline uint32_t look_up(const struct lpm *lpm, const struct ip6 *dst)
{
	const struct lengths *near = filter_slot(lpm, dst);
	uint64_t bits = near->w[0] | lpm->everywhere.w[0];
	uint64_t shorter = near->w[1] | lpm->everywhere.w[1];
	uint32_t top = MAX_LEN;
	uint64_t whole[2];

	memcpy(whole, dst, sizeof(whole));
	for (;; bits &= bits - 1) {
		uint64_t q[2];
		uint32_t len, at;

		if (bits == 0) {
			if (shorter == 0)
				return lpm->default_nexthop;
			bits = shorter;
			shorter = 0;
			top = MAX_LEN / 2;
		}
		len = top - (uint32_t)__builtin_ctzll(bits);
		q[0] = whole[0] & lpm->masks[len][0];
		q[1] = whole[1] & lpm->masks[len][1];
		if (find(lpm, q, len, &at))
			return lpm->entries[at].nexthop;
	}
}

// Look-ups do not wait for each other: the processor has several under way at a time.
void lpm_lookup_bulk(const struct lpm *lpm, const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		out[i] = look_up(lpm, &dst[i]);
}
