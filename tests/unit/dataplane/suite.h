// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// One CUnit suite per program, with a small DPDK environment (no hugepages, no devices) and RCU for
// one reader where the tests need them.
#pragma once

#include <stdlib.h>

#include <CUnit/Basic.h>
#include <rte_eal.h>

#include "dataplane/rcu.h"

// Runs the tests. Returns: the exit status, non-zero when one failed.
static inline int suite_run(const char *name, const CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = {
		{ .pName = name, .pTests = (CU_TestInfo *)(uintptr_t)tests },
		CU_SUITE_INFO_NULL,
	};
	unsigned int failed;

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return EXIT_FAILURE;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures() + (CU_get_number_of_tests_run() == 0);
	CU_cleanup_registry();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int suite_run_dpdk(const char *name, const CU_TestInfo *tests)
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
