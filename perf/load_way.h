// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// How the load generator's packets reach the home agent and its answers come back: over the socket of
// the control process, in the place of a dataplane (load_dataplane.c), or over a port (load_port.c).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

struct load_way;

// Calls of the way to its owner. Packets are borrowed until the call returns.
struct load_owner {
	void *ctx;
	void (*answer)(void *ctx, const uint8_t *packet, size_t len);
	// A home address has security associations, in this slot.
	void (*secured)(void *ctx, const struct ip6 *home, uint32_t slot);
};

struct load_way {
	const struct load_owner *owner; // borrowed
	// Packets that may be put now.
	unsigned int (*room)(struct load_way *way);
	// Adds a packet to what turn sends, as one that came under the signalling SA of a slot (0: in the
	// clear). Only with room.
	void (*put)(struct load_way *way, const uint8_t *packet, size_t len, uint32_t sa_slot);
	// Sends what was put; takes what has come, waiting at most wait_us for it.
	// Returns: 0 or negative errno (the other end is gone).
	int (*turn)(struct load_way *way, unsigned int wait_us);
	uint64_t n_done; // packets that the home agent is known to have dealt with
	uint64_t n_lost; // packets that nothing was heard of in time
	void (*close)(struct load_way *way);
};

// Listens at RUN_DIR/dataplane.sock, waits for the control process and takes in what it fills a
// dataplane with; keeps no table. Returns: owned, or NULL with errno.
struct load_way *load_dataplane_open(
	const char *run_dir, uint32_t max_bindings, const struct load_owner *owner);

// What the last filling was.
struct load_filling {
	uint32_t n_bindings;
	uint64_t took_ns; // from the hello to the end
};
struct load_filling load_dataplane_filling(const struct load_way *way);

// Sends over an interface to the MAC address gateway. Returns: owned, or NULL with errno.
struct load_way *load_port_open(
	const char *interface, const uint8_t gateway[static 6], const struct load_owner *owner);
