// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "ike/xfrm_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/secret.h"
#include "dataplane/base/wire.h"

enum {
	MH_HOME_TEST_INIT = 1, // RFC 6275 section 6.1.3
	MH_HOME_TEST = 3,
	MAX_POLICIES = 32, // of one mobile: each use, each direction, some types of their own
	INBOUND_OF_USE = 2,
};

struct mobile;

// What has one reqid.
struct group {
	uint32_t reqid;
	struct held *sas; // newest first
	struct mobile **mobiles; // owned; whose policies ask for it
	size_t n_mobiles, room;
};

struct held {
	struct xfrm_sa_id id; // key of the tree
	struct xfrm_sa sa;
	struct group *group;
	struct held *next, **at; // in the group
	bool is_fresh; // set again since sas_begin
};

// A policy as seen from the home agent.
struct rule {
	uint8_t use, direction;
	bool is_tunnel;
	struct group *group;
	struct xfrm_traffic traffic;
};

struct mobile {
	struct ip6 home, agent; // key of the tree
	struct rule rules[MAX_POLICIES];
	unsigned int n_rules;
	bool has_told, is_dirty;
	struct mobile *next_dirty;
};

struct xfrm_table {
	void *sas, *groups, *mobiles; // of tsearch
	struct secret_pool pool; // of struct held
	struct mobile *dirty;
	bool is_dumping; // the kernel lists the newest SA first then
	struct xfrm_table_counts counts;
	xfrm_table_changed_fn changed;
	void *ctx;
};

static int compare_sas(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct xfrm_sa_id)); // both begin with it
}

static int compare_groups(const void *a, const void *b)
{
	uint32_t x = ((const struct group *)a)->reqid, y = ((const struct group *)b)->reqid;

	return x < y ? -1 : x > y;
}

static int compare_mobiles(const void *a, const void *b)
{
	return memcmp(a, b, 2 * sizeof(struct ip6));
}

// The one of *key, or a new one of size bytes that is a copy of the first key_size of it. NULL: no memory.
static void *find_or_add(
	void **tree, const void *key, size_t size, int (*compare)(const void *, const void *))
{
	void *made, **node = tfind(key, tree, compare);

	if (node != NULL)
		return *node;
	made = malloc(size);
	if (made == NULL)
		return NULL;
	memcpy(made, key, size);
	node = tsearch(made, tree, compare);
	if (node == NULL) {
		free(made);
		return NULL;
	}
	return made;
}

static void mark(struct xfrm_table *table, struct mobile *mobile)
{
	if (mobile->is_dirty)
		return;
	mobile->is_dirty = true;
	mobile->next_dirty = table->dirty;
	table->dirty = mobile;
}

static void mark_group(struct xfrm_table *table, const struct group *group)
{
	for (size_t i = 0; i < group->n_mobiles; i++)
		mark(table, group->mobiles[i]);
}

struct xfrm_table *xfrm_table_new(xfrm_table_changed_fn changed, void *ctx)
{
	struct xfrm_table *table = calloc(1, sizeof(*table));

	if (table != NULL) {
		table->pool.size = sizeof(struct held);
		table->changed = changed;
		table->ctx = ctx;
	}
	return table;
}

// The one of *id, or a new one in locked memory. NULL: no memory.
static struct held *find_or_add_held(struct xfrm_table *table, const struct xfrm_sa_id *id)
{
	struct held *made, *const *node = tfind(id, &table->sas, compare_sas);

	if (node != NULL)
		return *node;
	made = secret_pool_get(&table->pool);
	if (made == NULL)
		return NULL;
	made->id = *id;
	if (tsearch(made, &table->sas, compare_sas) != NULL)
		return made;
	secret_pool_put(&table->pool, made);
	return NULL;
}

static void keep(void *node)
{
	(void)node; // the pool's
}

static void group_free(void *node)
{
	free(((struct group *)node)->mobiles);
	free(node);
}

