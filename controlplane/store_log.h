// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The log in one file of the store: groups of entries under growing numbers, which entry of each handle
// is the newest, and the cleaner. Used by the store only, for the file in force and for the one that a
// rebuild writes.
#pragma once

#include "controlplane/store.h"
#include "controlplane/store_file.h"

// Where a walk of the log stands: what is known of it besides the file. In memory that a child process
// may share.
struct store_newest {
	uint64_t n_log; // entries in the file
	uint64_t n_live; // handles with a newest entry
	uint64_t next; // number
	uint64_t numbers[]; // of each handle: number of its newest entry, 0 = none
};

struct store_undo;

struct store_log {
	struct store_file file; // owned
	uint32_t n_slots;
	uint64_t boot_tag;
	int dir_fd; // borrowed
	struct store_newest *newest; // owned
	MDB_txn *txn; // of the open group
	int group_error;
	size_t n_undo, undo_room;
	struct store_undo *undo; // owned
	struct {
		uint64_t n_log, n_live, next, n_cleaned, n_moved;
	} before; // when the group began
	struct store_stats stats; // but for n_live and n_log, which are in newest
};

// Makes an empty one without a file. Returns: 0 or -ENOMEM.
int store_log_init(struct store_log *log, uint32_t n_slots, uint64_t boot_tag, int dir_fd);

// Closes the file and frees. Fine after a failed init and twice.
void store_log_fini(struct store_log *log);

// For store_file_check: notes entries in a struct store_newest of n_slots handles, some together.
enum { STORE_LOG_NOTED = 32 };
struct store_log_noting {
	struct store_newest *newest; // borrowed
	uint32_t n_slots;
	unsigned int n; // gathered, whose memory is being fetched
	uint32_t handles[STORE_LOG_NOTED];
	uint64_t numbers[STORE_LOG_NOTED];
};
int store_log_note(void *noting, uint64_t number, const struct record *r);

// As the functions of the store (controlplane/store.h).
int store_log_begin(struct store_log *log);
int store_log_put(struct store_log *log, const struct store_entry *entry, struct store_time now);
int store_log_commit(struct store_log *log);
void store_log_abort(struct store_log *log);
void store_log_forget(struct store_log *log, uint32_t handle);
