// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Follows the XFRM database of the network namespace that this process is in, and tells control of it. What
// the kernel cannot tell in time (overrun of the socket) is asked for again as a whole.
#pragma once

// Opens what needs rights. Returns: an owned mirror, or NULL with errno and the reason logged.
struct mirror *mirror_new(const char *run_dir);
void mirror_free(struct mirror *mirror);

// Follows until a signal of SIGINT and SIGTERM, which are blocked otherwise.
// Returns: 0 or negative errno with the reason logged.
int mirror_run(struct mirror *mirror);
