// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>

#include "controlplane/bcache.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

// A binding whose home address and MN-ID follow from two small numbers.
static struct bce make(uint32_t home, uint32_t owner, uint8_t state)
{
	struct bce b = { .domain = home % 3, .state = state, .sequence = (uint16_t)home };

	b.home.b[0] = 0x20;
	memcpy(&b.home.b[12], &home, sizeof(home));
	if (owner != 0)
		b.mn_id_len = (uint8_t)snprintf(
			(char *)b.mn_id, sizeof(b.mn_id), "user%u@example.net", owner);
	return b;
}

static struct bcache_key key_of(uint32_t home)
{
	struct bce b = make(home, 0, BCE_LIVE);

	return (struct bcache_key){ .home = b.home, .domain = b.domain };
}

static uint32_t add(struct bcache *bc, uint32_t home, uint32_t owner, uint8_t state)
{
	uint32_t handle = bcache_reserve(bc);
	struct bce b = make(home, owner, state);

	if (handle != BCACHE_NONE)
		CU_ASSERT_EQUAL_FATAL(bcache_set(bc, handle, &b), 0);
	return handle;
}

static void test_reserve_limit(void)
{
	struct bcache *bc = bcache_new(3);
	uint32_t h[3];
	struct bce hold;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bc);
	for (uint32_t i = 0; i < 3; i++)
		h[i] = add(bc, i, 0, BCE_LIVE);
	CU_ASSERT_EQUAL(bcache_reserve(bc), BCACHE_NONE);
	// A record in hold is no live one: its place is free again.
	hold = *bcache_at(bc, h[1]);
	hold.state = BCE_HOLD;
	CU_ASSERT_EQUAL(bcache_set(bc, h[1], &hold), 0);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_live, 2);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_hold, 1);
	h[2] = bcache_reserve(bc);
	CU_ASSERT_NOT_EQUAL(h[2], BCACHE_NONE);
	CU_ASSERT_PTR_NULL(bcache_at(bc, h[2]));
	CU_ASSERT_EQUAL(bcache_reserve(bc), BCACHE_NONE);
	bcache_release(bc, h[2]);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_reserved, 0);
	CU_ASSERT_NOT_EQUAL(bcache_reserve(bc), BCACHE_NONE);
	bcache_free(bc);
}

// The room for holds is bounded too, and then nothing is accepted at their cost.
static void test_hold_limit(void)
{
	struct bcache *bc = bcache_new(1);
	uint32_t n = 0;

	while (add(bc, n, 0, BCE_HOLD) != BCACHE_NONE)
		n++;
	CU_ASSERT_EQUAL(n, bcache_slots(1));
	CU_ASSERT_EQUAL(bcache_counts(bc).n_live, 0);
	bcache_free(bc);
}

static void test_reserve_at(void)
{
	struct bcache *bc = bcache_new(100);
	struct bce b = make(7, 0, BCE_LIVE);

	CU_ASSERT_EQUAL(bcache_reserve_at(bc, 40), 0);
	CU_ASSERT_EQUAL(bcache_set(bc, 40, &b), 0);
	CU_ASSERT_EQUAL(bcache_reserve_at(bc, 40), -EEXIST);
	CU_ASSERT_EQUAL(bcache_reserve_at(bc, 20), 0);
	CU_ASSERT_EQUAL(bcache_reserve_at(bc, bcache_slots(100)), -ERANGE);
	// The same home address under another handle is refused, and changes nothing.
	CU_ASSERT_EQUAL(bcache_set(bc, 20, &b), -EEXIST);
	bcache_release(bc, 20);
	CU_ASSERT_EQUAL(
		bcache_find(bc, &(struct bcache_key){ .home = b.home, .domain = b.domain }), 40);
	for (uint32_t i = 0; i < 99; i++) // gaps are used, nothing twice
		CU_ASSERT_NOT_EQUAL(add(bc, 1000 + i, 0, BCE_LIVE), BCACHE_NONE);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_live, 100);
	CU_ASSERT_EQUAL(bcache_at(bc, 40)->sequence, 7);
	bcache_free(bc);
}

