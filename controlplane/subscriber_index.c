// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/subscriber_file.h"
#include "controlplane/subscriber_line.h"
#include "controlplane/subscriber_secured.h"
#include "dataplane/base/cursor.h"

static uint64_t sum_of(const struct subscriber_head *head)
{
	return XXH3_64bits(head, offsetof(struct subscriber_head, sum));
}

void subscriber_head_seal(struct subscriber_head *head)
{
	head->sum = sum_of(head);
}

uint64_t subscriber_hash(uint64_t seed, const void *key, size_t len)
{
	return XXH3_64bits_withSeed(key, len, seed);
}

// Reads the head, and finds the parts where it says that they are. Returns: 0 or -EBADMSG.
static int take_head(struct subscriber_index *ix)
{
	struct subscriber_head head;
	uint64_t at = sizeof(head);

	if (ix->map_len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, ix->map, sizeof(head));
	if (memcmp(head.magic, subscriber_magic, sizeof(head.magic)) != 0 ||
		head.version != SUBSCRIBER_FILE_VERSION || head.sum != sum_of(&head))
		return -EBADMSG;
	ix->seed = head.seed;
	ix->origin = head.origin;
	ix->records = ix->map + at;
	ix->records_len = head.records_len;
	at += head.records_len;
	for (unsigned int i = 0; i < SUBSCRIBER_N_BY; i++) {
		ix->by[i].slots = (void *)(uintptr_t)(ix->map + at);
		ix->by[i].mask = head.masks[i];
		at += ((uint64_t)head.masks[i] + 1) * sizeof(struct hindex_slot);
	}
	ix->secured = (const void *)(ix->map + at);
	at += head.origin.counts.n_secured * sizeof(*ix->secured);
	return at == ix->map_len ? 0 : -EBADMSG; // else cut short
}

int subscriber_index_open(struct subscriber_index *ix, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map = MAP_FAILED;
	int err = fd < 0 ? -errno : 0;

	*ix = (struct subscriber_index){ 0 };
	if (err == 0 && fstat(fd, &st) != 0)
		err = -errno;
	if (err == 0 && st.st_size == 0)
		err = -EBADMSG;
	if (err == 0) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		err = map == MAP_FAILED ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	if (err != 0)
		return err;
	ix->map = map;
	ix->map_len = (size_t)st.st_size;
	err = take_head(ix);
	if (err != 0)
		subscriber_index_close(ix);
	return err;
}

void subscriber_index_close(struct subscriber_index *ix)
{
	if (ix->map != NULL)
		munmap((void *)(uintptr_t)ix->map, ix->map_len);
	*ix = (struct subscriber_index){ 0 };
}

// Where a record stands and how long it is. Returns: its bytes, or NULL when it is not inside.
static const uint8_t *record_at(const struct subscriber_index *ix, uint32_t handle, size_t *len)
{
	size_t at = (size_t)handle * SUBSCRIBER_RECORD_ALIGN;
	uint16_t n;

	if (at + sizeof(n) > ix->records_len)
		return NULL;
	memcpy(&n, ix->records + at, sizeof(n));
	if (at + sizeof(n) + n > ix->records_len)
		return NULL;
	*len = n;
	return ix->records + at + sizeof(n);
}

int subscriber_index_read(
	const struct subscriber_index *ix, uint32_t handle, struct subscriber *out)
{
	size_t len = 0;
	const uint8_t *record = record_at(ix, handle, &len);

	return record == NULL ? -EBADMSG : subscriber_line_unpack(record, len, out);
}

int subscriber_index_read_secured(
	const struct subscriber_index *ix, uint32_t ref, struct subscriber_secured *out)
{
	size_t len = 0;
	const uint8_t *record = record_at(ix, ref, &len);

	out->ref = ref;
	return record == NULL ? -EBADMSG : secured_unpack(record, len, out);
}

int subscriber_index_each_secured(const struct subscriber_index *ix,
	int (*fn)(void *ctx, const struct subscriber_secured *s), void *ctx)
{
	struct subscriber_secured s;
	int err = 0;

	for (uint64_t i = 0; err == 0 && i < ix->origin.counts.n_secured; i++) {
		err = subscriber_index_read_secured(ix, ix->secured[i], &s);
		if (err == 0)
			err = fn(ctx, &s);
	}
	explicit_bzero(&s, sizeof(s));
	return err;
}

bool subscriber_has_key(
	const struct subscriber *s, enum subscriber_by by, const void *key, size_t len)
{
	if (by == SUBSCRIBER_BY_MN_ID)
		return s->mn_id_len == len && memcmp(s->mn_id, key, len) == 0;
	for (int i = 0; i < s->n_homes; i++)
		if (memcmp(&s->homes[i], key, sizeof(s->homes[i])) == 0)
			return true;
	return false;
}

int subscriber_index_find(const struct subscriber_index *ix, enum subscriber_by by, const void *key,
	size_t len, struct subscriber *out)
{
	const struct hindex *table = &ix->by[by];
	uint64_t hash = subscriber_hash(ix->seed, key, len);
	uint32_t pos, handle;
	int err;

	if (ix->map == NULL)
		return -ENOENT;
	for (pos = hindex_start(table, hash);; pos = hindex_after(table, pos)) {
		handle = hindex_candidate(table, hash, &pos);
		if (handle == HINDEX_NONE)
			return -ENOENT;
		err = subscriber_index_read(ix, handle, out);
		if (err != 0 || subscriber_has_key(out, by, key, len))
			return err;
	}
}

void subscriber_index_fetch_slot(
	const struct subscriber_index *ix, enum subscriber_by by, const void *key, size_t len)
{
	uint64_t hash = subscriber_hash(ix->seed, key, len);

	if (ix->map != NULL)
		__builtin_prefetch(&ix->by[by].slots[hindex_start(&ix->by[by], hash)]);
}

void subscriber_index_fetch_record(
	const struct subscriber_index *ix, enum subscriber_by by, const void *key, size_t len)
{
	uint64_t hash = subscriber_hash(ix->seed, key, len);
	uint32_t pos = hindex_start(&ix->by[by], hash), handle;
	const uint8_t *record;

	if (ix->map == NULL)
		return;
	handle = hindex_candidate(&ix->by[by], hash, &pos);
	if (handle == HINDEX_NONE)
		return;
	record = ix->records + (size_t)handle * SUBSCRIBER_RECORD_ALIGN;
	__builtin_prefetch(record);
	__builtin_prefetch(record + 64);
}
