// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A keyed hash of addresses for tables whose keys others choose: three rounds of AES with random keys, after
// which each bit of an address has reached each bit of the result, however alike addresses are. Without
// the keys nobody can tell which addresses share a bucket; it is no message authentication.
#pragma once

#include <errno.h>
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/base/addr.h"

struct hash_seed {
	uint64_t q[6];
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

// 16 bytes in a register.
static inline uint64_t hash_register(const struct hash_seed *seed, __m128i x)
{
	const __m128i *keys = (const __m128i *)(const void *)seed->q;
	__m128i first = _mm_loadu_si128(&keys[0]);

	x = _mm_aesenc_si128(_mm_xor_si128(x, first), _mm_loadu_si128(&keys[1]));
	x = _mm_aesenc_si128(x, _mm_loadu_si128(&keys[2]));
	return (uint64_t)_mm_cvtsi128_si64(_mm_aesenc_si128(x, first));
}

static inline uint64_t hash_16(const struct hash_seed *seed, const uint64_t q[2])
{
	return hash_register(seed, _mm_loadu_si128((const __m128i *)(const void *)q));
}

static inline uint64_t hash_ip6(const struct hash_seed *seed, const struct ip6 *a)
{
	uint64_t q[2];

	memcpy(q, a, sizeof(q));
	return hash_16(seed, q);
}
