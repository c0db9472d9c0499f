// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// From the mirror's route account to what workers see: resolves the best usable candidate of every
// changed prefix to a next hop, and publishes a batch of changes with one grace period.
// Thread: mirror (and before start); readers under the mirror's lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/adj.h"
#include "dataplane/api/records.h"
#include "dataplane/domain.h"
#include "dataplane/fib.h"
#include "dataplane/neigh.h"
#include "dataplane/netlink_msg.h"
#include "dataplane/rib.h"

// The accounts, one for each domain; owned here.
extern struct rib *mirror_ribs[CONFIG_MAX_DOMAINS];

// What the mirror has done and could not do; written by its thread, read by anyone (stat_read).
struct mirror_status {
	uint64_t routes[FIB_FAMILIES]; // prefixes in the FIBs of all domains
	uint64_t missing; // prefixes that have no room there now
	uint64_t refused; // times that one found none
	uint64_t overruns; // times that messages of the kernel were lost
};
extern struct mirror_status mirror_status;

// Entries of all accounts.
uint32_t mirror_sync_entries(void);

// Makes account, FIB and next hops with what is always there. Returns: 0 or negative errno, logged.
int mirror_sync_init(const struct config_dataplane *config);
// Before the end of the process: the FIB is left to it.
void mirror_sync_free(void);

// A route of the kernel came or went. Others than of the local table and those of domains are ignored.
// Returns: true when anything changed.
bool mirror_sync_route(
	const struct netlink_route *route, bool is_del, bool replace, uint32_t generation);

// Forgets the kernel's routes of other generations. Returns: how many.
unsigned int mirror_sync_sweep(uint32_t generation);

// A neighbour became usable (or its address changed), or no longer is.
void mirror_sync_adj(const struct adj *adj);
void mirror_sync_adj_gone(uint32_t ifindex, const struct ip6 *address);

// Some kernel nexthop object leads elsewhere.
void mirror_sync_objects(void);
// Forgets the routes of the objects that are gone, and these. Once for many; before routes come that go
// by a new object of the same id, at the latest with the commit.
void mirror_sync_objects_gone(void);

// The twin of a port went up or down, or its MTU changed.
void mirror_sync_link(uint16_t port, bool is_up);

// Home prefixes and agent addresses, see mirror.h.
void mirror_sync_home_set(const struct api_home_prefix_set *home_prefix);
void mirror_sync_home_del(uint16_t home_prefix);
void mirror_sync_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain);

// Whether something left the FIB while prefixes wait for room there.
bool mirror_sync_has_room(void);
// Resolves again what found no room in the FIB.
void mirror_sync_retry(void);

// Brings FIB and next hops up to everything above and waits for readers; then tells neigh.h.
void mirror_sync_commit(void);
