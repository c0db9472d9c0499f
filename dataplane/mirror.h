// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The mirror thread: follows the kernel's links, addresses, routes, nexthop objects and neighbours of
// this network namespace by netlink, and keeps FIB and next hops like them. Home prefixes come from
// control and lie over the kernel's routes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "dataplane/api/records.h"

// Opens netlink (SO_RCVBUFFORCE), makes FIB and next hops, takes a first full dump. As root, after
// ports_start. Returns: 0 or negative errno with the reason logged.
int mirror_init(const struct config_dataplane *config);

// Starts the thread. After the drop of rights (it needs none).
int mirror_start(void);

// Ends and joins the thread and frees the tables, but for the FIB, which ends with the process.
// Workers must have stopped.
void mirror_stop(void);

// Lays a home prefix over its domain's FIB (again: replaces), or takes it away. The domain is an index.
// Any thread; takes effect in the mirror thread within one of its turns.
void mirror_home_prefix_set(const struct api_home_prefix_set *home_prefix);
void mirror_home_prefix_del(uint16_t home_prefix);

// Says that the mobiles of a domain tunnel to an agent address: what comes out of its tunnels is routed
// there. As above.
void mirror_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain);

// Waits until everything set before has taken effect (main lcore, bounded by timeout_ms).
// Returns: 0 or -ETIMEDOUT.
int mirror_flush(unsigned int timeout_ms);

// Whether workers take packets to that address as to one of our own: the kernel tells of a new address
// a little after it took it. Never waits; false while the mirror thread is busy. Thread: main lcore.
bool mirror_has_local(const struct ip6 *address);
