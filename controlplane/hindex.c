// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "controlplane/hindex.h"
#include "controlplane/prefault.h"

static size_t size_bytes(const struct hindex *ix)
{
	return ((size_t)ix->mask + 1) * sizeof(*ix->slots);
}

int hindex_init(struct hindex *ix, uint32_t n_entries)
{
	uint32_t n_slots = 64;

	while (n_slots / 4 * 3 < n_entries)
		n_slots *= 2;
	ix->mask = n_slots - 1;
	ix->slots = mmap(NULL, size_bytes(ix), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ix->slots == MAP_FAILED) {
		ix->slots = NULL;
		return -ENOMEM;
	}
	madvise(ix->slots, size_bytes(ix), MADV_HUGEPAGE);
	return 0;
}

void hindex_prefault(const struct hindex *ix, struct prefault *prefault)
{
	prefault_add(prefault, ix->slots, size_bytes(ix));
}

void hindex_fini(struct hindex *ix)
{
	if (ix->slots != NULL)
		munmap(ix->slots, size_bytes(ix));
	ix->slots = NULL;
}

void hindex_put(struct hindex *ix, uint32_t pos, uint64_t hash, uint32_t handle)
{
	ix->slots[pos].tag = (uint32_t)(hash >> 32);
	ix->slots[pos].ref = handle + 1;
}

void hindex_remove(struct hindex *ix, uint32_t pos,
	uint64_t (*hash_of)(const void *ctx, uint32_t handle), const void *ctx)
{
	uint32_t hole = pos;
	uint32_t i = pos;

	for (;;) {
		uint32_t start;

		i = (i + 1) & ix->mask;
		if (ix->slots[i].ref == 0)
			break;
		start = hindex_start(ix, hash_of(ctx, ix->slots[i].ref - 1));
		// An entry may fill the hole unless its search begins behind the hole.
		if (((i - start) & ix->mask) < ((i - hole) & ix->mask))
			continue;
		ix->slots[hole] = ix->slots[i];
		hole = i;
	}
	ix->slots[hole] = (struct hindex_slot){ 0 };
}
