// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The way to control: RUN_DIR/ike.sock (controlplane/learned.h). A control process that is away or does not
// read is tried again; it is told everything when it is there.
#pragma once

#include <stdbool.h>

#include "controlplane/learned.h"

struct feed {
	char path[108];
	int fd; // -1 = away
};

// Returns: 0 or -ENAMETOOLONG.
int feed_init(struct feed *feed, const char *run_dir);
void feed_close(struct feed *feed);

// Connects unless it is connected. Returns: true when the connection is new.
bool feed_connect(struct feed *feed);

// Sends one record; of MOBILE with what belongs to it. Blocks for a second at most; closes on failure.
void feed_send(struct feed *feed, enum learned_type type, const struct ip6 *home,
	const struct ip6 *agent, const struct associations *all);
