// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/mirror_resolve.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "dataplane/adj.h"
#include "dataplane/api/records.h"
#include "dataplane/domain.h"
#include "dataplane/netlink_msg.h"
#include "dataplane/nexthop.h"
#include "dataplane/nhobj.h"
#include "dataplane/path.h"
#include "dataplane/port.h"

enum {
	OWN_NEXTHOPS = 65536, // neighbours, gateways, groups beyond one for each route
	MAX_NEXTHOPS = 1 << 21, // what the forwarding tables can name
	V4MAPPED_BITS = 96,
};

// A home prefix under its id.
struct home {
	bool is_set;
	uint32_t nexthop; // 0 before the first
	uint8_t domain;
	struct ip6_prefix prefix;
};

// An agent address of a domain other than 0.
struct agent_domain {
	struct ip6 address;
	uint8_t domain; // 0 = no such agent
};

// The ways of a candidate that can be used now.
struct ways {
	uint8_t domain; // of the route
	enum path_family family;
	unsigned int n;
	bool is_elsewhere; // some lead over an interface that is no port of the domain
	struct rib_hop hops[NETLINK_MAX_HOPS];
};

static struct home homes[API_MAX_HOME_PREFIXES];
static struct agent_domain agents[API_MAX_AGENTS];
static bool port_is_up[CONFIG_MAX_LINKS];
static uint32_t drop_nexthop;
static uint32_t local_nexthops[CONFIG_MAX_DOMAINS]; // by domain of the agent address
static uint32_t lo_ifindex;

int mirror_resolve_init(uint32_t max_routes)
{
	const struct nexthop drop = { .type = NEXTHOP_DROP };
	struct nexthop local = { .type = NEXTHOP_LOCAL };
	uint32_t wanted = max_routes + OWN_NEXTHOPS;
	uint32_t max = wanted < MAX_NEXTHOPS ? wanted : MAX_NEXTHOPS;
	int error = nexthop_init(max);

	if (error == 0)
		error = path_init(max);
	if (error == 0)
		error = adj_init();
	if (error == 0)
		error = nhobj_init();
	if (error != 0)
		return error;
	memset(homes, 0, sizeof(homes));
	memset(agents, 0, sizeof(agents));
	memset(port_is_up, 0, sizeof(port_is_up));
	lo_ifindex = if_nametoindex("lo");
	drop_nexthop = nexthop_add(&drop);
	for (local.domain = 0; local.domain < n_domains; local.domain++) {
		local_nexthops[local.domain] = nexthop_add(&local);
		if (local_nexthops[local.domain] == 0)
			return -ENOMEM;
	}
	return drop_nexthop != 0 ? 0 : -ENOMEM;
}

void mirror_resolve_free(void)
{
	nhobj_free();
	adj_free();
	path_free();
	nexthop_free();
}

void mirror_resolve_link(uint16_t port, bool is_up)
{
	port_is_up[port] = is_up;
}

uint32_t mirror_resolve_drop(void)
{
	return drop_nexthop;
}

int mirror_resolve_home_set(const struct api_home_prefix_set *set)
{
	const struct nexthop obj = {
		.type = NEXTHOP_HOME, .home_prefix = set->home_prefix, .key_len = set->key_len
	};
	struct home *home = &homes[set->home_prefix];

	if (home->nexthop == 0)
		home->nexthop = nexthop_add(&obj);
	else if (nexthop_set(home->nexthop, &obj) != 0)
		return -ENOSPC;
	if (home->nexthop == 0)
		return -ENOSPC;
	home->is_set = true;
	home->domain = (uint8_t)set->domain;
	home->prefix = (struct ip6_prefix){ .addr = set->prefix, .len = set->prefix_len };
	ip6_mask(&home->prefix.addr, home->prefix.len);
	return 0;
}

bool mirror_resolve_home_prefix(uint16_t home_prefix, struct ip6_prefix *out, uint8_t *domain)
{
	*out = homes[home_prefix].prefix;
	*domain = homes[home_prefix].domain;
	return homes[home_prefix].is_set;
}

bool mirror_resolve_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain)
{
	struct agent_domain *a = &agents[agent];
	bool is_changed = a->domain != domain || (domain != 0 && !ip6_eq(&a->address, address));

	*a = (struct agent_domain){ .address = *address, .domain = domain };
	return is_changed;
}

// The next hop of an address of this node.
static uint32_t resolve_local(const struct ip6 *address)
{
	for (unsigned int i = 0; n_domains > 1 && i < API_MAX_AGENTS; i++) {
		if (agents[i].domain != 0 && ip6_eq(&agents[i].address, address))
			return local_nexthops[agents[i].domain];
	}
	return local_nexthops[DOMAIN_TRANSPORT];
}

static void add_way(struct ways *ways, const struct rib_hop *hop)
{
	const struct port *port = port_by_ifindex(hop->ifindex);

	// Routes of one domain over links of another would join what is to be apart.
	if (port == NULL || port->domain != ways->domain) {
		ways->is_elsewhere |= hop->ifindex != lo_ifindex;
		return;
	}
	if (port_is_up[port->index] && ways->n < NETLINK_MAX_HOPS)
		ways->hops[ways->n++] = *hop;
}

