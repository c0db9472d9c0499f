// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/fib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lpm6.h>
#include <rte_memory.h>

#include "dataplane/base/log.h"
#include "dataplane/rcu.h"

enum {
	BULK = 64,
	TBL24_BYTES = 64 * 1024 * 1024,
	TBL8_BYTES = 1024,
	RULE_BYTES = 192, // hash slot with its key store
	TBL8_PER_ROUTE = 4, // a random /48 takes 3, a /64 behind it few more, a /128 up to 13
	TBL8_MIN = 4096,
	TBL8_MAX = 1 << 20,
	OWN_ROUTES = 2048, // home prefixes and what is always there
};

// Everything that one look-up needs, so that it is swapped in one piece.
struct fib {
	struct rte_lpm6 *lpm;
	uint32_t default_nexthop; // ::/0, which the library does not take
};

// A change that is in the shadow already and must still be made to the other table.
struct change {
	struct ip6_prefix prefix;
	uint32_t nexthop;
	bool is_del;
};

static struct fib fibs[2];
static struct fib *active; // published; workers read it with rcu_load
static struct change *journal;
static size_t n_journal;
static size_t journal_room;

static uint32_t rules(uint32_t max_routes)
{
	return max_routes + OWN_ROUTES;
}

static uint32_t tbl8s(uint32_t max_routes)
{
	uint64_t n = (uint64_t)rules(max_routes) * TBL8_PER_ROUTE + TBL8_MIN;

	return n > TBL8_MAX ? TBL8_MAX : (uint32_t)n;
}

uint64_t fib6_memory(uint32_t max_routes)
{
	return 2 * (TBL24_BYTES + (uint64_t)tbl8s(max_routes) * (TBL8_BYTES + 16) +
			   (uint64_t)rules(max_routes) * RULE_BYTES);
}

int fib6_init(uint32_t max_routes)
{
	static const char *const names[2] = { "fib6_a", "fib6_b" };
	struct rte_lpm6_config config = {
		.max_rules = rules(max_routes),
		.number_tbl8s = tbl8s(max_routes),
	};

	for (unsigned int i = 0; i < 2; i++) {
		fibs[i].default_nexthop = 0;
		fibs[i].lpm = rte_lpm6_create(names[i], SOCKET_ID_ANY, &config);
		if (fibs[i].lpm == NULL) {
			log_err("fib_no_memory key=dataplane.max_routes max_routes=%u need_mb=%llu",
				max_routes, (unsigned long long)(fib6_memory(max_routes) >> 20));
			fib6_free();
			return -ENOMEM;
		}
	}
	rcu_publish(&active, &fibs[0]);
	return 0;
}

void fib6_free(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		rte_lpm6_free(fibs[i].lpm);
		fibs[i].lpm = NULL;
	}
	free(journal);
	journal = NULL;
	n_journal = journal_room = 0;
	active = NULL;
}

void fib6_lookup_bulk(const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	const struct fib *fib = rcu_load(&active);
	uint8_t keys[BULK][16];
	int32_t found[BULK];

	// The library wants writable keys and hands back -1 for a miss.
	memcpy(keys, dst, n * sizeof(keys[0]));
	rte_lpm6_lookup_bulk_func(fib->lpm, keys, found, n);
	for (unsigned int i = 0; i < n; i++)
		out[i] = found[i] < 0 ? fib->default_nexthop : (uint32_t)found[i];
}

static struct fib *shadow(void)
{
	return active == &fibs[0] ? &fibs[1] : &fibs[0];
}

// Makes one change to one table. Returns: 0, -ENOSPC, -ENOENT.
static int apply(struct fib *fib, const struct change *change)
{
	const struct ip6_prefix *p = &change->prefix;
	uint32_t old;

	if (p->len == 0) {
		fib->default_nexthop = change->is_del ? 0 : change->nexthop;
		return 0;
	}
	if (!change->is_del)
		return rte_lpm6_add(fib->lpm, p->addr.b, p->len, change->nexthop) == 0 ? 0
										       : -ENOSPC;
	if (rte_lpm6_is_rule_present(fib->lpm, p->addr.b, p->len, &old) != 1)
		return -ENOENT;
	return rte_lpm6_delete(fib->lpm, p->addr.b, p->len) == 0 ? 0 : -ENOENT;
}

// Changes the shadow and notes the change for the other table.
static int enter(const struct change *change)
{
	int error;

	if (n_journal == journal_room) {
		size_t room = journal_room == 0 ? 1024 : journal_room * 2;
		struct change *more = realloc(journal, room * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		journal = more;
		journal_room = room;
	}
	error = apply(shadow(), change);
	if (error == 0)
		journal[n_journal++] = *change;
	return error;
}

int fib6_set(const struct ip6_prefix *prefix, uint32_t nexthop)
{
	struct change change = { .prefix = *prefix, .nexthop = nexthop };

	return enter(&change);
}

int fib6_del(const struct ip6_prefix *prefix)
{
	struct change change = { .prefix = *prefix, .is_del = true };

	return enter(&change);
}

bool fib6_commit(void)
{
	if (n_journal == 0)
		return false;
	rcu_publish(&active, shadow());
	rcu_wait();
	for (size_t i = 0; i < n_journal; i++) {
		int error = apply(shadow(), &journal[i]);

		// Both tables had the same contents and sizes, so what fitted into one fits.
		if (error != 0)
			log_err("fib_tables_differ error=%s", strerror(-error));
	}
	n_journal = 0;
	return true;
}
