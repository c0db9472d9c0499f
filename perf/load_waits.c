// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/load_waits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { US_PER_MS = 1000, NOTE_US = 50 };

// The second number of /proc/PID/schedstat: nanoseconds on a run queue.
static uint64_t waited_us(int fd)
{
	char text[96];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	unsigned long long ran_ns, waited_ns;

	if (n <= 0)
		return 0; // it has ended
	text[n] = '\0';
	if (sscanf(text, "%llu %llu", &ran_ns, &waited_ns) != 2)
		return 0;
	return waited_ns / 1000;
}

int waits_open(struct waits *waits, pid_t pid, uint32_t now_us)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	waits->fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	if (waits->fds[0] < 0)
		return -errno;
	waits->fds[1] = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	if (waits->fds[1] < 0) {
		int error = -errno;

		close(waits->fds[0]);
		return error;
	}
	waits->is_open = true;
	waits->noted_us = now_us;
	waits->last_us = waited_us(waits->fds[0]) + waited_us(waits->fds[1]);
	for (uint32_t i = 0; i < WAITS_RING; i++)
		waits->sums_us[i] = waits->last_us;
	return 0;
}

void waits_close(struct waits *waits)
{
	if (!waits->is_open)
		return;
	close(waits->fds[0]);
	close(waits->fds[1]);
	waits->is_open = false;
}

void waits_note(struct waits *waits, uint32_t now_us)
{
	uint32_t ms = waits->noted_us / US_PER_MS, now_ms = now_us / US_PER_MS;

	if (!waits->is_open || now_us - waits->noted_us < NOTE_US)
		return;
	// Whoever was due in a time without a note had all of the wait before him.
	for (; ms != now_ms; ms++)
		waits->sums_us[ms % WAITS_RING] = waits->last_us;
	waits->last_us = waited_us(waits->fds[0]) + waited_us(waits->fds[1]);
	waits->sums_us[now_ms % WAITS_RING] = waits->last_us;
	waits->noted_us = now_us;
}

uint64_t waits_since(const struct waits *waits, uint32_t from_us)
{
	uint32_t before_ms = from_us / US_PER_MS - 1;

	if (!waits->is_open || waits->noted_us / US_PER_MS - before_ms >= WAITS_RING)
		return 0;
	return waits->last_us - waits->sums_us[before_ms % WAITS_RING];
}

uint64_t waits_total(const struct waits *waits)
{
	return waits->last_us;
}
