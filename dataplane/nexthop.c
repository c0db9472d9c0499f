// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/nexthop.h"

#include <errno.h>
#include <stdlib.h>

// A retired object, or with obj NULL an index whose entry ends.
struct retired {
	uint32_t idx; // 0: only obj ends
	const struct nexthop *obj;
};

const struct nexthop **nexthop_table;

static const struct nexthop no_route = { .type = NEXTHOP_NO_ROUTE };
static uint32_t *free_idx; // stack of unused indices
static uint32_t n_free;
static uint32_t n_slots;
static struct retired *retired;
static size_t n_retired;
static size_t retired_room;

int nexthop_init(uint32_t max)
{
	nexthop_table = calloc(max, sizeof(*nexthop_table));
	free_idx = calloc(max, sizeof(*free_idx));
	if (nexthop_table == NULL || free_idx == NULL) {
		nexthop_free();
		return -ENOMEM;
	}
	n_slots = max;
	n_free = 0;
	for (uint32_t i = 0; i < max; i++)
		nexthop_table[i] = &no_route;
	for (uint32_t i = max - 1; i > 0; i--)
		free_idx[n_free++] = i;
	return 0;
}

void nexthop_free(void)
{
	nexthop_reclaim();
	for (uint32_t i = 0; i < n_slots; i++) {
		if (nexthop_table[i] != &no_route)
			free((void *)nexthop_table[i]);
	}
	free(nexthop_table);
	free(free_idx);
	free(retired);
	nexthop_table = NULL;
	free_idx = NULL;
	retired = NULL;
	n_slots = n_free = 0;
	retired_room = 0;
}

static struct nexthop *copy(const struct nexthop *obj)
{
	struct nexthop *new = aligned_alloc(64, (sizeof(*new) + 63) / 64 * 64);

	if (new != NULL)
		*new = *obj;
	return new;
}

uint32_t nexthop_add(const struct nexthop *obj)
{
	struct nexthop *new;
	uint32_t idx;

	if (n_free == 0)
		return 0;
	new = copy(obj);
	if (new == NULL)
		return 0;
	idx = free_idx[--n_free];
	rcu_publish(&nexthop_table[idx], new);
	return idx;
}

// Makes room for one more retired thing. Returns: 0 or -ENOMEM.
static int retired_grow(void)
{
	size_t room = retired_room == 0 ? 256 : retired_room * 2;
	struct retired *more;

	if (n_retired < retired_room)
		return 0;
	more = realloc(retired, room * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	retired = more;
	retired_room = room;
	return 0;
}

int nexthop_set(uint32_t idx, const struct nexthop *obj)
{
	struct nexthop *new;

	if (retired_grow() != 0)
		return -ENOMEM;
	new = copy(obj);
	if (new == NULL)
		return -ENOMEM;
	retired[n_retired++] = (struct retired){ .obj = nexthop_table[idx] };
	rcu_publish(&nexthop_table[idx], new);
	return 0;
}

int nexthop_del(uint32_t idx)
{
	if (retired_grow() != 0)
		return -ENOMEM;
	retired[n_retired++] = (struct retired){ .idx = idx };
	return 0;
}

bool nexthop_has_retired(void)
{
	return n_retired > 0;
}

void nexthop_reclaim(void)
{
	for (size_t i = 0; i < n_retired; i++) {
		uint32_t idx = retired[i].idx;

		if (idx != 0) {
			// No table leads here any more, so nobody can be reading it.
			retired[i].obj = nexthop_table[idx];
			rcu_publish(&nexthop_table[idx], &no_route);
			free_idx[n_free++] = idx;
		}
		free((void *)retired[i].obj);
	}
	n_retired = 0;
}
