// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Sequence numbers of Binding Updates.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// True when seq counts as greater than last: 1 to 32767 ahead of it, modulo 2^16. The last number
// itself and the 32768 before it are not (last 15 refuses 0 to 15 and 32783 to 65535; 32783 is both
// 32768 ahead and 32768 behind, and the text takes it as behind).
//
// RFC:   6275 section 9.5.1.
// Test:  tests/unit/controlplane/seq_test.c
static inline bool seq_is_greater(uint16_t seq, uint16_t last)
{
	uint16_t ahead = (uint16_t)(seq - last);

	return ahead >= 1 && ahead <= 32767;
}
