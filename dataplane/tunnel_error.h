// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ICMPv6 errors from inside our tunnels (RFC 2473 section 8): the path MTU is learned, and the sender
// of the original packet is told. Only for quotes of packets that we could have sent: our agent address
// as source, a bound home address inside, and the binding's own care-of address as destination.
//
// Thread: main lcore.
#pragma once

#include <stdint.h>

#include <rte_mbuf.h>

// Takes in a packet of kind PKT_ERROR (moved); meta.outer_len is the offset of its ICMPv6 header.
void tunnel_error_take(struct rte_mbuf *m);

// Read relaxed by anyone.
struct tunnel_error_stats {
	uint64_t relayed; // errors sent to original senders
	uint64_t ignored; // true errors that nobody needs to hear of
	uint64_t suppressed; // beyond the budget
	uint64_t forged; // quote nothing that we could have sent
};
extern struct tunnel_error_stats tunnel_error_stats;
