// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/subscriber_secured.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/cursor.h"

size_t secured_pack(
	const struct subscriber *s, const struct associations *all, uint8_t *buf, size_t size)
{
	struct wcursor c = wcursor_make(buf, size);
	size_t len;

	wcursor_u32(&c, s->line);
	wcursor_bytes(&c, &s->homes[0], sizeof(s->homes[0]));
	wcursor_bytes(&c, &s->agent, sizeof(s->agent));
	len = wcursor_len(&c);
	return len + association_pack(all, buf + len, size - len);
}

int secured_unpack(const void *data, size_t len, struct subscriber_secured *out)
{
	struct rcursor c = rcursor_make(data, len);

	out->line = rcursor_u32(&c);
	rcursor_copy(&c, &out->home, sizeof(out->home));
	rcursor_copy(&c, &out->agent, sizeof(out->agent));
	if (!c.ok)
		return -EBADMSG;
	return association_unpack(
		(const uint8_t *)data + len - rcursor_left(&c), rcursor_left(&c), &out->all);
}

static int claim(struct secured_list *list, const struct secured_claim *claim)
{
	if (list->n_claims == list->room_claims) {
		size_t room = list->room_claims == 0 ? 1024 : 2 * list->room_claims;
		struct secured_claim *more = reallocarray(list->claims, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		list->claims = more;
		list->room_claims = room;
	}
	list->claims[list->n_claims++] = *claim;
	return 0;
}

static int claim_all(struct secured_list *list, uint32_t line, const struct associations *all)
{
	int err = 0;

	for (uint8_t i = 0; i < all->n && err == 0; i++) {
		const struct association *a = &all->list[i];
		struct secured_claim spi = { .line = line, .at = i };
		struct secured_claim key = { .line = line, .is_key = 1, .at = i };
		struct association_mark mark;

		memcpy(spi.b, &a->spi, sizeof(a->spi));
		if (a->direction == API_SA_IN)
			err = claim(list, &spi);
		if (err != 0 || !association_has_counter(a))
			continue;
		association_mark(a, NULL, &mark);
		memcpy(key.b, mark.b, sizeof(key.b));
		err = claim(list, &key);
	}
	return err;
}

int secured_list_add(
	struct secured_list *list, uint32_t handle, uint32_t line, const struct associations *all)
{
	if (list->n == list->room) {
		size_t room = list->room == 0 ? 1024 : 2 * list->room;
		uint32_t *more = reallocarray(list->handles, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		list->handles = more;
		list->room = room;
	}
	list->handles[list->n++] = handle;
	return claim_all(list, line, all);
}

static int compare_claims(const struct secured_claim *a, const struct secured_claim *b)
{
	if (a->is_key != b->is_key)
		return a->is_key < b->is_key ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

static int compare(const void *va, const void *vb)
{
	const struct secured_claim *a = va, *b = vb;
	int order = compare_claims(a, b);

	if (order != 0 || a->line == b->line)
		return order;
	return a->line < b->line ? -1 : 1;
}

void secured_list_check(struct secured_list *list,
	void (*clashed)(void *ctx, const struct subscriber_clash *clash), void *ctx)
{
	size_t first = 0; // of those that claim the same

	if (list->n_claims > 0)
		qsort(list->claims, list->n_claims, sizeof(list->claims[0]), compare);
	for (size_t i = 1; i < list->n_claims; i++) {
		const struct secured_claim *a = &list->claims[first], *b = &list->claims[i];

		if (compare_claims(a, b) != 0)
			first = i;
		else
			clashed(ctx, &(struct subscriber_clash){ .is_key = b->is_key,
					     .at = b->at,
					     .earlier_at = a->at,
					     .line = b->line,
					     .earlier_line = a->line });
	}
}

void secured_list_free(struct secured_list *list)
{
	free(list->handles);
	free(list->claims);
	*list = (struct secured_list){ 0 };
}
