// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/alive.h"
#include "controlplane/subscriber_index.h"
#include "controlplane/subscriber_line.h"
#include "controlplane/subscribers.h"
#include "dataplane/base/clock.h"

#define INDEX_NAME "subscribers.mdb"
#define NEW_NAME "subscribers.mdb.new"

enum {
	ERRORS_SHOWN = 100,
	CHECKPOINT_LINES = 10000,
};

struct subscribers {
	struct subscriber_index index;
	char *dir; // owned
	char path[PATH_MAX];
	char new_path[PATH_MAX];
	bool is_prepared; // next is to take the place of index
	struct subscriber_index next; // without env: nobody is subscribed
};

// One import.
struct import {
	struct subscriber_index index;
	const char *source;
	FILE *in;
	FILE *err;
	bool is_open_to_others;
	uint32_t line;
	uint64_t n_bad;
	char text[SUBSCRIBER_LINE_MAX + 2];
};

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct subscriber_origin origin_of(const char *source, const struct stat *st)
{
	return (struct subscriber_origin){
		.size = (uint64_t)st->st_size,
		.mtime_ns = ns_of(st->st_mtim),
		.ctime_ns = ns_of(st->st_ctim),
		.inode = st->st_ino,
		.path_hash = XXH3_64bits(source, strlen(source)),
	};
}

static bool is_same(const struct subscriber_origin *a, const struct subscriber_origin *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
	       a->inode == b->inode && a->path_hash == b->path_hash;
}

static void report(struct import *im, const char *reason)
{
	if (im->n_bad++ < ERRORS_SHOWN)
		fprintf(im->err, "%s: line %u: %s\n", im->source, im->line, reason);
}

// Reads one line without its end. Returns: its length, -1 at the end of the file, or -2 (too long;
// the rest of it was skipped).
static ssize_t read_line(struct import *im)
{
	size_t len;
	int c;

	if (fgets(im->text, sizeof(im->text), im->in) == NULL)
		return -1;
	im->line++;
	len = strlen(im->text);
	if (len > 0 && im->text[len - 1] == '\n')
		return (ssize_t)len - 1;
	if (len <= SUBSCRIBER_LINE_MAX)
		return (ssize_t)len;
	while ((c = getc(im->in)) != EOF && c != '\n')
		;
	return -2;
}

static void report_taken(struct import *im, const struct subscriber *s, int at, uint32_t line)
{
	char reason[SUBSCRIBER_REASON_LEN];
	char text[IP6_STRLEN];

	if (at < 0)
		snprintf(reason, sizeof(reason), "mn_id: line %u has the same", line);
	else
		snprintf(reason, sizeof(reason), "home_addresses[%d]: line %u has %s too", at, line,
			ip6_str(&s->homes[at], text));
	report(im, reason);
}

// Takes one line into the index. Returns: 0 (a bad line is reported and counted) or negative errno.
static int take_line(struct import *im, ssize_t len)
{
	struct subscriber s;
	char reason[SUBSCRIBER_REASON_LEN];
	uint32_t line;
	int at;
	int err;

	if (len == -2) {
		snprintf(reason, sizeof(reason), "line: longer than %d bytes", SUBSCRIBER_LINE_MAX);
		report(im, reason);
		return 0;
	}
	if (strspn(im->text, " \t\r\n") >= (size_t)len)
		return 0;
	if (subscriber_line_parse(im->text, (size_t)len, &s, reason) != 0) {
		report(im, reason);
		return 0;
	}
	if (s.n_keys > 0 && im->is_open_to_others) {
		report(im, "keys: others may read or write this file (chmod o-rw)");
		return 0;
	}
	s.line = im->line;
	err = subscriber_index_add(&im->index, &s, &at, &line);
	if (err == -EEXIST) {
		report_taken(im, &s, at, line);
		err = 0;
	}
	return err;
}

static int take_lines(struct import *im)
{
	ssize_t len;
	int err = 0;

	while (err == 0 && (len = read_line(im)) != -1) {
		alive_tell();
		err = take_line(im, len);
		if (err == 0 && im->line % CHECKPOINT_LINES == 0)
			err = subscriber_index_checkpoint(&im->index);
	}
	if (err == 0 && ferror(im->in))
		err = -EIO;
	explicit_bzero(im->text, sizeof(im->text));
	if (err == 0 && im->n_bad > 0) {
		if (im->n_bad > ERRORS_SHOWN)
			fprintf(im->err, "%s: %lu more lines are wrong\n", im->source,
				(unsigned long)(im->n_bad - ERRORS_SHOWN));
		err = -EINVAL;
	}
	return err;
}

