// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The example subscribers file is taken by the import that the control process has.

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/subscribers.h"
#include "tests/unit/base/suite.h"

// Copies the example into dir with mode 0600, as its first line asks.
static void copy_example(const char *to)
{
	FILE *in = fopen(CONFIG_EXAMPLES "/subscribers.jsonl", "r"), *out;
	int c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	umask(077);
	out = fopen(to, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	CU_ASSERT_EQUAL(fclose(out), 0);
}

static void test_import(void)
{
	char dir[] = "/tmp/unwired-example-XXXXXX", path[64], command[128];
	struct subscribers_counts counts = { 0 };
	struct subscribers *subs;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/subscribers.jsonl", dir);
	copy_example(path);
	subs = subscribers_open(dir, path, 1, stderr);
	CU_ASSERT_PTR_NOT_NULL(subs);
	if (subs != NULL) {
		counts = subscribers_counts(subs);
		subscribers_close(subs);
	}
	CU_ASSERT_EQUAL(counts.n_subscribers, 4);
	CU_ASSERT_EQUAL(counts.n_homes, 5);
	CU_ASSERT_EQUAL(counts.n_keys, 3);
	CU_ASSERT_EQUAL(counts.n_secured, 1);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "the example is imported", test_import },
		CU_TEST_INFO_NULL,
	};

	return suite_run("subscribers example", tests);
}
