// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/sas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void sas_free(struct sas *sas)
{
	if (sas == NULL)
		return;
	for (uint32_t slot = 1; slot < sas->top; slot++)
		free(sas->slots[slot].list);
	hindex_fini(&sas->index);
	hindex_fini(&sas->marks);
	free(sas->remembered);
	free(sas->slots);
	free(sas->gone);
	free(sas->queue);
	free(sas);
}

uint64_t sas_hash(const struct reserve_home *home)
{
	return XXH3_64bits(home, sizeof(*home));
}

uint32_t sas_find(
	const struct sas *sas, const struct ip6 *home, uint32_t domain, const struct ip6 *agent)
{
	struct reserve_home key = { .home = *home, .agent = *agent, .domain = domain };
	uint64_t hash;
	uint32_t pos, slot;

	if (sas == NULL || sas->n_slots == 0)
		return 0;
	hash = sas_hash(&key);
	pos = hindex_start(&sas->index, hash);
	while ((slot = hindex_candidate(&sas->index, hash, &pos)) != HINDEX_NONE) {
		if (memcmp(&sas->slots[slot].home, &key, sizeof(key)) == 0)
			return slot;
		pos = hindex_after(&sas->index, pos);
	}
	return 0;
}

const struct sas_slot *sas_at(const struct sas *sas, uint32_t slot)
{
	if (sas == NULL || slot == 0 || slot >= sas->max || sas->slots[slot].n == 0)
		return NULL;
	return &sas->slots[slot];
}

int sas_make_room(struct sas *sas, uint32_t n_queue, uint32_t n_gone)
{
	uint32_t queue = sas->n_queue + sas->n_entries + n_queue, gone = sas->n_gone + n_gone;

	if (queue >= sas->room_queue) {
		uint32_t *more = reallocarray(sas->queue, 2 * (size_t)queue + 1, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		sas->queue = more;
		sas->room_queue = 2 * queue + 1;
	}
	if (gone >= sas->room_gone) {
		struct sas_gone *more =
			reallocarray(sas->gone, 2 * (size_t)gone + 1, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		sas->gone = more;
		sas->room_gone = 2 * gone + 1;
	}
	return 0;
}

void sas_count(const struct sas *sas, uint32_t n[static SAS_STATE_MAX])
{
	memset(n, 0, SAS_STATE_MAX * sizeof(n[0]));
	for (uint32_t slot = 1; slot < sas->top; slot++) {
		for (unsigned int i = 0; i < sas->slots[slot].n; i++)
			n[sas->slots[slot].list[i].state]++;
	}
}

const char *sas_state_name(uint8_t state)
{
	static const char *const names[SAS_STATE_MAX] = {
		[SAS_WAITING] = "waiting",
		[SAS_STANDING] = "standing",
		[SAS_REFUSED] = "refused",
		[SAS_EXPIRED] = "expired",
		[SAS_LOST] = "lost",
	};

	return names[state];
}
