// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: records of unwired-xfrm, each behind its length in two bytes. What control takes is sound and
// within its room, what it refuses changes nothing, and after BEGIN and END nothing is left.

#include <stdlib.h>
#include <string.h>

#include "controlplane/learn.h"
#include "controlplane/learned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MOBILES = 4 };

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void check_mobile(const struct learn_mobile *mobile, void *n)
{
	char reason[ASSOCIATION_REASON_LEN];

	check(mobile->all.n > 0 && mobile->all.n <= ASSOCIATION_MAX);
	check(association_check_list(&mobile->all, reason) == 0);
	check(!ip6_is_any(&mobile->home) && !ip6_is_any(&mobile->agent));
	++*(uint32_t *)n;
}

// A record on the heap, where reading behind it is seen.
static void take(struct learn *learn, const uint8_t *record, size_t len)
{
	size_t n_changed = learn->n_changed;
	char reason[ASSOCIATION_REASON_LEN];
	uint8_t *copy = malloc(len + (len == 0));
	uint32_t n = 0;

	check(copy != NULL);
	memcpy(copy, record, len);
	if (learn_record(learn, copy, len, reason) != 0)
		check(learn->n_changed == n_changed && strlen(reason) > 0);
	free(copy);
	learn_each(learn, check_mobile, &n);
	check(n == learn->n && n <= MAX_MOBILES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct learned ends[] = { { .version = LEARNED_VERSION, .type = LEARNED_BEGIN },
		{ .version = LEARNED_VERSION, .type = LEARNED_END } };
	struct learn learn;

	learn_init(&learn, MAX_MOBILES);
	for (size_t at = 0; size - at >= 2;) {
		size_t len = data[at] | (size_t)data[at + 1] << 8;

		at += 2;
		if (len > size - at)
			len = size - at;
		take(&learn, data + at, len);
		at += len;
	}
	for (unsigned int i = 0; i < 2; i++)
		take(&learn, (const uint8_t *)&ends[i], sizeof(ends[i]));
	check(learn.n == 0);
	learn_fini(&learn);
	return 0;
}
