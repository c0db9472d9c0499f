// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/codec/ip6chain.h"

#include <errno.h>

#include "tests/unit/controlplane/packets.h"

#define SRC "20010db8001100000000000000000100"
#define DST "20010db8000100000000000000000001"
#define HOME "20010db8000100000000000000000100"

// IPv6 header with the payload length set for what follows.
static size_t make(uint8_t next, const char *rest, uint8_t *out)
{
	size_t len = from_hex("60000000 0000 00 3f " SRC DST, out);
	size_t rest_len = from_hex(rest, out + len);

	out[5] = (uint8_t)rest_len;
	out[6] = next;
	return len + rest_len;
}

static void test_chains(void)
{
	static const struct {
		uint8_t next;
		const char *rest;
		enum ip6chain_verdict verdict;
		enum ip6chain_why why;
		uint8_t code;
		uint32_t pointer;
	} rows[] = {
		// no extension header; nothing at all behind one
		{ 135, "3b00", IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 },
		{ 59, "", IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 },
		// hop-by-hop with a router alert, then the home address
		{ 0, "3c00 05020000 0100 8702 01020000 c910" HOME "3b00", IP6CHAIN_OK,
			IP6CHAIN_FINE, 0, 0 },
		// type 2 routing header, then the home address
		{ 43, "3c020201 00000000" HOME "8702 01020000 c910" HOME, IP6CHAIN_OK,
			IP6CHAIN_FINE, 0, 0 },
		// routing header that is done
		{ 43, "87020400 00000000" HOME, IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 },
		// the walk ends at ESP
		{ 60, "3202 01020000 c910" HOME "000003e8", IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 },
		{ 43, "87020401 00000000" HOME, IP6CHAIN_PARAM_PROBLEM, IP6CHAIN_ROUTING, 0, 42 },
		{ 43, "87020200 00000000" HOME, IP6CHAIN_DROP, IP6CHAIN_ROUTING, 0, 0 },
		{ 43, "87020202 00000000" HOME, IP6CHAIN_DROP, IP6CHAIN_ROUTING, 0, 0 },
		{ 43, "87040201 00000000" HOME HOME, IP6CHAIN_DROP, IP6CHAIN_ROUTING, 0, 0 },
		{ 43, "2b020201 00000000" HOME "87020201 00000000" HOME, IP6CHAIN_DROP,
			IP6CHAIN_ROUTING, 0, 0 },
		{ 60, "2b02 01020000 c910" HOME "87020201 00000000" HOME, IP6CHAIN_DROP,
			IP6CHAIN_HOME_ORDER, 0, 0 },
		{ 60, "3c02 01020000 c910" HOME "8702 01020000 c910" HOME, IP6CHAIN_DROP,
			IP6CHAIN_HOME_TWICE, 0, 0 },
		{ 60, "8704 0000 c910" HOME "c910" HOME "0000", IP6CHAIN_DROP, IP6CHAIN_HOME_TWICE,
			0, 0 },
		{ 60, "8702 01030000 00 c90f" HOME, IP6CHAIN_DROP, IP6CHAIN_HOME_LENGTH, 0, 0 },
		{ 60, "8700 01030000 0000", IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 },
		{ 60, "8700 01050000 0000", IP6CHAIN_DROP, IP6CHAIN_BAD_OPTION, 0, 0 },
		{ 60, "8700 0103000000 01", IP6CHAIN_DROP, IP6CHAIN_BAD_OPTION, 0, 0 },
		{ 60, "8700 1e040000 0000", IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 }, // skip
		{ 60, "8700 5e040000 0000", IP6CHAIN_DROP, IP6CHAIN_UNKNOWN_OPTION, 0, 0 },
		{ 60, "8700 00009e00 0000", IP6CHAIN_PARAM_PROBLEM, IP6CHAIN_UNKNOWN_OPTION, 2,
			44 },
		{ 60, "8700 de040000 0000", IP6CHAIN_PARAM_PROBLEM, IP6CHAIN_UNKNOWN_OPTION, 2,
			42 },
		// the home address is no hop-by-hop option
		{ 0, "8702 01020000 c910" HOME, IP6CHAIN_PARAM_PROBLEM, IP6CHAIN_UNKNOWN_OPTION, 2,
			46 },
		// hop-by-hop further in: the next header value that names it is at fault
		{ 60, "0000 01040000 0000 8700 01040000 0000", IP6CHAIN_PARAM_PROBLEM,
			IP6CHAIN_BAD_OPTION, 1, 40 },
		{ 44, "8700000000000001 3b00", IP6CHAIN_DROP, IP6CHAIN_FRAGMENT, 0, 0 },
		{ 60, "2c02 01020000 c910" HOME "8700000000000001", IP6CHAIN_DROP,
			IP6CHAIN_FRAGMENT, 0, 0 },
		{ 60, "8703 01020000 c910" HOME, IP6CHAIN_DROP, IP6CHAIN_TRUNCATED, 0, 0 },
		{ 60, "87", IP6CHAIN_DROP, IP6CHAIN_TRUNCATED, 0, 0 },
		{ 60,
			"3c000104000000003c000104000000003c000104000000003c00010400000000"
			"3c00010400000000 8700010400000000",
			IP6CHAIN_OK, IP6CHAIN_FINE, 0, 0 },
		{ 60,
			"3c000104000000003c000104000000003c000104000000003c00010400000000"
			"3c00010400000000 3c00010400000000 8700010400000000",
			IP6CHAIN_DROP, IP6CHAIN_TOO_LONG, 0, 0 },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		uint8_t packet[256];
		struct ip6chain c;
		size_t len = make(rows[i].next, rows[i].rest, packet);
		enum ip6chain_verdict verdict = ip6chain_parse(packet, len, &c);

		if (verdict != rows[i].verdict)
			printf("\n    row %zu: %d %s", i, verdict, ip6chain_why_name(c.why));
		CU_ASSERT_EQUAL(verdict, rows[i].verdict);
		CU_ASSERT_EQUAL(c.why, rows[i].why);
		if (verdict == IP6CHAIN_PARAM_PROBLEM) {
			CU_ASSERT_EQUAL(c.icmp_code, rows[i].code);
			CU_ASSERT_EQUAL(c.pointer, rows[i].pointer);
		}
	}
}

