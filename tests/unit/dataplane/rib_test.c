// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The route account against a naive model: a flat list of (prefix, source, metric, type, hop).

#include "dataplane/rib.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/dataplane/suite.h"

enum {
	MODEL_MAX = 4096,
	N_OPERATIONS = 40000,
	N_SWEEPS = 60,
	UNICAST = 1,
	BLACKHOLE = 6,
};

// One hop of one candidate; ifindex 0 for a candidate without hops.
struct fact {
	struct ip6_prefix prefix;
	uint8_t source, type;
	uint32_t metric, ifindex, generation;
};

static struct fact facts[MODEL_MAX];
static unsigned int n_facts;

static void model_remove(unsigned int i)
{
	facts[i] = facts[--n_facts];
}

static bool same_prefix(const struct ip6_prefix *a, const struct ip6_prefix *b)
{
	return a->len == b->len && ip6_eq(&a->addr, &b->addr);
}

static bool same_candidate(const struct fact *a, const struct fact *b)
{
	return same_prefix(&a->prefix, &b->prefix) && a->source == b->source &&
	       a->metric == b->metric && a->type == b->type;
}

static void model_add(const struct fact *fact, bool replace)
{
	for (unsigned int i = n_facts; i > 0; i--) {
		const struct fact *f = &facts[i - 1];
		bool is_replaced = replace && same_prefix(&f->prefix, &fact->prefix) &&
				   f->source == fact->source && f->metric == fact->metric;

		if (is_replaced || (same_candidate(f, fact) && f->ifindex == fact->ifindex))
			model_remove(i - 1);
	}
	facts[n_facts++] = *fact;
}

static void model_del(const struct fact *fact)
{
	for (unsigned int i = n_facts; i > 0; i--) {
		if (same_candidate(&facts[i - 1], fact) && facts[i - 1].ifindex == fact->ifindex)
			model_remove(i - 1);
	}
}

static void model_sweep(uint8_t source, uint32_t generation)
{
	for (unsigned int i = n_facts; i > 0; i--) {
		if (facts[i - 1].source == source && facts[i - 1].generation != generation)
			model_remove(i - 1);
	}
}

// A prefix of few different bits at few lengths, so that prefixes nest and meet.
static struct ip6_prefix random_prefix(void)
{
	static const uint8_t lens[] = { 0, 1, 3, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128 };
	struct ip6_prefix p = { .len = lens[(size_t)rand() % sizeof(lens)] };

	for (unsigned int i = 0; i < sizeof(p.addr.b); i += 4)
		p.addr.b[i] = (uint8_t)(rand() % 2 * 0x80 + rand() % 2);
	p.addr.b[15] = (uint8_t)(rand() % 2);
	ip6_mask(&p.addr, p.len);
	return p;
}

static struct fact random_fact(uint32_t generation)
{
	struct fact f = {
		.prefix = random_prefix(),
		.source = rand() % 2 != 0 ? RIB_KERNEL : RIB_LOCAL,
		.metric = (uint32_t)(rand() % 2),
		.type = rand() % 8 != 0 ? UNICAST : BLACKHOLE,
		.generation = generation,
	};

	f.ifindex = f.type == UNICAST ? (uint32_t)(1 + rand() % 3) : 0;
	return f;
}

static void apply(struct rib *rib, const struct fact *f, bool is_del, bool replace)
{
	struct rib_hop hop = { .ifindex = f->ifindex, .weight = 1, .generation = f->generation };
	struct rib_route route = {
		.source = f->source,
		.type = f->type,
		.metric = f->metric,
		.generation = f->generation,
		.n_hops = f->ifindex != 0,
		.hops = &hop,
	};

	if (is_del)
		rib_del(rib, &f->prefix, &route);
	else
		rib_add(rib, &f->prefix, &route, replace);
}

