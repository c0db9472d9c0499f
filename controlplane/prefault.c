// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/prefault.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	RANGES_MAX = 8,
	THREADS_MAX = 7,
	CHUNK_BYTES = 8 << 20,
	LEAST_BYTES = 64 << 20, // less is not worth a thread
};

struct range {
	uintptr_t start;
	size_t n_chunks;
};

struct prefault {
	struct range ranges[RANGES_MAX];
	size_t n_ranges, n_chunks;
	atomic_size_t next; // chunk
	atomic_bool is_over;
	pthread_t threads[THREADS_MAX];
	unsigned int n_threads;
};

// The whole pages of some memory. Returns: their bytes.
static size_t pages_of(const void *start, size_t len, uintptr_t *from)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t to = ((uintptr_t)start + len) & ~(page - 1);

	*from = ((uintptr_t)start + page - 1) & ~(page - 1);
	return to > *from ? to - *from : 0;
}

void prefault_now(const void *start, size_t len)
{
	uintptr_t from;
	size_t n_bytes = pages_of(start, len, &from);

	// Without help from the kernel the first use fetches it.
	madvise((void *)from, n_bytes, MADV_POPULATE_WRITE); // NOLINT
}

struct prefault *prefault_new(void)
{
	return calloc(1, sizeof(struct prefault));
}

void prefault_add(struct prefault *p, const void *start, size_t len)
{
	uintptr_t from;
	size_t n_bytes = pages_of(start, len, &from);
	struct range *r;

	if (p == NULL || p->n_ranges == RANGES_MAX || n_bytes < CHUNK_BYTES)
		return;
	r = &p->ranges[p->n_ranges++];
	r->n_chunks = n_bytes / CHUNK_BYTES;
	r->start = from + n_bytes % CHUNK_BYTES; // what is left over is the owner's
	p->n_chunks += r->n_chunks;
}

// The memory of a chunk: of each range the last one first.
static void *chunk_at(const struct prefault *p, size_t i)
{
	const struct range *r = p->ranges;

	for (; i >= r->n_chunks; r++)
		i -= r->n_chunks;
	return (void *)(r->start + (r->n_chunks - 1 - i) * CHUNK_BYTES); // NOLINT
}

static void *work(void *arg)
{
	struct prefault *p = arg;

	while (!atomic_load(&p->is_over)) {
		size_t i = atomic_fetch_add(&p->next, 1);

		if (i >= p->n_chunks ||
			madvise(chunk_at(p, i), CHUNK_BYTES, MADV_POPULATE_WRITE) != 0)
			break; // no such kernel, or no memory: the owner will meet it
	}
	return NULL;
}

void prefault_begin(struct prefault *p)
{
	cpu_set_t cpus;
	int n;

	if (p == NULL || p->n_chunks * CHUNK_BYTES < LEAST_BYTES ||
		sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return;
	n = CPU_COUNT(&cpus) - 1;
	while (p->n_threads < THREADS_MAX && (int)p->n_threads < n &&
		pthread_create(&p->threads[p->n_threads], NULL, work, p) == 0)
		p->n_threads++;
}

void prefault_end(struct prefault *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->is_over, true);
	for (unsigned int i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	free(p);
}
