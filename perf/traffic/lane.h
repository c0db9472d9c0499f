// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A lane: one lcore with a queue of each port, which sends its share of the traffic at an even pace and
// receives whatever comes to its queues.
#pragma once

#include <rte_mempool.h>

#include "perf/traffic/latency.h"
#include "perf/traffic/options.h"
#include "perf/traffic/packet.h"

enum { LANES_MAX = 128 };

// What one direction of one lane saw in a trial.
struct lane_count {
	uint64_t sent, unsent; // unsent: the port did not take them
	uint64_t received, late; // late: overtaken by a later one, of any mobile
	uint64_t stray; // at the wrong address: a promise broken
	struct latency latency;
};

// A trial's orders for all lanes. Times in TSC.
struct lane_orders {
	double rate; // packets a second, each direction, all lanes; 0 = only receive
	uint64_t start_tsc, send_until_tsc, receive_until_tsc;
	uint8_t trial;
};

struct lane {
	const struct options *options;
	uint16_t id, n_lanes; // id: its queue
	struct rte_mempool *pools[DIRECTIONS]; // whose buffers are zeroes behind the headers
	struct rte_ether_addr macs[SIDES]; // of our ports
	uint64_t random;
	unsigned int turn; // of the sizes
	uint32_t numbers[DIRECTIONS]; // of the last packets sent
	uint32_t newest[DIRECTIONS][LANES_MAX]; // number received from each lane
	struct lane_count counts[DIRECTIONS];
	uint64_t foreign; // received, not ours

	// For registrations; NULL otherwise. Called with what is no measured packet.
	void (*heard)(void *ctx, const struct packet_seen *seen);
	void *ctx;
} __rte_cache_aligned;

// Runs the orders from start to end. Thread: the lane's lcore.
void lane_run(struct lane *lane, const struct lane_orders *orders);

// Receives what is there, once. Thread: the lane's lcore.
void lane_receive(struct lane *lane, uint8_t trial);

// Sends a frame that write fills. Returns: 0, or -ENOBUFS when the port has no room.
int lane_send(
	struct lane *lane, enum side side, uint16_t (*write)(void *ctx, uint8_t *frame), void *ctx);
