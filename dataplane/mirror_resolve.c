// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/mirror_resolve.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "dataplane/adj.h"
#include "dataplane/api/records.h"
#include "dataplane/netlink_msg.h"
#include "dataplane/nexthop.h"
#include "dataplane/nhobj.h"
#include "dataplane/path.h"
#include "dataplane/port.h"

enum { OWN_NEXTHOPS = 65536 }; // neighbours, gateways, groups beyond one for each route

// A home prefix under its id.
struct home {
	bool is_set;
	uint32_t nexthop; // 0 before the first
	struct ip6_prefix prefix;
};

// The ways of a candidate that can be used now.
struct ways {
	unsigned int n;
	bool is_elsewhere; // some lead over an interface that is no port
	struct rib_hop hops[NETLINK_MAX_HOPS];
};

static struct home homes[API_MAX_HOME_PREFIXES];
static bool port_is_up[CONFIG_MAX_PORTS];
static uint32_t drop_nexthop;
static uint32_t local_nexthop;
static uint32_t lo_ifindex;

int mirror_resolve_init(uint32_t max_routes)
{
	const struct nexthop drop = { .type = NEXTHOP_DROP };
	const struct nexthop local = { .type = NEXTHOP_LOCAL };
	uint32_t max = max_routes + OWN_NEXTHOPS;
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
	memset(port_is_up, 0, sizeof(port_is_up));
	lo_ifindex = if_nametoindex("lo");
	drop_nexthop = nexthop_add(&drop);
	local_nexthop = nexthop_add(&local);
	return drop_nexthop != 0 && local_nexthop != 0 ? 0 : -ENOMEM;
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

int mirror_resolve_home_set(uint16_t home_prefix, uint8_t key_len, const struct ip6_prefix *prefix)
{
	const struct nexthop obj = {
		.type = NEXTHOP_HOME, .home_prefix = home_prefix, .key_len = key_len
	};
	struct home *home = &homes[home_prefix];

	if (home->nexthop == 0)
		home->nexthop = nexthop_add(&obj);
	else if (nexthop_set(home->nexthop, &obj) != 0)
		return -ENOSPC;
	if (home->nexthop == 0)
		return -ENOSPC;
	home->is_set = true;
	home->prefix = *prefix;
	return 0;
}

bool mirror_resolve_home_prefix(uint16_t home_prefix, struct ip6_prefix *out)
{
	*out = homes[home_prefix].prefix;
	return homes[home_prefix].is_set;
}

static void add_way(struct ways *ways, const struct ip6 *gateway, uint32_t ifindex, uint16_t weight)
{
	const struct port *port = port_by_ifindex(ifindex);

	if (port == NULL) {
		ways->is_elsewhere |= ifindex != lo_ifindex;
		return;
	}
	if (port_is_up[port->index] && ways->n < NETLINK_MAX_HOPS)
		ways->hops[ways->n++] = (struct rib_hop){
			.gateway = *gateway, .ifindex = ifindex, .weight = weight
		};
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
		add_way(ways, &hops[i].gateway, hops[i].ifindex, hops[i].weight);
	if (n >= 0) {
		ways->is_elsewhere |= is_blackhole;
		return;
	}
	for (unsigned int i = 0; i < route->n_hops; i++)
		add_way(ways, &route->hops[i].gateway, route->hops[i].ifindex,
			route->hops[i].weight);
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
			uint32_t idx = path_get(hop->ifindex, &hop->gateway, mtu);

			if (idx != 0)
				members[n++] = idx;
		}
	}
	return n == 0 ? 0 : path_group(members, n);
}

// A unicast candidate. Returns: an index with a use, or 0 when it is not usable.
static uint32_t resolve_unicast(const struct rib_route *route, uint32_t *on_link)
{
	struct ways ways;

	find_ways(route, &ways);
	if (ways.n == 0)
		return ways.is_elsewhere ? drop_nexthop : 0;
	if (ways.n > 1)
		return resolve_group(&ways, route->mtu);
	if (ip6_is_any(&ways.hops[0].gateway))
		*on_link = ways.hops[0].ifindex;
	return path_get(ways.hops[0].ifindex, &ways.hops[0].gateway, route->mtu);
}

// Any candidate but a host's.
static uint32_t resolve_route(const struct rib_route *route, uint32_t *on_link)
{
	if (route->source == RIB_HOME)
		return homes[route->nexthop_id].nexthop;
	switch (route->type) {
	case RTN_LOCAL:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
		return local_nexthop;
	case RTN_UNICAST:
		return resolve_unicast(route, on_link);
	default:
		return drop_nexthop; // blackhole, unreachable, prohibit, throw
	}
}

// A neighbour counts only where an on-link route over its own link covers it; else anyone on a link
// could claim any address.
static uint32_t resolve_host(
	struct rib *rib, const struct rib_entry *entry, const struct rib_route *route)
{
	const struct rib_entry *cover = rib_cover(rib, &entry->prefix.addr);
	const struct rib_hop *hop = &route->hops[0];

	if (cover == NULL || cover->on_link != hop->ifindex)
		return 0;
	return path_get(hop->ifindex, &hop->gateway, 0);
}

uint32_t mirror_resolve(struct rib *rib, struct rib_entry *entry)
{
	entry->is_cover = false;
	entry->on_link = 0;
	for (const struct rib_route *route = entry->routes; route != NULL; route = route->next) {
		bool is_host = route->source == RIB_HOST;
		uint32_t idx = is_host ? resolve_host(rib, entry, route)
				       : resolve_route(route, &entry->on_link);

		if (idx != 0) {
			entry->is_cover = !is_host;
			return idx;
		}
	}
	return 0;
}
