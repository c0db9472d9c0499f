// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/replicate.h"

static void publish_alone(struct replicate *self, const struct store_entry *const entries[],
	unsigned int n, replicate_done_fn done, void *group)
{
	(void)self;
	(void)entries;
	(void)n;
	done(group, 0);
}

struct replicate replicate_alone = { .publish = publish_alone };
