// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/store_file.h"
#include "dataplane/base/cursor.h"

enum { HEAD_VERSION = 1, FILE_MODE = 0600, IDLE_US = 1000 };

// Entry 0.
struct head_wire {
	char magic[12];
	uint32_t version; // little-endian, as the others
	uint64_t id;
	uint64_t first;
} __attribute__((packed));

static const char magic[12] = "unw-bindings";

int store_file_errno(int rc)
{
	if (rc == 0)
		return 0;
	if (rc > 0)
		return -rc;
	switch (rc) {
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_CURSOR_FULL:
	case MDB_NOTFOUND:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
	case MDB_MAP_RESIZED: // nobody else writes: the root page is wrong
		return -EBADMSG;
	case MDB_VERSION_MISMATCH:
		return -EPROTONOSUPPORT;
	default:
		return -EIO;
	}
}

static int open_env(struct store_file *file, const char *path, size_t map_bytes, unsigned flags)
{
	MDB_txn *txn;
	int rc;

	file->env = NULL;
	rc = mdb_env_create(&file->env);
	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_env_set_mapsize(file->env, map_bytes);
	if (rc == 0)
		rc = mdb_env_open(file->env, path, MDB_NOSUBDIR | MDB_NOLOCK | flags, FILE_MODE);
	if (rc == 0)
		rc = mdb_txn_begin(file->env, NULL, flags & MDB_RDONLY, &txn);
	if (rc == 0) {
		rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &file->dbi);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	if (rc != 0)
		store_file_close(file);
	return store_file_errno(rc);
}

int store_file_create(struct store_file *file, const char *path, size_t map_bytes)
{
	struct head_wire head = {
		.version = htole32(HEAD_VERSION),
		.id = htole64(file->id),
		.first = htole64(file->first),
	};
	uint64_t number = 0;
	MDB_val key = { sizeof(number), &number };
	MDB_val val = { sizeof(head), &head };
	MDB_txn *txn;
	int rc;

	memcpy(head.magic, magic, sizeof(magic));
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	rc = open_env(file, path, map_bytes, MDB_NOSYNC);
	if (rc != 0)
		return rc;
	rc = mdb_txn_begin(file->env, NULL, 0, &txn);
	if (rc == 0) {
		rc = mdb_put(txn, file->dbi, &key, &val, 0);
		if (rc == 0)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	if (rc == 0)
		rc = mdb_env_sync(file->env, 1);
	if (rc == 0)
		rc = mdb_env_set_flags(file->env, MDB_NOSYNC, 0);
	if (rc != 0)
		store_file_close(file);
	return store_file_errno(rc);
}

static int read_head(struct store_file *file)
{
	uint64_t number = 0;
	MDB_val key = { sizeof(number), &number };
	MDB_val val;
	struct head_wire head;
	struct rcursor c;
	MDB_txn *txn;
	int rc = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_get(txn, file->dbi, &key, &val);
	if (rc == 0) {
		c = rcursor_make(val.mv_data, val.mv_size);
		rcursor_copy(&c, &head, sizeof(head));
	}
	mdb_txn_abort(txn);
	if (rc != 0)
		return store_file_errno(rc);
	if (!c.ok || memcmp(head.magic, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	if (le32toh(head.version) != HEAD_VERSION)
		return -EPROTONOSUPPORT;
	file->id = le64toh(head.id);
	file->first = le64toh(head.first);
	return 0;
}

int store_file_open(struct store_file *file, const char *path, size_t map_bytes, unsigned flags)
{
	int err = open_env(file, path, map_bytes, flags);

	if (err != 0)
		return err;
	err = read_head(file);
	if (err != 0)
		store_file_close(file);
	return err;
}

void store_file_close(struct store_file *file)
{
	if (file->env != NULL)
		mdb_env_close(file->env);
	file->env = NULL;
}

static int walk(MDB_cursor *cursor, uint64_t first,
	int (*fn)(void *ctx, const struct store_file_entry *entry), void *ctx)
{
	uint64_t number = first, last = 0;
	MDB_val key = { sizeof(number), &number };
	MDB_val val;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);

	for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) {
		struct store_file_entry entry = { .data = val.mv_data, .len = val.mv_size };
		int err;

		if (key.mv_size != sizeof(entry.number))
			return -EBADMSG;
		memcpy(&entry.number, key.mv_data, sizeof(entry.number));
		if (entry.number <= last)
			return -EBADMSG;
		last = entry.number;
		err = fn(ctx, &entry);
		if (err != 0)
			return err;
	}
	return rc == MDB_NOTFOUND ? 0 : store_file_errno(rc);
}

int store_file_walk(const struct store_file *file,
	int (*fn)(void *ctx, const struct store_file_entry *entry), void *ctx)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_cursor_open(txn, file->dbi, &cursor);
	if (rc == 0) {
		rc = walk(cursor, file->first, fn, ctx);
		mdb_cursor_close(cursor);
	} else {
		rc = store_file_errno(rc);
	}
	mdb_txn_abort(txn);
	return rc;
}

