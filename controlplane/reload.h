// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The running configuration: taken at start, kept in the state directory for the dataplane, changed
// by reload.
#pragma once

#include <stdio.h>

#include "controlplane/control.h"

enum { RELOAD_PATIENCE_S = 20 };

// Reads and checks the configuration file. Every error goes to err.
// text: set to the file's owned text on success (for reload_keep).
// Returns: an owned configuration, or NULL.
struct config *reload_read(const char *path, char **text, FILE *err);

// Writes the text to STATE_DIR/running.json in one step.
// Returns: 0, or negative errno, said on err.
int reload_keep(const char *state_dir, const char *text, FILE *err);

// Warns of home networks that authenticate nobody.
void reload_warn(const struct config *config);

// Begins to read the configuration file and the subscribers again. All or nothing: on any error, and when
// a key changed that needs a restart, everything stays as it was. Subscribers are imported while
// signalling goes on. When the dataplane has the new networks, or at most RELOAD_PATIENCE_S later,
// mgmt_reloaded is told. Bindings without a home network end in pieces (controlplane/review.h).
// Returns: 0 (mgmt_reloaded will be called, perhaps it was already), or -EBUSY: one is on its way.
int reload_begin(struct control *control);

// Says that what the dataplane has may have changed (control->sync).
void reload_synced(struct control *control);

// Gives up what is on its way. Nothing is fine.
void reload_free(struct reload *reload);
