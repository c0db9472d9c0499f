// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: ESP packets that come in, against an OpenSSL-based slow path. Input: a byte that chooses the
// suite, a byte of flags, eight bytes of the window's top, then the packet from its ESP header on. With
// flag SEALS the input is what a peer encrypts: padding, trailer and hidden length are the input's, the
// check value is right; without it the check value is the input's too.
//
// Oracles: the same packets are opened, to the same bytes; the whole sequence number is the one that RFC
// 4303 appendix A2 tells, in its own words; the payload that comes out lies inside the packet.

#include "dataplane/esp.h"

#include <rte_byteorder.h>

#include "dataplane/replay.h"
#include "tests/unit/dataplane/esp_slow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	SEALS = 1,
	IS_ESN = 2,
	HEAD = 10,
	PACKET_MAX = 2048,
	WINDOW = 64,
};

static IMB_MGR *mgr;

// RFC 4303 appendix A2.2, figure by figure.
static bool slow_number(uint64_t top, uint32_t low, bool is_esn, uint64_t *number)
{
	uint32_t th = (uint32_t)(top >> 32), tl = (uint32_t)top;
	uint64_t high;

	if (!is_esn) {
		*number = low;
		return low != 0;
	}
	if (tl >= WINDOW - 1) { // case A: the window lies within one subspace
		high = low >= tl - WINDOW + 1 ? th : (uint64_t)th + 1;
	} else { // case B: it reaches back into the one before
		if (low >= (uint32_t)(tl - WINDOW + 1) && th == 0)
			return false;
		high = low >= (uint32_t)(tl - WINDOW + 1) ? th - 1 : th;
	}
	*number = high << 32 | low;
	return high <= UINT32_MAX && *number != 0;
}

static void one(const struct esp_suite *suite, uint8_t flags, uint64_t top, const uint8_t *bytes,
	uint32_t size)
{
	static uint8_t keys[API_SA_MAX_KEYS] = { 1, 2, 3 };
	bool is_esn = (flags & IS_ESN) != 0, is_good;
	struct slow_sa sa = { .encryption = suite->encryption,
		.authentication = suite->authentication,
		.enc_key_len = (uint16_t)(suite->key_len + suite->salt_len),
		.auth_key_len = suite->auth_key_len,
		.is_esn = is_esn };
	uint8_t *fast = malloc(size + suite->icv_len), *slow = malloc(size + suite->icv_len);
	struct esp_key *key = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*key), 64));
	uint32_t len = flags & SEALS ? size : size - suite->icv_len, low;
	struct esp_op op = {
		.packet = fast, .len = len, .is_esn = is_esn, .suite = suite, .key = key
	};
	struct replay window;
	uint64_t expected = 0;
	uint8_t next_header;
	bool exists;
	int payload;

	slow_die_unless(fast != NULL && slow != NULL && key != NULL);
	memcpy(sa.keys, keys, sizeof(keys));
	slow_die_unless(esp_key_make(mgr, suite, keys, key) == 0);
	memcpy(fast, bytes, size);
	low = (uint32_t)fast[4] << 24 | (uint32_t)fast[5] << 16 | (uint32_t)fast[6] << 8 | fast[7];
	replay_init(&window, WINDOW, is_esn);
	window.top = is_esn ? top : (uint32_t)top;
	op.seq = replay_number(&window, low);
	exists = slow_number(window.top, low, is_esn, &expected);
	slow_die_unless(exists ? op.seq == expected : op.seq == 0);
	if (exists) {
		if (flags & SEALS)
			slow_seal(&sa, fast, len, op.seq);
		memcpy(slow, fast, len + suite->icv_len);
		is_good = slow_open(&sa, slow, len + suite->icv_len, op.seq);
		slow_die_unless(is_good || !(flags & SEALS));
		esp_open(mgr, &op, 1);
		slow_die_unless(op.is_good == is_good);
		if (is_good) {
			slow_die_unless(memcmp(fast, slow, len) == 0);
			payload = esp_trailer_take(&op, &next_header);
			slow_die_unless(payload < 0 || esp_head_len(suite) + (uint32_t)payload +
								       ESP_TRAILER_LEN +
								       fast[len - 2] ==
							       len);
		}
	}
	free(key);
	free(slow);
	free(fast);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct esp_suite *suites, *suite;
	unsigned int n;
	uint64_t top;
	uint32_t len;

	if (size < HEAD || size > PACKET_MAX)
		return 0;
	suites = esp_suites(&n);
	suite = &suites[data[0] % n];
	memcpy(&top, data + 2, sizeof(top));
	len = (uint32_t)size - HEAD;
	if (len < suite->icv_len ||
		!esp_len_is_sound(suite, data[1] & SEALS ? len : len - suite->icv_len))
		return 0;
	one(suite, data[1], rte_be_to_cpu_64(top), data + HEAD, len);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	mgr = esp_manager_new();
	slow_die_unless(mgr != NULL);
	OSSL_PROVIDER_load(NULL, "legacy");
	OSSL_PROVIDER_load(NULL, "default");
	return 0;
}
