// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include <jansson.h>
#include <string.h>

#include "config/config.h"
#include "config/key.h"
#include "config/path.h"

// Where changed keys are written.
struct diff {
	FILE *restart;
	FILE *live;
	struct path path; // of the values in hand
	unsigned int n_restart;
};

static void diff_object(struct diff *d, json_t *from, json_t *to, const char *parent);

static void report(struct diff *d, const struct key *key)
{
	if (key->apply == KEY_LIVE) {
		if (d->live != NULL)
			fprintf(d->live, "%s\n", d->path.text);
		return;
	}
	d->n_restart++;
	if (d->restart != NULL)
		fprintf(d->restart, "%s: restart %s\n", d->path.text,
			key->apply == KEY_RESTART_CONTROL ? "unwired-control"
							  : "unwired-dataplane");
}

// A missing value and its default written out are the same.
static bool is_default(const struct key *key, json_t *value)
{
	json_t *fallback;
	bool is_same;

	if (key->fallback == NULL)
		return false;
	fallback = json_loads(key->fallback, JSON_DECODE_ANY, NULL);
	is_same = json_equal(fallback, value);
	json_decref(fallback);
	return is_same;
}

static bool is_same(const struct key *key, json_t *from, json_t *to)
{
	if (key->type == KEY_LATER_OBJECT || key->type == KEY_LATER_LIST)
		return true; // empty in both
	if (from == NULL || to == NULL)
		return from == to || is_default(key, from == NULL ? to : from);
	return json_equal(from, to);
}

// Element by element; one that only one side has is reported itself.
static void diff_objects(struct diff *d, const struct key *key, json_t *from, json_t *to)
{
	size_t n_from = json_array_size(from), n_to = json_array_size(to);
	char pattern[128];

	snprintf(pattern, sizeof(pattern), "%s[]", key->path);
	for (size_t i = 0; i < n_from || i < n_to; i++) {
		size_t back = path_push_index(&d->path, i);

		if (i < n_from && i < n_to)
			diff_object(d, json_array_get(from, i), json_array_get(to, i), pattern);
		else
			report(d, key);
		path_pop(&d->path, back);
	}
}

// Compares two objects at the pattern path parent; either may be NULL (left out).
static void diff_object(struct diff *d, json_t *from, json_t *to, const char *parent)
{
	for (const struct key *key = key_table; key->path != NULL; key++) {
		json_t *a, *b;
		size_t back;

		if (!key_is_child(key, parent))
			continue;
		a = json_object_get(from, key_name(key));
		b = json_object_get(to, key_name(key));
		back = path_push(&d->path, key_name(key));
		if (key->type == KEY_OBJECT)
			diff_object(d, a, b, key->path);
		else if (key->type == KEY_OBJECTS || key->type == KEY_OBJECTS_OWNED)
			diff_objects(d, key, a, b);
		else if (!is_same(key, a, b))
			report(d, key);
		path_pop(&d->path, back);
	}
}

unsigned int config_diff(
	const struct config *from, const struct config *to, FILE *restart, FILE *live)
{
	struct diff d = { .restart = restart, .live = live };

	diff_object(&d, from->document, to->document, "");
	if (from->dataplane.max_sas < to->dataplane.max_sas && d.n_restart == 0) {
		path_push(&d.path, "dataplane");
		path_push(&d.path, "max_sas"); // reckoned from the home networks
		report(&d, key_find("dataplane", "max_sas"));
	}
	return d.n_restart;
}
