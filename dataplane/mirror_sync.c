// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/mirror_sync.h"

#include <errno.h>
#include <malloc.h>
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

enum {
	V4MAPPED_BITS = 96,
	TRIM_ENTRIES = 4096,
};

// Something to tell neigh.h after the commit.
struct notice {
	uint16_t port;
	enum neigh_event event;
	struct ip6 target;
};

struct rib *mirror_ribs[CONFIG_MAX_DOMAINS];
struct mirror_status mirror_status;

static bool hosts_are_dirty; // a covering route changed
static bool objects_are_dirty; // a nexthop object leads elsewhere
static bool has_new_room; // a prefix left the FIB while others wait for room
static uint32_t n_learned[CONFIG_MAX_DOMAINS][FIB_FAMILIES]; // prefixes in the FIB, but our own
static uint32_t max_learned[FIB_FAMILIES]; // of each domain
static struct notice *notices;
static size_t n_notices;
static size_t notices_room;

// What is in the FIB whatever the kernel says: link-local and multicast packets concern this node
// alone, and loopback, unspecified and reserved addresses are never forwarded (RFC 1812 5.3.7).
static const struct {
	struct ip6_prefix prefix;
	uint8_t type;
} statics[] = {
	{ { .addr = { { 0xfe, 0x80 } }, .len = 10 }, RTN_LOCAL },
	{ { .addr = { { 0xff } }, .len = 8 }, RTN_LOCAL },
	{ { .addr = { { [15] = 1 } }, .len = 128 }, RTN_BLACKHOLE },
	{ { .addr = { { 0 } }, .len = 128 }, RTN_BLACKHOLE },
	{ { .addr = { { [10] = 0xff, 0xff, 0 } }, .len = V4MAPPED_BITS + 8 }, RTN_BLACKHOLE },
	{ { .addr = { { [10] = 0xff, 0xff, 127 } }, .len = V4MAPPED_BITS + 8 }, RTN_BLACKHOLE },
	{ { .addr = { { [10] = 0xff, 0xff, 169, 254 } }, .len = V4MAPPED_BITS + 16 }, RTN_LOCAL },
	{ { .addr = { { [10] = 0xff, 0xff, 224 } }, .len = V4MAPPED_BITS + 4 }, RTN_LOCAL },
	{ { .addr = { { [10] = 0xff, 0xff, 240 } }, .len = V4MAPPED_BITS + 4 }, RTN_BLACKHOLE },
};

enum { N_STATICS = sizeof(statics) / sizeof(statics[0]) };

// Makes the account of a domain with what is always there. Returns: 0 or -ENOMEM.
static int make_rib(uint8_t domain)
{
	// IPv4 has a table of its own; an IPv6 packet to a v4-mapped address is nobody's.
	static const struct ip6_prefix v4mapped = { .addr = { .b = { [10] = 0xff, 0xff } },
		.len = V4MAPPED_BITS };
	struct rib *rib = rib_make();

	mirror_ribs[domain] = rib;
	if (rib == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < N_STATICS; i++) {
		struct rib_route route = { .source = RIB_STATIC, .type = statics[i].type };

		rib_add(rib, &statics[i].prefix, &route, false);
	}
	return fib_set(domain, FIB_IP6, &v4mapped, mirror_resolve_drop(), false);
}

int mirror_sync_init(const struct config_dataplane *config)
{
	int error = mirror_resolve_init(config->max_routes + config->max_routes_ip6);

	max_learned[FIB_IP4] = config->max_routes;
	max_learned[FIB_IP6] = config->max_routes_ip6;
	if (error == 0)
		error = fib_init(n_domains, config->max_routes, config->max_routes_ip6);
	for (uint8_t d = 0; d < n_domains && error == 0; d++)
		error = make_rib(d);
	if (error != 0)
		log_err("mirror_no_memory max_routes=%u max_routes_ip6=%u error=%s",
			config->max_routes, config->max_routes_ip6, strerror(-error));
	return error;
}

