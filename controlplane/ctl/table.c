// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/ctl/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_ROWS = 256 };

struct table {
	FILE *out; // borrowed
	unsigned int n_columns;
	const char *const *headings; // borrowed
	size_t width[TABLE_MAX_COLUMNS];
	char *held[HELD_ROWS][TABLE_MAX_COLUMNS]; // owned
	unsigned int n_held;
	bool is_streaming; // the widths are settled
};

static void print_row(const struct table *table, const char *const cells[])
{
	for (unsigned int i = 0; i < table->n_columns; i++) {
		if (i + 1 == table->n_columns)
			fprintf(table->out, "%s\n", cells[i]);
		else
			fprintf(table->out, "%-*s  ", (int)table->width[i], cells[i]);
	}
}

// Settles the widths and writes the rows held so far.
static void release(struct table *table)
{
	print_row(table, table->headings);
	for (unsigned int r = 0; r < table->n_held; r++) {
		print_row(table, (const char *const *)table->held[r]);
		for (unsigned int i = 0; i < table->n_columns; i++)
			free(table->held[r][i]);
	}
	table->n_held = 0;
	table->is_streaming = true;
}

struct table *table_new(FILE *out, unsigned int n, const char *const headings[])
{
	struct table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->out = out;
	table->n_columns = n < TABLE_MAX_COLUMNS ? n : TABLE_MAX_COLUMNS;
	table->headings = headings;
	for (unsigned int i = 0; i < table->n_columns; i++)
		table->width[i] = strlen(headings[i]);
	return table;
}

void table_row(struct table *table, const char *const cells[])
{
	if (table->is_streaming) {
		print_row(table, cells);
		return;
	}
	for (unsigned int i = 0; i < table->n_columns; i++) {
		size_t len = strlen(cells[i]);

		if (len > table->width[i])
			table->width[i] = len;
		table->held[table->n_held][i] = strdup(cells[i]);
		if (table->held[table->n_held][i] == NULL)
			abort();
	}
	if (++table->n_held == HELD_ROWS)
		release(table);
}

void table_finish(struct table *table)
{
	if (table == NULL)
		return;
	if (!table->is_streaming)
		release(table);
	free(table);
}
