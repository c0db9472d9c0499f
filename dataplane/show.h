// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the dataplane shows of itself over DPDK telemetry: read-only, works without control.
// /unwired/status is one flat object; /unwired/workers and /unwired/drops are lists of rows.
#pragma once

// Registers the commands. Returns: 0 or negative errno. Before the drop of rights.
int show_register(void);
