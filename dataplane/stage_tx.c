// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: ports (worker_out), drop no_headroom.

#include "dataplane/stage.h"

void stage_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	if (nh->type == NEXTHOP_HOME)
		worker_again(w, m);
	else if (nh->type != NEXTHOP_ADJACENCY)
		stage_egress(w, m, nh);
	else if (!stage_ether(m, nh))
		worker_drop(w, m, DROP_no_headroom);
	else
		worker_out(w, nh->device, m);
}

void stage_tx(struct worker *w)
{
	struct lane *in = &w->tx;
	unsigned int n = in->n;

	in->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];

		if (unlikely(!stage_ether(m, in->nh[i]))) {
			worker_drop(w, m, DROP_no_headroom);
			continue;
		}
		worker_out(w, in->nh[i]->device, m);
	}
}
