// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Policing with the time as an argument: rates, bursts, and that nobody's bucket is another's.

#include "dataplane/police.c"

#include "tests/unit/dataplane/suite.h"

enum { HZ = 1000000000 };

static struct ip6 address(uint64_t high, uint64_t low)
{
	struct ip6 a;

	memcpy(a.b, &high, sizeof(high));
	memcpy(a.b + 8, &low, sizeof(low));
	return a;
}

static void setup(void)
{
	memset(&police, 0, sizeof(police));
	CU_ASSERT_EQUAL_FATAL(police_init(HZ), 0);
	for (unsigned int i = 0; i < POLICE_CLASSES; i++)
		police_budget_set(i, 100000);
}

static unsigned int count(enum police_class class, uint64_t sender, uint64_t now,
	unsigned int tries, enum police_verdict verdict)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < tries; i++)
		n += police_take(class, sender, now) == verdict;
	return n;
}

static void test_sender_has_a_burst_and_a_rate(void)
{
	const struct ip6 source = address(1, 1), home = address(2, 2);
	uint64_t sender, now = 5 * (uint64_t)HZ;
	unsigned int n = 0;

	setup();
	sender = police_sender(&source, &home);
	CU_ASSERT_EQUAL(count(POLICE_KNOWN, sender, now, 100, POLICE_PASS), POLICE_SENDER_BURST);
	CU_ASSERT_EQUAL(count(POLICE_KNOWN, sender, now, 5, POLICE_OVER_SENDER), 5);
	// An honest one, three a second, never meets the limit again.
	for (unsigned int i = 1; i <= 30; i++)
		n += police_take(POLICE_KNOWN, sender, now + i * (HZ / 3 + 1ull)) == POLICE_PASS;
	CU_ASSERT_EQUAL(n, 30);
	// After a rest the burst is whole, and no more than that.
	now += 3600 * (uint64_t)HZ;
	CU_ASSERT_EQUAL(count(POLICE_KNOWN, sender, now, 100, POLICE_PASS), POLICE_SENDER_BURST);
}

static void test_sender_is_a_network_and_a_home_address(void)
{
	const struct ip6 home = address(2, 2), other_home = address(2, 3);
	const struct ip6 source = address(1, 1), neighbour = address(1, 99), far = address(7, 1);

	setup();
	CU_ASSERT_EQUAL(police_sender(&source, &home), police_sender(&neighbour, &home));
	CU_ASSERT_NOT_EQUAL(police_sender(&source, &home), police_sender(&far, &home));
	CU_ASSERT_NOT_EQUAL(police_sender(&source, &home), police_sender(&source, &other_home));
	CU_ASSERT_NOT_EQUAL(police_sender(&source, &home), 0);
}

// The key makes who shares a bucket with whom another matter at each start.
static void test_hash_is_keyed(void)
{
	const struct ip6 source = address(1, 1), home = address(2, 2);
	uint64_t first;

	setup();
	first = police_sender(&source, &home);
	setup();
	CU_ASSERT_NOT_EQUAL(first, police_sender(&source, &home));
}

static void test_class_keeps_its_budget(void)
{
	uint64_t now = 5 * (uint64_t)HZ, n = 0;

	setup();
	police_budget_set(POLICE_UNKNOWN, 2000);
	CU_ASSERT_EQUAL(police_budget(POLICE_UNKNOWN), 2000);
	// A second of 50,000 senders, each heard once.
	for (uint64_t i = 0; i < 50000; i++) {
		const struct ip6 source = address(i, 0), home = address(9, i);

		n += police_take(POLICE_UNKNOWN, police_sender(&source, &home),
			     now + i * (HZ / 50000)) == POLICE_PASS;
	}
	CU_ASSERT(n >= 2000 && n <= 2000 + 2000 / BURSTS_PER_S);
	// However large the budget, a flood's first ones are no more than the receive queues wait for.
	police_budget_set(POLICE_UNKNOWN, 1000000);
	for (n = 0, now += 10 * (uint64_t)HZ; n < 50000; n++) {
		const struct ip6 source = address(n, 1), home = address(9, n);

		if (police_take(POLICE_UNKNOWN, police_sender(&source, &home), now) != POLICE_PASS)
			break;
	}
	CU_ASSERT_EQUAL(n, BURST_MAX);
}

