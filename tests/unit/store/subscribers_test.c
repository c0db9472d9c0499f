// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <sys/stat.h>

#include "controlplane/subscriber_line.h"
#include "controlplane/subscribers.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

#define KEY20 "000102030405060708090a0b0c0d0e0f10111213"
#define ALICE                                                                            \
	"{\"mn_id\": \"alice@example.net\", \"home_addresses\": [\"2001:db8:1::100\"], " \
	"\"allowed\": true, \"max_lifetime_s\": 300, "                                   \
	"\"keys\": [{\"spi\": 1000, \"algorithm\": \"hmac-sha1\", \"key\": \"" KEY20 "\"}]}\n"
#define BOB "{\"mn_id\": \"bob@example.net\", \"allowed\": false}\n"
#define CAROL "{\"home_addresses\": [\"2001:db8:1::200\", \"2001:db8:1::201\"]}\n"

static char dir[64], source[96], errors[65536];

static void write_source(const char *text, mode_t mode)
{
	FILE *f = fopen(source, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	CU_ASSERT_EQUAL(chmod(source, mode), 0);
}

static void begin(const char *text)
{
	scratch_make(dir);
	snprintf(source, sizeof(source), "%s/subscribers.jsonl", dir);
	write_source(text, 0600);
}

static struct subscribers *open_here(void)
{
	FILE *err = fmemopen(errors, sizeof(errors), "w");
	struct subscribers *subs = subscribers_open(dir, source, 1, err);
	int saved = errno;

	fclose(err);
	errno = saved;
	return subs;
}

static int reload(struct subscribers *subs, const char *from)
{
	FILE *err = fmemopen(errors, sizeof(errors), "w");
	int result = subscribers_prepare(subs, from, err);

	if (result == 0)
		subscribers_take(subs);
	fclose(err);
	return result;
}

static int find(const struct subscribers *subs, const char *home, struct subscriber *out)
{
	struct ip6 a;

	CU_ASSERT_EQUAL(ip6_parse(home, &a), 0);
	return subscribers_find_by_home(subs, &a, out);
}

static void test_find(void)
{
	struct subscribers *subs;
	const struct subscriber_key *key;
	struct subscriber s;
	struct ip6 a;

	begin(ALICE "\n" BOB "  \r\n" CAROL);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::100", &s), 0);
	CU_ASSERT_EQUAL(s.line, 1);
	CU_ASSERT_TRUE(s.is_allowed);
	CU_ASSERT_EQUAL(s.max_lifetime_s, 300);
	CU_ASSERT_EQUAL(s.mn_id_len, 17);
	CU_ASSERT_EQUAL(memcmp(s.mn_id, "alice@example.net", 17), 0);
	key = subscriber_find_key(&s, 1000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_EQUAL(key->algorithm, SUBSCRIBER_HMAC_SHA1);
	CU_ASSERT_EQUAL(key->len, 20);
	for (uint8_t i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(key->key[i], i);
	CU_ASSERT_PTR_NULL(subscriber_find_key(&s, 1001));
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "bob@example.net", 15, &s), 0);
	CU_ASSERT_FALSE(s.is_allowed);
	CU_ASSERT_EQUAL(ip6_parse("2001:db8:1::200", &a), 0);
	CU_ASSERT_TRUE(subscriber_has_home(&s, &a)); // bob has no list
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::201", &s), 0);
	CU_ASSERT_EQUAL(s.line, 5);
	CU_ASSERT_TRUE(subscriber_has_home(&s, &a));
	CU_ASSERT_EQUAL(ip6_parse("2001:db8:1::202", &a), 0);
	CU_ASSERT_FALSE(subscriber_has_home(&s, &a));
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::202", &s), -ENOENT);
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "bob", 3, &s), -ENOENT);
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "", 0, &s), -ENOENT);
	CU_ASSERT_EQUAL(subscribers_counts(subs).n_subscribers, 3);
	CU_ASSERT_EQUAL(subscribers_counts(subs).n_homes, 3);
	CU_ASSERT_EQUAL(subscribers_counts(subs).n_keys, 1);
	subscribers_close(subs);
	scratch_remove(dir);
}

