// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Lists over DPDK telemetry, whose answers hold objects of objects but no lists of objects, and at
// most 16 kB: {"items": {"0": {row}, "1": {row}, ...}, "next": N}. next is the first row of the next
// page (asked for as the command's parameter), -1 at the end.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_telemetry.h>

struct show_rows {
	struct rte_tel_data *data, *items;
	uint32_t first, at, n; // first row wanted, row to come, rows in the answer
	bool is_cut;
};

// Begins an answer; params (may be NULL) holds the first row wanted.
struct show_rows show_rows_start(struct rte_tel_data *data, const char *params);

// Goes to the next row. Returns: an object to fill (borrowed), or NULL when the row is not wanted.
struct rte_tel_data *show_rows_add(struct show_rows *rows);

// True when no further row fits: a long list may stop.
static inline bool show_rows_is_full(const struct show_rows *rows)
{
	return rows->is_cut;
}

void show_rows_end(struct show_rows *rows);
