// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The algorithms of ESP that we have, and their keys in the form that Intel's IPsec-MB takes them in.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <intel-ipsec-mb.h>

#include "dataplane/api/records.h"

enum {
	ESP_SALT_LEN = 4, // RFC 4106 section 4, RFC 7634 section 2
	ESP_AEAD_IV_LEN = 8,
	ESP_AEAD_ICV_LEN = 16,
	ESP_IV_MAX = 16,
	ESP_ICV_MAX = 32,
};

// A pair of algorithms with the sizes that it brings.
struct esp_suite {
	const char *name;
	uint8_t encryption; // enum api_sa_encryption
	uint8_t authentication; // enum api_sa_authentication
	uint8_t key_len; // of the encryption, without its salt
	uint8_t salt_len;
	uint8_t auth_key_len;
	uint8_t iv_len; // in the packet
	uint8_t align; // what is encrypted has a multiple of so many bytes
	uint8_t icv_len;
	IMB_CIPHER_MODE cipher;
	IMB_HASH_ALG hash;
};

// Finds the suite of these algorithms and sizes of keys (encryption with its salt), or NULL.
const struct esp_suite *esp_suite_find(
	uint8_t encryption, uint8_t authentication, uint16_t enc_key_len, uint16_t auth_key_len);

// All suites. Shape: [*n].
const struct esp_suite *esp_suites(unsigned int *n);

// Where the keys of AES-GCM end; what begins behind them shares their last line.
enum { ESP_GCM_END = sizeof(struct gcm_key_data) };
static_assert(ESP_GCM_END % 64 != 0 && 64 - ESP_GCM_END % 64 >= ESP_SALT_LEN, "room for the salt");

// The keys of one SA. Lives in locked memory; owner wipes it.
struct esp_key {
	union {
		struct gcm_key_data gcm;
		struct {
			uint8_t before_salt[ESP_GCM_END];
			uint8_t salt
				[ESP_SALT_LEN]; // in the line of the powers that every packet needs
		};
		struct {
			uint8_t encrypt[16 * 15], decrypt[16 * 15];
		} aes __attribute__((aligned(16)));
		uint8_t chacha[32];
		struct {
			uint8_t schedule[3][IMB_DES_KEY_SCHED_SIZE];
			const void *keys[3];
		} des __attribute__((aligned(16)));
	} __attribute__((aligned(64)));
	uint8_t inner[64] __attribute__((aligned(16))); // of the HMAC
	uint8_t outer[64] __attribute__((aligned(16)));
	uint8_t iv[16 * 15] __attribute__((aligned(16))); // CBC: random, makes IVs from numbers
	uint8_t raw[API_SA_MAX_KEYS]; // as control gave them
};

// Fills *key from the keys that a suite needs, back to back. Returns: 0 or negative errno.
int esp_key_make(
	IMB_MGR *mgr, const struct esp_suite *suite, const uint8_t *raw, struct esp_key *key);

// Bytes of all keys of a suite.
static inline unsigned int esp_raw_len(const struct esp_suite *suite)
{
	return (unsigned int)suite->key_len + suite->salt_len + suite->auth_key_len;
}
