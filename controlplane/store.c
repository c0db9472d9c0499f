// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/store.h"
#include "controlplane/store_log.h"

#define FILE_NAME "bindings.mdb"
#define NEW_NAME "bindings.mdb.new"
#define LOCK_NAME "lock"

enum {
	MAP_RECORD_BYTES = 3 * 256, // a log of twice the bindings, and room to copy on write
	MAP_SLACK_BYTES = 64 << 20,
	REBUILD_GROUP = 1024, // entries of a step
	BOOT_ID_TEXT = 37,
};

struct store {
	struct store_log log; // of the file in force
	struct store_log *rebuilt; // owned; of the new one, NULL = no rebuild is on its way
	struct store_options options;
	char path[PATH_MAX];
	char new_path[PATH_MAX];
	int dir_fd;
	int lock_fd; // holds the flock
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

static bool work_meanwhile(void *arg)
{
	const struct store *s = arg;
	uint64_t n = __atomic_load_n(&s->log.newest->n_live, __ATOMIC_RELAXED); // the child's

	return s->options.meanwhile(s->options.meanwhile_ctx, (uint32_t)n);
}

// Checks the file that is there, and opens it. What the check has seen of the log is what it is.
static int open_old(struct store *s)
{
	struct store_log *log = &s->log;
	struct store_log_noting noting = { .newest = log->newest, .n_slots = log->n_slots };
	const struct store_file_meanwhile meanwhile = { .ctx = s, .work = work_meanwhile };
	int err = store_file_check(
		s->path, store_log_note, &noting, s->options.meanwhile != NULL ? &meanwhile : NULL);

	if (err == 0)
		err = store_file_open(&log->file, s->path, map_bytes(s), env_flags(s));
	if (err == 0 && log->newest->next < log->file.first)
		log->newest->next = log->file.first;
	return err;
}

// Opens the file that is there, or makes one.
static int open_file(struct store *s)
{
	uint64_t id = 0;

	unlinkat(s->dir_fd, NEW_NAME, 0); // of a rebuild that was killed
	if (faccessat(s->dir_fd, FILE_NAME, F_OK, 0) == 0)
		return open_old(s);
	if (errno != ENOENT)
		return -errno;
	while (id == 0) {
		if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
			return -EIO;
	}
	s->log.file.id = id;
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
	if (snprintf(s->path, PATH_MAX, "%s/" FILE_NAME, options->dir) >= PATH_MAX ||
		snprintf(s->new_path, PATH_MAX, "%s/" NEW_NAME, options->dir) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

// Gives up a rebuild. Returns: err.
static int drop_rebuilt(struct store *s, int err)
{
	if (s->rebuilt == NULL)
		return err;
	store_log_fini(s->rebuilt);
	free(s->rebuilt);
	s->rebuilt = NULL;
	unlinkat(s->dir_fd, NEW_NAME, 0);
	return err;
}

struct store *store_open(const struct store_options *options, char err_text[static STORE_ERR_LEN])
{
	struct store *s = calloc(1, sizeof(*s));
	int err = s == NULL ? -ENOMEM : prepare(s, options);

	if (err == 0)
		err = lock_dir(s, options->dir);
	if (err == 0)
		err = store_log_init(
			&s->log, options->n_slots, record_boot_tag(options->boot_id), s->dir_fd);
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
	drop_rebuilt(s, 0);
	store_log_fini(&s->log);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s);
}

enum { AHEAD = 32 }; // entries whose memory is fetched together

struct replay {
	struct store *store;
	struct store_time now;
	uint64_t hold_ns;
	const struct store_replay_fns *fns;
	void *ctx;
	unsigned int n;
	struct store_file_entry gathered[AHEAD];
	uint32_t handles[AHEAD]; // of those
	struct store_entry entries[AHEAD]; // to be taken
};

// How long until the end that the record carries; negative when it has passed.
static int64_t left_ns(const struct replay *p, const struct record *r)
{
	const struct bce *b = &r->entry.bce;
	uint64_t most = b->state == BCE_HOLD ? p->hold_ns : b->lifetime_s * 1000000000ULL;
	int64_t left;

	if (r->boot_tag == p->store->log.boot_tag)
		return (int64_t)(b->expires_ns - p->now.boot_ns);
	left = (int64_t)(r->expires_wall_ns - p->now.wall_ns);
	return left > (int64_t)most ? (int64_t)most : left;
}

// Reads an entry that is the newest of its handle; forgets what is too old.
// Returns: 1 = it is in out, 0 = it is not, or negative errno.
static int read_newest(
	const struct replay *p, const struct store_file_entry *from, struct store_entry *out)
{
	struct record r;
	int err = record_decode(from->data, from->len, from->number, &r);
	int64_t left;

	if (err != 0)
		return err;
	left = left_ns(p, &r);
	if (left + (int64_t)p->hold_ns <= 0) {
		store_forget(p->store, r.entry.handle);
		return 0;
	}
	*out = r.entry;
	if (left < 0 && (uint64_t)-left > p->now.boot_ns)
		out->bce.expires_ns = 0;
	else
		out->bce.expires_ns = p->now.boot_ns + (uint64_t)left;
	return 1;
}

// Reads what is the newest of its handle of what was gathered: in a log that was written for long every
// other one is not. Returns: how many, or negative errno.
static int read_gathered(struct replay *p)
{
	int n = 0;

	for (unsigned int i = 0; i < p->n; i++) {
		struct store_entry *entry = &p->entries[n];
		int is_read;

		if (p->store->log.newest->numbers[p->handles[i]] != p->gathered[i].number)
			continue;
		is_read = read_newest(p, &p->gathered[i], entry);
		if (is_read < 0)
			return is_read;
		if (is_read == 1 && p->fns->expect != NULL)
			p->fns->expect(p->ctx, entry);
		n += is_read;
	}
	return n;
}

// Hands over what was gathered.
static int take_entries(struct replay *p)
{
	int n = read_gathered(p);
	int err = n < 0 ? n : 0;

	for (int i = 0; err == 0 && i < n; i++) {
		err = p->fns->take(p->ctx, &p->entries[i]);
		if (err == -ESTALE) {
			store_forget(p->store, p->entries[i].handle);
			err = 0;
		}
	}
	p->n = 0;
	return err;
}

static int replay_entry(void *ctx, const struct store_file_entry *entry)
{
	struct replay *p = ctx;
	uint32_t *handle = &p->handles[p->n];

	if (record_handle(entry->data, entry->len, handle) != 0 || *handle >= p->store->log.n_slots)
		return -EBADMSG;
	store_fetch(p->store, *handle);
	p->gathered[p->n] = *entry;
	return ++p->n == AHEAD ? take_entries(p) : 0;
}

int store_replay(struct store *s, struct store_time now, uint64_t hold_ns,
	const struct store_replay_fns *fns, void *ctx)
{
	struct replay p = { .store = s, .now = now, .hold_ns = hold_ns, .fns = fns, .ctx = ctx };
	int err = store_file_walk(&s->log.file, replay_entry, &p);

	return err == 0 ? take_entries(&p) : err;
}

int store_begin(struct store *s)
{
	return store_log_begin(&s->log);
}

int store_put(struct store *s, const struct store_entry *entry, struct store_time now)
{
	return store_log_put(&s->log, entry, now);
}

void store_fetch(const struct store *s, uint32_t handle)
{
	if (handle < s->log.n_slots)
		__builtin_prefetch(&s->log.newest->numbers[handle], 1);
}

int store_commit(struct store *s)
{
	return store_log_commit(&s->log);
}

void store_abort(struct store *s)
{
	store_log_abort(&s->log);
}

void store_forget(struct store *s, uint32_t handle)
{
	store_log_forget(&s->log, handle);
	if (s->rebuilt != NULL)
		store_log_forget(s->rebuilt, handle);
}

int store_rebuild_begin(struct store *s)
{
	struct store_log *log;
	int err;

	if (s->log.txn != NULL || s->rebuilt != NULL)
		return -EINVAL;
	log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	s->rebuilt = log;
	err = store_log_init(log, s->log.n_slots, s->log.boot_tag, s->dir_fd);
	if (err != 0)
		return drop_rebuilt(s, err);
	log->newest->next = s->log.newest->next;
	log->stats = s->log.stats;
	log->stats.has_failed = false;
	log->stats.last_error = 0;
	log->file = (struct store_file){ .id = s->log.file.id, .first = log->newest->next };
	err = store_file_create(&log->file, s->new_path, map_bytes(s));
	return err == 0 ? 0 : drop_rebuilt(s, err);
}

// Puts the new file, whose groups are durable, in the place of the old one.
static int put_in_place(struct store *s)
{
	struct store_log *log = s->rebuilt;
	int err = 0;

	if (env_flags(s) != 0)
		err = store_file_errno(mdb_env_set_flags(log->file.env, env_flags(s), 1));
	if (err == 0 && renameat(s->dir_fd, NEW_NAME, s->dir_fd, FILE_NAME) != 0)
		err = -errno;
	if (err != 0)
		return drop_rebuilt(s, err);
	store_log_fini(&s->log);
	s->log = *log;
	free(log);
	s->rebuilt = NULL;
	if (fsync(s->dir_fd) != 0) {
		err = -errno;
		s->log.stats.has_failed = true;
	}
	return err;
}

int store_rebuild_step(struct store *s, struct store_time now,
	bool (*next)(void *ctx, struct store_entry *out), void *ctx)
{
	struct store_log *log = s->rebuilt;
	struct store_entry entry;
	bool is_more = true;
	int err = store_log_begin(log);

	for (int i = 0; err == 0 && is_more && i < REBUILD_GROUP; i++) {
		is_more = next(ctx, &entry);
		if (is_more)
			err = store_log_put(log, &entry, now);
	}
	if (err == 0)
		err = store_log_commit(log);
	if (err != 0)
		return drop_rebuilt(s, err);
	return is_more ? 1 : put_in_place(s);
}

int store_rebuild(struct store *s, struct store_time now,
	bool (*next)(void *ctx, struct store_entry *out), void *ctx)
{
	int result = store_rebuild_begin(s);

	if (result != 0)
		return result;
	do
		result = store_rebuild_step(s, now, next, ctx);
	while (result == 1);
	return result;
}

uint64_t store_id(const struct store *s)
{
	return s->log.file.id;
}

uint64_t store_generation(const struct store *s)
{
	return s->log.newest->next - 1;
}

uint32_t store_handles(const struct store *s)
{
	uint32_t n = s->log.n_slots;

	while (n > 0 && s->log.newest->numbers[n - 1] == 0)
		n--;
	return n;
}

struct store_stats store_stats(const struct store *s)
{
	struct store_stats stats = s->log.stats;

	stats.n_live = s->log.newest->n_live;
	stats.n_log = s->log.newest->n_log;
	return stats;
}