// However hard the lower classes are hit, a known sender finds its tokens.
static void test_flood_takes_nothing_from_better_classes(void)
{
	const struct ip6 care_of = address(1, 1), own_home = address(2, 2);
	uint64_t now = 5 * (uint64_t)HZ, sender, passed = 0;

	setup();
	sender = police_sender(&care_of, &own_home);
	for (uint64_t i = 0; i < 3000000; i++) {
		const struct ip6 source = address(i, 0);

		now += 1000;
		police_take(i % 2 == 0 ? POLICE_UNKNOWN : POLICE_MOVED,
			police_sender(&source, &own_home), now);
		if (i % 1000000 == 0)
			passed += police_take(POLICE_KNOWN, sender, now) == POLICE_PASS;
	}
	CU_ASSERT_EQUAL(passed, 3);
	// And those of its own network and home leave the others alone.
	CU_ASSERT(count(POLICE_KNOWN, sender, now, 1000, POLICE_OVER_SENDER) > 900);
	sender = police_sender(&own_home, &care_of);
	CU_ASSERT_EQUAL(police_take(POLICE_KNOWN, sender, now), POLICE_PASS);
}

// A dropped packet costs neither its sender nor its class a token.
static void test_refused_packets_take_nothing(void)
{
	const struct ip6 source = address(1, 1), home = address(2, 2), other = address(3, 3);
	uint64_t now = 5 * (uint64_t)HZ, full;

	setup();
	count(POLICE_MOVED, police_sender(&source, &home), now, POLICE_SENDER_BURST, POLICE_PASS);
	full = police.classes[POLICE_MOVED].at_tsc;
	count(POLICE_MOVED, police_sender(&source, &home), now, 1000, POLICE_PASS);
	CU_ASSERT_EQUAL(police.classes[POLICE_MOVED].at_tsc, full);
	police_budget_set(POLICE_MOVED, 0);
	CU_ASSERT_EQUAL(police_budget(POLICE_MOVED), POLICE_BUDGET_MIN);
	police.classes[POLICE_MOVED].at_tsc = now + 3600 * (uint64_t)HZ;
	CU_ASSERT_EQUAL(
		count(POLICE_MOVED, police_sender(&other, &home), now, 50, POLICE_OVER_CLASS), 50);
	police.classes[POLICE_MOVED].at_tsc = 0;
	CU_ASSERT_EQUAL(count(POLICE_MOVED, police_sender(&other, &home), now, 50, POLICE_PASS),
		POLICE_SENDER_BURST);
}

static void test_errors_to_one_receiver(void)
{
	uint64_t now = 5 * (uint64_t)HZ;
	unsigned int n = 0, n_later = 0;

	setup();
	for (unsigned int i = 0; i < 1000; i++)
		n += police_error(1, now);
	CU_ASSERT_EQUAL(n, POLICE_RECEIVER_BURST);
	// What was refused took nothing from others.
	CU_ASSERT_TRUE(police_error(2, now));
	for (unsigned int ms = 1; ms <= 10000; ms++)
		n_later += police_error(1, now + ms * (HZ / 1000ull));
	CU_ASSERT_EQUAL(n_later, 10 * POLICE_RECEIVER_PER_S);
}

static void test_errors_in_all(void)
{
	uint64_t now = 5 * (uint64_t)HZ, receiver = 1;
	unsigned int n = 0, n_later = 0;

	setup();
	for (unsigned int i = 0; i < 1000; i++)
		n += police_error(receiver++, now);
	CU_ASSERT_EQUAL(n, POLICE_ERRORS_BURST);
	for (unsigned int ms = 1; ms <= 10000; ms++) {
		for (unsigned int i = 0; i < 3; i++)
			n_later += police_error(receiver++, now + ms * (HZ / 1000ull));
	}
	CU_ASSERT_EQUAL(n_later, 10 * POLICE_ERRORS_PER_S);
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "sender has a burst and a rate", test_sender_has_a_burst_and_a_rate },
		{ "sender is a network and a home", test_sender_is_a_network_and_a_home_address },
		{ "hash is keyed", test_hash_is_keyed },
		{ "class keeps its budget", test_class_keeps_its_budget },
		{ "flood of others", test_flood_takes_nothing_from_better_classes },
		{ "refused packets take nothing", test_refused_packets_take_nothing },
		{ "errors to one receiver", test_errors_to_one_receiver },
		{ "errors in all", test_errors_in_all },
		CU_TEST_INFO_NULL,
	};

	return suite_run("police", tests);
}
