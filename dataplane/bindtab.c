// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/bindtab.h"

#include <errno.h>
#include <immintrin.h>

#include <rte_branch_prediction.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "dataplane/base/hash.h"
#include "dataplane/bindlines.h"
#include "dataplane/rcu.h"

enum {
	SLOTS = 3,
	// A slot whose entry is gone but whose key a reader may still be comparing.
	IDX_DEAD = UINT32_MAX,
	BULK_MAX = 64,
	DEFER_MAX = 8192, // operations that wait before set and del refuse
};

// idx: 0 = free, IDX_DEAD, else an entry. next: 0 = end, else an overflow bucket.
struct bucket {
	union bindtab_key key[SLOTS];
	uint32_t idx[SLOTS];
	uint32_t next;
} __rte_cache_aligned;
static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");

// What only the writer needs of an entry. in_use: not on the free list.
struct cold {
	union bindtab_key key;
	uint32_t handle;
	uint32_t mark : 31;
	uint32_t is_live : 1;
};
static_assert(sizeof(struct cold) == 24, "cold record");

// What to do once the grace period of its group is over.
enum defer_kind {
	DEFER_ENTRY, // at: entry, report and free
	DEFER_SLOT, // at, slot: dead, free and close the hole
	DEFER_MOVE, // at, slot: was copied into a hole nearer to the head
	DEFER_BUCKET, // at: overflow bucket, free
};

struct defer {
	uint32_t kind;
	uint32_t slot;
	uint32_t at;
};

struct defer_group {
	uint32_t n;
	uint64_t token;
	struct defer ops[2 * DEFER_MAX]; // finishing one defers at most two
};

// Buckets and entries stand in the same pages of memory, an entry beside its bucket wherever there is room:
// so the second line of a look-up costs no second translation of an address. An index of any is that of
// its line.
struct bindtab {
	// Read by workers.
	struct hash_seed seed;
	struct bucket *buckets; // line 0 is one, so index 0 is no entry and no overflow bucket
	struct binding *entries; // the same lines
	uint32_t n_main; // buckets that the hash leads to
	// Writer only.
	uint32_t max_bindings;
	uint32_t n_live;
	uint32_t n_fresh; // live entries with the current mark
	uint32_t mark;
	uint32_t sweep_at; // index in cold
	struct bindlines lines;
	struct cold *cold; // PAGE_FREE a page
	struct defer_group groups[2]; // [filling], [1 - filling] waits
	unsigned int filling;
	bool is_waiting;
	bindtab_retired_fn retired;
	void *ctx;
};

static uint32_t pages_for(uint32_t lines)
{
	return (lines + PAGE_FREE - 1) / PAGE_FREE;
}

// Pages whose buckets the hash leads to, with room for max_bindings entries and overflow buckets. A chain of
// k keys takes less than k/3 + 1 buckets; chains with an overflow bucket have k >= 4, so live keys need at
// most max/3 overflow buckets.
static uint32_t hashed_pages(uint32_t max_bindings)
{
	return pages_for(max_bindings + max_bindings / 3);
}

// And pages for what waits: each version in its grace period holds an entry beside the live ones, each hole
// and each move under way adds at most one bucket.
static uint32_t all_pages(uint32_t max_bindings)
{
	return hashed_pages(max_bindings) +
	       pages_for(2 * DEFER_MAX + 1 + RTE_MIN(max_bindings, 2u * DEFER_MAX) + 2);
}

size_t bindtab_memory(uint32_t max)
{
	size_t n = all_pages(max);

	return sizeof(struct bindtab) + n * PAGE_LINES * sizeof(struct bucket) +
	       n * PAGE_FREE * sizeof(struct cold) + bindlines_memory((uint32_t)n);
}

static inline struct cold *cold_of(const struct bindtab *tab, uint32_t idx)
{
	return &tab->cold[idx / PAGE_LINES * PAGE_FREE + idx % PAGE_LINES - PAGE_BUCKETS];
}

struct bindtab *bindtab_new(uint32_t max_bindings, bindtab_retired_fn retired, void *ctx)
{
	uint32_t n = all_pages(max_bindings);
	struct bindtab *tab = rte_zmalloc("bindtab", sizeof(*tab), RTE_CACHE_LINE_SIZE);

	if (tab == NULL)
		goto fail;
	tab->max_bindings = max_bindings;
	tab->n_main = hashed_pages(max_bindings) * PAGE_BUCKETS;
	tab->mark = 1;
	tab->retired = retired;
	tab->ctx = ctx;
	tab->buckets = rte_zmalloc("bind_lines", (size_t)n * PAGE_LINES * sizeof(struct bucket),
		PAGE_LINES * sizeof(struct bucket));
	tab->entries = (struct binding *)(void *)tab->buckets;
	tab->cold = rte_zmalloc("bind_cold", (size_t)n * PAGE_FREE * sizeof(struct cold), 0);
	if (!bindlines_init(&tab->lines, n) || tab->buckets == NULL || tab->cold == NULL ||
		hash_seed_draw(&tab->seed) != 0)
		goto fail;
	return tab;

fail:
	bindtab_free(tab);
	errno = ENOMEM;
	return NULL;
}

