// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <string.h>

#include "controlplane/association.h"
#include "tests/unit/base/suite.h"

#define HEX4 "5ec4e7ff"
#define HEX16 HEX4 HEX4 HEX4 HEX4
#define HEX20 HEX16 HEX4
#define HEX32 HEX16 HEX16
#define HEX36 HEX32 HEX4
#define SA(use, direction, spi, more) \
	"{'use':'" use "','direction':'" direction "','spi':" spi "," more "}"
#define GCM(key) "'encryption':'aes-gcm-16','encryption_key':'" key "'"
#define CBC                                               \
	"'encryption':'aes-cbc','encryption_key':'" HEX16 \
	"','authentication':'hmac-sha1-96','authentication_key':'" HEX20 "'"

// Reads a list in single quotes. Returns: as association_read_list.
static int read_list(const char *text, struct associations *all, char *reason)
{
	char json[4096];
	json_t *value;
	int err;

	snprintf(json, sizeof(json), "%s", text);
	for (char *c = json; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	value = json_loads(json, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	reason[0] = '\0';
	err = association_read_list(value, all, reason);
	json_decref(value);
	return err;
}

static void test_read(void)
{
	struct associations all = { 0 };
	char reason[ASSOCIATION_REASON_LEN];

	CU_ASSERT_EQUAL(read_list("[" SA("signalling", "in", "2000", CBC) "," SA(
					  "signalling", "out", "2000", CBC) "," SA("signalling",
					  "in", "2001", CBC) "," SA("payload", "out", "4294967295",
					  GCM(HEX36) ",'esn':true,'lifetime_packets':5,"
						     "'lifetime_bytes':6,'lifetime_s':7") "]",
				&all, reason),
		0);
	CU_ASSERT_EQUAL_FATAL(all.n, 4);
	CU_ASSERT_EQUAL(all.list[0].use, API_SA_SIGNALLING);
	CU_ASSERT_EQUAL(all.list[0].direction, API_SA_IN);
	CU_ASSERT_EQUAL(all.list[0].encryption, API_SA_AES_CBC);
	CU_ASSERT_EQUAL(all.list[0].authentication, API_SA_HMAC_SHA1_96);
	CU_ASSERT_EQUAL(all.list[0].enc_key_len, 16);
	CU_ASSERT_EQUAL(all.list[0].auth_key_len, 20);
	CU_ASSERT_EQUAL(all.list[0].enc_key[3], 0xff);
	CU_ASSERT_EQUAL(all.list[0].replay_window, 64);
	CU_ASSERT_EQUAL(all.list[1].replay_window, 0);
	CU_ASSERT_EQUAL(all.list[3].spi, UINT32_MAX);
	CU_ASSERT_TRUE(all.list[3].has_esn);
	CU_ASSERT_EQUAL(all.list[3].enc_key_len, 36);
	CU_ASSERT_EQUAL(all.list[3].life_packets, 5);
	CU_ASSERT_EQUAL(all.list[3].life_bytes, 6);
	CU_ASSERT_EQUAL(all.list[3].lifetime_s, 7);
}

static void test_refuse(void)
{
	static const char *const rows[][2] = {
		{ "{}", "security_associations: must be an array of at most 12 associations" },
		{ "[1]", "security_associations[0]: must be an object" },
		{ "[{'use':'x'}]",
			"security_associations[0].use: must be one of signalling, discovery, "
			"routability, payload" },
		{ "[{'direction':1}]",
			"security_associations[0].direction: must be one of in, out" },
		{ "[{'spi':255}]",
			"security_associations[0].spi: must be a number from 256 to 4294967295" },
		{ "[{'colour':1}]", "security_associations[0]: colour is unknown" },
		{ "[{'esn':1}]", "security_associations[0].esn: must be true or false" },
		{ "[{'replay_window':33}]",
			"security_associations[0].replay_window: must be a multiple of 32" },
		{ "[{'replay_window':4128}]",
			"security_associations[0].replay_window: must be a number from 0 to 4096" },
		{ "[{'encryption_key':'5ec4e7f'}]",
			"security_associations[0].encryption_key: must be 1 to 64 bytes in hex" },
		{ "[{'encryption_key':'5ec4e7fg'}]",
			"security_associations[0].encryption_key: must be hexadecimal digits" },
		{ "[{'use':'payload','direction':'in','spi':256}]",
			"security_associations[0]: use, direction, spi and encryption must be "
			"there" },
		{ "[" SA("payload", "in", "256", GCM(HEX16)) "]",
			"security_associations[0].encryption_key: must have 20 or 36 bytes with "
			"aes-gcm-16" },
		{ "[" SA("payload", "in", "256", GCM(HEX20) ",'authentication':'hmac-sha1-96'") "]",
			"security_associations[0].authentication: aes-gcm-16 has its own" },
		{ "[" SA("payload", "in", "256",
			  GCM(HEX20) ",'authentication_key':'" HEX20 "'") "]",
			"security_associations[0].authentication_key: none has no key" },
		{ "[" SA("payload", "in", "256", "'encryption':'null'") "]",
			"security_associations[0].authentication: null needs one" },
		{ "[" SA("payload", "in", "256",
			  "'encryption':'null','encryption_key':'" HEX16
			  "','authentication':'hmac-sha1-96','authentication_key':'" HEX20 "'") "]",
			"security_associations[0].encryption_key: null has no key" },
		{ "[" SA("payload", "in", "256",
			  "'encryption':'null','authentication':'hmac-sha256-128',"
			  "'authentication_key':'" HEX20 "'") "]",
			"security_associations[0].authentication_key: must have 32 bytes with "
			"hmac-sha256-128" },
		{ "[" SA("routability", "in", "256",
			  "'encryption':'null','authentication':'hmac-sha1-96',"
			  "'authentication_key':'" HEX20 "'") "]",
			"security_associations[0].encryption: null does not hide home test "
			"messages" },
		{ "[" SA("payload", "out", "256", GCM(HEX20) ",'replay_window':64") "]",
			"security_associations[0].replay_window: has no sense for what goes out" },
		{ "[" SA("payload", "in", "256", GCM(HEX20) ",'esn':true,'replay_window':0") "]",
			"security_associations[0].replay_window: esn needs one" },
		{ "[" SA("payload", "in", "256", CBC) "," SA("signalling", "in", "256", CBC) "]",
			"security_associations[1].spi: 256 is that of security_associations[0]" },
		{ "[" SA("payload", "in", "256", GCM(HEX20)) "," SA(
			  "payload", "out", "256", GCM(HEX20)) "]",
			"security_associations[1].encryption_key: is that of "
			"security_associations[0], and no two may share one" },
		{ "[" SA("payload", "out", "256", CBC) "," SA("payload", "out", "257", CBC) "]",
			"security_associations[1].use: there is another one for what goes out" },
		{ "[" SA("payload", "in", "256", CBC) "," SA("payload", "in", "257", CBC) "," SA(
			  "payload", "in", "258", CBC) "]",
			"security_associations[2].use: there are two others for what comes in" },
#ifndef UNWIRED_LEGACY_CRYPTO
		{ "[" SA("payload", "in", "256", "'encryption':'3des-cbc'") "]",
			"security_associations[0].encryption: 3des-cbc is not in this build "
			"(legacy_crypto)" },
#endif
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct associations all = { 0 };
		char reason[ASSOCIATION_REASON_LEN];

		CU_ASSERT_EQUAL(read_list(rows[i][0], &all, reason), -EINVAL);
		CU_ASSERT_STRING_EQUAL(reason, rows[i][1]);
		CU_ASSERT_PTR_NULL(strstr(reason, "5ec4e7"));
	}
}

static void test_protect(void)
{
	struct associations all = { 0 };
	char reason[ASSOCIATION_REASON_LEN];
	json_t *words = json_pack("[s,s]", "payload", "routability");
	json_t *twice = json_pack("[s,s]", "payload", "payload");

	CU_ASSERT_EQUAL(association_read_protect(twice, &all, reason), -EINVAL);
	CU_ASSERT_STRING_EQUAL(reason, "protect[1]: must be one of signalling, discovery, "
				       "routability, payload, each once");
	CU_ASSERT_EQUAL(association_read_protect(words, &all, reason), 0);
	CU_ASSERT_EQUAL(all.protect, API_SA_BIT(API_SA_PAYLOAD) | API_SA_BIT(API_SA_ROUTABILITY));
	CU_ASSERT_EQUAL(association_check(&all, reason), -EINVAL);
	CU_ASSERT_STRING_EQUAL(
		reason, "protect: routability needs a security association each way");
	CU_ASSERT_EQUAL(read_list("[" SA("routability", "in", "256", CBC) "," SA(
					  "routability", "out", "256", CBC) "," SA("payload", "in",
					  "257", CBC) "," SA("payload", "out", "257", CBC) "]",
				&all, reason),
		0);
	CU_ASSERT_EQUAL(association_check(&all, reason), 0);
	all.n--;
	CU_ASSERT_EQUAL(association_check(&all, reason), -EINVAL);
	CU_ASSERT_STRING_EQUAL(reason, "protect: payload needs a security association each way");
	json_decref(words);
	json_decref(twice);
}

static void test_pack(void)
{
	struct associations all = { 0 }, again;
	char reason[ASSOCIATION_REASON_LEN];
	uint8_t buf[ASSOCIATION_BYTES_MAX], second[ASSOCIATION_BYTES_MAX];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(read_list("[" SA("payload", "in", "256", CBC) "," SA(
						"payload", "out", "257", GCM(HEX36)) "]",
				      &all, reason),
		0);
	all.protect = 0x10;
	len = association_pack(&all, buf, sizeof(buf));
	for (size_t i = 0; i < len; i++)
		CU_ASSERT_EQUAL(association_unpack(buf, i, &again), -EBADMSG);
	CU_ASSERT_EQUAL_FATAL(association_unpack(buf, len, &again), 0);
	CU_ASSERT_EQUAL(association_pack(&again, second, sizeof(second)), len);
	CU_ASSERT_EQUAL(memcmp(buf, second, len), 0);
	CU_ASSERT_TRUE(association_has_same_keys(&all.list[1], &again.list[1]));
	CU_ASSERT_EQUAL(association_unpack(buf, len + 1, &again), -EBADMSG);
}

static void test_mark(void)
{
	struct associations all = { 0 };
	char reason[ASSOCIATION_REASON_LEN];
	struct ip6 home = { .b = { 0x20 } }, other = { .b = { 0x21 } };
	struct association_mark a, b;
	struct association moved;

	CU_ASSERT_EQUAL_FATAL(read_list("[" SA("payload", "in", "256", CBC) "," SA(
						"payload", "out", "257", GCM(HEX36)) "]",
				      &all, reason),
		0);
	// A counter must not go back, whoever has the key and whatever its SPI is.
	moved = all.list[1];
	moved.spi++;
	association_mark(&all.list[1], &home, &a);
	association_mark(&moved, &other, &b);
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	moved.enc_key[0] ^= 1;
	association_mark(&moved, &other, &b);
	CU_ASSERT_NOT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	// Others are each their own.
	association_mark(&all.list[0], &home, &a);
	association_mark(&all.list[0], &other, &b);
	CU_ASSERT_NOT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "reading", test_read },
		{ "what is refused", test_refuse },
		{ "what must be protected", test_protect },
		{ "packing", test_pack },
		{ "marks", test_mark },
		CU_TEST_INFO_NULL,
	};

	return suite_run("association", tests);
}
