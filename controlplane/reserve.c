// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/reserve.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/store_file.h"
#include "dataplane/base/log.h"

#define FILE_NAME "security.mdb"
#define DAMAGED_NAME "security.mdb.damaged"

enum {
	VERSION = 1,
	FILE_MODE = 0600,
	N_DATABASES = 3,
	PRUNE_MAX = 256, // of one group
	ROOT_NUMBER_AT = 16 + 24 + 2 * 48 + 8, // in a root page of LMDB 0.9: mm_txnid
};

// Virtual only: sixteen million mobiles with all that they may have.
#define MAP_BYTES ((size_t)64 << 30)

static const char id_key[] = "id", doubt_key[] = "doubt";
static_assert(sizeof(struct reserve_home) == 36, "a key without padding");

struct reserve {
	MDB_env *env; // owned
	MDB_txn *txn; // of the open group, NULL without
	MDB_dbi meta, slots, numbers;
	int error; // of the open group
	uint64_t id;
	bool is_in_doubt;
	struct association_mark prune_at; // what reserve_prune looks at next
};

// An entry as bytes, little-endian; sum covers its mark too.
struct entry_wire {
	uint32_t sum;
	uint8_t version;
	uint8_t flags;
	uint16_t reserved;
	uint64_t end;
	uint64_t since_s;
};
static_assert(sizeof(struct entry_wire) == 24, "no padding");

static uint32_t sum_of(const struct entry_wire *w, const void *key, size_t key_len)
{
	return (uint32_t)XXH3_64bits_withSeed(&w->version,
		sizeof(*w) - offsetof(struct entry_wire, version), XXH3_64bits(key, key_len));
}

static int open_databases(struct reserve *r, MDB_txn *txn, unsigned int flags)
{
	int rc = mdb_dbi_open(txn, "meta", flags, &r->meta);

	if (rc == 0)
		rc = mdb_dbi_open(txn, "slot", flags, &r->slots);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "number", flags, &r->numbers);
	return rc;
}

static int open_env(struct reserve *r, const char *path, size_t map_bytes, unsigned int flags)
{
	int rc = mdb_env_create(&r->env);

	if (rc != 0)
		return rc;
	rc = mdb_env_set_mapsize(r->env, map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(r->env, N_DATABASES);
	if (rc == 0)
		rc = mdb_env_open(r->env, path, MDB_NOSUBDIR | MDB_NOLOCK | flags, FILE_MODE);
	return rc;
}

static int read_id(struct reserve *r, MDB_txn *txn)
{
	MDB_val key = { sizeof(id_key), (void *)(uintptr_t)id_key }, val;
	int rc = mdb_get(txn, r->meta, &key, &val);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
	if (val.mv_size != sizeof(r->id))
		return MDB_CORRUPTED;
	memcpy(&r->id, val.mv_data, sizeof(r->id));
	return r->id == 0 ? MDB_CORRUPTED : 0;
}

static bool is_sound(const MDB_val *key, const MDB_val *val)
{
	struct entry_wire w;

	if (val->mv_size != sizeof(w))
		return false;
	memcpy(&w, val->mv_data, sizeof(w));
	return w.version == VERSION && le32toh(w.sum) == sum_of(&w, key->mv_data, key->mv_size);
}

// Reads every entry of a database. One that is damaged may be any other one's, so none can be missed.
static int walk(MDB_txn *txn, MDB_dbi dbi, bool has_sums)
{
	MDB_cursor *cursor;
	MDB_val key, val;
	uint64_t n = 0;
	MDB_stat stat;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0) {
		if (has_sums && !is_sound(&key, &val))
			rc = MDB_CORRUPTED;
		if (rc != 0)
			break;
		n++;
	}
	mdb_cursor_close(cursor);
	mdb_stat(txn, dbi, &stat);
	if (rc != MDB_NOTFOUND)
		return rc;
	return stat.ms_entries == n ? 0 : MDB_CORRUPTED;
}

