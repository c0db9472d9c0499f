// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The LMDB file of the store: making, checking, opening and walking it. One database of 64-bit
// numbers; entry 0 is the head (format and id), the log begins at 1. LMDB's own lock file is not
// used: the flock of the state directory keeps others out, and so no reader can keep old pages.
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/record.h"

struct store_file {
	MDB_env *env; // owned
	MDB_dbi dbi;
	uint64_t id; // from the head
	uint64_t first; // from the head: no entry has a lower number
};

// The negative errno for a result of LMDB.
int store_file_errno(int rc);

// Makes a file at path (replacing one) that has a head with file->id and file->first and nothing
// else, open.
// Returns: 0 or negative errno.
int store_file_create(struct store_file *file, const char *path, size_t map_bytes);

// Opens a file that store_file_check has passed. Returns: 0 or negative errno.
int store_file_open(struct store_file *file, const char *path, size_t map_bytes, unsigned flags);
void store_file_close(struct store_file *file);

// What the waiting process does while a child checks a file.
struct store_file_meanwhile {
	void *ctx;
	bool (*work)(void *ctx); // a few milliseconds of it; false = there is none now
};

// Reads the whole file in a child process, which decodes every entry and calls fn for it, and once more
// without a record at the end of a sound file; what it is to leave behind must be in shared memory.
// Returns: 0; -EBADMSG (damaged, cut short, or not a store); -EPROTONOSUPPORT (other version); what fn
// gave; or negative errno.
// meanwhile: NULL without.
int store_file_check(const char *path,
	int (*fn)(void *ctx, uint64_t number, const struct record *r), void *ctx,
	const struct store_file_meanwhile *meanwhile);

// Runs check (0 or negative errno) of a file in a child process, so that damage ends that one.
// Returns: what check said, -EBADMSG (it ended by a signal), or negative errno.
// ctx: as check gets it; what it is to leave behind there must be in shared memory.
// meanwhile: NULL without.
int store_file_in_child(int (*check)(const char *path, void *ctx), const char *path, void *ctx,
	const struct store_file_meanwhile *meanwhile);

// An entry as it stands in the file.
struct store_file_entry {
	uint64_t number;
	const void *data; // borrowed until the file is changed or closed
	size_t len;
};

// Calls fn for every entry of the log in order, which decodes it (record_decode). Stops when fn gives
// other than 0. Returns: that, 0 at the end, -EBADMSG (the order is wrong), or negative errno.
int store_file_walk(const struct store_file *file,
	int (*fn)(void *ctx, const struct store_file_entry *entry), void *ctx);
