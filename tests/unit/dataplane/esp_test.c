// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Sealing and opening against OpenSSL, RFC 7634's example, and packets of real peers.

#include "dataplane/esp.h"

#include <stdio.h>

#include <rte_byteorder.h>

#include "tests/unit/base/suite.h"
#include "tests/unit/dataplane/esp_slow.h"

enum { ROOM = 2048, SPI = 0x12345678, SITE = 0xa5 };

static IMB_MGR *mgr;

static struct slow_sa slow_of(const struct esp_suite *suite, bool is_esn)
{
	struct slow_sa sa = {
		.encryption = suite->encryption,
		.authentication = suite->authentication,
		.enc_key_len = (uint16_t)(suite->key_len + suite->salt_len),
		.auth_key_len = suite->auth_key_len,
		.is_esn = is_esn,
	};

	for (unsigned int i = 0; i < sizeof(sa.keys); i++)
		sa.keys[i] = (uint8_t)(i * 7 + suite->encryption + 3);
	return sa;
}

static struct esp_key *key_of(const struct esp_suite *suite, const struct slow_sa *sa)
{
	struct esp_key *key = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*key), 64));

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_EQUAL_FATAL(esp_key_make(mgr, suite, sa->keys, key), 0);
	return key;
}

// A packet of len payload bytes, ready to be sealed. Returns: bytes without the check value.
static uint32_t packet_make(const struct esp_suite *suite, uint8_t *packet, uint32_t len)
{
	uint32_t head = esp_head_len(suite);

	for (uint32_t i = 0; i < len; i++)
		packet[head + i] = (uint8_t)(i ^ len);
	esp_trailer_put(suite, packet + head + len, len, 41);
	return head + len + esp_tail_len(suite, len) - suite->icv_len;
}

static bool payload_is(const struct esp_suite *suite, const uint8_t *packet, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (packet[esp_head_len(suite) + i] != (uint8_t)(i ^ len))
			return false;
	}
	return true;
}

// A burst of every length: sealed by us, opened by OpenSSL.
static void seal_burst(const struct esp_suite *suite, bool is_esn, uint32_t from)
{
	static uint8_t packets[ESP_BURST][ROOM], ivs[ESP_BURST][16];
	struct slow_sa sa = slow_of(suite, is_esn);
	struct esp_key *key = key_of(suite, &sa);
	struct esp_op ops[ESP_BURST];

	for (uint32_t i = 0; i < ESP_BURST; i++) {
		ops[i] = (struct esp_op){
			.packet = packets[i],
			.len = packet_make(suite, packets[i], from + i),
			.is_esn = is_esn,
			.seq = 0x100000000ULL * is_esn * 3 + 77 + i,
			.suite = suite,
			.key = key,
		};
		memset(packets[i] + ops[i].len + suite->icv_len, 0xee, 8);
	}
	for (uint32_t i = 0; i < ESP_BURST; i++)
		esp_head_put(mgr, &ops[i], SPI, SITE);
	esp_seal(mgr, ops, ESP_BURST);
	for (uint32_t i = 0; i < ESP_BURST; i++) {
		const struct esp_hdr *hdr = (const void *)packets[i];
		uint32_t whole = ops[i].len + suite->icv_len;

		CU_ASSERT_EQUAL(rte_be_to_cpu_32(hdr->seq_be), (uint32_t)ops[i].seq);
		CU_ASSERT_EQUAL(packets[i][whole], 0xee); // nothing written behind
		memset(ivs[i], 0, sizeof(ivs[i]));
		memcpy(ivs[i], packets[i] + ESP_HDR_LEN, suite->iv_len);
		for (uint32_t j = 0; j < i && suite->iv_len != 0; j++)
			CU_ASSERT_NOT_EQUAL(memcmp(ivs[i], ivs[j], suite->iv_len), 0);
		CU_ASSERT_TRUE(slow_open(&sa, packets[i], whole, ops[i].seq));
		CU_ASSERT_TRUE(payload_is(suite, packets[i], from + i));
		CU_ASSERT_EQUAL(packets[i][ops[i].len - 1], 41);
	}
	free(key);
}

