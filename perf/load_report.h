// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the load generator says: a progress bar on a terminal, rows as JSON.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { REPORT_LATENCIES = 1024, REPORT_ROUNDS_MAX = 101, REPORT_SECONDS_MAX = 60 };

// A histogram of microseconds with steps of 1/32 and better. All zero is empty.
struct report_latency {
	uint64_t n;
	uint32_t max_us;
	uint32_t counts[REPORT_LATENCIES];
};

void report_latency_add(struct report_latency *latency, uint32_t us);

// One row in the making. All zero but for name is ready to use.
struct report_row {
	const char *name;
	uint32_t n_bindings;
	size_t n_rounds;
	double cpu_us[REPORT_ROUNDS_MAX]; // of control, for each Update
	double rates[REPORT_ROUNDS_MAX]; // Updates a second
	double rate_paced, cpu_us_paced; // 0 without
	uint64_t n_refused, n_lost;
	const struct report_latency *latency; // NULL without
	const struct report_latency
		*undisturbed; // of it, while nobody else had a core; NULL without
	double waited_ms; // what control and load generator waited for a core meanwhile
	size_t n_seconds;
	double p99_us[REPORT_SECONDS_MAX]; // of each second
};

// Adds a second of it to all of it, notes its p99 and empties it.
void report_row_second(
	struct report_row *row, struct report_latency *all, struct report_latency *second);

void report_row_add(struct report_row *row, double cpu_us, double rate);

// The median of the rates so far.
double report_row_rate(const struct report_row *row);

struct report;

// Writes to a file, or to standard output (NULL). Returns: owned, or NULL with errno.
struct report *report_open(const char *path);
void report_close(struct report *report);

void report_progress(struct report *report, const char *what, double share);
void report_row_write(struct report *report, const struct report_row *row);
void report_filling(struct report *report, uint32_t n_bindings, double took_s);