void bindtab_free(struct bindtab *tab)
{
	if (tab == NULL)
		return;
	rte_free(tab->buckets);
	rte_free(tab->cold);
	bindlines_free(&tab->lines);
	rte_free(tab);
}

// The line of main bucket number n.
static inline uint32_t main_bucket(uint32_t n)
{
	return n / PAGE_BUCKETS * PAGE_LINES + n % PAGE_BUCKETS;
}

static inline uint32_t bucket_of(const struct bindtab *tab, const union bindtab_key *key)
{
	uint32_t h = (uint32_t)hash_16(&tab->seed, key->q);

	return main_bucket((uint32_t)((uint64_t)h * tab->n_main >> 32));
}

static inline bool key_eq(const union bindtab_key *a, const union bindtab_key *b)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
	__m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);

	x = _mm_xor_si128(x, y);
	return _mm_testz_si128(x, x);
}

// The index that stands with key in a slot, or 0.
// Order: the key of a slot is written before its idx is published, and no key changes before a
// grace period after its idx went away; so a key that compares equal belongs to the idx read.
static inline uint32_t slot_find(
	const struct bucket *b, unsigned int i, const union bindtab_key *key)
{
	uint32_t idx = rcu_load(&b->idx[i]);

	return key_eq(&b->key[i], key) ? idx : 0;
}

static inline uint32_t slot_find_living(
	const struct bucket *b, unsigned int i, const union bindtab_key *key)
{
	uint32_t idx = slot_find(b, i, key);

	return idx == IDX_DEAD ? 0 : idx;
}

// The index that stands with key in a bucket, or 0. Every slot is compared, since which one it is cannot
// be guessed, and a wrong guess costs more than two comparisons. No two slots of a bucket hold the same
// living key, but dead ones may stand beside it: their index covers any other, which the second look finds.
static inline uint32_t bucket_find(const struct bucket *b, const union bindtab_key *key)
{
	uint32_t idx = slot_find(b, 0, key) | slot_find(b, 1, key) | slot_find(b, 2, key);

	static_assert(SLOTS == 3 && IDX_DEAD == UINT32_MAX, "every slot");
	if (likely(idx != IDX_DEAD))
		return idx;
	return slot_find_living(b, 0, key) | slot_find_living(b, 1, key) |
	       slot_find_living(b, 2, key);
}

// Index of key's entry in the chain that begins at bucket b, 0 on a miss.
static inline uint32_t chain_find(
	const struct bucket *buckets, const struct bucket *b, const union bindtab_key *key)
{
	for (;;) {
		uint32_t idx = bucket_find(b, key), next;

		if (likely(idx != 0))
			return idx;
		next = rcu_load(&b->next);
		if (likely(next == 0))
			return 0;
		b = &buckets[next];
	}
}

// The same for who knows no bucket.
static uint32_t find(const struct bindtab *tab, const union bindtab_key *key)
{
	return chain_find(tab->buckets, &tab->buckets[bucket_of(tab, key)], key);
}

unsigned int bindtab_lookup_bulk(const struct bindtab *tab, const union bindtab_key *keys,
	struct binding **out, unsigned int n)
{
	const struct bucket *buckets = tab->buckets;
	struct binding *entries = tab->entries;
	unsigned int missed = 0;

