// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "err",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const char *log_program = "unwired";
static enum log_level log_max = LOG_LEVEL_INFO;

void log_init(const char *program, enum log_level max_level)
{
	log_program = program;
	log_max = max_level;
}

bool log_is_on(enum log_level level)
{
	return level <= log_max;
}

int log_level_parse(const char *text, enum log_level *out)
{
	for (unsigned int i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

// One write(2) a line, so that lines of several threads never mix.
static void log_line(enum log_level level, uint32_t suppressed, const char *fmt, va_list args)
{
	char line[1024];
	size_t room = sizeof(line) - 1; // the newline
	int n = snprintf(line, room, "%s: %s ", log_program, level_names[level]);
	size_t used = (size_t)n;

	n = vsnprintf(line + used, room - used, fmt, args);
	if (n > 0)
		used = used + (size_t)n < room ? used + (size_t)n : room - 1;
	if (suppressed > 0 && used < room - 1) {
		n = snprintf(line + used, room - used, " suppressed=%u", suppressed);
		used = used + (size_t)n < room ? used + (size_t)n : room - 1;
	}
	line[used++] = '\n';
	// A log that cannot be written has no place to complain to.
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > log_max)
		return;
	va_start(args, fmt);
	log_line(level, 0, fmt, args);
	va_end(args);
}

void log_write_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	uint64_t second = clock_mono_ns() / CLOCK_NS_PER_S;
	uint32_t suppressed;
	va_list args;

	if (level > log_max)
		return;
	if (limit->second != second) {
		limit->second = second;
		limit->used = 0;
	}
	if (limit->used >= limit->per_second) {
		limit->suppressed++;
		return;
	}
	limit->used++;
	suppressed = limit->suppressed;
	limit->suppressed = 0;
	va_start(args, fmt);
	log_line(level, suppressed, fmt, args);
	va_end(args);
}