// Plays the mirror: what has candidates is installed and covers.
static void settle(struct rib *rib)
{
	struct rib_entry *entry;

	while ((entry = rib_pop_dirty(rib)) != NULL) {
		entry->nexthop = entry->routes != NULL;
		entry->is_cover = entry->routes != NULL;
		rib_settle(rib, entry);
	}
}

// What compare_all hands through the walk.
struct compared {
	unsigned int n_facts; // of the account
	unsigned int n_entries;
	unsigned int n_wrong;
	bool has_last;
	struct ip6_prefix last;
};

static bool is_in_model(
	const struct ip6_prefix *prefix, const struct rib_route *r, uint32_t ifindex)
{
	const struct fact wanted = {
		.prefix = *prefix, .source = r->source, .type = r->type, .metric = r->metric
	};

	for (unsigned int i = 0; i < n_facts; i++) {
		if (same_candidate(&facts[i], &wanted) && facts[i].ifindex == ifindex)
			return true;
	}
	return false;
}

static bool compare_entry(struct rib_entry *entry, void *arg)
{
	struct compared *c = arg;
	const struct rib_route *before = NULL;

	c->n_entries++;
	if (c->has_last) { // in order of address, shorter first
		int order = memcmp(c->last.addr.b, entry->prefix.addr.b, sizeof(c->last.addr.b));

		c->n_wrong += order > 0 || (order == 0 && c->last.len >= entry->prefix.len);
	}
	c->last = entry->prefix;
	c->has_last = true;
	for (const struct rib_route *r = entry->routes; r != NULL; r = r->next) {
		if (before != NULL) // best first
			c->n_wrong += before->source > r->source ||
				      (before->source == r->source && before->metric > r->metric);
		before = r;
		for (unsigned int i = 0; i < r->n_hops; i++)
			c->n_wrong += !is_in_model(&entry->prefix, r, r->hops[i].ifindex);
		if (r->n_hops == 0)
			c->n_wrong += !is_in_model(&entry->prefix, r, 0);
		c->n_facts += r->n_hops != 0 ? r->n_hops : 1;
	}
	return true;
}

static int model_cover(const struct ip6 *a)
{
	int best = -1;

	for (unsigned int i = 0; i < n_facts; i++) {
		if (prefix_contains(&facts[i].prefix, a) && facts[i].prefix.len > best)
			best = facts[i].prefix.len;
	}
	return best;
}

static void compare_all(struct rib *rib)
{
	struct compared c = { 0 };

	rib_walk(rib, compare_entry, &c);
	CU_ASSERT_EQUAL_FATAL(c.n_wrong, 0);
	CU_ASSERT_EQUAL_FATAL(c.n_facts, n_facts);
	CU_ASSERT_EQUAL_FATAL(c.n_entries, rib_n_entries(rib));
	for (unsigned int i = 0; i < 50; i++) {
		struct ip6 a = random_prefix().addr;
		const struct rib_entry *found = rib_cover(rib, &a);

		CU_ASSERT_EQUAL_FATAL(found == NULL ? -1 : found->prefix.len, model_cover(&a));
	}
}

static void test_random(void)
{
	struct rib *rib = rib_make();

	CU_ASSERT_PTR_NOT_NULL_FATAL(rib);
	srand(20261);
	n_facts = 0;
	for (unsigned int i = 0; i < N_OPERATIONS; i++) {
		struct fact f = random_fact(1);
		bool is_del = rand() % 2 != 0;
		bool replace = rand() % 4 == 0;

		apply(rib, &f, is_del, replace);
		if (is_del)
			model_del(&f);
		else
			model_add(&f, replace);
		if (rand() % 3 == 0)
			settle(rib);
		if (i % 400 == 0) {
			settle(rib);
			compare_all(rib);
		}
	}
	CU_ASSERT_EQUAL(rib_failures(rib), 0);
	rib_free(rib);
}

