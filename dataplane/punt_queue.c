// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/punt_queue.h"

#include <stddef.h>

enum { NONE = UINT16_MAX };

void punt_queue_init(struct punt_queue *queue)
{
	queue->head = queue->n = 0;
	for (unsigned int i = 0; i < PUNT_QUEUE_BUCKETS; i++)
		queue->buckets[i] = NONE;
}

// The place of a slot's number in its bucket's chain, or of NONE at the end. sender: not 0.
static uint16_t *find(struct punt_queue *queue, uint64_t sender)
{
	uint16_t *at = &queue->buckets[(sender >> 1) % PUNT_QUEUE_BUCKETS];

	while (*at != NONE && queue->items[*at].sender != sender)
		at = &queue->items[*at].next;
	return at;
}

struct rte_mbuf *punt_queue_peek(const struct punt_queue *queue)
{
	return queue->n > 0 ? queue->items[queue->head].m : NULL;
}

struct rte_mbuf *punt_queue_take(struct punt_queue *queue)
{
	const struct punt_item *item = &queue->items[queue->head];

	if (queue->n == 0)
		return NULL;
	if (item->sender != 0)
		*find(queue, item->sender) = item->next;
	queue->head = (queue->head + 1) % PUNT_QUEUE_MAX;
	queue->n--;
	return item->m;
}

static void append(struct punt_queue *queue, struct rte_mbuf *m, uint64_t sender, uint16_t *place)
{
	uint16_t slot = (queue->head + queue->n) % PUNT_QUEUE_MAX;

	queue->items[slot] = (struct punt_item){ .m = m, .sender = sender, .next = NONE };
	queue->n++;
	if (sender != 0)
		*place = slot;
}

enum punt_put punt_queue_put(
	struct punt_queue *queue, struct rte_mbuf *m, uint64_t sender, struct rte_mbuf **gone)
{
	uint16_t *place = sender != 0 ? find(queue, sender) : NULL;
	enum punt_put put = PUNT_KEPT;

	if (place != NULL && *place != NONE) {
		struct punt_item *item = &queue->items[*place];

		*gone = item->m;
		item->m = m;
		return PUNT_SUPERSEDED;
	}
	if (queue->n == PUNT_QUEUE_MAX) {
		*gone = punt_queue_take(queue);
		put = PUNT_OVERFLOW;
		place = sender != 0 ? find(queue, sender) : NULL; // may have led through what went
	}
	append(queue, m, sender, place);
	return put;
}
