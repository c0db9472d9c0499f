// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What a worker has for ESP; only where there is an SA table. Everything belongs to that worker.
#pragma once

#include "dataplane/esp.h"
#include "dataplane/esp_guard.h"
#include "dataplane/sa.h"

struct rte_mbuf;
struct nexthop;
struct worker;

// A packet that stands between its headers and its sealing.
struct esp_out {
	struct rte_mbuf *m;
	const struct nexthop *nh; // tunnel: where it goes; NULL: transport, to be routed
	uint16_t mtu; // tunnel: of the way
	bool is_ready; // nothing to be done after the sealing: it fits, and nh is NEXTHOP_ADJACENCY
};

struct esp_worker {
	IMB_MGR *mgr;
	uint8_t site; // in IVs
	struct esp_guard guard;
	uint16_t n_out;
	struct esp_out out[ESP_BURST];
	struct esp_op ops[ESP_BURST]; // of each of `out`
};

// Makes the ESP of n workers of one site. Where there is no SA table they have none. Before start, with
// the right to lock memory. Returns: 0 or negative errno with the reason logged.
int esp_workers_init(struct worker *list, uint16_t n, uint8_t site, uint64_t hz);
void esp_workers_free(struct worker *list, uint16_t n);
