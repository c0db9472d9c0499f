// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/inner.h"

#include <errno.h>

#include "dataplane/base/wire.h"
#include "tests/unit/base/suite.h"

// An IPv6 packet with 4 bytes of payload and traffic class 0xbN, N = 8 | ecn.
static void packet_make(uint8_t packet[static 44], uint8_t ecn)
{
	memset(packet, 0, 44);
	packet[0] = 0x6b;
	packet[1] = (uint8_t)((8 | ecn) << 4);
	packet[5] = 4;
	packet[8] = 0x20;
	packet[24] = 0x30;
}

static void test_parse(void)
{
	uint8_t packet[60];
	struct inner inner;

	packet_make(packet, 1);
	CU_ASSERT_EQUAL(inner_parse(packet, 44, &inner), 0);
	CU_ASSERT_EQUAL(inner.len, 44);
	CU_ASSERT_EQUAL(inner.traffic_class, 0xb9);
	CU_ASSERT_EQUAL(inner.src.b[0], 0x20);
	CU_ASSERT_EQUAL(inner.dst.b[0], 0x30);
	CU_ASSERT_EQUAL(inner_parse(packet, 60, &inner), 0); // padding of the link
	CU_ASSERT_EQUAL(inner.len, 44);
	for (size_t len = 0; len < 44; len++)
		CU_ASSERT_EQUAL(inner_parse(packet, len, &inner), -EINVAL);
	packet[0] = 0x45;
	CU_ASSERT_EQUAL(inner_parse(packet, 44, &inner), -EINVAL);
}

// RFC 6040 section 4.2, figure 4. Rows: inner Not-ECT, ECT(1), ECT(0), CE; 9 = drop.
static void test_ecn(void)
{
	static const uint8_t table[4][4] = {
		{ 0, 0, 0, 9 },
		{ 1, 1, 1, 3 },
		{ 2, 1, 2, 3 },
		{ 3, 3, 3, 3 },
	};

	for (uint8_t in = 0; in < 4; in++) {
		for (uint8_t out = 0; out < 4; out++) {
			uint8_t packet[44];
			struct inner inner;
			int result;

			packet_make(packet, in);
			CU_ASSERT_EQUAL_FATAL(inner_parse(packet, sizeof(packet), &inner), 0);
			result = inner_merge_ecn(packet, &inner, 0xfc | out);
			if (table[in][out] == 9) {
				CU_ASSERT_EQUAL(result, -ECONNABORTED);
				continue;
			}
			CU_ASSERT_EQUAL(result, 0);
			CU_ASSERT_EQUAL(packet[0], 0x6b);
			CU_ASSERT_EQUAL(packet[1], (8 | table[in][out]) << 4);
		}
	}
}

// A packet to 30:: (first byte) with 4 bytes behind a type 2 routing header to 40::.
static void routed_make(uint8_t packet[static 68])
{
	static const uint8_t routing[] = { PROTO_UDP, 2, ROUTING_TYPE2, 1, [8] = 0x40, [23] = 0 };

	packet_make(packet, 1);
	packet[5] = sizeof(routing) + 4;
	packet[6] = PROTO_ROUTING;
	memcpy(packet + 40, routing, sizeof(routing));
	memcpy(packet + 64, "data", 4);
}

static void test_unroute(void)
{
	static const struct {
		uint8_t at, value;
	} others[] = {
		{ 6, PROTO_UDP },
		{ 40, PROTO_MH },
		{ 41, 4 },
		{ 42, 0 },
		{ 43, 0 },
		{ 5, 23 },
	};
	uint8_t packet[68], before[68];
	struct ip6 care_of;

	routed_make(packet);
	CU_ASSERT_EQUAL(inner_unroute(packet, sizeof(packet), &care_of), 44);
	CU_ASSERT_EQUAL(care_of.b[0], 0x30);
	CU_ASSERT_EQUAL(packet[1], 0x90);
	CU_ASSERT_EQUAL(packet[5], 4);
	CU_ASSERT_EQUAL(packet[6], PROTO_UDP);
	CU_ASSERT_EQUAL(packet[8], 0x20);
	CU_ASSERT_EQUAL(packet[24], 0x40);
	CU_ASSERT_EQUAL(memcmp(packet + 40, "data", 4), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		routed_make(packet);
		packet[others[i].at] = others[i].value;
		memcpy(before, packet, sizeof(packet));
		CU_ASSERT_EQUAL(inner_unroute(packet, sizeof(packet), &care_of), -ENOENT);
		CU_ASSERT_EQUAL(memcmp(before, packet, sizeof(packet)), 0);
	}
	routed_make(packet);
	for (size_t len = 0; len < sizeof(packet); len++)
		CU_ASSERT_EQUAL(inner_unroute(packet, len, &care_of), -ENOENT);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "parse", test_parse },
		{ "ecn", test_ecn },
		{ "unroute", test_unroute },
		CU_TEST_INFO_NULL,
	};

	return suite_run("inner", tests);
}
