// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Binds all mobiles before the trials, as many a second as asked: a Binding Update from each care-of
// address, again after a second without an answer.
#pragma once

#include "perf/traffic/lane.h"

struct registration {
	uint32_t bound, refused;
	double seconds;
};

// Thread: the main lcore, with lane 0, which is its own.
// Returns: 0 when all were answered, -ENOMEM, or -ETIMEDOUT when some never were.
int registration_run(struct lane *lane, struct registration *found);
