// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What control says this node anchors: agent addresses (tunnel ends) and home prefixes. Few, rarely
// changed, published under RCU. The main lcore writes; workers read.
#pragma once

#include "config/config.h"
#include "dataplane/api/records.h"
#include "dataplane/base/wire.h"
#include "dataplane/rcu.h"

// An agent address as the outer header that is copied in front of what goes into its tunnels; the
// care-of address, length, traffic class and flow label are patched in.
struct agent {
	struct ip6_hdr_wire outer;
	bool has_encap_limit; // a Tunnel Encapsulation Limit option goes into the outer headers
	uint8_t encap_limit;
	uint8_t domain; // of its mobiles, by index
};

extern const struct agent *anchor_agents[API_MAX_AGENTS];
// No agent has this index or a higher one. Main lcore writes; workers read relaxed.
extern uint16_t anchor_agents_end;
// The domain in these is an index, see domain.h.
extern const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];

static inline const struct agent *anchor_agent(uint16_t idx)
{
	return rcu_load(&anchor_agents[idx]);
}

static inline const struct api_home_prefix_set *anchor_home_prefix(uint16_t idx)
{
	return rcu_load(&anchor_home_prefixes[idx]);
}

// The uses that some home prefix protects. Main lcore writes; workers read relaxed.
extern uint32_t anchor_protect;

// False from the start until control has filled the tables for the first time: who is not bound yet may
// well be. Main lcore writes; workers read.
extern bool anchor_is_filled;

// Lays the configured home prefixes over the FIB until control has filled the tables, so that packets
// for them do not follow another route meanwhile. Before start.
void anchor_expect(const struct config *config);

// Control has filled the tables.
void anchor_filled(void);

// Takes an agent address or home prefix in: publishes it, puts the address on the loopback, lays the
// prefix over the FIB and routes it to us in the kernel. The same again costs nothing.
// Returns: 0, -EINVAL (index or length out of range), -ENOENT (no such domain), or what the kernel said. Thread: main lcore.
int anchor_agent_set(const struct api_agent_set *set);
int anchor_home_prefix_set(const struct api_home_prefix_set *set);

// Mark and sweep, with the bindings': what was not set again since anchor_mark_begin goes away.
void anchor_mark_begin(void);
void anchor_sweep(void);

// Whether workers know all agent addresses as ours.
bool anchor_is_in_force(void);

// Takes everything away at the end. Workers must have stopped.
void anchor_free(void);
