// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling between the workers and the socket to control: what waits, class by class, and how much is
// on its way. Control has at most API_PUNT_WINDOW packets to deal with; the last shares of the window
// are for the better classes alone, so that a flood of strangers never stands in front of those whose
// binding we hold. The pace at which control gives credit becomes the budgets of dataplane/police.h.
//
// Thread: main lcore.
#pragma once

#include <stdint.h>

struct rte_mbuf;

// Empties the queues; budgets at their start. Before start.
void punt_init(void);

// Takes a packet of kind PKT_PUNT (moved) in.
void punt_put(struct rte_mbuf *m);

// Control is done with n packets. Returns: 0, or -EPROTO when it never had so many.
int punt_credit(uint32_t n);

// One turn: passes on what waits as far as control's credit and the socket's buffer allow.
void punt_turn(void);

// Control is gone: what waits is dropped and counted; the next one finds the window open and the
// budgets as at the start.
void punt_reset(void);

// For `show status`. Read relaxed by anyone.
struct punt_status {
	uint64_t waiting; // packets in the queues
	uint64_t on_way; // packets that control has and gave no credit for yet
	uint64_t per_s; // what control is held to be able to take in
};
extern struct punt_status punt_status;
