// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The import of a subscribers' source into a new index, in a thread of its own, which yields the
// processor to the loop. It touches nothing but its files and the stream for errors.
#pragma once

#include <stdio.h>

#include "controlplane/subscriber_index.h"

struct stat;
struct subscriber_import;

// What an open source is told by.
struct subscriber_origin subscriber_import_origin(
	const char *source, const struct stat *st, uint64_t security_id);

// Begins the import of what origin tells of. source, new_path and err: borrowed until the end; in: moved.
// Returns: owned, or NULL with errno and in closed.
struct subscriber_import *subscriber_import_begin(FILE *in, const struct stat *st,
	const struct subscriber_origin *origin, const char *source, const char *new_path,
	FILE *err);

// Becomes readable when subscriber_import_end does not wait any more.
int subscriber_import_fd(const struct subscriber_import *im);

// Asks it to give up soon, with -ECANCELED.
void subscriber_import_cancel(struct subscriber_import *im);

// Waits for the end and frees. Returns: 0, -EINVAL (errors were written to err) or negative errno; then
// there is no file at new_path.
int subscriber_import_end(struct subscriber_import *im);
