// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Starting DPDK's environment from our configuration: lcore 0 is the main thread on main_core,
// lcore w + 1 is worker w on worker_cores[w]; one core may carry several.
#pragma once

#include "config/config.h"

// Starts the EAL: memory (hugepages when enough are free, as configured), threads pinned to their
// cores, telemetry under RUN_DIR/dpdk/unwired. Makes run_dir. As root, once, before any other DPDK
// call. Returns: 0, or negative errno with the reason logged.
int eal_start(const struct config_dataplane *config, const char *run_dir);

// Memory in MB that the tables and packet buffers of this configuration need (hugepages are reckoned
// with it); what `memory_mb` says when set.
uint32_t eal_memory_mb(const struct config_dataplane *config);
