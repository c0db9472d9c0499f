// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/rib_route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Order of preference, as memcmp orders.
static int compare(const struct rib_route *a, const struct rib_route *b)
{
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->metric != b->metric)
		return a->metric < b->metric ? -1 : 1;
	return a->type < b->type ? -1 : a->type > b->type;
}

// The link that points to the candidate of route's key, or to where it belongs.
static struct rib_route **position(struct rib_route **list, const struct rib_route *route)
{
	while (*list != NULL && compare(*list, route) < 0)
		list = &(*list)->next;
	return list;
}

static void remove_at(struct rib_route **link)
{
	struct rib_route *route = *link;

	*link = route->next;
	free(route->hops);
	free(route);
}

void rib_route_free_all(struct rib_route **list)
{
	while (*list != NULL)
		remove_at(list);
}

static struct rib_hop *find_hop(const struct rib_route *route, const struct rib_hop *hop)
{
	for (unsigned int i = 0; i < route->n_hops; i++) {
		if (route->hops[i].ifindex == hop->ifindex &&
			ip6_eq(&route->hops[i].gateway, &hop->gateway))
			return &route->hops[i];
	}
	return NULL;
}

static void remove_hop(struct rib_route *route, struct rib_hop *hop)
{
	*hop = route->hops[--route->n_hops];
}

// A copy of route with its own hops, not in any list. Returns: NULL without memory.
static struct rib_route *duplicate(const struct rib_route *route)
{
	struct rib_route *new = malloc(sizeof(*new));

	if (new == NULL)
		return NULL;
	*new = *route;
	new->next = NULL;
	new->hops = NULL;
	if (route->n_hops == 0)
		return new;
	new->hops = malloc(route->n_hops * sizeof(*new->hops));
	if (new->hops == NULL) {
		free(new);
		return NULL;
	}
	memcpy(new->hops, route->hops, route->n_hops * sizeof(*new->hops));
	for (unsigned int i = 0; i < new->n_hops; i++)
		new->hops[i].generation = route->generation;
	return new;
}

// True when a and b lead the same way; the order of hops does not count.
static bool is_same(const struct rib_route *a, const struct rib_route *b)
{
	if (compare(a, b) != 0 || a->nexthop_id != b->nexthop_id || a->mtu != b->mtu ||
		a->protocol != b->protocol || a->n_hops != b->n_hops)
		return false;
	for (unsigned int i = 0; i < a->n_hops; i++) {
		const struct rib_hop *other = find_hop(b, &a->hops[i]);

		if (other == NULL || other->weight != a->hops[i].weight)
			return false;
	}
	return true;
}

// Puts the hops of route, and its other facts, into a candidate of the same key.
static int merge(struct rib_route *into, const struct rib_route *route)
{
	struct rib_hop *hops =
		realloc(into->hops, (size_t)(into->n_hops + route->n_hops + 1) * sizeof(*hops));
	bool is_changed = into->mtu != route->mtu || into->protocol != route->protocol;

	if (hops == NULL)
		return -ENOMEM;
	into->hops = hops;
	into->mtu = route->mtu;
	into->protocol = route->protocol;
	into->generation = route->generation;
	for (unsigned int i = 0; i < route->n_hops; i++) {
		struct rib_hop *hop = find_hop(into, &route->hops[i]);

		if (hop == NULL) {
			hop = &into->hops[into->n_hops++];
			*hop = route->hops[i];
			is_changed = true;
		}
		is_changed |= hop->weight != route->hops[i].weight;
		hop->weight = route->hops[i].weight;
		hop->generation = route->generation;
	}
	return is_changed;
}

// Puts route into the place of everything of its source and metric.
static int replace_all(struct rib_route **list, const struct rib_route *route)
{
	struct rib_route *new = duplicate(route);
	unsigned int n_removed = 0;
	bool was_there = false;
	struct rib_route **link = list;

	if (new == NULL)
		return -ENOMEM;
	while (*link != NULL) {
		if ((*link)->source != route->source || (*link)->metric != route->metric) {
			link = &(*link)->next;
			continue;
		}
		was_there |= is_same(*link, new);
		remove_at(link);
		n_removed++;
	}
	link = position(list, new);
	new->next = *link;
	*link = new;
	return !was_there || n_removed > 1;
}

// Goes by a kernel nexthop object now or before: its hops are one matter and never merge.
static bool is_by_object(const struct rib_route *old, const struct rib_route *new)
{
	return old->nexthop_id != 0 || new->nexthop_id != 0;
}

int rib_route_add(struct rib_route **list, const struct rib_route *route, bool replace)
{
	struct rib_route **link = position(list, route);
	struct rib_route *new;

	if (replace)
		return replace_all(list, route);
	if (*link != NULL && compare(*link, route) == 0 && !is_by_object(*link, route))
		return merge(*link, route);
	new = duplicate(route);
	if (new == NULL)
		return -ENOMEM;
	if (*link != NULL && compare(*link, route) == 0) {
		bool is_changed = !is_same(*link, route);

		new->next = (*link)->next;
		free((*link)->hops);
		free(*link);
		*link = new;
		return is_changed;
	}
	new->next = *link;
	*link = new;
	return 1;
}

bool rib_route_del(struct rib_route **list, const struct rib_route *route)
{
	struct rib_route **link = position(list, route);
	bool is_changed = false;

	if (*link == NULL || compare(*link, route) != 0)
		return false;
	if (route->n_hops == 0 || (*link)->n_hops == 0 || is_by_object(*link, route)) {
		remove_at(link);
		return true;
	}
	for (unsigned int i = 0; i < route->n_hops; i++) {
		struct rib_hop *hop = find_hop(*link, &route->hops[i]);

		if (hop == NULL)
			continue;
		remove_hop(*link, hop);
		is_changed = true;
	}
	if ((*link)->n_hops == 0)
		remove_at(link);
	return is_changed;
}

unsigned int rib_route_prune(
	struct rib_route **list, bool (*is_gone)(const struct rib_route *route))
{
	unsigned int n = 0;

	while (*list != NULL) {
		if (is_gone(*list)) {
			remove_at(list);
			n++;
		} else {
			list = &(*list)->next;
		}
	}
	return n;
}

unsigned int rib_route_sweep(struct rib_route **list, enum rib_source source, uint32_t generation)
{
	unsigned int n = 0;

	while (*list != NULL) {
		struct rib_route *route = *list;

		if (route->source != source) {
			list = &route->next;
			continue;
		}
		for (unsigned int i = route->n_hops; i > 0; i--) {
			if (route->generation == generation &&
				route->hops[i - 1].generation != generation) {
				remove_hop(route, &route->hops[i - 1]);
				n++;
			}
		}
		if (route->generation != generation) {
			remove_at(list);
			n++;
		} else {
			list = &route->next;
		}
	}
	return n;
}
