// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The replay window of an inbound SA with extended sequence numbers: RFC 4303 section 3.4.3, appendix A.
//
// The window is a ring of as many bits as it has numbers, rounded up to a power of two; a number owns the
// bit that its low bits name, and advancing clears the bits that change their owner. Packets of one SA
// may come to several workers at once (a mobile that moves changes its queue), so marking is serialised by
// a lock: one exchange when nobody else holds it, which is always so but in such moments. The first look,
// before the check value is computed, takes no lock: it may let a repeated number pass, which marking then
// refuses, but never refuses a fresh one that marking would take.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_pause.h>

enum {
	REPLAY_MAX = 4096, // numbers
	REPLAY_WORDS = REPLAY_MAX / 64,
};

struct replay {
	uint64_t top; // highest number marked, 0 = none; atomic
	uint32_t size; // numbers in the window, 0 = nothing is checked
	uint32_t mask; // bits of the ring - 1
	uint32_t lock;
	uint32_t is_esn;
	uint64_t words[REPLAY_WORDS];
};

// Makes an empty window of size numbers (0, or 32 to REPLAY_MAX).
static inline void replay_init(struct replay *r, uint32_t size, bool is_esn)
{
	uint32_t bits = 64;

	memset(r, 0, sizeof(*r));
	while (bits < size)
		bits *= 2;
	r->size = size;
	r->mask = bits - 1;
	r->is_esn = is_esn;
}

// The whole number of a packet whose header has low, as appendix A2.2 says, or 0: there is no such number.
static inline uint64_t replay_number(const struct replay *r, uint32_t low)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_RELAXED);
	uint32_t high = (uint32_t)(top >> 32), top_low = (uint32_t)top;
	uint32_t bottom = top_low - (r->size - 1); // modulo 2^32

	if (!r->is_esn)
		return low;
	if (top_low >= r->size - 1) {
		if (low < bottom && high++ == UINT32_MAX)
			return 0;
	} else if (low >= bottom && high-- == 0) {
		return 0;
	}
	return (uint64_t)high << 32 | low;
}

static inline bool replay_is_marked(const struct replay *r, uint64_t number)
{
	uint32_t bit = (uint32_t)number & r->mask;

	return __atomic_load_n(&r->words[bit / 64], __ATOMIC_RELAXED) >> bit % 64 & 1;
}

// False when marking would refuse the number: it is behind the window, marked or 0. Thread: any.
static inline bool replay_may_pass(const struct replay *r, uint64_t number)
{
	uint64_t top = __atomic_load_n(&r->top, __ATOMIC_ACQUIRE);

	if (r->size == 0)
		return true;
	if (unlikely(number == 0))
		return false;
	if (likely(number > top))
		return true;
	return top - number < r->size && !replay_is_marked(r, number);
}

// Clears the bits of (r->top, number]. With the lock.
static inline void replay_advance(struct replay *r, uint64_t number)
{
	uint64_t step = number - r->top;

	if (step > r->mask) {
		for (uint32_t i = 0; i <= r->mask / 64; i++)
			__atomic_store_n(&r->words[i], 0, __ATOMIC_RELAXED);
	} else {
		for (uint64_t at = r->top + 1; at <= number;) {
			uint32_t bit = (uint32_t)at & r->mask;
			uint64_t n = 64 - bit % 64; // of this word
			uint64_t clear = ~0ULL << bit % 64;
			uint64_t *word = &r->words[bit / 64];

			if (number - at + 1 < n) {
				n = number - at + 1;
				clear &= ~0ULL >> (64 - bit % 64 - n);
			}
			__atomic_store_n(word, *word & ~clear, __ATOMIC_RELAXED);
			at += n;
		}
	}
	__atomic_store_n(&r->top, number, __ATOMIC_RELEASE);
}

// Marks the number of a packet whose check value is right. Returns: false when it came before, or lies
// behind the window by now: the packet is to be dropped. Thread: any worker.
static inline bool replay_mark(struct replay *r, uint64_t number)
{
	bool is_fresh;

	while (unlikely(__atomic_exchange_n(&r->lock, 1, __ATOMIC_ACQUIRE) != 0))
		rte_pause();
	is_fresh = replay_may_pass(r, number);
	if (is_fresh) {
		uint32_t bit = (uint32_t)number & r->mask;
		uint64_t *word = &r->words[bit / 64];

		if (number > r->top)
			replay_advance(r, number);
		__atomic_store_n(word, *word | 1ULL << bit % 64, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
	return is_fresh;
}
