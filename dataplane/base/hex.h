// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Hexadecimal digits as keys are written with.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The value of a digit of either case, or -1.
static inline int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

// Reads len digits, two a byte. Shape: out has room for len / 2 bytes. Returns: false when len is odd or
// something else stands there.
static inline bool hex_read(const char *text, size_t len, uint8_t *out)
{
	for (size_t i = 0; len % 2 == 0 && i < len; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return len % 2 == 0;
}
