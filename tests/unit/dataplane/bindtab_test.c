// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The binding table against a naive model, in one bucket, and under a reader. The table's source is
// included so that a test can put every key into one bucket and look at the chains.

#include "dataplane/bindtab.c"

#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/dataplane/suite.h"

enum { N_KEYS = 3000, READER = 0 };

struct model {
	bool is_live[N_KEYS];
	uint32_t generation[N_KEYS];
	uint32_t n_live, n_retired;
};

static struct model model;
static uint32_t next_generation;

static void make_key(union bindtab_key *key, uint32_t i)
{
	struct ip6 addr = { .b = { 0x20, 0x01, 0x0d, 0xb8, 0, 1 } };

	memcpy(addr.b + 12, &i, sizeof(i));
	bindtab_key_make(key, &addr, 7, 128);
}

// The care-of address says which key an entry belongs to.
static struct binding make_entry(uint32_t i)
{
	struct binding b = { .generation = ++next_generation, .home_prefix = 7 };

	memcpy(b.care_of.b + 12, &i, sizeof(i));
	return b;
}

static uint32_t key_of_entry(const struct binding *b)
{
	uint32_t i;

	memcpy(&i, b->care_of.b + 12, sizeof(i));
	return i;
}

static void on_retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	(void)ctx;
	CU_ASSERT_EQUAL(handle, key_of_entry(entry));
	model.n_retired++;
}

