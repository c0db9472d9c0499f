// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling of one class that waits for control: first in, first out, but the next Binding Update of
// a sender takes the place of the one that waits, and what comes to a full queue takes that of the
// oldest. So under load control works on what mobile nodes want now, not on what they gave up.
//
// Thread: main lcore.
#pragma once

#include <stdint.h>

struct rte_mbuf;

enum {
	PUNT_QUEUE_MAX = 512, // packets
	PUNT_QUEUE_BUCKETS = 1024,
};

struct punt_item {
	struct rte_mbuf *m; // owned
	uint64_t sender; // 0 = replaced by none
	uint16_t next; // slot of the next item of the same bucket
};

struct punt_queue {
	uint16_t head, n; // slot of the oldest, number of items
	struct punt_item items[PUNT_QUEUE_MAX];
	uint16_t buckets[PUNT_QUEUE_BUCKETS]; // slot of the first item by sender
};

enum punt_put { PUNT_KEPT, PUNT_SUPERSEDED, PUNT_OVERFLOW };

void punt_queue_init(struct punt_queue *queue);

// Adds m (moved). sender: of a Binding Update, else 0.
// Returns: PUNT_KEPT, or why the packet in *gone (now the caller's) had to go: a newer one of the same
// sender, or no room.
enum punt_put punt_queue_put(
	struct punt_queue *queue, struct rte_mbuf *m, uint64_t sender, struct rte_mbuf **gone);

// The packet that is next (borrowed), or NULL.
struct rte_mbuf *punt_queue_peek(const struct punt_queue *queue);

// Takes the packet that is next out. Returns: it (the caller's), or NULL.
struct rte_mbuf *punt_queue_take(struct punt_queue *queue);
