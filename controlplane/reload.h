// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The running configuration: taken at start, kept in the state directory for the dataplane, changed
// by reload.
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "controlplane/control.h"

// Reads and checks the configuration file. Every error goes to err.
// text: set to the file's owned text on success (for reload_keep).
// Returns: an owned configuration, or NULL.
struct config *reload_read(const char *path, char **text, FILE *err);

// Writes the text to STATE_DIR/running.json in one step.
// Returns: 0, or negative errno, said on err.
int reload_keep(const char *state_dir, const char *text, FILE *err);

// Warns of home networks that authenticate nobody.
void reload_warn(const struct config *config);

// Reads the configuration file and the subscribers again. All or nothing: on any error, and when a
// key changed that needs a restart, everything stays as it was. Bindings without a home network end
// in pieces afterwards (controlplane/review.h).
// why: set to an owned sentence (or several lines) on failure.
// Returns: 0 or negative errno.
int reload_run(struct control *control, char **why);
