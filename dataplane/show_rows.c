// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/show_rows.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_PER_PAGE = 30 }; // of up to 500 bytes

struct show_rows show_rows_start(struct rte_tel_data *data, const char *params)
{
	struct show_rows rows = { .data = data, .items = rte_tel_data_alloc() };

	if (params != NULL)
		rows.first = (uint32_t)strtoul(params, NULL, 10);
	rte_tel_data_start_dict(data);
	if (rows.items != NULL)
		rte_tel_data_start_dict(rows.items);
	return rows;
}

struct rte_tel_data *show_rows_add(struct show_rows *rows)
{
	uint32_t at = rows->at++;
	struct rte_tel_data *row;
	char name[12];

	if (at < rows->first)
		return NULL;
	if (rows->n == ROWS_PER_PAGE) {
		rows->is_cut = true;
		return NULL;
	}
	row = rows->items == NULL ? NULL : rte_tel_data_alloc();
	if (row == NULL)
		return NULL;
	rte_tel_data_start_dict(row);
	snprintf(name, sizeof(name), "%u", at);
	if (rte_tel_data_add_dict_container(rows->items, name, row, 0) != 0) {
		rte_tel_data_free(row);
		return NULL;
	}
	rows->n++;
	return row;
}

void show_rows_end(struct show_rows *rows)
{
	if (rows->items != NULL &&
		rte_tel_data_add_dict_container(rows->data, "items", rows->items, 0) != 0)
		rte_tel_data_free(rows->items);
	rte_tel_data_add_dict_int(
		rows->data, "next", rows->is_cut ? (int)(rows->first + rows->n) : -1);
}