struct check {
	uint64_t n;
	int (*fn)(void *ctx, uint64_t number, const struct record *r);
	void *ctx;
};

static int check_entry(void *arg, const struct store_file_entry *entry)
{
	struct check *check = arg;
	struct record r;

	if (record_decode(entry->data, entry->len, entry->number, &r) != 0)
		return -EBADMSG;
	check->n++;
	return check->fn(check->ctx, entry->number, &r);
}

// Reads everything and compares with the number of entries that LMDB reckons with.
static int check_here(const char *path, void *ctx)
{
	struct check *check = ctx;
	struct store_file file;
	struct stat st;
	MDB_stat stat_db;
	int err;

	if (stat(path, &st) != 0)
		return -errno;
	if (st.st_size == 0)
		return -EBADMSG;
	err = store_file_open(&file, path, ((size_t)st.st_size | 0xfffff) + 1, MDB_RDONLY);
	// No memory for a map of the file's own size: its root page claims another one.
	if (err == -ENOMEM || err == -EINVAL)
		return -EBADMSG;
	if (err != 0)
		return err;
	err = store_file_walk(&file, check_entry, check);
	if (err == 0) {
		MDB_txn *txn;

		err = store_file_errno(mdb_txn_begin(file.env, NULL, MDB_RDONLY, &txn));
		if (err == 0) {
			mdb_stat(txn, file.dbi, &stat_db);
			mdb_txn_abort(txn);
			err = stat_db.ms_entries == 1 + check->n ? 0 : -EBADMSG; // 1: the head
		}
		if (err == 0)
			err = check->fn(check->ctx, 0, NULL);
	}
	store_file_close(&file);
	return err;
}

// Waits for the end of a child process, with something to do meanwhile. Returns: as waitpid.
static pid_t await_child(pid_t pid, int *status, const struct store_file_meanwhile *meanwhile)
{
	pid_t ended = 0;

	if (meanwhile == NULL)
		return waitpid(pid, status, 0);
	while (ended == 0) {
		ended = waitpid(pid, status, WNOHANG);
		if (ended == 0 && !meanwhile->work(meanwhile->ctx))
			usleep(IDLE_US);
	}
	return ended;
}

int store_file_in_child(int (*check)(const char *path, void *ctx), const char *path, void *ctx,
	const struct store_file_meanwhile *meanwhile)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old;
	struct rlimit no_core = { 0 };
	int status = 0;
	int err = 0;
	pid_t pid;

	// Whoever started us may have left SIGCHLD ignored, and then there is nothing to wait for.
	sigaction(SIGCHLD, &dfl, &old);
	pid = fork();
	if (pid < 0)
		err = -errno;
	if (pid == 0) {
		// LMDB trusts its pages: damage may end in a signal, which is an answer too.
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		_exit(-check(path, ctx));
	}
	while (err == 0 && await_child(pid, &status, meanwhile) < 0) {
		if (errno != EINTR)
			err = -errno;
	}
	sigaction(SIGCHLD, &old, NULL);
	if (err != 0)
		return err;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EBADMSG;
}

int store_file_check(const char *path,
	int (*fn)(void *ctx, uint64_t number, const struct record *r), void *ctx,
	const struct store_file_meanwhile *meanwhile)
{
	struct check check = { .fn = fn, .ctx = ctx };

	return store_file_in_child(check_here, path, &check, meanwhile);
}
