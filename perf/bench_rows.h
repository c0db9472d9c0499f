// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Rows of the benchmark that need a second thread, on another core than the worker's.
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "perf/bench_report.h"
#include "perf/bench_site.h"

struct row {
	const char *name;
	// Runs one round of so many packets. Returns: ns a packet, negative when it went wrong (said).
	double (*round)(struct result *r, const struct row *row, uint64_t packets);
	enum traffic_kind traffic;
	enum bogus_kind bogus;
	bool needs_helper;
	bool needs_lines;
};

// Nanoseconds since a TSC value.
double row_ns_since(uint64_t start_tsc);

// Makes worker 0 forward so many packets of a kind. Returns: ns a packet, negative when it dropped any.
double row_worker(struct result *r, const struct row *row, uint64_t packets);

// Chooses the core of the second thread: any that the process may use besides this one. all: what
// sched_getaffinity said before the EAL pinned the caller. Returns: false when there is none.
bool rows_helper_init(const cpu_set_t *all);

// Encapsulation while another thread hands BENCH_CHURN_PER_S mobiles a second over.
double row_churn(struct result *r, const struct row *row, uint64_t packets);
// Two workers, each with a queue of its own, on the same mobiles; and each on a half of them.
double row_two_workers(struct result *r, const struct row *row, uint64_t packets);
double row_two_separate(struct result *r, const struct row *row, uint64_t packets);
// The generator alone.
double row_made(struct result *r, const struct row *row, uint64_t packets);
// The highest load without loss, as ns a packet; and what is lost when half of all is bogus: at 0.6 of it,
// and with 0.6 of it legal (lost are legal packets as often as bogus ones).
double row_no_loss(struct result *r, const struct row *row, uint64_t packets);
double row_flood(struct result *r, const struct row *row, uint64_t packets);
