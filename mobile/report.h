// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the mobile client tells people: log lines with the time of day, and its status.
#pragma once

#include <stdio.h>

#include "dataplane/base/log.h"

struct client;

// Writes "event time=HH:MM:SS.mmm key=value ..." to the log.
void report(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

// Writes one line for every home address and care-of address and one of drops, as key=value.
void report_status(const struct client *client, FILE *out);
