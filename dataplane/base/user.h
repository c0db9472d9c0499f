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

// Makes the directory of the sockets (one level) if it is not there. As root it becomes root's, sticky
// and open to the run-time user's group: both processes make their files there, and neither can put
// something else in the place of what root made. Returns: 0 or negative errno.
int user_make_run_dir(const char *dir);

// Opens the directory name in the directory at, made if it is not there, without following a link; as
// root it becomes root's alone, with that mode.
// Returns: an owned descriptor or negative errno, -ELOOP or -ENOTDIR: the name is something else.
int user_open_own_dir(int at, const char *name, unsigned int mode);

// Sees to it that this process never gains rights and leaves no core image with keys in it (under a
// sanitizer it stays dumpable: the leak check needs that). Returns: 0 or negative errno.
int user_seal(void);
