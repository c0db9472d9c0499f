// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What travels with a packet buffer besides its bytes. Inside the pipeline the data of a buffer
// begins at the IP header; whole Ethernet frames travel only to and from the TAP twins.
#pragma once

#include <assert.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "dataplane/base/addr.h"
#include "dataplane/base/wire.h"

// What a buffer on a ring between main lcore and workers is.
enum pkt_kind {
	PKT_IP, // to main: unused. From main: route it
	PKT_FRAME, // an Ethernet frame to, or from, the twin of meta.port
	PKT_PUNT, // an IPv6 packet for control
	PKT_GLEAN, // an IPv6 packet that waits for priv.target on meta.port
	PKT_UNRESOLVED, // from main: what waited for a neighbour that does not answer
	PKT_ERROR, // an ICMPv6 error to an address of ours about a tunnel packet
	PKT_SEAL, // from main: an IPv6 packet that is to leave under priv.sa_use of priv.sa_slot
};

enum pkt_flags {
	PKT_LOCAL_ORIGIN = 0x01, // ours: its hop limit is not decremented
	PKT_TUNNELLED = 0x02, // decapsulated by us: the outer header is still in front of the data
	PKT_REASSEMBLED = 0x04,
	PKT_STRANGER = 0x10, // GLEAN: waits for its own destination, not for a gateway
	PKT_ESP = 0x20, // came under priv.sa_use of priv.sa_slot, until it is decapsulated
	PKT_FROM_HOST = 0x08, // our kernel's, to a home address: it is told of errors too
};

// In the place of the RSS hash, which nobody reads after receipt: in the buffer's first cache line.
struct pkt_meta {
	uint8_t kind;
	uint8_t flags;
	uint8_t n_encaps : 4;
	uint8_t n_decaps : 4;
	uint8_t port; // index of the ingress (FRAME from main: egress) port or VLAN
	uint16_t outer_len; // TUNNELLED: bytes of outer headers in front of the data
	uint8_t domain; // index of the mobility domain that the packet is routed in
	uint8_t reserved;
} __attribute__((may_alias));
static_assert(sizeof(struct pkt_meta) == sizeof(((struct rte_mbuf *)0)->hash.rss) * 2,
	"fits the hash field");

static inline struct pkt_meta *pkt_meta(struct rte_mbuf *m)
{
	return (struct pkt_meta *)&m->hash;
}

// In the private area of each buffer, a cache line of its own: only for packets that leave the fast
// path for the main lcore.
struct pkt_priv {
	struct ip6 target; // GLEAN
	struct ip6 outer_src; // PUNT
	struct ip6 outer_dst;
	uint64_t sender; // PUNT: of a Binding Update (police_sender); 0 = no newer one replaces it
	uint8_t police_class; // PUNT
	uint8_t punt_lane; // PUNT: enum api_punt_lane
	uint8_t sa_use; // PUNT: 0 = unprotected; SEAL, PKT_ESP
	uint32_t sa_slot; // likewise
};

enum { PKT_PRIV_SIZE = RTE_ALIGN_CEIL(sizeof(struct pkt_priv), RTE_MBUF_PRIV_ALIGN) };

static inline struct pkt_priv *pkt_priv(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

static inline struct ip6_hdr_wire *pkt_ip6(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, struct ip6_hdr_wire *);
}

static inline struct ip4_hdr_wire *pkt_ip4(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, struct ip4_hdr_wire *);
}

static inline bool pkt_is_ip4(struct rte_mbuf *m)
{
	return *rte_pktmbuf_mtod(m, const uint8_t *) >> 4 == 4;
}

static inline uint8_t ip6_traffic_class(const struct ip6_hdr_wire *ip)
{
	return (uint8_t)(rte_be_to_cpu_32(ip->vtc_flow_be) >> 20);
}

static inline void ip6_set_traffic_class(struct ip6_hdr_wire *ip, uint8_t tc)
{
	ip->vtc_flow_be = (ip->vtc_flow_be & ~rte_cpu_to_be_32(0x0ff00000)) |
			  rte_cpu_to_be_32((uint32_t)tc << 20);
}
