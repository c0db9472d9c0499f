// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the kernel's rtnetlink messages say, as plain structs. Addresses of both families are struct
// ip6 (IPv4 v4-mapped, its prefix lengths with 96 added).
//
// The parsers are pure. Each returns 0, -EINVAL for a message that is cut or contradicts itself, or
// -EAFNOSUPPORT for another address family.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "dataplane/base/addr.h"

enum {
	NETLINK_MAX_HOPS = 32, // of a multipath route or nexthop group; more are cut off
	NETLINK_NAME_MAX = 16,
};

// One way to go: over a link, through a gateway unless that is ::.
struct netlink_hop {
	struct ip6 gateway;
	uint32_t ifindex; // 0 when the message named none
	uint16_t weight; // 1..256
};

struct netlink_route {
	uint8_t type; // RTN_*
	uint8_t protocol; // RTPROT_*
	bool is_ip4; // else IPv6, even when the prefix lies in ::ffff:0:0/96
	bool is_cloned; // a cache entry, not of the table
	uint32_t table;
	uint32_t metric;
	uint32_t nexthop_id; // 0 without
	uint32_t mtu; // 0 without
	struct ip6_prefix prefix;
	uint16_t n_hops;
	struct netlink_hop hops[NETLINK_MAX_HOPS];
};

struct netlink_link {
	uint32_t ifindex;
	bool is_up; // by order
	bool has_carrier; // and is up
	uint32_t mtu; // 0 when not said
	char name[NETLINK_NAME_MAX];
};

struct netlink_neigh {
	uint32_t ifindex;
	uint16_t state; // NUD_*
	bool is_managed; // NTF_EXT_MANAGED: we (or an operator) asked for it
	bool is_proxy;
	bool has_mac;
	uint8_t mac[6];
	struct ip6 address;
};

struct netlink_nexthop {
	uint32_t id;
	bool is_blackhole;
	bool is_fdb; // of a bridge, not for routes
	struct netlink_hop hop; // unless a group
	uint16_t n_members; // of a group
	struct {
		uint32_t id;
		uint16_t weight;
	} members[NETLINK_MAX_HOPS];
};

int netlink_msg_route(const struct nlmsghdr *nlh, struct netlink_route *out);
int netlink_msg_link(const struct nlmsghdr *nlh, struct netlink_link *out);
int netlink_msg_neigh(const struct nlmsghdr *nlh, struct netlink_neigh *out);
int netlink_msg_nexthop(const struct nlmsghdr *nlh, struct netlink_nexthop *out);
