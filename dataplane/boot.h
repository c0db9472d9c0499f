// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Which configuration the dataplane starts with. It is root's choice: what the unprivileged control
// process keeps in its own directories names no device to a starting dataplane.
#pragma once

#include "config/config.h"

// Reads FILE. While it is being edited and does not check, and a control process runs, the copy of the
// last start that went well counts instead.
//
// Returns: an owned configuration, or NULL (the errors were written to stderr).
struct config *boot_config(const char *file, const char *run_dir, const char *state_dir);

// Keeps the configuration of a start that went well in RUN_DIR/boot, a directory of root's own.
// Thread: before the drop of rights. Returns: 0 or negative errno, logged.
int boot_config_keep(const char *run_dir, const struct config *config);
