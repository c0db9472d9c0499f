// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The dataplane's end of the socket to control (dataplane/api/records.h): takes in home prefixes,
// agents, bindings and packets, sends punts, counters and credit. Never blocks; what control does not
// take in is bounded: punts wait in their queues (dataplane/punt.h), records from control in the socket.
//
// Thread: main lcore.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "dataplane/bindtab.h"

struct link_config {
	const char *run_dir;
	uint32_t max_bindings;
	uint32_t max_sas; // slots of security associations, 0 = none
	uint32_t orphan_hold_s; // bindings live on this long without control
};

// Listens on RUN_DIR/dataplane.sock, open to root and the run-time user. As root.
// Makes the binding table, whose retired entries it reports.
// Returns: 0 or negative errno with the reason logged.
int link_init(const struct link_config *config);
void link_free(void);

struct bindtab *link_bindings(void);

// One turn: accepts, reads and applies a bounded number of records, sweeps, sends.
// Returns: true when there is more to do at once.
bool link_turn(void);

// True while control is there to take punts in.
bool link_takes_punts(void);

// Copies a packet of kind PKT_PUNT, of at most API_PACKET_MAX bytes, into the buffer towards control.
// Returns: false when it has to wait, since control does not read.
bool link_punt(struct rte_mbuf *m);

// For `show status`. Read relaxed by anyone.
struct link_status {
	bool is_connected;
	bool is_guarded; // the sweep guard holds stale entries
	uint64_t store_id;
	uint64_t connects, protocol_errors;
	uint64_t bindings_set, bindings_deleted, bindings_refused, swept;
};
extern struct link_status link_status;
