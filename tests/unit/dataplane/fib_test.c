// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The two-table FIB and the next hops behind it: against a naive model with random operations, and
// beside a reader for whom a stable route must never be missing or lead into a freed next hop.

#include "dataplane/fib.h"
#include "dataplane/nexthop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/dataplane/suite.h"

enum {
	MAX_ROUTES = 2000,
	N_SLOTS = 600, // prefixes of the model
	N_ROUNDS = 200,
	CHURN_ROUNDS = 200,
	READER = 0,
	STABLE_MTU = 1400,
	CHURN_MTU = 1300,
};

struct route {
	struct ip6_prefix prefix;
	uint32_t nexthop; // 0 = not there
};

static struct route model[N_SLOTS];

static struct ip6_prefix random_prefix(void)
{
	static const uint8_t lens[] = { 0, 12, 20, 24, 25, 32, 48, 56, 64, 64, 128, 128 };
	struct ip6_prefix p = { .len = lens[(size_t)rand() % sizeof(lens)] };

	p.addr.b[0] = 0x20;
	for (unsigned int i = 1; i < sizeof(p.addr.b); i++)
		p.addr.b[i] = (uint8_t)(rand() % 3);
	ip6_mask(&p.addr, p.len);
	return p;
}

static bool is_unique(unsigned int slot)
{
	for (unsigned int i = 0; i < slot; i++) {
		if (model[i].prefix.len == model[slot].prefix.len &&
			ip6_eq(&model[i].prefix.addr, &model[slot].prefix.addr))
			return false;
	}
	return true;
}

static uint32_t model_lookup(const struct ip6 *a)
{
	uint32_t nexthop = 0;
	int best = -1;

	for (unsigned int i = 0; i < N_SLOTS; i++) {
		if (model[i].nexthop != 0 && model[i].prefix.len > best &&
			prefix_contains(&model[i].prefix, a)) {
			best = model[i].prefix.len;
			nexthop = model[i].nexthop;
		}
	}
	return nexthop;
}

static void compare_lookups(void)
{
	struct ip6 dst[64];
	uint32_t out[64];

	for (unsigned int n = 1; n <= 64; n += 21) {
		for (unsigned int i = 0; i < n; i++)
			dst[i] = i % 2 != 0 ? random_prefix().addr
					    : model[rand() % N_SLOTS].prefix.addr;
		fib6_lookup_bulk(0, dst, out, n);
		for (unsigned int i = 0; i < n; i++)
			CU_ASSERT_EQUAL_FATAL(out[i], model_lookup(&dst[i]));
	}
}

static void test_random(void)
{
	srand(20263);
	CU_ASSERT_EQUAL_FATAL(fib_init(1, MAX_ROUTES, MAX_ROUTES), 0);
	memset(model, 0, sizeof(model));
	for (unsigned int i = 0; i < N_SLOTS; i++) {
		do {
			model[i].prefix = random_prefix();
		} while (!is_unique(i) && model[i].prefix.len > 12);
	}
	for (unsigned int round = 0; round < N_ROUNDS; round++) {
		for (unsigned int i = 0; i < 20; i++) {
			unsigned int slot = (unsigned int)rand() % N_SLOTS;
			struct route *r = &model[slot];

			if (!is_unique(slot))
				continue;
			if (rand() % 2 != 0) {
				r->nexthop = 1 + (uint32_t)rand() % 1000000;
				CU_ASSERT_EQUAL(fib_set(0, FIB_IP6, &r->prefix, r->nexthop,
							rand() % 4 == 0),
					0);
			} else {
				int wanted = r->nexthop != 0 || r->prefix.len == 0 ? 0 : -ENOENT;

				CU_ASSERT_EQUAL(fib_del(0, FIB_IP6, &r->prefix), wanted);
				r->nexthop = 0;
			}
		}
		fib_commit();
		compare_lookups();
		CU_ASSERT_FALSE(fib_commit()); // nothing left to publish
	}
	fib_free();
}

static void test_unseen_before_commit(void)
{
	struct ip6_prefix p = { .addr = { { 0x20, 1 } }, .len = 32 };
	uint32_t out;

	CU_ASSERT_EQUAL_FATAL(fib_init(1, MAX_ROUTES, MAX_ROUTES), 0);
	CU_ASSERT_EQUAL(fib_set(0, FIB_IP6, &p, 7, false), 0);
	fib6_lookup_bulk(0, &p.addr, &out, 1);
	CU_ASSERT_EQUAL(out, 0);
	CU_ASSERT_TRUE(fib_commit());
	fib6_lookup_bulk(0, &p.addr, &out, 1);
	CU_ASSERT_EQUAL(out, 7);
	fib_free();
}

