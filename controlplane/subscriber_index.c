// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/store_file.h"
#include "controlplane/subscriber_index.h"
#include "controlplane/subscriber_line.h"
#include "dataplane/base/cursor.h"

enum {
	INDEX_VERSION = 1,
	FILE_MODE = 0600,
	MAP_FACTOR = 8, // of the source's size: records, two indexes, half-full pages
	MAP_SLACK_BYTES = 64 << 20,
	N_DATABASES = 4,
	META_MAX = 128,
};

static const char meta_key[] = "origin";

static int open_databases(struct subscriber_index *ix, unsigned flags)
{
	int rc = mdb_dbi_open(ix->txn, "meta", flags, &ix->meta);

	if (rc == 0)
		rc = mdb_dbi_open(ix->txn, "line", flags | MDB_INTEGERKEY, &ix->by_line);
	if (rc == 0)
		rc = mdb_dbi_open(ix->txn, "home", flags, &ix->by_home);
	if (rc == 0)
		rc = mdb_dbi_open(ix->txn, "mn_id", flags, &ix->by_mn_id);
	return rc;
}

static int open_env(struct subscriber_index *ix, const char *path, size_t map_bytes, unsigned flags)
{
	int rc;

	*ix = (struct subscriber_index){ 0 };
	rc = mdb_env_create(&ix->env);
	if (rc != 0)
		return rc;
	rc = mdb_env_set_mapsize(ix->env, map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(ix->env, N_DATABASES);
	if (rc == 0)
		rc = mdb_env_open(ix->env, path, MDB_NOSUBDIR | MDB_NOLOCK | flags, FILE_MODE);
	if (rc == 0)
		rc = mdb_txn_begin(ix->env, NULL, flags & MDB_RDONLY, &ix->txn);
	if (rc != 0)
		ix->txn = NULL;
	return rc;
}

static int read_origin(struct subscriber_index *ix)
{
	struct subscriber_origin *o = &ix->origin;
	MDB_val key = { sizeof(meta_key), (void *)meta_key };
	MDB_val val;
	struct rcursor c;
	int rc = mdb_get(ix->txn, ix->meta, &key, &val);

	if (rc != 0)
		return rc;
	c = rcursor_make(val.mv_data, val.mv_size);
	if (rcursor_u32(&c) != INDEX_VERSION)
		return MDB_VERSION_MISMATCH;
	o->size = rcursor_u64(&c);
	o->mtime_ns = rcursor_u64(&c);
	o->ctime_ns = rcursor_u64(&c);
	o->inode = rcursor_u64(&c);
	o->path_hash = rcursor_u64(&c);
	o->counts.n_subscribers = rcursor_u64(&c);
	o->counts.n_homes = rcursor_u64(&c);
	o->counts.n_keys = rcursor_u64(&c);
	return c.ok ? 0 : MDB_CORRUPTED;
}

// True when the file has all pages that it reckons with: a map of a shorter one would fault.
static bool is_whole(struct subscriber_index *ix, uint64_t file_bytes)
{
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(ix->env, &info);
	mdb_env_stat(ix->env, &st);
	return ((uint64_t)info.me_last_pgno + 1) * st.ms_psize <= file_bytes;
}

int subscriber_index_open(struct subscriber_index *ix, const char *path)
{
	struct stat st;
	int rc;

	*ix = (struct subscriber_index){ 0 };
	if (stat(path, &st) != 0)
		return -errno;
	if (st.st_size == 0)
		return -EBADMSG;
	rc = open_env(ix, path, ((size_t)st.st_size | 0xfffff) + 1, MDB_RDONLY);
	if (rc == 0 && !is_whole(ix, (uint64_t)st.st_size))
		rc = MDB_CORRUPTED;
	if (rc == 0)
		rc = open_databases(ix, 0);
	if (rc == 0)
		rc = read_origin(ix);
	if (rc != 0)
		subscriber_index_close(ix);
	return store_file_errno(rc);
}

int subscriber_index_create(struct subscriber_index *ix, const char *path, uint64_t source_bytes)
{
	int rc;

	*ix = (struct subscriber_index){ 0 };
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	rc = open_env(ix, path, (size_t)source_bytes * MAP_FACTOR + MAP_SLACK_BYTES, MDB_NOSYNC);
	if (rc == 0)
		rc = open_databases(ix, MDB_CREATE);
	if (rc != 0)
		subscriber_index_close(ix);
	return store_file_errno(rc);
}

// Puts line under a key that must be free; else *line becomes that of the one who has it.
static int claim(
	struct subscriber_index *ix, MDB_dbi by, const void *data, size_t len, uint32_t *line)
{
	MDB_val key = { len, (void *)data };
	MDB_val val = { sizeof(*line), line };
	int rc = mdb_put(ix->txn, by, &key, &val, MDB_NOOVERWRITE);

	if (rc == MDB_KEYEXIST) {
		memcpy(line, val.mv_data, sizeof(*line));
		return -EEXIST;
	}
	return store_file_errno(rc);
}

int subscriber_index_add(
	struct subscriber_index *ix, const struct subscriber *s, int *at, uint32_t *line)
{
	uint8_t buf[SUBSCRIBER_BYTES_MAX];
	uint32_t number = s->line;
	MDB_val key = { sizeof(number), &number };
	MDB_val val = { subscriber_line_pack(s, buf, sizeof(buf)), buf };
	int err = 0;

	for (*at = 0; *at < s->n_homes; (*at)++) {
		*line = s->line;
		err = claim(ix, ix->by_home, &s->homes[*at], sizeof(s->homes[0]), line);
		if (err != 0)
			return err;
	}
	*at = -1;
	*line = s->line;
	if (s->mn_id_len > 0)
		err = claim(ix, ix->by_mn_id, s->mn_id, s->mn_id_len, line);
	if (err != 0)
		return err;
	ix->origin.counts.n_subscribers++;
	ix->origin.counts.n_homes += s->n_homes;
	ix->origin.counts.n_keys += s->n_keys;
	return store_file_errno(mdb_put(ix->txn, ix->by_line, &key, &val, MDB_APPEND));
}

int subscriber_index_checkpoint(struct subscriber_index *ix)
{
	int rc = mdb_txn_commit(ix->txn);

	ix->txn = NULL;
	if (rc == 0)
		rc = mdb_txn_begin(ix->env, NULL, 0, &ix->txn);
	return store_file_errno(rc);
}

int subscriber_index_finish(struct subscriber_index *ix)
{
	const struct subscriber_origin *o = &ix->origin;
	uint8_t buf[META_MAX];
	struct wcursor c = wcursor_make(buf, sizeof(buf));
	MDB_val key = { sizeof(meta_key), (void *)meta_key };
	MDB_val val;
	int rc;

	wcursor_u32(&c, INDEX_VERSION);
	wcursor_u64(&c, o->size);
	wcursor_u64(&c, o->mtime_ns);
	wcursor_u64(&c, o->ctime_ns);
	wcursor_u64(&c, o->inode);
	wcursor_u64(&c, o->path_hash);
	wcursor_u64(&c, o->counts.n_subscribers);
	wcursor_u64(&c, o->counts.n_homes);
	wcursor_u64(&c, o->counts.n_keys);
	val = (MDB_val){ wcursor_len(&c), buf };
	rc = mdb_put(ix->txn, ix->meta, &key, &val, 0);
	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_txn_commit(ix->txn);
	ix->txn = NULL;
	if (rc == 0)
		rc = mdb_env_sync(ix->env, 1);
	if (rc == 0)
		rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &ix->txn);
	return store_file_errno(rc);
}

void subscriber_index_close(struct subscriber_index *ix)
{
	if (ix->txn != NULL)
		mdb_txn_abort(ix->txn);
	if (ix->env != NULL)
		mdb_env_close(ix->env);
	*ix = (struct subscriber_index){ 0 };
}

int subscriber_index_find(
	const struct subscriber_index *ix, MDB_dbi by, MDB_val key, struct subscriber *out)
{
	MDB_val line, val;
	int rc;

	if (ix->env == NULL)
		return -ENOENT;
	rc = mdb_get(ix->txn, by, &key, &line);
	if (rc == MDB_NOTFOUND)
		return -ENOENT;
	if (rc == 0)
		rc = mdb_get(ix->txn, ix->by_line, &line, &val);
	return rc != 0 ? store_file_errno(rc)
		       : subscriber_line_unpack(val.mv_data, val.mv_size, out);
}
