// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Tagged next hops: what a FIB look-up answers with. A next hop has a stable index (that is what
// FIBs hold) and an immutable object behind it; a change publishes a new object under the same
// index, so that a gateway's new address is one pointer write.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"
#include "dataplane/rcu.h"

enum nexthop_type {
	NEXTHOP_NO_ROUTE = 0, // index 0 is always this
	NEXTHOP_DROP, // blackhole, unreachable, prohibit
	NEXTHOP_LOCAL, // an address of this node
	NEXTHOP_GLEAN, // on a link, link-layer address not known (yet)
	NEXTHOP_ADJACENCY, // ready to send
	NEXTHOP_HOME, // inside a home prefix: look the binding up
	NEXTHOP_GROUP, // multipath: choose a member by flow hash
};

enum { NEXTHOP_GROUP_MAX = 16 };

struct nexthop {
	uint8_t type; // enum nexthop_type
	uint8_t port; // GLEAN, ADJACENCY: index of the egress port or VLAN
	uint16_t mtu; // GLEAN, ADJACENCY: of route and port
	uint16_t home_prefix; // HOME: its id
	uint8_t key_len; // HOME: bits of the look-up key
	uint8_t n_members; // GROUP
	uint8_t ether
		[18]; // ADJACENCY: the Ethernet header to write (type IPv6 or IPv4, perhaps tagged)
	uint8_t ether_len; // ADJACENCY: bytes of it, 14 or 18
	uint8_t device; // ADJACENCY: index of the port that it leaves through
	uint8_t on_link; // GLEAN: 1 = the target is the packet's own destination
	uint8_t domain; // LOCAL: index of the mobility domain whose mobiles tunnel to this address
	union {
		struct ip6 target; // GLEAN: gateway to resolve
		uint32_t members[NEXTHOP_GROUP_MAX]; // GROUP: indices, heavier ones repeated
	};
};

// The table of published objects; entry 0 is NEXTHOP_NO_ROUTE. Written by the mirror thread only.
extern const struct nexthop **nexthop_table;

// The object behind an index. Borrowed until the reader's next quiescent state.
static inline const struct nexthop *nexthop_get(uint32_t idx)
{
	return rcu_load(&nexthop_table[idx]);
}

// Makes the table with max entries. Before start. Returns: 0 or -ENOMEM.
int nexthop_init(uint32_t max);
// Frees everything. Workers must have stopped.
void nexthop_free(void);

// Publishes a copy of obj under a new index. Thread: mirror only, as all below.
// Returns: the index, or 0 when the table or memory is full.
uint32_t nexthop_add(const struct nexthop *obj);
// Publishes a copy of obj under an index in use; the old object is retired.
// Returns: 0 or -ENOMEM (nothing changed).
int nexthop_set(uint32_t idx, const struct nexthop *obj);
// Retires an index that no table and no group leads to after the coming commit.
// Returns: 0 or -ENOMEM (the index stays in use).
int nexthop_del(uint32_t idx);

// Frees what was retired, and its indices. After a grace period that began after the last retiring.
void nexthop_reclaim(void);
bool nexthop_has_retired(void);
