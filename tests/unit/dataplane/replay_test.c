// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The replay window against an oracle that remembers every number, and the rules of RFC 4303 appendix A.

#include "dataplane/replay.h"

#include <pthread.h>

#include "tests/unit/base/suite.h"

enum { SEEN_MAX = 1 << 16 };

// Remembers the last numbers marked, however long ago.
struct oracle {
	uint64_t seen[SEEN_MAX];
	unsigned int n;
	uint64_t top;
	uint32_t size;
};

static struct oracle oracle;

static bool oracle_mark(struct oracle *o, uint64_t number)
{
	if (number == 0 || (number <= o->top && o->top - number >= o->size))
		return false;
	for (unsigned int i = 0; i < o->n; i++) {
		if (o->seen[i] == number)
			return false;
	}
	o->seen[o->n++] = number;
	if (number > o->top)
		o->top = number;
	return true;
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 20;
}

static void test_oracle(void)
{
	static const uint32_t sizes[] = { 32, 64, 96, 1024, 4064, 4096 };
	static const uint64_t starts[] = { 1, (1ULL << 32) - 500, (1ULL << 40) - 77 };
	uint64_t state = 4711;

	for (unsigned int s = 0; s < 6 * 3; s++) {
		uint64_t at = starts[s % 3];
		struct replay r;

		replay_init(&r, sizes[s / 3], true);
		memset(&oracle, 0, sizeof(oracle));
		oracle.size = sizes[s / 3];
		for (unsigned int i = 0; i < 4000; i++) {
			uint64_t number = at + random_next(&state) % (2 * sizes[s / 3]);
			bool may = replay_may_pass(&r, number), marked = replay_mark(&r, number);

			if (i % 500 == 499)
				at += random_next(&state) % (10 * sizes[s / 3]);
			at += random_next(&state) % 3;
			CU_ASSERT_EQUAL_FATAL(marked, oracle_mark(&oracle, number));
			CU_ASSERT_EQUAL_FATAL(may, marked);
			CU_ASSERT_EQUAL_FATAL(r.top, oracle.top);
		}
	}
}

// What a receiver makes of the low halves of numbers that a sender used, near every edge.
static void test_extended_numbers(void)
{
	static const uint64_t tops[] = { 1, 31, 32, 33, 1000, (1ULL << 32) - 1, 1ULL << 32,
		(1ULL << 32) + 30, (1ULL << 32) + 31, (1ULL << 32) + 63, (1ULL << 33) - 1,
		(5ULL << 32) + 7, (5ULL << 32) + 0x80000000 };
	static const uint32_t sizes[] = { 32, 64, 4096 };

	for (unsigned int s = 0; s < 3; s++) {
		for (unsigned int t = 0; t < sizeof(tops) / sizeof(tops[0]); t++) {
			struct replay r;

			replay_init(&r, sizes[s], true);
			CU_ASSERT_TRUE(replay_mark(&r, tops[t]));
			// Everything in the window and nearly 2^32 ahead of it is told apart.
			for (uint64_t back = 0; back < sizes[s] && back < tops[t]; back++)
				CU_ASSERT_EQUAL(replay_number(&r, (uint32_t)(tops[t] - back)),
					tops[t] - back);
			for (uint64_t on = 1; on < 10; on++)
				CU_ASSERT_EQUAL(
					replay_number(&r, (uint32_t)(tops[t] + on)), tops[t] + on);
			for (uint64_t on = (1ULL << 32) - sizes[s] - 3;
				on <= (1ULL << 32) - sizes[s]; on++)
				CU_ASSERT_EQUAL(
					replay_number(&r, (uint32_t)(tops[t] + on)), tops[t] + on);
		}
	}
}

static void test_edges(void)
{
	struct replay r;

	// Numbers before the first do not exist.
	replay_init(&r, 64, true);
	CU_ASSERT_EQUAL(replay_number(&r, UINT32_MAX), 0);
	CU_ASSERT_FALSE(replay_mark(&r, 0));
	CU_ASSERT_EQUAL(replay_number(&r, 1), 1);
	// Neither do such behind the last.
	r.top = UINT64_MAX - 10;
	CU_ASSERT_EQUAL(replay_number(&r, 5), 0);
	CU_ASSERT_EQUAL(replay_number(&r, UINT32_MAX), UINT64_MAX);

	// Without extended numbers, and without a window.
	replay_init(&r, 32, false);
	CU_ASSERT_TRUE(replay_mark(&r, replay_number(&r, UINT32_MAX)));
	CU_ASSERT_FALSE(replay_may_pass(&r, replay_number(&r, 5)));
	replay_init(&r, 0, false);
	CU_ASSERT_TRUE(replay_mark(&r, 7));
	CU_ASSERT_TRUE(replay_mark(&r, 7));
	CU_ASSERT_TRUE(replay_mark(&r, 0));
}

// --- Several workers -----------------------------------------------------------------------------

enum { N_THREADS = 2, N_NUMBERS = 200000 };

static struct replay shared_window;
static uint32_t n_taken;

static void *mark_all(void *arg)
{
	uint32_t taken = 0;

	(void)arg;
	for (uint64_t number = 1; number <= N_NUMBERS; number++)
		taken += replay_may_pass(&shared_window, number) &&
			 replay_mark(&shared_window, number);
	__atomic_fetch_add(&n_taken, taken, __ATOMIC_RELAXED);
	return NULL;
}

// Each number passes once, whoever brings it.
static void test_workers(void)
{
	pthread_t threads[N_THREADS];

	n_taken = 0;
	replay_init(&shared_window, 4096, true);
	for (unsigned int i = 0; i < N_THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, mark_all, NULL), 0);
	for (unsigned int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	// One that is far behind the other finds its numbers behind the window, never a second time.
	CU_ASSERT_EQUAL(n_taken, N_NUMBERS);
	CU_ASSERT_EQUAL(shared_window.top, N_NUMBERS);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "an oracle says the same of every number", test_oracle },
		{ "high halves", test_extended_numbers },
		{ "first, last and no numbers", test_edges },
		{ "two workers", test_workers },
		CU_TEST_INFO_NULL,
	};

	return suite_run("replay", tests);
}
