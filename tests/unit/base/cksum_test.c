// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/cksum.h"

#include <string.h>

#include "dataplane/base/wire.h"
#include "tests/unit/base/suite.h"

// A Binding Update as a mobile sent it; its checksum is over the home address, not the care-of
// address of the IPv6 header (RFC 6275 section 6.1.1).
static const uint8_t binding_update[] = { 0x3b, 0x03, 0x05, 0x00, 0x84, 0xd3, 0x9a, 0xd2, 0xc0,
	0x00, 0x00, 0x0a, 0x01, 0x00, 0x03, 0x10, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x11, 0x00, 0x00,
	0x50, 0x54, 0x00, 0xff, 0xfe, 0x00, 0x02, 0x01 };

static struct ip6 ip(const char *text)
{
	struct ip6 a = { 0 };

	CU_ASSERT_EQUAL(ip6_parse(text, &a), 0);
	return a;
}

static void test_captured(void)
{
	struct ip6 home = ip("2001:db8:1::100"), agent = ip("2001:db8:1::1");
	uint8_t copy[sizeof(binding_update)];
	uint16_t sum;

	CU_ASSERT_EQUAL(cksum_ip6(&home, &agent, PROTO_MH, binding_update, sizeof(copy)), 0);
	memcpy(copy, binding_update, sizeof(copy));
	memset(copy + 4, 0, 2);
	sum = cksum_ip6(&home, &agent, PROTO_MH, copy, sizeof(copy));
	CU_ASSERT_EQUAL(memcmp(&sum, binding_update + 4, 2), 0);
}

// Any single bit that is wrong is seen.
static void test_flips(void)
{
	struct ip6 home = ip("2001:db8:1::100"), agent = ip("2001:db8:1::1");
	uint8_t copy[sizeof(binding_update)];

	for (size_t bit = 0; bit < sizeof(copy) * 8; bit++) {
		memcpy(copy, binding_update, sizeof(copy));
		copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		CU_ASSERT_NOT_EQUAL(cksum_ip6(&home, &agent, PROTO_MH, copy, sizeof(copy)), 0);
	}
	CU_ASSERT_NOT_EQUAL(cksum_ip6(&home, &agent, PROTO_UDP, binding_update, sizeof(copy)), 0);
	home.b[15] ^= 1;
	CU_ASSERT_NOT_EQUAL(cksum_ip6(&home, &agent, PROTO_MH, binding_update, sizeof(copy)), 0);
}

// An odd length, at an odd address; UDP "odd" from port 1000 to 2000 as another stack made it.
static void test_odd(void)
{
	static const uint8_t udp[] = { 0xee, 0x03, 0xe8, 0x07, 0xd0, 0x00, 0x0b, 0xc5, 0x46, 'o',
		'd', 'd' };
	struct ip6 src = ip("2001:db8::1"), dst = ip("2001:db8::2");

	CU_ASSERT_EQUAL(cksum_ip6(&src, &dst, PROTO_UDP, udp + 1, sizeof(udp) - 1), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "a captured Binding Update", test_captured },
		{ "every single flipped bit is seen", test_flips },
		{ "odd length and address", test_odd },
		CU_TEST_INFO_NULL,
	};

	return suite_run("cksum", tests);
}
