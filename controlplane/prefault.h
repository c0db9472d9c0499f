// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fetches fresh memory from the kernel before it is needed, in threads of its own. Where a hypervisor
// has to find the memory first, that takes some seconds a gigabyte, and more than one processor can
// wait for it at a time. It changes no contents, so the owner may use the memory meanwhile.
#pragma once

#include <stddef.h>

struct prefault;

// Fetches memory at once, in the caller's thread.
void prefault_now(const void *start, size_t len);

// One without work. Returns: owned, or NULL (then there is no help, and nothing else is different).
struct prefault *prefault_new(void);

// Adds memory that will be needed, what is needed first first. The owner begins at its start, the
// threads at its end. NULL is fine. Not after prefault_begin.
void prefault_add(struct prefault *prefault, const void *start, size_t len);

// Starts as many threads as this process has processors beside the caller's. None for a little.
void prefault_begin(struct prefault *prefault);

// Ends the threads, done or not, and frees. NULL is fine. Before the memory goes away.
void prefault_end(struct prefault *prefault);
