// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Log lines for people and machines: "LEVEL event key=value ...", one fact a line, to stderr.
// Never from a worker. Never a key.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERR, // a person must act
	LOG_LEVEL_WARN, // degraded
	LOG_LEVEL_INFO, // the state of the box changed
	LOG_LEVEL_DEBUG, // one exchange
};

// Sets the program name that heads each line and the most detailed level that is written.
// Thread: before start.
void log_init(const char *program, enum log_level max_level);

// Reads "err", "warn", "info" or "debug". Returns: 0 or -EINVAL.
int log_level_parse(const char *text, enum log_level *out);

// True when lines of this level are written: to ask before arguments that cost something.
bool log_is_on(enum log_level level);

// Writes one line; fmt begins with the event's name ("binding_refused hoa=%s status=%u").
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// A budget for one class of lines: at most per_second of them in a second; what is suppressed is
// counted and said with the next line that passes. Keep one static per call site or class.
struct log_limit {
	uint32_t per_second;
	uint64_t second;
	uint32_t used;
	uint32_t suppressed;
};

void log_write_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_err(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
