// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <string.h>

#include "controlplane/codec/mpa.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"
#include "tests/unit/base/suite.h"

static struct ip6 address(const char *text)
{
	struct ip6 a = { 0 };

	CU_ASSERT_EQUAL(ip6_parse(text, &a), 0);
	return a;
}

// Writes a solicitation with options into packet. Returns: its length.
static size_t make(uint8_t packet[128], uint8_t type, const void *options, size_t options_len)
{
	struct ip6 home = address("2001:db8:1::100");
	struct ip6chain_head head = { .src = address("2001:db8:a::1"),
		.dst = address("2001:db8:1::1"),
		.home = &home,
		.hop_limit = 64 };
	size_t at = ip6chain_head_len(&head);
	uint16_t sum_be;

	CU_ASSERT(ip6chain_write(packet, 128, &head, PROTO_ICMP6, 8 + options_len) > 0);
	memcpy(packet + at, (uint8_t[8]){ type, 0, 0, 0, 0x12, 0x67, 0xff, 0xff }, 8);
	if (options_len > 0)
		memcpy(packet + at + 8, options, options_len);
	sum_be = cksum_ip6(&home, &head.dst, PROTO_ICMP6, packet + at, 8 + options_len);
	memcpy(packet + at + 2, &sum_be, sizeof(sum_be));
	return at + 8 + options_len;
}

static int read_it(const uint8_t *packet, size_t len, uint16_t *identifier)
{
	struct ip6chain chain;

	CU_ASSERT_EQUAL(ip6chain_parse(packet, len, &chain), IP6CHAIN_OK);
	return mpa_read_solicitation(&chain, identifier);
}

static void test_read(void)
{
	uint8_t packet[128];
	uint16_t identifier = 0;
	size_t len = make(packet, ICMP6_MPS, NULL, 0);

	CU_ASSERT_EQUAL(read_it(packet, len, &identifier), 0);
	CU_ASSERT_EQUAL(identifier, 0x1267);
	packet[len - 1] ^= 1;
	CU_ASSERT_EQUAL(read_it(packet, len, &identifier), -EBADMSG);
	len = make(packet, ICMP6_MPA, NULL, 0);
	CU_ASSERT_EQUAL(read_it(packet, len, &identifier), -EBADMSG);
	// RFC 6275 section 6.7: unknown options are skipped; what is no option is an error.
	len = make(packet, ICMP6_MPS, (uint8_t[24]){ 200, 1, [8] = 201, 2 }, 24);
	CU_ASSERT_EQUAL(read_it(packet, len, &identifier), 0);
	len = make(packet, ICMP6_MPS, (uint8_t[8]){ 200, 0 }, 8);
	CU_ASSERT_EQUAL(read_it(packet, len, &identifier), -EBADMSG);
	len = make(packet, ICMP6_MPS, (uint8_t[8]){ 200, 2 }, 8);
	CU_ASSERT_EQUAL(read_it(packet, len, &identifier), -EBADMSG);
}

static void test_build(void)
{
	struct ip6 home = address("2001:db8:1::100");
	struct ip6chain_head head = { .src = address("2001:db8:1::1"),
		.dst = address("2001:db8:a::1"),
		.routed = &home,
		.hop_limit = 64 };
	struct mpa_prefix prefixes[2] = {
		{ .address = address("2001:db8:1::1"),
			.len = 64,
			.has_router = true,
			.valid_s = 9 },
		{ .address = address("2001:db8:2::"), .len = 48, .valid_s = MPA_INFINITE },
	};
	static const uint8_t option[16] = { 3, 4, 64, 0x60, 0, 0, 0, 9 };
	uint8_t packet[256];
	ssize_t len = mpa_build(packet, sizeof(packet), &head, 0xabcd, prefixes, 2);
	struct ip6chain chain;

	CU_ASSERT_EQUAL_FATAL(len, 40 + 24 + 8 + 64);
	CU_ASSERT_EQUAL(ip6chain_parse(packet, (size_t)len, &chain), IP6CHAIN_OK);
	CU_ASSERT_EQUAL(chain.proto, PROTO_ICMP6);
	CU_ASSERT_TRUE(chain.has_routed && ip6_eq(&chain.routed, &home));
	CU_ASSERT_EQUAL(packet[64], ICMP6_MPA);
	CU_ASSERT_EQUAL(packet[68] << 8 | packet[69], 0xabcd);
	CU_ASSERT_EQUAL(packet[70] | packet[71], 0); // M, O
	CU_ASSERT_EQUAL(memcmp(packet + 72, option, sizeof(option)), 0);
	CU_ASSERT_EQUAL(packet[72 + 32 + 2], 48);
	CU_ASSERT_EQUAL(packet[72 + 32 + 3], 0x40);
	CU_ASSERT_EQUAL(cksum_ip6(&head.src, &home, PROTO_ICMP6, packet + 64, 72), 0);
	CU_ASSERT_EQUAL(mpa_build(packet, 100, &head, 1, prefixes, 2), -EMSGSIZE);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "solicitations", test_read },
		{ "advertisements", test_build },
		CU_TEST_INFO_NULL,
	};

	return suite_run("mpa", tests);
}
