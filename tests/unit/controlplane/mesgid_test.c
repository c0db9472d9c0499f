// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/mesgid.h"

#include "tests/unit/base/suite.h"

#define S(n) ((uint64_t)(n) << 32) // seconds of an NTP timestamp

static void test_from_wall(void)
{
	CU_ASSERT_EQUAL(mesgid_from_wall_ns(0), 0x83aa7e8000000000ULL); // 1970
	CU_ASSERT_EQUAL(mesgid_from_wall_ns(500000000), 0x83aa7e8080000000ULL);
	CU_ASSERT_EQUAL(mesgid_from_wall_ns(250000000), 0x83aa7e8040000000ULL);
	// Second 2085978496 is the first of the next era: all 64 bits roll over to 0.
	CU_ASSERT_EQUAL(mesgid_from_wall_ns(2085978496ULL * 1000000000), 0);
}

static void test_window(void)
{
	static const struct {
		uint64_t id, now, last;
		bool is_valid;
	} rows[] = {
		{ S(1000), S(1000), 0, true },
		{ S(1007), S(1000), 0, true },
		{ S(1007) + 1, S(1000), 0, false },
		{ S(993), S(1000), 0, true },
		{ S(993) - 1, S(1000), 0, false },
		{ S(1000), S(1000), S(1000), false }, // the same again
		{ S(1000) + 1, S(1000), S(1000), true },
		{ S(999), S(1000), S(1000), false }, // reordered
		{ S(2), S(0) - S(2), 0, true }, // across the roll-over of 2036
		{ S(2), S(0) - S(2), S(0) - S(1), true },
		{ S(0) - S(1), S(2), S(1), false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(mesgid_is_valid(rows[i].id, rows[i].now, 7, rows[i].last),
			rows[i].is_valid);
}

// The mobile node finds its own fraction and our seconds.
static void test_mismatch_reply(void)
{
	CU_ASSERT_EQUAL(mesgid_mismatch_reply(0x1111111122222222ULL, 0x3333333344444444ULL),
		0x3333333322222222ULL);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "NTP timestamps of wall-clock times", test_from_wall },
		{ "window and last accepted", test_window },
		{ "reply to a mismatch", test_mismatch_reply },
		CU_TEST_INFO_NULL,
	};

	return suite_run("mesgid", tests);
}
