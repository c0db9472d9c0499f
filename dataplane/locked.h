// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Memory for keys: never swapped, in no core file. A page takes memory when it is first touched.
#pragma once

#include <stddef.h>

// Maps len bytes of zeroes on page boundaries. With the right to lock memory.
// Returns: owned, free with locked_free, after which nobody finds its contents; NULL with the reason logged.
void *locked_new(size_t len);
void locked_free(void *memory, size_t len);
