// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What unwired-traffic is told on its command line.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "dataplane/base/addr.h"

enum side { CORE, ACCESS, SIDES }; // where we play correspondents, where mobiles

enum direction { DOWN, UP, DIRECTIONS }; // towards the mobiles, from them

enum {
	SIZES_MAX = 16,
	SIZE_LEAST = 78, // Ethernet, IPv6, UDP and our 16 bytes
	SIZE_MOST = 1500 + 14 - 40, // fits the usual MTU also with an outer header
	MOBILES_MAX = 1 << 27,
};

struct options {
	uint16_t ports[SIDES]; // DPDK port of each side; may be the same
	struct rte_ether_addr gateways[SIDES]; // MAC of the home agent there
	bool directions[DIRECTIONS];
	struct ip6 home, care_of; // of mobile 0; mobile i has them plus i in the last 32 bits
	uint32_t n_mobiles;
	uint32_t n_subnets; // of 2^80 addresses each that care-of addresses are spread over
	struct ip6 agent, correspondent;
	uint16_t sizes[SIZES_MAX]; // of frames at the core side, without FCS, one after the other
	unsigned int n_sizes;
	double rate; // packets a second, each direction
	double seconds; // of a trial
	bool search; // for the highest rate that loses at most max_loss
	double max_loss; // share
	double precision; // of the search, share of the first rate
	double register_rate; // Binding Updates a second before all trials, 0 = none
	const char *json; // borrowed, NULL = none
};

// Reads the arguments up to "--". Returns: 0, or -EINVAL with the reason on stderr.
int options_read(struct options *options, int argc, char **argv);

// How to call the program.
extern const char options_usage[];
