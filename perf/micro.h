// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-micro: cycles of single tables and stages. Each part measures with tables of a given size;
// rounds of all rows take turns.
#pragma once

#include <stdint.h>

#include "dataplane/bindtab.h"

enum {
	MICRO_ROUNDS_MAX = 101,
	MICRO_OPERATIONS_MAX = 1 << 20, // of a row in a round
	MICRO_BURST = 64,
};

// Takes a sample: an operation of row took so many cycles (TSC), with tables of that many entries. The
// samples of a round count by their median, so that what the machine interrupts weighs nothing.
// row: a constant, the same one each time.
void micro_sample(const char *row, uint32_t entries, double cycles);

// Ends the round of every row that has samples.
void micro_round_end(void);

// A time stamp that waits for what stands before it.
uint64_t micro_tsc(void);

// A number below `below`, from a generator of this program's own.
uint32_t micro_random(uint32_t below);

// Makes a table of n bindings, with a sample for the insertions of each of that many rounds.
// Returns: owned, or NULL.
struct bindtab *micro_bindings(uint32_t n, unsigned int rounds);

// One round of each row with that table.
void micro_bindtab_round(struct bindtab *tab, uint32_t n, uint32_t operations);
void micro_police_round(uint32_t operations);

// Rounds of the FIBs with so many routes, in tables of their own: before site_start.
// Returns: 0 or negative errno.
int micro_fib(uint32_t n_routes, unsigned int rounds, uint32_t operations);

// One round: bursts through the stages of worker 0, each timed by itself; and fragments. After site_start.
// Returns: 0, or negative errno when packets strayed, which is said.
int micro_stages_round(struct bindtab *tab, uint32_t n, uint32_t operations);