static struct bindtab *table_new(uint32_t max, bool one_bucket)
{
	struct bindtab *tab = bindtab_new(max, on_retired, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(tab);
	memset(&model, 0, sizeof(model));
	next_generation = 0;
	if (one_bucket)
		tab->n_main = 1;
	return tab;
}

static void settle(struct bindtab *tab)
{
	while (!bindtab_poll(tab))
		;
}

static int set_key(struct bindtab *tab, uint32_t i)
{
	struct binding b = make_entry(i);
	union bindtab_key key;
	int error;

	make_key(&key, i);
	while ((error = bindtab_set(tab, &key, i, &b)) == -EAGAIN)
		bindtab_poll(tab);
	if (error == 0) {
		model.n_live += !model.is_live[i];
		model.is_live[i] = true;
		model.generation[i] = b.generation;
	}
	return error;
}

static int del_key(struct bindtab *tab, uint32_t i)
{
	union bindtab_key key;
	int error;

	make_key(&key, i);
	while ((error = bindtab_del(tab, &key)) == -EAGAIN)
		bindtab_poll(tab);
	if (error == 0) {
		model.n_live--;
		model.is_live[i] = false;
	}
	return error;
}

static void compare_all(const struct bindtab *tab)
{
	for (uint32_t i = 0; i < N_KEYS; i += BULK_MAX) {
		unsigned int n = RTE_MIN(N_KEYS - i, (uint32_t)BULK_MAX);
		union bindtab_key keys[BULK_MAX];
		struct binding *out[BULK_MAX];

		for (unsigned int k = 0; k < n; k++)
			make_key(&keys[k], i + k);
		bindtab_lookup_bulk(tab, keys, out, n);
		for (unsigned int k = 0; k < n; k++) {
			CU_ASSERT_EQUAL(out[k] != NULL, model.is_live[i + k]);
			if (out[k] == NULL)
				continue;
			CU_ASSERT_EQUAL(key_of_entry(out[k]), i + k);
			CU_ASSERT_EQUAL(out[k]->generation, model.generation[i + k]);
		}
	}
	CU_ASSERT_EQUAL(bindtab_count(tab), model.n_live);
}

// At rest no chain has a hole before its last key, and no bucket is lost.
static void check_chains(const struct bindtab *tab)
{
	uint32_t n_over = tab->lines.n_pages * PAGE_FREE - tab->lines.n_free - tab->n_live;
	uint32_t seen = 0;

	for (uint32_t n = 0; n < tab->n_main; n++) {
		uint32_t head = main_bucket(n);
		bool has_hole = false;

		for (uint32_t at = head;; at = tab->buckets[at].next) {
			bool was_hole = has_hole;

			seen += at != head;
			for (unsigned int i = 0; i < SLOTS; i++) {
				uint32_t idx = tab->buckets[at].idx[i];

				CU_ASSERT_NOT_EQUAL(idx, (uint32_t)IDX_DEAD);
				has_hole = has_hole || idx == 0;
				CU_ASSERT_FALSE(was_hole && idx != 0);
			}
			if (tab->buckets[at].next == 0)
				break;
		}
	}
	CU_ASSERT_EQUAL(seen, n_over);
}

static void random_operations(bool one_bucket, uint32_t n_keys, unsigned int rounds)
{
	struct bindtab *tab = table_new(N_KEYS, one_bucket);
	unsigned int seed = 1;

	for (unsigned int i = 0; i < rounds; i++) {
		uint32_t key = (uint32_t)rand_r(&seed) % n_keys;
		unsigned int what = (unsigned int)rand_r(&seed) % 100;
		bool was_live = model.is_live[key];

		// Phases of growth and of shrinking, so that chains come and go.
		if (what < ((i / 2000) % 2 ? 30u : 65u)) {
			CU_ASSERT_EQUAL(set_key(tab, key), 0);
		} else {
			CU_ASSERT_EQUAL(del_key(tab, key), was_live ? 0 : -ENOENT);
		}
		if (what % 10 == 0)
			bindtab_poll(tab);
		if (i % 5000 == 0)
			compare_all(tab);
	}
	settle(tab);
	compare_all(tab);
	check_chains(tab);
	CU_ASSERT_EQUAL(model.n_retired, next_generation - model.n_live);
	bindtab_free(tab);
}

static void test_random(void)
{
	random_operations(false, N_KEYS, 60000);
}

static void test_random_in_one_bucket(void)
{
	random_operations(true, 600, 8000);
}

// max_bindings fit whatever the keys, one more is refused, and what stands is untouched.
static void fill(bool one_bucket, uint32_t n_keys)
{
	struct bindtab *tab = table_new(n_keys - 1, one_bucket);

	for (uint32_t i = 0; i < n_keys - 1; i++) {
		CU_ASSERT_EQUAL_FATAL(set_key(tab, i), 0);
	}
	CU_ASSERT_EQUAL(set_key(tab, n_keys - 1), -ENOSPC);
	CU_ASSERT_EQUAL(set_key(tab, 5), 0); // replacing is no addition
	compare_all(tab);
	CU_ASSERT_EQUAL(del_key(tab, 17), 0);
	CU_ASSERT_EQUAL(set_key(tab, n_keys - 1), 0);
	// Again and again, from the other end: no bucket gets lost.
	for (unsigned int round = 0; round < 3; round++) {
		for (uint32_t i = n_keys; i-- > 0;) {
			if (model.is_live[i]) {
				CU_ASSERT_EQUAL(del_key(tab, i), 0);
			}
		}
		settle(tab);
		CU_ASSERT_EQUAL(bindtab_count(tab), 0);
		check_chains(tab);
		for (uint32_t i = 0; i < n_keys - 1; i++) {
			CU_ASSERT_EQUAL(set_key(tab, i), 0);
		}
	}
	settle(tab);
	compare_all(tab);
	check_chains(tab);
	bindtab_free(tab);
}

static void test_full(void)
{
	fill(false, N_KEYS);
}

static void test_full_in_one_bucket(void)
{
	fill(true, 900);
}

static void test_counters_of_versions(void)
{
	struct bindtab *tab = table_new(16, false);
	union bindtab_key key;
	struct binding *entry;
	const struct binding *found;
	uint32_t handle = 0;

	CU_ASSERT_EQUAL(set_key(tab, 3), 0);
	make_key(&key, 3);
	bindtab_lookup_bulk(tab, &key, &entry, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
	entry->packets_down = 41;
	CU_ASSERT_EQUAL(set_key(tab, 3), 0);
	CU_ASSERT_EQUAL(entry->packets_down, 41); // the old version stays readable ...
	found = bindtab_find(tab, &key, &handle);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->packets_down, 0); // ... and the new one begins at nothing
	CU_ASSERT_EQUAL(handle, 3);
	CU_ASSERT_EQUAL(model.n_retired, 0);
	settle(tab);
	CU_ASSERT_EQUAL(model.n_retired, 1);
	bindtab_free(tab);
}

static void test_sweep(void)
{
	struct bindtab *tab = table_new(N_KEYS, false);

	for (uint32_t i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(set_key(tab, i), 0);
	}
	CU_ASSERT_EQUAL(bindtab_stale(tab), 0);
	bindtab_mark_begin(tab);
	CU_ASSERT_EQUAL(bindtab_stale(tab), 1000);
	for (uint32_t i = 0; i < 990; i++) {
		CU_ASSERT_EQUAL(set_key(tab, i), 0);
	}
	CU_ASSERT_EQUAL(del_key(tab, 995), 0);
	CU_ASSERT_EQUAL(bindtab_stale(tab), 9);
	bindtab_sweep_begin(tab);
	while (!bindtab_sweep(tab, 100))
		bindtab_poll(tab);
	for (uint32_t i = 990; i < 1000; i++) {
		model.n_live -= model.is_live[i];
		model.is_live[i] = false;
	}
	settle(tab);
	CU_ASSERT_EQUAL(bindtab_stale(tab), 0);
	compare_all(tab);
	bindtab_free(tab);
}

// Keys of one prefix in two home prefixes (domains) do not meet, and a shorter key length drops the
// host part.
static void test_keys(void)
{
	struct ip6 a = { .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 } };
	union bindtab_key k1, k2, k3;