// The index stands for an unchanged source, and is made again when it cannot be used.
static void test_restart(void)
{
	struct subscribers *subs;
	struct subscriber s;
	char index[96];
	struct stat before, after;

	begin(ALICE BOB);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	subscribers_close(subs);
	snprintf(index, sizeof(index), "%s/subscribers.index", dir);
	CU_ASSERT_EQUAL_FATAL(stat(index, &before), 0);
	CU_ASSERT_EQUAL(before.st_mode & 0777, 0600);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	CU_ASSERT_EQUAL(stat(index, &after), 0);
	CU_ASSERT_EQUAL(before.st_ino, after.st_ino); // not made again
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::100", &s), 0);
	CU_ASSERT_EQUAL(subscribers_counts(subs).n_subscribers, 2);
	subscribers_close(subs);
	// A damaged index is made again.
	CU_ASSERT_EQUAL(truncate(index, before.st_size / 2), 0);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::100", &s), 0);
	subscribers_close(subs);
	CU_ASSERT_EQUAL(truncate(index, 0), 0);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::100", &s), 0);
	subscribers_close(subs);
	scratch_remove(dir);
}

static void test_reload(void)
{
	struct subscribers *subs;
	struct subscriber s;

	begin(ALICE);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	write_source(BOB, 0600);
	CU_ASSERT_EQUAL(reload(subs, source), 0);
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::100", &s), -ENOENT);
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "bob@example.net", 15, &s), 0);
	write_source(ALICE "nonsense\n", 0600); // all or nothing
	CU_ASSERT_EQUAL(reload(subs, source), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "subscribers.jsonl: line 2: line: not JSON"));
	CU_ASSERT_EQUAL(find(subs, "2001:db8:1::100", &s), -ENOENT);
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "bob@example.net", 15, &s), 0);
	CU_ASSERT_EQUAL(reload(subs, "/nonexistent/file"), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "/nonexistent/file: No such file"));
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "bob@example.net", 15, &s), 0);
	CU_ASSERT_EQUAL(reload(subs, NULL), 0);
	CU_ASSERT_EQUAL(subscribers_counts(subs).n_subscribers, 0);
	CU_ASSERT_EQUAL(subscribers_find_by_mn_id(subs, "bob@example.net", 15, &s), -ENOENT);
	subscribers_close(subs);
	scratch_remove(dir);
}

static void test_permissions(void)
{
	struct subscribers *subs;

	begin(BOB ALICE);
	CU_ASSERT_EQUAL(chmod(source, 0644), 0);
	CU_ASSERT_PTR_NULL(open_here());
	CU_ASSERT_EQUAL(errno, EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "line 2: keys: others may read"));
	CU_ASSERT_EQUAL(chmod(source, 0640), 0);
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL(subs);
	subscribers_close(subs);
	write_source(BOB, 0644); // no keys in it
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL(subs);
	subscribers_close(subs);
	scratch_remove(dir);
}

