// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/subscribers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/alive.h"
#include "controlplane/subscriber_import.h"

#define INDEX_NAME "subscribers.index"
#define NEW_NAME "subscribers.index.new"

enum { ALIVE_MS = 500 };

struct subscribers {
	struct subscriber_index index;
	char *dir; // owned
	char path[PATH_MAX];
	char new_path[PATH_MAX];
	struct subscriber_import *import; // owned, NULL without
	char *source; // of the import; owned
	FILE *err; // of the import; borrowed
	uint64_t security_id;
	bool is_prepared; // next is to take the place of index
	struct subscriber_index next; // without map: nobody is subscribed
};

static bool is_same(const struct subscriber_origin *a, const struct subscriber_origin *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
	       a->inode == b->inode && a->path_hash == b->path_hash &&
	       (a->security_id == b->security_id || b->counts.n_secured == 0);
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

static int say(FILE *err_file, const char *source, int err)
{
	if (err < 0 && err != -EINVAL)
		fprintf(err_file, "%s: %s\n", source, strerror(-err));
	return err;
}

// Begins the import of an open source, unless it is the one in force. Returns: as subscribers_begin.
static int begin_import(struct subscribers *subs, FILE *in, const char *source)
{
	struct subscriber_origin origin;
	struct stat st;
	int err = fstat(fileno(in), &st) != 0 ? -errno : 0;

	if (err == 0 && !S_ISREG(st.st_mode))
		err = -ENOTSUP;
	if (err != 0) {
		fclose(in);
		return err;
	}
	origin = subscriber_import_origin(source, &st, subs->security_id);
	if (subs->index.map != NULL && is_same(&origin, &subs->index.origin)) {
		fclose(in);
		return 0;
	}
	subs->source = strdup(source);
	if (subs->source == NULL) {
		fclose(in);
		return -ENOMEM;
	}
	subs->import =
		subscriber_import_begin(in, &st, &origin, subs->source, subs->new_path, subs->err);
	return subs->import == NULL ? -errno : 1;
}

int subscribers_begin(struct subscribers *subs, const char *source, FILE *err_file)
{
	FILE *in;

	subscribers_drop(subs);
	if (source == NULL) {
		subs->is_prepared = true;
		return 0;
	}
	subs->err = err_file;
	in = fopen(source, "re");
	return say(err_file, source, in == NULL ? -errno : begin_import(subs, in, source));
}

int subscribers_fd(const struct subscribers *subs)
{
	return subscriber_import_fd(subs->import);
}

int subscribers_end(struct subscribers *subs)
{
	int err = subscriber_import_end(subs->import);

	subs->import = NULL;
	if (err == 0)
		err = put_in_place(subs);
	if (err == 0)
		err = subscriber_index_open(&subs->next, subs->path);
	subs->is_prepared = err == 0;
	return say(subs->err, subs->source, err);
}

int subscribers_prepare(struct subscribers *subs, const char *source, FILE *err_file)
{
	int result = subscribers_begin(subs, source, err_file);
	struct pollfd done;

	if (result != 1)
		return result;
	done = (struct pollfd){ .fd = subscribers_fd(subs), .events = POLLIN };
	while (poll(&done, 1, ALIVE_MS) != 1)
		alive_tell();
	return subscribers_end(subs);
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
	if (subs->import != NULL) {
		subscriber_import_cancel(subs->import);
		subscriber_import_end(subs->import);
	}
	subs->import = NULL;
	free(subs->source);
	subs->source = NULL;
	subscriber_index_close(&subs->next);
	subs->is_prepared = false;
}

struct subscribers *subscribers_open(
	const char *state_dir, const char *source, uint64_t security_id, FILE *err_file)
{
	struct subscribers *subs = calloc(1, sizeof(*subs));
	int err = 0;

	if (subs == NULL)
		return NULL;
	subs->security_id = security_id;
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
	return subscriber_index_find(&subs->index, SUBSCRIBER_BY_HOME, home, sizeof(*home), out);
}

int subscribers_find_by_mn_id(
	const struct subscribers *subs, const void *mn_id, size_t len, struct subscriber *out)
{
	if (len == 0 || len > BCE_MN_ID_MAX)
		return -ENOENT;
	return subscriber_index_find(&subs->index, SUBSCRIBER_BY_MN_ID, mn_id, len, out);
}

int subscribers_each_secured(const struct subscribers *subs, bool is_next,
	int (*fn)(void *ctx, const struct subscriber_secured *s), void *ctx)
{
	return subscriber_index_each_secured(
		is_next && subs->is_prepared ? &subs->next : &subs->index, fn, ctx);
}

int subscribers_each_foreign(const char *state_dir, uint64_t security_id,
	int (*fn)(void *ctx, const struct subscriber_secured *s), void *ctx)
{
	struct subscriber_index ix;
	char path[PATH_MAX];
	int err = 0;

	if (snprintf(path, sizeof(path), "%s/" INDEX_NAME, state_dir) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (subscriber_index_open(&ix, path) != 0)
		return 0; // none, or one that is made again
	if (ix.origin.security_id != security_id)
		err = subscriber_index_each_secured(&ix, fn, ctx);
	subscriber_index_close(&ix);
	return err;
}

int subscribers_find_secured(
	const struct subscribers *subs, uint32_t ref, struct subscriber_secured *out)
{
	return subscriber_index_read_secured(&subs->index, ref, out);
}

void subscribers_fetch(
	const struct subscribers *subs, const struct subscribers_key keys[], unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		subscriber_index_fetch_slot(&subs->index,
			keys[i].is_mn_id ? SUBSCRIBER_BY_MN_ID : SUBSCRIBER_BY_HOME, keys[i].p,
			keys[i].len);
	for (unsigned int i = 0; i < n; i++)
		subscriber_index_fetch_record(&subs->index,
			keys[i].is_mn_id ? SUBSCRIBER_BY_MN_ID : SUBSCRIBER_BY_HOME, keys[i].p,
			keys[i].len);
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