	bindtab_key_make(&k1, &a, 1, 128);
	bindtab_key_make(&k2, &a, 2, 128);
	bindtab_key_make(&k3, &a, 1, 64);
	CU_ASSERT_FALSE(key_eq(&k1, &k2));
	CU_ASSERT_FALSE(key_eq(&k1, &k3));
	a.b[15] = 77;
	bindtab_key_make(&k1, &a, 1, 64);
	CU_ASSERT_TRUE(key_eq(&k1, &k3));
}

// Neighbouring home addresses, as an attacker or a lazy operator would choose them, spread: whichever two bytes
// they differ in.
static void test_spread(void)
{
	struct bindtab *tab = table_new(N_KEYS, false);
	static uint8_t load[N_KEYS * 4];

	for (unsigned int byte = 2; byte + 1 < sizeof(union bindtab_key); byte++) {
		uint32_t longest = 0;

		memset(load, 0, sizeof(load));
		for (uint32_t i = 0; i < N_KEYS; i++) {
			union bindtab_key key = { .b = { 1, 0, 0x0d, 0xb8 } };
			uint32_t at;

			key.b[byte] = (uint8_t)i;
			key.b[byte + 1] = (uint8_t)(i >> 8);
			at = bucket_of(tab, &key);
			CU_ASSERT_FATAL(at < sizeof(load));
			load[at]++;
			longest = RTE_MAX(longest, (uint32_t)load[at]);
		}
		// Mean load 1.3 a bucket: Poisson reaches 14 with a probability below 1e-6.
		CU_ASSERT(longest < 14);
	}
	bindtab_free(tab);
}

// An entry stands in its bucket's page where there is room, and nowhere is room lost: a full table has all.
static void test_beside(void)
{
	struct bindtab *tab = table_new(N_KEYS, false);
	uint32_t n_beside = 0;

	for (uint32_t i = 0; i < N_KEYS; i++)
		CU_ASSERT_EQUAL(set_key(tab, i), 0);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		union bindtab_key key;
		uint32_t handle;
		const struct binding *entry;

		make_key(&key, i);
		entry = bindtab_find(tab, &key, &handle);
		CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
		n_beside += (uint32_t)(entry - tab->entries) / PAGE_LINES ==
			    bucket_of(tab, &key) / PAGE_LINES;
	}
	CU_ASSERT(n_beside > N_KEYS / 10 * 9);
	CU_ASSERT_EQUAL(((uintptr_t)tab->buckets) % (PAGE_LINES * sizeof(struct bucket)), 0);
	bindtab_free(tab);
}