static void test_full(void)
{
	struct ip6_prefix p = { .len = 48 };
	unsigned int n = 0;
	uint32_t out;

	CU_ASSERT_EQUAL_FATAL(fib_init(1, 16, 16), 0);
	do {
		p.addr.b[3] = (uint8_t)(n >> 8);
		p.addr.b[4] = (uint8_t)n;
		p.addr.b[0] = 0x20;
		n++;
	} while (fib_set(0, FIB_IP6, &p, n, false) == 0 && n < 60000);
	CU_ASSERT_TRUE(n > 16 && n < 60000);
	fib_commit();
	fib6_lookup_bulk(0, &p.addr, &out, 1);
	CU_ASSERT_EQUAL(out, 0); // the refused one
	p.addr.b[3] = p.addr.b[4] = 0;
	fib6_lookup_bulk(0, &p.addr, &out, 1);
	CU_ASSERT_EQUAL(out, 1);
	CU_ASSERT_EQUAL(fib_del(0, FIB_IP6, &p), 0); // room again, in both tables
	p.len = 49;
	CU_ASSERT_EQUAL(fib_set(0, FIB_IP6, &p, 5, false), 0);
	fib_commit();
	fib6_lookup_bulk(0, &p.addr, &out, 1);
	CU_ASSERT_EQUAL(out, 5);
	fib_free();
}

// --- IPv4 and domains ----------------------------------------------------------------------------

static struct ip6_prefix random_prefix4(void)
{
	static const uint8_t lens[] = { 0, 1, 8, 12, 16, 23, 24, 25, 30, 31, 32, 32 };
	struct ip6_prefix p = { .len = (uint8_t)(96 + lens[(size_t)rand() % sizeof(lens)]) };

	p.addr.b[10] = p.addr.b[11] = 0xff;
	for (unsigned int i = 12; i < sizeof(p.addr.b); i++)
		p.addr.b[i] = (uint8_t)(rand() % 3 * 0x7f);
	ip6_mask(&p.addr, p.len);
	return p;
}

