// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "controlplane/subscriber_file.h"
#include "controlplane/subscriber_line.h"
#include "controlplane/subscriber_secured.h"

enum { FILE_MODE = 0600, BUFFER_BYTES = 1 << 20, ASK_EVERY = 4096 };

// A key that a record is to be found by.
struct entry {
	uint64_t hash;
	uint32_t handle;
};

struct entries {
	struct entry *all; // owned
	size_t n, room;
};

struct subscriber_build {
	FILE *out; // owned
	uint64_t records_len;
	uint64_t seed;
	struct subscribers_counts counts;
	struct entries by[SUBSCRIBER_N_BY];
	struct secured_list secured;
	char buffer[BUFFER_BYTES]; // of out; keys go through it
};

// What subscriber_build_end was called with.
struct ending {
	void (*taken)(void *ctx, const struct subscriber *s, int at, uint32_t line);
	bool (*is_cancelled)(void *ctx);
	void *ctx;
	bool has_twins;
};

struct subscriber_build *subscriber_build_new(const char *path)
{
	struct subscriber_build *b = calloc(1, sizeof(*b));
	struct subscriber_head none = { 0 };
	int fd, error;

	if (b == NULL)
		return NULL;
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	b->out = fd < 0 ? NULL : fdopen(fd, "w+e");
	if (b->out != NULL && setvbuf(b->out, b->buffer, _IOFBF, BUFFER_BYTES) == 0 &&
		fwrite(&none, sizeof(none), 1, b->out) == 1 &&
		getrandom(&b->seed, sizeof(b->seed), 0) == (ssize_t)sizeof(b->seed))
		return b;
	error = errno;
	if (b->out == NULL && fd >= 0)
		close(fd);
	subscriber_build_free(b);
	errno = error;
	return NULL;
}

void subscriber_build_free(struct subscriber_build *b)
{
	if (b == NULL)
		return;
	if (b->out != NULL)
		fclose(b->out);
	for (unsigned int i = 0; i < SUBSCRIBER_N_BY; i++)
		free(b->by[i].all);
	secured_list_free(&b->secured);
	explicit_bzero(b->buffer, sizeof(b->buffer));
	free(b);
}

static int note(struct subscriber_build *b, enum subscriber_by by, const void *key, size_t len)
{
	struct entries *e = &b->by[by];

	if (e->n == e->room) {
		size_t room = e->room == 0 ? 1024 : 2 * e->room;
		struct entry *all = reallocarray(e->all, room, sizeof(*all));

		if (all == NULL)
			return -ENOMEM;
		e->all = all;
		e->room = room;
	}
	e->all[e->n++] = (struct entry){ .hash = subscriber_hash(b->seed, key, len),
		.handle = (uint32_t)(b->records_len / SUBSCRIBER_RECORD_ALIGN) };
	return 0;
}

// Appends a record of n bytes that stands in buf behind room for its length, and wipes it.
static int write_record(struct subscriber_build *b, uint8_t *buf, uint16_t n)
{
	size_t len = (sizeof(n) + n + SUBSCRIBER_RECORD_ALIGN - 1) / SUBSCRIBER_RECORD_ALIGN *
		     SUBSCRIBER_RECORD_ALIGN;
	int err = 0;

	memcpy(buf, &n, sizeof(n));
	memset(buf + sizeof(n) + n, 0, len - sizeof(n) - n);
	if (fwrite(buf, len, 1, b->out) != 1)
		err = -errno;
	explicit_bzero(buf, len);
	b->records_len += len;
	return err;
}

static int add_secured(
	struct subscriber_build *b, const struct subscriber *s, const struct associations *all)
{
	uint8_t buf[2 + SECURED_BYTES_MAX + SUBSCRIBER_RECORD_ALIGN];
	uint32_t handle = (uint32_t)(b->records_len / SUBSCRIBER_RECORD_ALIGN);
	uint16_t n = (uint16_t)secured_pack(s, all, buf + 2, SECURED_BYTES_MAX);
	int err = secured_list_add(&b->secured, handle, s->line, all);

	b->counts.n_secured++;
	return err != 0 ? err : write_record(b, buf, n);
}

int subscriber_build_add(
	struct subscriber_build *b, const struct subscriber *s, const struct associations *all)
{
	uint8_t buf[2 + SUBSCRIBER_BYTES_MAX + SUBSCRIBER_RECORD_ALIGN];
	uint16_t n = (uint16_t)subscriber_line_pack(s, buf + 2, SUBSCRIBER_BYTES_MAX);
	int err = 0;

	if (b->records_len / SUBSCRIBER_RECORD_ALIGN >= HINDEX_NONE - 1)
		return -EFBIG;
	for (int i = 0; err == 0 && i < s->n_homes; i++)
		err = note(b, SUBSCRIBER_BY_HOME, &s->homes[i], sizeof(s->homes[i]));
	if (err == 0 && s->mn_id_len > 0)
		err = note(b, SUBSCRIBER_BY_MN_ID, s->mn_id, s->mn_id_len);
	if (err == 0)
		err = write_record(b, buf, n);
	if (err == 0 && all->n > 0)
		err = add_secured(b, s, all);
	if (err != 0)
		return err;
	b->counts.n_subscribers++;
	b->counts.n_homes += s->n_homes;
	b->counts.n_keys += s->n_keys;
	return 0;
}

