// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/mirror_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "dataplane/base/log.h"
#include "dataplane/fib.h"
#include "dataplane/mirror_resolve.h"
#include "dataplane/nexthop.h"
#include "dataplane/nhobj.h"
#include "dataplane/path.h"
#include "dataplane/port.h"

// Something to tell neigh.h after the commit.
struct notice {
	uint16_t port;
	enum neigh_event event;
	struct ip6 target;
};

struct rib *mirror_rib;

static bool hosts_are_dirty; // a covering route changed
static bool objects_are_dirty; // a nexthop object leads elsewhere
static bool fib_is_full; // some prefix found no room since the last retry
static uint64_t n_failures;
static struct notice *notices;
static size_t n_notices;
static size_t notices_room;

// What is in the FIB whatever the kernel says: link-local and multicast packets concern this node
// alone, and loopback and unspecified addresses are never forwarded.
static const struct {
	struct ip6_prefix prefix;
	uint8_t type;
} statics[] = {
	{ { .addr = { { 0xfe, 0x80 } }, .len = 10 }, RTN_LOCAL },
	{ { .addr = { { 0xff } }, .len = 8 }, RTN_LOCAL },
	{ { .addr = { { [15] = 1 } }, .len = 128 }, RTN_BLACKHOLE },
	{ { .addr = { { 0 } }, .len = 128 }, RTN_BLACKHOLE },
	{ { .addr = { { [10] = 0xff, [11] = 0xff } }, .len = 96 }, RTN_BLACKHOLE },
};

enum { N_STATICS = sizeof(statics) / sizeof(statics[0]) };

int mirror_sync_init(uint32_t max_routes)
{
	int error = mirror_resolve_init(max_routes);

	if (error == 0)
		error = fib6_init(max_routes);
	mirror_rib = rib_make();
	if (error == 0 && mirror_rib == NULL)
		error = -ENOMEM;
	if (error != 0) {
		log_err("mirror_no_memory max_routes=%u error=%s", max_routes, strerror(-error));
		return error;
	}
	for (unsigned int i = 0; i < N_STATICS; i++) {
		struct rib_route route = { .source = RIB_STATIC, .type = statics[i].type };

		rib_add(mirror_rib, &statics[i].prefix, &route, false);
	}
	return 0;
}

void mirror_sync_free(void)
{
	rib_free(mirror_rib);
	mirror_rib = NULL;
	// The FIB stays: the process ends, and DPDK would clear the gigabytes that it gives back.
	mirror_resolve_free();
	free(notices);
	notices = NULL;
	n_notices = notices_room = 0;
}

// True for prefixes inside those that are always there.
static bool is_static(const struct ip6_prefix *prefix)
{
	for (unsigned int i = 0; i < N_STATICS; i++) {
		if (prefix->len >= statics[i].prefix.len &&
			prefix_contains(&statics[i].prefix, &prefix->addr))
			return true;
	}
	return false;
}

bool mirror_sync_route(
	const struct netlink_route *route, bool is_del, bool replace, uint32_t generation)
{
	struct rib_hop hops[NETLINK_MAX_HOPS];
	struct rib_route candidate = {
		.type = route->type,
		.protocol = route->protocol,
		.metric = route->metric,
		.nexthop_id = route->nexthop_id,
		.mtu = route->mtu,
		.generation = generation,
		.n_hops = route->n_hops,
		.hops = hops,
	};

	if (route->is_cloned || is_static(&route->prefix))
		return false;
	if (route->table == RT_TABLE_LOCAL)
		candidate.source = RIB_LOCAL;
	else if (route->table == RT_TABLE_MAIN)
		candidate.source = RIB_KERNEL;
	else
		return false;
	for (unsigned int i = 0; i < route->n_hops; i++)
		hops[i] = (struct rib_hop){ .gateway = route->hops[i].gateway,
			.ifindex = route->hops[i].ifindex,
			.weight = route->hops[i].weight,
			.generation = generation };
	if (is_del)
		return rib_del(mirror_rib, &route->prefix, &candidate);
	return rib_add(mirror_rib, &route->prefix, &candidate, replace);
}

