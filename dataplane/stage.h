// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The stages, in the order of the pipeline. Each empties one lane into others; its exits stand at
// the top of its file. A stage costs nothing when its lane is empty.
#pragma once

#include <nmmintrin.h>

#include <rte_ether.h>

#include "dataplane/anchor.h"
#include "dataplane/sa.h"
#include "dataplane/worker.h"

enum { STAGE_MAX_DECAPS = 2 }; // a mobile behind a mobile, as stage_encap's way down

// Frames from a port -> route | route4 | host. Moves pkts[n], 1 <= n <= BURST, of port index port.
void stage_classify(struct worker *w, uint8_t port, struct rte_mbuf **pkts, unsigned int n);

// What the main lcore or an earlier burst had: by its IP version -> route | route4.
static inline void stage_enter(struct worker *w, struct rte_mbuf *m)
{
	lane_add(unlikely(pkt_is_ip4(m)) ? &w->route4 : &w->route, m, NULL);
}

// IPv4: look-up. route4 -> host | forward4 | drops.
void stage_ip4_route(struct worker *w);

// IPv4: forwarding. forward4 -> ports | glean | drops.
void stage_ip4_forward(struct worker *w);

// First look-up. route -> local | home | forward | drops.
void stage_route(struct worker *w);

// Packets to our own addresses. local -> tunnel | punt | host | drops.
void stage_local(struct worker *w);

// ESP to us. esp_in -> tunnel | punt | host | drops.
void stage_esp_in(struct worker *w);

// Mobility Header messages to control, as far as their sender, their class and control's pace allow
// (dataplane/police.h). punt -> main lcore | drops.
void stage_punt(struct worker *w);

// IPv6-in-IPv6 to us, with the source check. tunnel -> route (the inner packets) | drops.
void stage_decap(struct worker *w);

// Packets to home addresses: binding look-up, encapsulation. home -> ports | glean | again | drops.
void stage_encap(struct worker *w);

// Sealing of what the encapsulation stage and control gave: -> ports | glean | again | drops.
void stage_esp_out(struct worker *w);

// Plain forwarding. forward -> ports | glean | drops.
void stage_forward(struct worker *w);

// --- Shared by stages --------------------------------------------------------------------------

// The bindings of n home addresses of a domain, NULL for none. Shape: homes[n], bindings[n]; 1 <= n <=
// BURST. Owns: borrowed for this turn.
void stage_bindings_of(const struct worker *w, uint8_t domain, const struct ip6 *homes,
	const struct binding **bindings, unsigned int n);

// The offset of the Home Address option in the headers of m up to offset `upper`, which stage_upper found.
// Returns: of its first byte; 0 without one; negative when there are two, one before a routing header or
// one of another length (RFC 6275 section 6.3).
int stage_home_option(const struct rte_mbuf *m, unsigned int upper);

// The home address that a packet is about whose upper layer begins at `upper`: that of its Home Address
// option, else its source. NULL where the option is against the rules.
const struct ip6 *stage_home_of(struct rte_mbuf *m, unsigned int upper);

// Hands a Mobility Header or discovery message, which begins off bytes into m (moved) and which sa protected,
// to control as stage_punt does.
void stage_punt_protected(
	struct worker *w, struct rte_mbuf *m, unsigned int off, const struct sa *sa);

// The uses that a home address may have only under an SA, as its prefix says: API_SA_BIT of each.
uint32_t stage_protect_of(uint8_t domain, const struct ip6 *home);

// Where the next header of the last extension header in front of offset `upper` stands, which stage_upper
// found. Owns: borrowed.
uint8_t *stage_last_next_header(struct rte_mbuf *m, unsigned int upper);

// What of a home address' packets has to travel under an SA: its prefix's uses and its slot's.
static inline uint32_t stage_protect_binding(const struct binding *b)
{
	const struct api_home_prefix_set *prefix = anchor_home_prefix(b->home_prefix);
	uint32_t protect = prefix == NULL ? 0 : prefix->protect;

	return b->flags & BINDING_SA ? protect | sa_protect(b->sa_slot) : protect;
}

