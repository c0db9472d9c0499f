// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/api/walk.h"

#include <errno.h>

struct api_walk api_walk_start(const void *msg, size_t len)
{
	const uint8_t *p = msg;

	return (struct api_walk){ .p = p, .end = p + len };
}

static size_t sa_keys_len(const struct api_sa_set *sa)
{
	return (size_t)sa->enc_key_len + sa->auth_key_len;
}

// Bytes that the variable part of a record needs, as its own fields say.
static size_t tail_len(const struct api_rec *rec)
{
	switch (rec->type) {
	case API_BINDING_SET:
		return (((const struct api_binding_set *)rec)->n_care_of - 1u) *
		       sizeof(struct api_care_of);
	case API_PACKET_OUT:
		return ((const struct api_packet_out *)rec)->packet_len;
	case API_PUNT:
		return ((const struct api_punt *)rec)->packet_len;
	case API_SA_SET:
		return sa_keys_len((const void *)rec);
	default:
		return 0;
	}
}

static bool rec_is_sound(const struct api_rec *rec, size_t left)
{
	uint32_t min = api_min_len(rec->type);

	if (min == 0 || rec->len < min || rec->len > left || rec->len % 8 != 0)
		return false;
	if (rec->type == API_BINDING_SET) {
		const struct api_binding_set *set = (const struct api_binding_set *)rec;

		if (set->n_care_of < 1 || set->n_care_of > API_MAX_CARE_OF)
			return false;
	}
	if (rec->type == API_SA_SET && tail_len(rec) > API_SA_MAX_KEYS)
		return false;
	return tail_len(rec) <= API_MSG_MAX && min + tail_len(rec) <= rec->len;
}

const struct api_rec *api_walk_next(struct api_walk *walk)
{
	size_t left = (size_t)(walk->end - walk->p);
	const struct api_rec *rec = (const struct api_rec *)(const void *)walk->p;

	if (walk->error != 0 || left == 0)
		return NULL;
	if (left < sizeof(*rec) || !rec_is_sound(rec, left)) {
		walk->error = -EPROTO;
		return NULL;
	}
	walk->p += rec->len;
	return rec;
}
