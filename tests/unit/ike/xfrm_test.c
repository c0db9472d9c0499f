// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What an emulated kernel shows badly: cut short dumps, ends of other protocols, sizes of keys.

#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>
#include <libmnl/libmnl.h>

#include "ike/xfrm_table.h"

static const struct ip6 home = { .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
static const struct ip6 agent = { .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 } };

// What was told last, and how often.
static struct associations last;
static unsigned int n_told;

static void on_changed(
	void *ctx, const struct ip6 *h, const struct ip6 *a, const struct associations *all)
{
	(void)ctx;
	CU_ASSERT_TRUE(ip6_eq(h, &home) && ip6_eq(a, &agent));
	last = *all;
	n_told++;
}

static void add_sa(struct xfrm_table *table, uint32_t spi)
{
	struct xfrm_sa sa = { .src = home,
		.dst = agent,
		.reqid = 7,
		.a = { .spi = spi, .encryption = API_SA_AES_GCM_16, .enc_key_len = 20 } };

	CU_ASSERT_EQUAL(xfrm_table_set_sa(table, &sa), 0);
}

static void add_policy(struct xfrm_table *table)
{
	struct xfrm_policy policy = { .is_in = true,
		.reqid = 7,
		.traffic = { .src = home, .dst = agent, .proto = IPPROTO_MH } };

	CU_ASSERT_EQUAL(xfrm_table_add_policy(table, &policy), 0);
}

static void test_dump_that_begins_again(void)
{
	struct xfrm_table *table = xfrm_table_new(on_changed, NULL);

	n_told = 0;
	add_sa(table, 1000);
	xfrm_table_policies_begin(table);
	add_policy(table);
	xfrm_table_policies_end(table);
	CU_ASSERT_EQUAL(n_told, 1);
	CU_ASSERT_EQUAL(last.n, 1);
	xfrm_table_sas_begin(table); // cut short before the SA, and again
	xfrm_table_sas_begin(table);
	add_sa(table, 1000);
	xfrm_table_sas_end(table);
	xfrm_table_policies_begin(table);
	xfrm_table_policies_begin(table);
	add_policy(table);
	CU_ASSERT_EQUAL(n_told, 1);
	xfrm_table_policies_end(table);
	CU_ASSERT_EQUAL(last.n, 1);
	xfrm_table_sas_begin(table);
	xfrm_table_sas_end(table);
	xfrm_table_tell(table);
	CU_ASSERT_EQUAL(last.n, 0);
	CU_ASSERT_EQUAL(xfrm_table_counts(table).n_sas, 0);
	xfrm_table_free(table);
}

static void test_end_of_another_protocol(void)
{
	static const struct {
		uint8_t proto;
		uint16_t family;
		int error;
	} rows[] = { { IPPROTO_ESP, AF_INET6, 0 }, { IPPROTO_AH, AF_INET6, -EOPNOTSUPP },
		{ IPPROTO_ESP, AF_INET, -EOPNOTSUPP } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[512] = { 0 };
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
		struct xfrm_usersa_id *id = mnl_nlmsg_put_extra_header(nlh, sizeof(*id));
		struct xfrm_sa_id out;
		bool is_gone;

		nlh->nlmsg_type = XFRM_MSG_DELSA;
		id->proto = rows[i].proto;
		id->family = rows[i].family;
		id->spi = htonl(1000);
		CU_ASSERT_EQUAL(xfrm_msg_sa_end(nlh, &out, &is_gone), rows[i].error);
	}
}

static void test_size_of_a_key(void)
{
	for (unsigned int bits = 128; bits <= 320; bits += 8) {
		char buf[1024] = { 0 };
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
		struct xfrm_usersa_info *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
		uint8_t bytes[sizeof(struct xfrm_algo_aead) + 40] = { 0 };
		const struct xfrm_algo_aead head = {
			.alg_name = "rfc4106(gcm(aes))", .alg_key_len = bits, .alg_icv_len = 128
		};
		bool is_sound = bits == 160 || bits == 288;
		struct xfrm_sa out;
		const char *reason;

		nlh->nlmsg_type = XFRM_MSG_NEWSA;
		info->id.proto = IPPROTO_ESP;
		info->id.spi = htonl(1000);
		info->family = AF_INET6;
		memcpy(bytes, &head, sizeof(head));
		mnl_attr_put(nlh, XFRMA_ALG_AEAD, sizeof(head) + bits / 8, bytes);
		CU_ASSERT_EQUAL(xfrm_msg_sa(nlh, &out, &reason), is_sound ? 0 : -EOPNOTSUPP);
	}
}

int main(void)
{
	CU_pSuite suite;
	unsigned int n_failed;

	CU_initialize_registry();
	suite = CU_add_suite("ike xfrm", NULL, NULL);
	CU_add_test(suite, "dump that begins again", test_dump_that_begins_again);
	CU_add_test(suite, "end of another protocol", test_end_of_another_protocol);
	CU_add_test(suite, "size of a key", test_size_of_a_key);
	CU_basic_run_tests();
	n_failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return n_failed == 0 ? 0 : 1;
}
