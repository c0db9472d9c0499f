// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/codec/ip6chain.h"
#include "dataplane/base/wire.h"
#include "mobile/security.h"
#include "tests/unit/base/suite.h"

static struct association make(
	uint8_t encryption, uint8_t enc_len, uint8_t authentication, uint8_t auth_len)
{
	struct association a = { .spi = 0x1234,
		.use = API_SA_PAYLOAD,
		.direction = API_SA_OUT,
		.encryption = encryption,
		.authentication = authentication,
		.enc_key_len = enc_len,
		.auth_key_len = auth_len,
		.replay_window = 64 };

	for (unsigned int i = 0; i < ASSOCIATION_KEY_MAX; i++) {
		a.enc_key[i] = (uint8_t)(i + 1);
		a.auth_key[i] = (uint8_t)(0x80 + i);
	}
	return a;
}

static const uint8_t suites[][4] = {
	{ API_SA_AES_GCM_16, 20, API_SA_AEAD, 0 },
	{ API_SA_AES_GCM_16, 36, API_SA_AEAD, 0 },
	{ API_SA_CHACHA20_POLY1305, 36, API_SA_AEAD, 0 },
	{ API_SA_AES_CBC, 16, API_SA_HMAC_SHA1_96, 20 },
	{ API_SA_AES_CBC, 32, API_SA_HMAC_SHA256_128, 32 },
	{ API_SA_AES_CBC, 16, API_SA_HMAC_SHA384_192, 48 },
	{ API_SA_NULL, 0, API_SA_HMAC_SHA512_256, 64 },
	{ API_SA_3DES_CBC, 24, API_SA_HMAC_SHA1_96, 20 },
};

enum { N_SUITES = sizeof(suites) / sizeof(suites[0]) };

// Every suite, every length, with and without extended numbers; one bit wrong anywhere is noticed.
static void test_round_trip(void)
{
	uint8_t text[200], packet[200 + ESP_OVERHEAD_MAX], out[200 + ESP_OVERHEAD_MAX];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	for (unsigned int s = 0; s < 2 * N_SUITES; s++) {
		const uint8_t *row = suites[s / 2];
		struct esp from = { .sa = make(row[0], row[1], row[2], row[3]) }, to;

		from.sa.has_esn = s % 2 != 0;
		to = from;
		if (from.sa.has_esn) // across the end of the short numbers
			from.sequence = to.sequence = 0xffffff80;
		for (size_t len = 0; len <= sizeof(text); len++) {
			uint8_t next_header = 0;
			ssize_t n = esp_seal(&from, 135, text, len, packet);

			CU_ASSERT_FATAL(n > 0 && (size_t)n <= len + esp_overhead(&from));
			CU_ASSERT_EQUAL(n % 4, 0);
			packet[4 + len % ((size_t)n - 4)] ^= 0x10;
			CU_ASSERT(esp_open(&to, packet, (size_t)n, out, &next_header) < 0);
			packet[4 + len % ((size_t)n - 4)] ^= 0x10;
			CU_ASSERT_EQUAL(
				esp_open(&to, packet, (size_t)n, out, &next_header), (ssize_t)len);
			CU_ASSERT_EQUAL(memcmp(out, text, len), 0);
			CU_ASSERT_EQUAL(next_header, 135);
			CU_ASSERT_EQUAL(
				esp_open(&to, packet, (size_t)n, out, &next_header), -EALREADY);
			for (size_t cut = 1; cut < 24 && cut <= (size_t)n; cut++)
				CU_ASSERT(esp_open(&to, packet, (size_t)n - cut, out,
						  &next_header) < 0);
		}
	}
}

static void test_window(void)
{
	struct esp from = { .sa = make(API_SA_AES_GCM_16, 20, API_SA_AEAD, 0) }, to = from;
	uint8_t packets[100][64], out[64], next_header;
	ssize_t n = 0;

	for (unsigned int i = 0; i < 100; i++)
		n = esp_seal(&from, 59, "x", 1, packets[i]);
	CU_ASSERT_EQUAL(esp_open(&to, packets[70], (size_t)n, out, &next_header), 1);
	CU_ASSERT_EQUAL(esp_open(&to, packets[6], (size_t)n, out, &next_header), -EALREADY);
	CU_ASSERT_EQUAL(esp_open(&to, packets[7], (size_t)n, out, &next_header), 1);
	CU_ASSERT_EQUAL(esp_open(&to, packets[7], (size_t)n, out, &next_header), -EALREADY);
	CU_ASSERT_EQUAL(esp_open(&to, packets[99], (size_t)n, out, &next_header), 1);
	CU_ASSERT_EQUAL(esp_open(&to, packets[70], (size_t)n, out, &next_header), -EALREADY);
	CU_ASSERT_EQUAL(esp_open(&to, packets[71], (size_t)n, out, &next_header), 1);
}

static void test_numbers_end(void)
{
	struct esp esp = { .sa = make(API_SA_AES_GCM_16, 20, API_SA_AEAD, 0),
		.sequence = UINT32_MAX - 1 };
	uint8_t packet[64];

	CU_ASSERT(esp_seal(&esp, 59, "x", 1, packet) > 0);
	CU_ASSERT_EQUAL(esp_seal(&esp, 59, "x", 1, packet), -EOVERFLOW);
}

