// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: the kernel's rtnetlink messages. Every parser sees every message, whatever its type;
// what it accepts is in range.

#include "dataplane/netlink_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void parse_all(const struct nlmsghdr *nlh)
{
	struct netlink_route route;
	struct netlink_link link;
	struct netlink_neigh neigh;
	struct netlink_nexthop nexthop;

	if (netlink_msg_route(nlh, &route) == 0) {
		struct ip6 masked = route.prefix.addr;

		check(route.prefix.len <= 128 && route.n_hops <= NETLINK_MAX_HOPS);
		ip6_mask(&masked, route.prefix.len);
		check(ip6_eq(&masked, &route.prefix.addr));
		for (unsigned int i = 0; i < route.n_hops; i++)
			check(route.hops[i].weight >= 1);
	}
	if (netlink_msg_link(nlh, &link) == 0)
		check(strnlen(link.name, sizeof(link.name)) < sizeof(link.name));
	if (netlink_msg_neigh(nlh, &neigh) == 0)
		check(neigh.has_mac || memcmp(neigh.mac, "\0\0\0\0\0", 6) == 0);
	if (netlink_msg_nexthop(nlh, &nexthop) == 0)
		check(nexthop.id != 0 && nexthop.n_members <= NETLINK_MAX_HOPS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *nlh = malloc(size);

	// What the reader of the socket has checked: a whole head, and a length within what was read.
	if (nlh != NULL && size >= sizeof(*nlh)) {
		memcpy(nlh, data, size);
		nlh->nlmsg_len = (uint32_t)size;
		parse_all(nlh);
	}
	free(nlh);
	return 0;
}
