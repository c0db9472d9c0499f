// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Telemetry of the mirror: /unwired/routes,OFFSET and /unwired/neighbors,OFFSET.
#pragma once

#include <pthread.h>

// Registers the commands; they take lock while they read the mirror's tables.
// Returns: 0 or negative errno.
int mirror_show_register(pthread_mutex_t *lock);
