// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/bul.h"

#include "controlplane/codec/mh.h"
#include "dataplane/base/clock.h"
#include "tests/unit/base/suite.h"

#define S(n) ((uint64_t)((n)*CLOCK_NS_PER_S))

static const struct ip6 home = { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 100 } };
static const struct ip6 here = { { 0x20, 1, 0xd, 0xb8, 0, 0x11, [15] = 1 } };
static const struct ip6 there = { { 0x20, 1, 0xd, 0xb8, 0, 0x12, [15] = 1 } };

// An entry bound at `here` for 100 s from 10 s on, sequence 65535.
static struct bul bound(void)
{
	struct bul bul;
	struct bul_answer answer = { .sequence = 65535, .lifetime_s = 100 };

	bul_init(&bul, &home, 65535);
	bul_ask(&bul, &here, 400, S(10));
	bul_send(&bul, S(10));
	CU_ASSERT_EQUAL_FATAL(bul_answer(&bul, &answer, S(10) + 5), BUL_BOUND);
	return bul;
}

// RFC 6275 section 11.8: 1.5 s first, doubled up to 32 s, a greater sequence number each time.
static void test_first_registration_backs_off(void)
{
	static const double gaps_s[] = { 1.5, 3, 6, 12, 24, 32, 32, 32 };
	struct bul bul;
	uint64_t now_ns = S(5);

	bul_init(&bul, &home, 7);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), BUL_NEVER_NS);
	bul_ask(&bul, &here, 400, now_ns);
	for (unsigned int i = 0; i < sizeof(gaps_s) / sizeof(gaps_s[0]); i++) {
		CU_ASSERT_EQUAL(bul_due_ns(&bul), now_ns);
		CU_ASSERT_FALSE(bul_wants_send(&bul, now_ns - 1));
		CU_ASSERT_TRUE(bul_wants_send(&bul, now_ns));
		CU_ASSERT_EQUAL(bul_send(&bul, now_ns)->sequence, 7 + i);
		now_ns += S(gaps_s[i]);
	}
	CU_ASSERT_EQUAL(bul.n_retransmitted, 7);
	CU_ASSERT_STRING_EQUAL(bul_state(&bul), "registering");
}

static void test_move_starts_at_one_second(void)
{
	struct bul bul = bound();

	bul_ask(&bul, &there, 400, S(20));
	CU_ASSERT_TRUE(bul_is_moving(&bul));
	bul_send(&bul, S(20));
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(21));
	bul_send(&bul, S(21));
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(23));
	CU_ASSERT_TRUE(bul.is_bound); // still where it was
	CU_ASSERT_TRUE(ip6_eq(&bul.bound_care_of, &here));
}

// The lifetime counts from the transmission; the refresh comes well before its end.
static void test_lifetime_and_refresh(void)
{
	struct bul bul = bound();

	CU_ASSERT_EQUAL(bul.bound_until_ns, S(110));
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(85));
	CU_ASSERT_FALSE(bul_expire(&bul, S(110) - 1));
	CU_ASSERT_EQUAL(bul_send(&bul, S(85))->sequence, 0); // wraps
	CU_ASSERT_EQUAL(bul.asked_lifetime_s, 400); // asks for the whole again
	CU_ASSERT_FALSE(bul_is_moving(&bul));
	CU_ASSERT_STRING_EQUAL(bul_state(&bul), "bound");
	for (uint64_t now_ns = bul.next_ns; now_ns < S(110); now_ns = bul.next_ns)
		bul_send(&bul, now_ns);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(110));
	CU_ASSERT_TRUE(bul_expire(&bul, S(110)));
	CU_ASSERT_FALSE(bul_expire(&bul, S(110)));
	CU_ASSERT_STRING_EQUAL(bul_state(&bul), "registering");
}

static void test_refresh_advice_and_request(void)
{
	struct bul bul = bound();
	struct bul_answer answer = { .lifetime_s = 100, .refresh_s = 20 };

	bul_refresh(&bul, S(30));
	CU_ASSERT_TRUE(bul_wants_send(&bul, S(30)));
	answer.sequence = bul_send(&bul, S(30))->sequence;
	bul_refresh(&bul, S(30)); // nothing to add while one is under way
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(31));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(30)), BUL_BOUND);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(50));
}

// Any Binding Update of the exchange may be acknowledged, none of an earlier exchange.
static void test_sequence_must_match(void)
{
	struct bul bul = bound();
	struct bul_answer answer = { .sequence = 65535, .lifetime_s = 100 };

	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(11)), BUL_IGNORED_NO_EXCHANGE);
	bul_ask(&bul, &there, 400, S(20));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(20)), BUL_IGNORED_NO_EXCHANGE);
	bul_send(&bul, S(20));
	bul_send(&bul, S(21));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(21)), BUL_IGNORED_SEQUENCE);
	answer.sequence = 2;
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(21)), BUL_IGNORED_SEQUENCE);
	CU_ASSERT_TRUE(ip6_eq(&bul.bound_care_of, &here));
	answer.sequence = 0; // the first of the two
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(21) + 7), BUL_BOUND);
	CU_ASSERT_TRUE(ip6_eq(&bul.bound_care_of, &there));
	CU_ASSERT_EQUAL(bul.bound_until_ns, S(120));
	CU_ASSERT_EQUAL(bul.rtt_ns, S(1) + 7);
}

