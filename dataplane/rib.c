// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/rib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/rib_route.h"

enum { DEPTH_MAX = 130 }; // one node per bit, the root, one to spare

struct rib {
	struct rib_entry *root;
	struct rib_entry *dirty; // first
	struct rib_entry *dirty_last;
	uint32_t n_entries; // with candidates or installed
	uint64_t failures;
};

static unsigned int bit_at(const struct ip6 *a, unsigned int i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

// Number of leading bits that a and b share, at most max.
static unsigned int common_bits(const struct ip6 *a, const struct ip6 *b, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(a->b) && n < max; i++, n += 8) {
		unsigned int differ = a->b[i] ^ b->b[i];

		if (differ != 0) {
			n += (unsigned int)__builtin_clz(differ) - 24;
			break;
		}
	}
	return n < max ? n : max;
}

// A glue node carries nothing and only joins two branches.
static bool is_glue(const struct rib_entry *entry)
{
	return entry->routes == NULL && entry->nexthop == 0 && !entry->is_dirty;
}

struct rib *rib_make(void)
{
	return calloc(1, sizeof(struct rib));
}

static void free_entry(struct rib_entry *entry)
{
	rib_route_free_all(&entry->routes);
	free(entry);
}

void rib_free(struct rib *rib)
{
	struct rib_entry *stack[2 * DEPTH_MAX];
	unsigned int n = 0;

	if (rib == NULL)
		return;
	if (rib->root != NULL)
		stack[n++] = rib->root;
	while (n > 0) {
		struct rib_entry *entry = stack[--n];

		for (unsigned int i = 0; i < 2; i++) {
			if (entry->child[i] != NULL)
				stack[n++] = entry->child[i];
		}
		free_entry(entry);
	}
	free(rib);
}

static struct rib_entry *make_entry(const struct ip6 *addr, unsigned int len)
{
	struct rib_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->prefix.addr = *addr;
	entry->prefix.len = (uint8_t)len;
	ip6_mask(&entry->prefix.addr, entry->prefix.len);
	return entry;
}

struct rib_entry *rib_find(struct rib *rib, const struct ip6_prefix *prefix)
{
	struct rib_entry *at = rib->root;

	while (at != NULL && at->prefix.len <= prefix->len &&
		ip6_match(&at->prefix.addr, &prefix->addr, at->prefix.len)) {
		if (at->prefix.len == prefix->len)
			return at;
		at = at->child[bit_at(&prefix->addr, at->prefix.len)];
	}
	return NULL;
}

// Finds the entry of a prefix or makes it. Returns: NULL without memory.
static struct rib_entry *obtain(struct rib *rib, const struct ip6_prefix *prefix)
{
	struct rib_entry **link = &rib->root;
	struct rib_entry *at, *new, *glue;
	unsigned int shared = 0;

	while ((at = *link) != NULL) {
		unsigned int least = at->prefix.len < prefix->len ? at->prefix.len : prefix->len;

		shared = common_bits(&at->prefix.addr, &prefix->addr, least);
		if (shared < at->prefix.len)
			break;
		if (at->prefix.len == prefix->len)
			return at;
		link = &at->child[bit_at(&prefix->addr, at->prefix.len)];
	}
	new = make_entry(&prefix->addr, prefix->len);
	if (new == NULL || at == NULL) {
		if (new != NULL)
			*link = new;
		return new;
	}
	if (shared == prefix->len) { // new stands above at
		new->child[bit_at(&at->prefix.addr, shared)] = at;
		*link = new;
		return new;
	}
	glue = make_entry(&prefix->addr, shared);
	if (glue == NULL) {
		free(new);
		return NULL;
	}
	glue->child[bit_at(&at->prefix.addr, shared)] = at;
	glue->child[bit_at(&prefix->addr, shared)] = new;
	*link = glue;
	return new;
}

// Takes a glue node with fewer than two branches out of the trie.
static void unlink_glue(struct rib_entry **link)
{
	struct rib_entry *entry = *link;

	if (!is_glue(entry) || (entry->child[0] != NULL && entry->child[1] != NULL))
		return;
	*link = entry->child[0] != NULL ? entry->child[0] : entry->child[1];
	free_entry(entry);
}

void rib_settle(struct rib *rib, struct rib_entry *entry)
{
	struct ip6_prefix prefix = entry->prefix;
	struct rib_entry **link = &rib->root;
	struct rib_entry **parent = NULL;

	if (!is_glue(entry))
		return;
	while (*link != entry) {
		parent = link;
		link = &(*link)->child[bit_at(&prefix.addr, (*link)->prefix.len)];
	}
	rib->n_entries--;
	unlink_glue(link);
	if (parent != NULL)
		unlink_glue(parent);
}

