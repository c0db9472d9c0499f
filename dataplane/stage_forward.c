// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: ports and glean (stage_egress), drops hop_limit, too_big, link_local_source, own_source.

#include "dataplane/stage.h"

#include "dataplane/base/wire.h"

void stage_glean(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	if (nh->on_link)
		pkt_meta(m)->flags |= PKT_STRANGER;
	if (!nh->on_link)
		pkt_priv(m)->target = nh->target;
	else if (pkt_is_ip4(m))
		pkt_priv(m)->target = ip6_from_ip4(pkt_ip4(m)->dst_be);
	else
		pkt_priv(m)->target = pkt_ip6(m)->dst;
	pkt_meta(m)->port = nh->port;
	worker_to_main(w, m, PKT_GLEAN, MAIN_GLEAN);
}

void stage_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	if (nh->type == NEXTHOP_HOME)
		worker_again(w, m);
	else
		stage_egress(w, m, nh);
}

void stage_forward(struct worker *w)
{
	struct lane *in = &w->forward;
	unsigned int n = in->n;

	in->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];
		struct ip6_hdr_wire *ip = pkt_ip6(m);
		// A route may be given any MTU; IPv6 knows none below 1280 (RFC 8200 section 5).
		uint32_t mtu = RTE_MAX((uint32_t)in->nh[i]->mtu, (uint32_t)IP6_MIN_MTU);

		if (!(pkt_meta(m)->flags & PKT_LOCAL_ORIGIN)) {
			if (unlikely(ip6_is_linklocal(&ip->src))) {
				stage_refuse(w, m, DROP_link_local_source, ICMP6_UNREACH,
					ICMP6_UNREACH_BEYOND_SCOPE, 0);
				continue;
			}
			if (unlikely(stage_is_odd(ip->next_header)) && stage_is_own_source(m)) {
				worker_drop(w, m, DROP_own_source);
				continue;
			}
			if (unlikely(ip->hop_limit <= 1)) {
				stage_refuse(w, m, DROP_hop_limit, ICMP6_TIME_EXCEEDED, 0, 0);
				continue;
			}
		}
		if (unlikely(m->pkt_len > mtu)) {
			stage_refuse(w, m, DROP_too_big, ICMP6_PACKET_TOO_BIG, 0, mtu);
			continue;
		}
		if (!(pkt_meta(m)->flags & PKT_LOCAL_ORIGIN)) {
			ip->hop_limit--;
			w->stats.forwarded++;
		}
		stage_egress(w, m, in->nh[i]);
	}
}