// An option that asks for an error answers nothing to a multicast packet.
static void test_unknown_option_to_multicast(void)
{
	uint8_t packet[256];
	struct ip6chain c;
	size_t len = make(60, "8700 de040000 0000", packet);

	packet[24] = 0xff;
	CU_ASSERT_EQUAL(ip6chain_parse(packet, len, &c), IP6CHAIN_DROP);
	len = make(60, "8700 9e040000 0000", packet);
	packet[24] = 0xff;
	CU_ASSERT_EQUAL(ip6chain_parse(packet, len, &c), IP6CHAIN_PARAM_PROBLEM);
}

static void test_fields(void)
{
	uint8_t packet[256];
	struct ip6chain c;
	struct ip6 home = ip("2001:db8:1::100"), src = ip("2001:db8:11::100");
	size_t len = make(60, "8702 01020000 c910" HOME "3b000000 0000 0000", packet);

	memset(packet + len, 0xee, 6); // link padding is not the packet
	CU_ASSERT_EQUAL(ip6chain_parse(packet, len + 6, &c), IP6CHAIN_OK);
	CU_ASSERT_EQUAL(c.packet_len, len);
	CU_ASSERT_EQUAL(c.payload_at, 64);
	CU_ASSERT_EQUAL(c.payload_len, 8);
	CU_ASSERT_EQUAL(c.hop_limit, 63);
	CU_ASSERT_EQUAL(c.proto, PROTO_MH);
	CU_ASSERT(c.has_home && !c.has_routed);
	CU_ASSERT(ip6_eq(&c.src, &src));
	CU_ASSERT(ip6_eq(ip6chain_upper_src(&c), &home));
	CU_ASSERT(ip6_eq(ip6chain_upper_dst(&c), &c.dst));
	packet[0] = 0x45;
	CU_ASSERT_EQUAL(ip6chain_parse(packet, len, &c), IP6CHAIN_DROP);
	CU_ASSERT_EQUAL(c.why, IP6CHAIN_VERSION);
}

