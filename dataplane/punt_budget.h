// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What control takes in, measured: its credit while signalling had to wait for it. Nothing that waits
// says nothing of what control could do, so then the rate grows as long as there is demand for it.
//
// Thread: main lcore.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	PUNT_RATE_MIN = 1000, // packets a second
	PUNT_RATE_START = 50000,
	PUNT_RATE_MAX = 400000,
	PUNT_INTERVAL_MS = 100, // between changes
	PUNT_MEASURE_MS = 20, // least time of waiting that a measurement needs
};

struct punt_budget {
	uint32_t per_s; // what control is held to be able to take in
	bool is_waiting; // since the last turn
	uint64_t turn_ns, change_ns; // of the last turn and change
	uint64_t waited_ns, taken_waiting; // since the last change: while packets waited
	uint64_t taken; // in all
};

void punt_budget_init(struct punt_budget *budget, uint64_t now_ns);

// Control is done with n packets.
void punt_budget_taken(struct punt_budget *budget, uint32_t n);

// Ends a turn; packets wait for credit now, or not. Returns: true when per_s changed.
bool punt_budget_turn(struct punt_budget *budget, uint64_t now_ns, bool is_waiting);
