// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/esp_worker.h"

#include <errno.h>

#include <rte_malloc.h>

#include "dataplane/base/log.h"
#include "dataplane/worker.h"

int esp_workers_init(struct worker *list, uint16_t n, uint8_t site, uint64_t hz)
{
	struct hash_seed seed;

	if (!sa_is_on)
		return 0;
	if (hash_seed_draw(&seed) != 0)
		return -EIO;
	for (uint16_t i = 0; i < n; i++) {
		struct esp_worker *esp = rte_zmalloc("esp", sizeof(*esp), RTE_CACHE_LINE_SIZE);

		list[i].esp = esp;
		if (esp == NULL || (esp->mgr = esp_manager_new()) == NULL) {
			log_err("worker_failed worker=%u reason=\"no memory for esp\"", i);
			return -ENOMEM;
		}
		esp->site = site;
		esp_guard_init(&esp->guard, &seed, hz);
	}
	return 0;
}

void esp_workers_free(struct worker *list, uint16_t n)
{
	for (uint16_t i = 0; i < n && list != NULL; i++) {
		if (list[i].esp != NULL && list[i].esp->mgr != NULL)
			esp_manager_free(list[i].esp->mgr);
		rte_free(list[i].esp);
		list[i].esp = NULL;
	}
}