static void test_dirty(void)
{
	struct bcache *bc = bcache_new(200);
	struct bce unserved;
	uint32_t out[8];
	uint32_t a = 0, b = 0;

	for (uint32_t i = 0; i < 150; i++)
		*(i == 3 ? &a : &b) = add(bc, i, 0, BCE_LIVE);
	CU_ASSERT_EQUAL(bcache_take_dirty(bc, out, 8), 0);
	bcache_mark_dirty(bc, b);
	bcache_mark_dirty(bc, a);
	bcache_mark_dirty(bc, a);
	bcache_mark_dirty(bc, 199); // nobody there
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty, 2);
	CU_ASSERT_EQUAL(bcache_remove(bc, a), -EBUSY);
	CU_ASSERT_EQUAL(bcache_take_dirty(bc, out, 1), 1);
	CU_ASSERT_EQUAL(out[0], a);
	CU_ASSERT_EQUAL(bcache_remove(bc, a), 0);
	CU_ASSERT_EQUAL(bcache_take_dirty(bc, out, 8), 1);
	CU_ASSERT_EQUAL(out[0], b);
	bcache_mark_all_dirty(bc);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty, 149);
	bcache_clear_dirty(bc, b);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty, 148);
	unserved = *bcache_at(bc, b);
	unserved.state = BCE_UNSERVED;
	CU_ASSERT_EQUAL(bcache_set(bc, b, &unserved), 0);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_live, 148);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_unserved, 1);
	bcache_mark_all_dirty(bc); // the dataplane hears nothing of it
	CU_ASSERT_FALSE(bcache_is_dirty(bc, b));
	CU_ASSERT_EQUAL(bcache_remove(bc, b), 0);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_unserved, 0);
	bcache_free(bc);
}

// What has ended is told first, and counted by itself for as long as it is not.
// Few marks in a large cache, set, cleared and taken at random: against a plain list of them. The next
// one is the nearest behind the last, round the end.
static void test_sparse_marks(void)
{
	enum { N = 30000, ROUNDS = 20000 };
	static bool is_marked[N];
	struct bcache *bc = bcache_new(N);
	uint64_t rng = 31;
	uint32_t at = 0, n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bc);
	for (uint32_t i = 0; i < N; i++)
		CU_ASSERT_EQUAL_FATAL(add(bc, i, 0, BCE_LIVE), i);
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t handle = rng_below(&rng, N), out = 0;

		switch (rng_below(&rng, 3)) {
		case 0:
			n += !is_marked[handle];
			is_marked[handle] = true;
			bcache_mark_dirty(bc, handle);
			break;
		case 1:
			n -= is_marked[handle];
			is_marked[handle] = false;
			bcache_clear_dirty(bc, handle);
			break;
		default:
			CU_ASSERT_EQUAL_FATAL(bcache_take_dirty(bc, &out, 1), n > 0);
			if (n == 0)
				break;
			at -= at % 64; // of the marks in one word the lowest comes first
			while (!is_marked[at])
				at = (at + 1) % N;
			CU_ASSERT_EQUAL_FATAL(out, at);
			is_marked[at] = false;
			n--;
		}
		CU_ASSERT_EQUAL_FATAL(bcache_counts(bc).n_dirty, n);
	}
	bcache_free(bc);
}

static void test_dirty_hold(void)
{
	struct bcache *bc = bcache_new(200);
	uint32_t out[8], ended = 0;
	struct bce hold;

	for (uint32_t i = 0; i < 150; i++)
		ended = add(bc, i, 0, BCE_LIVE);
	bcache_mark_all_dirty(bc);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty_hold, 0);
	hold = *bcache_at(bc, ended);
	hold.state = BCE_HOLD;
	CU_ASSERT_EQUAL(bcache_set(bc, ended, &hold), 0);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty_hold, 1);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty, 150);
	CU_ASSERT_EQUAL(bcache_take_dirty(bc, out, 8), 8);
	CU_ASSERT_EQUAL(out[0], ended);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty_hold, 0);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_dirty, 142);
	bcache_free(bc);
}

