// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Who had the processor: how long the control process and the load generator itself were ready to run
// while the kernel gave their core to others. On a shared machine that, and not the home agent, is what
// the longest answers wait for.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	WAITS_RING = 1 << 16, // milliseconds that are remembered
	WAITS_DISTURBED_US = 1000, // an answer that had to wait longer for a core was disturbed
};

// Plain data: all zero is closed. Times are microseconds of the caller's clock.
struct waits {
	int fds[2]; // schedstat of control and of ourselves
	bool is_open;
	uint32_t noted_us; // when the last note was
	uint64_t last_us;
	uint64_t sums_us[WAITS_RING]; // all waits until the end of a millisecond
};

// Starts to note. pid: control's. Returns: 0 or negative errno.
int waits_open(struct waits *waits, pid_t pid, uint32_t now_us);
void waits_close(struct waits *waits);

// Notes what both have waited by now, if the last note is a while ago. Call whenever something came.
void waits_note(struct waits *waits, uint32_t now_us);

// What both have waited since then, until the last note. 0 when closed.
uint64_t waits_since(const struct waits *waits, uint32_t from_us);

// What both have waited until the last note.
uint64_t waits_total(const struct waits *waits);
