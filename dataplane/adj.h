// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The kernel's neighbours on our twins, as the mirror thread knows them.
// Thread: mirror; readers under the mirror's lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/netlink_msg.h"

// A neighbour.
struct adj {
	struct adj *next;
	uint32_t ifindex;
	uint16_t state; // NUD_*
	bool is_usable; // has an address that the kernel would send to
	bool is_managed;
	uint8_t mac[6];
	uint32_t generation;
	struct ip6 address;
};

// Returns: 0 or -ENOMEM.
int adj_init(void);
void adj_free(void);

// Takes in what the kernel says. Returns: the neighbour, borrowed until the next change, with
// *is_changed telling whether usability or address did; NULL without memory.
const struct adj *adj_set(const struct netlink_neigh *neigh, uint32_t generation, bool *is_changed);
// Returns: true when it was there.
bool adj_del(uint32_t ifindex, const struct ip6 *address);

// Returns: borrowed until the next change, or NULL.
const struct adj *adj_find(uint32_t ifindex, const struct ip6 *address);

// Calls fn for each until it returns false. fn may delete the one it is given.
void adj_walk(bool (*fn)(const struct adj *adj, void *arg), void *arg);

uint32_t adj_count(void);
