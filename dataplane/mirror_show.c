// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/mirror_show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>
#include <rte_ether.h>
#include <rte_telemetry.h>

#include "dataplane/adj.h"
#include "dataplane/mirror_sync.h"
#include "dataplane/nexthop.h"
#include "dataplane/port.h"
#include "dataplane/show_gate.h"

enum { PAGE = 60 }; // rows of at most 200 characters fit one answer of 16 kB

static pthread_mutex_t *tables_lock;

// A page of rows in the making.
struct page {
	struct rte_tel_data *items; // owned until the page is closed
	unsigned long offset; // rows to skip
	unsigned long at; // rows seen
	unsigned int n; // rows in items
	bool is_more;
	uint8_t domain; // whose routes are walked
};

// Says whether the row at hand belongs into the page; *item is owned then, and an empty dict.
static bool take_row(struct page *page, struct rte_tel_data **item)
{
	*item = NULL;
	if (page->at++ < page->offset)
		return true;
	if (page->n == PAGE) {
		page->is_more = true;
		return false;
	}
	*item = rte_tel_data_alloc();
	if (*item == NULL)
		return false;
	rte_tel_data_start_dict(*item);
	return true;
}

static void put_row(struct page *page, struct rte_tel_data *item)
{
	char key[8];

	snprintf(key, sizeof(key), "%u", page->n++);
	rte_tel_data_add_dict_container(page->items, key, item, 0);
}

static int open_page(struct page *page, const char *params)
{
	*page = (struct page){ 0 };
	page->offset = params != NULL ? strtoul(params, NULL, 10) : 0;
	page->items = rte_tel_data_alloc();
	if (page->items == NULL)
		return -ENOMEM;
	return rte_tel_data_start_dict(page->items);
}

// DPDK 22.11 prints no list inside a dict: the items are a dict with the row numbers as keys.
static int close_page(const struct page *page, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_container(d, "items", page->items, 0);
	return rte_tel_data_add_dict_int(
		d, "next", page->is_more ? (int)(page->offset + page->n) : -1);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
		[NEXTHOP_NO_ROUTE] = "none",
		[NEXTHOP_DROP] = "drop",
		[NEXTHOP_LOCAL] = "local",
		[NEXTHOP_GLEAN] = "glean",
		[NEXTHOP_ADJACENCY] = "adjacency",
		[NEXTHOP_HOME] = "home",
		[NEXTHOP_GROUP] = "group",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

// The gateway of the candidate that counts, if it has just one way through a gateway.
static const struct rib_hop *gateway_hop(const struct rib_entry *entry)
{
	const struct rib_route *best = entry->routes;

	if (best == NULL || best->n_hops == 0 || ip6_is_any(&best->hops[0].gateway))
		return NULL;
	return &best->hops[0];
}

static bool add_route(struct rib_entry *entry, void *arg)
{
	const struct nexthop *nexthop = nexthop_get(entry->nexthop);
	const struct rib_hop *hop = gateway_hop(entry);
	struct page *page = arg;
	struct rte_tel_data *item;
	char text[PREFIX_STRLEN];

	if (entry->nexthop == 0)
		return true;
	if (!take_row(page, &item))
		return false;
	if (item == NULL)
		return true;
	rte_tel_data_add_dict_string(item, "prefix", prefix_str(&entry->prefix, text));
	rte_tel_data_add_dict_int(item, "domain", (int)domain_number(page->domain));
	rte_tel_data_add_dict_string(item, "type", type_name(nexthop->type));
	if (nexthop->type == NEXTHOP_GLEAN || nexthop->type == NEXTHOP_ADJACENCY) {
		rte_tel_data_add_dict_string(item, "port", ports[nexthop->port].name);
		rte_tel_data_add_dict_int(item, "mtu", nexthop->mtu);
		if (hop != NULL)
			rte_tel_data_add_dict_string(item, "gateway", ip6_str(&hop->gateway, text));
	}
	if (nexthop->type == NEXTHOP_GROUP)
		rte_tel_data_add_dict_int(item, "members", nexthop->n_members);
	if (nexthop->type == NEXTHOP_HOME)
		rte_tel_data_add_dict_int(item, "home_prefix", nexthop->home_prefix);
	put_row(page, item);
	return true;
}

static int show_routes(const char *command, const char *params, struct rte_tel_data *d)
{
	struct page page;

	(void)command;
	if (open_page(&page, params) != 0)
		return -ENOMEM;
	pthread_mutex_lock(tables_lock);
	for (page.domain = 0; page.domain < n_domains && !page.is_more; page.domain++) {
		if (mirror_ribs[page.domain] != NULL)
			rib_walk(mirror_ribs[page.domain], add_route, &page);
	}
	pthread_mutex_unlock(tables_lock);
	return close_page(&page, d);
}

static const char *state_name(uint16_t state)
{
	switch (state) {
	case NUD_INCOMPLETE:
		return "incomplete";
	case NUD_REACHABLE:
		return "reachable";
	case NUD_STALE:
		return "stale";
	case NUD_DELAY:
		return "delay";
	case NUD_PROBE:
		return "probe";
	case NUD_FAILED:
		return "failed";
	case NUD_NOARP:
		return "noarp";
	case NUD_PERMANENT:
		return "permanent";
	default:
		return "none";
	}
}

static bool add_neighbor(const struct adj *adj, void *arg)
{
	const struct port *port = port_by_ifindex(adj->ifindex);
	struct page *page = arg;
	struct rte_tel_data *item;
	struct rte_ether_addr mac;
	char mac_text[RTE_ETHER_ADDR_FMT_SIZE] = "";
	char text[IP6_STRLEN];

	if (!take_row(page, &item))
		return false;
	if (item == NULL)
		return true;
	if (adj->is_usable) {
		memcpy(&mac, adj->mac, sizeof(mac));
		rte_ether_format_addr(mac_text, sizeof(mac_text), &mac);
	}
	rte_tel_data_add_dict_string(item, "port", port != NULL ? port->name : "");
	rte_tel_data_add_dict_string(item, "address", ip6_str(&adj->address, text));
	rte_tel_data_add_dict_string(item, "mac", mac_text);
	rte_tel_data_add_dict_string(item, "state", state_name(adj->state));
	rte_tel_data_add_dict_int(item, "managed", adj->is_managed);
	put_row(page, item);
	return true;
}

static int show_neighbors(const char *command, const char *params, struct rte_tel_data *d)
{
	struct page page;

	(void)command;
	if (open_page(&page, params) != 0)
		return -ENOMEM;
	pthread_mutex_lock(tables_lock);
	if (mirror_ribs[DOMAIN_TRANSPORT] != NULL)
		adj_walk(add_neighbor, &page);
	pthread_mutex_unlock(tables_lock);
	return close_page(&page, d);
}

int mirror_show_register(pthread_mutex_t *lock)
{
	int error;

	tables_lock = lock;
	error = show_gate_register(
		"/unwired/routes", show_routes, "Routes that workers use. Parameter: offset");
	if (error == 0)
		error = show_gate_register("/unwired/neighbors", show_neighbors,
			"Neighbours of the ports. Parameter: offset");
	return error;
}
