// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/seq.h"

#include "tests/unit/base/suite.h"

// Rows of RFC 6275 section 9.5.1 and of the conformance list 2.5 to 2.8.
static void test_rows(void)
{
	static const struct {
		uint16_t last, seq;
		bool is_greater;
	} rows[] = {
		{ 15, 16, true },
		{ 15, 32782, true },
		{ 15, 15, false },
		{ 15, 14, false },
		{ 15, 0, false },
		{ 15, 32783, false },
		{ 15, 65535, false },
		{ 32783, 32784, true },
		{ 32783, 65535, true },
		{ 32783, 0, true },
		{ 32783, 14, true },
		{ 32783, 15, false },
		{ 32783, 32782, false },
		{ 32783, 32783, false },
		{ 65535, 0, true },
		{ 65535, 32766, true },
		{ 65535, 32767, false },
		{ 0, 1, true },
		{ 0, 32767, true },
		{ 0, 32768, false },
		{ 0, 65535, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(seq_is_greater(rows[i].seq, rows[i].last), rows[i].is_greater);
}

// The text word by word: "less than or equal ... if its value lies in the range of the last received
// number and the preceding 32768 values, inclusive".
static bool is_in_refused_range(uint16_t seq, uint16_t last)
{
	for (int back = 0; back <= 32768; back++)
		if ((last - back + 65536) % 65536 == seq)
			return true;
	return false;
}

static void test_against_oracle(void)
{
	unsigned int state = 1, wrong = 0;

	for (int i = 0; i < 3000; i++) {
		uint16_t last, seq;

		state = state * 1103515245 + 12345;
		last = (uint16_t)(state >> 16);
		state = state * 1103515245 + 12345;
		seq = (uint16_t)(state >> 16);
		wrong += seq_is_greater(seq, last) == is_in_refused_range(seq, last);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

// For every last number exactly 32767 numbers are greater, and never both ways round.
static void test_every_pair_of_a_few_lasts(void)
{
	static const uint16_t lasts[] = { 0, 1, 15, 32767, 32768, 32783, 65534, 65535 };

	for (size_t i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		unsigned int n_greater = 0, n_both = 0;

		for (unsigned int seq = 0; seq <= UINT16_MAX; seq++) {
			bool is_greater = seq_is_greater((uint16_t)seq, lasts[i]);

			n_greater += is_greater;
			n_both += is_greater && seq_is_greater(lasts[i], (uint16_t)seq);
		}
		CU_ASSERT_EQUAL(n_greater, 32767);
		CU_ASSERT_EQUAL(n_both, 0);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "rows of the text", test_rows },
		{ "random pairs against the text word by word", test_against_oracle },
		{ "every number after a few lasts", test_every_pair_of_a_few_lasts },
		CU_TEST_INFO_NULL,
	};

	return suite_run("seq", tests);
}
