// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/reserve.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

static char dir[64];

static struct association_mark mark(uint8_t n)
{
	return (struct association_mark){ .b = { n } };
}

// Writes one entry in a group of its own. Returns: as reserve_commit.
static int write_one(struct reserve *r, uint8_t n, uint64_t end)
{
	struct association_mark m = mark(n);
	struct reserve_entry entry = { .end = end, .since_s = 77, .flags = RESERVE_EXPIRED };
	int err = reserve_begin(r);

	if (err != 0)
		return err;
	reserve_put(r, &m, &entry);
	return reserve_commit(r);
}

static uint64_t end_of(struct reserve *r, uint8_t n)
{
	struct association_mark m = mark(n);
	struct reserve_entry entry;

	return reserve_find(r, &m, &entry) == 0 ? entry.end : 0;
}

static void put_flagged(struct reserve *r, uint8_t n, uint8_t flags, uint64_t since_s)
{
	struct association_mark m = mark(n);
	struct reserve_entry entry = { .end = 5, .since_s = since_s, .flags = flags };

	reserve_put(r, &m, &entry);
}

static void test_prune(void)
{
	struct reserve *r;
	uint8_t n_left = 0;

	scratch_make(dir);
	r = reserve_open(dir, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(reserve_prune(r, UINT64_MAX, 10), 0); // nothing there
	CU_ASSERT_EQUAL(reserve_begin(r), 0);
	for (uint8_t n = 0; n < 100; n++) // a third is gone, half of it long ago
		put_flagged(r, n, n % 3 == 0 ? RESERVE_GONE : RESERVE_EXPIRED | RESERVE_LOST,
			n % 2 == 0 ? 1000 : 2000);
	CU_ASSERT_EQUAL(reserve_commit(r), 0);
	CU_ASSERT_EQUAL(reserve_prune(r, 1000, 200), 0); // not before that
	CU_ASSERT_EQUAL(reserve_prune(r, 1500, 10), 2); // 0 and 6 of the first ten
	for (unsigned int i = 0; i < 9; i++) // from where it was, to the end
		CU_ASSERT(reserve_prune(r, 1500, 10) >= 1);
	CU_ASSERT_EQUAL(reserve_prune(r, 1500, 200), 0);
	for (uint8_t n = 0; n < 100; n++) {
		CU_ASSERT_EQUAL(end_of(r, n), n % 6 == 0 ? 0 : 5);
		n_left += end_of(r, n) != 0;
	}
	CU_ASSERT_EQUAL(n_left, 100 - 17);
	CU_ASSERT_EQUAL(reserve_prune(r, 2500, 200), 17);
	reserve_close(r);
	scratch_remove(dir);
}

static void test_entries(void)
{
	struct reserve_home home = { .home = { .b = { 1 } }, .domain = 3 }, other = home;
	struct association_mark m = mark(1);
	struct reserve_entry entry;
	struct reserve *r;
	uint32_t slot = 0;
	uint64_t id;

	scratch_make(dir);
	r = reserve_open(dir, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	id = reserve_id(r);
	CU_ASSERT_NOT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(reserve_find(r, &m, &entry), -ENOENT);
	CU_ASSERT_EQUAL(write_one(r, 1, UINT64_MAX - 5), 0);
	CU_ASSERT_EQUAL(reserve_begin(r), 0);
	CU_ASSERT_EQUAL(reserve_put_slot(r, &home, 9), 0);
	CU_ASSERT_EQUAL(reserve_find_slot(r, &home, &slot), 0); // in the open group
	CU_ASSERT_EQUAL(reserve_commit(r), 0);
	reserve_close(r);
	r = reserve_open(dir, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(reserve_id(r), id);
	CU_ASSERT_EQUAL(reserve_find(r, &m, &entry), 0);
	CU_ASSERT_EQUAL(entry.end, UINT64_MAX - 5);
	CU_ASSERT_EQUAL(entry.since_s, 77);
	CU_ASSERT_EQUAL(entry.flags, RESERVE_EXPIRED);
	slot = 0;
	CU_ASSERT_EQUAL(reserve_find_slot(r, &home, &slot), 0);
	CU_ASSERT_EQUAL(slot, 9);
	other.domain = 4;
	CU_ASSERT_EQUAL(reserve_find_slot(r, &other, &slot), -ENOENT);
	reserve_close(r);
	scratch_remove(dir);
}

static void test_abort(void)
{
	struct association_mark m = mark(1);
	struct reserve_entry entry = { .end = 9 };
	struct reserve *r;

	scratch_make(dir);
	r = reserve_open(dir, false);
	CU_ASSERT_EQUAL(write_one(r, 1, 5), 0);
	CU_ASSERT_EQUAL(reserve_begin(r), 0);
	reserve_put(r, &m, &entry);
	CU_ASSERT_EQUAL(end_of(r, 1), 9);
	reserve_abort(r);
	CU_ASSERT_EQUAL(end_of(r, 1), 5);
	reserve_close(r);
	scratch_remove(dir);
}

// The descriptor of the open file.
static int find_fd(void)
{
	char want[512], name[512], link[64];

	snprintf(want, sizeof(want), "%s/security.mdb", dir);
	for (int fd = 3; fd < 64; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		if (n > 0 && (size_t)n == strlen(want) && memcmp(name, want, (size_t)n) == 0)
			return fd;
	}
	return -1;
}

// A disk that takes nothing: nothing of the group is there, and the next one works again.
static void test_write_error(void)
{
	struct reserve *r;
	int fd, saved, null;

	scratch_make(dir);
	r = reserve_open(dir, false);
	CU_ASSERT_EQUAL(write_one(r, 1, 5), 0);
	fd = find_fd();
	CU_ASSERT_FATAL(fd > 0);
	saved = dup(fd);
	null = open("/dev/full", O_RDWR | O_CLOEXEC);
	dup2(null, fd);
	CU_ASSERT_NOT_EQUAL(write_one(r, 1, 50), 0);
	CU_ASSERT_EQUAL(end_of(r, 1), 5);
	dup2(saved, fd);
	close(saved);
	close(null);
	CU_ASSERT_EQUAL(write_one(r, 1, 60), 0);
	CU_ASSERT_EQUAL(end_of(r, 1), 60);
	reserve_close(r);
	scratch_remove(dir);
}

// Every byte of the file flipped in turn: an entry says what it said, or that it is damaged, or the whole
// file is another one; never a smaller number.
static void test_damage(void)
{
	char path[512], aside[512];
	uint8_t *content, *copy;
	uint64_t id;
	long size;
	struct reserve *r;
	FILE *f;

	scratch_make(dir);
	snprintf(path, sizeof(path), "%s/security.mdb", dir);
	snprintf(aside, sizeof(aside), "%s/security.mdb.damaged", dir);
	r = reserve_open(dir, false);
	CU_ASSERT_EQUAL(write_one(r, 1, 0x123456), 0);
	id = reserve_id(r);
	reserve_close(r);
	f = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	content = malloc((size_t)size);
	copy = malloc((size_t)size);
	CU_ASSERT_EQUAL_FATAL(fread(content, 1, (size_t)size, f), (size_t)size);
	fclose(f);
	for (long at = 3; at < size; at += 41) {
		uint64_t end;

		memcpy(copy, content, (size_t)size);
		copy[at] ^= 0x55;
		f = fopen(path, "wb");
		CU_ASSERT_EQUAL_FATAL(fwrite(copy, 1, (size_t)size, f), (size_t)size);
		fclose(f);
		r = reserve_open(dir, false);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		end = end_of(r, 1);
		if (end != 0x123456 && reserve_id(r) == id)
			CU_FAIL("a damaged file passes for a sound one");
		reserve_close(r);
		unlink(aside);
	}
	free(content);
	free(copy);
	scratch_remove(dir);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "entries and slots", test_entries },
		{ "what is gone is forgotten", test_prune },
		{ "a group given up", test_abort },
		{ "a disk that takes nothing", test_write_error },
		{ "damage", test_damage },
		CU_TEST_INFO_NULL,
	};

	return suite_run("reserve", tests);
}
