// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/bcache.h"
#include "controlplane/hindex.h"
#include "controlplane/prefault.h"

enum { MARK_BITS = 64, NEXT_BUDGET = 65536, OLD_HOLD_BUDGET = 256 };

// What a record may be marked with.
enum mark {
	MARK_DEL, // the dataplane is to be told that it is gone
	MARK_SET, // the dataplane is to be told of it
	MARK_REFUSED, // the dataplane has no place for it
	MARK_HELD, // the dataplane is to be told of it, but later
	N_MARKS,
};

struct marks {
	uint64_t *bits; // one a record
	uint64_t *words; // one for each of those words that has any
	uint32_t at; // the word where a search goes on
	uint32_t n;
};

struct bcache {
	struct bce *slab; // n_slots records, mapped
	struct marks marks[N_MARKS];
	struct hindex by_home;
	struct hindex by_mn_id; // the newest of each MN-ID, the others follow by mn_next
	uint32_t n_slots;
	uint32_t top; // records from here on were never used
	uint32_t free_head; // freed ones below top, linked by mn_next and mn_prev
	uint32_t old_hold_at; // where bcache_old_hold goes on
	uint32_t generation;
	struct bcache_counts n;
	uint8_t secret[XXH3_SECRET_SIZE_MIN]; // home addresses are chosen by others
};

static_assert(BCACHE_NONE == HINDEX_NONE, "one way to say no handle");

static uint64_t hash_key(const struct bcache *bc, const struct bcache_key *key)
{
	return XXH3_64bits_withSecret(key, sizeof(*key), bc->secret, sizeof(bc->secret));
}

static uint64_t hash_mn_id(const struct bcache *bc, const void *mn_id, size_t len)
{
	return XXH3_64bits_withSecret(mn_id, len, bc->secret, sizeof(bc->secret));
}

static struct bcache_key key_of(const struct bce *e)
{
	return (struct bcache_key){ .home = e->home, .domain = e->domain };
}

static uint64_t home_hash_of(const void *ctx, uint32_t handle)
{
	const struct bcache *bc = ctx;
	struct bcache_key key = key_of(&bc->slab[handle]);

	return hash_key(bc, &key);
}

static uint64_t mn_id_hash_of(const void *ctx, uint32_t handle)
{
	const struct bcache *bc = ctx;

	return hash_mn_id(bc, bc->slab[handle].mn_id, bc->slab[handle].mn_id_len);
}

// How many words so many bits take.
static uint32_t words_of(uint32_t n_bits)
{
	return n_bits / MARK_BITS + 1;
}

static void set_bit(uint64_t *bits, uint32_t i)
{
	bits[i / MARK_BITS] |= 1ULL << i % MARK_BITS;
}

static void clear_bit(uint64_t *bits, uint32_t i)
{
	bits[i / MARK_BITS] &= ~(1ULL << i % MARK_BITS);
}

static bool is_marked(const struct bcache *bc, enum mark kind, uint32_t handle)
{
	return handle < bc->n_slots &&
	       (bc->marks[kind].bits[handle / MARK_BITS] >> handle % MARK_BITS & 1) != 0;
}

static void mark(struct bcache *bc, enum mark kind, uint32_t handle)
{
	if (is_marked(bc, kind, handle))
		return;
	set_bit(bc->marks[kind].bits, handle);
	set_bit(bc->marks[kind].words, handle / MARK_BITS);
	bc->marks[kind].n++;
}

static void unmark(struct bcache *bc, enum mark kind, uint32_t handle)
{
	if (!is_marked(bc, kind, handle))
		return;
	clear_bit(bc->marks[kind].bits, handle);
	if (bc->marks[kind].bits[handle / MARK_BITS] == 0)
		clear_bit(bc->marks[kind].words, handle / MARK_BITS);
	bc->marks[kind].n--;
}

static bool has_marks(const struct bcache *bc)
{
	for (unsigned int i = 0; i < N_MARKS; i++)
		if (bc->marks[i].bits == NULL || bc->marks[i].words == NULL)
			return false;
	return true;
}