// Forgotten is what would end first, never a MESG-ID floor nor what the dataplane was not told of.
static void test_old_hold(void)
{
	struct bcache *bc = bcache_new(8);
	uint32_t h[4];
	struct bce b;

	for (uint32_t i = 0; i < 4; i++) {
		h[i] = add(bc, i, 0, BCE_HOLD);
		b = *bcache_at(bc, h[i]);
		b.expires_ns = 100 - i;
		b.mesg_id = i == 3 ? 77 : 0;
		CU_ASSERT_EQUAL(bcache_set(bc, h[i], &b), 0);
	}
	add(bc, 9, 0, BCE_LIVE);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_free, bcache_slots(8) - 5);
	bcache_mark_dirty(bc, h[2]);
	CU_ASSERT_EQUAL(bcache_old_hold(bc), h[1]);
	bcache_clear_dirty(bc, h[2]);
	CU_ASSERT_EQUAL(bcache_old_hold(bc), h[2]);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(bcache_remove(bc, h[i]), 0);
	CU_ASSERT_EQUAL(bcache_old_hold(bc), BCACHE_NONE);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_free, bcache_slots(8) - 2);
	bcache_free(bc);
}

static void test_refused(void)
{
	struct bcache *bc = bcache_new(4);
	uint32_t a = add(bc, 1, 0, BCE_LIVE), b = add(bc, 2, 0, BCE_LIVE);
	uint32_t c = add(bc, 3, 0, BCE_HOLD);
	struct bce hold = *bcache_at(bc, a);

	bcache_mark_refused(bc, a);
	bcache_mark_refused(bc, b);
	bcache_mark_refused(bc, c); // has ended
	CU_ASSERT_EQUAL(bcache_counts(bc).n_refused, 2);
	hold.state = BCE_HOLD;
	CU_ASSERT_EQUAL(bcache_set(bc, a, &hold), 0);
	CU_ASSERT_FALSE(bcache_is_refused(bc, a));
	CU_ASSERT_TRUE(bcache_is_refused(bc, b));
	bcache_clear_refused(bc, b);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_refused, 0);
	bcache_mark_refused(bc, b);
	CU_ASSERT_EQUAL(bcache_remove(bc, b), 0);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_refused, 0);
	bcache_free(bc);
}

static void test_generation_counters(void)
{
	struct bcache *bc = bcache_new(2);
	uint32_t h = add(bc, 1, 0, BCE_LIVE);
	struct api_counters c = {
		.packets_down = 1, .bytes_down = 100, .packets_up = 2, .bytes_up = 300
	};
	uint32_t g = bcache_new_generation(bc);

	CU_ASSERT_NOT_EQUAL(bcache_new_generation(bc), g);
	bcache_add_counters(bc, h, &c);
	bcache_add_counters(bc, h, &c);
	bcache_add_counters(bc, h + 1, &c);
	CU_ASSERT_EQUAL(bcache_at(bc, h)->packets_down, 2);
	CU_ASSERT_EQUAL(bcache_at(bc, h)->bytes_down, 200);
	CU_ASSERT_EQUAL(bcache_at(bc, h)->packets_up, 4);
	CU_ASSERT_EQUAL(bcache_at(bc, h)->bytes_up, 600);
	bcache_free(bc);
}

// Counters that come late are those of the life that the record had then.
static void test_counters_of_lives(void)
{
	static const struct {
		uint32_t first, now, of;
		bool is_ours;
	} rows[] = {
		{ 10, 12, 10, true }, { 10, 12, 12, true }, { 10, 12, 9, false },
		{ 10, 12, 13, false }, { UINT32_MAX, 2, UINT32_MAX, true },
		{ UINT32_MAX, 2, 1, true }, { UINT32_MAX, 2, UINT32_MAX - 1, false },
		{ 0, 12, 4711, true }, // begun before this process
	};
	struct bcache *bc = bcache_new(2);
	uint32_t h = add(bc, 1, 0, BCE_LIVE);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bce b = make(1, 0, BCE_LIVE);
		struct api_counters c = { .generation = rows[i].of, .packets_up = 7 };

		b.first_generation = rows[i].first;
		b.generation = rows[i].now;
		CU_ASSERT_EQUAL(bcache_set(bc, h, &b), 0);
		CU_ASSERT_EQUAL(bcache_add_counters(bc, h, &c), rows[i].is_ours);
		CU_ASSERT_EQUAL(bcache_at(bc, h)->packets_up, rows[i].is_ours ? 7 : 0);
	}
	bcache_free(bc);
}

// The naive model: what each home address has, by plain arrays.
enum { HOMES = 700, OWNERS = 40, ROUNDS = 200000, LIMIT = 400 };

struct model {
	uint32_t handle[HOMES]; // BCACHE_NONE = not there
	uint32_t owner[HOMES];
	uint8_t state[HOMES];
};

