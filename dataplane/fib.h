// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The IPv6 forwarding table: destination -> index of a tagged next hop. Two complete tables; the
// writer changes the one that nobody reads, publishes it, waits one grace period for the whole
// batch and makes the same changes to the other. So readers never meet a table in motion, whatever
// the library underneath does on delete.
#pragma once

#include <stdint.h>

#include "dataplane/base/addr.h"

// Looks up n destinations. Shape: dst[n], out[n]; 1 <= n <= 64. A miss gives 0 (NEXTHOP_NO_ROUTE).
// Thread: any online worker.
void fib6_lookup_bulk(const struct ip6 *dst, uint32_t *out, unsigned int n);
