// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// An index of handles by hash: open addressing, 8 bytes a slot, linear probing, deletion by shifting
// back. It knows no keys: its owner compares the candidates that it gives. Slots come from the low
// half of the hash, tags from the high one.
#pragma once

#include <stdint.h>

#define HINDEX_NONE UINT32_MAX

struct prefault;

// A slot; ref 0 = empty, so that fresh pages are an empty index.
struct hindex_slot {
	uint32_t tag;
	uint32_t ref; // handle + 1
};

struct hindex {
	struct hindex_slot *slots; // owned
	uint32_t mask;
};

// Makes room for n_entries at a load of at most three quarters. Returns: 0 or -ENOMEM.
int hindex_init(struct hindex *ix, uint32_t n_entries);
void hindex_fini(struct hindex *ix);

// Has all of its memory fetched.
void hindex_prefault(const struct hindex *ix, struct prefault *prefault);

// The entry in slot *pos or behind it whose tag is that of the hash, with *pos its slot; HINDEX_NONE
// at the end of the cluster, with *pos the empty slot. Start with *pos = hindex_start.
static inline uint32_t hindex_start(const struct hindex *ix, uint64_t hash)
{
	return (uint32_t)hash & ix->mask;
}

static inline uint32_t hindex_candidate(const struct hindex *ix, uint64_t hash, uint32_t *pos)
{
	uint32_t tag = (uint32_t)(hash >> 32);
	uint32_t i = *pos;

	while (ix->slots[i].ref != 0 && ix->slots[i].tag != tag)
		i = (i + 1) & ix->mask;
	*pos = i;
	return ix->slots[i].ref - 1;
}

// Fetches the memory where a search begins.
static inline void hindex_fetch(const struct hindex *ix, uint64_t hash)
{
	__builtin_prefetch(&ix->slots[hindex_start(ix, hash)]);
}

static inline uint32_t hindex_after(const struct hindex *ix, uint32_t pos)
{
	return (pos + 1) & ix->mask;
}

// Fills the empty slot pos, where a search for this hash ended, or replaces what is there.
void hindex_put(struct hindex *ix, uint32_t pos, uint64_t hash, uint32_t handle);

// Empties slot pos; hash_of gives the hash of the key of another handle of the index.
void hindex_remove(struct hindex *ix, uint32_t pos,
	uint64_t (*hash_of)(const void *ctx, uint32_t handle), const void *ctx);