static void check_all(const struct bcache *bc, const struct model *m)
{
	struct bcache_key keys[HOMES];
	uint32_t found[HOMES];
	uint32_t n[3] = { 0 }, n_listed = 0, at = BCACHE_NONE, last = BCACHE_NONE;
	bool is_end = false;
	bool is_right = true;

	for (uint32_t i = 0; i < HOMES; i++)
		keys[i] = key_of(i);
	bcache_find_batch(bc, keys, HOMES, found);
	for (uint32_t i = 0; i < HOMES; i++) {
		is_right = is_right && found[i] == m->handle[i];
		if (m->handle[i] != BCACHE_NONE)
			n[m->state[i] == BCE_LIVE ? 0 : 1]++;
	}
	CU_ASSERT_TRUE_FATAL(is_right);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_live, n[0]);
	CU_ASSERT_EQUAL(bcache_counts(bc).n_hold, n[1]);
	while (!is_end) {
		uint32_t h = bcache_next(bc, at, &at, &is_end);

		if (h == BCACHE_NONE)
			continue;
		CU_ASSERT_TRUE(last == BCACHE_NONE || h > last);
		last = h;
		n_listed++;
	}
	CU_ASSERT_EQUAL(n_listed, n[0] + n[1]);
	for (uint32_t owner = 1; owner < OWNERS; owner++) {
		struct bce b = make(0, owner, BCE_LIVE);
		uint32_t n_model = 0, n_found = 0;

		for (uint32_t i = 0; i < HOMES; i++)
			n_model += m->handle[i] != BCACHE_NONE && m->owner[i] == owner;
		for (uint32_t h = bcache_find_mn_id(bc, b.mn_id, b.mn_id_len); h != BCACHE_NONE;
			h = bcache_next_mn_id(bc, h)) {
			const struct bce *e = bcache_at(bc, h);

			CU_ASSERT_PTR_NOT_NULL_FATAL(e);
			CU_ASSERT_EQUAL(e->mn_id_len, b.mn_id_len);
			CU_ASSERT_EQUAL(memcmp(e->mn_id, b.mn_id, b.mn_id_len), 0);
			CU_ASSERT_TRUE_FATAL(++n_found <= HOMES);
		}
		CU_ASSERT_EQUAL_FATAL(n_found, n_model);
	}
}

static void step(struct bcache *bc, struct model *m, uint64_t *rng)
{
	uint32_t i = rng_below(rng, HOMES);
	uint32_t owner = rng_below(rng, OWNERS);
	uint8_t state = rng_below(rng, 4) == 0 ? BCE_HOLD : BCE_LIVE;
	struct bce b;

	if (m->handle[i] != BCACHE_NONE && rng_below(rng, 3) == 0) {
		CU_ASSERT_EQUAL(bcache_remove(bc, m->handle[i]), 0);
		m->handle[i] = BCACHE_NONE;
		return;
	}
	if (m->handle[i] == BCACHE_NONE)
		m->handle[i] = bcache_reserve(bc);
	if (m->handle[i] == BCACHE_NONE)
		return;
	b = make(i, owner, state);
	CU_ASSERT_EQUAL_FATAL(bcache_set(bc, m->handle[i], &b), 0);
	m->owner[i] = owner;
	m->state[i] = state;
}

static void test_random(void)
{
	struct bcache *bc = bcache_new(LIMIT);
	static struct model m;
	uint64_t rng = 42;

	memset(m.handle, 0xff, sizeof(m.handle));
	for (uint32_t i = 0; i < ROUNDS; i++) {
		step(bc, &m, &rng);
		if (i % 1000 == 0)
			check_all(bc, &m);
	}
	check_all(bc, &m);
	bcache_free(bc);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "live and reserved stay below the limit", test_reserve_limit },
		{ "room for holds is bounded", test_hold_limit },
		{ "given handles", test_reserve_at },
		{ "dirty marks", test_dirty },
		{ "few marks among many records", test_sparse_marks },
		{ "what has ended is told first", test_dirty_hold },
		{ "refused marks", test_refused },
		{ "an old hold", test_old_hold },
		{ "generations and counters", test_generation_counters },
		{ "counters of other lives", test_counters_of_lives },
		{ "random operations against a model", test_random },
		CU_TEST_INFO_NULL,
	};

	return suite_run("bcache", tests);
}
