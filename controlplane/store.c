// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "controlplane/alive.h"
#include "controlplane/store.h"
#include "controlplane/store_file.h"

#define FILE_NAME "bindings.mdb"
#define NEW_NAME "bindings.mdb.new"
#define LOCK_NAME "lock"

enum {
	MAP_RECORD_BYTES = 3 * 256, // a log of twice the bindings, and room to copy on write
	MAP_SLACK_BYTES = 64 << 20,
	LOG_SLACK = 256, // entries beyond twice the live ones before the cleaner begins
	CLEAN_MAX = 8192, // entries a commit looks at
	REBUILD_GROUP = 4096,
	FULL_BYTES = 1 << 20, // a file system with less left counts as full
	BOOT_ID_TEXT = 37,
};

// What a put changed, to be taken back when the group fails.
struct undo {
	uint32_t handle;
	uint64_t number; // newest entry of the handle before
};

struct store {
	struct store_file file;
	struct store_options options;
	char path[PATH_MAX];
	char new_path[PATH_MAX];
	int dir_fd;
	int lock_fd; // holds the flock
	uint64_t boot_tag;
	uint64_t *newest; // of each handle: number of its newest entry, 0 = none; mapped
	uint64_t next; // number
	MDB_txn *txn; // of the open group
	int group_error;
	size_t n_undo, undo_room;
	struct undo *undo; // owned
	struct store_stats before; // counts when the group began
	uint64_t next_before;
	struct store_stats stats;
};

int store_boot_id(uint8_t out[16])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	char text[BOOT_ID_TEXT] = "";
	int err = f == NULL ? -errno : 0;
	int n = 0;

	if (f == NULL)
		return err;
	if (fgets(text, sizeof(text), f) == NULL)
		err = -EIO;
	fclose(f);
	for (const char *p = text; err == 0 && n < 16 && *p != '\0'; p++) {
		if (*p == '-')
			continue;
		if (sscanf(p, "%2hhx", &out[n++]) != 1)
			err = -EINVAL;
		p++;
	}
	return err == 0 && n != 16 ? -EINVAL : err;
}

