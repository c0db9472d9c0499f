// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/codec/mh_parse.h"

#include <errno.h>

#include "controlplane/codec/mh_options.h"
#include "tests/unit/controlplane/packets.h"

static struct packet plain_packet(void)
{
	return (struct packet){ .head = { .src = ip("2001:db8:11::100"),
					.dst = ip("2001:db8:1::1"),
					.hop_limit = 64 } };
}

// Builds a message without options, parses it back.
static void round_trip(const struct mh_message *m, size_t expected_len, struct mh *out)
{
	struct packet p = plain_packet();
	struct ip6chain chain;
	uint8_t buf[MH_MAX_LEN];
	struct mh_build b;

	mh_build_start(&b, buf, sizeof(buf), m);
	ssize_t len = mh_build_end(&b, &p.head.src, &p.head.dst);

	CU_ASSERT_EQUAL_FATAL(len, (ssize_t)expected_len);
	packet_put_mh(&p, buf, (size_t)len);
	CU_ASSERT_EQUAL(memcmp(p.bytes + p.mh_at, buf, (size_t)len), 0); // same checksum
	CU_ASSERT_EQUAL(packet_parse(&p, &chain, out), MH_OK);
	CU_ASSERT_EQUAL(out->msg.type, m->type);
	CU_ASSERT_EQUAL(out->len, expected_len);
	CU_ASSERT_EQUAL(out->opt.n_all, 0);
}

static void test_messages(void)
{
	struct mh mh;
	struct mh_message m = { .type = MH_BRR };

	round_trip(&m, 8, &mh);
	m = (struct mh_message){ .type = MH_BU, .bu = { 0x1234, 0xf7fe, 0xabcd } };
	round_trip(&m, 16, &mh);
	CU_ASSERT_EQUAL(memcmp(&mh.msg.bu, &m.bu, sizeof(m.bu)), 0);
	m = (struct mh_message){ .type = MH_BA, .ba = { 135, MH_BA_K, 0x1234, 105 } };
	round_trip(&m, 16, &mh);
	CU_ASSERT_EQUAL(memcmp(&mh.msg.ba, &m.ba, sizeof(m.ba)), 0);
	m = (struct mh_message){ .type = MH_BE, .be = { 1, ip("2001:db8:1::100") } };
	round_trip(&m, 24, &mh);
	CU_ASSERT_EQUAL(memcmp(&mh.msg.be, &m.be, sizeof(m.be)), 0);
	for (uint8_t type = MH_HOTI; type <= MH_COT; type++) {
		bool is_init = type == MH_HOTI || type == MH_COTI;

		m = (struct mh_message){ .type = type,
			.test = { 0x0102, 0x1122334455667788ULL, 0x99aabbccddeeff00ULL } };
		round_trip(&m, is_init ? 16 : 24, &mh);
		CU_ASSERT_EQUAL(mh.msg.test.cookie, m.test.cookie);
		CU_ASSERT_EQUAL(mh.msg.test.nonce_index, is_init ? 0 : 0x0102);
		CU_ASSERT_EQUAL(mh.msg.test.token, is_init ? 0 : m.test.token);
	}
}

static void put_every_option(struct mh_build *b)
{
	static const struct ip6_prefix mnp = { .addr = { { 0x20, 1, 0xd, 0xb8, 0x40 } },
		.len = 64 };
	static const struct ip6 coa = { { 0x20, 1, 0xd, 0xb8, 0x11, [15] = 9 } };

	mh_build_mn_id(b, MH_MN_ID_NAI, "mobile@example", 14);
	mh_build_alt_coa(b, &coa);
	mh_build_refresh_advice(b, 77);
	mh_build_raw(b, 99, "x", 1);
	mh_build_mnp(b, &mnp);
	mh_build_vendor(b, 10415, 3, "abc", 3);
	mh_build_service(b, "ims", 3);
	mh_build_bid(b, 5, 0, 0x80, NULL, 0);
	mh_build_mnp(b, &mnp);
	mh_build_bid(b, 6, 0, 0, coa.b, 16);
	mh_build_nonce_indices(b, 3, 4);
	mh_build_vendor(b, 9, 4, NULL, 0);
	mh_build_mesg_id(b, 0x0123456789abcdefULL);
}

