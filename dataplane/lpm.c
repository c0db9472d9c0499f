// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/lpm.h"

#include <errno.h>
#include <immintrin.h>

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
	FAVORITES = 64, // more of them would take turns too fast to be of use
	INSIDE_BITS_LOG2 = 9,
};

// A prefix. Its length counts from the longest, as look-ups go: "short" by so many bits of 128.
struct entry {
	uint64_t q[2];
	uint32_t nexthop;
	uint32_t shortness;
	uint32_t favorite; // 1 + its index, 0 = none
	uint32_t reserved;
};
static_assert(sizeof(struct entry) == 32, "two entries are one cache line");

// A set of prefix lengths 128..1: a bit each, in the order of their shortness.
struct lengths {
	uint64_t w[2];
	uint32_t longest; // its shortness; any when the set is empty
	uint32_t reserved[3];
};

// A prefix that many look-ups in a row end at: the last two of them are tried first. What has an entry of
// its own inside must not be answered here, so a bit for each says where to look further.
struct favorite {
	__m128i q, mask;
	uint64_t inside[(1 << INSIDE_BITS_LOG2) / 64];
	uint32_t nexthop;
	// Writer only.
	uint32_t shortness;
	bool is_used;
	uint32_t n_wide; // longer prefixes inside that are no single addresses: all bits are set
	uint32_t n_of[1 << INSIDE_BITS_LOG2]; // addresses inside, by bit
} __rte_cache_aligned;

