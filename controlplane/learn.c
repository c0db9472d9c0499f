// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/learn.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/learned.h"
#include "dataplane/base/cursor.h"

// Of twalk_r.
struct visit {
	void (*fn)(const struct learn_mobile *mobile, void *ctx);
	void *ctx;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 2 * sizeof(struct ip6));
}

void learn_init(struct learn *learn, uint32_t max)
{
	*learn = (struct learn){ .pool = { .size = sizeof(struct learn_mobile) }, .max = max };
}

static void keep(void *node)
{
	(void)node; // the pool's
}

void learn_fini(struct learn *learn)
{
	tdestroy(learn->mobiles, keep);
	learn->mobiles = NULL;
	free(learn->changed);
	learn->changed = NULL;
	secret_pool_fini(&learn->pool);
}

const struct learn_mobile *learn_find(
	const struct learn *learn, const struct ip6 *home, const struct ip6 *agent)
{
	const struct ip6 key[2] = { *home, *agent };
	struct learn_mobile *const *node = tfind(key, &learn->mobiles, compare);

	return node != NULL ? *node : NULL;
}

static void visit(const void *node, VISIT which, void *ctx)
{
	const struct visit *v = ctx;

	if (which == postorder || which == leaf)
		v->fn(*(struct learn_mobile *const *)node, v->ctx);
}

void learn_each(const struct learn *learn, void (*fn)(const struct learn_mobile *mobile, void *ctx),
	void *ctx)
{
	struct visit v = { fn, ctx };

	twalk_r(learn->mobiles, visit, &v);
}

static void note_changed(struct learn *learn, const struct learn_mobile *mobile)
{
	if (learn->n_changed == learn->room_changed) {
		size_t room = learn->room_changed == 0 ? 256 : 2 * learn->room_changed;
		struct learn_key *more =
			reallocarray(learn->changed, room, sizeof(learn->changed[0]));

		if (more == NULL) {
			learn->is_all_changed = true;
			return;
		}
		learn->changed = more;
		learn->room_changed = room;
	}
	learn->changed[learn->n_changed++] = (struct learn_key){ mobile->home, mobile->agent };
}

size_t learn_take_changed(struct learn *learn, struct learn_key *out, size_t max)
{
	size_t n = learn->n_changed - learn->changed_at;

	n = n < max ? n : max;
	if (n > 0)
		memcpy(out, learn->changed + learn->changed_at, n * sizeof(out[0]));
	learn->changed_at += n;
	if (learn->changed_at == learn->n_changed)
		learn->changed_at = learn->n_changed = 0;
	return n;
}

void learn_drop_changed(struct learn *learn)
{
	learn->changed_at = learn->n_changed = 0;
	learn->is_all_changed = false;
}

static void drop(struct learn *learn, struct learn_mobile *mobile)
{
	note_changed(learn, mobile);
	tdelete(mobile, &learn->mobiles, compare);
	secret_pool_put(&learn->pool, mobile);
	learn->n--;
}

static void stale(const void *node, VISIT which, void *unused)
{
	(void)unused;
	if (which == postorder || which == leaf)
		(*(struct learn_mobile *const *)node)->is_fresh = false;
}

// The stale ones; a tree must not change while it is walked.
struct found {
	struct learn_mobile **list;
	size_t n;
};

static void collect_stale(const void *node, VISIT which, void *ctx)
{
	struct learn_mobile *mobile = *(struct learn_mobile *const *)node;
	struct found *found = ctx;

	if ((which == postorder || which == leaf) && !mobile->is_fresh)
		found->list[found->n++] = mobile;
}

static int drop_stale(struct learn *learn)
{
	struct found found = { .list = calloc((size_t)learn->n + 1, sizeof(found.list[0])) };

	if (found.list == NULL)
		return -ENOMEM;
	twalk_r(learn->mobiles, collect_stale, &found);
	for (size_t i = 0; i < found.n; i++)
		drop(learn, found.list[i]);
	free(found.list);
	return 0;
}

static int end(struct learn *learn)
{
	int error = drop_stale(learn);

	learn->is_whole |= error == 0;
	return error;
}

