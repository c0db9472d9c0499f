// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A scratch directory, and random numbers that can be repeated.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/store.h"

// A new directory under /tmp (on a disk file system where there is one); path is a template buffer.
static inline char *scratch_make(char path[static 64])
{
	snprintf(path, 64, "/tmp/unwired-test-XXXXXX");
	if (mkdtemp(path) == NULL)
		abort();
	return path;
}

// Removes a scratch directory with its files.
static inline void scratch_remove(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0)
		abort();
}

// xorshift64*; *state is the seed, not 0.
static inline uint64_t rng_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline uint32_t rng_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(rng_next(state) >> 32) % n;
}

// True when all fields are the same (there is padding between them).
static inline bool entry_eq(const struct store_entry *a, const struct store_entry *b)
{
	return a->handle == b->handle && ip6_eq(&a->agent, &b->agent) &&
	       memcmp(&a->bce, &b->bce, sizeof(a->bce)) == 0;
}
