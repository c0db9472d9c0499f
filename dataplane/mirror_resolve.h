// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Which next hop the best usable candidate of a prefix means.
// Thread: mirror.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/rib.h"

// Makes next hops, paths, neighbours and nexthop objects. Returns: 0 or negative errno.
int mirror_resolve_init(uint32_t max_routes);
void mirror_resolve_free(void);

// Chooses for an entry; sets its is_cover and on_link. Returns: an index with one use for the caller,
// or 0 when no candidate is usable.
uint32_t mirror_resolve(struct rib *rib, struct rib_entry *entry);

// Whether routes over the twin of a port are usable.
void mirror_resolve_link(uint16_t port, bool is_up);

// The next hop of a home prefix: made or changed. Returns: 0 or -ENOSPC.
int mirror_resolve_home_set(uint16_t home_prefix, uint8_t key_len, const struct ip6_prefix *prefix);
// The prefix last set under that id. Returns: false when there was none.
bool mirror_resolve_home_prefix(uint16_t home_prefix, struct ip6_prefix *out);