// Who has found out which addresses share a bucket of one table has learned nothing about the next one.
static void test_chosen_keys(void)
{
	struct bindtab *known = table_new(N_KEYS, false), *other = table_new(N_KEYS, false);
	uint32_t n = 0, longest = 0;
	static uint8_t load[1 << 16];

	memset(load, 0, sizeof(load));
	for (uint32_t i = 0; n < 64; i++) {
		union bindtab_key key;
		uint32_t at;

		make_key(&key, i);
		if (bucket_of(known, &key) != 0)
			continue;
		n++;
		at = bucket_of(other, &key);
		load[at]++;
		longest = RTE_MAX(longest, (uint32_t)load[at]);
	}
	// 64 keys over 2,048 buckets: six in one are less likely than 1 in 10^8.
	CU_ASSERT(longest < 6);
	bindtab_free(known);
	bindtab_free(other);
}

// --- A reader beside the writer ------------------------------------------------------------------

enum { STABLE = 40, CHURN = 400 };

struct reader {
	const struct bindtab *tab;
	bool stop;
	uint64_t lookups, misses, foreign;
};

// Stable keys must be found in every look-up, each with an entry of its own.
static void *reader_run(void *arg)
{
	struct reader *r = arg;

	rcu_online(READER);
	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		union bindtab_key keys[BULK_MAX];
		struct binding *out[BULK_MAX];

		for (uint32_t i = 0; i < BULK_MAX; i++)
			make_key(&keys[i], i);
		bindtab_lookup_bulk(r->tab, keys, out, BULK_MAX);
		for (uint32_t i = 0; i < BULK_MAX; i++) {
			r->misses += i < STABLE && out[i] == NULL;
			r->foreign += out[i] != NULL && key_of_entry(out[i]) != i;
		}
		r->lookups += BULK_MAX;
		rcu_quiescent(READER);
	}
	rcu_offline(READER);
	return NULL;
}

static void test_reader_beside_writer(void)
{
	struct bindtab *tab = table_new(N_KEYS, true);
	struct reader reader = { .tab = tab };
	unsigned int seed = 2;
	pthread_t thread;

	// Churned keys first, so that the stable ones stand deep in the chain and get moved.
	for (uint32_t i = STABLE; i < CHURN; i++) {
		CU_ASSERT_EQUAL(set_key(tab, i), 0);
	}
	for (uint32_t i = 0; i < STABLE; i++) {
		CU_ASSERT_EQUAL(set_key(tab, i), 0);
	}
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader_run, &reader), 0);
	for (unsigned int i = 0; i < 8000; i++) {
		uint32_t key = STABLE + (uint32_t)rand_r(&seed) % (CHURN - STABLE);

		if (model.is_live[key] && i % 3 != 0)
			del_key(tab, key);
		else
			set_key(tab, key);
		if (i % 50 == 0)
			set_key(tab, (uint32_t)rand_r(&seed) % STABLE); // a handover
		if (i % 4 == 0)
			bindtab_poll(tab);
	}
	__atomic_store_n(&reader.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	settle(tab);
	compare_all(tab);
	check_chains(tab);
	CU_ASSERT(reader.lookups > 0);
	CU_ASSERT_EQUAL(reader.misses, 0);
	CU_ASSERT_EQUAL(reader.foreign, 0);
	bindtab_free(tab);
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "random operations equal a naive model", test_random },
		{ "the same with every key in one bucket", test_random_in_one_bucket },
		{ "max_bindings fit and one more is refused", test_full },
		{ "the same with every key in one bucket, refilled", test_full_in_one_bucket },
		{ "a version keeps its account until it is retired", test_counters_of_versions },
		{ "mark and sweep", test_sweep },
		{ "keys of two home prefixes do not meet", test_keys },
		{ "neighbouring addresses spread over the buckets", test_spread },
		{ "entries stand beside their buckets", test_beside },
		{ "addresses chosen to share a bucket do not in another table", test_chosen_keys },
		{ "a reader never misses a stable key", test_reader_beside_writer },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("bindtab", tests);
}
