// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/key.h"
#include "config/path.h"
#include "config/value.h"

// Where the walk through the document is.
struct reader {
	struct fault_log *log;
	struct path path; // of the value in hand
	int error; // 0 or -ENOMEM
};

static void fault(struct reader *r, const struct key *key, const char *what)
{
	char allowed[KEY_TEXT_MAX];

	fault_write(r->log, "%s: %s (allowed: %s)", r->path.text, what, key_allowed(key, allowed));
}

static void store_number(void *base, size_t offset, size_t size, uint32_t value)
{
	uint8_t *at = (uint8_t *)base + offset;

	switch (size) {
	case sizeof(uint8_t):
		*at = (uint8_t)value;
		break;
	case sizeof(uint16_t):
		memcpy(at, &(uint16_t){ (uint16_t)value }, size);
		break;
	case sizeof(uint32_t):
		memcpy(at, &value, size);
		break;
	}
}

static void read_object(struct reader *r, json_t *object, const char *parent, void *base);

static void read_text(struct reader *r, const struct key *key, json_t *value, void *base)
{
	uint8_t *at = (uint8_t *)base + key->offset;
	char *copy;

	if (key->type == KEY_NAME) {
		memcpy(at, json_string_value(value), json_string_length(value) + 1);
		return;
	}
	copy = strdup(json_string_value(value));
	if (copy == NULL)
		r->error = -ENOMEM;
	free(*(char **)(void *)at);
	memcpy(at, &copy, sizeof(copy));
}

static void read_scalar(struct reader *r, const struct key *key, json_t *value, void *base)
{
	char what[VALUE_FAULT_MAX];
	uint32_t number = 0;

	if (value_check(key, value, &number, what) != 0) {
		fault(r, key, what);
		return;
	}
	if (json_is_string(value) && key->type != KEY_WORD)
		read_text(r, key, value, base);
	else
		store_number(base, key->offset, key->size, number);
}

// True when an earlier element of the list is the same.
static bool is_repeated(json_t *list, size_t i)
{
	for (size_t before = 0; before < i; before++) {
		if (json_equal(json_array_get(list, before), json_array_get(list, i)))
			return true;
	}
	return false;
}

static void read_element(
	struct reader *r, const struct key *key, json_t *value, void *list, size_t i)
{
	char what[VALUE_FAULT_MAX];
	char pattern[128];

	if (key->type == KEY_OBJECTS || key->type == KEY_OBJECTS_OWNED) {
		if (!json_is_object(value)) {
			fault_write(
				r->log, "%s: is not an object (allowed: an object)", r->path.text);
			return;
		}
		snprintf(pattern, sizeof(pattern), "%s[]", key->path);
		read_object(r, value, pattern, (uint8_t *)list + i * key->size);
		return;
	}
	if (value_check_element(key, value, (uint8_t *)list + i * key->size, what) != 0)
		fault(r, key, what);
}

// Reads a list that its struct holds, or its own allocated array.
static void read_list(struct reader *r, const struct key *key, json_t *value, void *base)
{
	size_t n = json_array_size(value);
	void *list = (uint8_t *)base + key->offset;

	if (!json_is_array(value) || n < key->min || n > key->max) {
		fault(r, key,
			json_is_array(value) ? "has too few or too many elements"
					     : "is not a list");
		return;
	}
	if (key->type == KEY_OBJECTS_OWNED) {
		void *array = calloc(n == 0 ? 1 : n, key->size);

		if (array == NULL) {
			r->error = -ENOMEM;
			return;
		}
		memcpy(list, &array, sizeof(array));
		list = array;
	}
	store_number(base, key->count_offset, key->count_size, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		size_t back = path_push_index(&r->path, i);

		if ((key->type == KEY_CORES || key->type == KEY_WORDS) && is_repeated(value, i))
			fault(r, key, "is there twice");
		read_element(r, key, json_array_get(value, i), list, i);
		path_pop(&r->path, back);
	}
}

// Reads a list of words into the sum of their values.
static void read_word_bits(struct reader *r, const struct key *key, json_t *value, void *base)
{
	uint32_t sum = 0;

	if (!json_is_array(value) || json_array_size(value) < key->min ||
		json_array_size(value) > key->max) {
		fault(r, key,
			json_is_array(value) ? "has too few or too many elements"
					     : "is not a list");
		return;
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		size_t back = path_push_index(&r->path, i);
		char what[VALUE_FAULT_MAX];
		uint32_t bit = 0;

		if (is_repeated(value, i))
			fault(r, key, "is there twice");
		else if (value_check(key, json_array_get(value, i), &bit, what) != 0)
			fault(r, key, what);
		sum |= bit;
		path_pop(&r->path, back);
	}
	store_number(base, key->offset, key->size, sum);
}

static void read_value(struct reader *r, const struct key *key, json_t *value, void *base)
{
	switch (key->type) {
	case KEY_OBJECT:
		if (json_is_object(value))
			read_object(r, value, key->path, base);
		else
			fault(r, key, "is not an object");
		break;
	case KEY_OBJECTS:
	case KEY_OBJECTS_OWNED:
	case KEY_CORES:
	case KEY_WORDS:
	case KEY_PORT_ADDRESSES:
	case KEY_HOME_PREFIXES:
	case KEY_AGENT_ADDRESSES:
		read_list(r, key, value, base);
		break;
	case KEY_WORD_BITS:
		read_word_bits(r, key, value, base);
		break;
	default:
		read_scalar(r, key, value, base);
	}
}

// What stands for a key that the document leaves out.
static void read_absent(struct reader *r, const struct key *key, void *base)
{
	json_t *value = NULL;

	if (key->is_required)
		fault(r, key, "is missing");
	else if (key->type == KEY_OBJECT)
		value = json_object();
	else if (key->fallback != NULL)
		value = json_loads(key->fallback, JSON_DECODE_ANY, NULL);
	else
		return;
	if (value != NULL)
		read_value(r, key, value, base);
	else if (!key->is_required)
		r->error = -ENOMEM;
	json_decref(value);
}

static void fault_unknown(struct reader *r, const char *parent, const char *name)
{
	char allowed[512] = "";
	size_t used = 0;

	for (const struct key *key = key_table; key->path != NULL; key++) {
		if (key_is_child(key, parent))
			used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
				used == 0 ? "" : ", ", key_name(key));
	}
	fault_write(r->log, "%s%s%.64s: unknown key (allowed: %s)", r->path.text,
		r->path.text[0] == '\0' ? "" : ".", name, allowed);
}

// Reads the object at the pattern path parent into the struct at base.
static void read_object(struct reader *r, json_t *object, const char *parent, void *base)
{
	const char *name;
	json_t *value;

	json_object_foreach (object, name, value) {
		if (strncmp(name, "//", 2) != 0 && key_find(parent, name) == NULL)
			fault_unknown(r, parent, name);
	}
	for (const struct key *key = key_table; key->path != NULL; key++) {
		size_t back;

		if (!key_is_child(key, parent))
			continue;
		back = path_push(&r->path, key_name(key));
		value = json_object_get(object, key_name(key));
		if (value != NULL)
			read_value(r, key, value, base);
		else
			read_absent(r, key, base);
		path_pop(&r->path, back);
	}
}

int read_document(json_t *document, struct config *config, struct fault_log *log)
{
	struct reader r = { .log = log };

	read_object(&r, document, "", config);
	return r.error;
}
