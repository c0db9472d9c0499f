// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Aligned columns for people. Widths come from the first rows, so that a list of any length streams
// in bounded memory.
#pragma once

#include <stdio.h>

enum { TABLE_MAX_COLUMNS = 24 };

struct table;

// Starts a table of n columns (at most TABLE_MAX_COLUMNS) that is written to out. The headings are
// borrowed until table_finish.
// Returns: an owned table or NULL.
struct table *table_new(FILE *out, unsigned int n, const char *const headings[]);

// Adds a row of n cells; they are copied.
void table_row(struct table *table, const char *const cells[]);

// Writes what is still held back and frees the table. NULL is fine.
void table_finish(struct table *table);