// The index of the home address that two subscribers have, or -1: they have the MN-ID.
static int which(const struct subscriber *a, const struct subscriber *b, enum subscriber_by by)
{
	for (int i = 0; by == SUBSCRIBER_BY_HOME && i < b->n_homes; i++)
		if (subscriber_has_key(a, by, &b->homes[i], sizeof(b->homes[i])))
			return i;
	return -1;
}

// Whether the later of two records with one hash has the key of the earlier one, and says so.
static bool is_twin(const struct subscriber_index *ix, enum subscriber_by by, uint32_t earlier,
	uint32_t later, struct ending *end)
{
	struct subscriber a, b;
	int at;

	if (subscriber_index_read(ix, earlier, &a) != 0 ||
		subscriber_index_read(ix, later, &b) != 0)
		return false;
	at = which(&a, &b, by);
	if (at < 0 &&
		(by == SUBSCRIBER_BY_HOME || !subscriber_has_key(&a, by, b.mn_id, b.mn_id_len)))
		return false;
	end->has_twins = true;
	end->taken(end->ctx, &b, at, a.line);
	return true;
}

// Fills one table. Returns: 0 or negative errno.
static int fill(const struct entries *e, const struct subscriber_index *ix, enum subscriber_by by,
	struct hindex *table, struct ending *end)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct entry *entry = &e->all[i];
		uint32_t pos = hindex_start(table, entry->hash), other;

		if (i % ASK_EVERY == 0 && end->is_cancelled(end->ctx))
			return -ECANCELED;
		for (;; pos = hindex_after(table, pos)) {
			other = hindex_candidate(table, entry->hash, &pos);
			if (other == HINDEX_NONE || is_twin(ix, by, other, entry->handle, end))
				break;
		}
		if (other == HINDEX_NONE)
			hindex_put(table, pos, entry->hash, entry->handle);
	}
	return 0;
}

// Makes a table and appends it to the file. Returns: 0 or negative errno.
static int add_table(struct subscriber_build *b, const struct subscriber_index *ix,
	enum subscriber_by by, struct subscriber_head *head, struct ending *end)
{
	const struct entries *e = &b->by[by];
	struct hindex table;
	int err = e->n > UINT32_MAX / 4 ? -EFBIG : hindex_init(&table, (uint32_t)e->n);

	if (err != 0)
		return err;
	err = fill(e, ix, by, &table, end);
	head->masks[by] = table.mask;
	if (err == 0 && fwrite(table.slots, sizeof(*table.slots), (size_t)table.mask + 1, b->out) !=
				(size_t)table.mask + 1)
		err = -errno;
	hindex_fini(&table);
	return err;
}

void subscriber_build_check(struct subscriber_build *b,
	void (*clashed)(void *ctx, const struct subscriber_clash *clash), void *ctx)
{
	secured_list_check(&b->secured, clashed, ctx);
}

// Maps the records that were written so far.
static int map_records(struct subscriber_build *b, struct subscriber_index *ix)
{
	void *map;

	if (fflush(b->out) != 0)
		return -errno;
	ix->map_len = sizeof(struct subscriber_head) + b->records_len;
	map = mmap(NULL, ix->map_len, PROT_READ, MAP_SHARED, fileno(b->out), 0);
	if (map == MAP_FAILED)
		return -errno;
	ix->map = map;
	ix->records = ix->map + sizeof(struct subscriber_head);
	ix->records_len = b->records_len;
	return 0;
}

static int write_head(struct subscriber_build *b, struct subscriber_head *head)
{
	subscriber_head_seal(head);
	if (fseek(b->out, 0, SEEK_SET) != 0 || fwrite(head, sizeof(*head), 1, b->out) != 1 ||
		fflush(b->out) != 0 || fsync(fileno(b->out)) != 0)
		return -errno;
	return 0;
}

int subscriber_build_end(struct subscriber_build *b, const struct subscriber_origin *origin,
	void (*taken)(void *ctx, const struct subscriber *s, int at, uint32_t line),
	bool (*is_cancelled)(void *ctx), void *ctx)
{
	struct ending end = { .taken = taken, .is_cancelled = is_cancelled, .ctx = ctx };
	struct subscriber_head head = { .magic = subscriber_magic,
		.version = SUBSCRIBER_FILE_VERSION,
		.seed = b->seed,
		.records_len = b->records_len,
		.origin = *origin };
	struct subscriber_index ix = { 0 };
	int err = map_records(b, &ix);

	head.origin.counts = b->counts;
	for (unsigned int by = 0; err == 0 && by < SUBSCRIBER_N_BY; by++)
		err = add_table(b, &ix, by, &head, &end);
	subscriber_index_close(&ix);
	if (err == 0 && b->secured.n > 0 &&
		fwrite(b->secured.handles, sizeof(*b->secured.handles), b->secured.n, b->out) !=
			b->secured.n)
		err = -errno;
	if (err == 0 && end.has_twins)
		err = -EEXIST;
	return err != 0 ? err : write_head(b, &head);
}