static void notice(uint32_t ifindex, const struct ip6 *target, enum neigh_event event)
{
	const struct port *port = port_by_ifindex(ifindex);

	if (port == NULL)
		return;
	if (n_notices == notices_room) {
		size_t room = notices_room == 0 ? 64 : notices_room * 2;
		struct notice *more = realloc(notices, room * sizeof(*more));

		if (more == NULL)
			return; // a timeout does it
		notices = more;
		notices_room = room;
	}
	notices[n_notices++] = (struct notice){ port->index, event, *target };
}

// Adds or takes away the host route of a neighbour.
static void host_route(uint32_t ifindex, const struct ip6 *address, bool is_del)
{
	struct ip6_prefix prefix = { .addr = *address, .len = 128 };
	struct rib_hop hop = { .gateway = *address, .ifindex = ifindex, .weight = 1 };
	struct rib_route route = { .source = RIB_HOST,
		.type = RTN_UNICAST,
		.metric = ifindex,
		.n_hops = 1,
		.hops = &hop };

	if (is_static(&prefix))
		return; // a gateway by its link-local address
	if (is_del)
		rib_del(mirror_rib, &prefix, &route);
	else
		rib_add(mirror_rib, &prefix, &route, true);
}

void mirror_sync_adj(const struct adj *adj)
{
	path_refresh(adj->ifindex, &adj->address);
	host_route(adj->ifindex, &adj->address, !adj->is_usable);
	if (adj->is_usable)
		notice(adj->ifindex, &adj->address, NEIGH_USABLE);
	else if ((adj->state & NUD_FAILED) != 0)
		notice(adj->ifindex, &adj->address, adj->is_managed ? NEIGH_GONE : NEIGH_FAILED);
}

void mirror_sync_adj_gone(uint32_t ifindex, const struct ip6 *address)
{
	path_refresh(ifindex, address);
	host_route(ifindex, address, true);
	// Sent only if some route still goes through it then.
	notice(ifindex, address, NEIGH_WANTED);
}

static bool mark_by_object(struct rib_entry *entry, void *arg)
{
	(void)arg;
	// Groups may contain the object, so everything that goes by an object is resolved again.
	for (const struct rib_route *r = entry->routes; r != NULL; r = r->next) {
		if (r->source == RIB_KERNEL && r->nexthop_id != 0) {
			rib_mark(mirror_rib, entry);
			break;
		}
	}
	return true;
}

void mirror_sync_objects(void)
{
	objects_are_dirty = true;
}

static uint32_t gone_object; // that is_by_object looks for

static bool is_by_object(const struct rib_route *route)
{
	return route->source == RIB_KERNEL && route->nexthop_id == gone_object;
}

void mirror_sync_object_gone(uint32_t id)
{
	gone_object = id;
	rib_prune(mirror_rib, is_by_object);
}

static bool mark_by_link(struct rib_entry *entry, void *arg)
{
	const uint32_t *ifindex = arg;

	for (const struct rib_route *r = entry->routes; r != NULL; r = r->next) {
		bool is_over = r->source == RIB_KERNEL && r->nexthop_id != 0;

		for (unsigned int i = 0; i < r->n_hops && !is_over; i++)
			is_over = r->hops[i].ifindex == *ifindex;
		if (is_over) {
			rib_mark(mirror_rib, entry);
			break;
		}
	}
	return true;
}

void mirror_sync_link(uint16_t port, bool is_up)
{
	uint32_t ifindex = ports[port].ifindex;

	mirror_resolve_link(port, is_up);
	path_refresh_link(ifindex);
	rib_walk(mirror_rib, mark_by_link, &ifindex);
}

void mirror_sync_home_set(const struct api_home_prefix_set *home_prefix)
{
	struct ip6_prefix prefix = { .addr = home_prefix->prefix, .len = home_prefix->prefix_len };
	struct rib_route route = {
		.source = RIB_HOME,
		.metric = home_prefix->home_prefix,
		.nexthop_id = home_prefix->home_prefix,
	};

	ip6_mask(&prefix.addr, prefix.len);
	mirror_sync_home_del(home_prefix->home_prefix);
	if (mirror_resolve_home_set(home_prefix->home_prefix, home_prefix->key_len, &prefix) != 0)
		log_err("mirror_home_prefix_failed home_prefix=%u error=no room",
			home_prefix->home_prefix);
	else
		rib_add(mirror_rib, &prefix, &route, true);
}