static uint64_t *map_newest(uint32_t n_slots)
{
	void *p = mmap(NULL, (size_t)n_slots * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t map_bytes(const struct store *s)
{
	size_t bytes = (size_t)s->options.n_slots * MAP_RECORD_BYTES;
	struct stat st;

	// A file from a time with more bindings must still have room to be cleaned in.
	if (stat(s->path, &st) == 0 && (size_t)st.st_size > bytes)
		bytes = (size_t)st.st_size;
	return bytes + MAP_SLACK_BYTES;
}

static unsigned env_flags(const struct store *s)
{
	return s->options.durability == CONFIG_DURABILITY_RELAXED ? MDB_NOMETASYNC : 0;
}

// Makes the newest entry of a handle this one.
static void set_newest(struct store *s, uint32_t handle, uint64_t number)
{
	if (s->newest[handle] == 0)
		s->stats.n_live++;
	s->newest[handle] = number;
}

static int load_entry(void *ctx, uint64_t number, const struct record *r)
{
	struct store *s = ctx;

	if (r->entry.handle >= s->options.n_slots)
		return -EOVERFLOW;
	set_newest(s, r->entry.handle, number);
	s->stats.n_log++;
	s->next = number + 1;
	return 0;
}

static int lock_dir(struct store *s, const char *dir)
{
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	s->lock_fd = openat(s->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (s->lock_fd < 0)
		return -errno;
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

static bool no_entries(void *ctx, struct store_entry *out)
{
	(void)ctx;
	(void)out;
	return false;
}

// Opens the file that is there, or makes one.
static int open_file(struct store *s)
{
	uint64_t id = 0;
	int err;

	unlinkat(s->dir_fd, NEW_NAME, 0); // of a rebuild that was killed
	if (faccessat(s->dir_fd, FILE_NAME, F_OK, 0) == 0) {
		err = store_file_check(s->path);
		if (err == 0)
			err = store_file_open(&s->file, s->path, map_bytes(s), env_flags(s));
		s->next = s->file.first;
		return err != 0 ? err : store_file_walk(&s->file, load_entry, s);
	}
	if (errno != ENOENT)
		return -errno;
	while (id == 0) {
		if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
			return -EIO;
	}
	s->file.id = id;
	s->next = 1;
	return store_rebuild(s, (struct store_time){ 0 }, no_entries, NULL);
}

static const char *reason_of(int err)
{
	switch (err) {
	case -EBUSY:
		return "another process uses this state directory";
	case -EBADMSG:
		return "damaged, cut short or not a store of bindings; move it away to start "
		       "empty, or "
		       "put a good copy in its place";
	case -EPROTONOSUPPORT:
		return "written by another version";
	case -EOVERFLOW:
		return "has more bindings than max_bindings allows; raise it";
	default:
		return strerror(-err);
	}
}

// What can be said of the options before anything is touched.
static int prepare(struct store *s, const struct store_options *options)
{
	s->options = *options;
	s->dir_fd = s->lock_fd = -1;
	s->boot_tag = record_boot_tag(options->boot_id);
	s->newest = map_newest(options->n_slots);
	if (s->newest == NULL)
		return -ENOMEM;
	if (snprintf(s->path, PATH_MAX, "%s/" FILE_NAME, options->dir) >= PATH_MAX ||
		snprintf(s->new_path, PATH_MAX, "%s/" NEW_NAME, options->dir) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

struct store *store_open(const struct store_options *options, char err_text[static STORE_ERR_LEN])
{
	struct store *s = calloc(1, sizeof(*s));
	int err = s == NULL ? -ENOMEM : prepare(s, options);

	if (err == 0)
		err = lock_dir(s, options->dir);
	if (err == 0)
		err = open_file(s);
	if (err != 0) {
		snprintf(err_text, STORE_ERR_LEN, "%s/%s: %s", options->dir,
			err == -EBUSY ? LOCK_NAME : FILE_NAME, reason_of(err));
		store_close(s);
		errno = -err;
		return NULL;
	}
	s->options.dir = NULL; // the caller's
	return s;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	store_abort(s);
	store_file_close(&s->file);
	if (s->newest != NULL)
		munmap(s->newest, (size_t)s->options.n_slots * sizeof(*s->newest));
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->undo);
	free(s);
}

struct replay {
	struct store *store;
	struct store_time now;
	uint64_t hold_ns;
	int (*fn)(void *ctx, const struct store_entry *entry);
	void *ctx;
};

// How long until the end that the record carries; negative when it has passed.
static int64_t left_ns(const struct replay *p, const struct record *r)
{
	const struct bce *b = &r->entry.bce;
	uint64_t most = b->state == BCE_HOLD ? p->hold_ns : b->lifetime_s * 1000000000ULL;
	int64_t left;

	if (r->boot_tag == p->store->boot_tag)
		return (int64_t)(b->expires_ns - p->now.boot_ns);
	left = (int64_t)(r->expires_wall_ns - p->now.wall_ns);
	return left > (int64_t)most ? (int64_t)most : left;
}

static int replay_entry(void *ctx, uint64_t number, const struct record *r)
{
	struct replay *p = ctx;
	struct store_entry entry = r->entry;
	int64_t left = left_ns(p, r);
	int err;

	if (p->store->newest[entry.handle] != number)
		return 0;
	if (left + (int64_t)p->hold_ns <= 0) {
		store_forget(p->store, entry.handle);
		return 0;
	}
	if (left < 0 && (uint64_t)-left > p->now.boot_ns)
		entry.bce.expires_ns = 0;
	else
		entry.bce.expires_ns = p->now.boot_ns + (uint64_t)left;
	err = p->fn(p->ctx, &entry);
	if (err == -ESTALE) {
		store_forget(p->store, entry.handle);
		err = 0;
	}
	return err;
}

int store_replay(struct store *s, struct store_time now, uint64_t hold_ns,
	int (*fn)(void *ctx, const struct store_entry *entry), void *ctx)
{
	struct replay p = { .store = s, .now = now, .hold_ns = hold_ns, .fn = fn, .ctx = ctx };

	return store_file_walk(&s->file, replay_entry, &p);
}

// LMDB makes a short write EIO, as it makes a failed fsync: the room that is left tells them apart.
static bool is_out_of_space(const struct store *s, int err)
{
	struct statvfs fs;

	if (err == -ENOSPC || err == -EDQUOT)
		return true;
	return err == -EIO && fstatvfs(s->dir_fd, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

// Ends a group that err spoilt: counts and classifies it. Returns: the class.
static int fail(struct store *s, int err)
{
	s->stats.n_commit_errors++;
	if (is_out_of_space(s, err))
		err = -ENOSPC;
	else if (err != -ENOMEM && err != -EINVAL)
		s->stats.has_failed = true;
	s->stats.last_error = err;
	return err;
}

int store_begin(struct store *s)
{
	int err;

	if (s->stats.has_failed)
		return -EIO;
	err = store_file_errno(mdb_txn_begin(s->file.env, NULL, 0, &s->txn));
	if (err != 0) {
		s->txn = NULL;
		return fail(s, err);
	}
	s->group_error = 0;
	s->n_undo = 0;
	s->before = s->stats;
	s->next_before = s->next;
	return 0;
}

// Appends a record under the next number and makes it the newest of its handle.
static int append(struct store *s, const struct record *r)
{
	uint8_t buf[RECORD_MAX];
	uint64_t number = s->next;
	uint32_t handle = r->entry.handle;
	MDB_val key = { sizeof(number), &number };
	MDB_val val = { record_encode(r, number, buf), buf };
	int err;

	if (s->n_undo == s->undo_room) {
		size_t room = s->undo_room == 0 ? 1024 : 2 * s->undo_room;
		struct undo *undo = reallocarray(s->undo, room, sizeof(*undo));

		if (undo == NULL)
			return -ENOMEM;
		s->undo = undo;
		s->undo_room = room;
	}
	err = store_file_errno(mdb_put(s->txn, s->file.dbi, &key, &val, MDB_APPEND));
	if (err != 0)
		return err;
	s->undo[s->n_undo++] = (struct undo){ .handle = handle, .number = s->newest[handle] };
	set_newest(s, handle, number);
	s->stats.n_log++;
	s->next++;
	return 0;
}

// The record of an entry, with the end of its life in wall time too.
static struct record record_of(
	const struct store *s, const struct store_entry *entry, struct store_time now)
{
	return (struct record){
		.entry = *entry,
		.boot_tag = s->boot_tag,
		.expires_wall_ns = now.wall_ns + (entry->bce.expires_ns - now.boot_ns),
	};
}

static bool is_storable(const struct store *s, const struct store_entry *entry)
{
	return entry->handle < s->options.n_slots && entry->bce.mn_id_len <= BCE_MN_ID_MAX &&
	       (entry->bce.state == BCE_LIVE || entry->bce.state == BCE_HOLD);
}

int store_put(struct store *s, const struct store_entry *entry, struct store_time now)
{
	struct record r;

	if (s->txn == NULL)
		return -EINVAL;
	if (!is_storable(s, entry))
		s->group_error = -EINVAL;
	if (s->group_error == 0) {
		r = record_of(s, entry, now);
		s->group_error = append(s, &r);
	}
	return s->group_error;
}

void store_fetch(const struct store *s, uint32_t handle)
{
	if (handle < s->options.n_slots)
		__builtin_prefetch(&s->newest[handle], 1);
}

// An old entry that the cleaner looked at.
struct old {
	uint64_t number;
	bool is_newest;
	struct record record;
};

// Copies the oldest entries, at most max, out of the map: pages move when the log changes.
// Returns: how many, or negative errno.
static ssize_t read_oldest(struct store *s, struct old *old, size_t max)
{
	uint64_t number = 1;
	MDB_val key = { sizeof(number), &number };
	MDB_val val;
	MDB_cursor *cursor;
	size_t n = 0;
	int rc = mdb_cursor_open(s->txn, s->file.dbi, &cursor);

	if (rc != 0)
		return store_file_errno(rc);
	rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && n < max) {
		struct old *o = &old[n++];

		memcpy(&o->number, key.mv_data, sizeof(o->number));
		if (record_decode(val.mv_data, val.mv_size, o->number, &o->record) != 0 ||
			o->record.entry.handle >= s->options.n_slots) {
			rc = MDB_CORRUPTED;
			break;
		}
		o->is_newest = s->newest[o->record.entry.handle] == o->number;
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == 0 || rc == MDB_NOTFOUND ? (ssize_t)n : store_file_errno(rc);
}

// Appends what lives of the oldest entries again, then deletes them.
static int move_oldest(struct store *s, struct old *old, size_t max)
{
	ssize_t n = read_oldest(s, old, max);

	for (ssize_t i = 0; i < n; i++) {
		uint64_t number = old[i].number;
		MDB_val key = { sizeof(number), &number };
		int err = 0;

		if (old[i].is_newest) {
			err = append(s, &old[i].record);
			s->stats.n_moved++;
		}
		if (err == 0)
			err = store_file_errno(mdb_del(s->txn, s->file.dbi, &key, NULL));
		if (err != 0)
			return err;
		s->stats.n_log--;
		s->stats.n_cleaned++;
	}
	return n < 0 ? (int)n : 0;
}

// Keeps the log within twice the live set: looks at two old entries for each new one.
static int clean(struct store *s)
{
	size_t max = 2 * s->n_undo < CLEAN_MAX ? 2 * s->n_undo : CLEAN_MAX;
	struct old *old;
	int err;

	if (max == 0 || s->stats.n_log <= 2 * s->stats.n_live + LOG_SLACK)
		return 0;
	old = malloc(max * sizeof(*old));
	if (old == NULL)
		return -ENOMEM;
	err = move_oldest(s, old, max);
	free(old);
	return err;
}

// Takes back what the group changed in memory.
static void roll_back(struct store *s)
{
	while (s->n_undo > 0) {
		s->n_undo--;
		s->newest[s->undo[s->n_undo].handle] = s->undo[s->n_undo].number;
	}
	s->next = s->next_before;
	s->stats = s->before;
}

int store_commit(struct store *s)
{
	int err = s->group_error;

	if (s->txn == NULL)
		return -EINVAL;
	if (err == 0)
		err = clean(s);
	if (err == 0)
		err = store_file_errno(mdb_txn_commit(s->txn));
	else
		mdb_txn_abort(s->txn);
	s->txn = NULL;
	if (err == 0) {
		s->stats.n_commits++;
		s->stats.last_error = 0;
		return 0;
	}
	roll_back(s);
	return fail(s, err);
}

void store_abort(struct store *s)
{
	if (s->txn == NULL)
		return;
	mdb_txn_abort(s->txn);
	s->txn = NULL;
	roll_back(s);
	if (s->group_error != 0)
		fail(s, s->group_error);
}

void store_forget(struct store *s, uint32_t handle)
{
	if (handle >= s->options.n_slots || s->newest[handle] == 0)
		return;
	s->newest[handle] = 0;
	s->stats.n_live--;
}

// Writes everything into the file of *s in groups that are not synced yet.
static int write_all(struct store *s, struct store_time now,
	bool (*next)(void *ctx, struct store_entry *out), void *ctx)
{
	struct store_entry entry;
	bool is_more = true;

	while (is_more) {
		int err = store_begin(s);

		alive_tell();
		for (int i = 0; err == 0 && is_more && i < REBUILD_GROUP; i++) {
			is_more = next(ctx, &entry);
			if (is_more)
				err = store_put(s, &entry, now);
		}
		if (err != 0) {
			store_abort(s);
			return err;
		}
		err = store_commit(s);
		if (err != 0)
			return err;
	}
	return 0;
}

// Makes the new file durable and gives it the name of the store.
static int put_in_place(struct store *s)
{
	int err = store_file_errno(mdb_env_sync(s->file.env, 1));

	if (err == 0)
		err = store_file_errno(mdb_env_set_flags(s->file.env, MDB_NOSYNC, 0));
	if (err == 0 && env_flags(s) != 0)
		err = store_file_errno(mdb_env_set_flags(s->file.env, env_flags(s), 1));
	if (err == 0 && renameat(s->dir_fd, NEW_NAME, s->dir_fd, FILE_NAME) != 0)
		err = -errno;
	return err;
}

int store_rebuild(struct store *s, struct store_time now,
	bool (*next)(void *ctx, struct store_entry *out), void *ctx)
{
	struct store old = *s;
	int err;

	if (s->txn != NULL)
		return -EINVAL;
	s->newest = map_newest(s->options.n_slots);
	if (s->newest == NULL) {
		s->newest = old.newest;
		return -ENOMEM;
	}
	s->stats.n_live = s->stats.n_log = 0;
	s->stats.has_failed = false;
	s->stats.last_error = 0;
	s->file = (struct store_file){ .id = old.file.id, .first = s->next };
	err = store_file_create(&s->file, s->new_path, map_bytes(s));
	if (err == 0)
		err = write_all(s, now, next, ctx);
	if (err == 0)
		err = put_in_place(s);
	if (err != 0) {
		store_file_close(&s->file);
		unlinkat(s->dir_fd, NEW_NAME, 0);
		munmap(s->newest, (size_t)s->options.n_slots * sizeof(*s->newest));
		old.undo = s->undo; // it may have moved
		old.undo_room = s->undo_room;
		old.n_undo = 0;
		*s = old;
		return err;
	}
	store_file_close(&old.file);
	munmap(old.newest, (size_t)s->options.n_slots * sizeof(*s->newest));
	if (fsync(s->dir_fd) != 0) {
		err = -errno;
		s->stats.has_failed = true;
	}
	return err;
}

uint64_t store_id(const struct store *s)
{
	return s->file.id;
}

uint64_t store_generation(const struct store *s)
{
	return s->next - 1;
}

struct store_stats store_stats(const struct store *s)
{
	return s->stats;
}