	for (unsigned int i = 0; i < n; i++) {
		out[i] = &entries[bucket_of(tab, &keys[i])]; // the line of its bucket, for now
		rte_prefetch0(out[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		uint32_t idx = chain_find(buckets, (const void *)out[i], &keys[i]);

		out[i] = &entries[idx];
		if (unlikely(idx == 0)) {
			out[i] = NULL;
			missed++;
		}
		rte_prefetch0(&entries[idx]);
	}
	return n - missed;
}

const struct binding *bindtab_find(
	const struct bindtab *tab, const union bindtab_key *key, uint32_t *handle)
{
	uint32_t idx = find(tab, key);

	if (idx == 0)
		return NULL;
	*handle = cold_of(tab, idx)->handle;
	return &tab->entries[idx];
}

static void defer_push(struct bindtab *tab, enum defer_kind kind, uint32_t at, uint32_t slot)
{
	struct defer_group *g = &tab->groups[tab->filling];

	g->ops[g->n++] = (struct defer){ .kind = kind, .at = at, .slot = slot };
}

// Set and del defer at most three operations each.
static bool defer_has_room(const struct bindtab *tab)
{
	return tab->groups[tab->filling].n + tab->groups[1 - tab->filling].n < DEFER_MAX - 8;
}

// Finds a free slot in the chain of bucket at, taking an overflow bucket when there is none.
static bool slot_take(struct bindtab *tab, uint32_t at, uint32_t *bucket, unsigned int *slot)
{
	uint32_t fresh;

	for (;;) {
		struct bucket *b = &tab->buckets[at];

		for (unsigned int i = 0; i < SLOTS; i++) {
			if (b->idx[i] == 0) {
				*bucket = at;
				*slot = i;
				return true;
			}
		}
		if (b->next == 0)
			break;
		at = b->next;
	}
	fresh = bindlines_take(&tab->lines, at);
	if (fresh == 0)
		return false;
	memset(&tab->buckets[fresh], 0, sizeof(tab->buckets[fresh]));
	rcu_publish(&tab->buckets[at].next, fresh);
	*bucket = fresh;
	*slot = 0;
	return true;
}

// Points every slot that holds old (two while a move is under way) to idx.
static void slots_replace(
	struct bindtab *tab, const union bindtab_key *key, uint32_t old, uint32_t idx)
{
	for (uint32_t at = bucket_of(tab, key);;) {
		struct bucket *b = &tab->buckets[at];

		for (unsigned int i = 0; i < SLOTS; i++) {
			if (b->idx[i] != old)
				continue;
			rcu_publish(&b->idx[i], idx);
			if (idx == IDX_DEAD)
				defer_push(tab, DEFER_SLOT, at, i);
		}
		if (b->next == 0)
			return;
		at = b->next;
	}
}

static void entry_retire(struct bindtab *tab, uint32_t idx)
{
	struct cold *cold = cold_of(tab, idx);

	cold->is_live = 0;
	if (cold->mark == tab->mark)
		tab->n_fresh--;
	tab->n_live--;
	defer_push(tab, DEFER_ENTRY, idx, 0);
}

int bindtab_set(struct bindtab *tab, const union bindtab_key *key, uint32_t handle,
	const struct binding *entry)
{
	uint32_t at = bucket_of(tab, key), old = find(tab, key), idx;
	unsigned int slot;

	if (old == 0 && tab->n_live >= tab->max_bindings)
		return -ENOSPC;
	if (!defer_has_room(tab) || tab->lines.n_free < 2) // an entry and an overflow bucket
		return -EAGAIN;
	if (old == 0 && !slot_take(tab, at, &at, &slot))
		return -EAGAIN;
	idx = bindlines_take(&tab->lines, at);
	tab->entries[idx] = *entry;
	*cold_of(tab, idx) = (struct cold){
		.key = *key, .handle = handle, .mark = tab->mark & 0x7fffffff, .is_live = 1
	};
	tab->n_live++;
	tab->n_fresh++;
	if (old != 0) {
		slots_replace(tab, key, old, idx);
		entry_retire(tab, old);
	} else {
		tab->buckets[at].key[slot] = *key;
		rcu_publish(&tab->buckets[at].idx[slot], idx);
	}
	return 0;
}

int bindtab_del(struct bindtab *tab, const union bindtab_key *key)
{
	uint32_t old = find(tab, key);

	if (old == 0)
		return -ENOENT;
	if (!defer_has_room(tab))
		return -EAGAIN;
	slots_replace(tab, key, old, IDX_DEAD);
	entry_retire(tab, old);
	return 0;
}

// Last bucket of the chain of main bucket head, and the one before it.
static uint32_t chain_tail(const struct bindtab *tab, uint32_t head, uint32_t *before)
{
	uint32_t at = head;

	*before = head;
	while (tab->buckets[at].next != 0) {
		*before = at;
		at = tab->buckets[at].next;
	}
	return at;
}

static bool bucket_is_empty(const struct bucket *b)
{
	return b->idx[0] == 0 && b->idx[1] == 0 && b->idx[2] == 0;
}

// Unlinks empty buckets from the end of the chain.
static void chain_trim(struct bindtab *tab, uint32_t head)
{
	uint32_t before, tail = chain_tail(tab, head, &before);

	while (tail != head && bucket_is_empty(&tab->buckets[tail])) {
		rcu_publish(&tab->buckets[before].next, 0u);
		defer_push(tab, DEFER_BUCKET, tail, 0);
		tail = chain_tail(tab, head, &before);
	}
}

// True when entry idx stands in the chain twice: its move is not finished.
static bool is_doubled(const struct bindtab *tab, uint32_t head, uint32_t idx)
{
	unsigned int n = 0;

	for (uint32_t at = head;; at = tab->buckets[at].next) {
		for (unsigned int i = 0; i < SLOTS; i++)
			n += tab->buckets[at].idx[i] == idx;
		if (tab->buckets[at].next == 0)
			return n > 1;
	}
}

// A place in a chain; slot SLOTS = none.
struct place {
	uint32_t at;
	unsigned int slot;
};

// Finds the first free slot of a chain and the last key in a later bucket that is not being moved.
static bool hole_find(
	const struct bindtab *tab, uint32_t head, struct place *hole, struct place *last)
{
	*hole = *last = (struct place){ .slot = SLOTS };
	for (uint32_t at = head;; at = tab->buckets[at].next) {
		const struct bucket *b = &tab->buckets[at];
		bool is_later = hole->slot != SLOTS;

		for (unsigned int i = 0; i < SLOTS; i++) {
			if (b->idx[i] == 0 && hole->slot == SLOTS)
				*hole = (struct place){ at, i };
			else if (is_later && b->idx[i] != 0 && b->idx[i] != IDX_DEAD &&
				 !is_doubled(tab, head, b->idx[i]))
				*last = (struct place){ at, i };
		}
		if (b->next == 0)
			return last->slot != SLOTS;
	}
}

// Closes one hole of a chain with overflow buckets by copying its last key into it. The copy stands
// nearer to the head, so once a grace period has passed no reader depends on the original.
static void hole_close(struct bindtab *tab, uint32_t head)
{
	struct place hole, last;

	if (tab->buckets[head].next == 0 || !hole_find(tab, head, &hole, &last))
		return;
	tab->buckets[hole.at].key[hole.slot] = tab->buckets[last.at].key[last.slot];
	rcu_publish(&tab->buckets[hole.at].idx[hole.slot], tab->buckets[last.at].idx[last.slot]);
	defer_push(tab, DEFER_MOVE, last.at, last.slot);
}

static void defer_run(struct bindtab *tab, const struct defer *op)
{
	struct bucket *b = &tab->buckets[op->at];
	uint32_t head;

	switch ((enum defer_kind)op->kind) {
	case DEFER_ENTRY:
		tab->retired(tab->ctx, cold_of(tab, op->at)->handle, &tab->entries[op->at]);
		bindlines_give(&tab->lines, op->at);
		break;
	case DEFER_SLOT:
		head = bucket_of(tab, &b->key[op->slot]);
		rcu_publish(&b->idx[op->slot], 0u);
		hole_close(tab, head);
		chain_trim(tab, head);
		break;
	case DEFER_MOVE:
		// A key that was deleted meanwhile is dead in both places already.
		if (b->idx[op->slot] != IDX_DEAD) {
			rcu_publish(&b->idx[op->slot], (uint32_t)IDX_DEAD);
			defer_push(tab, DEFER_SLOT, op->at, op->slot);
		}
		break;
	case DEFER_BUCKET:
		bindlines_give(&tab->lines, op->at);
		break;
	}
}

bool bindtab_poll(struct bindtab *tab)
{
	if (tab->is_waiting) {
		struct defer_group *g = &tab->groups[1 - tab->filling];

		if (!rcu_done(g->token))
			return false;
		tab->is_waiting = false;
		for (uint32_t i = 0; i < g->n; i++)
			defer_run(tab, &g->ops[i]);
		g->n = 0;
	}
	if (tab->groups[tab->filling].n == 0)
		return true;
	tab->groups[tab->filling].token = rcu_start();
	tab->filling = 1 - tab->filling;
	tab->is_waiting = true;
	return false;
}

uint32_t bindtab_count(const struct bindtab *tab)
{
	return tab->n_live;
}

uint32_t bindtab_max(const struct bindtab *tab)
{
	return tab->max_bindings;
}

void bindtab_mark_begin(struct bindtab *tab)
{
	tab->mark = (tab->mark + 1) & 0x7fffffff;
	tab->n_fresh = 0;
	tab->sweep_at = tab->lines.n_pages * PAGE_FREE;
}

uint32_t bindtab_stale(const struct bindtab *tab)
{
	return tab->n_live - tab->n_fresh;
}

void bindtab_sweep_begin(struct bindtab *tab)
{
	tab->sweep_at = 0;
}

bool bindtab_sweep(struct bindtab *tab, uint32_t budget)
{
	for (; budget > 0 && tab->sweep_at < tab->lines.n_pages * PAGE_FREE;
		budget--, tab->sweep_at++) {
		const struct cold *cold = &tab->cold[tab->sweep_at];

		if (cold->is_live && cold->mark != tab->mark &&
			bindtab_del(tab, &cold->key) == -EAGAIN)
			return false;
		if (bindtab_stale(tab) == 0)
			tab->sweep_at = tab->lines.n_pages * PAGE_FREE;
	}
	return tab->sweep_at >= tab->lines.n_pages * PAGE_FREE;
}
