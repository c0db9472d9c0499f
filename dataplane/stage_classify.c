// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: route (IPv6 unicast), host (everything the kernel's twin should see: ARP, ND, IPv4,
// multicast, link-local), drops not_for_us, bad_ip6_header, bad_address.

#include "dataplane/stage.h"

#include <rte_ether.h>

#include "dataplane/port.h"

enum verdict { TO_ROUTE, TO_HOST, BAD_HEADER, BAD_ADDRESS };

static bool is_loopback_or_any(const struct ip6 *a)
{
	uint64_t q[2];

	memcpy(q, a, sizeof(q));
	return q[0] == 0 && (q[1] & rte_cpu_to_be_64(~1ULL)) == 0;
}

static enum verdict judge_ip6(struct rte_mbuf *m)
{
	const struct ip6_hdr_wire *ip =
		rte_pktmbuf_mtod_offset(m, struct ip6_hdr_wire *, RTE_ETHER_HDR_LEN);
	uint32_t frame = RTE_ETHER_HDR_LEN + sizeof(*ip), excess;

	if (unlikely(m->data_len < frame || (ip->vtc_flow_be & rte_cpu_to_be_32(0xf0000000)) !=
						    rte_cpu_to_be_32(0x60000000)))
		return BAD_HEADER;
	frame += rte_be_to_cpu_16(ip->payload_len_be);
	if (unlikely(m->pkt_len < frame))
		return BAD_HEADER;
	excess = m->pkt_len - frame; // Ethernet padding
	if (excess > 0 && rte_pktmbuf_trim(m, (uint16_t)excess) != 0)
		return BAD_HEADER;
	if (unlikely(ip6_is_multicast(&ip->src)))
		return BAD_ADDRESS;
	if (unlikely(ip6_is_multicast(&ip->dst) || ip6_is_linklocal(&ip->dst)))
		return TO_HOST;
	if (unlikely(is_loopback_or_any(&ip->src) || is_loopback_or_any(&ip->dst)))
		return BAD_ADDRESS;
	return TO_ROUTE;
}

static void classify_one(struct worker *w, const struct port *port, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	enum verdict verdict = TO_HOST;

	*pkt_meta(m) = (struct pkt_meta){ .port = (uint8_t)port->index };
	w->stats.rx_bytes += m->pkt_len;
	if (unlikely(!rte_is_same_ether_addr(&eth->dst_addr, &port->mac) &&
		     !rte_is_multicast_ether_addr(&eth->dst_addr))) {
		worker_drop(w, m, DROP_not_for_us);
		return;
	}
	if (likely(eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)))
		verdict = judge_ip6(m);
	switch (verdict) {
	case TO_ROUTE:
		rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);
		lane_add(&w->route, m, NULL);
		break;
	case TO_HOST:
		worker_to_main(w, m, PKT_FRAME);
		break;
	case BAD_HEADER:
		worker_drop(w, m, DROP_bad_ip6_header);
		break;
	case BAD_ADDRESS:
		worker_drop(w, m, DROP_bad_address);
		break;
	}
}

void stage_classify(struct worker *w, uint8_t port, struct rte_mbuf **pkts, unsigned int n)
{
	enum { AHEAD = 4 };

	for (unsigned int i = 0; i < AHEAD && i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (unsigned int i = 0; i < n; i++) {
		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + AHEAD], void *));
		classify_one(w, &ports[port], pkts[i]);
	}
}
