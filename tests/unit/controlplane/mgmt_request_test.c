// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/mgmt_request.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/base/suite.h"

static int parse(const char *line, struct mgmt_request *out, char *error)
{
	error[0] = '\0';
	return mgmt_request_parse(line, strlen(line), out, error);
}

static void test_accepted(void)
{
	char error[MGMT_ERROR_LEN];
	struct mgmt_request request;

	CU_ASSERT_EQUAL(parse("{\"verb\": \"status\"}", &request, error), 0);
	CU_ASSERT_EQUAL(request.verb, MGMT_STATUS);
	CU_ASSERT_EQUAL(
		parse("{\"verb\": \"show bindings\", \"network\": \"a\", \"after\": \"::1\","
		      " \"limit\": 7}",
			&request, error),
		0);
	CU_ASSERT_EQUAL(request.verb, MGMT_SHOW_BINDINGS);
	CU_ASSERT_STRING_EQUAL(request.network, "a");
	CU_ASSERT_STRING_EQUAL(request.after, "::1");
	CU_ASSERT_EQUAL(request.limit, 7);
	CU_ASSERT_EQUAL(parse("{\"verb\": \"resync\", \"force\": true}", &request, error), 0);
	CU_ASSERT(request.is_forced);
	CU_ASSERT_EQUAL(
		parse("{\"key\": \"a@b\", \"verb\": \"clear binding\"}", &request, error), 0);
	CU_ASSERT_STRING_EQUAL(request.key, "a@b");
}

static void test_refused(void)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
		{ "[]", "request: must be an object" },
		{ "{}", "verb: missing" },
		{ "{\"verb\": 1}", "verb: missing" },
		{ "{\"verb\": \"fly\"}", "verb: unknown" },
		{ "{\"verb\": \"status\", \"key\": \"a\"}", "key: does not go with this verb" },
		{ "{\"verb\": \"status\", \"wings\": 2}", "wings: does not go with this verb" },
		{ "{\"verb\": \"show binding\"}", "key: missing" },
		{ "{\"verb\": \"show binding\", \"key\": \"\"}",
			"key: must be a text of 1 to 127 characters" },
		{ "{\"verb\": \"show binding\", \"key\": \"a\\u0000b\"}", NULL },
		{ "{\"verb\": \"show bindings\", \"limit\": 0}",
			"limit: must be a number from 1 to 4294967295" },
		{ "{\"verb\": \"show bindings\", \"limit\": 4294967296}",
			"limit: must be a number from 1 to 4294967295" },
		{ "{\"verb\": \"show bindings\", \"limit\": \"7\"}",
			"limit: must be a number from 1 to 4294967295" },
		{ "{\"verb\": \"resync\", \"force\": 1}", "force: must be true or false" },
		{ "{\"verb\": \"status\", \"verb\": \"reload\"}", NULL },
		{ "{\"verb\": \"status\"} x", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[MGMT_ERROR_LEN];
		struct mgmt_request request;

		CU_ASSERT_EQUAL(parse(rows[i].line, &request, error), -EINVAL);
		if (rows[i].error != NULL)
			CU_ASSERT_STRING_EQUAL(error, rows[i].error);
		CU_ASSERT(error[0] != '\0');
	}
}

static void test_long_key(void)
{
	char line[512], key[200], error[MGMT_ERROR_LEN];
	struct mgmt_request request;

	for (size_t len = MGMT_TEXT_MAX - 1; len <= MGMT_TEXT_MAX + 1; len++) {
		memset(key, 'k', len);
		key[len] = '\0';
		snprintf(line, sizeof(line), "{\"verb\": \"show binding\", \"key\": \"%s\"}", key);
		CU_ASSERT_EQUAL(parse(line, &request, error), len <= MGMT_TEXT_MAX ? 0 : -EINVAL);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "requests that are right", test_accepted },
		{ "requests that are refused, and why", test_refused },
		{ "longest key", test_long_key },
		CU_TEST_INFO_NULL,
	};

	return suite_run("mgmt_request", tests);
}
