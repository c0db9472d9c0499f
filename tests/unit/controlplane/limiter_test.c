// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/limiter.h"

#include "dataplane/base/clock.h"
#include "tests/unit/base/suite.h"

static struct ip6 source(uint32_t n)
{
	struct ip6 a = { .b = { 0x20, 0x01, 0x0d, 0xb8 } };

	a.b[4] = (uint8_t)(n >> 24);
	a.b[5] = (uint8_t)(n >> 16);
	a.b[6] = (uint8_t)(n >> 8);
	a.b[7] = (uint8_t)n;
	return a;
}

static unsigned int take(struct limiter *limiter, const struct ip6 *a, unsigned int n, uint64_t ns)
{
	unsigned int n_taken = 0;

	for (unsigned int i = 0; i < n; i++)
		n_taken += limiter_take(limiter, a, ns);
	return n_taken;
}

static void test_one_source(void)
{
	static struct limiter limiter = { .seed = 42 };
	uint64_t now_ns = 1000 * CLOCK_NS_PER_S;
	struct ip6 a = source(1), neighbour = source(1);

	neighbour.b[15] = 9; // the same /64
	CU_ASSERT_EQUAL(take(&limiter, &a, 500, now_ns), LIMITER_SOURCE_PER_SECOND);
	CU_ASSERT_EQUAL(take(&limiter, &neighbour, 500, now_ns), 0);
	now_ns += CLOCK_NS_PER_S / 10;
	CU_ASSERT_EQUAL(take(&limiter, &neighbour, 500, now_ns), LIMITER_SOURCE_PER_SECOND / 10);
	now_ns += 100 * CLOCK_NS_PER_S; // saves up for one second, not more
	CU_ASSERT_EQUAL(take(&limiter, &a, 500, now_ns), LIMITER_SOURCE_PER_SECOND);
}

static void test_many_sources(void)
{
	static struct limiter limiter = { .seed = 42 };
	unsigned int n = 0;

	for (uint32_t i = 0; i < 5000; i++) {
		struct ip6 a = source(i);

		n += limiter_take(&limiter, &a, CLOCK_NS_PER_S);
	}
	CU_ASSERT_EQUAL(n, LIMITER_PER_SECOND);
}

// Over ten seconds of asking every millisecond the rate is what it should be, to one token.
static void test_rate(void)
{
	static struct limiter limiter = { .seed = 7 };
	struct ip6 a = source(3);
	unsigned int n = 0;

	for (uint64_t ms = 1; ms <= 10000; ms++)
		n += limiter_take(&limiter, &a, ms * 1000000);
	CU_ASSERT(n >= 11 * LIMITER_SOURCE_PER_SECOND - 2);
	CU_ASSERT(n <= 11 * LIMITER_SOURCE_PER_SECOND);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "one source", test_one_source },
		{ "many sources", test_many_sources },
		{ "rate over time", test_rate },
		CU_TEST_INFO_NULL,
	};

	return suite_run("limiter", tests);
}