// Gives the finished new index the name of the old one.
static int put_in_place(const struct subscribers *subs)
{
	int fd;
	int err;

	if (rename(subs->new_path, subs->path) != 0)
		return -errno;
	fd = open(subs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fsync(fd) != 0 ? -errno : 0;
	close(fd);
	return err;
}

// Imports the open source into a new index, in the file of the one in force. Returns: 0 or negative errno.
static int import(struct subscribers *subs, struct import *im, const struct stat *st)
{
	struct subscriber_origin origin = origin_of(im->source, st);
	int err = subscriber_index_create(&im->index, subs->new_path, (uint64_t)st->st_size);

	if (err != 0)
		return err;
	im->index.origin = origin;
	im->is_open_to_others = (st->st_mode & (S_IROTH | S_IWOTH)) != 0;
	err = take_lines(im);
	if (err == 0)
		err = subscriber_index_finish(&im->index);
	if (err == 0)
		err = put_in_place(subs);
	if (err != 0) {
		subscriber_index_close(&im->index);
		unlink(subs->new_path);
		return err;
	}
	subs->is_prepared = true;
	subs->next = im->index;
	return 0;
}

int subscribers_prepare(struct subscribers *subs, const char *source, FILE *err_file)
{
	struct subscriber_origin origin;
	struct import im = { .source = source, .err = err_file };
	struct stat st;
	int err = 0;

	subscribers_drop(subs);
	if (source == NULL) {
		subs->is_prepared = true;
		return 0;
	}
	im.in = fopen(source, "re");
	if (im.in == NULL || fstat(fileno(im.in), &st) != 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -ENOTSUP;
	if (err == 0) {
		origin = origin_of(source, &st);
		if (subs->index.env == NULL || !is_same(&origin, &subs->index.origin))
			err = import(subs, &im, &st);
	}
	if (err != 0 && err != -EINVAL)
		fprintf(err_file, "%s: %s\n", source, strerror(-err));
	if (im.in != NULL)
		fclose(im.in);
	return err;
}

void subscribers_take(struct subscribers *subs)
{
	if (!subs->is_prepared)
		return;
	subscriber_index_close(&subs->index);
	subs->index = subs->next;
	subs->next = (struct subscriber_index){ 0 };
	subs->is_prepared = false;
}

void subscribers_drop(struct subscribers *subs)
{
	subscriber_index_close(&subs->next);
	subs->is_prepared = false;
}

struct subscribers *subscribers_open(const char *state_dir, const char *source, FILE *err_file)
{
	struct subscribers *subs = calloc(1, sizeof(*subs));
	int err = 0;

	if (subs == NULL)
		return NULL;
	subs->dir = strdup(state_dir);
	if (subs->dir == NULL)
		err = -ENOMEM;
	else if (snprintf(subs->path, PATH_MAX, "%s/" INDEX_NAME, state_dir) >= PATH_MAX ||
		 snprintf(subs->new_path, PATH_MAX, "%s/" NEW_NAME, state_dir) >= PATH_MAX)
		err = -ENAMETOOLONG;
	// An index that cannot be used is made again from its source.
	if (err == 0 && source != NULL)
		subscriber_index_open(&subs->index, subs->path);
	if (err == 0)
		err = subscribers_prepare(subs, source, err_file);
	if (err != 0) {
		subscribers_close(subs);
		errno = -err;
		return NULL;
	}
	subscribers_take(subs);
	return subs;
}

void subscribers_close(struct subscribers *subs)
{
	if (subs == NULL)
		return;
	subscribers_drop(subs);
	subscriber_index_close(&subs->index);
	free(subs->dir);
	free(subs);
}

int subscribers_find_by_home(
	const struct subscribers *subs, const struct ip6 *home, struct subscriber *out)
{
	return subscriber_index_find(
		&subs->index, subs->index.by_home, (MDB_val){ sizeof(*home), (void *)home }, out);
}

int subscribers_find_by_mn_id(
	const struct subscribers *subs, const void *mn_id, size_t len, struct subscriber *out)
{
	if (len == 0 || len > BCE_MN_ID_MAX)
		return -ENOENT;
	return subscriber_index_find(
		&subs->index, subs->index.by_mn_id, (MDB_val){ len, (void *)mn_id }, out);
}

const struct subscriber_key *subscriber_find_key(const struct subscriber *subscriber, uint32_t spi)
{
	for (int i = 0; i < subscriber->n_keys; i++) {
		if (subscriber->keys[i].spi == spi)
			return &subscriber->keys[i];
	}
	return NULL;
}

bool subscriber_has_home(const struct subscriber *subscriber, const struct ip6 *home)
{
	for (int i = 0; i < subscriber->n_homes; i++) {
		if (ip6_eq(&subscriber->homes[i], home))
			return true;
	}
	return subscriber->n_homes == 0;
}

struct subscribers_counts subscribers_counts(const struct subscribers *subs)
{
	return subs->index.origin.counts;
}
