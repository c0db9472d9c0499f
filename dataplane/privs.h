// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Giving up root after start: lab-tested order in one place.
#pragma once

// Changes all threads to the run-time user (user_lookup), keeps CAP_NET_ADMIN in the calling thread
// only, forbids new privileges and core dumps, installs the seccomp allow-list on every thread.
// When not started as root nothing is changed but the seccomp list. Thread: main lcore, once, when
// all threads but the lcores' launched functions exist and everything privileged is open.
// Returns: 0 or negative errno with the reason logged.
int privs_drop(void);

// Gives up every capability of the calling thread; for threads made after privs_drop.
// Returns: 0 or negative errno with the reason logged.
int privs_drop_thread(void);