// Every bad line is reported, with its number, field and reason.
static void test_bad_lines(void)
{
	static const char *const bad[][2] = {
		{ "{", "line 1: line: not JSON, at column 1" },
		{ "[]", "line 2: line: must be an object" },
		{ "{}", "line 3: line: mn_id or home_addresses must be there" },
		{ "{\"mn_id\": 5}", "line 4: mn_id: must be a string" },
		{ "{\"mn_id\": \"\"}", "line 5: mn_id: must be a string" },
		{ "{\"home_addresses\": [\"ff02::1\"]}", "line 6: home_addresses[0]: must be" },
		{ "{\"home_addresses\": [\"2001:db8::1\", \"2001:db8::1\"]}",
			"line 7: home_addresses[1]: 2001:db8::1 is listed twice" },
		{ "{\"mn_id\": \"x\", \"allowed\": 1}", "line 8: allowed: must be true or false" },
		{ "{\"mn_id\": \"x\", \"max_lifetime_s\": 5}", "line 9: max_lifetime_s: must be" },
		{ "{\"mn_id\": \"x\", \"max_lifetime_s\": 262144}",
			"line 10: max_lifetime_s: must be" },
		{ "{\"mn_id\": \"x\", \"keyz\": []}", "line 11: keyz: unknown" },
		{ "{\"mn_id\": \"x\", \"mn_id\": \"y\"}", "line 12: line: not JSON" },
		{ "{\"mn_id\": \"x\", \"keys\": [{\"spi\": 255}]}",
			"line 13: keys[0].spi: must be" },
		{ "{\"mn_id\": \"x\", \"keys\": [{\"spi\": 256, \"algorithm\": \"md5\"}]}",
			"line 14: keys[0].algorithm: must be" },
		{ "{\"mn_id\": \"x\", \"keys\": [{\"spi\": 256, \"key\": "
		  "\"5ec4e75ec4e75ec4e7x\"}]}",
			"line 15: keys[0].key: must be" },
		{ "{\"mn_id\": \"x\", \"keys\": [{\"key\": \"5ec4e75ec4e75ec4e700\"}]}",
			"line 16: keys[0]: spi, algorithm and key must be there" },
		{ "{\"mn_id\": \"x\", \"keys\": [1]}", "line 17: keys[0]: must be an object" },
		{ "{\"mn_id\": \"x\", \"keys\": 7}", "line 18: keys: must be an array" },
		{ "{\"mn_id\": \"x\", \"keys\": [{\"5ec4e7\": 7}]}", "line 19: keys[0]: unknown" },
		{ "{\"home_addresses\": [7]}", "line 20: home_addresses[0]: must be" },
		{ "{\"mn_id\": \"5ec4e7\", \"keys\": \"5ec4e7", "line 21: line: not JSON" },
		{ "{\"mn_id\": \"twin\", \"home_addresses\": [\"2001:db8::7\"]}", "" },
		{ "{\"mn_id\": \"twin\"}", "line 23: mn_id: line 22 has the same" },
		{ "{\"home_addresses\": [\"2001:db8::8\", \"2001:db8::7\"]}",
			"line 24: home_addresses[1]: line 22 has 2001:db8::7 too" },
	};
	size_t n = sizeof(bad) / sizeof(bad[0]);
	static char text[4 * SUBSCRIBER_LINE_MAX];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "%s\n", bad[i][0]);
	memset(text + len, ' ', SUBSCRIBER_LINE_MAX + 1);
	len += SUBSCRIBER_LINE_MAX + 1;
	sprintf(text + len, "\n{\"mn_id\": \"twin\"}");
	begin(text);
	CU_ASSERT_PTR_NULL(open_here());
	CU_ASSERT_EQUAL(errno, EINVAL);
	for (size_t i = 0; i < n; i++) {
		if (strstr(errors, bad[i][1]) == NULL)
			CU_FAIL(bad[i][1]);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "line 25: line: longer than 16384 bytes"));
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "line 26: mn_id: line 22 has the same"));
	CU_ASSERT_PTR_NULL(strstr(errors, "line 22: "));
	CU_ASSERT_PTR_NULL(strstr(errors, "5ec4e7")); // never a key
	scratch_remove(dir);
}

