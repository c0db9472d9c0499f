// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/nhobj.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { N_BUCKETS = 1 << 12 };

// A known object.
struct nhobj {
	struct nhobj *next;
	uint32_t generation;
	bool is_gone;
	struct netlink_nexthop object;
};

static struct nhobj **buckets;
static unsigned int n_gone;

int nhobj_init(void)
{
	buckets = calloc(N_BUCKETS, sizeof(struct nhobj *));
	return buckets == NULL ? -ENOMEM : 0;
}

static void remove_at(struct nhobj **link)
{
	struct nhobj *gone = *link;

	*link = gone->next;
	free(gone);
}

void nhobj_free(void)
{
	for (unsigned int i = 0; buckets != NULL && i < N_BUCKETS; i++) {
		while (buckets[i] != NULL)
			remove_at(&buckets[i]);
	}
	free(buckets);
	buckets = NULL;
	n_gone = 0;
}

// The link that points to the object, or to NULL at the end of its chain.
static struct nhobj **position(uint32_t id)
{
	struct nhobj **link = &buckets[id % N_BUCKETS];

	while (*link != NULL && (*link)->object.id != id)
		link = &(*link)->next;
	return link;
}

bool nhobj_set(const struct netlink_nexthop *object, uint32_t generation)
{
	struct nhobj **link = position(object->id);
	bool is_known = *link != NULL;
	bool is_changed;

	if (!is_known) {
		*link = calloc(1, sizeof(**link));
		if (*link == NULL)
			return false; // its routes count as unusable
	}
	// Parsers zero the whole struct first, so that bytes can be compared.
	is_changed = is_known && memcmp(&(*link)->object, object, sizeof(*object)) != 0;
	(*link)->object = *object;
	(*link)->generation = generation;
	return is_changed;
}

void nhobj_del(uint32_t id)
{
	struct nhobj *found = *position(id);

	if (found == NULL || found->is_gone)
		return;
	found->is_gone = true;
	n_gone++;
}

bool nhobj_is_gone(uint32_t id)
{
	const struct nhobj *found = *position(id);

	return found != NULL && found->is_gone;
}

bool nhobj_has_gone(void)
{
	return n_gone > 0;
}

// Removes the objects that are gone or, with the generation of a dump, those of another one. Returns: how
// many.
static unsigned int sweep(const uint32_t *generation)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_BUCKETS; i++) {
		struct nhobj **link = &buckets[i];

		while (*link != NULL) {
			bool ends = generation != NULL ? (*link)->generation != *generation
						       : (*link)->is_gone;

			if (ends) {
				n_gone -= (*link)->is_gone;
				remove_at(link);
				n++;
			} else {
				link = &(*link)->next;
			}
		}
	}
	return n;
}

void nhobj_reap(void)
{
	sweep(NULL);
}

unsigned int nhobj_sweep(uint32_t generation)
{
	return sweep(&generation);
}

int nhobj_hops(uint32_t id, struct netlink_hop *out, bool *is_blackhole)
{
	const struct nhobj *found = *position(id);
	int n = 0;

	*is_blackhole = false;
	if (found == NULL || found->is_gone)
		return -ENOENT;
	*is_blackhole = found->object.is_blackhole;
	if (found->object.n_members == 0 && !found->object.is_blackhole)
		out[n++] = found->object.hop;
	for (unsigned int i = 0; i < found->object.n_members; i++) {
		const struct nhobj *member = *position(found->object.members[i].id);

		if (member == NULL || member->is_gone || member->object.n_members != 0)
			continue; // groups do not nest
		if (member->object.is_blackhole) {
			*is_blackhole = true;
			continue;
		}
		out[n] = member->object.hop;
		out[n++].weight = found->object.members[i].weight;
	}
	return n;
}
