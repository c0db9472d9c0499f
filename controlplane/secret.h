// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Memory for keys: not swapped out, not in a dump, wiped when it is given back.
#pragma once

#include <stddef.h>

// Zeroed pages. That they cannot be locked (RLIMIT_MEMLOCK) is logged once and no failure.
// Returns: owned memory, free with secret_free; NULL with errno.
void *secret_alloc(size_t size);

// Wipes and frees; NULL is fine. size: as allocated.
void secret_free(void *memory, size_t size);

// Has Jansson wipe what it frees: the files with keys are read with it. Keeps the process out of core
// files, where text that is being read would be. Once, at the start.
void secret_begin(void);
