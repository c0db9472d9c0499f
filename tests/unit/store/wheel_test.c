// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/wheel.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

#define S 1000000000ULL

enum { TIMERS = 500 };

static size_t take(struct wheel *w, uint64_t now, uint32_t *out, size_t max, bool *has_more)
{
	return wheel_take(w, now, out, max, has_more);
}

static void test_times(void)
{
	struct wheel *w = wheel_new(8, 100 * S + S / 2);
	uint32_t out[8];
	bool has_more;

	wheel_arm(w, 1, 105 * S);
	wheel_arm(w, 2, 105 * S + 1); // rounds up: never early
	wheel_arm(w, 3, 105 * S + 2048 * S); // two rounds later, in the same slot
	CU_ASSERT_EQUAL(take(w, 105 * S - 1, out, 8, &has_more), 0);
	CU_ASSERT_EQUAL(take(w, 105 * S, out, 8, &has_more), 1);
	CU_ASSERT_EQUAL(out[0], 1);
	CU_ASSERT_FALSE(has_more);
	CU_ASSERT_EQUAL(take(w, 106 * S, out, 8, &has_more), 1);
	CU_ASSERT_EQUAL(out[0], 2);
	CU_ASSERT_EQUAL(take(w, 2152 * S, out, 8, &has_more), 0);
	CU_ASSERT_EQUAL(take(w, 2153 * S, out, 8, &has_more), 1);
	CU_ASSERT_EQUAL(out[0], 3);
	wheel_arm(w, 4, 50 * S); // long past: at once
	CU_ASSERT_EQUAL(take(w, 2153 * S, out, 8, &has_more), 1);
	CU_ASSERT_EQUAL(out[0], 4);
	wheel_free(w);
}

static void test_lazy(void)
{
	struct wheel *w = wheel_new(8, 0);
	uint32_t out[8];
	bool has_more;

	wheel_arm(w, 1, 10 * S);
	wheel_arm(w, 1, 20 * S); // longer: comes up at the old time
	CU_ASSERT_EQUAL(take(w, 10 * S, out, 8, &has_more), 1);
	wheel_arm(w, 1, 20 * S);
	wheel_arm(w, 1, 15 * S); // shorter: moved at once
	CU_ASSERT_EQUAL(take(w, 15 * S, out, 8, &has_more), 1);
	CU_ASSERT_EQUAL(take(w, 30 * S, out, 8, &has_more), 0); // and not twice
	wheel_free(w);
}

static void test_budget(void)
{
	struct wheel *w = wheel_new(TIMERS, 0);
	uint32_t out[16];
	uint32_t n = 0;
	bool has_more = true;

	for (uint32_t i = 0; i < TIMERS; i++)
		wheel_arm(w, i, 5 * S);
	CU_ASSERT_EQUAL(take(w, 5 * S, out, 16, &has_more), 16);
	CU_ASSERT_TRUE(has_more);
	while (has_more) {
		size_t k = take(w, 5 * S, out, 16, &has_more);

		CU_ASSERT_TRUE_FATAL(k <= 16);
		n += (uint32_t)k;
	}
	CU_ASSERT_EQUAL(n, TIMERS - 16);
	wheel_free(w);
}

// A sleep of days: everything that is due comes up, nothing else.
static void test_sleep(void)
{
	struct wheel *w = wheel_new(8, 10 * S);
	uint32_t out[8];
	bool has_more;

	wheel_arm(w, 1, 500 * S);
	wheel_arm(w, 2, 90000 * S);
	wheel_arm(w, 3, 400000 * S);
	CU_ASSERT_EQUAL(take(w, 200000 * S, out, 8, &has_more), 2);
	CU_ASSERT_FALSE(has_more);
	CU_ASSERT_EQUAL(take(w, 399999 * S, out, 8, &has_more), 0);
	CU_ASSERT_EQUAL(take(w, 400000 * S, out, 8, &has_more), 1);
	wheel_free(w);
}

// Random arming and shortening: nothing early, nothing late, nothing lost or twice.
static void test_random(void)
{
	static uint64_t due[TIMERS]; // 0 = disarmed; seconds
	struct wheel *w = wheel_new(TIMERS, 0);
	uint64_t rng = 7;

	for (uint64_t now = 1; now < 20000; now++) {
		uint32_t out[TIMERS];
		bool has_more = true;

		for (int k = 0; k < 10; k++) {
			uint32_t i = rng_below(&rng, TIMERS);
			uint64_t at = now + 1 + rng_below(&rng, 3000);

			wheel_arm(w, i, at * S);
			if (due[i] == 0 || at < due[i])
				due[i] = at;
		}
		while (has_more) {
			size_t n = take(w, now * S, out, 7, &has_more);

			for (size_t k = 0; k < n; k++) {
				CU_ASSERT_EQUAL_FATAL(due[out[k]], now);
				due[out[k]] = 0;
			}
		}
		for (uint32_t i = 0; i < TIMERS; i++)
			CU_ASSERT_TRUE_FATAL(due[i] == 0 || due[i] > now);
	}
	wheel_free(w);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "times and rounds", test_times },
		{ "lazy refresh", test_lazy },
		{ "a budget a call", test_budget },
		{ "a long sleep", test_sleep },
		{ "random operations against a model", test_random },
		CU_TEST_INFO_NULL,
	};

	return suite_run("wheel", tests);
}