static void compare_lookups4(uint8_t domain)
{
	struct ip6 dst[64];
	uint32_t dst_be[64], out[64];

	for (unsigned int i = 0; i < 64; i++) {
		dst[i] = random_prefix4().addr;
		dst[i].b[15] = (uint8_t)rand();
		memcpy(&dst_be[i], dst[i].b + 12, sizeof(dst_be[i]));
	}
	fib4_lookup_bulk(domain, dst_be, out, 64);
	for (unsigned int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL_FATAL(out[i], model_lookup(&dst[i]));
}

static void test_random4(void)
{
	const uint8_t domain = 1;
	struct ip6 v6 = { .b = { 0x20, 1 } };
	uint32_t dst_be = 0x01020304, out;

	srand(20264);
	CU_ASSERT_EQUAL_FATAL(fib_init(2, MAX_ROUTES, MAX_ROUTES), 0);
	memset(model, 0, sizeof(model));
	for (unsigned int round = 0; round < N_ROUNDS; round++) {
		for (unsigned int i = 0; i < 20; i++) {
			struct ip6_prefix p = random_prefix4();
			struct route *r = model;

			while (r < model + N_SLOTS - 1 && r->prefix.len != 0 &&
				(r->prefix.len != p.len || !ip6_eq(&r->prefix.addr, &p.addr)))
				r++;
			if (rand() % 2 != 0) {
				*r = (struct route){ p, 1 + (uint32_t)rand() % 1000000 };
				CU_ASSERT_EQUAL(fib_set(domain, FIB_IP4, &p, r->nexthop, false), 0);
			} else if (r->nexthop != 0) {
				CU_ASSERT_EQUAL(fib_del(domain, FIB_IP4, &p), 0);
				r->nexthop = 0;
			}
		}
		fib_commit();
		compare_lookups4(domain);
	}
	// Neither the other domain nor the other family knows any of it.
	fib4_lookup_bulk(0, &dst_be, &out, 1);
	CU_ASSERT_EQUAL(out, 0);
	fib6_lookup_bulk(domain, &v6, &out, 1);
	CU_ASSERT_EQUAL(out, 0);
	fib_free();
}

// A worker in small.
struct reader {
	bool stop; // atomic
	uint64_t n_lookups;
	uint64_t n_missed;
	uint64_t n_foreign;
};

static const struct ip6 stable_address = { .b = { 0x20, 1, 0xd, 0xb8, [15] = 9 } };
static const struct ip6 churn_address = { .b = { 0x20, 1, 0xd, 0xb8, 1, [15] = 9 } };

// Lets the calling thread run beside the main one, which the EAL pins to one core.
static void use_all_cores(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (long i = 0; i < sysconf(_SC_NPROCESSORS_CONF); i++)
		CPU_SET((size_t)i, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}

static void *read_on(void *arg)
{
	const struct ip6 dst[2] = { stable_address, churn_address };
	struct reader *reader = arg;

	use_all_cores();
	rcu_online(READER);
	while (!__atomic_load_n(&reader->stop, __ATOMIC_RELAXED)) {
		const struct nexthop *stable, *churn;
		uint32_t out[2];

		fib6_lookup_bulk(0, dst, out, 2);
		stable = nexthop_get(out[0]);
		churn = nexthop_get(out[1]);
		reader->n_missed += stable->mtu != STABLE_MTU;
		// Covered by the stable /32 whenever its own /48 is away.
		reader->n_foreign += churn->mtu != STABLE_MTU && churn->mtu != CHURN_MTU;
		__atomic_fetch_add(&reader->n_lookups, 1, __ATOMIC_RELAXED);
		rcu_quiescent(READER);
	}
	rcu_offline(READER);
	return NULL;
}

static void test_reader_beside_writer(void)
{
	const struct nexthop stable = { .type = NEXTHOP_GLEAN, .mtu = STABLE_MTU };
	const struct nexthop churn = { .type = NEXTHOP_GLEAN, .mtu = CHURN_MTU };
	struct ip6_prefix wide = { .addr = stable_address, .len = 32 };
	struct ip6_prefix narrow = { .addr = churn_address, .len = 48 };
	struct reader reader = { 0 };
	pthread_t thread;
	uint32_t idx;

	ip6_mask(&wide.addr, wide.len);
	ip6_mask(&narrow.addr, narrow.len);
	CU_ASSERT_EQUAL_FATAL(fib_init(1, MAX_ROUTES, MAX_ROUTES), 0);
	CU_ASSERT_EQUAL_FATAL(nexthop_init(64), 0);
	CU_ASSERT_EQUAL_FATAL(fib_set(0, FIB_IP6, &wide, nexthop_add(&stable), false), 0);
	fib_commit();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, read_on, &reader), 0);
	while (__atomic_load_n(&reader.n_lookups, __ATOMIC_RELAXED) == 0)
		sched_yield();
	for (unsigned int i = 0; i < CHURN_ROUNDS; i++) {
		idx = nexthop_add(&churn);
		CU_ASSERT_NOT_EQUAL_FATAL(idx, 0); // indices come back
		CU_ASSERT_EQUAL_FATAL(fib_set(0, FIB_IP6, &narrow, idx, false), 0);
		fib_commit();
		CU_ASSERT_EQUAL(nexthop_set(idx, &churn), 0);
		CU_ASSERT_EQUAL_FATAL(fib_del(0, FIB_IP6, &narrow), 0);
		CU_ASSERT_EQUAL(nexthop_del(idx), 0);
		fib_commit();
		nexthop_reclaim();
	}
	__atomic_store_n(&reader.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(reader.n_missed, 0);
	CU_ASSERT_EQUAL(reader.n_foreign, 0);
	nexthop_free();
	fib_free();
}

static void test_nexthop_table(void)
{
	const struct nexthop obj = { .type = NEXTHOP_DROP };
	uint32_t first, idx;

	CU_ASSERT_EQUAL_FATAL(nexthop_init(4), 0);
	CU_ASSERT_EQUAL(nexthop_get(0)->type, NEXTHOP_NO_ROUTE);
	first = nexthop_add(&obj);
	CU_ASSERT_NOT_EQUAL(first, 0);
	CU_ASSERT_NOT_EQUAL(nexthop_add(&obj), 0);
	CU_ASSERT_NOT_EQUAL(nexthop_add(&obj), 0);
	CU_ASSERT_EQUAL(nexthop_add(&obj), 0); // full
	CU_ASSERT_FALSE(nexthop_has_retired());
	CU_ASSERT_EQUAL(nexthop_del(first), 0);
	CU_ASSERT_TRUE(nexthop_has_retired());
	CU_ASSERT_EQUAL(nexthop_get(first)->type, NEXTHOP_DROP); // readers may still be there
	CU_ASSERT_EQUAL(nexthop_add(&obj), 0);
	nexthop_reclaim();
	CU_ASSERT_EQUAL(nexthop_get(first)->type, NEXTHOP_NO_ROUTE);
	idx = nexthop_add(&obj);
	CU_ASSERT_EQUAL(idx, first);
	nexthop_free();
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "random operations equal a naive model", test_random },
		{ "IPv4 in a domain equals a naive model", test_random4 },
		{ "nothing is seen before the commit", test_unseen_before_commit },
		{ "a full table refuses and keeps what it has", test_full },
		{ "next hop indices end after a grace period", test_nexthop_table },
		{ "a reader never misses a stable route", test_reader_beside_writer },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("fib", tests);
}
