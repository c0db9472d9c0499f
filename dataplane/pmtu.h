// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Path MTUs that are smaller than the first link's: a small table of exceptions by care-of address
// (RFC 8201). The main lcore writes it, fed only by errors that quote a packet we could have sent;
// workers read it, and only for packets longer than the smallest value in it.
#pragma once

#include <stdint.h>

#include "dataplane/base/addr.h"
#include "dataplane/rcu.h"

// Smallest MTU in the table, UINT16_MAX when it is empty. Written by the main lcore.
extern uint16_t pmtu_floor;

// Draws the seed of the hash. Returns: 0 or negative errno.
int pmtu_init(void);
// Workers must have stopped.
void pmtu_free(void);

// MTU of the path to care_of, at most link_mtu. Thread: any online worker.
uint16_t pmtu_get(const struct ip6 *care_of, uint16_t link_mtu);

// Notes that packets to care_of may have at most mtu bytes (1280 at least; smaller values are taken
// as 1280). A larger value than the one known is no news. Thread: main lcore.
void pmtu_learn(const struct ip6 *care_of, uint32_t mtu);

// Forgets values that are older than ten minutes (RFC 8201 section 4). Thread: main lcore, now and
// then.
void pmtu_poll(void);

// Entries in the table, and values taken in since the start.
uint32_t pmtu_count(void);
uint64_t pmtu_learned(void);
