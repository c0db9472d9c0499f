// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/message.h"

#include <string.h>

#include "tests/unit/base/suite.h"

static const struct message_update update = {
	.home_agent = { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } },
	.home = { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 100 } },
	.care_of = { { 0x20, 1, 0xd, 0xb8, 0, 0x11, [15] = 100 } },
	.sequence = 513,
	.lifetime_s = 421,
	.mesg_id = 0x1122334455667788,
};

static const struct message_identity identity = {
	.mn_id = "alice@example.net",
	.spi = 1000,
	.key_len = 16,
	.key = "0123456789abcdef",
};

// What the mobile builds is what a home agent reads: all that RFC 6275 11.7.1 and RFC 4285 ask for.
static void test_update(void)
{
	struct auth *auth = auth_new();
	uint8_t packet[MESSAGE_PACKET_MAX];
	ssize_t len = message_build_update(packet, sizeof(packet), &update, &identity, auth);
	struct message m;

	CU_ASSERT_TRUE_FATAL(len > 0);
	CU_ASSERT_EQUAL_FATAL(message_parse(packet, (size_t)len, &update.care_of, &m), MESSAGE_OK);
	CU_ASSERT_EQUAL(m.chain.packet_len, (size_t)len);
	CU_ASSERT_TRUE(m.chain.has_home);
	CU_ASSERT_TRUE(ip6_eq(&m.chain.home, &update.home));
	CU_ASSERT_TRUE(ip6_eq(&m.chain.dst, &update.home_agent));
	CU_ASSERT_EQUAL(m.mh.msg.type, MH_BU);
	CU_ASSERT_EQUAL(m.mh.msg.bu.flags, MH_BU_A | MH_BU_H);
	CU_ASSERT_EQUAL(m.mh.msg.bu.sequence, 513);
	CU_ASSERT_EQUAL(m.mh.msg.bu.lifetime_4s, 106);
	CU_ASSERT_TRUE(m.mh.opt.has_alt_coa);
	CU_ASSERT_TRUE(ip6_eq(&m.mh.opt.alt_coa, &update.care_of));
	CU_ASSERT_TRUE(m.mh.opt.has_mn_id);
	CU_ASSERT_EQUAL(m.mh.opt.mn_id.subtype, MH_MN_ID_NAI);
	CU_ASSERT_EQUAL(m.mh.opt.mn_id.id.len, strlen(identity.mn_id));
	CU_ASSERT_EQUAL(m.mh.opt.mesg_id, update.mesg_id);
	CU_ASSERT_EQUAL(m.mh.opt.mn_ha.spi, 1000);
	CU_ASSERT_EQUAL(
		message_verify(&m, &identity, auth, &update.care_of, &update.home), AUTH_OK);
	CU_ASSERT_EQUAL(
		message_verify(&m, &identity, auth, &update.home_agent, &update.home), AUTH_FAILED);
	auth_free(auth);
}

static void test_without_key(void)
{
	static const struct message_identity nobody;
	uint8_t packet[MESSAGE_PACKET_MAX];
	ssize_t len = message_build_update(packet, sizeof(packet), &update, &nobody, NULL);
	struct message m;

	CU_ASSERT_TRUE_FATAL(len > 0);
	CU_ASSERT_EQUAL_FATAL(message_parse(packet, (size_t)len, &update.care_of, &m), MESSAGE_OK);
	CU_ASSERT_FALSE(m.mh.opt.has_mn_ha);
	CU_ASSERT_FALSE(m.mh.opt.has_mesg_id);
	CU_ASSERT_FALSE(m.mh.opt.has_mn_id);
	CU_ASSERT_TRUE(message_build_update(packet, 90, &update, &nobody, NULL) < 0);
	CU_ASSERT_TRUE(message_build_update(packet, 10, &update, &nobody, NULL) < 0);
}

static void test_strangers_and_rubbish(void)
{
	static const struct message_identity nobody;
	uint8_t packet[MESSAGE_PACKET_MAX];
	ssize_t len = message_build_update(packet, sizeof(packet), &update, &nobody, NULL);
	struct message m;

	CU_ASSERT_TRUE_FATAL(len > 0);
	CU_ASSERT_EQUAL(message_parse(packet, (size_t)len, &update.home, &m), MESSAGE_STRANGER);
	for (size_t cut = 0; cut < (size_t)len; cut++)
		CU_ASSERT_EQUAL(message_parse(packet, cut, &update.care_of, &m), MESSAGE_MALFORMED);
	packet[len - 1] ^= 1;
	CU_ASSERT_EQUAL(message_parse(packet, (size_t)len, &update.care_of, &m), MESSAGE_MALFORMED);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "update", test_update },
		{ "without key", test_without_key },
		{ "strangers and rubbish", test_strangers_and_rubbish },
		CU_TEST_INFO_NULL,
	};

	return suite_run("message", tests);
}
