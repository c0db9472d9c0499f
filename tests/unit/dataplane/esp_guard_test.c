// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What wrong check values may cost, with the time as an argument.

#include "dataplane/esp_guard.c"

#include "tests/unit/base/suite.h"

enum { HZ = 1000000000, SPI = 2000 };

static struct esp_guard guard;
static uint64_t now;

static void setup(void)
{
	const struct hash_seed seed = { { 1, 2, 3 } };

	now = 7 * (uint64_t)HZ;
	esp_guard_init(&guard, &seed, HZ);
	esp_guard_turn(&guard, now);
}

// How many of `tries` at this moment may be computed; all turn out wrong and cost `ticks`.
static unsigned int flood(
	uint32_t spi, uint64_t source, bool is_peer, unsigned int tries, uint64_t ticks)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < tries; i++) {
		if (!esp_guard_admit(&guard, spi, source, is_peer, now))
			continue;
		esp_guard_bad(&guard, ticks);
		n++;
	}
	return n;
}

static void test_bucket(void)
{
	unsigned int n = 0;

	setup();
	CU_ASSERT_EQUAL(flood(SPI, 1, false, 1000, 0), ESP_GUARD_BURST);
	// Another source and another SPI have buckets of their own.
	CU_ASSERT_EQUAL(flood(SPI, 3, false, 1000, 0), ESP_GUARD_BURST);
	CU_ASSERT_EQUAL(flood(SPI + 1, 1, false, 1000, 0), ESP_GUARD_BURST);
	for (unsigned int i = 0; i < 1000; i++) {
		now += HZ / 1000;
		n += flood(SPI, 1, false, 10, 0);
	}
	CU_ASSERT_TRUE(n >= ESP_GUARD_PER_S - 1 && n <= ESP_GUARD_PER_S + 1);
	now += 1000 * (uint64_t)HZ;
	CU_ASSERT_EQUAL(flood(SPI, 1, false, 1000, 0), ESP_GUARD_BURST);
}

// Right check values take nothing, however many.
static void test_good(void)
{
	setup();
	for (unsigned int i = 0; i < 100000; i++) {
		CU_ASSERT_TRUE_FATAL(esp_guard_admit(&guard, SPI, 1, i % 2, now));
		esp_guard_good(&guard, SPI, 1, i % 2);
	}
}

// A whole burst of right ones from a new source passes, though nobody knows yet that they are right.
static void test_burst(void)
{
	setup();
	for (unsigned int i = 0; i < 64; i++)
		CU_ASSERT_TRUE_FATAL(esp_guard_admit(&guard, SPI, 1, false, now));
}

// All failures together take no more than a share of the time, whatever comes.
static void test_share(void)
{
	enum { TICKS = 200, BURST = 64 };
	uint64_t spent = 0, start = now;

	setup();
	start = now;
	for (unsigned int i = 0; i < 1000000; i++) {
		now += 1000;
		esp_guard_turn(&guard, now);
		spent += (uint64_t)TICKS * flood(SPI, 2ull * i + 1, false, BURST, TICKS);
	}
	CU_ASSERT_TRUE(spent <= (now - start) / ESP_GUARD_SHARE + HZ / 1000 + TICKS * BURST);
	CU_ASSERT_TRUE(spent >= (now - start) / ESP_GUARD_SHARE * 9 / 10);
	// Then there is still room for those whose packets were good before, and less for a forger of
	// their address.
	CU_ASSERT_TRUE(esp_guard_admit(&guard, SPI, 1, true, now));
	CU_ASSERT_TRUE(flood(SPI, 1, true, 1000000, TICKS) < HZ / 1000 / TICKS);
	CU_ASSERT_FALSE(esp_guard_admit(&guard, SPI, 1, true, now));
	now += HZ;
	esp_guard_turn(&guard, now);
	CU_ASSERT_TRUE(esp_guard_admit(&guard, SPI, 77, false, now));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "a bucket for each SPI and source", test_bucket },
		{ "right check values take nothing", test_good },
		{ "a burst of a new source", test_burst },
		{ "a share of the worker's time", test_share },
		CU_TEST_INFO_NULL,
	};

	return suite_run("esp_guard", tests);
}
