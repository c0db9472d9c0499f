// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: host (addresses of ours), forward4 (adjacency or glean), drops no_route, route_drop.

#include "dataplane/stage.h"

#include "dataplane/fib.h"

// As stage_flow_hash: addresses, protocol and, in whole packets, ports.
static uint32_t flow_hash(const struct rte_mbuf *m, const struct ip4_hdr_wire *ip)
{
	unsigned int off = (ip->version_ihl & 0xf) * 4u;
	uint64_t h = (uint64_t)ip->src_be << 32 | ip->dst_be;
	uint32_t ports = 0;

	if ((ip->protocol == PROTO_TCP || ip->protocol == PROTO_UDP) &&
		(ip->fragment_be & rte_cpu_to_be_16(IP4_MF | IP4_OFFSET)) == 0 &&
		m->data_len >= off + sizeof(ports))
		memcpy(&ports, (const uint8_t *)ip + off, sizeof(ports));
	h = (h ^ (uint64_t)ip->protocol << 56) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ h >> 32 ^ ports) * 0xd1b54a32d192ed03ULL;
	return (uint32_t)(h ^ h >> 32);
}

// Looks up run by run of one domain; nearly every burst is one run.
static void look_up(struct rte_mbuf **pkts, const uint32_t *dst_be, uint32_t *idx, unsigned int n)
{
	unsigned int end;

	for (unsigned int i = 0; i < n; i = end) {
		uint8_t domain = pkt_meta(pkts[i])->domain;

		for (end = i + 1; end < n && pkt_meta(pkts[end])->domain == domain;)
			end++;
		fib4_lookup_bulk(domain, dst_be + i, idx + i, end - i);
	}
}

void stage_ip4_route(struct worker *w)
{
	struct lane *in = &w->route4;
	uint32_t dst_be[BURST], idx[BURST];
	unsigned int n = in->n;

	if (n == 0)
		return;
	in->n = 0;
	for (unsigned int i = 0; i < n; i++)
		dst_be[i] = pkt_ip4(in->pkts[i])->dst_be;
	look_up(in->pkts, dst_be, idx, n);
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];
		const struct nexthop *nh = nexthop_get(idx[i]);

		if (unlikely(nh->type == NEXTHOP_GROUP))
			nh = stage_pick(nh, flow_hash(m, pkt_ip4(m)));
		switch ((enum nexthop_type)nh->type) {
		case NEXTHOP_LOCAL:
			stage_host(w, m);
			break;
		case NEXTHOP_ADJACENCY:
		case NEXTHOP_GLEAN:
			lane_add(&w->forward4, m, nh);
			break;
		case NEXTHOP_NO_ROUTE:
			stage_ip4_refuse(w, m, DROP_no_route, ICMP4_UNREACH, ICMP4_UNREACH_NET, 0);
			break;
		case NEXTHOP_DROP:
		case NEXTHOP_HOME:
		case NEXTHOP_GROUP:
			stage_ip4_refuse(
				w, m, DROP_route_drop, ICMP4_UNREACH, ICMP4_UNREACH_PROHIBITED, 0);
			break;
		}
	}
}
