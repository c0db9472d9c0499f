// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The main lcore watches the workers: one that does not turn is stuck, and the process dumps its stack
// and ends, for a dataplane that half works is worse than one that starts again. A worker that merely
// gets no CPU is not stuck: what counts is CPU time spent in one turn, and, for one that hangs in the
// kernel, the time in which the main lcore itself went on turning.
// Thread: main lcore's only.
#pragma once

#include <stdint.h>

// Learns whether systemd waits for signs of life, and prepares the dump. After workers_init.
void watchdog_init(void);

// Looks at the workers when it is time to, and gives systemd its sign of life. Does not return when
// a worker is stuck. Returns: milliseconds until the next look is due.
unsigned int watchdog_poll(void);

// Waits for a grace period and goes on watching meanwhile: a stuck worker never ends one.
// Thread: main lcore.
void watchdog_rcu_wait(void);
