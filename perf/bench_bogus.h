// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets of attackers, with random sources: what each costs the worker is no business of the mobiles.
#pragma once

#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

enum bogus_kind {
	BOGUS_NONE,
	BOGUS_UPDATE, // Binding Updates for homes of which half are bound
	BOGUS_HOME_OPTION, // UDP to us with a Home Address option that no binding supports
	BOGUS_HOST, // echo requests to us, for the kernel
	BOGUS_FRAGMENT, // first fragments of tunnel packets whose rest never comes
	BOGUS_HEADERS, // a long header chain to us that ends in a type 0 routing header
	BOGUS_KINDS,
};

// mac: of the port. Before the first round.
void bogus_init(const struct rte_ether_addr *mac);

// Fills m with the next packet of a kind. Half of what names a home address names one of n_mobiles.
void bogus_put(struct rte_mbuf *m, enum bogus_kind kind, uint64_t *random, uint32_t n_mobiles);
