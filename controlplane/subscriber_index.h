// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The indexed file of the subscribers: written once by an import, then only read, as it is, from a map
// of the file. Head, records back to back, and two tables of them by hash (controlplane/hindex.h), of
// home address and of MN-ID, then the list of the records of security associations: a search is two waits for memory, which prefetch overlaps. Kept apart
// from other processes by the lock of the state directory (controlplane/store.h).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "controlplane/hindex.h"
#include "controlplane/subscribers.h"

// What an index was made from, and how much is in it.
struct subscriber_origin {
	uint64_t size;
	uint64_t mtime_ns, ctime_ns;
	uint64_t inode;
	uint64_t path_hash;
	uint64_t security_id; // of the reserve of the security associations' numbers
	struct subscribers_counts counts;
};

// What subscribers are found by.
enum subscriber_by { SUBSCRIBER_BY_HOME, SUBSCRIBER_BY_MN_ID, SUBSCRIBER_N_BY };

// An open index; all zero is none. Plain data: moved by assignment.
struct subscriber_index {
	const uint8_t *map; // owned, NULL = no index
	size_t map_len;
	const uint8_t *records; // in the map
	size_t records_len;
	uint64_t seed;
	struct hindex by[SUBSCRIBER_N_BY]; // their slots are in the map
	const uint32_t *secured; // in the map: handles of the records of security associations
	struct subscriber_origin origin;
};

// Opens an index for reading. Returns: 0, or negative errno (-ENOENT, -EBADMSG: import again).
int subscriber_index_open(struct subscriber_index *ix, const char *path);
void subscriber_index_close(struct subscriber_index *ix);

// Returns: 0, -ENOENT, or -EBADMSG.
int subscriber_index_find(const struct subscriber_index *ix, enum subscriber_by by, const void *key,
	size_t len, struct subscriber *out);

// Reads a record of security associations. Returns: 0 or -EBADMSG.
int subscriber_index_read_secured(
	const struct subscriber_index *ix, uint32_t ref, struct subscriber_secured *out);

// As subscribers_each_secured.
int subscriber_index_each_secured(const struct subscriber_index *ix,
	int (*fn)(void *ctx, const struct subscriber_secured *s), void *ctx);

// Fetches the memory of a search to come: first the slots of all keys, then their records.
void subscriber_index_fetch_slot(
	const struct subscriber_index *ix, enum subscriber_by by, const void *key, size_t len);
void subscriber_index_fetch_record(
	const struct subscriber_index *ix, enum subscriber_by by, const void *key, size_t len);

// An index in the making. Thread: any, one at a time.
struct subscriber_build;

// Makes an empty one at path (replacing a file). Returns: owned, or NULL with errno.
struct subscriber_build *subscriber_build_new(const char *path);

// Adds a subscriber with its security associations. Returns: 0 or negative errno.
int subscriber_build_add(
	struct subscriber_build *b, const struct subscriber *s, const struct associations *all);

// What two security associations may not share.
struct subscriber_clash {
	bool is_key; // of an encryption with a counter; else the SPI, inbound
	uint8_t at, earlier_at; // in their lists
	uint32_t line, earlier_line;
};

// Looks for what security associations of two subscribers share, and tells clashed of each.
void subscriber_build_check(struct subscriber_build *b,
	void (*clashed)(void *ctx, const struct subscriber_clash *clash), void *ctx);

// Looks for keys that two subscribers have: taken is told of the later one, with at the index of the
// home address (-1: the MN-ID) and the line of the earlier one. Then writes tables and head, and syncs.
// is_cancelled: asked now and then, to give up with -ECANCELED.
// Returns: 0, -EEXIST (taken was called), or negative errno.
int subscriber_build_end(struct subscriber_build *b, const struct subscriber_origin *origin,
	void (*taken)(void *ctx, const struct subscriber *s, int at, uint32_t line),
	bool (*is_cancelled)(void *ctx), void *ctx);

// Closes and frees, whether it was ended or not.
void subscriber_build_free(struct subscriber_build *b);
