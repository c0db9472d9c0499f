// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The candidates of one prefix, as a list ordered by preference: (source, metric, type).
#pragma once

#include "dataplane/rib.h"

// Adds or merges, see rib_add. Returns: 1 when something changed, 0 when not, -ENOMEM.
int rib_route_add(struct rib_route **list, const struct rib_route *route, bool replace);
// Takes away, see rib_del. Returns: true when something changed.
bool rib_route_del(struct rib_route **list, const struct rib_route *route);
// Removes what is of another generation. Returns: number of hops and candidates removed.
unsigned int rib_route_sweep(struct rib_route **list, enum rib_source source, uint32_t generation);
// Removes the candidates that is_gone says of. Returns: how many.
unsigned int rib_route_prune(
	struct rib_route **list, bool (*is_gone)(const struct rib_route *route));
void rib_route_free_all(struct rib_route **list);
