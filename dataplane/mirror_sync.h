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
#include "dataplane/neigh.h"
#include "dataplane/netlink_msg.h"
#include "dataplane/rib.h"

// The accounts, one for each domain; owned here.
extern struct rib *mirror_ribs[CONFIG_MAX_DOMAINS];

// Entries of all accounts.
uint32_t mirror_sync_entries(void);

// Makes account, FIB and next hops with what is always there. Returns: 0 or negative errno, logged.
int mirror_sync_init(uint32_t max_routes);
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

// Some kernel nexthop object leads elsewhere; or one is gone with its routes.
void mirror_sync_objects(void);
void mirror_sync_object_gone(uint32_t id);

// The twin of a port went up or down, or its MTU changed.
void mirror_sync_link(uint16_t port, bool is_up);

// Home prefixes and agent addresses, see mirror.h.
void mirror_sync_home_set(const struct api_home_prefix_set *home_prefix);
void mirror_sync_home_del(uint16_t home_prefix);
void mirror_sync_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain);

// Resolves again what found no room in the FIB.
void mirror_sync_retry(void);

// Brings FIB and next hops up to everything above and waits for readers; then tells neigh.h.
void mirror_sync_commit(void);

// Prefixes that found no room in the FIB so far.
uint64_t mirror_sync_failures(void);
