// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/store_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

enum {
	LOG_SLACK = 256, // entries beyond twice the live ones before the cleaner begins
	CLEAN_MAX = 8192, // entries a commit looks at
	FULL_BYTES = 1 << 20, // a file system with less left counts as full
};

// What a put changed, to be taken back when the group fails.
struct store_undo {
	uint32_t handle;
	uint64_t number; // newest entry of the handle before
};

static size_t newest_bytes(uint32_t n_slots)
{
	return sizeof(struct store_newest) + (size_t)n_slots * sizeof(uint64_t);
}

int store_log_init(struct store_log *log, uint32_t n_slots, uint64_t boot_tag, int dir_fd)
{
	// Shared: the child process that checks the file fills it in.
	void *p = mmap(NULL, newest_bytes(n_slots), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*log = (struct store_log){ .n_slots = n_slots, .boot_tag = boot_tag, .dir_fd = dir_fd };
	if (p == MAP_FAILED)
		return -ENOMEM;
	log->newest = p;
	log->newest->next = 1;
	return 0;
}

void store_log_fini(struct store_log *log)
{
	store_log_abort(log);
	store_file_close(&log->file);
	if (log->newest != NULL)
		munmap(log->newest, newest_bytes(log->n_slots));
	log->newest = NULL;
	free(log->undo);
	log->undo = NULL;
}

// Makes the newest entry of a handle this one.
static void set_newest(struct store_newest *newest, uint32_t handle, uint64_t number)
{
	newest->n_live += newest->numbers[handle] == 0;
	newest->numbers[handle] = number;
	newest->n_log++;
	newest->next = number + 1;
}

static void note_gathered(struct store_log_noting *noting)
{
	for (unsigned int i = 0; i < noting->n; i++)
		set_newest(noting->newest, noting->handles[i], noting->numbers[i]);
	noting->n = 0;
}

int store_log_note(void *arg, uint64_t number, const struct record *r)
{
	struct store_log_noting *noting = arg;

	if (r != NULL && r->entry.handle >= noting->n_slots)
		return -EOVERFLOW;
	if (r == NULL || noting->n == STORE_LOG_NOTED)
		note_gathered(noting);
	if (r == NULL)
		return 0;
	__builtin_prefetch(&noting->newest->numbers[r->entry.handle], 1);
	noting->handles[noting->n] = r->entry.handle;
	noting->numbers[noting->n++] = number;
	return 0;
}

// LMDB makes a short write EIO, as it makes a failed fsync: the room that is left tells them apart.
static bool is_out_of_space(const struct store_log *log, int err)
{
	struct statvfs fs;

	if (err == -ENOSPC || err == -EDQUOT)
		return true;
	return err == -EIO && fstatvfs(log->dir_fd, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

// Ends a group that err spoilt: counts and classifies it. Returns: the class.
static int fail(struct store_log *log, int err)
{
	log->stats.n_commit_errors++;
	if (is_out_of_space(log, err))
		err = -ENOSPC;
	else if (err != -ENOMEM && err != -EINVAL)
		log->stats.has_failed = true;
	log->stats.last_error = err;
	return err;
}

int store_log_begin(struct store_log *log)
{
	int err;

	if (log->stats.has_failed)
		return -EIO;
	err = store_file_errno(mdb_txn_begin(log->file.env, NULL, 0, &log->txn));
	if (err != 0) {
		log->txn = NULL;
		return fail(log, err);
	}
	log->group_error = 0;
	log->n_undo = 0;
	log->before.n_log = log->newest->n_log;
	log->before.n_live = log->newest->n_live;
	log->before.next = log->newest->next;
	log->before.n_cleaned = log->stats.n_cleaned;
	log->before.n_moved = log->stats.n_moved;
	return 0;
}

// Appends a record under the next number and makes it the newest of its handle.
static int append(struct store_log *log, const struct record *r)
{
	uint8_t buf[RECORD_MAX];
	uint64_t number = log->newest->next;
	uint32_t handle = r->entry.handle;
	MDB_val key = { sizeof(number), &number };
	MDB_val val = { record_encode(r, number, buf), buf };
	int err;

	if (log->n_undo == log->undo_room) {
		size_t room = log->undo_room == 0 ? 1024 : 2 * log->undo_room;
		struct store_undo *undo = reallocarray(log->undo, room, sizeof(*undo));

		if (undo == NULL)
			return -ENOMEM;
		log->undo = undo;
		log->undo_room = room;
	}
	err = store_file_errno(mdb_put(log->txn, log->file.dbi, &key, &val, MDB_APPEND));
	if (err != 0)
		return err;
	log->undo[log->n_undo++] =
		(struct store_undo){ .handle = handle, .number = log->newest->numbers[handle] };
	set_newest(log->newest, handle, number);
	return 0;
}

// The record of an entry, with the end of its life in wall time too.
static struct record record_of(
	const struct store_log *log, const struct store_entry *entry, struct store_time now)
{
	return (struct record){
		.entry = *entry,
		.boot_tag = log->boot_tag,
		.expires_wall_ns = now.wall_ns + (entry->bce.expires_ns - now.boot_ns),
	};
}

static bool is_storable(const struct store_log *log, const struct store_entry *entry)
{
	return entry->handle < log->n_slots && entry->bce.mn_id_len <= BCE_MN_ID_MAX &&
	       (entry->bce.state == BCE_LIVE || entry->bce.state == BCE_HOLD);
}

int store_log_put(struct store_log *log, const struct store_entry *entry, struct store_time now)
{
	struct record r;

	if (log->txn == NULL)
		return -EINVAL;
	if (!is_storable(log, entry))
		log->group_error = -EINVAL;
	if (log->group_error == 0) {
		r = record_of(log, entry, now);
		log->group_error = append(log, &r);
	}
	return log->group_error;
}

// An old entry that the cleaner looked at.
struct old {
	uint64_t number;
	bool is_newest;
	struct record record; // with is_newest
};

static int read_old(
	const struct store_log *log, const MDB_val *key, const MDB_val *val, struct old *o)
{
	uint32_t handle;
	int err = record_handle(val->mv_data, val->mv_size, &handle);

	memcpy(&o->number, key->mv_data, sizeof(o->number));
	if (err == 0 && handle >= log->n_slots)
		err = -EBADMSG;
	if (err != 0)
		return err;
	o->is_newest = log->newest->numbers[handle] == o->number;
	return o->is_newest ? record_decode(val->mv_data, val->mv_size, o->number, &o->record) : 0;
}

// Copies the oldest entries, at most max, out of the map: pages move when the log changes.
// Returns: how many, or negative errno.
static ssize_t read_oldest(struct store_log *log, struct old *old, size_t max)
{
	uint64_t number = 1;
	MDB_val key = { sizeof(number), &number };
	MDB_val val;
	MDB_cursor *cursor;
	size_t n = 0;
	int rc = mdb_cursor_open(log->txn, log->file.dbi, &cursor);
	int err = 0;

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && err == 0 && n < max) {
		err = read_old(log, &key, &val, &old[n++]);
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (err != 0)
		return err;
	return rc == 0 || rc == MDB_NOTFOUND ? (ssize_t)n : store_file_errno(rc);
}

// Appends what lives of the oldest entries again, then deletes them: from the last to the first, for what
// stands behind a deleted entry in its page has to move.
static int move_oldest(struct store_log *log, struct old *old, size_t max)
{
	ssize_t n = read_oldest(log, old, max);
	int err = n < 0 ? (int)n : 0;

	for (ssize_t i = 0; err == 0 && i < n; i++) {
		if (!old[i].is_newest)
			continue;
		err = append(log, &old[i].record);
		log->stats.n_moved++;
	}
	for (ssize_t i = n; err == 0 && i > 0; i--) {
		uint64_t number = old[i - 1].number;
		MDB_val key = { sizeof(number), &number };

		err = store_file_errno(mdb_del(log->txn, log->file.dbi, &key, NULL));
		log->newest->n_log--;
		log->stats.n_cleaned++;
	}
	return err;
}

// Keeps the log within twice the live set: looks at two old entries for each new one.
static int clean(struct store_log *log)
{
	size_t max = 2 * log->n_undo < CLEAN_MAX ? 2 * log->n_undo : CLEAN_MAX;
	struct old *old;
	int err;

	if (max == 0 || log->newest->n_log <= 2 * log->newest->n_live + LOG_SLACK)
		return 0;
	old = malloc(max * sizeof(*old));
	if (old == NULL)
		return -ENOMEM;
	err = move_oldest(log, old, max);
	free(old);
	return err;
}

// Takes back what the group changed in memory.
static void roll_back(struct store_log *log)
{
	while (log->n_undo > 0) {
		log->n_undo--;
		log->newest->numbers[log->undo[log->n_undo].handle] = log->undo[log->n_undo].number;
	}
	log->newest->n_log = log->before.n_log;
	log->newest->n_live = log->before.n_live;
	log->newest->next = log->before.next;
	log->stats.n_cleaned = log->before.n_cleaned;
	log->stats.n_moved = log->before.n_moved;
}

int store_log_commit(struct store_log *log)
{
	int err = log->group_error;

	if (log->txn == NULL)
		return -EINVAL;
	if (err == 0)
		err = clean(log);
	if (err == 0)
		err = store_file_errno(mdb_txn_commit(log->txn));
	else
		mdb_txn_abort(log->txn);
	log->txn = NULL;
	if (err == 0) {
		log->stats.n_commits++;
		log->stats.last_error = 0;
		return 0;
	}
	roll_back(log);
	return fail(log, err);
}

void store_log_abort(struct store_log *log)
{
	if (log->txn == NULL)
		return;
	mdb_txn_abort(log->txn);
	log->txn = NULL;
	roll_back(log);
	if (log->group_error != 0)
		fail(log, log->group_error);
}

void store_log_forget(struct store_log *log, uint32_t handle)
{
	if (handle >= log->n_slots || log->newest->numbers[handle] == 0)
		return;
	log->newest->numbers[handle] = 0;
	log->newest->n_live--;
}