// Collects the usable ways of a candidate, through its nexthop object if it names a known one.
static void find_ways(const struct rib_route *route, struct ways *ways)
{
	struct netlink_hop hops[NETLINK_MAX_HOPS];
	bool is_blackhole;
	int n = route->nexthop_id == 0 ? -ENOENT
				       : nhobj_hops(route->nexthop_id, hops, &is_blackhole);

	ways->n = 0;
	ways->is_elsewhere = false;
	for (int i = 0; i < n; i++)
		add_way(ways, &(struct rib_hop){ .gateway = hops[i].gateway,
				      .ifindex = hops[i].ifindex,
				      .weight = hops[i].weight });
	if (n >= 0) {
		ways->is_elsewhere |= is_blackhole;
		return;
	}
	for (unsigned int i = 0; i < route->n_hops; i++)
		add_way(ways, &route->hops[i]);
}

// Slots of a group that a way of that weight gets.
static unsigned int slots(const struct ways *ways, uint32_t weight, uint32_t total)
{
	unsigned int n;

	if (total <= NEXTHOP_GROUP_MAX)
		return weight;
	n = weight * NEXTHOP_GROUP_MAX / total;
	return n == 0 || ways->n > NEXTHOP_GROUP_MAX / 2 ? 1 : n;
}

static uint32_t resolve_group(const struct ways *ways, uint32_t mtu)
{
	uint32_t members[NEXTHOP_GROUP_MAX];
	uint32_t total = 0;
	unsigned int n = 0;

	for (unsigned int i = 0; i < ways->n; i++)
		total += ways->hops[i].weight;
	for (unsigned int i = 0; i < ways->n; i++) {
		const struct rib_hop *hop = &ways->hops[i];
		unsigned int n_slots = slots(ways, hop->weight, total);

		for (unsigned int s = 0; s < n_slots && n < NEXTHOP_GROUP_MAX; s++) {
			uint32_t idx = path_get(hop->ifindex, &hop->gateway, ways->family, mtu);

			if (idx != 0)
				members[n++] = idx;
		}
	}
	return n == 0 ? 0 : path_group(members, n);
}

// An entry whose candidates are resolved.
struct resolving {
	uint8_t domain;
	struct rib *rib;
	struct rib_entry *entry;
	enum path_family family;
};

// A unicast candidate. Returns: an index with a use, or 0 when it is not usable.
static uint32_t resolve_unicast(const struct resolving *r, const struct rib_route *route)
{
	struct ways ways = { .domain = r->domain, .family = r->family };

	find_ways(route, &ways);
	if (ways.n == 0)
		return ways.is_elsewhere ? drop_nexthop : 0;
	if (ways.n > 1)
		return resolve_group(&ways, route->mtu);
	if (ip6_is_any(&ways.hops[0].gateway))
		r->entry->on_link = ways.hops[0].ifindex;
	return path_get(ways.hops[0].ifindex, &ways.hops[0].gateway, r->family, route->mtu);
}

// A neighbour counts only where an on-link route over its own link covers it; else anyone on a link
// could claim any address.
static uint32_t resolve_host(const struct resolving *r, const struct rib_route *route)
{
	const struct rib_entry *cover = rib_cover(r->rib, &r->entry->prefix.addr);
	const struct rib_hop *hop = &route->hops[0];

	// ::/0 lies over the v4-mapped addresses, but no IPv6 route covers IPv4.
	if (cover == NULL || cover->on_link != hop->ifindex ||
		(r->family == PATH_IP4 && cover->prefix.len < V4MAPPED_BITS))
		return 0;
	return path_get(hop->ifindex, &hop->gateway, r->family, 0);
}

static uint32_t resolve_route(const struct resolving *r, const struct rib_route *route)
{
	if (route->source == RIB_HOST)
		return resolve_host(r, route);
	if (route->source == RIB_HOME)
		return homes[route->nexthop_id].nexthop;
	switch (route->type) {
	case RTN_LOCAL:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
	case RTN_BROADCAST: // of our own subnet: for us, never forwarded (RFC 2644)
		return resolve_local(&r->entry->prefix.addr);
	case RTN_UNICAST:
		return resolve_unicast(r, route);
	default:
		return drop_nexthop; // blackhole, unreachable, prohibit, throw
	}
}

uint32_t mirror_resolve(uint8_t domain, struct rib *rib, struct rib_entry *entry)
{
	const struct resolving r = {
		.domain = domain,
		.rib = rib,
		.entry = entry,
		.family = ip6_is_v4mapped(&entry->prefix.addr) ? PATH_IP4 : PATH_IP6,
	};

	entry->is_cover = false;
	entry->on_link = 0;
	for (const struct rib_route *route = entry->routes; route != NULL; route = route->next) {
		uint32_t idx = resolve_route(&r, route);

		if (idx != 0) {
			entry->is_cover = route->source != RIB_HOST;
			entry->is_own = route->source < RIB_KERNEL;
			return idx;
		}
	}
	return 0;
}