// --- ESP out -----------------------------------------------------------------------------------------

// Takes a packet of kind PKT_SEAL (moved): puts ESP behind its extension headers, to be sealed and routed.
void stage_esp_transport(struct worker *w, struct rte_mbuf *m);

// Sends a packet with its outer headers on: in fragments where the way's MTU asks for it.
void stage_tunnel_send(
	struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, uint16_t mtu);

// Finds the upper-layer protocol behind hop-by-hop, destination options and routing headers of the
// packet in m, within its first segment. Shape: *off bytes from the IPv6 header to it.
// Returns: the protocol; PROTO_FRAGMENT where a fragment header stands; -1 when the chain is broken or
// longer than a router should look (RFC 7112, RFC 9099).
int stage_upper(const struct rte_mbuf *m, unsigned int *off);

// A hash of the packet's flow, for the outer flow label (RFC 6438) and multipath: addresses, flow
// label, protocol and, where it directly follows, the ports. The product spreads what a checksum leaves
// linear, so that who hashes labels by the same polynomial still sees flows apart.
static inline uint32_t stage_flow_hash(const struct rte_mbuf *m, const struct ip6_hdr_wire *ip)
{
	uint64_t src[2], dst[2], l4 = 0, h;

	memcpy(src, &ip->src, sizeof(src));
	memcpy(dst, &ip->dst, sizeof(dst));
	if (likely(ip->next_header == PROTO_TCP || ip->next_header == PROTO_UDP) &&
		m->data_len >= sizeof(*ip) + sizeof(uint32_t))
		memcpy(&l4, ip + 1, sizeof(uint32_t));
	h = _mm_crc32_u64(_mm_crc32_u64(0x9e3779b9, src[0]), src[1]);
	h = _mm_crc32_u64(_mm_crc32_u64(h, dst[0]), dst[1]);
	h = _mm_crc32_u64(h, l4 << 32 | (ip->vtc_flow_be & rte_cpu_to_be_32(0xfffff)) |
				     (uint64_t)ip->next_header);
	return (uint32_t)(h * 0x9e3779b97f4a7c15ULL >> 32);
}

// Resolves a multipath next hop for a flow; any other is returned as it is.
static inline const struct nexthop *stage_pick(const struct nexthop *nh, uint32_t hash)
{
	if (likely(nh->type != NEXTHOP_GROUP))
		return nh;
	return nexthop_get(nh->members[hash % nh->n_members]);
}

// True for what a forged tunnel, signalling, or an option for tunnel entries may begin with.
static inline bool stage_is_odd(uint8_t next_header)
{
	const uint64_t odd = 1ULL << PROTO_HOPOPTS | 1ULL << PROTO_IPV4 | 1ULL << PROTO_IPV6 |
			     1ULL << PROTO_ROUTING | 1ULL << PROTO_FRAGMENT |
			     1ULL << PROTO_DSTOPTS | 1ULL << PROTO_AH;

	return next_header < 64 ? odd >> next_header & 1 : next_header == PROTO_MH;
}

// True when a packet came from outside with a source address of ours. Costs a look-up in the FIB.
bool stage_is_own_source(struct rte_mbuf *m);

// The correspondent's part of Mobile IPv6, which the kernel below does not know. upper is the offset of
// what stands behind the extension headers.

// Takes a packet to an address of ours whose headers may have a Home Address option: with a binding to
// its source the two change places, without one m is dropped. RFC 6275 section 9.3.1.
// Returns: true when m lives on.
bool stage_shim_in(struct worker *w, struct rte_mbuf *m, unsigned int upper);