#define KEY "00112233445566778899aabbccddeeff"
#define SA(use, direction, spi, salt)                                       \
	"{\"use\":\"" use "\",\"direction\":\"" direction "\",\"spi\":" spi \
	",\"encryption\":\"aes-gcm-16\",\"encryption_key\":\"" KEY salt "\"}"

static char path[64];

static struct security *open_file(const char *text)
{
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/unwired-esp-test-%d", getpid());
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	return security_open(path, stderr);
}

static void remove_files(void)
{
	char numbers[80];

	snprintf(numbers, sizeof(numbers), "%s.sequence", path);
	unlink(numbers);
	unlink(path);
}

// Writes a Binding Update's headers with a payload into packet. Returns: its length.
static size_t make_packet(uint8_t *packet, size_t size)
{
	struct ip6 home = { .b = { 0x20, 1, [15] = 7 } };
	struct ip6chain_head head = { .src = { .b = { 0x20, 2 } },
		.dst = { .b = { 0x20, 3 } },
		.home = &home,
		.hop_limit = 64 };
	size_t at = ip6chain_head_len(&head);

	memset(packet, 0, size);
	memset(packet + at, 0xab, 16);
	return (size_t)ip6chain_write(packet, size, &head, PROTO_MH, 16);
}

// Two ends, each with its own direction of the same two associations.
static void test_transport(void)
{
	struct security *mobile = open_file("{\"security_associations\":[" SA("signalling", "out",
		"1000", "00000001") "," SA("payload", "in", "1001", "00000002") "]}");
	struct security *agent;
	uint8_t packet[512], copy[512], use = 0;
	size_t len = make_packet(packet, sizeof(packet));
	struct ip6chain chain;
	ssize_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mobile);
	CU_ASSERT_TRUE(security_has(mobile, API_SA_SIGNALLING));
	CU_ASSERT_FALSE(security_has(mobile, API_SA_PAYLOAD));
	CU_ASSERT_TRUE(security_needs(mobile, API_SA_PAYLOAD));
	CU_ASSERT_FALSE(security_needs(mobile, API_SA_ROUTABILITY));
	memcpy(copy, packet, len);
	n = security_seal_transport(mobile, API_SA_SIGNALLING, packet, len);
	CU_ASSERT_FATAL(n > (ssize_t)len);
	CU_ASSERT_EQUAL(ip6chain_parse(packet, (size_t)n, &chain), IP6CHAIN_OK);
	CU_ASSERT_EQUAL(chain.proto, PROTO_ESP);
	CU_ASSERT_TRUE(chain.has_home);
	CU_ASSERT_EQUAL(chain.payload_at + chain.payload_len, (size_t)n);
	CU_ASSERT_EQUAL(security_seal_transport(mobile, API_SA_DISCOVERY, copy, len), -ENOENT);
	remove_files();
	agent = open_file("{\"security_associations\":[" SA("signalling", "in", "1000",
		"00000001") "," SA("discovery", "in", "1002", "00000003") "]}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(agent);
	CU_ASSERT_EQUAL(security_open_transport(agent, copy, len, &use), -ENOENT);
	CU_ASSERT_EQUAL(security_open_transport(agent, packet, (size_t)n, &use), (ssize_t)len);
	CU_ASSERT_EQUAL(use, API_SA_SIGNALLING);
	CU_ASSERT_EQUAL(memcmp(packet, copy, len), 0);
	security_close(agent);
	security_close(mobile);
	remove_files();
}

// What one life has used, the next one does not.
static void test_restart(void)
{
	const char *text =
		"{\"security_associations\":[" SA("signalling", "out", "1000", "00000001") "]}";
	uint32_t last = 0;

	for (int life = 0; life < 3; life++) {
		struct security *s = open_file(text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		for (int i = 0; i < 3; i++) {
			uint8_t packet[512];
			size_t len = make_packet(packet, sizeof(packet));
			uint32_t sequence;

			CU_ASSERT(security_seal_transport(s, API_SA_SIGNALLING, packet, len) > 0);
			memcpy(&sequence, packet + 64 + 4, sizeof(sequence));
			sequence = be32toh(sequence);
			CU_ASSERT(sequence > last);
			last = sequence;
		}
		security_close(s);
	}
	remove_files();
}

static void test_bad_files(void)
{
	CU_ASSERT_PTR_NULL(open_file("{"));
	CU_ASSERT_PTR_NULL(open_file("{}"));
	CU_ASSERT_PTR_NULL(open_file("{\"security_associations\":[{}]}"));
	CU_ASSERT_PTR_NULL(open_file("{\"security_associations\":[],\"protect\":[\"payload\"]}"));
	remove_files();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "sealing and opening", test_round_trip },
		{ "replay window", test_window },
		{ "the end of numbers", test_numbers_end },
		{ "transport mode", test_transport },
		{ "numbers over restarts", test_restart },
		{ "bad files", test_bad_files },
		CU_TEST_INFO_NULL,
	};

	return suite_run("esp", tests);
}
