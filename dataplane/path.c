// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_jhash.h>
#include <rte_random.h>

#include "dataplane/adj.h"
#include "dataplane/base/log.h"
#include "dataplane/ip6_hash.h"
#include "dataplane/neigh.h"
#include "dataplane/nexthop.h"
#include "dataplane/port.h"

enum { N_BUCKETS = 1 << 14 };

// A shared way out, or a group of them.
struct path {
	struct path *next; // of the bucket
	uint32_t idx; // of the next hop
	uint32_t n_uses;
	uint32_t ifindex; // 0 for a group
	uint32_t mtu; // 0 = the port's
	struct ip6 gateway;
	enum path_family family;
	uint32_t bucket;
	uint8_t n_members;
	uint32_t members[NEXTHOP_GROUP_MAX];
};

static struct path **buckets;
static struct path **by_idx;
static uint32_t n_idx;
static uint32_t seed;

int path_init(uint32_t max)
{
	seed = (uint32_t)rte_rand();
	buckets = calloc(N_BUCKETS, sizeof(struct path *));
	by_idx = calloc(max, sizeof(struct path *));
	n_idx = max;
	if (buckets == NULL || by_idx == NULL) {
		path_free();
		return -ENOMEM;
	}
	return 0;
}

void path_free(void)
{
	for (uint32_t i = 0; by_idx != NULL && i < n_idx; i++)
		free(by_idx[i]);
	free(by_idx);
	free(buckets);
	by_idx = NULL;
	buckets = NULL;
}

// All ways to one neighbour stand in one bucket, whatever their MTU.
static uint32_t bucket_of(uint32_t ifindex, const struct ip6 *gateway)
{
	return ip6_hash(gateway, seed ^ ifindex) % N_BUCKETS;
}

static uint16_t path_mtu(const struct path *path, const struct port *port)
{
	return path->mtu != 0 && path->mtu < port->mtu ? (uint16_t)path->mtu : port->mtu;
}

// Writes the Ethernet header of what leaves over a port, with the tag of a VLAN.
static void write_ether(
	struct nexthop *obj, const struct port *port, const uint8_t mac[6], enum path_family family)
{
	uint16_t type = family == PATH_IP4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
	struct rte_ether_hdr ether = { .src_addr = port->mac };
	struct rte_vlan_hdr tag = { .vlan_tci = rte_cpu_to_be_16(port->vlan),
		.eth_proto = rte_cpu_to_be_16(type) };

	static_assert(sizeof(ether) + sizeof(tag) == sizeof(obj->ether), "tagged header");
	if (port->vlan != 0)
		type = RTE_ETHER_TYPE_VLAN;
	memcpy(&ether.dst_addr, mac, RTE_ETHER_ADDR_LEN);
	ether.ether_type = rte_cpu_to_be_16(type);
	memcpy(obj->ether, &ether, sizeof(ether));
	memcpy(obj->ether + sizeof(ether), &tag, sizeof(tag));
	obj->ether_len = sizeof(ether) + (port->vlan != 0 ? sizeof(tag) : 0);
	obj->device = (uint8_t)port->device;
}

// What workers should see of a path now.
static struct nexthop describe(const struct path *path)
{
	const struct port *port = port_by_ifindex(path->ifindex);
	const struct adj *adj = adj_find(path->ifindex, &path->gateway);
	struct nexthop obj = { .type = NEXTHOP_DROP };

	if (port == NULL)
		return obj;
	obj.type = NEXTHOP_GLEAN;
	obj.port = (uint8_t)port->index;
	obj.mtu = path_mtu(path, port);
	obj.on_link = ip6_is_any(&path->gateway);
	obj.target = path->gateway;
	if (obj.on_link || adj == NULL || !adj->is_usable)
		return obj;
	obj.type = NEXTHOP_ADJACENCY;
	write_ether(&obj, port, adj->mac, path->family);
	return obj;
}

// Enters a new path under its index. Returns: the index, or 0 with path freed.
static uint32_t enter(struct path *path, const struct nexthop *obj)
{
	path->idx = nexthop_add(obj);
	if (path->idx == 0) {
		static struct log_limit limit = { .per_second = 1 };

		log_write_limited(&limit, LOG_LEVEL_ERR, "path_table_full max=%u", n_idx);
		free(path);
		return 0;
	}
	path->n_uses = 1;
	path->next = buckets[path->bucket];
	buckets[path->bucket] = path;
	by_idx[path->idx] = path;
	return path->idx;
}

