// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/hindex.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

enum { KEYS = 48, ROUNDS = 200000 };

// Few slots, few tags: long clusters that run over the end of the table, and equal tags.
static uint64_t weak_hash(const void *ctx, uint32_t handle)
{
	(void)ctx;
	return (uint64_t)(handle % 3) << 32 | (60 + handle % 7);
}

// The slot of a handle as a search finds it, or where the search ends.
static bool find(const struct hindex *ix, uint32_t handle, uint32_t *pos)
{
	uint64_t hash = weak_hash(NULL, handle);
	uint32_t steps = 0;

	*pos = hindex_start(ix, hash);
	for (;; *pos = hindex_after(ix, *pos)) {
		uint32_t got = hindex_candidate(ix, hash, pos);

		if (got == HINDEX_NONE || got == handle)
			return got == handle;
		CU_ASSERT_TRUE_FATAL(++steps <= KEYS);
	}
}

static void test_clusters(void)
{
	struct hindex ix;
	bool is_there[KEYS] = { false };
	uint64_t rng = 23;

	CU_ASSERT_EQUAL_FATAL(hindex_init(&ix, KEYS), 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t handle = rng_below(&rng, KEYS), pos;

		CU_ASSERT_EQUAL_FATAL(find(&ix, handle, &pos), is_there[handle]);
		if (is_there[handle])
			hindex_remove(&ix, pos, weak_hash, NULL);
		else
			hindex_put(&ix, pos, weak_hash(NULL, handle), handle);
		is_there[handle] = !is_there[handle];
		for (uint32_t h = 0; i % 16 == 0 && h < KEYS; h++)
			CU_ASSERT_EQUAL_FATAL(find(&ix, h, &pos), is_there[h]);
	}
	hindex_fini(&ix);
}

static void test_replace(void)
{
	struct hindex ix;
	uint32_t pos;

	CU_ASSERT_EQUAL_FATAL(hindex_init(&ix, KEYS), 0);
	CU_ASSERT_FALSE(find(&ix, 1, &pos));
	hindex_put(&ix, pos, weak_hash(NULL, 1), 1);
	CU_ASSERT_TRUE(find(&ix, 1, &pos));
	hindex_put(&ix, pos, weak_hash(NULL, 1), 22); // 22 has the same hash
	CU_ASSERT_TRUE(find(&ix, 22, &pos));
	CU_ASSERT_FALSE(find(&ix, 1, &pos));
	hindex_fini(&ix);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "clusters, wrapping and equal tags", test_clusters },
		{ "replacing", test_replace },
		CU_TEST_INFO_NULL,
	};

	return suite_run("hindex", tests);
}
