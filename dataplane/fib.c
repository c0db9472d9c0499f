// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/fib.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lpm6.h>
#include <rte_memory.h>

#include "dataplane/base/log.h"
#include "dataplane/lpm.h"
#include "dataplane/rcu.h"

enum {
	BULK = 64,
	TBL24_BYTES = 64 * 1024 * 1024,
	TBL8_BYTES = 1024,
	RULE_BYTES = 192, // hash slot with its key store
	// One for each /24 with longer prefixes inside, of which full tables have few.
	TBL8_MAX4 = 1 << 16,
	OWN_ROUTES = 2048, // home prefixes and what is always there
	V4MAPPED_BITS = 96,
};

// Everything that one look-up needs, so that it is swapped in one piece: for IPv6 lpm, for IPv4 the
// library's table, which answers for a full table with one or two reads. Prefixes of IPv6 are too deep
// for it.
struct side {
	struct lpm *lpm;
	struct rte_lpm6 *lpm4;
	uint32_t default4_nexthop; // the default route, which the library does not take
};

// A change that is in the shadow already and must still be made to the other side.
struct change {
	struct ip6_prefix prefix; // IPv4: a.b.c.d::/n
	uint32_t nexthop;
	bool is_favorite;
	bool is_del;
};

// The table of one domain and family.
struct fib {
	struct side sides[2];
	struct side *active; // published; workers read it with rcu_load
	struct change *journal;
	size_t n_journal;
	size_t journal_room;
};

static struct fib fibs[CONFIG_MAX_DOMAINS][FIB_FAMILIES];

static uint32_t rules(uint32_t max_routes)
{
	return max_routes + OWN_ROUTES;
}

static uint32_t tbl8s(uint32_t max_routes)
{
	return rules(max_routes) > TBL8_MAX4 ? TBL8_MAX4 : rules(max_routes);
}

uint64_t fib_memory(uint8_t n_domains, uint32_t max_ip4, uint32_t max_ip6)
{
	uint64_t ip4 = TBL24_BYTES + (uint64_t)tbl8s(max_ip4) * (TBL8_BYTES + 16) +
		       (uint64_t)rules(max_ip4) * RULE_BYTES;

	return (uint64_t)n_domains * 2 * (ip4 + lpm_memory(rules(max_ip6)));
}

static int make(struct fib *fib, uint8_t domain, enum fib_family family, uint32_t max_routes)
{
	struct rte_lpm6_config config = {
		.max_rules = rules(max_routes),
		.number_tbl8s = tbl8s(max_routes),
	};
	char name[24];

	for (unsigned int i = 0; i < 2; i++) {
		struct side *side = &fib->sides[i];

		snprintf(name, sizeof(name), "fib%c_%u%c", family == FIB_IP4 ? '4' : '6', domain,
			'a' + (char)i);
		if (family == FIB_IP4)
			side->lpm4 = rte_lpm6_create(name, SOCKET_ID_ANY, &config);
		else
			side->lpm = lpm_new(name, rules(max_routes));
		if (side->lpm4 == NULL && side->lpm == NULL)
			return -ENOMEM;
	}
	rcu_publish(&fib->active, &fib->sides[0]);
	return 0;
}

int fib_init(uint8_t n_domains, uint32_t max_ip4, uint32_t max_ip6)
{
	int error = 0;

	for (unsigned int i = 0; i < n_domains * FIB_FAMILIES && error == 0; i++) {
		uint8_t domain = (uint8_t)(i / FIB_FAMILIES);
		enum fib_family family = i % FIB_FAMILIES;

		error = make(&fibs[domain][family], domain, family,
			family == FIB_IP4 ? max_ip4 : max_ip6);
	}
	if (error != 0) {
		log_err("fib_no_memory key=dataplane.max_routes max_routes=%u max_routes_ip6=%u "
			"domains=%u need_mb=%llu",
			max_ip4, max_ip6, n_domains,
			(unsigned long long)(fib_memory(n_domains, max_ip4, max_ip6) >> 20));
		fib_free();
	}
	return error;
}

void fib_free(void)
{
	for (unsigned int i = 0; i < CONFIG_MAX_DOMAINS * FIB_FAMILIES; i++) {
		struct fib *fib = &fibs[i / FIB_FAMILIES][i % FIB_FAMILIES];

		for (unsigned int side = 0; side < 2; side++) {
			lpm_free(fib->sides[side].lpm);
			rte_lpm6_free(fib->sides[side].lpm4);
		}
		free(fib->journal);
		*fib = (struct fib){ 0 };
	}
}

