// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/addr.h"

#include <errno.h>

#include "tests/unit/base/suite.h"

static struct ip6 ip(const char *text)
{
	struct ip6 a = { 0 };

	CU_ASSERT_EQUAL(ip6_parse(text, &a), 0);
	return a;
}

static void test_parse_and_print(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "::", "::" },
		{ "2001:DB8:0:0::1", "2001:db8::1" },
		{ "10.1.2.3", "10.1.2.3" },
		{ "::ffff:10.1.2.3", "10.1.2.3" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};
	static const char *const bad[] = { "", ":", "1.2.3", "1.2.3.256", "2001:db8::1/64",
		"2001:db8::1%eth0", " ::1", "g::", "1:2:3:4:5:6:7:8:9" };
	char text[IP6_STRLEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip6 a = ip(rows[i].in);

		CU_ASSERT_STRING_EQUAL(ip6_str(&a, text), rows[i].out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ip6 a = ip("2001:db8::7"), before = a;

		CU_ASSERT_EQUAL(ip6_parse(bad[i], &a), -EINVAL);
		CU_ASSERT_TRUE(ip6_eq(&a, &before));
	}
}

static void test_prefix(void)
{
	static const struct {
		const char *in;
		bool allow_host_bits;
		const char *out; // NULL: refused
	} rows[] = {
		{ "2001:db8::/32", false, "2001:db8::/32" },
		{ "2001:db8::1/32", false, NULL },
		{ "2001:db8::1/32", true, "2001:db8::1/32" },
		{ "::/0", false, "::/0" },
		{ "2001:db8::1/128", false, "2001:db8::1/128" },
		{ "2001:db8::/129", false, NULL },
		{ "192.0.2.0/24", false, "192.0.2.0/24" },
		{ "192.0.2.1/24", false, NULL },
		{ "192.0.2.1/24", true, "192.0.2.1/24" },
		{ "192.0.2.0/33", false, NULL },
		{ "0.0.0.0/0", false, "0.0.0.0/0" },
		{ "2001:db8::", false, NULL },
		{ "2001:db8::/", false, NULL },
		{ "2001:db8::/+4", false, NULL },
		{ "2001:db8::/0064", false, NULL },
		{ "2001:db8::/64 ", false, NULL },
		{ "/64", false, NULL },
	};
	char text[PREFIX_STRLEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip6_prefix p;
		int error = prefix_parse(rows[i].in, rows[i].allow_host_bits, &p);

		CU_ASSERT_EQUAL(error, rows[i].out == NULL ? -EINVAL : 0);
		if (error == 0 && rows[i].out != NULL)
			CU_ASSERT_STRING_EQUAL(prefix_str(&p, text), rows[i].out);
	}
}

// Every length, against a bit-by-bit model.
static void test_match_and_mask(void)
{
	struct ip6 a = ip("a5a5:5a5a:a5a5:5a5a:a5a5:5a5a:a5a5:5a5a");

	for (unsigned int len = 0; len <= 128; len++) {
		struct ip6 masked = a;

		ip6_mask(&masked, (uint8_t)len);
		for (unsigned int bit = 0; bit < 128; bit++) {
			unsigned int mask = 0x80u >> (bit % 8);
			struct ip6 flipped = a;

			CU_ASSERT_EQUAL(
				masked.b[bit / 8] & mask, bit < len ? a.b[bit / 8] & mask : 0u);
			flipped.b[bit / 8] ^= (uint8_t)mask;
			CU_ASSERT_EQUAL(ip6_match(&a, &flipped, (uint8_t)len), bit >= len);
		}
	}
}

static void test_kinds(void)
{
	static const struct {
		const char *text;
		bool is_routable, is_linklocal, is_multicast, is_v4mapped, is_any;
	} rows[] = {
		{ "::", false, false, false, false, true },
		{ "::1", false, false, false, false, false },
		{ "::2", true, false, false, false, false },
		{ "2001:db8::1", true, false, false, false, false },
		{ "fc00::1", true, false, false, false, false },
		{ "fe80::1", false, true, false, false, false },
		{ "febf::1", false, true, false, false, false },
		{ "fec0::1", true, false, false, false, false },
		{ "ff02::1", false, false, true, false, false },
		{ "192.0.2.1", false, false, false, true, false },
		{ "::fffe:192.0.2.1", true, false, false, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip6 a = ip(rows[i].text);

		CU_ASSERT_EQUAL(ip6_is_unicast_routable(&a), rows[i].is_routable);
		CU_ASSERT_EQUAL(ip6_is_linklocal(&a), rows[i].is_linklocal);
		CU_ASSERT_EQUAL(ip6_is_multicast(&a), rows[i].is_multicast);
		CU_ASSERT_EQUAL(ip6_is_v4mapped(&a), rows[i].is_v4mapped);
		CU_ASSERT_EQUAL(ip6_is_any(&a), rows[i].is_any);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "addresses are read and printed", test_parse_and_print },
		{ "prefixes are read strictly", test_prefix },
		{ "match and mask at every length", test_match_and_mask },
		{ "kinds of addresses", test_kinds },
		CU_TEST_INFO_NULL,
	};

	return suite_run("addr", tests);
}