struct bcache *bcache_new(uint32_t max_bindings)
{
	struct bcache *bc;

	if (max_bindings == 0 || max_bindings > 1U << 30) {
		errno = EINVAL;
		return NULL;
	}
	bc = calloc(1, sizeof(*bc));
	if (bc == NULL)
		return NULL;
	bc->n_slots = bcache_slots(max_bindings);
	bc->n.max_bindings = max_bindings;
	bc->n.n_free = bc->n_slots;
	bc->free_head = BCACHE_NONE;
	for (unsigned int i = 0; i < N_MARKS; i++) {
		uint32_t n = words_of(bc->n_slots);

		bc->marks[i].bits = calloc(n, sizeof(*bc->marks[i].bits));
		bc->marks[i].words = calloc(words_of(n), sizeof(*bc->marks[i].words));
	}
	bc->slab = mmap(NULL, (size_t)bc->n_slots * sizeof(*bc->slab), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bc->slab == MAP_FAILED)
		bc->slab = NULL;
	else
		madvise(bc->slab, (size_t)bc->n_slots * sizeof(*bc->slab), MADV_HUGEPAGE);
	if (bc->slab == NULL || !has_marks(bc) || hindex_init(&bc->by_home, bc->n_slots) != 0 ||
		hindex_init(&bc->by_mn_id, bc->n_slots) != 0 ||
		getrandom(bc->secret, sizeof(bc->secret), 0) != (ssize_t)sizeof(bc->secret) ||
		getrandom(&bc->generation, sizeof(bc->generation), 0) !=
			(ssize_t)sizeof(bc->generation)) {
		bcache_free(bc);
		errno = ENOMEM;
		return NULL;
	}
	return bc;
}

void bcache_free(struct bcache *bc)
{
	if (bc == NULL)
		return;
	hindex_fini(&bc->by_mn_id);
	hindex_fini(&bc->by_home);
	if (bc->slab != NULL)
		munmap(bc->slab, (size_t)bc->n_slots * sizeof(*bc->slab));
	for (unsigned int i = 0; i < N_MARKS; i++) {
		free(bc->marks[i].bits);
		free(bc->marks[i].words);
	}
	free(bc);
}

void bcache_populate(const struct bcache *bc, uint32_t from, uint32_t to)
{
	prefault_now(&bc->slab[from], (size_t)(to - from) * sizeof(*bc->slab));
}

void bcache_prefault(const struct bcache *bc, uint32_t from, uint32_t to, struct prefault *prefault)
{
	// Homes and MN-IDs are met at random, records more or less in their order.
	hindex_prefault(&bc->by_home, prefault);
	hindex_prefault(&bc->by_mn_id, prefault);
	prefault_add(prefault, &bc->slab[from], (size_t)(to - from) * sizeof(*bc->slab));
}

static void push_free(struct bcache *bc, uint32_t handle)
{
	struct bce *e = &bc->slab[handle];

	memset(e, 0, sizeof(*e));
	e->mn_prev = BCACHE_NONE;
	e->mn_next = bc->free_head;
	if (bc->free_head != BCACHE_NONE)
		bc->slab[bc->free_head].mn_prev = handle;
	bc->free_head = handle;
}

static void unlink_free(struct bcache *bc, uint32_t handle)
{
	struct bce *e = &bc->slab[handle];

	if (e->mn_prev != BCACHE_NONE)
		bc->slab[e->mn_prev].mn_next = e->mn_next;
	else
		bc->free_head = e->mn_next;
	if (e->mn_next != BCACHE_NONE)
		bc->slab[e->mn_next].mn_prev = e->mn_prev;
}

static bool is_full(const struct bcache *bc)
{
	return bc->n.n_live + bc->n.n_reserved >= bc->n.max_bindings;
}