void xfrm_table_free(struct xfrm_table *table)
{
	if (table == NULL)
		return;
	tdestroy(table->sas, keep);
	tdestroy(table->groups, group_free);
	tdestroy(table->mobiles, free);
	secret_pool_fini(&table->pool);
	free(table);
}

static void group_leave(struct held *entry)
{
	*entry->at = entry->next;
	if (entry->next != NULL)
		entry->next->at = entry->at;
}

// Puts an entry behind the newer ones. Of one second the kernel's order tells which is newer.
static void group_join(const struct xfrm_table *table, struct held *entry, struct group *group)
{
	struct held **at = &group->sas;

	while (*at != NULL &&
		((*at)->sa.added_s > entry->sa.added_s ||
			(table->is_dumping && (*at)->sa.added_s == entry->sa.added_s)))
		at = &(*at)->next;
	entry->group = group;
	entry->at = at;
	entry->next = *at;
	if (entry->next != NULL)
		entry->next->at = &entry->next;
	*at = entry;
}

int xfrm_table_set_sa(struct xfrm_table *table, const struct xfrm_sa *sa)
{
	struct group group_key = { .reqid = sa->reqid }, *group;
	struct xfrm_sa_id id = { .dst = sa->dst, .spi = sa->a.spi };
	struct held *entry;

	group = find_or_add(&table->groups, &group_key, sizeof(group_key), compare_groups);
	entry = group != NULL ? find_or_add_held(table, &id) : NULL;
	if (entry == NULL)
		return -ENOMEM;
	entry->is_fresh = true;
	if (entry->group == NULL) {
		table->counts.n_sas++;
	} else {
		mark_group(table, entry->group);
		group_leave(entry);
	}
	entry->sa = *sa;
	group_join(table, entry, group);
	mark_group(table, group);
	return 0;
}

static void delete_held(struct xfrm_table *table, struct held *entry)
{
	mark_group(table, entry->group);
	group_leave(entry);
	tdelete(entry, &table->sas, compare_sas);
	secret_pool_put(&table->pool, entry);
	table->counts.n_sas--;
}

void xfrm_table_delete_sa(struct xfrm_table *table, const struct xfrm_sa_id *id)
{
	struct held *const *node = tfind(id, &table->sas, compare_sas);

	if (node != NULL)
		delete_held(table, *node);
}

// What a policy is for, or 0. RFC 3776 section 4.1, RFC 4877 section 5.
static uint8_t use_of(const struct xfrm_policy *policy)
{
	const struct xfrm_traffic *t = &policy->traffic;

	if (!policy->is_tunnel)
		return t->proto == PROTO_MH      ? API_SA_SIGNALLING
		       : t->proto == PROTO_ICMP6 ? API_SA_DISCOVERY
						 : 0;
	if (t->proto == PROTO_MH)
		return !t->has_type || t->type == MH_HOME_TEST_INIT || t->type == MH_HOME_TEST
			       ? API_SA_ROUTABILITY
			       : 0;
	return t->proto == 0 ? API_SA_PAYLOAD : 0;
}

static int group_add_mobile(struct group *group, struct mobile *mobile)
{
	for (size_t i = 0; i < group->n_mobiles; i++) {
		if (group->mobiles[i] == mobile)
			return 0;
	}
	if (group->n_mobiles == group->room) {
		size_t room = group->room == 0 ? 1 : 2 * group->room;
		struct mobile **more = reallocarray(group->mobiles, room, sizeof(struct mobile *));

		if (more == NULL)
			return -ENOMEM;
		group->mobiles = more;
		group->room = room;
	}
	group->mobiles[group->n_mobiles++] = mobile;
	return 0;
}

static void forget_mobiles(const void *node, VISIT which, void *unused)
{
	struct group *group = *(struct group *const *)node;

	(void)unused;
	if (which == postorder || which == leaf)
		group->n_mobiles = 0;
}

static void forget_rules(const void *node, VISIT which, void *table)
{
	struct mobile *mobile = *(struct mobile *const *)node;

	if (which != postorder && which != leaf)
		return;
	mobile->n_rules = 0;
	mark(table, mobile);
}

