// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/prefault.h"
#include "tests/unit/base/suite.h"

enum { BYTES = 96 << 20, PAGE = 4096, N_PAGES = BYTES / PAGE };

static uint8_t *fresh(void)
{
	uint8_t *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(p, MAP_FAILED);
	return p;
}

static unsigned int resident(uint8_t *p, size_t len)
{
	static unsigned char pages[N_PAGES];
	unsigned int n = 0;

	CU_ASSERT_EQUAL_FATAL(mincore(p, len, pages), 0);
	for (size_t i = 0; i < len / PAGE; i++)
		n += pages[i] & 1;
	return n;
}

static void test_now(void)
{
	uint8_t *p = fresh();

	p[PAGE] = 7;
	CU_ASSERT_EQUAL(resident(p, BYTES), 1);
	prefault_now(p + 1, 4 * PAGE); // the whole pages inside only
	CU_ASSERT_EQUAL(resident(p, BYTES), 3);
	CU_ASSERT_EQUAL(p[PAGE], 7);
	prefault_now(p, 10); // none
	CU_ASSERT_EQUAL(resident(p, BYTES), 3);
	munmap(p, BYTES);
}

// Threads take what lies behind the owner, who writes meanwhile.
static void test_threads(void)
{
	cpu_set_t cpus;
	uint8_t *p = fresh();
	struct prefault *prefault = prefault_new();
	unsigned int waits = 0;

	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	prefault_add(prefault, p, BYTES);
	prefault_begin(prefault);
	for (unsigned int i = 0; i < N_PAGES / 8; i++)
		p[(size_t)i * PAGE] = (uint8_t)i;
	if (CPU_COUNT(&cpus) > 1) {
		while (resident(p, BYTES) < N_PAGES && waits++ < 10000)
			usleep(1000);
		CU_ASSERT_EQUAL(resident(p, BYTES), N_PAGES);
	}
	prefault_end(prefault);
	for (unsigned int i = 0; i < N_PAGES; i++)
		if (p[(size_t)i * PAGE] != (i < N_PAGES / 8 ? (uint8_t)i : 0))
			CU_FAIL_FATAL("contents were changed");
	munmap(p, BYTES);
}

// Too little for a thread, nothing at all.
static void test_little(void)
{
	uint8_t *p = fresh();
	struct prefault *prefault = prefault_new();

	prefault_add(prefault, p, 32 << 20);
	prefault_begin(prefault);
	prefault_end(prefault);
	CU_ASSERT_EQUAL(resident(p, BYTES), 0);
	prefault_add(NULL, p, BYTES);
	prefault_begin(NULL);
	prefault_end(NULL);
	munmap(p, BYTES);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "at once", test_now },
		{ "threads", test_threads },
		{ "little", test_little },
		CU_TEST_INFO_NULL,
	};

	return suite_run("prefault", tests);
}
