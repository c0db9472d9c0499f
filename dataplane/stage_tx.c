// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: ports (worker_out), drop no_headroom.

#include "dataplane/stage.h"

#include <rte_ether.h>
#include <rte_memcpy.h>

void stage_tx(struct worker *w)
{
	struct lane *in = &w->tx;
	unsigned int n = in->n;

	in->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];
		char *eth = rte_pktmbuf_prepend(m, RTE_ETHER_HDR_LEN);

		if (unlikely(eth == NULL)) {
			worker_drop(w, m, DROP_no_headroom);
			continue;
		}
		memcpy(eth, in->nh[i]->ether, RTE_ETHER_HDR_LEN);
		worker_out(w, in->nh[i]->port, m);
	}
}
