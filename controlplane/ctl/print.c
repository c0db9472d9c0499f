// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/ctl/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ctl/table.h"

enum { CELL_MAX = 512 };

static void cell_of(const json_t *value, char *out, size_t size);

// Joins the elements of an array with commas; of an object only the address is shown.
static void cell_of_array(const json_t *array, char *out, size_t size)
{
	size_t at = 0, i;
	json_t *element;

	out[0] = '\0';
	json_array_foreach (array, i, element) {
		char text[CELL_MAX];
		const json_t *address = json_object_get(element, "address");
		int n;

		cell_of(address != NULL ? address : element, text, sizeof(text));
		n = snprintf(out + at, size - at, "%s%s", i > 0 ? "," : "", text);
		if (n < 0 || (size_t)n >= size - at)
			return;
		at += (size_t)n;
	}
	if (at == 0)
		snprintf(out, size, "-");
}

static void cell_of(const json_t *value, char *out, size_t size)
{
	char *dump;

	switch (value == NULL ? JSON_NULL : json_typeof(value)) {
	case JSON_STRING:
		snprintf(out, size, "%s",
			json_string_length(value) > 0 ? json_string_value(value) : "-");
		return;
	case JSON_NULL:
		snprintf(out, size, "-");
		return;
	case JSON_TRUE:
		snprintf(out, size, "yes");
		return;
	case JSON_FALSE:
		snprintf(out, size, "no");
		return;
	case JSON_ARRAY:
		cell_of_array(value, out, size);
		return;
	default:
		dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		snprintf(out, size, "%s", dump != NULL ? dump : "?");
		free(dump);
	}
}

void print_list_begin(struct print_list *list, bool is_json, const char *const *columns)
{
	*list = (struct print_list){ .is_json = is_json, .columns = columns };
}

static void add_name(struct print_list *list, const char *name)
{
	if (list->n_names == TABLE_MAX_COLUMNS)
		return;
	list->names[list->n_names] = strdup(name);
	if (list->names[list->n_names] == NULL)
		abort();
	list->n_names++;
}

static void choose_names(struct print_list *list, json_t *first)
{
	const char *key;
	json_t *value;

	if (list->columns != NULL) {
		for (unsigned int i = 0; list->columns[i] != NULL; i++)
			add_name(list, list->columns[i]);
		return;
	}
	json_object_foreach (first, key, value)
		add_name(list, key);
}

static void print_item_plain(struct print_list *list, json_t *item)
{
	char text[TABLE_MAX_COLUMNS][CELL_MAX];
	const char *cells[TABLE_MAX_COLUMNS];

	if (list->table == NULL) {
		choose_names(list, item);
		list->table = table_new(stdout, list->n_names, (const char *const *)list->names);
		if (list->table == NULL)
			abort();
	}
	for (unsigned int i = 0; i < list->n_names; i++) {
		cell_of(json_object_get(item, list->names[i]), text[i], sizeof(text[i]));
		cells[i] = text[i];
	}
	table_row(list->table, cells);
}

static void print_item(struct print_list *list, json_t *item)
{
	if (list->is_json) {
		fputs(list->has_items ? ",\n " : "[\n ", stdout);
		json_dumpf(item, stdout, JSON_COMPACT);
	} else {
		print_item_plain(list, item);
	}
	list->has_items = true;
}

void print_list_items(struct print_list *list, json_t *items)
{
	const char *number;
	json_t *item;
	size_t i;

	if (json_is_object(items)) {
		json_object_foreach (items, number, item)
			print_item(list, item);
		return;
	}
	json_array_foreach (items, i, item)
		print_item(list, item);
}

void print_list_end(struct print_list *list, bool is_complete)
{
	if (list->is_json && list->has_items)
		fputs("\n]\n", stdout);
	else if (list->is_json && is_complete)
		fputs("[]\n", stdout);
	table_finish(list->table);
	list->table = NULL;
	for (unsigned int i = 0; i < list->n_names; i++)
		free(list->names[i]);
	list->n_names = 0;
}

// True for a list of sentences, which deserve a line each.
static bool is_prose(const json_t *array)
{
	const char *first = json_string_value(json_array_get(array, 0));

	return first != NULL && strchr(first, ' ') != NULL;
}

static void print_prose(const char *key, const json_t *array, int indent)
{
	json_t *sentence;
	size_t i;

	printf("%*s%s:\n", indent, "", key);
	json_array_foreach (array, i, sentence)
		printf("%*s%s\n", indent + 2, "", json_string_value(sentence));
}

static void print_plain(json_t *object, int indent)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		char text[CELL_MAX];

		if (json_is_object(value) && json_object_size(value) > 0) {
			printf("%*s%s:\n", indent, "", key);
			print_plain(value, indent + 2);
			continue;
		}
		if (is_prose(value)) {
			print_prose(key, value, indent);
			continue;
		}
		if (json_is_object(value))
			snprintf(text, sizeof(text), "-");
		else
			cell_of(value, text, sizeof(text));
		printf("%*s%s: %s\n", indent, "", key, text);
	}
}

void print_object(bool is_json, json_t *object)
{
	if (is_json) {
		json_dumpf(object, stdout, JSON_INDENT(2));
		fputs("\n", stdout);
	} else {
		print_plain(object, 0);
	}
}

void print_event(bool is_json, json_t *event)
{
	const char *key;
	json_t *value;

	if (is_json) {
		json_dumpf(event, stdout, JSON_COMPACT);
	} else {
		json_object_foreach (event, key, value) {
			char text[CELL_MAX];

			cell_of(value, text, sizeof(text));
			if (strcmp(key, "time") == 0 || strcmp(key, "event") == 0)
				printf("%s ", text);
			else
				printf("%s=%s ", key, text);
		}
	}
	fputs("\n", stdout);
	fflush(stdout);
}
