// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A suite with a small DPDK environment (no hugepages, no devices) and RCU for one reader.
#pragma once

#include <rte_eal.h>

#include "dataplane/rcu.h"
#include "tests/unit/base/suite.h"

// As suite_run.
static inline int suite_run_dpdk(const char *name, CU_TestInfo *tests)
{
	static char program[] = "test", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
		    memory[] = "-m", size[] = "1200", no_telemetry[] = "--no-telemetry",
		    no_conf[] = "--no-shconf";
	char *argv[] = { program, no_huge, no_pci, memory, size, no_telemetry, no_conf };
	int status;

	if (rte_eal_init(RTE_DIM(argv), argv) < 0 || rcu_init(1) != 0)
		return EXIT_FAILURE;
	status = suite_run(name, tests);
	rcu_free();
	rte_eal_cleanup();
	return status;
}
