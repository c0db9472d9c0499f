// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The mirror's own account of routes: for every prefix all candidates that the kernel (and control)
// told, best first, with what of them the FIB holds. A radix trie with compressed paths; both
// families (IPv4 as ::ffff:0:0/96). Knows no DPDK and no links: the mirror resolves.
//
// Thread: one writer; readers under the mirror's lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

// Where a candidate comes from; earlier ones win at the same prefix.
enum rib_source {
	RIB_STATIC, // always there (link-local, multicast, loopback)
	RIB_LOCAL, // the kernel's local table
	RIB_HOME, // home prefix, from control
	RIB_KERNEL, // the kernel's main table
	RIB_HOST, // neighbour on a link
};

// One way of a candidate.
struct rib_hop {
	struct ip6 gateway; // :: = on-link
	uint32_t ifindex;
	uint16_t weight;
	uint32_t generation; // of the last message that named it
};

// A candidate. Key among those of a prefix: (source, metric, type).
struct rib_route {
	struct rib_route *next; // less preferred
	uint8_t source; // enum rib_source
	uint8_t type; // RTN_* (RIB_HOME: unused)
	uint8_t protocol; // RTPROT_*
	uint16_t n_hops;
	uint32_t metric;
	uint32_t nexthop_id; // kernel nexthop object, 0 without; RIB_HOME: id of the home prefix
	uint32_t mtu; // 0 without
	uint32_t generation;
	struct rib_hop *hops; // owned
};

// A prefix. Lives while it has candidates or is installed; borrowed pointers die with the next change.
struct rib_entry {
	struct ip6_prefix prefix;
	bool is_dirty; // waits for the mirror
	bool is_missing; // its next hop found no room in the FIB
	bool is_own; // resolved to what is not learned from routes or neighbours
	bool is_learned; // the FIB holds it as such
	uint32_t nexthop; // that the FIB holds, 0 = none
	uint32_t on_link; // ifindex when what covers here is an on-link route, else 0
	bool is_cover; // something better than RIB_HOST is installed here
	struct rib_route *routes; // best first; owned
	struct rib_entry *child[2]; // longer prefixes
	struct rib_entry *next_dirty;
};

struct rib;

// Returns: an owned table or NULL with errno ENOMEM.
struct rib *rib_make(void);
void rib_free(struct rib *rib);

// Adds the hops of route to the candidate of its key at prefix (making both), or with replace puts it
// in the place of all candidates of its source and metric. route->hops is borrowed.
// Returns: true when anything but generations changed (the entry is dirty then); without memory
// false, and rib_failures counts.
bool rib_add(struct rib *rib, const struct ip6_prefix *prefix, const struct rib_route *route,
	bool replace);

// Takes the hops of route away from its candidate, and the candidate when none is left, or when route
// has none or goes by a nexthop object. Returns: true when anything changed.
bool rib_del(struct rib *rib, const struct ip6_prefix *prefix, const struct rib_route *route);

// Removes all hops and candidates of a source that are of another generation.
// Returns: how many.
unsigned int rib_sweep(struct rib *rib, enum rib_source source, uint32_t generation);

// Removes all candidates that is_gone says of. Returns: how many.
unsigned int rib_prune(struct rib *rib, bool (*is_gone)(const struct rib_route *route));

// The longest entry that contains a and is_cover, borrowed, or NULL.
struct rib_entry *rib_cover(struct rib *rib, const struct ip6 *a);
// The entry of exactly that prefix, borrowed, or NULL.
struct rib_entry *rib_find(struct rib *rib, const struct ip6_prefix *prefix);

// Makes an entry wait for rib_pop_dirty.
void rib_mark(struct rib *rib, struct rib_entry *entry);
// The next entry that changed (no longer dirty), or NULL. The caller brings the FIB up to it, sets
// nexthop, on_link, is_cover and the like, and calls rib_settle.
struct rib_entry *rib_pop_dirty(struct rib *rib);
// Removes the entry if nothing is left of it.
void rib_settle(struct rib *rib, struct rib_entry *entry);

// Calls fn for every entry with candidates or installed, in order of address, shorter first, until fn
// returns false. fn may mark, not add or delete.
void rib_walk(struct rib *rib, bool (*fn)(struct rib_entry *entry, void *arg), void *arg);

uint32_t rib_n_entries(const struct rib *rib);
uint64_t rib_failures(const struct rib *rib);
