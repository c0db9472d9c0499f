// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Which next hop the best usable candidate of a prefix means.
// Thread: mirror.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/api/records.h"
#include "dataplane/rib.h"

// Makes next hops, paths, neighbours and nexthop objects. Returns: 0 or negative errno.
int mirror_resolve_init(uint32_t max_routes);
void mirror_resolve_free(void);

// Chooses for an entry of a domain's account; sets its is_cover, is_own and on_link. Returns: an index with
// one use for the caller, or 0 when no candidate is usable.
uint32_t mirror_resolve(uint8_t domain, struct rib *rib, struct rib_entry *entry);

// Whether routes over the twin of a port are usable.
void mirror_resolve_link(uint16_t port, bool is_up);

// The next hop for what is dropped.
uint32_t mirror_resolve_drop(void);

// The next hop of a home prefix: made or changed. Returns: 0 or -ENOSPC.
int mirror_resolve_home_set(const struct api_home_prefix_set *home);
// The prefix last set under that id, and its domain. Returns: false when there was none.
bool mirror_resolve_home_prefix(uint16_t home_prefix, struct ip6_prefix *out, uint8_t *domain);

// Whose mobiles tunnel to an agent address; domain 0 is taken of all that was never set.
// Returns: true when that changed.
bool mirror_resolve_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain);