static void test_seal(void)
{
	unsigned int n;
	const struct esp_suite *suites = esp_suites(&n);

	for (unsigned int i = 0; i < n; i++) {
		for (uint32_t from = 0; from < 1500; from += 471) {
			seal_burst(&suites[i], false, from);
			seal_burst(&suites[i], true, from);
		}
	}
}

// Sealed by OpenSSL, opened by us; in some a bit is wrong.
static void open_burst(const struct esp_suite *suite, bool is_esn, uint32_t from)
{
	static uint8_t packets[ESP_BURST][ROOM];
	struct slow_sa sa = slow_of(suite, is_esn);
	struct esp_key *key = key_of(suite, &sa);
	struct esp_op ops[ESP_BURST];
	uint8_t next_header;

	for (uint32_t i = 0; i < ESP_BURST; i++) {
		uint64_t seq = 0x100000000ULL * is_esn * 9 + 5 + i;
		struct esp_hdr *hdr = (void *)packets[i];
		uint32_t len = packet_make(suite, packets[i], from + i), whole;

		hdr->seq_be = rte_cpu_to_be_32((uint32_t)seq);
		memset(packets[i] + ESP_HDR_LEN, (int)i, suite->iv_len);
		whole = (uint32_t)slow_seal(&sa, packets[i], len, seq);
		CU_ASSERT_EQUAL(whole, len + suite->icv_len);
		if (i % 4 == 1)
			packets[i][(i * 37) % whole] ^= (uint8_t)(1 << i % 8);
		if (i % 4 == 3 && is_esn)
			seq ^= 1ULL << 32;
		ops[i] = (struct esp_op){
			.packet = packets[i],
			.len = len,
			.is_esn = is_esn,
			.seq = seq,
			.suite = suite,
			.key = key,
		};
		CU_ASSERT_TRUE(esp_len_is_sound(suite, len));
	}
	esp_open(mgr, ops, ESP_BURST);
	for (uint32_t i = 0; i < ESP_BURST; i++) {
		bool is_good = i % 4 != 1 && (i % 4 != 3 || !is_esn);

		CU_ASSERT_EQUAL(ops[i].is_good, is_good);
		if (!is_good)
			continue;
		CU_ASSERT_EQUAL(esp_trailer_take(&ops[i], &next_header), (int)(from + i));
		CU_ASSERT_EQUAL(next_header, 41);
		CU_ASSERT_TRUE(payload_is(suite, packets[i], from + i));
	}
	free(key);
}

static void test_open(void)
{
	unsigned int n;
	const struct esp_suite *suites = esp_suites(&n);

	for (unsigned int i = 0; i < n; i++) {
		for (uint32_t from = 0; from < 1500; from += 471) {
			open_burst(&suites[i], false, from);
			open_burst(&suites[i], true, from);
		}
	}
}

// Suites side by side in one burst do not disturb each other.
static void test_mixed(void)
{
	static uint8_t packets[ESP_BURST][ROOM];
	struct esp_key *keys[ESP_BURST];
	struct slow_sa sas[ESP_BURST];
	struct esp_op ops[ESP_BURST];
	unsigned int n;
	const struct esp_suite *suites = esp_suites(&n);

	for (uint32_t i = 0; i < ESP_BURST; i++) {
		const struct esp_suite *suite = &suites[i % n];

		sas[i] = slow_of(suite, i % 2);
		keys[i] = key_of(suite, &sas[i]);
		ops[i] = (struct esp_op){
			.packet = packets[i],
			.len = packet_make(suite, packets[i], i * 20),
			.is_esn = i % 2,
			.seq = i + 1,
			.suite = suite,
			.key = keys[i],
		};
	}
	for (uint32_t i = 0; i < ESP_BURST; i++)
		esp_head_put(mgr, &ops[i], SPI, SITE);
	esp_seal(mgr, ops, ESP_BURST);
	esp_open(mgr, ops, ESP_BURST);
	for (uint32_t i = 0; i < ESP_BURST; i++) {
		CU_ASSERT_TRUE(ops[i].is_good);
		CU_ASSERT_TRUE(payload_is(ops[i].suite, packets[i], i * 20));
		free(keys[i]);
	}
}

