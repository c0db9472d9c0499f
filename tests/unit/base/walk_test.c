// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/api/walk.h"

#include <errno.h>

#include "tests/unit/base/suite.h"

// A message under construction.
struct message {
	_Alignas(8) uint8_t b[4096];
	size_t len;
};

// Appends a zeroed record of len bytes and returns it.
static void *add(struct message *m, uint16_t type, uint32_t len)
{
	struct api_rec *rec = (struct api_rec *)(void *)(m->b + m->len);

	memset(rec, 0, len);
	rec->type = type;
	rec->len = len;
	m->len += len;
	return rec;
}

// Walks m to its end. Returns: the number of records, or the walk's error.
static int walk_all(const struct message *m)
{
	struct api_walk walk = api_walk_start(m->b, m->len);
	int n = 0;

	while (api_walk_next(&walk) != NULL)
		n++;
	if (walk.error != 0)
		CU_ASSERT_PTR_NULL(api_walk_next(&walk));
	return walk.error != 0 ? walk.error : n;
}

static void test_every_type(void)
{
	struct message m = { .len = 0 };
	struct api_walk walk;

	CU_ASSERT_EQUAL(walk_all(&m), 0);
	for (uint16_t type = 1; type < API_TYPE_MAX; type++) {
		void *rec = add(&m, type, api_rec_len(api_min_len(type), 0));

		if (type == API_BINDING_SET)
			((struct api_binding_set *)rec)->n_care_of = 1;
	}
	walk = api_walk_start(m.b, m.len);
	for (uint16_t type = 1; type < API_TYPE_MAX; type++) {
		const struct api_rec *rec = api_walk_next(&walk);

		CU_ASSERT_PTR_NOT_NULL_FATAL(rec);
		CU_ASSERT_EQUAL(rec->type, type);
	}
	CU_ASSERT_PTR_NULL(api_walk_next(&walk));
	CU_ASSERT_EQUAL(walk.error, 0);
}

static void test_unknown_types(void)
{
	static const uint16_t types[] = { 0, API_TYPE_MAX, 0xffff };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message m = { .len = 0 };

		add(&m, types[i], 64);
		CU_ASSERT_EQUAL(walk_all(&m), -EPROTO);
	}
}

// Each length below the least, and each cut of the message, is refused.
static void test_lengths(void)
{
	for (uint16_t type = 1; type < API_TYPE_MAX; type++) {
		struct message m = { .len = 0 };
		struct api_rec *rec = add(&m, type, api_rec_len(api_min_len(type), 0));
		uint32_t whole = rec->len;

		if (type == API_BINDING_SET)
			((struct api_binding_set *)(void *)rec)->n_care_of = 1;
		CU_ASSERT_EQUAL(walk_all(&m), 1);
		for (rec->len = 0; rec->len < whole; rec->len++)
			CU_ASSERT_EQUAL(walk_all(&m), -EPROTO);
		rec->len = whole;
		for (m.len = 1; m.len < whole; m.len++)
			CU_ASSERT_EQUAL(walk_all(&m), -EPROTO);
		m.len = whole;
		rec->len = UINT32_MAX & ~7u;
		CU_ASSERT_EQUAL(walk_all(&m), -EPROTO);
		rec->len = whole + 4; // no multiple of 8
		m.len = whole + 8;
		CU_ASSERT_EQUAL(walk_all(&m), -EPROTO);
	}
}

static void test_care_ofs(void)
{
	struct message m = { .len = 0 };
	struct api_binding_set *set =
		add(&m, API_BINDING_SET, sizeof(*set) + 3 * sizeof(struct api_care_of));

	for (uint32_t n = 0; n <= UINT16_MAX; n++) {
		set->n_care_of = (uint16_t)n;
		CU_ASSERT_EQUAL(walk_all(&m), n >= 1 && n <= 3 ? 1 : -EPROTO);
	}
	m.len = 0;
	set = add(&m, API_BINDING_SET,
		sizeof(*set) + (API_MAX_CARE_OF + 1) * sizeof(struct api_care_of));
	set->n_care_of = API_MAX_CARE_OF;
	CU_ASSERT_EQUAL(walk_all(&m), 1);
	set->n_care_of = API_MAX_CARE_OF + 1;
	CU_ASSERT_EQUAL(walk_all(&m), -EPROTO);
}

static void test_packets(void)
{
	static const uint32_t lengths[] = { 0, 1, 100, 101, 104, 105, API_MSG_MAX, UINT32_MAX };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct message m = { .len = 0 };
		struct api_packet_out *out = add(&m, API_PACKET_OUT, sizeof(*out) + 104);
		struct api_punt *punt;

		out->packet_len = lengths[i];
		CU_ASSERT_EQUAL(walk_all(&m), lengths[i] <= 104 ? 1 : -EPROTO);
		m.len = 0;
		punt = add(&m, API_PUNT, sizeof(*punt) + 104);
		punt->packet_len = lengths[i];
		CU_ASSERT_EQUAL(walk_all(&m), lengths[i] <= 104 ? 1 : -EPROTO);
	}
}

static void test_keys(void)
{
	static const struct {
		uint16_t enc, auth;
		int expect;
	} rows[] = {
		{ 0, 0, 1 },
		{ 36, 0, 1 },
		{ 32, 64, 1 },
		{ 64, 64, 1 },
		{ 65, 64, -EPROTO },
		{ 0, 129, -EPROTO },
		{ UINT16_MAX, UINT16_MAX, -EPROTO },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message m = { .len = 0 };
		struct api_sa_set *set = add(&m, API_SA_SET, sizeof(*set) + 136);

		set->enc_key_len = rows[i].enc;
		set->auth_key_len = rows[i].auth;
		CU_ASSERT_EQUAL(walk_all(&m), rows[i].expect);
	}
	for (uint16_t len = 0; len <= 16; len++) {
		struct message m = { .len = 0 };
		struct api_sa_set *set = add(&m, API_SA_SET, sizeof(*set) + 8);

		set->enc_key_len = len;
		CU_ASSERT_EQUAL(walk_all(&m), len <= 8 ? 1 : -EPROTO);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "a record of every type", test_every_type },
		{ "unknown types", test_unknown_types },
		{ "wrong lengths", test_lengths },
		{ "numbers of care-of entries", test_care_ofs },
		{ "packet lengths", test_packets },
		{ "keys", test_keys },
		CU_TEST_INFO_NULL,
	};

	return suite_run("walk", tests);
}