uint32_t bcache_reserve(struct bcache *bc)
{
	uint32_t handle = bc->free_head;

	if (is_full(bc))
		return BCACHE_NONE;
	if (handle != BCACHE_NONE)
		unlink_free(bc, handle);
	else if (bc->top < bc->n_slots)
		handle = bc->top++;
	else
		return BCACHE_NONE;
	bc->slab[handle].state = BCE_RESERVED;
	bc->n.n_reserved++;
	bc->n.n_free--;
	return handle;
}

int bcache_reserve_at(struct bcache *bc, uint32_t handle)
{
	if (handle >= bc->n_slots)
		return -ERANGE;
	if (bc->slab[handle].state != BCE_FREE)
		return -EEXIST;
	// Gaps become free records, the lowest on top.
	if (handle >= bc->top) {
		uint32_t first = bc->top;

		bc->top = handle + 1;
		for (uint32_t h = handle; h > first; h--)
			push_free(bc, h - 1);
	} else {
		unlink_free(bc, handle);
	}
	bc->slab[handle].state = BCE_RESERVED;
	bc->n.n_reserved++;
	bc->n.n_free--;
	return 0;
}

void bcache_release(struct bcache *bc, uint32_t handle)
{
	if (handle >= bc->n_slots || bc->slab[handle].state != BCE_RESERVED)
		return;
	bc->n.n_reserved--;
	bc->n.n_free++;
	push_free(bc, handle);
}

// The handle that has the key, with *pos its slot in the index, or the empty slot for it.
static uint32_t probe_home(
	const struct bcache *bc, const struct bcache_key *key, uint64_t hash, uint32_t *pos)
{
	uint32_t handle;

	for (;; *pos = hindex_after(&bc->by_home, *pos)) {
		handle = hindex_candidate(&bc->by_home, hash, pos);
		if (handle == BCACHE_NONE)
			return BCACHE_NONE;
		if (bc->slab[handle].domain == key->domain &&
			ip6_eq(&bc->slab[handle].home, &key->home))
			return handle;
	}
}

static uint32_t probe_mn_id(
	const struct bcache *bc, const void *mn_id, size_t len, uint64_t hash, uint32_t *pos)
{
	uint32_t handle;

	*pos = hindex_start(&bc->by_mn_id, hash);
	for (;; *pos = hindex_after(&bc->by_mn_id, *pos)) {
		handle = hindex_candidate(&bc->by_mn_id, hash, pos);
		if (handle == BCACHE_NONE)
			return BCACHE_NONE;
		if (bc->slab[handle].mn_id_len == len &&
			memcmp(bc->slab[handle].mn_id, mn_id, len) == 0)
			return handle;
	}
}

static void link_mn_id(struct bcache *bc, uint32_t handle)
{
	struct bce *e = &bc->slab[handle];
	uint32_t pos, head;
	uint64_t hash;

	e->mn_next = e->mn_prev = BCACHE_NONE;
	if (e->mn_id_len == 0)
		return;
	hash = hash_mn_id(bc, e->mn_id, e->mn_id_len);
	head = probe_mn_id(bc, e->mn_id, e->mn_id_len, hash, &pos);
	if (head != BCACHE_NONE) {
		e->mn_next = head;
		bc->slab[head].mn_prev = handle;
	}
	hindex_put(&bc->by_mn_id, pos, hash, handle);
}

static void unlink_mn_id(struct bcache *bc, uint32_t handle)
{
	struct bce *e = &bc->slab[handle];
	uint32_t pos;
	uint64_t hash;

	if (e->mn_id_len == 0)
		return;
	if (e->mn_next != BCACHE_NONE)
		bc->slab[e->mn_next].mn_prev = e->mn_prev;
	if (e->mn_prev != BCACHE_NONE) {
		bc->slab[e->mn_prev].mn_next = e->mn_next;
		return;
	}
	hash = hash_mn_id(bc, e->mn_id, e->mn_id_len);
	probe_mn_id(bc, e->mn_id, e->mn_id_len, hash, &pos);
	if (e->mn_next != BCACHE_NONE)
		hindex_put(&bc->by_mn_id, pos, hash, e->mn_next);
	else
		hindex_remove(&bc->by_mn_id, pos, mn_id_hash_of, bc);
}