static void test_lengths(void)
{
	unsigned int n;
	const struct esp_suite *suites = esp_suites(&n);

	for (unsigned int i = 0; i < n; i++) {
		const struct esp_suite *s = &suites[i];
		uint32_t head = esp_head_len(s);

		for (uint32_t len = 0; len < 200; len++) {
			bool is_sound = len >= head + 4 && len >= head + s->align &&
					(len - head) % s->align == 0;

			CU_ASSERT_EQUAL(esp_len_is_sound(s, len), is_sound);
			// The longest payload that fits is the longest.
			if (len > head + s->icv_len + s->align) {
				uint32_t room = esp_room(s, len);

				CU_ASSERT_TRUE(head + room + esp_tail_len(s, room) <= len);
				CU_ASSERT_TRUE(head + room + 1 + esp_tail_len(s, room + 1) > len);
			}
		}
	}
}

// Padding longer than the packet, or other than 1, 2, 3...
static void test_trailer(void)
{
	const struct esp_suite *suite = esp_suite_find(API_SA_NULL, API_SA_HMAC_SHA1_96, 0, 20);
	uint8_t packet[64] = { 0 }, next_header = 0;
	struct esp_op op = { .packet = packet, .len = 8 + 8, .suite = suite };

	CU_ASSERT_PTR_NOT_NULL_FATAL(suite);
	memcpy(packet + 8, "\x01\x02\x03\x04\x05\x06\x06\x29", 8);
	CU_ASSERT_EQUAL(esp_trailer_take(&op, &next_header), 0);
	CU_ASSERT_EQUAL(next_header, 41);
	packet[14] = 7;
	CU_ASSERT_TRUE(esp_trailer_take(&op, &next_header) < 0);
	packet[14] = 255;
	CU_ASSERT_TRUE(esp_trailer_take(&op, &next_header) < 0);
	packet[14] = 2;
	CU_ASSERT_TRUE(esp_trailer_take(&op, &next_header) < 0);
	packet[14] = 0;
	CU_ASSERT_EQUAL(esp_trailer_take(&op, &next_header), 6);
}

static void test_suites(void)
{
	CU_ASSERT_PTR_NULL(esp_suite_find(API_SA_AES_GCM_16, API_SA_AEAD, 16, 0)); // no salt
	CU_ASSERT_PTR_NULL(esp_suite_find(API_SA_AES_GCM_16, API_SA_HMAC_SHA1_96, 20, 20));
	CU_ASSERT_PTR_NULL(esp_suite_find(API_SA_AES_CBC, API_SA_AEAD, 16, 0));
	CU_ASSERT_PTR_NULL(esp_suite_find(API_SA_AES_CBC, API_SA_HMAC_SHA1_96, 16, 19));
	CU_ASSERT_PTR_NULL(esp_suite_find(API_SA_NULL, API_SA_AEAD, 0, 0));
	CU_ASSERT_PTR_NOT_NULL(esp_suite_find(API_SA_AES_GCM_16, API_SA_AEAD, 36, 0));
#ifdef UNWIRED_LEGACY_CRYPTO
	CU_ASSERT_PTR_NOT_NULL(esp_suite_find(API_SA_3DES_CBC, API_SA_HMAC_SHA1_96, 24, 20));
#else
	CU_ASSERT_PTR_NULL(esp_suite_find(API_SA_3DES_CBC, API_SA_HMAC_SHA1_96, 24, 20));
#endif
}

// --- Packets of others -----------------------------------------------------------------------------

static unsigned int hex_read(const char *hex, uint8_t *out, unsigned int max)
{
	unsigned int n = 0, byte;

	while (n < max && sscanf(hex + (size_t)2 * n, "%2x", &byte) == 1)
		out[n++] = (uint8_t)byte;
	return n;
}

