// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/load_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

enum {
	BLOCK_BYTES = 32 << 10, // some eighty records with the pages around them
	FILE_BLOCKS = 2048,
	PAUSE_US = 500, // in which a group gathers
};

static int write_block(int fd, const uint8_t *block, uint64_t at)
{
	ssize_t n = pwrite(fd, block, BLOCK_BYTES, (off_t)(at % FILE_BLOCKS * BLOCK_BYTES));

	if (n < 0)
		return -errno;
	return n == BLOCK_BYTES ? 0 : -EIO;
}

// Writes the file once, so that only its contents change later.
static int fill(int fd, const uint8_t *block)
{
	int error = 0;

	for (uint64_t i = 0; error == 0 && i < FILE_BLOCKS; i++)
		error = write_block(fd, block, i);
	return error == 0 && fsync(fd) != 0 ? -errno : error;
}

int load_disk_measure(const char *dir, double seconds, struct report_latency *latency)
{
	static uint8_t block[BLOCK_BYTES];
	char path[PATH_MAX];
	uint64_t end_ns;
	int fd, error;

	snprintf(path, sizeof(path), "%s/load-disk.tmp", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	unlink(path);
	error = fill(fd, block);
	end_ns = clock_mono_ns() + (uint64_t)(seconds * 1e9);
	for (uint64_t i = 0; error == 0 && clock_mono_ns() < end_ns; i++) {
		uint64_t begin_ns = clock_mono_ns();

		block[i % BLOCK_BYTES]++;
		error = write_block(fd, block, i);
		if (error == 0 && fdatasync(fd) != 0)
			error = -errno;
		report_latency_add(latency, (uint32_t)((clock_mono_ns() - begin_ns) / 1000));
		usleep(PAUSE_US);
	}
	close(fd);
	return error;
}