void xfrm_table_policies_begin(struct xfrm_table *table)
{
	twalk_r(table->groups, forget_mobiles, NULL);
	twalk_r(table->mobiles, forget_rules, table);
	table->counts.n_policies = 0;
}

int xfrm_table_add_policy(struct xfrm_table *table, const struct xfrm_policy *policy)
{
	const struct xfrm_traffic *t = &policy->traffic;
	struct mobile key = { .home = policy->is_in ? t->src : t->dst }, *mobile;
	struct group group_key = { .reqid = policy->reqid };
	struct rule rule = {
		.use = use_of(policy),
		.direction = policy->is_in ? API_SA_IN : API_SA_OUT,
		.is_tunnel = policy->is_tunnel,
		.traffic = *t,
	};

	if (policy->is_tunnel)
		key.agent = policy->is_in ? policy->tunnel_dst : policy->tunnel_src;
	else
		key.agent = policy->is_in ? t->dst : t->src;
	if (rule.use == 0 || ip6_is_any(&key.home) || ip6_is_any(&key.agent))
		return 0;
	rule.group = find_or_add(&table->groups, &group_key, sizeof(group_key), compare_groups);
	mobile = find_or_add(&table->mobiles, &key, sizeof(key), compare_mobiles);
	if (rule.group == NULL || mobile == NULL || group_add_mobile(rule.group, mobile) != 0)
		return -ENOMEM;
	if (mobile->n_rules == MAX_POLICIES)
		return 0;
	mobile->rules[mobile->n_rules++] = rule;
	table->counts.n_policies++;
	mark(table, mobile);
	return 0;
}

// Nodes that a walk found; a tree must not change while it is walked.
struct found {
	void *list[64];
	size_t n;
};

static void found_add(struct found *found, void *node)
{
	if (found->n < sizeof(found->list) / sizeof(found->list[0]))
		found->list[found->n++] = node;
}

static void collect_empty(const void *node, VISIT which, void *found)
{
	struct group *group = *(struct group *const *)node;

	if ((which == postorder || which == leaf) && group->sas == NULL && group->n_mobiles == 0)
		found_add(found, group);
}

void xfrm_table_policies_end(struct xfrm_table *table)
{
	struct found found;

	xfrm_table_tell(table);
	do {
		found.n = 0;
		twalk_r(table->groups, collect_empty, &found);
		for (size_t i = 0; i < found.n; i++) {
			tdelete(found.list[i], &table->groups, compare_groups);
			group_free(found.list[i]);
		}
	} while (found.n > 0);
}

static void stale(const void *node, VISIT which, void *unused)
{
	(void)unused;
	if (which == postorder || which == leaf)
		(*(struct held *const *)node)->is_fresh = false;
}

void xfrm_table_sas_begin(struct xfrm_table *table)
{
	table->is_dumping = true;
	twalk_r(table->sas, stale, NULL);
}

static void collect_stale(const void *node, VISIT which, void *found)
{
	struct held *entry = *(struct held *const *)node;

	if ((which == postorder || which == leaf) && !entry->is_fresh)
		found_add(found, entry);
}

void xfrm_table_sas_end(struct xfrm_table *table)
{
	struct found found;

	do {
		found.n = 0;
		twalk_r(table->sas, collect_stale, &found);
		for (size_t i = 0; i < found.n; i++)
			delete_held(table, found.list[i]);
	} while (found.n > 0);
	table->is_dumping = false;
}

// True when a tunnel is of this mobile: its outer end is a care-of address, so the selector names the home
// address, or the number is that of one mobile only.
static bool is_of_mobile(
	const struct rule *rule, const struct mobile *mobile, const struct xfrm_sa *sa)
{
	const struct ip6 *inner =
		rule->direction == API_SA_IN ? &sa->traffic.src : &sa->traffic.dst;

	if (!ip6_is_any(inner))
		return ip6_eq(inner, &mobile->home);
	return rule->group->reqid != 0 && rule->group->n_mobiles == 1;
}

