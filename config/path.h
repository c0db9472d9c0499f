// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The path of a value in a document, "dataplane.ports[1].name", built while walking.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <string.h>

// Room for any path of keys of the table; a longer one is cut.
struct path {
	char text[256];
};

// Adds ".name" (or "name" at the start). Returns: the length to go back to with path_pop.
static inline size_t path_push(struct path *path, const char *name)
{
	size_t len = strlen(path->text);

	snprintf(path->text + len, sizeof(path->text) - len, "%s%s", len == 0 ? "" : ".", name);
	return len;
}

// Adds "[i]". Returns: as path_push.
static inline size_t path_push_index(struct path *path, size_t i)
{
	size_t len = strlen(path->text);

	snprintf(path->text + len, sizeof(path->text) - len, "[%zu]", i);
	return len;
}

static inline void path_pop(struct path *path, size_t len)
{
	path->text[len] = '\0';
}
