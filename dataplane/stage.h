// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The stages, in the order of the pipeline. Each empties one lane into others; its exits stand at
// the top of its file. A stage costs nothing when its lane is empty.
#pragma once

#include "dataplane/worker.h"

// Frames from a port -> route | host. Moves pkts[n], 1 <= n <= BURST, of port index port.
void stage_classify(struct worker *w, uint8_t port, struct rte_mbuf **pkts, unsigned int n);

// First look-up. route -> local | home | forward | drops.
void stage_route(struct worker *w);

// Packets to our own addresses. local -> tunnel | punt | host | drops.
void stage_local(struct worker *w);

// IPv6-in-IPv6 to us, with the source check. tunnel -> route (the inner packets) | drops.
void stage_decap(struct worker *w);

// Packets to home addresses: binding look-up, encapsulation. home -> tx | glean | again | drops.
void stage_encap(struct worker *w);

// Plain forwarding. forward -> tx | glean | drops.
void stage_forward(struct worker *w);

// Ethernet header and transmit buffers. tx -> ports.
void stage_tx(struct worker *w);

// --- Shared by stages --------------------------------------------------------------------------

// Finds the upper-layer protocol behind hop-by-hop, destination options and routing headers of the
// packet in m, within its first segment. Shape: *off bytes from the IPv6 header to it.
// Returns: the protocol; PROTO_FRAGMENT where a fragment header stands; -1 when the chain is broken or
// longer than a router should look (RFC 7112, RFC 9099).
int stage_upper(const struct rte_mbuf *m, unsigned int *off);

// A hash of the packet's flow, for the outer flow label (RFC 6438) and multipath: addresses, flow
// label, protocol and, where it directly follows, the ports.
uint32_t stage_flow_hash(const struct rte_mbuf *m, const struct ip6_hdr_wire *ip);

// Resolves a multipath next hop for a flow; any other is returned as it is.
static inline const struct nexthop *stage_pick(const struct nexthop *nh, uint32_t hash)
{
	if (likely(nh->type != NEXTHOP_GROUP))
		return nh;
	return nexthop_get(nh->members[hash % nh->n_members]);
}

// Sends m on to an adjacency, or to wait for its neighbour. nh is NEXTHOP_ADJACENCY or NEXTHOP_GLEAN.
void stage_egress(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh);

// Makes an ICMPv6 error about the packet in m (which stays the caller's) and holds it for the next
// burst, unless RFC 4443 2.4 (e) forbids it or the worker's budget is used up.
void stage_icmp_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param);

// The address that errors about packets of a port come from. Before start.
void stage_icmp_source_set(uint8_t port, const struct ip6 *address);

// Ends m for reason after telling its sender.
static inline void stage_refuse(struct worker *w, struct rte_mbuf *m, enum drop_reason reason,
	uint8_t type, uint8_t code, uint32_t param)
{
	stage_icmp_error(w, m, type, code, param);
	worker_drop(w, m, reason);
}