static void count_state(struct bcache *bc, uint8_t state, int change)
{
	uint32_t *const counts[] = {
		[BCE_RESERVED] = &bc->n.n_reserved,
		[BCE_LIVE] = &bc->n.n_live,
		[BCE_HOLD] = &bc->n.n_hold,
		[BCE_UNSERVED] = &bc->n.n_unserved,
	};

	*counts[state] += (uint32_t)change;
}

int bcache_set(struct bcache *bc, uint32_t handle, const struct bce *value)
{
	struct bce *e = &bc->slab[handle];
	struct bcache_key key = key_of(value);
	uint32_t next = e->mn_next, prev = e->mn_prev;
	bool is_new = e->state == BCE_RESERVED;
	bool was_dirty = bcache_is_dirty(bc, handle);
	bool is_renamed;

	assert(handle < bc->n_slots && e->state != BCE_FREE);
	assert(value->state >= BCE_LIVE && value->state <= BCE_UNSERVED);
	if (is_new) {
		uint64_t hash = hash_key(bc, &key);
		uint32_t pos = hindex_start(&bc->by_home, hash);

		if (probe_home(bc, &key, hash, &pos) != BCACHE_NONE)
			return -EEXIST;
		hindex_put(&bc->by_home, pos, hash, handle);
	} else {
		assert(e->domain == value->domain && ip6_eq(&e->home, &value->home));
	}
	is_renamed = is_new || e->mn_id_len != value->mn_id_len ||
		     memcmp(e->mn_id, value->mn_id, value->mn_id_len) != 0;
	if (is_renamed && !is_new)
		unlink_mn_id(bc, handle);
	count_state(bc, e->state, -1);
	count_state(bc, value->state, 1);
	*e = *value;
	e->mn_next = next;
	e->mn_prev = prev;
	if (is_renamed)
		link_mn_id(bc, handle);
	if (was_dirty) { // the new state says of what the dataplane is to be told
		bcache_clear_dirty(bc, handle);
		mark(bc, value->state == BCE_LIVE ? MARK_SET : MARK_DEL, handle);
	}
	if (value->state != BCE_LIVE) {
		unmark(bc, MARK_REFUSED, handle);
		unmark(bc, MARK_HELD, handle);
	}
	return 0;
}

void bcache_fetch(const struct bcache *bc, uint32_t handle, const struct bce *value)
{
	struct bcache_key key = key_of(value);

	hindex_fetch(&bc->by_home, hash_key(bc, &key));
	hindex_fetch(&bc->by_mn_id, hash_mn_id(bc, value->mn_id, value->mn_id_len));
	if (handle < bc->n_slots)
		__builtin_prefetch(&bc->slab[handle], 1);
}

int bcache_remove(struct bcache *bc, uint32_t handle)
{
	struct bcache_key key;
	uint64_t hash;
	uint32_t pos;

	if (bcache_at(bc, handle) == NULL)
		return 0;
	if (bcache_is_dirty(bc, handle))
		return -EBUSY;
	key = key_of(&bc->slab[handle]);
	hash = hash_key(bc, &key);
	pos = hindex_start(&bc->by_home, hash);
	probe_home(bc, &key, hash, &pos);
	hindex_remove(&bc->by_home, pos, home_hash_of, bc);
	unlink_mn_id(bc, handle);
	unmark(bc, MARK_REFUSED, handle);
	unmark(bc, MARK_HELD, handle);
	count_state(bc, bc->slab[handle].state, -1);
	bc->n.n_free++;
	push_free(bc, handle);
	return 0;
}