void fib6_lookup_bulk(uint8_t domain, const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	const struct side *side = rcu_load(&fibs[domain][FIB_IP6].active);

	lpm_lookup_bulk(side->lpm, dst, out, n);
}

// The library wants writable keys and hands back -1 for a miss.
void fib4_lookup_bulk(uint8_t domain, const uint32_t *dst_be, uint32_t *out, unsigned int n)
{
	const struct side *side = rcu_load(&fibs[domain][FIB_IP4].active);
	uint8_t keys[BULK][16];
	int32_t found[BULK];

	for (unsigned int i = 0; i < n; i++) // no prefix reaches beyond these bytes
		memcpy(keys[i], &dst_be[i], sizeof(dst_be[i]));
	rte_lpm6_lookup_bulk_func(side->lpm4, keys, found, n);
	for (unsigned int i = 0; i < n; i++)
		out[i] = found[i] < 0 ? side->default4_nexthop : (uint32_t)found[i];
}

static struct side *shadow(struct fib *fib)
{
	return fib->active == &fib->sides[0] ? &fib->sides[1] : &fib->sides[0];
}

static int apply4(struct side *side, const struct change *change)
{
	const struct ip6_prefix *p = &change->prefix;
	uint32_t old;

	if (p->len == 0) {
		side->default4_nexthop = change->is_del ? 0 : change->nexthop;
		return 0;
	}
	if (!change->is_del)
		return rte_lpm6_add(side->lpm4, p->addr.b, p->len, change->nexthop) == 0 ? 0
											 : -ENOSPC;
	if (rte_lpm6_is_rule_present(side->lpm4, p->addr.b, p->len, &old) != 1)
		return -ENOENT;
	return rte_lpm6_delete(side->lpm4, p->addr.b, p->len) == 0 ? 0 : -ENOENT;
}

// Makes one change to one side. Returns: 0, -ENOSPC, -ENOENT.
static int apply(struct side *side, const struct change *change)
{
	if (side->lpm == NULL)
		return apply4(side, change);
	if (change->is_del)
		return lpm_del(side->lpm, &change->prefix);
	return lpm_set(side->lpm, &change->prefix, change->nexthop, change->is_favorite);
}

// Changes the shadow and notes the change for the other side.
static int enter(struct fib *fib, const struct change *change)
{
	int error;

	if (fib->n_journal == fib->journal_room) {
		size_t room = fib->journal_room == 0 ? 1024 : fib->journal_room * 2;
		struct change *more = realloc(fib->journal, room * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		fib->journal = more;
		fib->journal_room = room;
	}
	error = apply(shadow(fib), change);
	if (error == 0)
		fib->journal[fib->n_journal++] = *change;
	return error;
}

// a.b.c.d/n as a.b.c.d::/n.
static struct ip6_prefix key_of(enum fib_family family, const struct ip6_prefix *prefix)
{
	struct ip6_prefix key = { .len = (uint8_t)(prefix->len - V4MAPPED_BITS) };

	if (family == FIB_IP6)
		return *prefix;
	memcpy(key.addr.b, prefix->addr.b + V4MAPPED_BITS / 8, 4);
	return key;
}

int fib_set(uint8_t domain, enum fib_family family, const struct ip6_prefix *prefix,
	uint32_t nexthop, bool is_favorite)
{
	struct change change = {
		.prefix = key_of(family, prefix), .nexthop = nexthop, .is_favorite = is_favorite
	};

	return enter(&fibs[domain][family], &change);
}

int fib_del(uint8_t domain, enum fib_family family, const struct ip6_prefix *prefix)
{
	struct change change = { .prefix = key_of(family, prefix), .is_del = true };

	return enter(&fibs[domain][family], &change);
}

// Makes the published changes to the side that nobody reads any more.
static void catch_up(struct fib *fib)
{
	for (size_t i = 0; i < fib->n_journal; i++) {
		int error = apply(shadow(fib), &fib->journal[i]);

		// Both sides had the same contents and sizes, so what fitted into one fits.
		if (error != 0)
			log_err("fib_tables_differ error=%s", strerror(-error));
	}
	fib->n_journal = 0;
}

bool fib_commit(void)
{
	struct fib *const first = &fibs[0][0];
	bool is_changed = false;

	for (struct fib *fib = first; fib < first + CONFIG_MAX_DOMAINS * FIB_FAMILIES; fib++) {
		if (fib->n_journal == 0)
			continue;
		rcu_publish(&fib->active, shadow(fib));
		is_changed = true;
	}
	if (!is_changed)
		return false;
	rcu_wait();
	for (struct fib *fib = first; fib < first + CONFIG_MAX_DOMAINS * FIB_FAMILIES; fib++)
		catch_up(fib);
	return true;
}