void rib_mark(struct rib *rib, struct rib_entry *entry)
{
	if (entry->is_dirty)
		return;
	entry->is_dirty = true;
	entry->next_dirty = NULL;
	if (rib->dirty == NULL)
		rib->dirty = entry;
	else
		rib->dirty_last->next_dirty = entry;
	rib->dirty_last = entry;
}

struct rib_entry *rib_pop_dirty(struct rib *rib)
{
	struct rib_entry *entry = rib->dirty;

	if (entry == NULL)
		return NULL;
	rib->dirty = entry->next_dirty;
	entry->next_dirty = NULL;
	entry->is_dirty = false;
	return entry;
}

bool rib_add(struct rib *rib, const struct ip6_prefix *prefix, const struct rib_route *route,
	bool replace)
{
	struct rib_entry *entry = obtain(rib, prefix);
	bool was_glue;
	int changed;

	if (entry == NULL) {
		rib->failures++;
		return false;
	}
	was_glue = is_glue(entry);
	if (was_glue)
		rib->n_entries++;
	changed = rib_route_add(&entry->routes, route, replace);
	if (changed < 0)
		rib->failures++;
	if (changed > 0)
		rib_mark(rib, entry);
	else if (was_glue)
		rib_settle(rib, entry);
	return changed > 0;
}

bool rib_del(struct rib *rib, const struct ip6_prefix *prefix, const struct rib_route *route)
{
	struct rib_entry *entry = rib_find(rib, prefix);

	if (entry == NULL || !rib_route_del(&entry->routes, route))
		return false;
	rib_mark(rib, entry);
	return true;
}

struct rib_entry *rib_cover(struct rib *rib, const struct ip6 *a)
{
	struct rib_entry *at = rib->root;
	struct rib_entry *best = NULL;

	while (at != NULL && ip6_match(&at->prefix.addr, a, at->prefix.len)) {
		if (at->is_cover)
			best = at;
		if (at->prefix.len == 128)
			break;
		at = at->child[bit_at(a, at->prefix.len)];
	}
	return best;
}

void rib_walk(struct rib *rib, bool (*fn)(struct rib_entry *entry, void *arg), void *arg)
{
	struct rib_entry *stack[2 * DEPTH_MAX];
	unsigned int n = 0;

	if (rib->root != NULL)
		stack[n++] = rib->root;
	while (n > 0) {
		struct rib_entry *entry = stack[--n];

		if (entry->child[1] != NULL)
			stack[n++] = entry->child[1];
		if (entry->child[0] != NULL)
			stack[n++] = entry->child[0];
		if (!is_glue(entry) && !fn(entry, arg))
			return;
	}
}

// What rib_sweep hands through the walk.
struct sweep {
	struct rib *rib;
	enum rib_source source;
	uint32_t generation;
	unsigned int n;
};

static bool sweep_entry(struct rib_entry *entry, void *arg)
{
	struct sweep *sweep = arg;
	unsigned int n = rib_route_sweep(&entry->routes, sweep->source, sweep->generation);

	if (n > 0)
		rib_mark(sweep->rib, entry);
	sweep->n += n;
	return true;
}

unsigned int rib_sweep(struct rib *rib, enum rib_source source, uint32_t generation)
{
	struct sweep sweep = { .rib = rib, .source = source, .generation = generation };

	rib_walk(rib, sweep_entry, &sweep);
	return sweep.n;
}

// What rib_prune hands through the walk.
struct prune {
	struct rib *rib;
	bool (*is_gone)(const struct rib_route *route);
	unsigned int n;
};

static bool prune_entry(struct rib_entry *entry, void *arg)
{
	struct prune *prune = arg;
	unsigned int n = rib_route_prune(&entry->routes, prune->is_gone);

	if (n > 0)
		rib_mark(prune->rib, entry);
	prune->n += n;
	return true;
}

unsigned int rib_prune(struct rib *rib, bool (*is_gone)(const struct rib_route *route))
{
	struct prune prune = { .rib = rib, .is_gone = is_gone };

	rib_walk(rib, prune_entry, &prune);
	return prune.n;
}

uint32_t rib_n_entries(const struct rib *rib)
{
	return rib->n_entries;
}

uint64_t rib_failures(const struct rib *rib)
{
	return rib->failures;
}
