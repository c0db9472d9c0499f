// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/secret.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "dataplane/base/log.h"

enum { CHUNK_BYTES = 256 << 10 };

// Memory of a pool; the pieces stand behind it.
struct secret_chunk {
	struct secret_chunk *next;
	uint64_t pieces[];
};

void *secret_alloc(size_t size)
{
	static struct log_limit limit = { .per_second = 1 };
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (mlock(memory, size) != 0 || madvise(memory, size, MADV_DONTDUMP) != 0)
		log_write_limited(
			&limit, LOG_LEVEL_WARN, "keys_not_locked error=\"%s\"", strerror(errno));
	return memory;
}

void secret_free(void *memory, size_t size)
{
	if (memory == NULL)
		return;
	explicit_bzero(memory, size);
	munmap(memory, size);
}

static int add_chunk(struct secret_pool *pool)
{
	struct secret_chunk *chunk = secret_alloc(CHUNK_BYTES);
	size_t n = (CHUNK_BYTES - sizeof(*chunk)) / pool->size;

	if (chunk == NULL)
		return -ENOMEM;
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	for (size_t i = n; i > 0; i--)
		secret_pool_put(pool, (uint8_t *)chunk->pieces + (i - 1) * pool->size);
	return 0;
}

void *secret_pool_get(struct secret_pool *pool)
{
	void *piece;

	if (pool->free == NULL && add_chunk(pool) != 0)
		return NULL;
	piece = pool->free;
	pool->free = *(void **)piece;
	*(void **)piece = NULL;
	return piece;
}

void secret_pool_put(struct secret_pool *pool, void *piece)
{
	explicit_bzero(piece, pool->size);
	*(void **)piece = pool->free;
	pool->free = piece;
}

void secret_pool_fini(struct secret_pool *pool)
{
	while (pool->chunks != NULL) {
		struct secret_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		secret_free(chunk, CHUNK_BYTES);
	}
	pool->free = NULL;
}

void secret_unlimit(void)
{
	static const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	// Who locks more than the limit then is told so, with what it was for.
	if (setrlimit(RLIMIT_MEMLOCK, &all) != 0)
		log_debug("keys_limited error=\"%s\"", strerror(errno));
}

static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

void secret_begin(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
	prctl(PR_SET_DUMPABLE, 0);
}
