// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/mgmt_request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum member {
	MEMBER_KEY = 1,
	MEMBER_NETWORK = 2,
	MEMBER_AFTER = 4,
	MEMBER_LIMIT = 8,
	MEMBER_FORCE = 16,
};

// A verb with the members that it takes.
struct verb_row {
	const char *name;
	unsigned int takes, needs; // sets of enum member
};

static const struct verb_row verbs[MGMT_N_VERBS] = {
	[MGMT_STATUS] = { "status", 0, 0 },
	[MGMT_SHOW_BINDINGS] = { "show bindings", MEMBER_NETWORK | MEMBER_AFTER | MEMBER_LIMIT, 0 },
	[MGMT_SHOW_BINDING] = { "show binding", MEMBER_KEY, MEMBER_KEY },
	[MGMT_SHOW_NETWORKS] = { "show networks", 0, 0 },
	[MGMT_SHOW_SYNC] = { "show sync", 0, 0 },
	[MGMT_CLEAR_BINDING] = { "clear binding", MEMBER_KEY, MEMBER_KEY },
	[MGMT_RELOAD] = { "reload", 0, 0 },
	[MGMT_RESYNC] = { "resync", MEMBER_FORCE, 0 },
	[MGMT_MONITOR] = { "monitor", 0, 0 },
};

static const struct {
	const char *name;
	enum member member;
} members[] = {
	{ "key", MEMBER_KEY },
	{ "network", MEMBER_NETWORK },
	{ "after", MEMBER_AFTER },
	{ "limit", MEMBER_LIMIT },
	{ "force", MEMBER_FORCE },
};

static int fail(char *error, const char *member, const char *what)
{
	snprintf(error, MGMT_ERROR_LEN, "%.64s: %s", member, what);
	return -EINVAL;
}

static int read_text(
	const json_t *value, const char *name, char out[static MGMT_TEXT_MAX + 1], char *error)
{
	size_t len = json_string_length(value);

	if (!json_is_string(value) || len == 0 || len > MGMT_TEXT_MAX)
		return fail(error, name, "must be a text of 1 to 127 characters");
	if (strlen(json_string_value(value)) != len)
		return fail(error, name, "must not contain a zero character");
	memcpy(out, json_string_value(value), len + 1);
	return 0;
}

static int read_member(const json_t *value, enum member member, const char *name,
	struct mgmt_request *out, char *error)
{
	json_int_t limit;

	switch (member) {
	case MEMBER_KEY:
		return read_text(value, name, out->key, error);
	case MEMBER_NETWORK:
		return read_text(value, name, out->network, error);
	case MEMBER_AFTER:
		return read_text(value, name, out->after, error);
	case MEMBER_LIMIT:
		limit = json_integer_value(value);
		if (!json_is_integer(value) || limit < 1 || limit > UINT32_MAX)
			return fail(error, name, "must be a number from 1 to 4294967295");
		out->limit = (uint32_t)limit;
		return 0;
	case MEMBER_FORCE:
		if (!json_is_boolean(value))
			return fail(error, name, "must be true or false");
		out->is_forced = json_is_true(value);
		return 0;
	}
	return fail(error, name, "unknown member");
}

static int read_verb(const json_t *root, struct mgmt_request *out, char *error)
{
	const json_t *value = json_object_get(root, "verb");

	if (!json_is_string(value))
		return fail(error, "verb", "missing");
	for (unsigned int i = 0; i < MGMT_N_VERBS; i++) {
		if (strcmp(json_string_value(value), verbs[i].name) == 0) {
			out->verb = (enum mgmt_verb)i;
			return 0;
		}
	}
	return fail(error, "verb", "unknown");
}

static int read_members(json_t *root, struct mgmt_request *out, char *error)
{
	const struct verb_row *verb = &verbs[out->verb];
	unsigned int has = 0;
	const char *name;
	json_t *value;

	json_object_foreach (root, name, value) {
		enum member member = 0;
		int result;

		if (strcmp(name, "verb") == 0)
			continue;
		for (unsigned int i = 0; i < sizeof(members) / sizeof(members[0]); i++)
			if (strcmp(name, members[i].name) == 0)
				member = members[i].member;
		if ((verb->takes & member) == 0)
			return fail(error, name, "does not go with this verb");
		result = read_member(value, member, name, out, error);
		if (result != 0)
			return result;
		has |= member;
	}
	if ((verb->needs & ~has) != 0)
		return fail(error, "key", "missing");
	return 0;
}

int mgmt_request_parse(
	const char *line, size_t len, struct mgmt_request *out, char error[static MGMT_ERROR_LEN])
{
	json_error_t why;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	int result;

	*out = (struct mgmt_request){ 0 };
	if (root == NULL)
		return fail(error, "request", why.text);
	if (json_is_object(root))
		result = read_verb(root, out, error);
	else
		result = fail(error, "request", "must be an object");
	if (result == 0)
		result = read_members(root, out, error);
	json_decref(root);
	return result;
}