// LMDB writes its two root pages in turn, each with the number of its transaction, and takes the newer one.
// When they are not in a row, one is damaged, and the other may be of a time before the last numbers were
// given away.
static int check_roots(const char *path)
{
	uint64_t number[2] = { 0 };
	FILE *f = fopen(path, "re");
	int error = f == NULL ? -errno : 0;

	for (int i = 0; i < 2 && error == 0; i++) {
		if (fseek(f, i * sysconf(_SC_PAGESIZE) + ROOT_NUMBER_AT, SEEK_SET) != 0 ||
			fread(&number[i], sizeof(number[i]), 1, f) != 1)
			error = -EBADMSG;
	}
	if (f != NULL)
		fclose(f);
	if (error == 0 && number[0] + 1 != number[1] && number[1] + 1 != number[0])
		error = -EBADMSG;
	return error;
}

// Reads the whole file.
static int check_here(const char *path, void *ctx)
{
	struct reserve r = { 0 };
	MDB_envinfo info;
	MDB_txn *txn = NULL;
	struct stat st;
	int rc;

	(void)ctx;
	if (stat(path, &st) != 0)
		return -errno;
	if (st.st_size == 0 || check_roots(path) != 0)
		return -EBADMSG;
	rc = open_env(&r, path, ((size_t)st.st_size | 0xfffff) + 1, MDB_RDONLY);
	if (rc == ENOMEM || rc == EINVAL)
		rc = MDB_CORRUPTED;
	if (rc == 0)
		rc = mdb_env_info(r.env, &info);
	if (rc == 0)
		rc = mdb_txn_begin(r.env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = open_databases(&r, txn, 0);
	if (rc == 0)
		rc = read_id(&r, txn);
	if (rc == 0)
		rc = walk(txn, r.slots, false);
	if (rc == 0)
		rc = walk(txn, r.numbers, true);
	return rc == 0 ? 0 : -EBADMSG;
}

static bool read_doubt(struct reserve *r, MDB_txn *txn)
{
	MDB_val key = { sizeof(doubt_key), (void *)(uintptr_t)doubt_key }, val;

	return mdb_get(txn, r->meta, &key, &val) == 0;
}

static int put_doubt(struct reserve *r, MDB_txn *txn)
{
	MDB_val key = { sizeof(doubt_key), (void *)(uintptr_t)doubt_key }, val = { 1, (void *)"" };

	return mdb_put(txn, r->meta, &key, &val, 0);
}

// Makes the databases and the id of a new file, or reads those of one that was checked.
static int begin_file(struct reserve *r, bool has_past)
{
	MDB_val key = { sizeof(id_key), (void *)(uintptr_t)id_key };
	MDB_val val = { sizeof(r->id), &r->id };
	MDB_txn *txn;
	int rc = mdb_txn_begin(r->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	rc = open_databases(r, txn, MDB_CREATE);
	if (rc == 0)
		rc = read_id(r, txn);
	if (rc == MDB_CORRUPTED) {
		do
			rc = getrandom(&r->id, sizeof(r->id), 0) < 0 ? errno : 0;
		while (rc == 0 && r->id == 0);
		if (rc == 0)
			rc = mdb_put(txn, r->meta, &key, &val, 0);
		if (rc == 0 && has_past)
			rc = put_doubt(r, txn);
	}
	if (rc == 0) {
		r->is_in_doubt = read_doubt(r, txn);
		return mdb_txn_commit(txn);
	}
	mdb_txn_abort(txn);
	return rc;
}

// Sees whether the file is sound, and puts a damaged one out of the way. Returns: 0 or negative errno.
static int check(const char *state_dir, const char *path)
{
	char aside[PATH_MAX];
	int error;

	if (access(path, F_OK) != 0)
		return errno == ENOENT ? 0 : -errno;
	error = store_file_in_child(check_here, path, NULL, NULL);
	if (error != -EBADMSG)
		return error;
	snprintf(aside, sizeof(aside), "%s/" DAMAGED_NAME, state_dir);
	log_err("reserve_damaged file=%s kept_as=%s", path, aside);
	return rename(path, aside) == 0 ? 0 : -errno;
}

struct reserve *reserve_open(const char *state_dir, bool has_past)
{
	struct reserve *r = calloc(1, sizeof(*r));
	char path[PATH_MAX];
	int error;

	if (r == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	error = check(state_dir, path);
	if (error == 0)
		error = store_file_errno(open_env(r, path, MAP_BYTES, 0));
	if (error == 0)
		error = store_file_errno(begin_file(r, has_past));
	if (error == 0)
		return r;
	reserve_close(r);
	errno = -error;
	return NULL;
}

void reserve_close(struct reserve *r)
{
	if (r == NULL)
		return;
	reserve_abort(r);
	if (r->env != NULL)
		mdb_env_close(r->env);
	free(r);
}

bool reserve_is_in_doubt(const struct reserve *r)
{
	return r->is_in_doubt;
}

int reserve_end_doubt(struct reserve *r)
{
	MDB_val key = { sizeof(doubt_key), (void *)(uintptr_t)doubt_key };
	int error = r->is_in_doubt ? reserve_begin(r) : -EALREADY;

	if (error != 0)
		return error == -EALREADY ? 0 : error;
	r->error = store_file_errno(mdb_del(r->txn, r->meta, &key, NULL));
	error = reserve_commit(r);
	r->is_in_doubt = error != 0;
	return error;
}

uint64_t reserve_id(const struct reserve *r)
{
	return r->id;
}

// Reads len bytes under a key, in the open group or as the file is. Returns: 0, -ENOENT, -EBADMSG or
// negative errno.
static int read_value(const struct reserve *r, MDB_dbi dbi, const void *name, size_t name_len,
	void *out, size_t len)
{
	MDB_val key = { name_len, (void *)(uintptr_t)name }, val;
	MDB_txn *txn = r->txn;
	int rc = txn == NULL ? mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn) : 0;

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_get(txn, dbi, &key, &val);
	if (rc == 0 && val.mv_size != len)
		rc = MDB_CORRUPTED;
	if (rc == 0)
		memcpy(out, val.mv_data, len);
	if (r->txn == NULL)
		mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? -ENOENT : store_file_errno(rc);
}

int reserve_find_slot(const struct reserve *r, const struct reserve_home *home, uint32_t *slot)
{
	return read_value(r, r->slots, home, sizeof(*home), slot, sizeof(*slot));
}

int reserve_find(
	const struct reserve *r, const struct association_mark *mark, struct reserve_entry *out)
{
	struct entry_wire w;
	int error = read_value(r, r->numbers, mark, sizeof(*mark), &w, sizeof(w));

	if (error != 0)
		return error;
	if (w.version != VERSION || le32toh(w.sum) != sum_of(&w, mark, sizeof(*mark)))
		return -EBADMSG;
	*out = (struct reserve_entry){
		.end = le64toh(w.end), .since_s = le64toh(w.since_s), .flags = w.flags
	};
	return 0;
}

int reserve_each_slot(const struct reserve *r, void (*fn)(void *ctx, uint32_t slot), void *ctx)
{
	MDB_val key, val;
	MDB_cursor *cursor;
	MDB_txn *txn;
	uint32_t slot;
	int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_cursor_open(txn, r->slots, &cursor);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return store_file_errno(rc);
	}
	while ((rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0) {
		if (val.mv_size != sizeof(slot))
			continue;
		memcpy(&slot, val.mv_data, sizeof(slot));
		fn(ctx, slot);
	}
	mdb_cursor_close(cursor); // a transaction that only reads leaves it behind
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : store_file_errno(rc);
}

int reserve_begin(struct reserve *r)
{
	r->error = store_file_errno(mdb_txn_begin(r->env, NULL, 0, &r->txn));
	if (r->error != 0)
		r->txn = NULL;
	return r->error;
}

static int put(
	struct reserve *r, MDB_dbi dbi, const void *name, size_t name_len, void *data, size_t len)
{
	MDB_val key = { name_len, (void *)(uintptr_t)name };
	MDB_val val = { len, data };

	if (r->error == 0)
		r->error = store_file_errno(mdb_put(r->txn, dbi, &key, &val, 0));
	return r->error;
}

int reserve_put_slot(struct reserve *r, const struct reserve_home *home, uint32_t slot)
{
	return put(r, r->slots, home, sizeof(*home), &slot, sizeof(slot));
}

int reserve_drop_slot(struct reserve *r, const struct reserve_home *home)
{
	MDB_val key = { sizeof(*home), (void *)(uintptr_t)home };
	int rc = r->error == 0 ? mdb_del(r->txn, r->slots, &key, NULL) : 0;

	if (rc != 0 && rc != MDB_NOTFOUND)
		r->error = store_file_errno(rc);
	return r->error;
}

int reserve_put(
	struct reserve *r, const struct association_mark *mark, const struct reserve_entry *entry)
{
	struct entry_wire w = { .version = VERSION,
		.flags = entry->flags,
		.end = htole64(entry->end),
		.since_s = htole64(entry->since_s) };

	w.sum = htole32(sum_of(&w, mark, sizeof(*mark)));
	return put(r, r->numbers, mark, sizeof(*mark), &w, sizeof(w));
}

int reserve_commit(struct reserve *r)
{
	MDB_txn *txn = r->txn;

	if (r->error != 0) {
		reserve_abort(r);
		return r->error;
	}
	r->txn = NULL;
	return store_file_errno(mdb_txn_commit(txn));
}

void reserve_abort(struct reserve *r)
{
	if (r->txn != NULL)
		mdb_txn_abort(r->txn);
	r->txn = NULL;
}

static bool is_over(const MDB_val *key, const MDB_val *val, uint64_t before_s)
{
	struct entry_wire w;

	if (key->mv_size != sizeof(struct association_mark) || !is_sound(key, val))
		return false;
	memcpy(&w, val->mv_data, sizeof(w));
	return (w.flags & RESERVE_GONE) != 0 && le64toh(w.since_s) < before_s;
}

// Finds the next ones that are over. Returns: how many, or negative errno.
static int find_over(struct reserve *r, uint64_t before_s, unsigned int n,
	struct association_mark out[PRUNE_MAX])
{
	MDB_val key = { sizeof(r->prune_at), &r->prune_at }, val;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	int n_found = 0;
	int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_cursor_open(txn, r->numbers, &cursor);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	for (; rc == 0 && n > 0 && n_found < PRUNE_MAX; n--) {
		if (is_over(&key, &val, before_s))
			memcpy(&out[n_found++], key.mv_data, sizeof(out[0]));
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	if (rc == 0 && key.mv_size == sizeof(r->prune_at))
		memcpy(&r->prune_at, key.mv_data, sizeof(r->prune_at));
	else
		r->prune_at = (struct association_mark){ 0 };
	if (cursor != NULL)
		mdb_cursor_close(cursor); // a transaction that only reads leaves it behind
	mdb_txn_abort(txn);
	return rc == 0 || rc == MDB_NOTFOUND ? n_found : store_file_errno(rc);
}

int reserve_prune(struct reserve *r, uint64_t before_s, unsigned int n)
{
	struct association_mark over[PRUNE_MAX];
	int n_over = find_over(r, before_s, n, over);
	int error;

	if (n_over <= 0)
		return n_over;
	error = reserve_begin(r);
	if (error != 0)
		return error;
	for (int i = 0; i < n_over && r->error == 0; i++) {
		MDB_val key = { sizeof(over[i]), &over[i] };

		r->error = store_file_errno(mdb_del(r->txn, r->numbers, &key, NULL));
	}
	error = reserve_commit(r);
	return error != 0 ? error : n_over;
}