uint32_t path_get(
	uint32_t ifindex, const struct ip6 *gateway, enum path_family family, uint32_t mtu)
{
	uint32_t bucket = bucket_of(ifindex, gateway);
	const struct port *port = port_by_ifindex(ifindex);
	struct nexthop obj;
	struct path *path;

	if (port == NULL)
		return 0;
	for (path = buckets[bucket]; path != NULL; path = path->next) {
		if (path->ifindex == ifindex && path->mtu == mtu && path->family == family &&
			ip6_eq(&path->gateway, gateway)) {
			path->n_uses++;
			return path->idx;
		}
	}
	path = calloc(1, sizeof(*path));
	if (path == NULL)
		return 0;
	path->ifindex = ifindex;
	path->gateway = *gateway;
	path->family = family;
	path->mtu = mtu;
	path->bucket = bucket;
	obj = describe(path);
	if (obj.type == NEXTHOP_GLEAN && !obj.on_link)
		neigh_announce(port->index, gateway, NEIGH_WANTED);
	return enter(path, &obj);
}

static int compare_idx(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void put_all(const uint32_t *members, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		path_put(members[i]);
}

uint32_t path_group(uint32_t *members, unsigned int n)
{
	struct nexthop obj = { .type = NEXTHOP_GROUP, .n_members = (uint8_t)n };
	uint32_t bucket;
	uint32_t idx;
	struct path *path;

	qsort(members, n, sizeof(*members), compare_idx);
	bucket = rte_jhash_32b(members, n, seed) % N_BUCKETS;
	for (path = buckets[bucket]; path != NULL; path = path->next) {
		if (path->n_members == n &&
			memcmp(path->members, members, n * sizeof(*members)) == 0) {
			path->n_uses++;
			put_all(members, n); // the group has its own
			return path->idx;
		}
	}
	memcpy(obj.members, members, n * sizeof(*members));
	path = calloc(1, sizeof(*path));
	if (path == NULL) {
		put_all(members, n);
		return 0;
	}
	path->bucket = bucket;
	path->n_members = (uint8_t)n;
	memcpy(path->members, members, n * sizeof(*members));
	idx = enter(path, &obj);
	if (idx == 0)
		put_all(members, n);
	return idx;
}

void path_put(uint32_t idx)
{
	struct path *path = by_idx[idx];
	struct path **link;

	if (path == NULL || --path->n_uses > 0)
		return;
	if (nexthop_del(idx) != 0) {
		path->n_uses = 1; // no memory: it stays, unused
		return;
	}
	for (link = &buckets[path->bucket]; *link != path; link = &(*link)->next)
		;
	*link = path->next;
	by_idx[idx] = NULL;
	put_all(path->members, path->n_members);
	free(path);
}

static void publish(const struct path *path)
{
	struct nexthop obj = describe(path);

	if (nexthop_set(path->idx, &obj) != 0)
		log_err("path_update_failed ifindex=%u error=no memory", path->ifindex);
}

bool path_refresh(uint32_t ifindex, const struct ip6 *gateway)
{
	bool is_any = false;

	for (struct path *path = buckets[bucket_of(ifindex, gateway)]; path != NULL;
		path = path->next) {
		if (path->ifindex != ifindex || !ip6_eq(&path->gateway, gateway))
			continue;
		publish(path);
		is_any = true;
	}
	return is_any;
}

void path_refresh_link(uint32_t ifindex)
{
	for (uint32_t i = 0; i < n_idx; i++) {
		if (by_idx[i] != NULL && by_idx[i]->ifindex == ifindex)
			publish(by_idx[i]);
	}
}

bool path_exists(uint32_t ifindex, const struct ip6 *gateway)
{
	for (const struct path *path = buckets[bucket_of(ifindex, gateway)]; path != NULL;
		path = path->next) {
		if (path->ifindex == ifindex && ip6_eq(&path->gateway, gateway))
			return true;
	}
	return false;
}
