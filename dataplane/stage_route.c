// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: local, home, forward (adjacency or glean), host (addresses of ours in other domains than 0,
// where there are no tunnels and no signalling), drops no_route, route_drop.

#include "dataplane/stage.h"

#include "dataplane/domain.h"
#include "dataplane/fib.h"

// Looks up run by run of one domain, which a burst of several links may not be.
static void look_up_runs(
	struct rte_mbuf **pkts, const struct ip6 *dst, uint32_t *idx, unsigned int n)
{
	unsigned int end;

	for (unsigned int i = 0; i < n; i = end) {
		uint8_t domain = pkt_meta(pkts[i])->domain;

		for (end = i + 1; end < n && pkt_meta(pkts[end])->domain == domain;)
			end++;
		fib6_lookup_bulk(domain, dst + i, idx + i, end - i);
	}
}

void stage_route(struct worker *w)
{
	struct lane *in = &w->route;
	struct ip6 *dst = w->lookups.addresses;
	uint32_t *idx = w->lookups.nexthops;
	unsigned int n = in->n;
	uint8_t domain, others = 0;

	if (n == 0)
		return;
	in->n = 0;
	domain = pkt_meta(in->pkts[0])->domain;
	for (unsigned int i = 0; i < n; i++) {
		dst[i] = pkt_ip6(in->pkts[i])->dst;
		others |= pkt_meta(in->pkts[i])->domain ^ domain;
	}
	if (likely(others == 0))
		fib6_lookup_bulk(domain, dst, idx, n);
	else
		look_up_runs(in->pkts, dst, idx, n);
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];
		const struct nexthop *nh = nexthop_get(idx[i]);

		if (unlikely(nh->type == NEXTHOP_GROUP))
			nh = stage_pick(nh, stage_flow_hash(m, pkt_ip6(m)));
		switch ((enum nexthop_type)nh->type) {
		case NEXTHOP_HOME:
			lane_add(&w->home, m, nh);
			break;
		case NEXTHOP_LOCAL:
			if (likely(pkt_meta(m)->domain == DOMAIN_TRANSPORT))
				lane_add(&w->local, m, nh);
			else
				stage_host(w, m);
			break;
		case NEXTHOP_ADJACENCY:
		case NEXTHOP_GLEAN:
			lane_add(&w->forward, m, nh);
			break;
		case NEXTHOP_NO_ROUTE:
			stage_refuse(w, m, DROP_no_route, ICMP6_UNREACH, ICMP6_UNREACH_NO_ROUTE, 0);
			break;
		case NEXTHOP_DROP:
		case NEXTHOP_GROUP:
			stage_refuse(
				w, m, DROP_route_drop, ICMP6_UNREACH, ICMP6_UNREACH_PROHIBITED, 0);
			break;
		}
	}
}