// A file that is wrong throughout is not repeated throughout.
static void test_many_bad(void)
{
	char text[256 * 2 + 1];

	for (int i = 0; i < 256; i++)
		memcpy(text + 2 * i, "x\n", 3);
	begin(text);
	CU_ASSERT_PTR_NULL(open_here());
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "line 100: "));
	CU_ASSERT_PTR_NULL(strstr(errors, "line 101: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(errors, "156 more lines are wrong"));
	scratch_remove(dir);
}

static void test_parse(void)
{
	struct subscriber s;
	struct associations all;
	char reason[SUBSCRIBER_REASON_LEN];
	char text[1024];

	strcpy(text,
		"{\"// x\": 1, \"mn_id\": \"a\", \"keys\": [{\"// y\": 2, \"spi\": 4294967295, "
		"\"algorithm\": \"hmac-sha1\", \"key\": \"ABCDEFabcdef0189\"}]}");
	CU_ASSERT_EQUAL_FATAL(subscriber_line_parse(text, strlen(text), &s, &all, reason), 0);
	CU_ASSERT_EQUAL(s.keys[0].spi, UINT32_MAX);
	CU_ASSERT_EQUAL(s.keys[0].len, 8);
	CU_ASSERT_EQUAL(memcmp(s.keys[0].key, "\xab\xcd\xef\xab\xcd\xef\x01\x89", 8), 0);
	strcpy(text,
		"{\"mn_id\": \"a\", \"keys\": ["
		"{\"spi\": 300, \"algorithm\": \"hmac-sha1\", \"key\": \"0011223344556677\"},"
		"{\"spi\": 300, \"algorithm\": \"hmac-sha1\", \"key\": \"0011223344556678\"}]}");
	CU_ASSERT_EQUAL(subscriber_line_parse(text, strlen(text), &s, &all, reason), -EINVAL);
	CU_ASSERT_STRING_EQUAL(reason, "keys[1].spi: 300 is there twice");
	strcpy(text, "{\"mn_id\": \"a\", \"keys\": [{\"key\": \"00112233445566\"}]}");
	CU_ASSERT_EQUAL(subscriber_line_parse(text, strlen(text), &s, &all, reason), -EINVAL);
	CU_ASSERT_STRING_EQUAL(reason, "keys[0].key: must be 8 to 64 bytes in hex");
	strcpy(text, "{\"mn_id\": \"a\", \"home_addresses\": "
		     "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}");
	CU_ASSERT_EQUAL(subscriber_line_parse(text, strlen(text), &s, &all, reason), -EINVAL);
	CU_ASSERT_STRING_EQUAL(reason, "home_addresses: must be an array of at most 16 addresses");
}

static void test_many(void)
{
	struct subscribers *subs;
	struct subscriber s;
	char home[48];
	FILE *f;

	begin("");
	f = fopen(source, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (unsigned i = 0; i < 25000; i++)
		fprintf(f,
			"{\"mn_id\": \"u%u@example.net\", \"home_addresses\": "
			"[\"2001:db8:%x::1\"]}\n",
			i, i * 2654435761U >> 16 & 0xffff);
	fclose(f);
	subs = open_here(); // the hash has no duplicates among so few, or this would fail
	if (subs == NULL)
		printf("%.200s\n", errors);
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	for (unsigned i = 0; i < 25000; i += 7) {
		snprintf(home, sizeof(home), "2001:db8:%x::1", i * 2654435761U >> 16 & 0xffff);
		CU_ASSERT_EQUAL_FATAL(find(subs, home, &s), 0);
		CU_ASSERT_EQUAL_FATAL(s.line, i + 1);
	}
	subscribers_close(subs);
	scratch_remove(dir);
}

#define IPSEC(home, spi, key)                                            \
	"{\"home_addresses\": [" home "], \"security_associations\": ["  \
	"{\"use\": \"signalling\", \"direction\": \"in\", \"spi\": " spi \
	", \"encryption\": \"aes-gcm-16\", \"encryption_key\": \"" key   \
	"5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e7\"}]}\n"

// What came of a walk over the security associations.
struct walked {
	unsigned int n;
	uint32_t lines[4], refs[4];
};

static int walk(void *ctx, const struct subscriber_secured *s)
{
	struct walked *w = ctx;

	CU_ASSERT_EQUAL(s->all.n, 1);
	CU_ASSERT_EQUAL(s->home.b[15], s->line);
	w->refs[w->n] = s->ref;
	w->lines[w->n++] = s->line;
	return w->n == 3 ? -ECANCELED : 0;
}

static void test_secured(void)
{
	struct walked walked = { 0 };
	struct subscriber_secured found;
	struct subscribers *subs;
	FILE *f;

	begin("{\"mn_id\": \"plain\"}\n" IPSEC("\"2001:db8::2\"", "1000", "00ff")
			IPSEC("\"2001:db8::3\"", "1001", "01ff"));
	subs = open_here();
	CU_ASSERT_PTR_NOT_NULL_FATAL(subs);
	CU_ASSERT_EQUAL(subscribers_counts(subs).n_secured, 2);
	CU_ASSERT_EQUAL(subscribers_each_secured(subs, true, walk, &walked), 0);
	CU_ASSERT_EQUAL(walked.n, 2);
	CU_ASSERT_EQUAL(walked.lines[1], 3);
	CU_ASSERT_EQUAL(subscribers_find_secured(subs, walked.refs[1], &found), 0);
	CU_ASSERT_EQUAL(found.line, 3);
	CU_ASSERT_EQUAL(found.all.list[0].spi, 1001);
	CU_ASSERT_EQUAL(found.all.list[0].enc_key_len, 20);
	CU_ASSERT_EQUAL(found.all.list[0].enc_key[0], 1);
	CU_ASSERT_EQUAL(subscribers_find_secured(subs, UINT32_MAX, &found), -EBADMSG);

	// What is prepared is walked as the next; the old one stays in force.
	f = fopen(source, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(IPSEC("\"2001:db8::1\"", "1000", "00ff"), f);
	fclose(f);
	CU_ASSERT_EQUAL(subscribers_prepare(subs, source, stderr), 0);
	walked.n = 0;
	CU_ASSERT_EQUAL(subscribers_each_secured(subs, true, walk, &walked), 0);
	CU_ASSERT_EQUAL(walked.n, 1);
	walked.n = 2;
	CU_ASSERT_EQUAL(subscribers_each_secured(subs, false, walk, &walked), -ECANCELED);
	subscribers_close(subs);
	scratch_remove(dir);
}

static void test_secured_clash(void)
{
	begin(IPSEC("\"2001:db8::1\"", "1000", "00ff") IPSEC("\"2001:db8::2\"", "1000", "01ff")
			IPSEC("\"2001:db8::3\"", "1001", "00ff")
				IPSEC("\"2001:db8::4\", \"2001:db8::5\"", "1002", "02ff")
					IPSEC("", "1003", "03ff"));
	CU_ASSERT_PTR_NULL(open_here());
	CU_ASSERT_PTR_NOT_NULL(strstr(
		errors, "line 2: security_associations[0].spi: line 1 has the same inbound\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(errors,
		"line 3: security_associations[0].encryption_key: line 1 has the same, and no two "
		"may share one\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(errors,
		"line 4: home_addresses: must be one address with security_associations\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(errors, "line 5: line: mn_id or home_addresses must be there\n"));
	CU_ASSERT_PTR_NULL(strstr(errors, "5ec4e7")); // never a key
	scratch_remove(dir);
}

static void test_pack(void)
{
	struct subscriber a, b;
	struct associations all;
	char reason[SUBSCRIBER_REASON_LEN];
	uint8_t buf[SUBSCRIBER_BYTES_MAX], again[SUBSCRIBER_BYTES_MAX];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(subscriber_line_parse(ALICE, strlen(ALICE), &a, &all, reason), 0);
	len = subscriber_line_pack(&a, buf, sizeof(buf));
	for (size_t i = 0; i < len; i++)
		CU_ASSERT_EQUAL(subscriber_line_unpack(buf, i, &b), -EBADMSG);
	CU_ASSERT_EQUAL(subscriber_line_unpack(buf, len, &b), 0);
	CU_ASSERT_EQUAL(subscriber_line_pack(&b, again, sizeof(again)), len);
	CU_ASSERT_EQUAL(memcmp(buf, again, len), 0);
	CU_ASSERT_EQUAL(memcmp(a.keys[0].key, b.keys[0].key, 20), 0);
	CU_ASSERT_EQUAL(subscriber_line_unpack(buf, len + 1, &b), -EBADMSG);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "find by home address, MN-ID and SPI", test_find },
		{ "an unchanged source is not read again", test_restart },
		{ "reload is all or nothing", test_reload },
		{ "keys that others may read", test_permissions },
		{ "bad lines", test_bad_lines },
		{ "many bad lines", test_many_bad },
		{ "one line", test_parse },
		{ "many", test_many },
		{ "security associations", test_secured },
		{ "security associations that clash", test_secured_clash },
		{ "packing", test_pack },
		CU_TEST_INFO_NULL,
	};

	return suite_run("subscribers", tests);
}