// True when packets of the rule go under this SA.
static bool serves(const struct rule *rule, const struct mobile *mobile, const struct xfrm_sa *sa)
{
	const struct ip6 *ours = rule->direction == API_SA_IN ? &sa->dst : &sa->src;
	const struct ip6 *theirs = rule->direction == API_SA_IN ? &sa->src : &sa->dst;

	if (sa->is_tunnel != rule->is_tunnel || !ip6_eq(ours, &mobile->agent))
		return false;
	if (!rule->is_tunnel && !ip6_eq(theirs, &mobile->home))
		return false;
	if (rule->is_tunnel && !is_of_mobile(rule, mobile, sa))
		return false;
	if (rule->group->reqid != 0)
		return true;
	return sa->traffic.proto == rule->traffic.proto ||
	       (sa->traffic.proto == 0 && !rule->is_tunnel);
}

static bool is_listed(
	const struct associations *all, const struct xfrm_sa *sa, const struct rule *rule)
{
	for (unsigned int i = 0; i < all->n; i++) {
		if (all->list[i].spi == sa->a.spi && all->list[i].use == rule->use &&
			all->list[i].direction == rule->direction)
			return true;
	}
	return false;
}

static unsigned int n_listed(const struct associations *all, const struct rule *rule)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < all->n; i++)
		n += all->list[i].use == rule->use && all->list[i].direction == rule->direction;
	return n;
}

static void gather(const struct mobile *mobile, struct associations *all)
{
	uint8_t ways[API_SA_USE_MAX] = { 0 };

	*all = (struct associations){ 0 };
	for (unsigned int i = 0; i < mobile->n_rules; i++) {
		const struct rule *rule = &mobile->rules[i];
		unsigned int most = rule->direction == API_SA_IN ? INBOUND_OF_USE : 1;

		for (const struct held *e = rule->group->sas; e != NULL; e = e->next) {
			if (all->n == ASSOCIATION_MAX || n_listed(all, rule) == most)
				break;
			if (!serves(rule, mobile, &e->sa) || is_listed(all, &e->sa, rule))
				continue;
			all->list[all->n] = e->sa.a;
			all->list[all->n].use = rule->use;
			if (rule->direction == API_SA_OUT)
				all->list[all->n].replay_window = 0;
			all->list[all->n++].direction = rule->direction;
		}
		ways[rule->use] |= (uint8_t)(1u << rule->direction);
	}
	for (unsigned int use = 1; use < API_SA_USE_MAX; use++) {
		if (ways[use] == (1u << API_SA_IN | 1u << API_SA_OUT))
			all->protect |= (uint8_t)API_SA_BIT(use);
	}
}

void xfrm_table_tell(struct xfrm_table *table)
{
	struct associations all;

	while (table->dirty != NULL) {
		struct mobile *mobile = table->dirty;

		table->dirty = mobile->next_dirty;
		mobile->is_dirty = false;
		gather(mobile, &all);
		if (all.n > 0 || mobile->has_told)
			table->changed(table->ctx, &mobile->home, &mobile->agent, &all);
		table->counts.n_mobiles += (all.n > 0) - mobile->has_told;
		mobile->has_told = all.n > 0;
		if (mobile->n_rules == 0) { // in no group any more
			tdelete(mobile, &table->mobiles, compare_mobiles);
			free(mobile);
		}
	}
	explicit_bzero(&all, sizeof(all));
}

static void mark_told(const void *node, VISIT which, void *table)
{
	if (which == postorder || which == leaf)
		mark(table, *(struct mobile *const *)node);
}

void xfrm_table_tell_all(struct xfrm_table *table)
{
	twalk_r(table->mobiles, mark_told, table);
	xfrm_table_tell(table);
}

struct xfrm_table_counts xfrm_table_counts(const struct xfrm_table *table)
{
	return table->counts;
}