// Puts a type 2 routing header into a packet of ours to a home address if it fits into mtu bytes then;
// mtu is 0 where no link leads to the care-of address.
// Returns: false when it has to take the tunnel. RFC 6275 section 9.3.2.
bool stage_shim_out(struct rte_mbuf *m, const struct ip6 *care_of, uint16_t mtu);

// Hands m to the main lcore, where it waits for the neighbour that nh (NEXTHOP_GLEAN) tells.
void stage_glean(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh);

// Hands m, whose data begins at its IP header, to the twin of the link that it came from.
void stage_host(struct worker *w, struct rte_mbuf *m);
// The same for a whole frame without a VLAN tag.
void stage_host_frame(struct worker *w, struct rte_mbuf *m);
// Hands m, an ICMPv6 error to us about a tunnel packet, to whom it may concern (dataplane/tunnel_error.h).
void stage_host_error(struct worker *w, struct rte_mbuf *m);

// Puts the Ethernet header of nh (NEXTHOP_ADJACENCY) in front. Returns: false without room.
static inline bool stage_ether(struct rte_mbuf *m, const struct nexthop *nh)
{
	char *ether;

	if (unlikely(rte_pktmbuf_headroom(m) < nh->ether_len))
		return false;
	ether = rte_pktmbuf_prepend(m, nh->ether_len);
	memcpy(ether, nh->ether, RTE_ETHER_HDR_LEN);
	if (unlikely(nh->ether_len > RTE_ETHER_HDR_LEN))
		memcpy(ether + RTE_ETHER_HDR_LEN, nh->ether + RTE_ETHER_HDR_LEN, RTE_VLAN_HLEN);
	return true;
}

// Sends m out over an adjacency. Drop: no_headroom.
static inline void stage_out(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	if (likely(stage_ether(m, nh)))
		worker_out(w, nh->device, m);
	else
		worker_drop(w, m, DROP_no_headroom);
}

// Sends m on to an adjacency, or to wait for its neighbour. nh is NEXTHOP_ADJACENCY or NEXTHOP_GLEAN.
static inline void stage_egress(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	if (likely(nh->type == NEXTHOP_ADJACENCY))
		stage_out(w, m, nh);
	else
		stage_glean(w, m, nh);
}

// The same for fragments; nh may also be NEXTHOP_HOME, the care-of address being a home address.
void stage_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh);

// Makes an ICMPv4 error about the packet in m (which stays the caller's) and holds it for the next
// burst, unless RFC 1812 4.3.2.7 or police_error forbids it.
void stage_ip4_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param);

// The address that ICMPv4 errors about packets of a link come from. Before start.
void stage_ip4_source_set(uint8_t port, uint32_t address_be);

// Ends m for reason after telling its sender.
static inline void stage_ip4_refuse(struct worker *w, struct rte_mbuf *m, enum drop_reason reason,
	uint8_t type, uint8_t code, uint32_t param)
{
	stage_ip4_error(w, m, type, code, param);
	worker_drop(w, m, reason);
}

// Cuts m (moved) into fragments of at most mtu bytes and sends them.
void stage_ip4_fragment(
	struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, uint16_t mtu);

// Makes an ICMPv6 error about the packet in m (which stays the caller's) and holds it for the next
// burst, unless RFC 4443 2.4 (e) or police_error forbids it.
void stage_icmp_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param);

// Makes a Binding Error, status 1, about the packet in m (which stays the caller's) with this Home
// Address option, under the same rules and budget. RFC 6275 section 9.3.3.
void stage_binding_error(struct worker *w, struct rte_mbuf *m, const struct ip6 *home);

// The address that errors about packets of a port come from. Before start.
void stage_icmp_source_set(uint8_t port, const struct ip6 *address);

// Ends m for reason after telling its sender.
static inline void stage_refuse(struct worker *w, struct rte_mbuf *m, enum drop_reason reason,
	uint8_t type, uint8_t code, uint32_t param)
{
	stage_icmp_error(w, m, type, code, param);
	worker_drop(w, m, reason);
}
