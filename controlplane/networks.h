// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The home networks of the running configuration as the control process looks them up: agent
// addresses and home prefixes with the numbers that the dataplane knows them by. A number stays
// with its address or prefix over reloads.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "dataplane/api/records.h"

// A home prefix in use; number is its index in networks.prefixes.
struct networks_prefix {
	struct ip6_prefix prefix;
	uint32_t domain;
	const struct config_network *network; // borrowed from the configuration; NULL = not in it
	uint32_t n_bindings; // live ones
};

struct networks_agent {
	struct ip6 address;
	uint32_t domain;
	const struct config_network *network; // borrowed; NULL = not in the configuration
	uint32_t n_bindings; // live and unserved ones
};

struct networks {
	struct networks_prefix prefixes[API_MAX_HOME_PREFIXES]; // 0 is never used
	struct networks_agent agents[API_MAX_AGENTS];
	uint16_t n_agents; // numbers in use are below it
	uint16_t order[API_MAX_HOME_PREFIXES]; // numbers in use, by domain and prefix
	uint16_t n_order;
};

enum { NETWORKS_NO_AGENT = UINT16_MAX };

// Takes over the networks of config (borrowed until the next call or the end); numbers that are in
// use or have bindings stay as they are, n_bindings too.
// Returns: 0, or -ENOSPC (more prefixes or agents than the dataplane has numbers for), unchanged.
int networks_set(struct networks *networks, const struct config *config);

// The number of an agent address, or NETWORKS_NO_AGENT.
uint16_t networks_find_agent(const struct networks *networks, const struct ip6 *address);

// The number of an agent address whether it is in the configuration or not: a free one is taken for it.
// Count its binding in n_bindings, or the next call may take it for another.
// Returns: a number, or NETWORKS_NO_AGENT when none is free.
uint16_t networks_keep_agent(struct networks *networks, const struct ip6 *address);

// True when a binding of this home prefix (0 = none) and agent has its place in the configuration.
bool networks_serve(const struct networks *networks, uint16_t home_prefix, uint16_t agent);

// True when the dataplane is told the same of both.
bool networks_are_same(const struct networks *a, const struct networks *b);

// The number of the home prefix that an address of a domain lies in, or 0. Prefixes of one domain do
// not overlap. Cost: a binary search.
uint16_t networks_find_prefix(
	const struct networks *networks, uint32_t domain, const struct ip6 *address);
