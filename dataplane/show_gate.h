// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The one door between DPDK's telemetry threads and our tables. A show runs with the door held, one at
// a time; once it is closed none runs any more, so that the end may free what they read.
#pragma once

#include <rte_telemetry.h>

// Registers a command. name and help: static.
// Thread: before start. Returns: 0 or negative errno.
int show_gate_register(const char *name, telemetry_cb show, const char *help);

// Waits for the show that runs and lets no other in: later ones answer with an error.
// Thread: main lcore.
void show_gate_close(void);