static void test_sweep(void)
{
	struct rib *rib = rib_make();

	CU_ASSERT_PTR_NOT_NULL_FATAL(rib);
	srand(20262);
	n_facts = 0;
	for (uint32_t generation = 1; generation <= N_SWEEPS; generation++) {
		unsigned int before = n_facts;
		uint8_t source = generation % 2 != 0 ? RIB_KERNEL : RIB_LOCAL;

		for (unsigned int i = 0; i < 300; i++) {
			struct fact f = random_fact(generation);

			apply(rib, &f, false, false);
			model_add(&f, false);
		}
		settle(rib);
		compare_all(rib);
		before = n_facts;
		model_sweep(source, generation);
		CU_ASSERT_EQUAL(rib_sweep(rib, source, generation) > 0, before != n_facts);
		settle(rib);
		compare_all(rib);
	}
	rib_free(rib);
}

static void test_changes_are_reported(void)
{
	struct fact f = { .prefix = { .addr = { { 0x20 } }, .len = 8 },
		.source = RIB_KERNEL,
		.type = UNICAST,
		.ifindex = 2,
		.generation = 1 };
	struct rib_hop hops[2] = { { .ifindex = 2, .weight = 1 }, { .ifindex = 3, .weight = 1 } };
	struct rib_route route = {
		.source = RIB_KERNEL, .type = UNICAST, .n_hops = 2, .hops = hops, .generation = 2
	};
	struct rib *rib = rib_make();

	CU_ASSERT_PTR_NOT_NULL_FATAL(rib);
	apply(rib, &f, false, false);
	settle(rib);
	CU_ASSERT_TRUE(rib_add(rib, &f.prefix, &route, false)); // a second way
	settle(rib);
	CU_ASSERT_FALSE(rib_add(rib, &f.prefix, &route, false)); // nothing new
	CU_ASSERT_FALSE(rib_add(rib, &f.prefix, &route, true));
	CU_ASSERT_PTR_NULL(rib_pop_dirty(rib));
	hops[1].weight = 7;
	CU_ASSERT_TRUE(rib_add(rib, &f.prefix, &route, false));
	settle(rib);
	route.n_hops = 1;
	CU_ASSERT_TRUE(rib_del(rib, &f.prefix, &route)); // one of two ways
	settle(rib);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rib_find(rib, &f.prefix));
	CU_ASSERT_EQUAL(rib_find(rib, &f.prefix)->routes->n_hops, 1);
	CU_ASSERT_EQUAL(rib_find(rib, &f.prefix)->routes->hops[0].ifindex, 3);
	CU_ASSERT_FALSE(rib_del(rib, &f.prefix, &route)); // gone already
	rib_free(rib);
}

static void test_object_replaces(void)
{
	struct ip6_prefix prefix = { .addr = { { 0x20 } }, .len = 16 };
	struct rib_hop hop = { .ifindex = 2, .weight = 1 };
	struct rib_route route = {
		.source = RIB_KERNEL, .type = UNICAST, .n_hops = 1, .hops = &hop, .nexthop_id = 5
	};
	struct rib *rib = rib_make();

	CU_ASSERT_PTR_NOT_NULL_FATAL(rib);
	CU_ASSERT_TRUE(rib_add(rib, &prefix, &route, false));
	settle(rib);
	hop.ifindex = 3;
	route.nexthop_id = 6;
	CU_ASSERT_TRUE(rib_add(rib, &prefix, &route, false)); // no merging
	settle(rib);
	CU_ASSERT_EQUAL(rib_find(rib, &prefix)->routes->n_hops, 1);
	CU_ASSERT_EQUAL(rib_find(rib, &prefix)->routes->nexthop_id, 6);
	CU_ASSERT_TRUE(rib_del(rib, &prefix, &route));
	settle(rib);
	CU_ASSERT_EQUAL(rib_n_entries(rib), 0);
	rib_free(rib);
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "random operations equal a naive model", test_random },
		{ "mark and sweep equal a naive model", test_sweep },
		{ "only changes are reported", test_changes_are_reported },
		{ "routes by a nexthop object do not merge", test_object_replaces },
		CU_TEST_INFO_NULL,
	};

	return suite_run("rib", tests);
}
