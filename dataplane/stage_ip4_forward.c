// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// IPv4 forwarding (RFC 1812 section 5): time to live, size, fragments. Options stay as they are.
//
// Exits: ports and glean (stage_egress), drops hop_limit, too_big, link_local_source.

#include "dataplane/stage.h"

static bool is_linklocal(uint32_t address_be)
{
	return (address_be & rte_cpu_to_be_32(0xffff0000)) == rte_cpu_to_be_32(0xa9fe0000);
}

// Takes one hop off, with the checksum's change (RFC 1624: here a word only shrinks by 0x0100).
static void decrement_ttl(struct ip4_hdr_wire *ip)
{
	uint32_t sum = ip->cksum_be + (uint32_t)rte_cpu_to_be_16(0x0100);

	ip->cksum_be = (uint16_t)(sum + (sum >= 0xffff));
	ip->ttl--;
}

static bool admit(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	const struct ip4_hdr_wire *ip = pkt_ip4(m);
	bool is_ours = (pkt_meta(m)->flags & PKT_LOCAL_ORIGIN) != 0;

	if (unlikely(!is_ours && is_linklocal(ip->src_be))) { // RFC 3927 section 7
		worker_drop(w, m, DROP_link_local_source);
		return false;
	}
	if (unlikely(!is_ours && ip->ttl <= 1)) {
		stage_ip4_refuse(w, m, DROP_hop_limit, ICMP4_TIME_EXCEEDED, 0, 0);
		return false;
	}
	if (unlikely(m->pkt_len > nh->mtu && (ip->fragment_be & rte_cpu_to_be_16(IP4_DF)) != 0)) {
		stage_ip4_refuse(
			w, m, DROP_too_big, ICMP4_UNREACH, ICMP4_UNREACH_FRAGMENTATION, nh->mtu);
		return false;
	}
	return true;
}

void stage_ip4_forward(struct worker *w)
{
	struct lane *in = &w->forward4;
	unsigned int n = in->n;

	in->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];

		if (!admit(w, m, in->nh[i]))
			continue;
		if (!(pkt_meta(m)->flags & PKT_LOCAL_ORIGIN)) {
			decrement_ttl(pkt_ip4(m));
			w->stats.forwarded++;
		}
		if (unlikely(m->pkt_len > in->nh[i]->mtu))
			stage_ip4_fragment(w, m, in->nh[i], in->nh[i]->mtu);
		else
			stage_egress(w, m, in->nh[i]);
	}
}