// RFC 7634 appendix A.
static void test_rfc7634(void)
{
	static const char key_hex[] =
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3";
	static const char packet_hex[] =
		"0102030400000005101112131415161724039428b97f417e3c13753a4f05087b67c352e6a7fab1b9"
		"82d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
		"cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43";
	static const char inner_hex[] =
		"45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b";
	const struct esp_suite *suite =
		esp_suite_find(API_SA_CHACHA20_POLY1305, API_SA_AEAD, 36, 0);
	uint8_t keys[API_SA_MAX_KEYS] = { 0 }, packet[256], inner[64], next_header = 0;
	struct slow_sa sa = { 0 };
	struct esp_op op = { .packet = packet, .seq = 5, .suite = suite };
	unsigned int n = hex_read(inner_hex, inner, sizeof(inner));

	hex_read(key_hex, keys, sizeof(keys));
	memcpy(sa.keys, keys, sizeof(keys));
	op.len = hex_read(packet_hex, packet, sizeof(packet)) - suite->icv_len;
	op.key = key_of(suite, &sa);
	esp_open(mgr, &op, 1);
	CU_ASSERT_TRUE_FATAL(op.is_good);
	CU_ASSERT_EQUAL(esp_trailer_take(&op, &next_header), 84);
	CU_ASSERT_EQUAL(next_header, 4);
	CU_ASSERT_EQUAL(memcmp(packet + esp_head_len(suite), inner, n), 0);
	free((void *)(uintptr_t)op.key);
}

// The offset of ESP in an IPv6 packet.
static unsigned int esp_at(const uint8_t *packet)
{
	unsigned int at = 40;
	uint8_t protocol = packet[6];

	while (protocol != 50) {
		protocol = packet[at];
		at += 8u + 8u * packet[at + 1];
	}
	return at;
}

// tests/vectors/esp.hex: a mobile node and a home agent on Linux, RFC 3776 with manual keys.
static void test_captures(void)
{
	const struct esp_suite *cbc = esp_suite_find(API_SA_AES_CBC, API_SA_HMAC_SHA1_96, 16, 20);
	const struct esp_suite *null = esp_suite_find(API_SA_NULL, API_SA_HMAC_SHA1_96, 0, 20);
	FILE *f = fopen(VECTORS "/esp.hex", "r");
	char name[128], packet_hex[4096], payload_hex[4096];
	unsigned int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(name, sizeof(name), f) != NULL &&
		fgets(packet_hex, sizeof(packet_hex), f) != NULL &&
		fgets(payload_hex, sizeof(payload_hex), f) != NULL) {
		const struct esp_suite *suite = strstr(name, "espnull") != NULL ? null : cbc;
		uint8_t packet[2048], payload[2048], next_header = 0;
		unsigned int len = hex_read(packet_hex, packet, sizeof(packet));
		unsigned int at = esp_at(packet);
		int payload_len = (int)hex_read(payload_hex, payload, sizeof(payload));
		struct slow_sa sa = { 0 };
		struct esp_op op = { .packet = packet + at, .suite = suite };

		for (unsigned int i = 0; i < suite->key_len; i++)
			sa.keys[i] = (uint8_t)i;
		for (unsigned int i = 0; i < suite->auth_key_len; i++)
			sa.keys[suite->key_len + i] = (uint8_t)(0x10 + i);
		op.len = len - at - suite->icv_len;
		op.key = key_of(suite, &sa);
		CU_ASSERT_TRUE_FATAL(esp_len_is_sound(suite, op.len));
		esp_open(mgr, &op, 1);
		CU_ASSERT_TRUE(op.is_good);
		CU_ASSERT_EQUAL_FATAL(esp_trailer_take(&op, &next_header), payload_len);
		CU_ASSERT_TRUE(next_header == 135 || next_header == 58);
		CU_ASSERT_EQUAL(
			memcmp(op.packet + esp_head_len(suite), payload, (size_t)payload_len), 0);
		free((void *)(uintptr_t)op.key);
		n++;
	}
	fclose(f);
	CU_ASSERT_TRUE(n >= 20);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "OpenSSL opens what we seal", test_seal },
		{ "we open what OpenSSL seals", test_open },
		{ "all suites in one burst", test_mixed },
		{ "lengths", test_lengths },
		{ "padding", test_trailer },
		{ "suites and key sizes", test_suites },
		{ "RFC 7634 appendix A", test_rfc7634 },
		{ "packets of real peers", test_captures },
		CU_TEST_INFO_NULL,
	};
	OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(NULL, "legacy");
	OSSL_PROVIDER *usual = OSSL_PROVIDER_load(NULL, "default");
	int status;

	mgr = esp_manager_new();
	if (mgr == NULL)
		return EXIT_FAILURE;
	status = suite_run("esp", tests);
	esp_manager_free(mgr);
	OSSL_PROVIDER_unload(usual);
	OSSL_PROVIDER_unload(legacy);
	return status;
}
