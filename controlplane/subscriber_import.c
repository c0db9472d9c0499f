// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/subscriber_import.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/subscriber_line.h"
#include "dataplane/base/clock.h"

enum { ERRORS_SHOWN = 100, LEAST_PRIORITY = 19, BUFFER_BYTES = 65536 };

// Everything but is_cancelled and the thread is the thread's own until it has ended.
struct subscriber_import {
	pthread_t thread;
	int done_fd; // written by the thread as its last act
	atomic_bool is_cancelled;
	int result;
	struct subscriber_build *build; // owned
	struct subscriber_origin origin;
	const char *source, *new_path; // borrowed
	FILE *in; // owned
	FILE *err; // borrowed
	bool is_open_to_others;
	uint32_t line;
	uint64_t n_bad;
	char text[SUBSCRIBER_LINE_MAX + 2];
	char buffer[BUFFER_BYTES]; // of in; keys go through it
};

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

struct subscriber_origin subscriber_import_origin(
	const char *source, const struct stat *st, uint64_t security_id)
{
	return (struct subscriber_origin){
		.size = (uint64_t)st->st_size,
		.mtime_ns = ns_of(st->st_mtim),
		.ctime_ns = ns_of(st->st_ctim),
		.inode = st->st_ino,
		.path_hash = XXH3_64bits(source, strlen(source)),
		.security_id = security_id,
	};
}

static bool is_cancelled(void *ctx)
{
	return atomic_load_explicit(
		&((struct subscriber_import *)ctx)->is_cancelled, memory_order_relaxed);
}

static void report(struct subscriber_import *im, uint32_t line, const char *reason)
{
	if (im->n_bad++ < ERRORS_SHOWN)
		fprintf(im->err, "%s: line %u: %s\n", im->source, line, reason);
}

// Reads one line without its end. Returns: its length, -1 at the end of the file, or -2 (too long;
// the rest of it was skipped).
static ssize_t read_line(struct subscriber_import *im)
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

static void taken(void *ctx, const struct subscriber *s, int at, uint32_t line)
{
	char reason[SUBSCRIBER_REASON_LEN];
	char text[IP6_STRLEN];

	if (at < 0)
		snprintf(reason, sizeof(reason), "mn_id: line %u has the same", line);
	else
		snprintf(reason, sizeof(reason), "home_addresses[%d]: line %u has %s too", at, line,
			ip6_str(&s->homes[at], text));
	report(ctx, s->line, reason);
}

static void clashed(void *ctx, const struct subscriber_clash *clash)
{
	char reason[SUBSCRIBER_REASON_LEN];

	if (clash->is_key)
		snprintf(reason, sizeof(reason),
			"security_associations[%u].encryption_key: line %u has the same, and no "
			"two may share one",
			clash->at, clash->earlier_line);
	else
		snprintf(reason, sizeof(reason),
			"security_associations[%u].spi: line %u has the same inbound", clash->at,
			clash->earlier_line);
	report(ctx, clash->line, reason);
}

// Takes one line into the index. Returns: 0 (a bad line is reported and counted) or negative errno.
static int take_line(struct subscriber_import *im, ssize_t len)
{
	struct subscriber s;
	struct associations all;
	char reason[SUBSCRIBER_REASON_LEN];
	bool is_good;
	int err = 0;

	if (len == -2) {
		snprintf(reason, sizeof(reason), "line: longer than %d bytes", SUBSCRIBER_LINE_MAX);
		report(im, im->line, reason);
		return 0;
	}
	if (strspn(im->text, " \t\r\n") >= (size_t)len)
		return 0;
	is_good = subscriber_line_parse(im->text, (size_t)len, &s, &all, reason) == 0;
	if (!is_good) {
		report(im, im->line, reason);
	} else if ((s.n_keys > 0 || all.n > 0) && im->is_open_to_others) {
		report(im, im->line, "keys: others may read or write this file (chmod o-rw)");
	} else {
		s.line = im->line;
		err = subscriber_build_add(im->build, &s, &all);
	}
	explicit_bzero(&s, sizeof(s));
	if (!is_good || all.n > 0) // of a bad line a part may have been read
		explicit_bzero(&all, sizeof(all));
	return err;
}

static int take_lines(struct subscriber_import *im)
{
	ssize_t len;
	int err = 0;

	while (err == 0 && (len = read_line(im)) != -1) {
		err = take_line(im, len);
		if (is_cancelled(im))
			err = -ECANCELED;
	}
	if (err == 0 && ferror(im->in))
		err = -EIO;
	return err;
}

static int import(struct subscriber_import *im)
{
	int err = take_lines(im);

	if (err == 0)
		subscriber_build_check(im->build, clashed, im);
	if (err == 0)
		err = subscriber_build_end(im->build, &im->origin, taken, is_cancelled, im);
	if (im->n_bad > ERRORS_SHOWN)
		fprintf(im->err, "%s: %lu more lines are wrong\n", im->source,
			(unsigned long)(im->n_bad - ERRORS_SHOWN));
	if ((err == 0 || err == -EEXIST) && im->n_bad > 0)
		err = -EINVAL;
	if (err != 0)
		unlink(im->new_path);
	return err;
}

static void *run(void *arg)
{
	struct subscriber_import *im = arg;
	uint64_t one = 1;

	setpriority(PRIO_PROCESS, 0, LEAST_PRIORITY); // of this thread, as Linux has it
	im->result = import(im);
	if (write(im->done_fd, &one, sizeof(one)) < 0)
		abort(); // an eventfd takes a number
	return NULL;
}

static void import_free(struct subscriber_import *im)
{
	subscriber_build_free(im->build);
	if (im->done_fd >= 0)
		close(im->done_fd);
	fclose(im->in);
	explicit_bzero(im, sizeof(*im)); // the text that keys were read from
	free(im);
}

// Starts the thread without the signals of the process.
static int start(struct subscriber_import *im)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&im->thread, NULL, run, im);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct subscriber_import *subscriber_import_begin(FILE *in, const struct stat *st,
	const struct subscriber_origin *origin, const char *source, const char *new_path, FILE *err)
{
	struct subscriber_import *im = calloc(1, sizeof(*im));
	int error;

	if (im == NULL) {
		fclose(in);
		errno = ENOMEM;
		return NULL;
	}
	*im = (struct subscriber_import){ .in = in,
		.err = err,
		.source = source,
		.new_path = new_path,
		.origin = *origin,
		.is_open_to_others = (st->st_mode & (S_IROTH | S_IWOTH)) != 0 };
	setvbuf(in, im->buffer, _IOFBF, sizeof(im->buffer));
	im->done_fd = eventfd(0, EFD_CLOEXEC);
	im->build = im->done_fd < 0 ? NULL : subscriber_build_new(new_path);
	error = im->build == NULL ? errno : start(im);
	if (error == 0)
		return im;
	import_free(im);
	errno = error;
	return NULL;
}

int subscriber_import_fd(const struct subscriber_import *im)
{
	return im->done_fd;
}

void subscriber_import_cancel(struct subscriber_import *im)
{
	atomic_store_explicit(&im->is_cancelled, true, memory_order_relaxed);
}

int subscriber_import_end(struct subscriber_import *im)
{
	int result;

	pthread_join(im->thread, NULL);
	result = im->result;
	import_free(im);
	return result;
}