uint32_t bcache_old_hold(struct bcache *bc)
{
	uint32_t found = BCACHE_NONE;

	for (unsigned int i = 0; i < OLD_HOLD_BUDGET && i < bc->top; i++) {
		uint32_t handle = bc->old_hold_at++ % bc->top;
		const struct bce *e = &bc->slab[handle];

		if (e->state == BCE_HOLD && e->mesg_id == 0 && !bcache_is_dirty(bc, handle) &&
			(found == BCACHE_NONE || e->expires_ns < bc->slab[found].expires_ns))
			found = handle;
	}
	return found;
}

const struct bce *bcache_at(const struct bcache *bc, uint32_t handle)
{
	if (handle >= bc->top)
		return NULL;
	if (bc->slab[handle].state < BCE_LIVE)
		return NULL;
	return &bc->slab[handle];
}

void bcache_fetch_at(const struct bcache *bc, uint32_t handle)
{
	if (handle >= bc->top)
		return;
	__builtin_prefetch(&bc->slab[handle], 1);
	__builtin_prefetch(&bc->slab[handle].expires_ns, 1);
	__builtin_prefetch(&bc->slab[handle].state, 1);
}

// True when a version belongs to this life of the record.
static bool has_version(const struct bce *e, uint32_t generation)
{
	return e->first_generation == 0 ||
	       generation - e->first_generation <= e->generation - e->first_generation;
}

bool bcache_add_counters(struct bcache *bc, uint32_t handle, const struct api_counters *c)
{
	struct bce *e;

	if (bcache_at(bc, handle) == NULL || !has_version(&bc->slab[handle], c->generation))
		return false;
	e = &bc->slab[handle];
	e->packets_down += c->packets_down;
	e->bytes_down += c->bytes_down;
	e->packets_up += c->packets_up;
	e->bytes_up += c->bytes_up;
	return true;
}

uint32_t bcache_new_generation(struct bcache *bc)
{
	if (++bc->generation == 0)
		bc->generation = 1;
	return bc->generation;
}

// Three passes, so that the waits for memory overlap: slots, then records, then the comparison.
static void find_some(
	const struct bcache *bc, const struct bcache_key *keys, size_t n, uint32_t *out)
{
	uint64_t hash[BCACHE_BATCH];
	uint32_t pos[BCACHE_BATCH];

	for (size_t i = 0; i < n; i++) {
		hash[i] = hash_key(bc, &keys[i]);
		pos[i] = hindex_start(&bc->by_home, hash[i]);
		__builtin_prefetch(&bc->by_home.slots[pos[i]]);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t handle = hindex_candidate(&bc->by_home, hash[i], &pos[i]);

		if (handle != BCACHE_NONE) {
			__builtin_prefetch(&bc->slab[handle]);
			__builtin_prefetch(&bc->slab[handle].expires_ns);
		}
	}
	for (size_t i = 0; i < n; i++)
		out[i] = probe_home(bc, &keys[i], hash[i], &pos[i]);
}

void bcache_find_batch(
	const struct bcache *bc, const struct bcache_key *keys, size_t n, uint32_t *out)
{
	for (size_t i = 0; i < n; i += BCACHE_BATCH)
		find_some(bc, keys + i, n - i < BCACHE_BATCH ? n - i : BCACHE_BATCH, out + i);
}

uint32_t bcache_find(const struct bcache *bc, const struct bcache_key *key)
{
	uint32_t handle;

	find_some(bc, key, 1, &handle);
	return handle;
}

uint32_t bcache_find_mn_id(const struct bcache *bc, const void *mn_id, size_t len)
{
	uint32_t pos;

	if (len == 0 || len > BCE_MN_ID_MAX)
		return BCACHE_NONE;
	return probe_mn_id(bc, mn_id, len, hash_mn_id(bc, mn_id, len), &pos);
}

uint32_t bcache_next_mn_id(const struct bcache *bc, uint32_t handle)
{
	const struct bce *e = bcache_at(bc, handle);

	return e == NULL ? BCACHE_NONE : e->mn_next;
}

