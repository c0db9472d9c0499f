// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Bounds-checked reading and writing of wire bytes. Every parser of bytes from outside goes through
// a cursor. A cursor that ran over its end stays failed: callers check once, at the end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A window of bytes to read; borrows the buffer. ok turns false at the first read beyond the end,
// and every read from then on yields zero or NULL.
struct rcursor {
	const uint8_t *p;
	const uint8_t *end;
	bool ok;
};

static inline struct rcursor rcursor_make(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct rcursor){ .p = p, .end = p + len, .ok = true };
}

static inline size_t rcursor_left(const struct rcursor *c)
{
	return c->ok ? (size_t)(c->end - c->p) : 0;
}

// The next n bytes, borrowed from the buffer, or NULL when fewer are left.
static inline const uint8_t *rcursor_bytes(struct rcursor *c, size_t n)
{
	const uint8_t *at = c->p;

	if (!c->ok || (size_t)(c->end - c->p) < n) {
		c->ok = false;
		return NULL;
	}
	c->p += n;
	return at;
}

static inline uint8_t rcursor_u8(struct rcursor *c)
{
	const uint8_t *b = rcursor_bytes(c, 1);

	return b == NULL ? 0 : b[0];
}

static inline uint16_t rcursor_u16(struct rcursor *c)
{
	const uint8_t *b = rcursor_bytes(c, 2);

	return b == NULL ? 0 : (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t rcursor_u32(struct rcursor *c)
{
	const uint8_t *b = rcursor_bytes(c, 4);

	return b == NULL ? 0
			 : (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint64_t rcursor_u64(struct rcursor *c)
{
	uint64_t high = rcursor_u32(c);

	return high << 32 | rcursor_u32(c);
}

// Copies the next n bytes to out; zeroes out when fewer are left.
static inline void rcursor_copy(struct rcursor *c, void *out, size_t n)
{
	const uint8_t *b = rcursor_bytes(c, n);

	if (b == NULL)
		memset(out, 0, n);
	else
		memcpy(out, b, n);
}

// A window of the next n bytes; fails like rcursor_bytes.
static inline struct rcursor rcursor_sub(struct rcursor *c, size_t n)
{
	const uint8_t *b = rcursor_bytes(c, n);

	if (b == NULL)
		return (struct rcursor){ .p = c->end, .end = c->end, .ok = false };
	return rcursor_make(b, n);
}

// A window of bytes to fill; borrows the buffer. ok turns false at the first write that does not fit.
struct wcursor {
	uint8_t *start;
	uint8_t *p;
	uint8_t *end;
	bool ok;
};

static inline struct wcursor wcursor_make(void *buf, size_t size)
{
	uint8_t *p = buf;

	return (struct wcursor){ .start = p, .p = p, .end = p + size, .ok = true };
}

static inline size_t wcursor_len(const struct wcursor *c)
{
	return (size_t)(c->p - c->start);
}

// Takes the next n bytes to fill, or NULL when they do not fit.
static inline uint8_t *wcursor_take(struct wcursor *c, size_t n)
{
	uint8_t *at = c->p;

	if (!c->ok || (size_t)(c->end - c->p) < n) {
		c->ok = false;
		return NULL;
	}
	c->p += n;
	return at;
}

static inline void wcursor_bytes(struct wcursor *c, const void *src, size_t n)
{
	uint8_t *b = wcursor_take(c, n);

	if (b != NULL && n > 0)
		memcpy(b, src, n);
}

static inline void wcursor_zero(struct wcursor *c, size_t n)
{
	uint8_t *b = wcursor_take(c, n);

	if (b != NULL)
		memset(b, 0, n);
}

static inline void wcursor_u8(struct wcursor *c, uint8_t v)
{
	wcursor_bytes(c, &v, 1);
}

static inline void wcursor_u16(struct wcursor *c, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	wcursor_bytes(c, b, sizeof(b));
}

static inline void wcursor_u32(struct wcursor *c, uint32_t v)
{
	wcursor_u16(c, (uint16_t)(v >> 16));
	wcursor_u16(c, (uint16_t)v);
}

static inline void wcursor_u64(struct wcursor *c, uint64_t v)
{
	wcursor_u32(c, (uint32_t)(v >> 32));
	wcursor_u32(c, (uint32_t)v);
}
