// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Which memory lines of the binding table are free: pages of 64 lines, of which the first are buckets that the
// hash leads to and the rest is handed out, as near to a given line as there is room.
// Thread: the table's writer.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_malloc.h>

enum {
	PAGE_LINES = 64,
	PAGE_BUCKETS = 24,
	PAGE_FREE = PAGE_LINES - PAGE_BUCKETS, // lines of a page that are handed out
};

struct bindlines {
	uint32_t n_pages, n_free;
	uint64_t *of_pages; // of each page, a bit for each free line
	uint64_t *pages; // a bit for each page that has free lines
};

static inline uint32_t bindlines_words(uint32_t bits)
{
	return (bits + 63) / 64;
}

// Bytes that bindlines_init takes.
static inline size_t bindlines_memory(uint32_t n_pages)
{
	return ((size_t)n_pages + bindlines_words(n_pages)) * sizeof(uint64_t);
}

static inline void bindlines_page_set(struct bindlines *lines, uint32_t page, uint64_t bits)
{
	lines->of_pages[page] = bits;
	if (bits != 0)
		lines->pages[page / 64] |= 1ULL << page % 64;
	else
		lines->pages[page / 64] &= ~(1ULL << page % 64);
}

// Makes n_pages with all of PAGE_FREE lines free. Returns: false without memory; free it all the same.
static inline bool bindlines_init(struct bindlines *lines, uint32_t n_pages)
{
	*lines = (struct bindlines){ .n_pages = n_pages, .n_free = n_pages * PAGE_FREE };
	lines->of_pages = rte_zmalloc("bind_free", n_pages * sizeof(uint64_t), 0);
	lines->pages = rte_zmalloc("bind_free", bindlines_words(n_pages) * sizeof(uint64_t), 0);
	if (lines->of_pages == NULL || lines->pages == NULL)
		return false;
	for (uint32_t page = 0; page < n_pages; page++)
		bindlines_page_set(lines, page, UINT64_MAX << PAGE_BUCKETS);
	return true;
}

static inline void bindlines_free(struct bindlines *lines)
{
	rte_free(lines->of_pages);
	rte_free(lines->pages);
}

// Takes a free line, in the page of line `near` or the next one that has any. Returns: 0 when all are taken.
static inline uint32_t bindlines_take(struct bindlines *lines, uint32_t near)
{
	uint32_t page = near / PAGE_LINES, word = page / 64;
	uint64_t bits;

	if (lines->n_free == 0)
		return 0;
	bits = lines->pages[word] >> page % 64 << page % 64;
	while (bits == 0) {
		word = (word + 1) % bindlines_words(lines->n_pages);
		bits = lines->pages[word];
	}
	page = word * 64 + (uint32_t)__builtin_ctzll(bits);
	bits = lines->of_pages[page];
	bindlines_page_set(lines, page, bits & (bits - 1));
	lines->n_free--;
	return page * PAGE_LINES + (uint32_t)__builtin_ctzll(bits);
}

static inline void bindlines_give(struct bindlines *lines, uint32_t line)
{
	uint32_t page = line / PAGE_LINES;

	bindlines_page_set(lines, page, lines->of_pages[page] | 1ULL << line % PAGE_LINES);
	lines->n_free++;
}
