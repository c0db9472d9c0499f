// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/codec/icmp6.h"

#include <errno.h>

#include "tests/unit/controlplane/packets.h"

// A packet of len bytes from a care-of address to an agent, with a recognisable content.
static void make(uint8_t *packet, size_t len)
{
	struct ip6chain_head head = {
		.src = ip("2001:db8:11::100"), .dst = ip("2001:db8:1::1"), .hop_limit = 64
	};

	for (size_t i = 0; i < len; i++)
		packet[i] = (uint8_t)i;
	ip6chain_write(packet, len, &head, PROTO_MH, len - 40);
}

static void test_quotes(void)
{
	static const size_t lens[] = { 40, 56, 1231, 1232, 1233, 2000 };
	struct ip6 agent = ip("2001:db8:1::1"), coa = ip("2001:db8:11::100");

	for (size_t i = 0; i < N_ROWS(lens); i++) {
		uint8_t packet[2000], error[IP6_MIN_MTU];
		size_t quoted = lens[i] < 1232 ? lens[i] : 1232;
		struct ip6chain c;

		make(packet, lens[i]);
		ssize_t len = icmp6_param_problem(
			error, sizeof(error), &agent, 0, 0x01020304, packet, lens[i]);

		CU_ASSERT_EQUAL_FATAL(len, (ssize_t)(48 + quoted));
		CU_ASSERT_EQUAL_FATAL(ip6chain_parse(error, (size_t)len, &c), IP6CHAIN_OK);
		CU_ASSERT_EQUAL(c.proto, PROTO_ICMP6);
		CU_ASSERT(ip6_eq(&c.src, &agent) && ip6_eq(&c.dst, &coa));
		CU_ASSERT(!c.has_routed);
		CU_ASSERT_EQUAL(
			cksum_ip6(&c.src, &c.dst, PROTO_ICMP6, error + 40, (size_t)len - 40), 0);
		CU_ASSERT_EQUAL(memcmp(error + 40, "\x04\x00", 2), 0);
		CU_ASSERT_EQUAL(memcmp(error + 44, "\x01\x02\x03\x04", 4), 0);
		CU_ASSERT_EQUAL(memcmp(error + 48, packet, quoted), 0);
	}
}

static void test_silence(void)
{
	uint8_t packet[64], error[IP6_MIN_MTU];
	struct ip6 agent = ip("2001:db8:1::1");

	make(packet, sizeof(packet));
	CU_ASSERT_EQUAL(icmp6_param_problem(error, sizeof(error), &agent, 0, 0, packet, 39), 0);
	CU_ASSERT_EQUAL(
		icmp6_param_problem(error, 111, &agent, 0, 0, packet, sizeof(packet)), -EMSGSIZE);
	packet[24] = 0xff; // multicast destination
	CU_ASSERT_EQUAL(
		icmp6_param_problem(error, sizeof(error), &agent, 0, 0, packet, sizeof(packet)), 0);
	CU_ASSERT_EQUAL(icmp6_param_problem(error, sizeof(error), &agent, ICMP6_PARAM_OPTION, 0,
				packet, sizeof(packet)),
		112);
	make(packet, sizeof(packet));
	packet[8] = 0xff; // multicast source
	CU_ASSERT_EQUAL(
		icmp6_param_problem(error, sizeof(error), &agent, 0, 0, packet, sizeof(packet)), 0);
	memset(packet + 8, 0, 16); // unspecified source
	CU_ASSERT_EQUAL(
		icmp6_param_problem(error, sizeof(error), &agent, 0, 0, packet, sizeof(packet)), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "as much as fits in 1280 bytes is quoted", test_quotes },
		{ "packets that must not be answered", test_silence },
		CU_TEST_INFO_NULL,
	};

	return suite_run("icmp6", tests);
}