void mirror_sync_home_del(uint16_t home_prefix)
{
	struct rib_route route = {
		.source = RIB_HOME, .metric = home_prefix, .nexthop_id = home_prefix
	};
	struct ip6_prefix prefix;

	if (mirror_resolve_home_prefix(home_prefix, &prefix))
		rib_del(mirror_rib, &prefix, &route);
}

static bool mark_missing(struct rib_entry *entry, void *arg)
{
	(void)arg;
	if (entry->nexthop == 0)
		rib_mark(mirror_rib, entry);
	return true;
}

void mirror_sync_retry(void)
{
	if (!fib_is_full)
		return;
	fib_is_full = false;
	rib_walk(mirror_rib, mark_missing, NULL);
}

// Puts a next hop (0: none) into the FIB for an entry; takes over one use of it.
static void install(struct rib_entry *entry, uint32_t nexthop)
{
	static struct log_limit limit = { .per_second = 1 };
	uint32_t old = entry->nexthop;
	int error = 0;

	if (nexthop != old) {
		error = nexthop != 0 ? fib6_set(&entry->prefix, nexthop) : fib6_del(&entry->prefix);
		if (error == 0)
			entry->nexthop = nexthop;
	}
	if (error != 0) {
		char text[PREFIX_STRLEN];

		n_failures++;
		fib_is_full = true;
		log_write_limited(&limit, LOG_LEVEL_ERR,
			"fib_full key=dataplane.max_routes prefix=%s error=%s",
			prefix_str(&entry->prefix, text), strerror(-error));
		path_put(nexthop);
	} else {
		path_put(old);
	}
}

static void sync_entry(struct rib_entry *entry)
{
	bool was_cover = entry->is_cover;
	uint32_t old_on_link = entry->on_link;
	uint32_t nexthop = mirror_resolve(mirror_rib, entry);

	if (entry->is_cover != was_cover || entry->on_link != old_on_link)
		hosts_are_dirty = true;
	install(entry, nexthop);
	rib_settle(mirror_rib, entry);
}

static bool mark_host(const struct adj *adj, void *arg)
{
	struct ip6_prefix prefix = { .addr = adj->address, .len = 128 };
	struct rib_entry *entry = rib_find(mirror_rib, &prefix);

	(void)arg;
	if (adj->is_usable && entry != NULL && entry->routes != NULL)
		rib_mark(mirror_rib, entry);
	return true;
}

static void sync_dirty(void)
{
	struct rib_entry *entry;

	while ((entry = rib_pop_dirty(mirror_rib)) != NULL)
		sync_entry(entry);
}

static void send_notices(void)
{
	for (size_t i = 0; i < n_notices; i++) {
		struct notice *n = &notices[i];
		bool is_gateway = path_exists(ports[n->port].ifindex, &n->target);

		if (n->event == NEIGH_WANTED && !is_gateway)
			continue;
		if (n->event == NEIGH_GONE && is_gateway)
			n->event = NEIGH_FAILED;
		neigh_announce(n->port, &n->target, n->event);
	}
	n_notices = 0;
}

void mirror_sync_commit(void)
{
	if (objects_are_dirty) {
		objects_are_dirty = false;
		rib_walk(mirror_rib, mark_by_object, NULL);
	}
	sync_dirty();
	if (hosts_are_dirty) {
		hosts_are_dirty = false;
		adj_walk(mark_host, NULL);
		sync_dirty();
	}
	// One grace period for the whole batch, of the FIB's if it changed.
	if (!fib6_commit() && nexthop_has_retired())
		rcu_wait();
	nexthop_reclaim();
	send_notices();
}

uint64_t mirror_sync_failures(void)
{
	return n_failures;
}
