// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The kernel's events that are put by while a dump is read. The dump of a full table takes seconds, and
// the socket's buffer, which counts a kilobyte for every event, must not run over meanwhile: else a
// dump would be followed by the next one for as long as routes change quickly.
// Thread: mirror.
#pragma once

#include "dataplane/netlink.h"

// Takes what waits at a socket of netlink_listen. A loss, or no memory for it, is remembered.
void backlog_fill(int fd);

// Gives everything put by to fn, in order, and forgets it. Returns: 0, or -ENOBUFS when something had
// been lost (nothing is given then).
int backlog_replay(netlink_fn fn);

void backlog_free(void);
