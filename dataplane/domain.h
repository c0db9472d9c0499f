// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Mobility domains: apart from each other, each with addresses, routes and forwarding tables of its
// own. The configuration and control know them by number; inside the dataplane they are indices, 0
// being domain 0, the transport's: tunnels of all domains run there.
#pragma once

#include <stdint.h>

#include "config/config.h"

enum {
	DOMAIN_TRANSPORT = 0,
	DOMAIN_TABLE_BASE = 10000, // the kernel's routes of domain d > 0 stand in table 10000 + d
};

extern uint8_t n_domains;

// Takes the domains of the configuration. Before everything else.
void domain_init(const struct config_dataplane *config);

// The index of a domain by its number, or -ENOENT. The number of an index below n_domains.
int domain_index(uint32_t number);
uint32_t domain_number(uint8_t index);

// The domain whose routes the kernel's table holds, by index, or -ENOENT.
int domain_of_table(uint32_t table);
