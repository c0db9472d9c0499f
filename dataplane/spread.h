// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Which worker deals with a packet when it is not the one that received it. Fragments of one packet
// must meet on one worker. And a tunnel is one outer flow, so that a network card gives all of a heavy
// one to one worker: the packets that come out of it are spread over all workers by their inner flow.
//
// A tunnel (a pair of outer addresses) is heavy when it has a large share of full bursts, which a worker
// sees only when it can hardly follow. It stays so until it has been silent for a while: then nothing of
// it waits on a ring any more, and no flow changes its order.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/wire.h"

struct worker;
struct rte_mbuf;

enum {
	SPREAD_SLOTS = 64,
	SPREAD_FULL_BURST = 32, // tunnel packets in one burst
};

struct spread_slot {
	uint32_t tag; // upper hash bits of the pair
	uint32_t n_votes; // of this window
	bool is_heavy;
	uint64_t since_tsc; // is_heavy: of which turn
	uint64_t last_tsc; // is_heavy: last packet
};

// Of one worker, touched by it alone.
struct spread {
	uint32_t n_heavy;
	uint32_t n_votes; // of this window
	uint32_t turn; // which packet of a burst has the vote
	uint64_t window_tsc; // end of the window
	struct spread_slot slots[SPREAD_SLOTS];
};

// Draws the seed that all workers share. Returns: 0 or negative errno.
int spread_init(void);

// The worker on which the fragments of a packet meet.
uint16_t spread_fragment_worker(const struct ip6_hdr_wire *ip, uint32_t id_be);

// Which of n packets of a burst votes for its tunnel. n >= SPREAD_FULL_BURST.
unsigned int spread_voter(struct worker *w);

// A tunnel packet of a full burst votes: its tunnel may become heavy from the next turn on.
void spread_vote(struct worker *w, const struct ip6_hdr_wire *outer);

// Hands m (moved when true), which came out of the tunnel `outer`, to the worker of its flow, if that
// tunnel is heavy and the worker is another.
bool spread_away(struct worker *w, struct rte_mbuf *m, const struct ip6_hdr_wire *outer);
