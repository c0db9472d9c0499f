// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the store does when its process, its disk or its file fails.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "controlplane/store.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

#define S 1000000000ULL

enum { SLOTS = 200, PAGE = 4096 };

static const struct store_time t0 = { .boot_ns = 1000 * S, .wall_ns = 1700000000 * S };
static char err_text[STORE_ERR_LEN];
static bool is_sync_broken;

int fdatasync(int fd);

// In place of libc's, for LMDB too.
int fdatasync(int fd)
{
	if (is_sync_broken) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static struct store *open_quietly(const char *dir)
{
	struct store_options o = { .dir = dir, .n_slots = SLOTS, .boot_id = { 1 } };

	return store_open(&o, err_text);
}

static struct store *open_at(const char *dir)
{
	struct store *s = open_quietly(dir);

	if (s == NULL)
		printf("%s\n", err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static struct store_entry entry_of(uint32_t handle, uint32_t version)
{
	struct store_entry e = { .handle = handle };

	memcpy(&e.bce.home.b[12], &handle, sizeof(handle));
	e.bce.state = BCE_LIVE;
	e.bce.lifetime_s = 420;
	e.bce.expires_ns = t0.boot_ns + 420 * S;
	e.bce.generation = version;
	e.bce.mn_id_len = 40;
	memset(e.bce.mn_id, (int)version, e.bce.mn_id_len);
	return e;
}

// Version of each handle, 0 = not there.
struct table {
	uint32_t version[SLOTS];
};

static int collect(void *ctx, const struct store_entry *e)
{
	struct table *t = ctx;
	struct store_entry whole = entry_of(e->handle, e->bce.generation);

	if (!entry_eq(&whole, e))
		return -EILSEQ; // invented
	t->version[e->handle] = e->bce.generation;
	return 0;
}

static const struct store_replay_fns collecting = { .take = collect };

static int replay(struct store *s, struct table *t)
{
	memset(t, 0, sizeof(*t));
	return store_replay(s, t0, 10 * S, &collecting, t);
}

// Puts n entries as one group, handles from first on.
static int put_group(struct store *s, uint32_t first, uint32_t n, uint32_t version)
{
	int err = store_begin(s);

	if (err != 0)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		struct store_entry e = entry_of((first + i) % SLOTS, version);

		err = store_put(s, &e, t0);
		if (err != 0) {
			store_abort(s);
			return err;
		}
	}
	return store_commit(s);
}

// Version v is a group of this shape, the same for writer and checker.
static uint32_t first_of(uint32_t v)
{
	return v * 37 % SLOTS;
}

static uint32_t count_of(uint32_t v)
{
	return 1 + v * 13 % 60;
}

__attribute__((noreturn)) static void write_until_killed(const char *dir, uint32_t v, int pipe_fd)
{
	struct store *s = open_quietly(dir);

	while (s != NULL && put_group(s, first_of(v), count_of(v), v) == 0) {
		if (write(pipe_fd, &v, sizeof(v)) != sizeof(v))
			break;
		v++;
	}
	_exit(1);
}

// Applies the groups up to and with `to` to a table that has those before `from`.
static void apply(struct table *t, uint32_t from, uint32_t to)
{
	for (uint32_t v = from; v <= to; v++) {
		for (uint32_t i = 0; i < count_of(v); i++)
			t->version[(first_of(v) + i) % SLOTS] = v;
	}
}

// A writer is killed again and again: what it said it had committed is there, and of the group after
// that all or nothing.
static void test_kill(void)
{
	static struct table acked, next, found;
	uint64_t rng = 5;
	uint32_t v = 1; // the next group
	char dir[64];

	store_close(open_at(scratch_make(dir)));
	memset(&acked, 0, sizeof(acked));
	for (int round = 0; round < 40; round++) {
		uint32_t from = v, got;
		struct store *s;
		int fd[2];
		pid_t pid;

		CU_ASSERT_EQUAL_FATAL(pipe2(fd, O_CLOEXEC), 0);
		pid = fork();
		CU_ASSERT_TRUE_FATAL(pid >= 0);
		if (pid == 0)
			write_until_killed(dir, v, fd[1]);
		close(fd[1]);
		poll(&(struct pollfd){ .fd = fd[0], .events = POLLIN }, 1, 5000);
		usleep(rng_below(&rng, 20000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(fd[0], &got, sizeof(got)) == sizeof(got))
			v = got + 1;
		close(fd[0]);
		CU_ASSERT_TRUE_FATAL(v > from);
		apply(&acked, from, v - 1);
		next = acked;
		apply(&next, v, v);
		s = open_at(dir);
		CU_ASSERT_EQUAL_FATAL(replay(s, &found), 0);
		store_close(s);
		if (memcmp(&found, &next, sizeof(found)) == 0) { // committed, not yet said
			acked = next;
			v++;
		}
		CU_ASSERT_EQUAL_FATAL(memcmp(&found, &acked, sizeof(found)), 0);
	}
	scratch_remove(dir);
}

struct image {
	uint8_t *data;
	size_t len;
};

static struct image image_read(const char *path)
{
	struct image im = { 0 };
	struct stat st;
	int fd = open(path, O_RDONLY);

	CU_ASSERT_TRUE_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	im.len = (size_t)st.st_size;
	im.data = malloc(im.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(im.data);
	CU_ASSERT_EQUAL_FATAL(read(fd, im.data, im.len), st.st_size);
	close(fd);
	return im;
}

static void image_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, data, len), (ssize_t)len);
	close(fd);
}

// A store before and after one group, as images of its file.
struct before_after {
	char dir[64];
	char path[96];
	struct image before, after;
	struct table old, new;
};

static void before_after_make(struct before_after *b)
{
	struct store *s = open_at(scratch_make(b->dir));

	memset(&b->old, 0, sizeof(b->old));
	snprintf(b->path, sizeof(b->path), "%s/bindings.mdb", b->dir);
	for (uint32_t v = 1; v < 60; v++) // until the cleaner works and pages are used again
		CU_ASSERT_EQUAL_FATAL(put_group(s, first_of(v), count_of(v), v), 0);
	apply(&b->old, 1, 59);
	CU_ASSERT_TRUE(store_stats(s).n_cleaned > 0);
	b->before = image_read(b->path);
	CU_ASSERT_EQUAL_FATAL(put_group(s, first_of(60), count_of(60), 60), 0);
	b->after = image_read(b->path);
	b->new = b->old;
	apply(&b->new, 60, 60);
	CU_ASSERT_NOT_EQUAL(memcmp(&b->old, &b->new, sizeof(b->old)), 0);
	store_close(s);
}

static void before_after_end(struct before_after *b)
{
	free(b->before.data);
	free(b->after.data);
	scratch_remove(b->dir);
}

enum outcome { REFUSED, OLD, NEW, INVENTED };

// Starts on an image of the file.
static enum outcome start_on(const struct before_after *b, const void *data, size_t len)
{
	static struct table found;
	struct store *s;
	int err;

	image_write(b->path, data, len);
	s = open_quietly(b->dir);
	if (s == NULL)
		return errno == EBADMSG && strstr(err_text, "damaged") != NULL ? REFUSED : INVENTED;
	err = replay(s, &found);
	store_close(s);
	if (err != 0)
		return INVENTED;
	if (memcmp(&found, &b->old, sizeof(found)) == 0)
		return OLD;
	return memcmp(&found, &b->new, sizeof(found)) == 0 ? NEW : INVENTED;
}

// The write of a group, cut: its data pages come first in any order, then the root page.
static void test_torn_write(void)
{
	static struct before_after b;
	struct image mix;
	enum outcome last = OLD;
	size_t n_new = 0;
	uint64_t rng = 3;

	before_after_make(&b);
	mix = (struct image){ .data = calloc(1, b.after.len), .len = b.after.len };
	CU_ASSERT_PTR_NOT_NULL_FATAL(mix.data);
	CU_ASSERT_TRUE_FATAL(b.before.len <= b.after.len);
	memcpy(mix.data, b.before.data, b.before.len);
	for (int round = 0; round < 30; round++) { // some of the pages
		for (size_t at = 2 * PAGE; at < mix.len; at += PAGE) {
			if (rng_below(&rng, 2) == 0)
				memcpy(mix.data + at, b.after.data + at, PAGE);
		}
		CU_ASSERT_EQUAL_FATAL(start_on(&b, mix.data, mix.len), OLD);
		memcpy(mix.data, b.before.data, b.before.len);
	}
	for (size_t at = 2 * PAGE; at < mix.len; at++) { // byte by byte, where there is a change
		if (mix.data[at] == b.after.data[at])
			continue;
		mix.data[at] = b.after.data[at];
		if (rng_below(&rng, 64) == 0)
			CU_ASSERT_EQUAL_FATAL(start_on(&b, mix.data, mix.len), OLD);
	}
	for (size_t at = 0; at < 2 * PAGE; at++) { // every byte of the root page
		enum outcome now;

		if (mix.data[at] == b.after.data[at])
			continue;
		mix.data[at] = b.after.data[at];
		now = start_on(&b, mix.data, mix.len);
		CU_ASSERT_TRUE_FATAL(now == OLD || now == NEW);
		CU_ASSERT_TRUE(now >= last); // once new, new
		last = now;
		n_new += now == NEW;
	}
	CU_ASSERT_TRUE(n_new > 0);
	CU_ASSERT_EQUAL(start_on(&b, b.after.data, b.after.len), NEW);
	free(mix.data);
	before_after_end(&b);
}

// A file that lost its end: all of it or an error, nothing else.
static void test_cut_file(void)
{
	static struct before_after b;
	uint64_t rng = 11;
	size_t n_refused = 0;

	before_after_make(&b);
	for (size_t len = 0; len < b.after.len; len += PAGE) {
		size_t odd = len + rng_below(&rng, PAGE);
		enum outcome whole = start_on(&b, b.after.data, len);

		CU_ASSERT_TRUE_FATAL(whole == REFUSED || whole == NEW);
		n_refused += whole == REFUSED;
		whole = start_on(&b, b.after.data, odd);
		CU_ASSERT_TRUE_FATAL(whole == REFUSED || whole == NEW);
	}
	CU_ASSERT_TRUE(n_refused > 0);
	before_after_end(&b);
}

// Single damaged bytes: the right bindings or an error. (A damaged root page may leave the one before
// it; LMDB keeps two.)
static void test_flipped(void)
{
	static struct before_after b;
	uint64_t rng = 17;
	size_t n_refused = 0;

	before_after_make(&b);
	for (int round = 0; round < 400; round++) {
		size_t at = round % 4 == 0
				    ? rng_below(&rng, 2 * PAGE) % 200 + (round % 8) / 4 * PAGE
				    : rng_below(&rng, (uint32_t)b.after.len);
		uint8_t kept = b.after.data[at];
		enum outcome o;

		b.after.data[at] ^= (uint8_t)(1 + rng_below(&rng, 255));
		o = start_on(&b, b.after.data, b.after.len);
		b.after.data[at] = kept;
		if (o == INVENTED && strstr(err_text, "version") == NULL)
			printf("byte %zu: %s\n", at, err_text);
		CU_ASSERT_TRUE(o != INVENTED || strstr(err_text, "version") != NULL);
		n_refused += o == REFUSED;
	}
	CU_ASSERT_TRUE(n_refused > 20);
	before_after_end(&b);
}

struct feed {
	const struct table *from;
	uint32_t h;
};

static bool feed_next(void *ctx, struct store_entry *out)
{
	struct feed *f = ctx;

	while (f->h < SLOTS && f->from->version[f->h] == 0)
		f->h++;
	if (f->h == SLOTS)
		return false;
	*out = entry_of(f->h, f->from->version[f->h]);
	f->h++;
	return true;
}

static void test_sync_error(void)
{
	static struct table model, found;
	struct feed feed = { .from = &model };
	char dir[64];
	struct store *s = open_at(scratch_make(dir));

	memset(&model, 0, sizeof(model));
	CU_ASSERT_EQUAL(put_group(s, first_of(1), count_of(1), 1), 0);
	apply(&model, 1, 1);
	is_sync_broken = true;
	CU_ASSERT_EQUAL(put_group(s, first_of(2), count_of(2), 2), -EIO);
	CU_ASSERT_TRUE(store_stats(s).has_failed);
	CU_ASSERT_EQUAL(store_rebuild(s, t0, feed_next, &feed), -EIO);
	is_sync_broken = false;
	// The disk works again, but what this file has nobody knows.
	CU_ASSERT_EQUAL(put_group(s, first_of(3), count_of(3), 3), -EIO);
	CU_ASSERT_EQUAL(store_stats(s).n_commit_errors, 1);
	feed.h = 0;
	CU_ASSERT_EQUAL(store_rebuild(s, t0, feed_next, &feed), 0);
	CU_ASSERT_FALSE(store_stats(s).has_failed);
	CU_ASSERT_EQUAL(put_group(s, first_of(4), count_of(4), 4), 0);
	apply(&model, 4, 4);
	store_close(s);
	s = open_at(dir);
	CU_ASSERT_EQUAL(replay(s, &found), 0);
	CU_ASSERT_EQUAL(memcmp(&found, &model, sizeof(found)), 0);
	store_close(s);
	scratch_remove(dir);
}

static void fill_disk(const char *path, size_t leave)
{
	static const char block[PAGE];
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	while (write(fd, block, sizeof(block)) == sizeof(block))
		;
	if (fstat(fd, &st) != 0 || ftruncate(fd, st.st_size - (off_t)leave) != 0)
		_exit(20);
	close(fd);
}

#define STEP(condition)                             \
	do {                                        \
		if (!(condition))                   \
			_exit(__LINE__ % 200 + 30); \
	} while (0)

// On a tmpfs of its own: commits until it is full, then makes room.
__attribute__((noreturn)) static void run_full_disk(const char *dir)
{
	static struct table model, found;
	struct feed feed = { .from = &model };
	char balloon[96];
	struct store *s;
	uint32_t v = 1;
	int err;

	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		_exit(10);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tmpfs", dir, "tmpfs", 0, "size=4m") != 0)
		_exit(10);
	s = open_quietly(dir);
	STEP(s != NULL);
	snprintf(balloon, sizeof(balloon), "%s/balloon", dir);
	fill_disk(balloon, (size_t)16 * PAGE);
	while ((err = put_group(s, first_of(v), count_of(v), v)) == 0)
		apply(&model, v, v), v++;
	STEP(err == -ENOSPC);
	STEP(v > 1);
	STEP(!store_stats(s).has_failed);
	STEP(store_stats(s).n_commit_errors == 1);
	STEP(replay(s, &found) == 0 && memcmp(&found, &model, sizeof(found)) == 0);
	STEP(store_rebuild(s, t0, feed_next, &feed) == -ENOSPC); // the old file stays
	STEP(replay(s, &found) == 0 && memcmp(&found, &model, sizeof(found)) == 0);
	STEP(unlink(balloon) == 0);
	v += 100; // not what was refused
	STEP(put_group(s, first_of(v), count_of(v), v) == 0);
	apply(&model, v, v);
	fill_disk(balloon, 0);
	store_close(s);
	s = open_quietly(dir); // a full disk does not keep us from starting
	STEP(s != NULL);
	STEP(replay(s, &found) == 0 && memcmp(&found, &model, sizeof(found)) == 0);
	store_close(s);
	_exit(0);
}

static void test_full_disk(void)
{
	char dir[64];
	int status = 0;
	pid_t pid;

	scratch_make(dir);
	pid = fork();
	CU_ASSERT_TRUE_FATAL(pid >= 0);
	if (pid == 0)
		run_full_disk(dir);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 10)
		printf("skipped: no file system of our own here ");
	else
		CU_ASSERT_EQUAL(status, 0);
	if (status != 0)
		printf("status %d (step at line %d modulo 200) ", status, WEXITSTATUS(status) - 30);
	scratch_remove(dir);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "kill -9 while writing", test_kill },
		{ "a torn write", test_torn_write },
		{ "a file cut short", test_cut_file },
		{ "flipped bits", test_flipped },
		{ "a sync that fails", test_sync_error },
		{ "a full disk", test_full_disk },
		CU_TEST_INFO_NULL,
	};

	return suite_run("store crash", tests);
}
