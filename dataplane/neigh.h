// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets that wait for a link-layer address. The kernel resolves and keeps neighbours (managed
// entries, NTF_EXT_MANAGED); we ask for them, and hold a few packets meanwhile.
//
// Thread: main lcore only, but for neigh_announce.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "dataplane/base/addr.h"

enum {
	NEIGH_PARK_PER_TARGET = 8, // packets that wait for one neighbour
	NEIGH_PARK_TARGETS = 1024,
	NEIGH_PARK_STRANGERS = 256, // of them: hosts of our links, which anybody can name
	NEIGH_PARK_TIMEOUT_MS = 3000,
	NEIGH_STRANGERS_PER_S = 100, // new ones of a link
	NEIGH_STRANGERS_BURST = 100,
};

// Called with parked packets that can go on (again), whose neighbour does not answer (unresolved), or
// that there is no room for (drop): moved.
struct neigh_ops {
	void (*again)(struct rte_mbuf **pkts, unsigned int n);
	void (*unresolved)(struct rte_mbuf **pkts, unsigned int n);
	void (*drop)(struct rte_mbuf **pkts, unsigned int n);
};

// Opens the netlink socket that asks for neighbours. As root. Returns: 0 or negative errno.
int neigh_init(const struct neigh_ops *ops);
void neigh_free(void);

// Parks pkt (moved) until target on the twin of that port is resolved; asks the kernel for it when
// this is the first. A full queue drops the packet through ops->drop. Of targets that are no gateways
// only so many may wait, and so many new ones may come in a second: a scan of a prefix on a link keeps
// nobody from resolving a next hop.
void neigh_park(uint16_t port, const struct ip6 *target, bool is_gateway, struct rte_mbuf *pkt);

// Packets that wait now. Thread: any.
uint32_t neigh_waiting(void);

// What the mirror tells of a neighbour.
enum neigh_event {
	NEIGH_USABLE, // has a link-layer address: parked packets go on
	NEIGH_FAILED, // a gateway does not answer: parked packets are dropped, the kernel goes on asking
	NEIGH_GONE, // a stranger does not answer: the same, and the kernel forgets it
	NEIGH_WANTED, // a gateway is in use: keep it resolved before packets need it
};

// Tells the main lcore; when the queue overflows, timeouts do the work. Thread: the mirror thread.
void neigh_announce(uint16_t port, const struct ip6 *target, enum neigh_event event);

// Does the due work: what was announced, and gives up targets that waited too long. Returns: milliseconds until it wants to be called again (at most 1000).
unsigned int neigh_poll(void);
// Becomes readable when neigh_poll has something to do at once.
int neigh_fd(void);