// A packet that was cut anywhere is truncated, and nothing behind the cut is read.
static void test_every_cut(void)
{
	uint8_t packet[256];
	size_t len = make(43,
		"3c020201 00000000" HOME "8702 01020000 c910" HOME "3b000000 0000 0000", packet);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy =
			malloc(cut + 1); // its own block, so that a sanitizer sees overreads
		struct ip6chain c;

		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, packet, cut);
		CU_ASSERT_EQUAL(ip6chain_parse(copy, cut, &c), IP6CHAIN_DROP);
		CU_ASSERT_EQUAL(c.why, IP6CHAIN_TRUNCATED);
		free(copy);
	}
}

static void test_write(void)
{
	struct ip6 home = ip("2001:db8:1::100"), routed = ip("2001:db8:1::200");

	for (int i = 0; i < 4; i++) {
		struct ip6chain_head head = { .src = ip("2001:db8:11::100"),
			.dst = ip("2001:db8:1::1"),
			.hop_limit = 64,
			.home = (i & 1) ? &home : NULL,
			.routed = (i & 2) ? &routed : NULL };
		uint8_t packet[128] = { 0 };
		size_t head_len = 40 + 24 * (size_t)((i & 1) + (i >> 1));
		struct ip6chain c;

		CU_ASSERT_EQUAL(ip6chain_head_len(&head), head_len);
		CU_ASSERT_EQUAL(
			ip6chain_write(packet, head_len + 15, &head, PROTO_MH, 16), -EMSGSIZE);
		CU_ASSERT_EQUAL(ip6chain_write(packet, sizeof(packet), &head, PROTO_MH, 16),
			(ssize_t)head_len + 16);
		CU_ASSERT_EQUAL(ip6chain_parse(packet, head_len + 16, &c), IP6CHAIN_OK);
		CU_ASSERT_EQUAL(c.payload_at, head_len);
		CU_ASSERT_EQUAL(c.proto, PROTO_MH);
		CU_ASSERT(ip6_eq(&c.src, &head.src) && ip6_eq(&c.dst, &head.dst));
		CU_ASSERT_EQUAL(c.has_home, (i & 1) != 0);
		CU_ASSERT_EQUAL(c.has_routed, (i & 2) != 0);
		CU_ASSERT(!c.has_home || ip6_eq(&c.home, &home));
		CU_ASSERT(!c.has_routed || ip6_eq(&c.routed, &routed));
		CU_ASSERT_EQUAL(
			ip6chain_write(packet, SIZE_MAX, &head, PROTO_MH, 65536), -EMSGSIZE);
	}
}

static void test_names(void)
{
	for (int i = 0; i < IP6CHAIN_WHY_MAX; i++)
		CU_ASSERT_STRING_NOT_EQUAL(ip6chain_why_name((enum ip6chain_why)i), "unknown");
	CU_ASSERT_STRING_EQUAL(ip6chain_why_name(IP6CHAIN_WHY_MAX), "unknown");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "chains and their verdicts", test_chains },
		{ "unknown option to a multicast address", test_unknown_option_to_multicast },
		{ "fields of a walked packet", test_fields },
		{ "cut at every byte", test_every_cut },
		{ "written headers are read the same", test_write },
		{ "names", test_names },
		CU_TEST_INFO_NULL,
	};

	return suite_run("ip6chain", tests);
}
