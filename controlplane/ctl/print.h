// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// How replies reach standard output: JSON as it is, or plain text for people.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "controlplane/ctl/table.h"

// Prints lists of objects, a page at a time.
struct print_list {
	bool is_json;
	const char *const
		*columns; // keys to show, NULL-terminated; NULL: those of the first object
	struct table *table; // owned, NULL before the first row
	char *names[TABLE_MAX_COLUMNS]; // owned
	unsigned int n_names;
	bool has_items;
};

// Starts a list; columns is borrowed until print_list_end.
void print_list_begin(struct print_list *list, bool is_json, const char *const *columns);

// Prints the objects of an array, or the members of an object in their order (DPDK telemetry cannot
// put an array into an object). items: borrowed.
void print_list_items(struct print_list *list, json_t *items);

// Ends the list; is_complete: no error cut it short, so that an empty one is said to be empty.
void print_list_end(struct print_list *list, bool is_complete);

// Prints one object: JSON, or "key: value" lines with nested objects indented. borrowed.
void print_object(bool is_json, json_t *object);

// Prints one event on one line and flushes. borrowed.
void print_event(bool is_json, json_t *event);
