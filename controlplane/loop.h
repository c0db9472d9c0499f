// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The event loop of the control process: signals, the periodic work, and what the link brings.
#pragma once

#include "controlplane/control.h"

// What the link hands to the rest. link_new takes it; control is borrowed.
struct link_handlers loop_link_handlers(struct control *control);

// Keeps a SIGHUP that comes before the loop runs until then. Thread: before start.
void loop_block_signals(void);

// Runs until SIGTERM or SIGINT. Says READY=1 to the service manager first.
// Returns: 0 or negative errno.
int loop_run(struct control *control);
