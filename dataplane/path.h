// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Ways out that routes share: (link, gateway, MTU) and groups of those, each behind one stable next
// hop index with a count of users. When a neighbour or link changes, only the object behind the
// index does; no route is touched.
// Thread: mirror; readers under the mirror's lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

// Makes room for max next hops. Returns: 0 or -ENOMEM.
int path_init(uint32_t max);
void path_free(void);

// What a way is for; the gateway may be of the other family (RFC 8950).
enum path_family { PATH_IP6, PATH_IP4 };

// The index of the way of a family's packets to gateway (:: = on-link) over the port whose twin is
// ifindex; mtu 0 = the port's. The caller owns one use. Returns: 0 when it cannot be made (full, no
// such port).
uint32_t path_get(
	uint32_t ifindex, const struct ip6 *gateway, enum path_family family, uint32_t mtu);

// The index of a group; members are indices of path_get (their uses move into the group), in any
// order, heavier ones repeated. 1 <= n <= NEXTHOP_GROUP_MAX. Returns: 0 when it cannot be made (the
// uses are given back then).
uint32_t path_group(uint32_t *members, unsigned int n);

// Gives one use back. Indices that are not paths are left alone.
void path_put(uint32_t idx);

// Publishes anew what goes to that neighbour, or over that link. Returns: true when there was any.
bool path_refresh(uint32_t ifindex, const struct ip6 *gateway);
void path_refresh_link(uint32_t ifindex);

// True when some route goes through that gateway.
bool path_exists(uint32_t ifindex, const struct ip6 *gateway);