static void check_every_option(const struct mh_options *o)
{
	CU_ASSERT(o->has_mn_id && o->has_alt_coa && o->has_refresh_advice && o->has_service);
	CU_ASSERT(o->has_nonce_indices && o->has_mesg_id && o->has_mn_ha);
	CU_ASSERT(!o->has_mn_aaa && !o->has_authorization);
	CU_ASSERT_EQUAL(o->mn_id.subtype, MH_MN_ID_NAI);
	CU_ASSERT_EQUAL(o->mn_id.id.len, 14);
	CU_ASSERT_EQUAL(memcmp(o->mn_id.id.p, "mobile@example", 14), 0);
	CU_ASSERT_EQUAL(o->alt_coa.b[15], 9);
	CU_ASSERT_EQUAL(o->refresh_advice_4s, 77);
	CU_ASSERT_EQUAL(o->n_mnps, 2);
	CU_ASSERT_EQUAL(o->mnps[1].len, 64);
	CU_ASSERT_EQUAL(o->mnps[1].addr.b[4], 0x40);
	CU_ASSERT_EQUAL(o->n_vendors, 2);
	CU_ASSERT_EQUAL(o->vendors[0].vendor, 10415);
	CU_ASSERT_EQUAL(o->vendors[0].subtype, 3);
	CU_ASSERT_EQUAL(o->vendors[0].data.len, 3);
	CU_ASSERT_EQUAL(o->vendors[1].data.len, 0);
	CU_ASSERT_EQUAL(o->service.len, 3);
	CU_ASSERT_EQUAL(o->n_bids, 2);
	CU_ASSERT_EQUAL(o->bids[0].bid, 5);
	CU_ASSERT_EQUAL(o->bids[0].flags, 0x80);
	CU_ASSERT_EQUAL(o->bids[0].coa.len, 0);
	CU_ASSERT_EQUAL(o->bids[1].coa.len, 16);
	CU_ASSERT_EQUAL(o->home_nonce_index, 3);
	CU_ASSERT_EQUAL(o->coa_nonce_index, 4);
	CU_ASSERT_EQUAL(o->mesg_id, 0x0123456789abcdefULL);
	CU_ASSERT_EQUAL(o->mn_ha.spi, 1000);
	CU_ASSERT_EQUAL(o->mn_ha.data.len, MH_AUTH_LEN);
	CU_ASSERT_EQUAL(o->n_all, 14);
}

// All options in one message, starting at each offset modulo 8, each where its RFC wants it.
static void test_options(void)
{
	for (size_t shift = 0; shift < 8; shift++) {
		struct packet p = plain_packet();
		struct mh_message m = { .type = MH_BU };
		struct ip6chain chain;
		uint8_t buf[MH_MAX_LEN];
		struct mh_build b;
		struct mh mh;

		mh_build_start(&b, buf, sizeof(buf), &m);
		for (size_t i = 0; i < shift; i++)
			wcursor_u8(&b.w, MH_OPT_PAD1);
		put_every_option(&b);
		uint8_t *authenticator = mh_build_mn_ha(&b, 1000);

		CU_ASSERT_PTR_NOT_NULL_FATAL(authenticator);
		memset(authenticator, 0xaa, MH_AUTH_LEN);
		uint8_t header_len = buf[1];
		ssize_t len = mh_build_end(&b, &p.head.src, &p.head.dst);

		CU_ASSERT_FATAL(len > 0);
		CU_ASSERT_EQUAL(buf[1], header_len); // what the authenticator covered
		CU_ASSERT_PTR_EQUAL(
			authenticator + MH_AUTH_LEN, buf + len); // and nothing behind it
		packet_put_mh(&p, buf, (size_t)len);
		CU_ASSERT_EQUAL_FATAL(packet_parse(&p, &chain, &mh), MH_OK);
		check_every_option(&mh.opt);
		CU_ASSERT_EQUAL(mh.opt.mn_ha.data_at, authenticator - buf);
		for (size_t i = 0; i < mh.opt.n_all; i++) {
			const struct mh_option *opt = &mh.opt.all[i];
			struct mh_align align = mh_options_align(opt->type);

			CU_ASSERT_EQUAL(opt->at % align.multiple, align.rest);
			if (opt->type == MH_OPT_BID && opt->data.len > 4)
				CU_ASSERT_EQUAL(opt->at % 8, 2); // RFC 5648 section 4.3
		}
	}
}

