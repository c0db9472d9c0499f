// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets of attackers, with random sources: what each costs the worker is no business of the mobiles.
#pragma once

#include <stdbool.h>
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
	// Binding Updates under ESP, of RFC 3776's usual size and algorithms:
	BOGUS_ESP_UNKNOWN, // with an SPI that is no SA's
	BOGUS_ESP_CHECK, // with a wrong check value
	BOGUS_ESP_CHECK_PEER, // the same, from the addresses that the mobiles really have
	BOGUS_ESP_REPLAY, // with numbers that were used
	BOGUS_KINDS,
};

enum {
	BOGUS_SPI = 0x1000, // of mobile 0; each mobile's is one more
	BOGUS_USED = 1000, // the highest sequence number that their SAs have seen
};

static inline bool bogus_is_esp(enum bogus_kind kind)
{
	return kind >= BOGUS_ESP_UNKNOWN;
}

// mac: of the port. Before the first round.
void bogus_init(const struct rte_ether_addr *mac);

// Fills m with the next packet of a kind. Half of what names a home address names one of n_mobiles; what
// names an SA names one of the first n_sas mobiles'.
void bogus_put(struct rte_mbuf *m, enum bogus_kind kind, uint64_t *random, uint32_t n_mobiles,
	uint32_t n_sas);
