// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Binding table, FIBs and the policing of signalling, as their users call them: in bulks of a burst, with
// keys at random, reading what was found.

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>

#include "dataplane/fib.h"
#include "dataplane/police.h"
#include "dataplane/rcu.h"
#include "perf/bench_traffic.h"
#include "perf/micro.h"

enum { HOME_PREFIX = 1, SENDERS = 1000000 };

// In 2400::/16, behind one of n_routes /48.
static struct ip6 routed(uint32_t i, uint32_t n_routes)
{
	struct ip6 a = { .b = { 0x24, 0 } };
	uint32_t route = rte_cpu_to_be_32((uint32_t)((uint64_t)(i * 2654435761u) * n_routes >> 32));

	memcpy(a.b + 2, &route, sizeof(route));
	i = rte_cpu_to_be_32(i);
	memcpy(a.b + 12, &i, sizeof(i));
	return a;
}

static union bindtab_key key_of(uint32_t mobile)
{
	const struct ip6 home = traffic_home(mobile);
	union bindtab_key key;

	bindtab_key_make(&key, &home, HOME_PREFIX, 128);
	return key;
}

static void retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	(void)ctx;
	(void)handle;
	(void)entry;
}

static int binding_set(struct bindtab *tab, uint32_t mobile, uint32_t generation)
{
	const struct binding b = { .care_of = traffic_care_of(mobile),
		.home_prefix = HOME_PREFIX,
		.generation = generation };
	const union bindtab_key key = key_of(mobile);

	return bindtab_set(tab, &key, mobile, &b);
}

struct bindtab *micro_bindings(uint32_t n, unsigned int rounds)
{
	struct bindtab *tab = bindtab_new(n, retired, NULL);
	uint32_t i = 0;

	if (tab == NULL)
		return NULL;
	for (unsigned int r = 0; r < rounds; r++) {
		uint32_t end = (uint32_t)((uint64_t)n * (r + 1) / rounds), first = i;
		uint64_t start = micro_tsc();
		int error = 0;

		for (; i < end && error == 0; i++)
			error = binding_set(tab, i, 0);
		if (error != 0) {
			bindtab_free(tab);
			return NULL;
		}
		if (end > first)
			micro_sample(
				"bindtab insert", n, (double)(micro_tsc() - start) / (end - first));
		micro_round_end();
	}
	return tab;
}

// Look-ups of bursts among n bindings from number first on, reading what was found.
static void lookups(
	const char *row, struct bindtab *tab, uint32_t n, uint32_t first, uint32_t operations)
{
	union bindtab_key keys[MICRO_BURST];
	struct binding *found[MICRO_BURST];
	volatile uint64_t sum = 0;

	for (uint32_t done = 0; done < operations; done += MICRO_BURST) {
		uint64_t start, read = 0;

		for (unsigned int i = 0; i < MICRO_BURST; i++)
			keys[i] = key_of(first + micro_random(n));
		start = micro_tsc();
		bindtab_lookup_bulk(tab, keys, found, MICRO_BURST);
		for (unsigned int i = 0; i < MICRO_BURST; i++)
			read += found[i] != NULL ? found[i]->packets_down : 1;
		sum = sum + read;
		micro_sample(row, n, (double)(micro_tsc() - start) / MICRO_BURST);
	}
}

// New versions of bindings, with the grace periods of all. Their care-of addresses stay, so that the stages
// can go on with this table.
static void changes(struct bindtab *tab, uint32_t n, uint32_t operations)
{
	static uint32_t generation;

	for (uint32_t done = 0; done < operations; done += MICRO_BURST) {
		uint64_t start = micro_tsc();

		for (unsigned int i = 0; i < MICRO_BURST; i++) {
			uint32_t mobile = micro_random(n);

			while (binding_set(tab, mobile, ++generation) == -EAGAIN)
				bindtab_poll(tab);
		}
		bindtab_poll(tab);
		micro_sample("bindtab change", n, (double)(micro_tsc() - start) / MICRO_BURST);
	}
}

void micro_bindtab_round(struct bindtab *tab, uint32_t n, uint32_t operations)
{
	lookups("bindtab look-up", tab, n, 0, operations);
	lookups("bindtab look-up, absent", tab, n, UINT32_MAX / 2, operations);
	changes(tab, n, operations / 4);
}

void micro_police_round(uint32_t operations)
{
	police_budget_set(POLICE_UNKNOWN, 100000000);
	for (uint32_t done = 0; done < operations; done += MICRO_BURST) {
		uint64_t start = micro_tsc();

		for (unsigned int i = 0; i < MICRO_BURST; i++)
			police_take(POLICE_UNKNOWN, micro_random(SENDERS) * 0x9e3779b97f4a7c15u | 1,
				start);
		micro_sample(
			"police, a token", SENDERS, (double)(micro_tsc() - start) / MICRO_BURST);
	}
}

// Routes of the FIBs: 2400:R::/48 (R of 32 bits) and, over IPv4, R.x.x/24. Next hop 1 for all.
static int routes_add(uint32_t n_routes)
{
	int error = 0;

	for (uint32_t r = 0; r < n_routes && error == 0; r++) {
		uint32_t route = rte_cpu_to_be_32(r), ip4 = rte_cpu_to_be_32((r + 0x010000) << 8);
		struct ip6_prefix p = { .addr = { .b = { 0x24, 0 } }, .len = 48 };

		memcpy(p.addr.b + 2, &route, sizeof(route));
		error = fib_set(0, FIB_IP6, &p, 1, false);
		p = (struct ip6_prefix){ .addr = { .b = { [10] = 0xff, [11] = 0xff } },
			.len = 120 };
		memcpy(p.addr.b + 12, &ip4, sizeof(ip4));
		if (error == 0)
			error = fib_set(0, FIB_IP4, &p, 1, false);
	}
	fib_commit();
	return error;
}

static int fib_round(uint32_t n_routes, uint32_t operations)
{
	struct ip6 dst6[MICRO_BURST];
	uint32_t dst4_be[MICRO_BURST], out6[MICRO_BURST], out4[MICRO_BURST];
	uint64_t found = 0, done;

	for (done = 0; done < operations; done += MICRO_BURST) {
		uint64_t t[3];

		for (unsigned int i = 0; i < MICRO_BURST; i++) {
			uint32_t r = micro_random(n_routes);

			dst6[i] = routed(micro_random(UINT32_MAX), n_routes);
			dst4_be[i] = rte_cpu_to_be_32((r + 0x010000) << 8 | (r & 0xff));
		}
		t[0] = micro_tsc();
		fib6_lookup_bulk(0, dst6, out6, MICRO_BURST);
		t[1] = micro_tsc();
		fib4_lookup_bulk(0, dst4_be, out4, MICRO_BURST);
		t[2] = micro_tsc();
		micro_sample("fib6 look-up", n_routes, (double)(t[1] - t[0]) / MICRO_BURST);
		micro_sample("fib4 look-up", n_routes, (double)(t[2] - t[1]) / MICRO_BURST);
		for (unsigned int i = 0; i < MICRO_BURST; i++)
			found += out6[i] + out4[i];
	}
	micro_round_end();
	return found == 2 * done ? 0 : -EIO;
}

int micro_fib(uint32_t n_routes, unsigned int rounds, uint32_t operations)
{
	int error = fib_init(1, n_routes + 16, n_routes + 16);

	if (error == 0)
		error = routes_add(n_routes);
	for (unsigned int r = 0; r < rounds && error == 0; r++)
		error = fib_round(n_routes, operations);
	fib_free();
	return error;
}
