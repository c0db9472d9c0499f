// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The command line of the load generator.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/base/addr.h"

struct load_options {
	const char *run_dir, *interface, *subscribers, *out, *state_dir; // borrowed, NULL without
	uint8_t gateway[6];
	pid_t control; // 0 = none
	uint32_t n_mobiles, n_updates, n_rounds, lifetime_s;
	double seconds; // of a paced run
	bool has_each_proof, is_registered;
	struct ip6 agent, home_prefix, care_of_prefix;
	int first_step; // index of the first argument that is a step
};

// Reads it; ends the process when it is wrong or asks for help.
void load_options_read(int argc, char *argv[], struct load_options *a);
