// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The indexed file of the subscribers: written once by an import, then only read. Kept apart from
// other processes by the lock of the state directory (controlplane/store.h).
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/subscribers.h"

// What an index was made from, and how much is in it.
struct subscriber_origin {
	uint64_t size;
	uint64_t mtime_ns, ctime_ns;
	uint64_t inode;
	uint64_t path_hash;
	struct subscribers_counts counts;
};

struct subscriber_index {
	MDB_env *env; // owned, NULL = no index
	MDB_txn *txn; // of the import; then a reading one, for as long as the index is open
	MDB_dbi meta, by_line, by_home, by_mn_id;
	struct subscriber_origin origin;
};

// Opens an index for reading. Returns: 0, or negative errno (-ENOENT, -EBADMSG: import again).
int subscriber_index_open(struct subscriber_index *ix, const char *path);

// Makes an empty one at path (replacing one), for a source of that many bytes, with a write
// transaction begun. Returns: 0 or negative errno.
int subscriber_index_create(struct subscriber_index *ix, const char *path, uint64_t source_bytes);

// Adds a subscriber. Returns: 0; -EEXIST with *at the index of the home address that another has
// (or -1: the MN-ID) and *line that one's; or negative errno. Nothing is taken back.
int subscriber_index_add(
	struct subscriber_index *ix, const struct subscriber *s, int *at, uint32_t *line);

// Ends a part of the import, so that a transaction does not grow without end.
int subscriber_index_checkpoint(struct subscriber_index *ix);

// Ends the import: writes ix->origin, syncs, and turns to reading. Returns: 0 or negative errno.
int subscriber_index_finish(struct subscriber_index *ix);
void subscriber_index_close(struct subscriber_index *ix);

// Returns: 0, -ENOENT, or negative errno.
int subscriber_index_find(
	const struct subscriber_index *ix, MDB_dbi by, MDB_val key, struct subscriber *out);
