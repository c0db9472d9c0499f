// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the benchmark says: a line of text and a JSON object for each row.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "perf/bench_traffic.h"

enum { REPORT_ROUNDS_MAX = 101 };

// What the rounds of one row at one number of bindings gave.
struct result {
	const char *row;
	uint32_t n_bindings;
	unsigned int n_rounds;
	double ns[REPORT_ROUNDS_MAX]; // per packet (memory_lines: per line) of each round
	uint32_t bursts[TRAFFIC_BURST_BINS]; // times of all bursts of all rounds
	json_t *extra; // owned: an object, or NULL
};

// Adds a number to what a row says besides times.
void report_extra(struct result *r, const char *name, double value);

// Adds one round's number: a row says median, min and max of them.
void report_sample(struct result *r, const char *name, double value);

// Reads which of n rows are wanted out of a list of names with commas, which it takes apart. name_of: of row i.
// Shape: is_wanted[n]. Returns: false for a name that no row has, said.
bool report_choose(
	char *list, const char *(*name_of)(unsigned int i), bool *is_wanted, unsigned int n);

// Prints r and adds it to the rows.
void report_row(const struct result *r);

// Writes all rows and what machine they come from. Returns: 0, or -1 with the reason said.
int report_write(const char *path);