// A mobile that is not there yet. Returns: borrowed, or NULL.
static struct learn_mobile *add(struct learn *learn, const struct learned *head)
{
	struct learn_mobile *mobile = learn->n < learn->max ? secret_pool_get(&learn->pool) : NULL;

	if (mobile == NULL)
		return NULL;
	mobile->home = head->home;
	mobile->agent = head->agent;
	if (tsearch(mobile, &learn->mobiles, compare) != NULL) {
		learn->n++;
		return mobile;
	}
	secret_pool_put(&learn->pool, mobile);
	return NULL;
}

static bool is_same(const struct associations *a, const struct associations *b)
{
	if (a->n != b->n || a->protect != b->protect)
		return false;
	for (unsigned int i = 0; i < a->n; i++) {
		const struct association *x = &a->list[i], *y = &b->list[i];

		if (x->spi != y->spi || x->use != y->use || x->direction != y->direction ||
			x->has_esn != y->has_esn || x->replay_window != y->replay_window ||
			x->lifetime_s != y->lifetime_s || x->life_packets != y->life_packets ||
			x->life_bytes != y->life_bytes || !association_has_same_keys(x, y))
			return false;
	}
	return true;
}

static int set(struct learn *learn, const struct learned *head, const struct associations *all)
{
	struct learn_mobile *mobile =
		(struct learn_mobile *)(uintptr_t)learn_find(learn, &head->home, &head->agent);

	if (all->n == 0) {
		if (mobile != NULL)
			drop(learn, mobile);
		return 0;
	}
	if (mobile == NULL)
		mobile = add(learn, head);
	if (mobile == NULL)
		return -ENOMEM;
	mobile->is_fresh = true;
	if (is_same(&mobile->all, all))
		return 0;
	explicit_bzero(&mobile->all, sizeof(mobile->all));
	mobile->all = *all;
	note_changed(learn, mobile);
	return 0;
}

static int take_mobile(struct learn *learn, const struct learned *head, const uint8_t *packed,
	char reason[static ASSOCIATION_REASON_LEN])
{
	struct associations all = { 0 };
	int error = association_unpack(packed, head->len, &all);

	snprintf(reason, ASSOCIATION_REASON_LEN, "associations: cannot be read");
	if (error != 0)
		error = -EINVAL;
	else
		error = association_check_list(&all, reason);
	if (error == 0 && (ip6_is_any(&head->home) || ip6_is_any(&head->agent))) {
		snprintf(reason, ASSOCIATION_REASON_LEN, "home, agent: must be addresses");
		error = -EINVAL;
	}
	if (error == 0) {
		error = set(learn, head, &all);
		if (error != 0)
			snprintf(reason, ASSOCIATION_REASON_LEN, "no room for more mobiles");
	}
	explicit_bzero(&all, sizeof(all));
	return error;
}

static int refuse(char reason[static ASSOCIATION_REASON_LEN], const char *why)
{
	snprintf(reason, ASSOCIATION_REASON_LEN, "%s", why);
	return -EINVAL;
}

static int take(struct learn *learn, const void *data, size_t len,
	char reason[static ASSOCIATION_REASON_LEN])
{
	struct rcursor c = rcursor_make(data, len);
	struct learned head;

	rcursor_copy(&c, &head, sizeof(head));
	if (!c.ok)
		return refuse(reason, "record: is cut");
	if (head.version != LEARNED_VERSION)
		return refuse(reason, "version: is that of another release");
	if (head.len != rcursor_left(&c))
		return refuse(reason, "len: is not that of the message");
	if (head.type == LEARNED_MOBILE)
		return take_mobile(learn, &head, (const uint8_t *)data + sizeof(head), reason);
	if (head.len != 0)
		return refuse(reason, "len: must be 0");
	if (head.type == LEARNED_BEGIN)
		twalk_r(learn->mobiles, stale, NULL);
	else if (head.type == LEARNED_END)
		return end(learn);
	else
		return refuse(reason, "type: is unknown");
	return 0;
}

int learn_record(struct learn *learn, const void *data, size_t len,
	char reason[static ASSOCIATION_REASON_LEN])
{
	int error;

	reason[0] = '\0';
	error = take(learn, data, len, reason);
	learn->n_refused += error != 0;
	return error;
}
