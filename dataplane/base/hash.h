// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A keyed hash of addresses for tables whose keys others choose: two folded 128-bit products with
// random seeds. Fast, and without the seeds nobody can tell which addresses share a bucket; it is no
// message authentication.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/base/addr.h"

struct hash_seed {
	uint64_t q[3];
};

// Draws a fresh seed. Returns: 0 or -EIO.
static inline int hash_seed_draw(struct hash_seed *seed)
{
	return getrandom(seed, sizeof(*seed), 0) == sizeof(*seed) ? 0 : -EIO;
}

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t hash_16(const struct hash_seed *seed, const uint64_t q[2])
{
	return hash_fold(hash_fold(q[0] ^ seed->q[0], q[1] ^ seed->q[1]), seed->q[2] | 1);
}

static inline uint64_t hash_ip6(const struct hash_seed *seed, const struct ip6 *a)
{
	uint64_t q[2];

	memcpy(q, a, sizeof(q));
	return hash_16(seed, q);
}
