// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The timestamp of the replay protection option (MESG-ID): 64-bit NTP format, seconds since 1900 in
// the upper half, fraction in the lower. Compared modulo 2^64, so that the roll-over of 2036 is no
// event. 0 stands for "none". RFC 4285 section 6.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { MESGID_WINDOW_S = 7 }; // default of RFC 4285 section 5.1

// NTP timestamp of a wall-clock time (nanoseconds since 1970).
uint64_t mesgid_from_wall_ns(uint64_t wall_ns);

// True when a is later than b (less than 68 years).
static inline bool mesgid_is_later(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) > 0;
}

// True when id is within window_s of now and later than the last accepted one (0 = none yet).
bool mesgid_is_valid(uint64_t id, uint64_t now, uint32_t window_s, uint64_t last);

// What a refusal with status 144 carries: lower half of what came, upper half of our clock.
static inline uint64_t mesgid_mismatch_reply(uint64_t id, uint64_t now)
{
	return (now & 0xffffffff00000000ULL) | (id & 0xffffffffULL);
}
