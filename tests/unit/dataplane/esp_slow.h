// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ESP by OpenSSL, packet by packet, as RFC 4303 tells it: what dataplane/esp.c has to agree with. Shares
// nothing with it but the names of the algorithms.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/provider.h>

#include "dataplane/api/records.h"

// The algorithms of an SA and its keys as control gives them.
struct slow_sa {
	uint8_t encryption, authentication;
	uint16_t enc_key_len, auth_key_len; // encryption with its salt
	bool is_esn;
	uint8_t keys[API_SA_MAX_KEYS];
};

static inline bool slow_is_aead(const struct slow_sa *sa)
{
	return sa->authentication == API_SA_AEAD;
}

static inline unsigned int slow_iv_len(const struct slow_sa *sa)
{
	if (sa->encryption == API_SA_NULL)
		return 0;
	return sa->encryption == API_SA_AES_CBC ? 16 : 8;
}

static inline unsigned int slow_icv_len(const struct slow_sa *sa)
{
	static const unsigned int len[] = { 16, 12, 16, 24, 32 };

	return len[sa->authentication];
}

static inline unsigned int slow_align(const struct slow_sa *sa)
{
	if (sa->encryption == API_SA_AES_CBC)
		return 16;
	return sa->encryption == API_SA_3DES_CBC ? 8 : 4;
}

static inline const EVP_CIPHER *slow_cipher(const struct slow_sa *sa)
{
	bool is_256 = sa->enc_key_len >= 32;

	switch (sa->encryption) {
	case API_SA_AES_GCM_16:
		return is_256 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
	case API_SA_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case API_SA_AES_CBC:
		return is_256 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
	case API_SA_3DES_CBC:
		return EVP_des_ede3_cbc();
	default:
		return EVP_enc_null();
	}
}

static inline void slow_die_unless(bool holds)
{
	if (!holds)
		abort();
}

// Runs the cipher over text in place. aad, tag: AEAD only. Returns: false when the tag is wrong.
static inline bool slow_cipher_run(const struct slow_sa *sa, bool seals, const uint8_t *iv,
	const uint8_t *aad, int aad_len, uint8_t *text, int len, uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool is_good = true;
	int n = 0;

	slow_die_unless(ctx != NULL &&
			EVP_CipherInit_ex(ctx, slow_cipher(sa), NULL, sa->keys, iv, seals) == 1);
	if (slow_is_aead(sa)) {
		if (!seals)
			slow_die_unless(
				EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1);
		slow_die_unless(EVP_CipherUpdate(ctx, NULL, &n, aad, aad_len) == 1);
	} else {
		EVP_CIPHER_CTX_set_padding(ctx, 0);
	}
	slow_die_unless(EVP_CipherUpdate(ctx, text, &n, text, len) == 1);
	is_good = EVP_CipherFinal_ex(ctx, text + n, &n) == 1;
	if (slow_is_aead(sa) && seals)
		slow_die_unless(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return is_good;
}

static inline void slow_hmac(
	const struct slow_sa *sa, const uint8_t *packet, size_t len, uint32_t high, uint8_t icv[64])
{
	static const char *const names[] = { "", "SHA1", "SHA256", "SHA384", "SHA512" };
	uint8_t *all = malloc(len + 4);
	unsigned int n = 0;

	slow_die_unless(all != NULL);
	memcpy(all, packet, len);
	for (int i = 0; i < 4; i++)
		all[len + (size_t)i] = (uint8_t)(high >> (24 - 8 * i));
	slow_die_unless(
		HMAC(EVP_get_digestbyname(names[sa->authentication]), sa->keys + sa->enc_key_len,
			sa->auth_key_len, all, len + (sa->is_esn ? 4 : 0), icv, &n) != NULL);
	free(all);
}

// The nonce and the additional data of an AEAD.
static inline int slow_aead(const struct slow_sa *sa, const uint8_t *packet, uint64_t seq,
	uint8_t nonce[12], uint8_t aad[12])
{
	int len = 0;

	memcpy(nonce, sa->keys + sa->enc_key_len - 4, 4);
	memcpy(nonce + 4, packet + 8, 8);
	memcpy(aad, packet, 4);
	len = 4;
	for (int i = sa->is_esn ? 7 : 3; i >= 0; i--)
		aad[len++] = (uint8_t)(seq >> 8 * i);
	return len;
}

// Seals what stands in packet: ESP header, IV and text, len bytes. Writes the check value behind it.
// Returns: the whole length.
static inline size_t slow_seal(const struct slow_sa *sa, uint8_t *packet, size_t len, uint64_t seq)
{
	size_t head = 8 + slow_iv_len(sa);
	uint8_t nonce[12], aad[12], icv[64];

	if (slow_is_aead(sa)) {
		int aad_len = slow_aead(sa, packet, seq, nonce, aad);

		slow_cipher_run(
			sa, true, nonce, aad, aad_len, packet + head, (int)(len - head), icv);
	} else {
		slow_cipher_run(
			sa, true, packet + 8, NULL, 0, packet + head, (int)(len - head), NULL);
		slow_hmac(sa, packet, len, (uint32_t)(seq >> 32), icv);
	}
	memcpy(packet + len, icv, slow_icv_len(sa));
	return len + slow_icv_len(sa);
}

// Opens a packet of len bytes with its check value in place. Returns: false when that is wrong.
static inline bool slow_open(const struct slow_sa *sa, uint8_t *packet, size_t len, uint64_t seq)
{
	size_t head = 8 + slow_iv_len(sa), end = len - slow_icv_len(sa);
	uint8_t nonce[12], aad[12], icv[64];

	if (slow_is_aead(sa)) {
		int aad_len = slow_aead(sa, packet, seq, nonce, aad);

		memcpy(icv, packet + end, 16);
		return slow_cipher_run(
			sa, false, nonce, aad, aad_len, packet + head, (int)(end - head), icv);
	}
	slow_hmac(sa, packet, end, (uint32_t)(seq >> 32), icv);
	if (memcmp(icv, packet + end, slow_icv_len(sa)) != 0)
		return false;
	return slow_cipher_run(
		sa, false, packet + 8, NULL, 0, packet + head, (int)(end - head), NULL);
}
