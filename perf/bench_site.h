// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What surrounds the benchmark's workers: one net_null port, routes, an agent address with its home
// prefix, bindings.
#pragma once

#include <stdint.h>

#include "dataplane/worker.h"
#include "perf/bench_traffic.h"

enum {
	SITE_WORKERS = 2,
	SITE_SAS = 65536, // mobiles with an SA at most
};

// Of each worker's queue.
extern struct traffic site_traffic[SITE_WORKERS];

// Brings all but the bindings up, after rte_eal_init. Returns: 0, or negative errno with the reason said.
int site_start(void);
void site_stop(void);

// Makes a table of n bindings and gives it to the workers. Returns: bindings per second, 0 on failure.
double site_bind(uint32_t n);
void site_unbind(void);

// Gives the first SITE_SAS mobiles an inbound SA for signalling each, that has seen the numbers up to
// BOGUS_USED from the mobile's care-of address. After sa_init and site_bind.
// Returns: 0 or negative errno.
int site_secure(void);

// Lets worker 0 be what it is when it is the only one, or one of two that share all bindings.
void site_set_alone(bool is_alone);

// Counted on all bindings since the table was made, retired ones too. Slow: looks at each.
uint64_t site_packets_down(void);

// Lets the table finish what waited for a grace period. Returns: as bindtab_poll.
bool site_poll(void);

// A new version of mobile i's binding with this care-of address. Returns: as bindtab_set.
int site_handover(uint32_t i, const struct ip6 *care_of);
