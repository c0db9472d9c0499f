// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Memory for keys: not swapped out, not in a dump, wiped when it is given back.
#pragma once

#include <stddef.h>

// Zeroed pages. That they cannot be locked (RLIMIT_MEMLOCK) is logged once and no failure.
// Returns: owned memory, free with secret_free; NULL with errno.
void *secret_alloc(size_t size);

// Wipes and frees; NULL is fine. size: as allocated.
void secret_free(void *memory, size_t size);

// Pieces of one size of such memory. All zero but for size is empty; size is at least that of a pointer and
// a multiple of 8.
struct secret_pool {
	size_t size;
	void *free; // pieces, each begins with the next one
	struct secret_chunk *chunks; // owned
};

// Returns: a zeroed piece, give it back with secret_pool_put (which wipes it); NULL with errno.
void *secret_pool_get(struct secret_pool *pool);
void secret_pool_put(struct secret_pool *pool, void *piece);

// Wipes and frees every piece.
void secret_pool_fini(struct secret_pool *pool);

// Lets as much be locked as there is memory; as root, before that is given up.
void secret_unlimit(void);

// Has Jansson wipe what it frees: the files with keys are read with it. Keeps the process out of core
// files, where text that is being read would be. Once, at the start.
void secret_begin(void);
