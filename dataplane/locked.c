// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/locked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/base/log.h"

void *locked_new(size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const char *step = "map";

	if (memory != MAP_FAILED) {
		step = "dontdump";
		if (madvise(memory, len, MADV_DONTDUMP) == 0) {
			step = "lock";
			if (mlock2(memory, len, MLOCK_ONFAULT) == 0)
				return memory;
		}
	}
	log_err("key_memory_failed step=%s bytes=%zu error=\"%s\"", step, len, strerror(errno));
	if (memory != MAP_FAILED)
		munmap(memory, len);
	return NULL;
}

// The kernel clears pages before anybody else gets them, so leaving them is a wipe.
void locked_free(void *memory, size_t len)
{
	if (memory != NULL)
		munmap(memory, len);
}
