// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The unprivileged user that both processes become when they are started as root.
#pragma once

#include <sys/types.h>

// "unwired" when that user exists, else "nobody". Returns: 0 or -ENOENT.
int user_lookup(uid_t *uid, gid_t *gid);

// Makes dir (one level, mode 0755) if it is not there and, as root, gives it to the run-time user.
// Returns: 0 or negative errno.
int user_make_dir(const char *dir);

// Sees to it that this process never gains rights and leaves no core image with keys in it (under a
// sanitizer it stays dumpable: the leak check needs that). Returns: 0 or negative errno.
int user_seal(void);
