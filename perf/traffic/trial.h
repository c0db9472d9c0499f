// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Trials: all lanes send at a rate for a time and listen a little longer. Between trials the search of
// RFC 2544 section 26.1 halves the range of rates.
#pragma once

#include "perf/traffic/lane.h"

// What a trial found, both directions.
struct trial {
	double rate, seconds;
	struct lane_count counts[DIRECTIONS];
};

// Runs a trial on all lanes, which are those of the lcores in their order, and fills *trial.
// Thread: the main lcore.
void trial_run(struct lane *lanes, double rate, double seconds, struct trial *trial);

// The share of the packets that a trial was to send which did not arrive: 0..1. What the ports did not
// take counts as lost, too.
double trial_loss(const struct trial *trial, enum direction direction);
double trial_worst_loss(const struct trial *trial, const struct options *options);

// Looks for the highest rate whose loss is at most options->max_loss. Calls each(ctx, trial) after every
// trial. Returns: it, or 0 when not even the lowest has so little; *best is its trial.
double trial_search(struct lane *lanes, const struct options *options, struct trial *best,
	void (*each)(void *ctx, const struct trial *trial), void *ctx);
