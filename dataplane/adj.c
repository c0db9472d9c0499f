// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/adj.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>
#include <rte_random.h>

#include "dataplane/ip6_hash.h"

enum {
	N_BUCKETS = 1 << 14,
	USABLE = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP,
};

static struct adj **buckets;
static uint32_t n_adjs;
static uint32_t seed; // strangers choose their addresses

int adj_init(void)
{
	seed = (uint32_t)rte_rand();
	buckets = calloc(N_BUCKETS, sizeof(struct adj *));
	return buckets == NULL ? -ENOMEM : 0;
}

void adj_free(void)
{
	for (unsigned int i = 0; buckets != NULL && i < N_BUCKETS; i++) {
		while (buckets[i] != NULL) {
			struct adj *adj = buckets[i];

			buckets[i] = adj->next;
			free(adj);
		}
	}
	free(buckets);
	buckets = NULL;
	n_adjs = 0;
}

// The link that points to the neighbour, or to NULL at the end of its chain.
static struct adj **position(uint32_t ifindex, const struct ip6 *address)
{
	uint32_t hash = ip6_hash(address, seed ^ ifindex);
	struct adj **link = &buckets[hash % N_BUCKETS];

	while (*link != NULL &&
		((*link)->ifindex != ifindex || !ip6_eq(&(*link)->address, address)))
		link = &(*link)->next;
	return link;
}

const struct adj *adj_find(uint32_t ifindex, const struct ip6 *address)
{
	return *position(ifindex, address);
}

const struct adj *adj_set(const struct netlink_neigh *neigh, uint32_t generation, bool *is_changed)
{
	struct adj **link = position(neigh->ifindex, &neigh->address);
	struct adj *adj = *link;
	bool is_usable = neigh->has_mac && (neigh->state & USABLE) != 0;
	bool is_new = adj == NULL;

	if (is_new) {
		adj = calloc(1, sizeof(*adj));
		if (adj == NULL)
			return NULL;
		adj->ifindex = neigh->ifindex;
		adj->address = neigh->address;
		*link = adj;
		n_adjs++;
	}
	*is_changed = adj->is_usable != is_usable ||
		      (is_usable && memcmp(adj->mac, neigh->mac, sizeof(adj->mac)) != 0);
	adj->state = neigh->state;
	adj->is_managed = neigh->is_managed;
	adj->is_usable = is_usable;
	adj->generation = generation;
	if (is_usable)
		memcpy(adj->mac, neigh->mac, sizeof(adj->mac));
	return adj;
}

bool adj_del(uint32_t ifindex, const struct ip6 *address)
{
	struct adj **link = position(ifindex, address);
	struct adj *adj = *link;

	if (adj == NULL)
		return false;
	*link = adj->next;
	free(adj);
	n_adjs--;
	return true;
}

void adj_walk(bool (*fn)(const struct adj *adj, void *arg), void *arg)
{
	for (unsigned int i = 0; i < N_BUCKETS; i++) {
		struct adj *next;

		for (struct adj *adj = buckets[i]; adj != NULL; adj = next) {
			next = adj->next;
			if (!fn(adj, arg))
				return;
		}
	}
}

uint32_t adj_count(void)
{
	return n_adjs;
}
