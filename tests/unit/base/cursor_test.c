// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/cursor.h"

#include "tests/unit/base/suite.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void test_read(void)
{
	struct rcursor c = rcursor_make(bytes, sizeof(bytes));

	CU_ASSERT_EQUAL(rcursor_u8(&c), 1);
	CU_ASSERT_EQUAL(rcursor_u16(&c), 0x0203);
	CU_ASSERT_EQUAL(rcursor_u32(&c), 0x04050607);
	CU_ASSERT_EQUAL(rcursor_left(&c), 8);
	CU_ASSERT_EQUAL(rcursor_u64(&c), 0x08090a0b0c0d0e0f);
	CU_ASSERT_EQUAL(rcursor_left(&c), 0);
	CU_ASSERT_TRUE(c.ok);
}

// A cursor that was read over its end stays failed, also for what would have fitted.
static void test_overrun_stays(void)
{
	for (size_t len = 0; len < 4; len++) {
		struct rcursor c = rcursor_make(bytes, len);
		uint8_t copy[2] = { 0xee, 0xee };

		CU_ASSERT_EQUAL(rcursor_u32(&c), 0);
		CU_ASSERT_FALSE(c.ok);
		CU_ASSERT_EQUAL(rcursor_left(&c), 0);
		CU_ASSERT_EQUAL(rcursor_u8(&c), 0);
		CU_ASSERT_PTR_NULL(rcursor_bytes(&c, 0));
		rcursor_copy(&c, copy, sizeof(copy));
		CU_ASSERT_EQUAL(copy[0] | copy[1], 0);
	}
}

static void test_sub(void)
{
	struct rcursor c = rcursor_make(bytes, 6);
	struct rcursor sub = rcursor_sub(&c, 4);

	CU_ASSERT_EQUAL(rcursor_u32(&sub), 0x01020304);
	CU_ASSERT_EQUAL(rcursor_u8(&sub), 0); // the end of the window, not of the buffer
	CU_ASSERT_FALSE(sub.ok);
	CU_ASSERT_EQUAL(rcursor_u8(&c), 5);
	CU_ASSERT_TRUE(c.ok);
	sub = rcursor_sub(&c, 2);
	CU_ASSERT_FALSE(sub.ok);
	CU_ASSERT_FALSE(c.ok);
	CU_ASSERT_EQUAL(rcursor_left(&sub), 0);
}

static void test_huge_length(void)
{
	struct rcursor c = rcursor_make(bytes, sizeof(bytes));

	CU_ASSERT_PTR_NULL(rcursor_bytes(&c, SIZE_MAX));
	CU_ASSERT_FALSE(c.ok);
}

static void test_write(void)
{
	uint8_t buf[sizeof(bytes)];
	struct wcursor c = wcursor_make(buf, sizeof(buf));

	wcursor_u8(&c, 1);
	wcursor_u16(&c, 0x0203);
	wcursor_u32(&c, 0x04050607);
	wcursor_u64(&c, 0x08090a0b0c0d0e0f);
	CU_ASSERT_TRUE(c.ok);
	CU_ASSERT_EQUAL(wcursor_len(&c), sizeof(bytes));
	CU_ASSERT_EQUAL(memcmp(buf, bytes, sizeof(bytes)), 0);
	wcursor_u8(&c, 9);
	CU_ASSERT_FALSE(c.ok);
	CU_ASSERT_EQUAL(wcursor_len(&c), sizeof(bytes));
}

// What does not fit leaves the bytes behind the buffer alone, and nothing later is written.
static void test_write_overrun(void)
{
	uint8_t buf[4] = { 0xee, 0xee, 0xee, 0xee };
	struct wcursor c = wcursor_make(buf, 3);

	wcursor_zero(&c, 1);
	wcursor_bytes(&c, bytes, 3);
	CU_ASSERT_FALSE(c.ok);
	wcursor_u8(&c, 1);
	CU_ASSERT_EQUAL(buf[0], 0);
	CU_ASSERT_EQUAL(buf[1], 0xee);
	CU_ASSERT_EQUAL(buf[3], 0xee);
	CU_ASSERT_PTR_NULL(wcursor_take(&c, 0));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "numbers are read big-endian", test_read },
		{ "an overrun stays", test_overrun_stays },
		{ "a window ends where it ends", test_sub },
		{ "a huge length does not wrap", test_huge_length },
		{ "numbers are written big-endian", test_write },
		{ "what does not fit is not written", test_write_overrun },
		CU_TEST_INFO_NULL,
	};

	return suite_run("cursor", tests);
}
