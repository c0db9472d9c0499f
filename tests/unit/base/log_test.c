// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "tests/unit/base/suite.h"

static char written[8192]; // what capture_end found on stderr
static FILE *capture_file;
static int saved_stderr;

static void capture_begin(void)
{
	capture_file = tmpfile();
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(capture_file), STDERR_FILENO);
}

static void capture_end(void)
{
	size_t n;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(capture_file);
	n = fread(written, 1, sizeof(written) - 1, capture_file);
	written[n] = '\0';
	fclose(capture_file);
}

static void test_levels(void)
{
	enum log_level level = LOG_LEVEL_ERR;

	CU_ASSERT_EQUAL(log_level_parse("debug", &level), 0);
	CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
	CU_ASSERT_EQUAL(log_level_parse("loud", &level), -EINVAL);
	CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
	log_init("prog", LOG_LEVEL_WARN);
	capture_begin();
	log_err("broken n=%d", 1);
	log_warn("degraded n=%d", 2);
	log_info("changed n=%d", 3);
	capture_end();
	CU_ASSERT_STRING_EQUAL(written, "prog: err broken n=1\nprog: warn degraded n=2\n");
}

// A line that is too long is cut, and is still one whole line.
static void test_long_line(void)
{
	char text[4000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init("prog", LOG_LEVEL_INFO);
	capture_begin();
	log_info("long text=%s", text);
	log_info("next");
	capture_end();
	CU_ASSERT_EQUAL(strchr(written, '\n') - written, 1023 - 1);
	CU_ASSERT_STRING_EQUAL(strchr(written, '\n') + 1, "prog: info next\n");
}

// Five lines in a second with a budget of two, and the first of the next second.
static void test_limit(void)
{
	struct log_limit limit;
	uint64_t second;

	log_init("prog", LOG_LEVEL_INFO);
	do { // until all are within one second
		limit = (struct log_limit){ .per_second = 2 };
		second = clock_mono_ns() / CLOCK_NS_PER_S;
		capture_begin();
		for (int i = 0; i < 5; i++)
			log_write_limited(&limit, LOG_LEVEL_INFO, "event i=%d", i);
		capture_end();
	} while (clock_mono_ns() / CLOCK_NS_PER_S != second);
	CU_ASSERT_STRING_EQUAL(written, "prog: info event i=0\nprog: info event i=1\n");
	CU_ASSERT_EQUAL(limit.suppressed, 3);
	limit.second--;
	capture_begin();
	log_write_limited(&limit, LOG_LEVEL_INFO, "event i=5");
	log_write_limited(&limit, LOG_LEVEL_DEBUG, "event i=6");
	capture_end();
	CU_ASSERT_STRING_EQUAL(written, "prog: info event i=5 suppressed=3\n");
	CU_ASSERT_EQUAL(limit.suppressed, 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "levels", test_levels },
		{ "a long line is cut", test_long_line },
		{ "a limited class says what it suppressed", test_limit },
		CU_TEST_INFO_NULL,
	};

	return suite_run("log", tests);
}
