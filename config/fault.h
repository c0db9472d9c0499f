// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Errors in a configuration file, one line each.
#pragma once

#include <stdio.h>

// Where errors go and how many there were. Borrows both pointers.
struct fault_log {
	const char *file; // stands at the head of each line
	FILE *out;
	unsigned int n;
};

// Writes "FILE: WHERE: WHAT (ALLOWED)" and counts it; fmt makes the part behind "FILE: ". Bytes
// that are no printable ASCII or UTF-8 become '?', so that a hostile file cannot forge lines.
void fault_write(struct fault_log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