uint32_t bcache_next(const struct bcache *bc, uint32_t after, uint32_t *at, bool *is_end)
{
	uint32_t handle = after == BCACHE_NONE ? 0 : after + 1;
	uint32_t budget = NEXT_BUDGET;

	*is_end = false;
	for (; handle < bc->top && budget > 0; handle++, budget--) {
		if (bcache_at(bc, handle) != NULL) {
			*at = handle;
			return handle;
		}
	}
	*is_end = handle >= bc->top;
	*at = handle - 1;
	return BCACHE_NONE;
}

void bcache_mark_dirty(struct bcache *bc, uint32_t handle)
{
	const struct bce *bce = bcache_at(bc, handle);

	unmark(bc, MARK_HELD, handle);
	if (bce != NULL && bce->state != BCE_UNSERVED)
		mark(bc, bce->state == BCE_LIVE ? MARK_SET : MARK_DEL, handle);
}

void bcache_clear_dirty(struct bcache *bc, uint32_t handle)
{
	unmark(bc, MARK_DEL, handle);
	unmark(bc, MARK_SET, handle);
}

bool bcache_is_dirty(const struct bcache *bc, uint32_t handle)
{
	return is_marked(bc, MARK_DEL, handle) || is_marked(bc, MARK_SET, handle);
}

void bcache_mark_all_dirty(struct bcache *bc)
{
	for (uint32_t handle = 0; handle < bc->top; handle++)
		bcache_mark_dirty(bc, handle);
}

// The next word with a mark, from a word on and round the end. There must be one.
static uint32_t next_marked(const struct marks *m, uint32_t n_words, uint32_t from)
{
	uint32_t i = from / MARK_BITS;
	uint64_t bits = m->words[i] & ~0ULL << from % MARK_BITS;

	while (bits == 0) {
		i = (i + 1) % words_of(n_words);
		bits = m->words[i];
	}
	return i * MARK_BITS + (uint32_t)__builtin_ctzll(bits);
}

static size_t take_marked(struct bcache *bc, enum mark kind, uint32_t *out, size_t max)
{
	struct marks *m = &bc->marks[kind];
	size_t n = 0;

	while (n < max && m->n > 0) {
		m->at = next_marked(m, words_of(bc->n_slots), m->at);
		out[n] = m->at * MARK_BITS + (uint32_t)__builtin_ctzll(m->bits[m->at]);
		unmark(bc, kind, out[n++]);
	}
	return n;
}

size_t bcache_take_dirty(struct bcache *bc, uint32_t *out, size_t max)
{
	size_t n = take_marked(bc, MARK_DEL, out, max);

	return n + take_marked(bc, MARK_SET, out + n, max - n);
}

void bcache_mark_refused(struct bcache *bc, uint32_t handle)
{
	const struct bce *bce = bcache_at(bc, handle);

	if (bce != NULL && bce->state == BCE_LIVE)
		mark(bc, MARK_REFUSED, handle);
}

void bcache_clear_refused(struct bcache *bc, uint32_t handle)
{
	unmark(bc, MARK_REFUSED, handle);
}

bool bcache_is_refused(const struct bcache *bc, uint32_t handle)
{
	return is_marked(bc, MARK_REFUSED, handle);
}

void bcache_mark_held(struct bcache *bc, uint32_t handle)
{
	mark(bc, MARK_HELD, handle);
}

void bcache_release_held(struct bcache *bc)
{
	uint32_t handles[MARK_BITS];
	size_t n;

	while ((n = take_marked(bc, MARK_HELD, handles, MARK_BITS)) > 0)
		for (size_t i = 0; i < n; i++)
			bcache_mark_dirty(bc, handles[i]);
}

struct bcache_counts bcache_counts(const struct bcache *bc)
{
	struct bcache_counts counts = bc->n;

	counts.n_dirty_hold = bc->marks[MARK_DEL].n;
	counts.n_dirty = bc->marks[MARK_DEL].n + bc->marks[MARK_SET].n;
	counts.n_refused = bc->marks[MARK_REFUSED].n;
	counts.n_held = bc->marks[MARK_HELD].n;
	return counts;
}