void mirror_sync_free(void)
{
	for (uint8_t d = 0; d < n_domains; d++) {
		rib_free(mirror_ribs[d]);
		mirror_ribs[d] = NULL;
	}
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

// The domain that a route of the kernel belongs to, or -ENOENT. The kernel has one local table for all.
static int domain_of(const struct netlink_route *route)
{
	const struct port *port;

	if (route->table != RT_TABLE_LOCAL)
		return domain_of_table(route->table);
	port = route->n_hops == 0 ? NULL : port_by_ifindex(route->hops[0].ifindex);
	return port == NULL ? DOMAIN_TRANSPORT : port->domain;
}

bool mirror_sync_route(
	const struct netlink_route *route, bool is_del, bool replace, uint32_t generation)
{
	struct rib_hop hops[NETLINK_MAX_HOPS];
	struct rib_route candidate = {
		.source = route->table == RT_TABLE_LOCAL ? RIB_LOCAL : RIB_KERNEL,
		.type = route->type,
		.protocol = route->protocol,
		.metric = route->metric,
		.nexthop_id = route->nexthop_id,
		.mtu = route->mtu,
		.generation = generation,
		.n_hops = route->n_hops,
		.hops = hops,
	};
	int domain = domain_of(route);
	struct rib *rib;

	if (route->is_cloned || is_static(&route->prefix) || domain < 0)
		return false;
	rib = mirror_ribs[domain];
	for (unsigned int i = 0; i < route->n_hops; i++)
		hops[i] = (struct rib_hop){ .gateway = route->hops[i].gateway,
			.ifindex = route->hops[i].ifindex,
			.weight = route->hops[i].weight,
			.generation = generation };
	if (is_del)
		return rib_del(rib, &route->prefix, &candidate);
	return rib_add(rib, &route->prefix, &candidate, replace);
}

unsigned int mirror_sync_sweep(uint32_t generation)
{
	unsigned int n = 0;

	for (uint8_t d = 0; d < n_domains; d++) {
		n += rib_sweep(mirror_ribs[d], RIB_LOCAL, generation);
		n += rib_sweep(mirror_ribs[d], RIB_KERNEL, generation);
	}
	return n;
}

uint32_t mirror_sync_entries(void)
{
	uint32_t n = 0;

	for (uint8_t d = 0; d < n_domains; d++)
		n += rib_n_entries(mirror_ribs[d]);
	return n;
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
	const struct port *port = port_by_ifindex(ifindex);

	if (is_static(&prefix) || port == NULL)
		return; // a gateway by its link-local address
	if (is_del)
		rib_del(mirror_ribs[port->domain], &prefix, &route);
	else
		rib_add(mirror_ribs[port->domain], &prefix, &route, true);
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

// Calls fn for the entries of all accounts; arg of fn is the account.
static void walk_all(bool (*fn)(struct rib_entry *entry, void *arg))
{
	for (uint8_t d = 0; d < n_domains; d++)
		rib_walk(mirror_ribs[d], fn, mirror_ribs[d]);
}

static bool mark_by_object(struct rib_entry *entry, void *rib)
{
	// Groups may contain the object, so everything that goes by an object is resolved again.
	for (const struct rib_route *r = entry->routes; r != NULL; r = r->next) {
		if (r->source == RIB_KERNEL && r->nexthop_id != 0) {
			rib_mark(rib, entry);
			break;
		}
	}
	return true;
}

void mirror_sync_objects(void)
{
	objects_are_dirty = true;
}

static bool is_by_gone_object(const struct rib_route *route)
{
	return route->source == RIB_KERNEL && route->nexthop_id != 0 &&
	       nhobj_is_gone(route->nexthop_id);
}

void mirror_sync_objects_gone(void)
{
	if (!nhobj_has_gone())
		return;
	for (uint8_t d = 0; d < n_domains; d++)
		rib_prune(mirror_ribs[d], is_by_gone_object);
	nhobj_reap();
}

static uint32_t changed_link; // that mark_by_link looks for

static bool mark_by_link(struct rib_entry *entry, void *rib)
{
	for (const struct rib_route *r = entry->routes; r != NULL; r = r->next) {
		bool is_over = r->source == RIB_KERNEL && r->nexthop_id != 0;

		for (unsigned int i = 0; i < r->n_hops && !is_over; i++)
			is_over = r->hops[i].ifindex == changed_link;
		if (is_over) {
			rib_mark(rib, entry);
			break;
		}
	}
	return true;
}

void mirror_sync_link(uint16_t port, bool is_up)
{
	mirror_resolve_link(port, is_up);
	path_refresh_link(ports[port].ifindex);
	changed_link = ports[port].ifindex;
	walk_all(mark_by_link);
}

void mirror_sync_home_set(const struct api_home_prefix_set *home_prefix)
{
	struct rib_route route = {
		.source = RIB_HOME,
		.metric = home_prefix->home_prefix,
		.nexthop_id = home_prefix->home_prefix,
	};
	struct ip6_prefix prefix;
	uint8_t domain;

	mirror_sync_home_del(home_prefix->home_prefix);
	if (mirror_resolve_home_set(home_prefix) != 0) {
		log_err("mirror_home_prefix_failed home_prefix=%u error=no room",
			home_prefix->home_prefix);
		return;
	}
	mirror_resolve_home_prefix(home_prefix->home_prefix, &prefix, &domain);
	rib_add(mirror_ribs[domain], &prefix, &route, true);
}

void mirror_sync_home_del(uint16_t home_prefix)
{
	struct rib_route route = {
		.source = RIB_HOME, .metric = home_prefix, .nexthop_id = home_prefix
	};
	struct ip6_prefix prefix;
	uint8_t domain;

	if (mirror_resolve_home_prefix(home_prefix, &prefix, &domain))
		rib_del(mirror_ribs[domain], &prefix, &route);
}

void mirror_sync_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain)
{
	struct ip6_prefix prefix = { .addr = *address, .len = 128 };
	struct rib_entry *entry = rib_find(mirror_ribs[DOMAIN_TRANSPORT], &prefix);

	if (mirror_resolve_agent_set(agent, address, domain) && entry != NULL &&
		entry->routes != NULL)
		rib_mark(mirror_ribs[DOMAIN_TRANSPORT], entry);
}

static bool mark_missing(struct rib_entry *entry, void *rib)
{
	if (entry->is_missing)
		rib_mark(rib, entry);
	return true;
}

bool mirror_sync_has_room(void)
{
	return has_new_room;
}

void mirror_sync_retry(void)
{
	has_new_room = false;
	if (mirror_status.missing > 0)
		walk_all(mark_missing);
}

// Keeps the count of prefixes without room, and tells of the first and the last.
static void note_missing(struct rib_entry *entry, int error)
{
	static struct log_limit limit = { .per_second = 1 };
	char text[PREFIX_STRLEN];

	if (error != 0) {
		mirror_status.refused++;
		mirror_status.missing += !entry->is_missing;
		log_write_limited(&limit, LOG_LEVEL_ERR,
			"fib_full key=dataplane.max_routes%s prefix=%s missing=%llu error=%s",
			ip6_is_v4mapped(&entry->prefix.addr) ? "" : "_ip6",
			prefix_str(&entry->prefix, text), (unsigned long long)mirror_status.missing,
			strerror(-error));
	} else if (--mirror_status.missing == 0) {
		log_info("fib_has_room missing=0");
	}
	entry->is_missing = error != 0;
}

// Whether packets in a row come for it: mobiles' and tunnels' do.
static bool ends_here(uint32_t nexthop)
{
	enum nexthop_type type = nexthop_get(nexthop)->type;

	return type == NEXTHOP_HOME || type == NEXTHOP_LOCAL;
}

// Puts a next hop (0: none) into the FIB for an entry; takes over one use of it. Learned prefixes leave
// room for our own, which are few and without which no mobile is served.
static void install(uint8_t domain, struct rib_entry *entry, uint32_t nexthop)
{
	enum fib_family family = ip6_is_v4mapped(&entry->prefix.addr) ? FIB_IP4 : FIB_IP6;
	bool is_learned = nexthop != 0 && !entry->is_own;
	uint32_t *n = &n_learned[domain][family];
	uint32_t old = entry->nexthop;
	int error = 0;

	if (old == 0 && is_learned && *n >= max_learned[family])
		error = -ENOSPC;
	else if (nexthop != old)
		error = nexthop != 0 ? fib_set(domain, family, &entry->prefix, nexthop,
					       ends_here(nexthop))
				     : fib_del(domain, family, &entry->prefix);
	if (error != 0 || entry->is_missing)
		note_missing(entry, error);
	if (error != 0) {
		path_put(nexthop);
		return;
	}
	*n += is_learned - entry->is_learned;
	mirror_status.routes[family] += (nexthop != 0) - (old != 0);
	has_new_room |= nexthop == 0 && old != 0 && mirror_status.missing > 0;
	entry->is_learned = is_learned;
	entry->nexthop = nexthop;
	path_put(old);
}

static void sync_entry(uint8_t domain, struct rib_entry *entry)
{
	bool was_cover = entry->is_cover;
	uint32_t old_on_link = entry->on_link;
	uint32_t nexthop = mirror_resolve(domain, mirror_ribs[domain], entry);

	if (entry->is_cover != was_cover || entry->on_link != old_on_link)
		hosts_are_dirty = true;
	install(domain, entry, nexthop);
	rib_settle(mirror_ribs[domain], entry);
}

static bool mark_host(const struct adj *adj, void *arg)
{
	struct ip6_prefix prefix = { .addr = adj->address, .len = 128 };
	const struct port *port = port_by_ifindex(adj->ifindex);
	struct rib *rib = mirror_ribs[port != NULL ? port->domain : DOMAIN_TRANSPORT];
	struct rib_entry *entry = rib_find(rib, &prefix);

	(void)arg;
	if (adj->is_usable && entry != NULL && entry->routes != NULL)
		rib_mark(rib, entry);
	return true;
}

static void sync_dirty(void)
{
	struct rib_entry *entry;

	for (uint8_t d = 0; d < n_domains; d++) {
		while ((entry = rib_pop_dirty(mirror_ribs[d])) != NULL)
			sync_entry(d, entry);
	}
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

// Gives the memory of many routes that went back to the system: as fragments it would stay.
static void trim(void)
{
	static uint32_t peak;
	uint32_t n = mirror_sync_entries();

	if (n > peak)
		peak = n;
	if (peak < TRIM_ENTRIES || n > peak / 2)
		return;
	peak = n;
	malloc_trim(0);
}

void mirror_sync_commit(void)
{
	mirror_sync_objects_gone();
	if (objects_are_dirty) {
		objects_are_dirty = false;
		walk_all(mark_by_object);
	}
	sync_dirty();
	if (hosts_are_dirty) {
		hosts_are_dirty = false;
		adj_walk(mark_host, NULL);
		sync_dirty();
	}
	// One grace period for the whole batch, of the FIB's if it changed.
	if (!fib_commit() && nexthop_has_retired())
		rcu_wait();
	nexthop_reclaim();
	trim();
	send_notices();
}
