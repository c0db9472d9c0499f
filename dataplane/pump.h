// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The main lcore's packet work: what workers hand over goes to the twins, to control or to wait for a
// neighbour; what the kernel and control send goes to the workers. Bounded per turn.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

// name, what it means. Packets that the main lcore could not pass on.
#define PUMP_DROPS(X)                                                                        \
	X(punt_no_control, "signalling while no control process is connected")               \
	X(punt_backlog, "signalling that waited for control until newer took its place")     \
	X(punt_superseded, "Binding Update that its sender's next one overtook")             \
	X(punt_too_long, "signalling packet longer than a record")                           \
	X(twin_full, "the kernel's queue of the twin is full")                               \
	X(twin_too_long, "frame to or from the kernel longer than a buffer or chain may be") \
	X(park, "too many packets, or packets for too many neighbours, wait")                \
	X(inject_full, "queue to a worker full")                                             \
	X(no_buffer, "no packet buffer for a packet of the kernel or of control")            \
	X(host_protocol, "the kernel sent something else than IPv6 to a home address")

enum pump_drop {
#define X(name, text) PUMP_DROP_##name,
	PUMP_DROPS(X)
#undef X
		PUMP_DROP_MAX,
};

extern const char *const pump_drop_names[PUMP_DROP_MAX];
extern const char *const pump_drop_texts[PUMP_DROP_MAX];

// Written by the main lcore, read relaxed by anyone.
struct pump_stats {
	uint64_t from_workers;
	uint64_t to_host, from_host; // twins and host TUN
	uint64_t punted, sent; // to and from control
	uint64_t parked, unparked;
	uint64_t injected; // to workers
	uint64_t drops[PUMP_DROP_MAX];
};
extern struct pump_stats pump_stats;

// Opens the way for parked packets (neigh_init). Packets come from pool; host_fd (borrowed) is the TUN
// that the kernel sends to home addresses through. Returns: 0 or negative errno with the reason logged.
int pump_init(struct rte_mempool *pool, int host_fd);
void pump_free(void);

// One turn. Returns: true when there was anything to do.
bool pump_turn(void);

// Sends a whole IPv6 packet of len bytes (copied) through the workers, routed in a domain (index).
void pump_send(uint8_t domain, const void *packet, uint32_t len);

// Sends such a packet under what a slot has for a use (enum api_sa_use), in transport mode.
void pump_send_sealed(uint32_t sa_slot, uint8_t sa_use, const void *packet, uint32_t len);

static inline void pump_count_drop(enum pump_drop reason)
{
	pump_stats.drops[reason]++;
}