// Status 135 carries the last accepted number, which need not match anything.
static void test_sequence_is_corrected(void)
{
	struct bul bul;
	struct bul_answer answer = { .sequence = 40000, .status = MH_STATUS_SEQUENCE };

	bul_init(&bul, &home, 3);
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1)), BUL_IGNORED_NO_EXCHANGE);
	bul_ask(&bul, &here, 400, S(1));
	bul_send(&bul, S(1));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1) + 9), BUL_SEQUENCE_CORRECTED);
	CU_ASSERT_TRUE(bul_wants_send(&bul, S(1) + 9));
	CU_ASSERT_EQUAL(bul_send(&bul, S(1) + 9)->sequence, 40001);
}

// RFC 4285 section 6: the answer to a timestamp must carry it, but for status 144.
static void test_mesg_id(void)
{
	struct bul bul;
	struct bul_answer answer = { .sequence = 3, .lifetime_s = 100, .has_mesg_id = true };

	bul_init(&bul, &home, 3);
	bul_ask(&bul, &here, 400, S(1));
	bul_send(&bul, S(1))->mesg_id = 77;
	answer.mesg_id = 78;
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1)), BUL_IGNORED_MESG_ID);
	answer.status = MH_STATUS_ID_MISMATCH;
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1)), BUL_CLOCK_CORRECTED);
	CU_ASSERT_TRUE(bul_wants_send(&bul, S(1)));
	bul_send(&bul, S(1))->mesg_id = 79;
	answer = (struct bul_answer){ .sequence = 4, .lifetime_s = 100 };
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1)), BUL_IGNORED_MESG_ID); // none
	answer.has_mesg_id = true;
	answer.mesg_id = 79;
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1)), BUL_BOUND);
}

static void test_refusals(void)
{
	struct bul bul = bound();
	struct bul_answer answer = { .sequence = 0, .status = MH_STATUS_RESOURCES };

	bul_ask(&bul, &there, 400, S(20));
	bul_send(&bul, S(20));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(20)), BUL_RETRY);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(21)); // the back-off goes on
	bul_send(&bul, S(21));
	answer = (struct bul_answer){ .sequence = 1, .status = MH_STATUS_PROHIBITED };
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(21)), BUL_REFUSED);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(110)); // only the end of what it has
	CU_ASSERT_TRUE(ip6_eq(&bul.bound_care_of, &here));
	bul_expire(&bul, S(110));
	CU_ASSERT_STRING_EQUAL(bul_state(&bul), "refused");
	bul_ask(&bul, &there, 400, S(120)); // the operator insists
	CU_ASSERT_TRUE(bul_wants_send(&bul, S(120)));
}

// A lifetime of nothing is no binding.
static void test_useless_lifetime(void)
{
	struct bul bul;
	struct bul_answer answer = { .sequence = 3 };

	bul_init(&bul, &home, 3);
	bul_ask(&bul, &here, 400, S(1));
	bul_send(&bul, S(1));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(1)), BUL_RETRY);
	CU_ASSERT_FALSE(bul.is_bound);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), S(2.5));
}

static void test_deregistration(void)
{
	struct bul bul = bound();
	struct bul_answer answer = { .sequence = 0 };

	bul_ask(&bul, &here, 0, S(20));
	CU_ASSERT_STRING_EQUAL(bul_state(&bul), "deregistering");
	CU_ASSERT_FALSE(bul_is_moving(&bul));
	bul_send(&bul, S(20));
	CU_ASSERT_EQUAL(bul_answer(&bul, &answer, S(20)), BUL_DEREGISTERED);
	CU_ASSERT_FALSE(bul.is_bound);
	CU_ASSERT_EQUAL(bul_due_ns(&bul), BUL_NEVER_NS);
	CU_ASSERT_STRING_EQUAL(bul_state(&bul), "unbound");
}

// MAX_UPDATE_RATE: at most three in any second.
static void test_rate(void)
{
	struct bul_rate rate = { 0 };

	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(5)), 0);
	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(5) + 10), 0);
	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(5) + 20), 0);
	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(5) + 30), S(6));
	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(6) - 1), S(6));
	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(6)), 0);
	CU_ASSERT_EQUAL(bul_rate_take(&rate, S(6)), S(6) + 10);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "first registration backs off", test_first_registration_backs_off },
		{ "a move starts at one second", test_move_starts_at_one_second },
		{ "lifetime and refresh", test_lifetime_and_refresh },
		{ "refresh advice and request", test_refresh_advice_and_request },
		{ "sequence must match", test_sequence_must_match },
		{ "sequence is corrected", test_sequence_is_corrected },
		{ "mesg-id", test_mesg_id },
		{ "refusals", test_refusals },
		{ "useless lifetime", test_useless_lifetime },
		{ "deregistration", test_deregistration },
		{ "rate", test_rate },
		CU_TEST_INFO_NULL,
	};

	return suite_run("bul", tests);
}
