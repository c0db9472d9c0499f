// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/secret.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "dataplane/base/log.h"

void *secret_alloc(size_t size)
{
	static struct log_limit limit = { .per_second = 1 };
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (mlock(memory, size) != 0 || madvise(memory, size, MADV_DONTDUMP) != 0)
		log_write_limited(
			&limit, LOG_LEVEL_WARN, "keys_not_locked error=\"%s\"", strerror(errno));
	return memory;
}

void secret_free(void *memory, size_t size)
{
	if (memory == NULL)
		return;
	explicit_bzero(memory, size);
	munmap(memory, size);
}

static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

void secret_begin(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
	prctl(PR_SET_DUMPABLE, 0);
}
