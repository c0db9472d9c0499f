// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What unwired-traffic found, for people and as JSON.
#pragma once

#include "perf/traffic/registration.h"
#include "perf/traffic/trial.h"

struct report;

// Returns: owned, or NULL.
struct report *report_new(const struct options *options);

void report_registration(struct report *report, const struct registration *found);

// Prints a trial and notes it. ctx is the struct report.
void report_trial(void *ctx, const struct trial *trial);

// The result of a search: rate 0 when there is none.
void report_search(struct report *report, double rate);

// Writes the file that the options ask for and frees report. Returns: 0, or -EIO with the reason on stderr.
int report_end(struct report *report);