struct lpm {
	struct hash_seed seed;
	struct entry *entries;
	uint64_t *used; // a bit for each entry: most searches for what is not there end at one
	struct lengths *filter; // may hold lengths that are no longer there
	__m128i masks[MAX_LEN]; // by shortness
	uint32_t entry_mask;
	uint32_t filter_slots;
	uint8_t filter_shift;
	uint32_t default_nexthop; // length 0
	// Writer only.
	uint32_t max_prefixes, n_prefixes;
	uint32_t n_of[MAX_LEN + 1]; // prefixes of a length, by shortness
	struct favorite favorites[FAVORITES];
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
	for (unsigned int i = 0; i < MAX_LEN; i++) {
		struct ip6 all;

		memset(&all, 0xff, sizeof(all));
		ip6_mask(&all, (uint8_t)(MAX_LEN - i));
		memcpy(&lpm->masks[i], &all, sizeof(all));
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

static inline struct lengths *filter_slot(const struct lpm *lpm, uint32_t first)
{
	return &lpm->filter[first * (uint32_t)FILTER_MULTIPLIER >> lpm->filter_shift];
}

static inline uint32_t place(const struct lpm *lpm, __m128i q, uint32_t shortness)
{
	return ((uint32_t)hash_register(&lpm->seed, q) + shortness) & lpm->entry_mask;
}

static inline bool is_used(const struct lpm *lpm, uint32_t at)
{
	return lpm->used[at / 64] >> at % 64 & 1;
}

static inline bool is_entry(const struct entry *e, __m128i q, uint32_t shortness)
{
	__m128i differs = _mm_xor_si128(q, _mm_loadu_si128((const __m128i *)(const void *)e->q));

	return _mm_testz_si128(differs, differs) && e->shortness == shortness;
}

// True with *at the entry of exactly q and this length; false with *at the free one where it would be.
static inline bool find(const struct lpm *lpm, __m128i q, uint32_t shortness, uint32_t *at)
{
	for (*at = place(lpm, q, shortness); is_used(lpm, *at); *at = (*at + 1) & lpm->entry_mask) {
		if (likely(is_entry(&lpm->entries[*at], q, shortness)))
			return true;
	}
	return false;
}

// A length appears in a slot of the filter, or disappears.
static void length_change(struct lengths *set, uint32_t shortness, bool is_in)
{
	if (is_in)
		set->w[shortness / 64] |= 1ULL << shortness % 64;
	else
		set->w[shortness / 64] &= ~(1ULL << shortness % 64);
	if (set->w[0] != 0)
		set->longest = (uint32_t)__builtin_ctzll(set->w[0]);
	else if (set->w[1] != 0)
		set->longest = 64 + (uint32_t)__builtin_ctzll(set->w[1]);
}

static void length_change_everywhere(struct lpm *lpm, uint32_t shortness, bool is_in)
{
	for (uint32_t i = 0; i < lpm->filter_slots; i++)
		length_change(&lpm->filter[i], shortness, is_in);
}

// The first prefix of a length that is too short for the filter is looked for near every address.
static void length_learn(struct lpm *lpm, __m128i q, uint32_t shortness)
{
	if (shortness <= MAX_LEN - FILTER_BITS)
		length_change(filter_slot(lpm, (uint32_t)_mm_cvtsi128_si32(q)), shortness, true);
	else if (lpm->n_of[shortness] == 1)
		length_change_everywhere(lpm, shortness, true);
}

static inline unsigned int inside_bit(__m128i address)
{
	uint64_t last = (uint64_t)_mm_extract_epi64(address, 1);

	return (unsigned int)(last * 0x9e3779b97f4a7c15ULL >> (64 - INSIDE_BITS_LOG2));
}

static inline bool is_under(const struct favorite *f, __m128i address)
{
	__m128i differs = _mm_and_si128(_mm_xor_si128(address, f->q), f->mask);

	return _mm_testz_si128(differs, differs);
}

static void favorite_settle(struct favorite *f)
{
	memset(f->inside, f->n_wide > 0 ? 0xff : 0, sizeof(f->inside));
	for (unsigned int bit = 0; bit < RTE_DIM(f->n_of); bit++) {
		if (f->n_of[bit] > 0)
			f->inside[bit / 64] |= 1ULL << bit % 64;
	}
}

// Counts a prefix in (by 1) or out (-1) if it stands inside. Returns: whether it does.
static bool favorite_count(struct favorite *f, __m128i q, uint32_t shortness, int by)
{
	if (!f->is_used || shortness >= f->shortness || !is_under(f, q))
		return false;
	if (shortness == 0)
		f->n_of[inside_bit(q)] += (uint32_t)by;
	else
		f->n_wide += (uint32_t)by;
	return true;
}

static void favorites_tell(struct lpm *lpm, __m128i q, uint32_t shortness, int by)
{
	for (struct favorite *f = lpm->favorites; f < lpm->favorites + FAVORITES; f++) {
		if (favorite_count(f, q, shortness, by))
			favorite_settle(f);
	}
}

static void favorite_end(struct lpm *lpm, struct entry *e)
{
	lpm->favorites[e->favorite - 1] = (struct favorite){ .is_used = false };
	e->favorite = 0;
}

// Makes a favorite of an entry, if there is room. Reads the whole table once.
static void favorite_begin(struct lpm *lpm, struct entry *e)
{
	struct favorite *f = lpm->favorites;

	for (; f->is_used; f++) {
		if (f == lpm->favorites + FAVORITES - 1)
			return;
	}
	*f = (struct favorite){ .is_used = true,
		.q = _mm_loadu_si128((const __m128i *)(const void *)e->q),
		.mask = lpm->masks[e->shortness],
		.nexthop = e->nexthop,
		.shortness = e->shortness };
	for (uint32_t at = 0; at <= lpm->entry_mask && e->shortness > 0; at++) {
		const struct entry *other = &lpm->entries[at];

		if (is_used(lpm, at))
			favorite_count(f, _mm_loadu_si128((const __m128i *)(const void *)other->q),
				other->shortness, 1);
	}
	favorite_settle(f);
	e->favorite = (uint32_t)(f - lpm->favorites) + 1;
}

int lpm_set(struct lpm *lpm, const struct ip6_prefix *prefix, uint32_t nexthop, bool is_favorite)
{
	uint32_t shortness = MAX_LEN - prefix->len, at;
	__m128i q = _mm_loadu_si128((const __m128i *)(const void *)&prefix->addr);
	struct entry *e;

	if (prefix->len == 0) {
		lpm->default_nexthop = nexthop;
		return 0;
	}
	if (!find(lpm, q, shortness, &at)) {
		if (lpm->n_prefixes == lpm->max_prefixes)
			return -ENOSPC;
		lpm->n_prefixes++;
		lpm->n_of[shortness]++;
		lpm->used[at / 64] |= 1ULL << at % 64;
		length_learn(lpm, q, shortness);
		favorites_tell(lpm, q, shortness, 1);
		lpm->entries[at] = (struct entry){ .shortness = shortness };
		_mm_storeu_si128((__m128i *)(void *)lpm->entries[at].q, q);
	}
	e = &lpm->entries[at];
	e->nexthop = nexthop;
	if (e->favorite != 0)
		favorite_end(lpm, e);
	if (is_favorite)
		favorite_begin(lpm, e);
	return 0;
}

int lpm_del(struct lpm *lpm, const struct ip6_prefix *prefix)
{
	uint32_t shortness = MAX_LEN - prefix->len, hole, at;
	__m128i q = _mm_loadu_si128((const __m128i *)(const void *)&prefix->addr);

	if (prefix->len == 0) {
		lpm->default_nexthop = 0;
		return 0;
	}
	if (!find(lpm, q, shortness, &hole))
		return -ENOENT;
	if (lpm->entries[hole].favorite != 0)
		favorite_end(lpm, &lpm->entries[hole]);
	favorites_tell(lpm, q, shortness, -1);
	lpm->n_prefixes--;
	if (--lpm->n_of[shortness] == 0) // nobody needs to ask for it any more
		length_change_everywhere(lpm, shortness, false);
	// What follows moves up as far as its own place, so that no search ends at the hole.
	for (at = (hole + 1) & lpm->entry_mask; is_used(lpm, at); at = (at + 1) & lpm->entry_mask) {
		const struct entry *e = &lpm->entries[at];
		uint32_t own = place(
			lpm, _mm_loadu_si128((const __m128i *)(const void *)e->q), e->shortness);

		if (((at - own) & lpm->entry_mask) < ((at - hole) & lpm->entry_mask))
			continue;
		lpm->entries[hole] = *e;
		hole = at;
	}
	lpm->used[hole / 64] &= ~(1ULL << hole % 64);
	return 0;
}

// The entry of the longest prefix of at most this length that whole is under, or NULL.
static const struct entry *look_further(const struct lpm *lpm, __m128i whole, uint32_t shortness)
{
	const struct lengths *near = filter_slot(lpm, (uint32_t)_mm_cvtsi128_si32(whole));

	for (; shortness < MAX_LEN; shortness = (shortness & ~63u) + 64) {
		uint64_t bits = near->w[shortness / 64] >> shortness % 64 << shortness % 64;

		for (; bits != 0; bits &= bits - 1) {
			uint32_t at, next = (shortness & ~63u) + (uint32_t)__builtin_ctzll(bits);

			if (find(lpm, _mm_and_si128(whole, lpm->masks[next]), next, &at))
				return &lpm->entries[at];
		}
	}
	return NULL;
}

// Most addresses have a prefix of the longest length near them, and most of those stand in their place.
// *favorite becomes that of the entry found, if it has one.
static inline uint32_t look_up(
	const struct lpm *lpm, __m128i whole, const struct favorite **favorite)
{
	uint32_t shortness = filter_slot(lpm, (uint32_t)_mm_cvtsi128_si32(whole))->longest;
	__m128i q = _mm_and_si128(whole, lpm->masks[shortness]);
	uint32_t at = place(lpm, q, shortness);
	const struct entry *e = &lpm->entries[at];

	if (unlikely(!is_used(lpm, at) || !is_entry(e, q, shortness))) {
		e = look_further(lpm, whole, shortness);
		if (e == NULL)
			return lpm->default_nexthop;
	}
	if (unlikely(e->favorite != 0))
		*favorite = &lpm->favorites[e->favorite - 1];
	return e->nexthop;
}

static inline bool favorite_answers(const struct favorite *f, __m128i whole)
{
	unsigned int bit = inside_bit(whole);

	return is_under(f, whole) && likely((f->inside[bit / 64] >> bit % 64 & 1) == 0);
}

// Look-ups do not wait for each other: the processor has several under way at a time.
void lpm_lookup_bulk(const struct lpm *lpm, const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	const struct favorite *last = NULL, *before = NULL;

	for (unsigned int i = 0; i < n; i++) {
		__m128i whole = _mm_loadu_si128((const __m128i *)(const void *)&dst[i]);
		const struct favorite *found = NULL;

		if (last != NULL && favorite_answers(last, whole)) {
			out[i] = last->nexthop;
		} else if (before != NULL && favorite_answers(before, whole)) {
			out[i] = before->nexthop;
		} else {
			out[i] = look_up(lpm, whole, &found);
			if (found != NULL) {
				before = last;
				last = found;
			}
		}
	}
}
