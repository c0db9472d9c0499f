// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fragmenting our own outer packets (RFC 2473 section 7.1 (b), RFC 8200 section 4.5).
#pragma once

#include <stdint.h>

#include "dataplane/base/addr.h"
#include "dataplane/base/hash.h"

enum {
	FRAGMENT_ID_SLOTS = 256,
	FRAGMENT_SITE_BITS = 8,
	FRAGMENT_WORKER_BITS = 6,
	FRAGMENT_COUNT_BITS = 32 - FRAGMENT_SITE_BITS - FRAGMENT_WORKER_BITS,
};

// Where a worker takes the identification of fragments from. Sites share agent addresses, and
// workers share both addresses of a tunnel: site and worker stand in the upper bits, below counts one
// of several counters that the destination chooses (RFC 7739 section 5.3), each with a random start.
struct fragment_ids {
	uint32_t base; // site and worker, in place
	struct hash_seed seed;
	uint32_t counters[FRAGMENT_ID_SLOTS];
};

// Prepares the identifications of one worker of one site. Returns: 0 or negative errno.
int fragment_ids_init(struct fragment_ids *ids, uint8_t site, uint16_t worker);

// The next identification towards dst, host order.
uint32_t fragment_id_next(struct fragment_ids *ids, const struct ip6 *dst);

struct worker;
struct rte_mbuf;
struct nexthop;

// Sends the whole packet in m (an IPv6 header with next header PROTO_IPV6 and its payload; moved) in
// fragments of at most mtu bytes to an adjacency, a neighbour to be resolved or the next tunnel.
void fragment_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, uint16_t mtu);