static void test_authorization_is_last(void)
{
	struct packet p = plain_packet();
	struct mh_message m = { .type = MH_BU };
	struct ip6chain chain;
	uint8_t buf[64];
	struct mh_build b;
	struct mh mh;

	mh_build_start(&b, buf, sizeof(buf), &m);
	mh_build_nonce_indices(&b, 1, 2);
	uint8_t *at = mh_build_authorization(&b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	ssize_t len = mh_build_end(&b, &p.head.src, &p.head.dst);

	CU_ASSERT_EQUAL(len, 32);
	CU_ASSERT_PTR_EQUAL(at, buf + 20);
	packet_put_mh(&p, buf, (size_t)len);
	CU_ASSERT_EQUAL(packet_parse(&p, &chain, &mh), MH_OK);
	CU_ASSERT(mh.opt.has_authorization);
	CU_ASSERT_EQUAL(mh.opt.authorization.data_at, 20);
}

static void test_build_errors(void)
{
	struct mh_message bu = { .type = MH_BU }, unknown = { .type = MH_N_TYPES };
	struct ip6 any = { 0 };
	struct ip6_prefix too_long = { .len = 129 };
	uint8_t buf[64], long_id[255] = { 0 };
	struct mh_build b;

#define BUILD_FAILS(size, put, error)                                 \
	do {                                                          \
		mh_build_start(&b, buf, size, &bu);                   \
		put;                                                  \
		CU_ASSERT_EQUAL(mh_build_end(&b, &any, &any), error); \
	} while (0)
	BUILD_FAILS(15, (void)0, -EMSGSIZE); // padding does not fit
	BUILD_FAILS(11, (void)0, -EMSGSIZE);
	BUILD_FAILS(64, mh_build_mn_id(&b, 1, long_id, 60), -EMSGSIZE);
	BUILD_FAILS(64, mh_build_mn_id(&b, 1, long_id, 255), -EINVAL); // subtype makes it 256
	BUILD_FAILS(64, mh_build_service(&b, "", 0), -EINVAL);
	BUILD_FAILS(64, mh_build_mnp(&b, &too_long), -EINVAL);
	BUILD_FAILS(64, mh_build_bid(&b, 1, 0, 0, long_id, 5), -EINVAL);
	BUILD_FAILS(64, mh_build_raw(&b, MH_OPT_PAD1, "x", 1), -EINVAL);
	BUILD_FAILS(64, (mh_build_mn_ha(&b, 1), mh_build_mesg_id(&b, 1)), -EINVAL);
	BUILD_FAILS(64, (mh_build_mn_ha(&b, 1), mh_build_mn_ha(&b, 1)), -EINVAL);
	BUILD_FAILS(64, (mh_build_authorization(&b), mh_build_mn_ha(&b, 1)), -EINVAL);
	mh_build_start(&b, buf, sizeof(buf), &unknown);
	CU_ASSERT_EQUAL(mh_build_end(&b, &any, &any), -EINVAL);
	mh_build_start(&b, buf, 30, &bu);
	CU_ASSERT_PTR_NULL(mh_build_mn_ha(&b, 1));
	mh_build_start(&b, buf, sizeof(buf), &bu);
	mh_build_mn_ha(&b, 1);
	mh_build_bid(&b, 1, 0, 0, long_id, 16);
	CU_ASSERT_EQUAL(mh_build_end(&b, &any, &any), -EINVAL);
}

// RFC 6275 section 9.2 and conformance 1.1.*, in the order of the tests.
static void test_header_verdicts(void)
{
	static const struct {
		const char *mh;
		size_t sum_len; // bytes that the sender summed, 0 = all
		enum mh_verdict verdict;
		uint32_t pointer;
	} rows[] = {
		{ "3b010500 0000 0001 c000 0069 01020000", 0, MH_OK, 0 },
		{ "3b0105ff 0000 0001 c000 0069 01020000", 0, MH_OK, 0 }, // reserved is ignored
		{ "3b010500 0000 0001 c000 0069 01020000 0011223344556677", 16, MH_OK, 0 },
		{ "3b020500 0000 0001 c000 0069 01020000", 0, MH_TRUNCATED, 0 },
		{ "3b00", 0, MH_TRUNCATED, 0 },
		{ "3b01ff00 0000 0001 c000 0069 01020000", 0, MH_UNKNOWN_TYPE, 0 },
		{ "3b000800 0000 0000", 0, MH_UNKNOWN_TYPE, 0 },
		{ "06010500 0000 0001 c000 0069 01020000", 0, MH_PAYLOAD_PROTO, 40 },
		{ "06010500 0000 0001 c000 0069 01020000 0011223344556677", 16, MH_PAYLOAD_PROTO,
			40 },
		{ "0601ff00 0000 0001 c000 0069 01020000", 0, MH_UNKNOWN_TYPE, 0 },
		{ "3b000500 0000 0001 c000 0069 01020000", 0, MH_TOO_SHORT, 41 },
		{ "3b000500 0000 0001 c000 0069 01020000", 8, MH_TOO_SHORT, 41 },
		{ "3b000500 0000 0001 c000 0069 01020000", 12, MH_CHECKSUM, 0 },
		{ "06000500 0000 0001 c000 0069 01020000", 0, MH_PAYLOAD_PROTO, 40 },
		{ "3b010700 0000 0100 0000 000000000000", 0, MH_TOO_SHORT, 41 },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		struct packet p = plain_packet();
		struct ip6chain chain;
		uint8_t bytes[64];
		struct mh mh;
		size_t len = from_hex(rows[i].mh, bytes);

		if (rows[i].sum_len != 0) { // the checksum stays where the shorter sum put it
			packet_put_mh(&p, bytes, rows[i].sum_len);
			memcpy(bytes + 4, p.bytes + p.mh_at + 4, 2);
			memcpy(p.bytes + p.mh_at, bytes, len);
			p.len = (size_t)ip6chain_write(
				p.bytes, sizeof(p.bytes), &p.head, PROTO_MH, len);
		} else {
			packet_put_mh(&p, bytes, len);
		}
		CU_ASSERT_EQUAL(packet_parse(&p, &chain, &mh), rows[i].verdict);
		CU_ASSERT_EQUAL(mh.pointer, rows[i].pointer);
	}
}

// Trap: the home address is the source, and the routing header's address the destination.
static void test_checksum_addresses(void)
{
	struct packet p = plain_packet();
	struct ip6chain chain;
	uint8_t bytes[64];
	struct mh mh;
	size_t len = from_hex("3b010500 0000 0001 c000 0069 01020000", bytes);

	p.home = ip("2001:db8:1::100");
	p.routed = ip("2001:db8:1::200");
	p.head.home = &p.home;
	p.head.routed = &p.routed;
	packet_put_mh(&p, bytes, len);
	CU_ASSERT_EQUAL(packet_parse(&p, &chain, &mh), MH_OK);
	CU_ASSERT_EQUAL(chain.payload_at, 88);
	p.bytes[24] ^= 1; // wire destination is not summed
	CU_ASSERT_EQUAL(packet_parse(&p, &chain, &mh), MH_OK);
	p.bytes[87] ^= 1; // last byte of the home address is
	CU_ASSERT_EQUAL(packet_parse(&p, &chain, &mh), MH_CHECKSUM);
}

// Options behind a Binding Update's fixed 12 bytes; 20 bytes each unless said.
static void test_option_verdicts(void)
{
	static const struct {
		const char *options;
		enum mh_verdict verdict;
	} rows[] = {
		{ "00000000 000000000000000000000000 00000000", MH_OK },
		{ "0112 000000000000000000000000000000000000", MH_OK },
		{ "0112 ffffffffffffffffffffffffffffffffffff", MH_OK }, // content is ignored
		{ "fe12 000000000000000000000000000000000000", MH_OK }, // unknown
		{ "fe00 fe00 fe00 010c 000000000000000000000000", MH_OK }, // unknown may repeat
		{ "0113 000000000000000000000000000000000000", MH_BAD_OPTION }, // past the end
		{ "fe13 000000000000000000000000000000000000", MH_BAD_OPTION },
		{ "0111 0000000000000000000000000000000000 fe", MH_BAD_OPTION }, // no length byte
		{ "0310 20010db8001100000000000000000009 0100", MH_OK },
		{ "030f 20010db80011000000000000000000 010100", MH_BAD_OPTION },
		{ "0311 20010db800110000000000000000000900 00", MH_BAD_OPTION },
		{ "0202 0001 0202 0001 010a 00000000000000000000", MH_BAD_OPTION }, // twice
		{ "0203 000100 010d 00000000000000000000000000", MH_BAD_OPTION },
		{ "0404 00010002 010c 000000000000000000000000", MH_OK },
		{ "0404 00010002 0404 00010002 0106 000000000000", MH_BAD_OPTION },
		{ "0a08 0000000000000001 0108 0000000000000000", MH_OK },
		{ "0a07 00000000000000 0109 000000000000000000", MH_BAD_OPTION },
		{ "0a08 0000000000000001 0a08 0000000000000001", MH_BAD_OPTION },
		{ "0801 01 0801 01 010c 000000000000000000000000", MH_BAD_OPTION }, // two ids
		{ "0800 0110 00000000000000000000000000000000", MH_BAD_OPTION }, // no subtype
		{ "1400 0110 00000000000000000000000000000000", MH_BAD_OPTION }, // empty service
		{ "1305 000028af01 010b 0000000000000000000000", MH_OK },
		{ "1304 000028af 010c 000000000000000000000000", MH_BAD_OPTION },
		{ "2304 00010000 010c 000000000000000000000000", MH_OK },
		{ "2305 0001000000 010b 0000000000000000000000", MH_BAD_OPTION },
		{ "0612 0040 20010db8400000000000000000000000", MH_OK },
		{ "0612 0081 20010db8400000000000000000000000", MH_BAD_OPTION },
		{ "0904 01000003 010c 000000000000000000000000", MH_BAD_OPTION }, // cut SPI
		{ "0905 01000003e8 010b 0000000000000000000000", MH_OK }, // padding behind it
		{ "0905 01000003e8 0905 02000003e8 0104 00000000", MH_OK }, // MN-HA, MN-AAA
		{ "0905 02000003e8 0905 01000003e8 0104 00000000", MH_BAD_OPTION }, // wrong order
		{ "0905 01000003e8 0905 01000003e8 0104 00000000", MH_BAD_OPTION }, // twice
		{ "0905 02000003e8 0905 02000003e8 0104 00000000", MH_BAD_OPTION },
		{ "0905 03000003e8 0905 03000003e8 0104 00000000", MH_OK }, // other subtypes
		{ "0905 01000003e8 0404 00010002 0105 0000000000", MH_BAD_OPTION }, // not covered
		{ "0905 01000003e8 fe00 0109 000000000000000000", MH_BAD_OPTION },
		{ "0905 02000003e8 fe00 0109 000000000000000000", MH_BAD_OPTION },
		{ "0905 01000003e8 0900 0109 000000000000000000", MH_BAD_OPTION },
		{ "0104 00000000 050c 000000000000000000000000", MH_OK }, // last
		{ "050c 000000000000000000000000 0104 00000000",
			MH_BAD_OPTION }, // padding behind it
		{ "0511 0000000000000000000000000000000000 00", MH_BAD_OPTION },
		{ "050a 00000000000000000000 0404 00010002 00 00", MH_BAD_OPTION },
		{ "0500 0110 00000000000000000000000000000000", MH_BAD_OPTION },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		struct packet p = plain_packet();
		struct ip6chain chain;
		uint8_t bytes[64];
		struct mh mh;
		size_t len = from_hex("3b030500 0000 0001 c000 0069", bytes);

		len += from_hex(rows[i].options, bytes + len);
		CU_ASSERT_EQUAL_FATAL(len, 32);
		packet_put_mh(&p, bytes, len);
		enum mh_verdict verdict = packet_parse(&p, &chain, &mh);

		if (verdict != rows[i].verdict)
			printf("\n    %s: %s", rows[i].options, mh_verdict_name(verdict));
		CU_ASSERT_EQUAL(verdict, rows[i].verdict);
	}
}

// One more than there is room for is malformed, never written past the arrays.
static void test_too_many(void)
{
	static const struct {
		const char *option;
		size_t max;
	} rows[] = {
		{ "fe02 0000", MH_MAX_OPTIONS },
		{ "0612 0040 20010db8400000000000000000000000", MH_MAX_MNPS },
		{ "2304 0001 0000", MH_MAX_BIDS },
		{ "1306 000028af 0102", MH_MAX_VENDORS },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		for (size_t n = rows[i].max; n <= rows[i].max + 1; n++) {
			struct packet p = plain_packet();
			struct ip6chain chain;
			uint8_t bytes[512] = { 0x3b, 0, MH_BU };
			struct mh mh;
			size_t len = 12;

			for (size_t k = 0; k < n; k++)
				len += from_hex(rows[i].option, bytes + len);
			len = (len + 7) & ~(size_t)7; // zero bytes are Pad1
			bytes[1] = (uint8_t)(len / 8 - 1);
			packet_put_mh(&p, bytes, len);
			CU_ASSERT_EQUAL(packet_parse(&p, &chain, &mh),
				n == rows[i].max ? MH_OK : MH_BAD_OPTION);
		}
	}
}

static void test_names(void)
{
	static const uint8_t known[] = { 0, 1, 128, 129, 130, 131, 132, 133, 134, 135, 139, 140,
		144, 145, 146, 152, 174 };

	for (int i = 0; i < MH_VERDICT_MAX; i++)
		CU_ASSERT_STRING_NOT_EQUAL(mh_verdict_name((enum mh_verdict)i), "unknown");
	CU_ASSERT_STRING_EQUAL(mh_verdict_name(MH_VERDICT_MAX), "unknown");
	for (size_t i = 0; i < N_ROWS(known); i++)
		CU_ASSERT_STRING_NOT_EQUAL(mh_status_name(known[i]), "unknown");
	CU_ASSERT_STRING_EQUAL(mh_status_name(135), "sequence number out of window");
	CU_ASSERT_STRING_EQUAL(mh_status_name(136), "unknown");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "every message both ways", test_messages },
		{ "every option both ways, aligned", test_options },
		{ "binding authorization data ends the message", test_authorization_is_last },
		{ "what cannot be built", test_build_errors },
		{ "header verdicts", test_header_verdicts },
		{ "addresses of the checksum", test_checksum_addresses },
		{ "option verdicts", test_option_verdicts },
		{ "more options than there is room for", test_too_many },
		{ "names", test_names },
		CU_TEST_INFO_NULL,
	};

	return suite_run("mh", tests);
}
