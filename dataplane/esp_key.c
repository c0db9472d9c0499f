// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/esp_key.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <rte_common.h>

#define AEAD(name_, encryption_, key_, cipher_, hash_)                                            \
	{                                                                                         \
		.name = name_, .encryption = encryption_, .authentication = API_SA_AEAD,          \
		.key_len = key_, .salt_len = ESP_SALT_LEN, .iv_len = ESP_AEAD_IV_LEN, .align = 4, \
		.icv_len = ESP_AEAD_ICV_LEN, .cipher = cipher_, .hash = hash_                     \
	}
#define HMAC(name_, encryption_, key_, iv_, align_, cipher_, auth_)                 \
	{                                                                           \
		.name = name_, .encryption = encryption_, .authentication = auth_,  \
		.key_len = key_, .iv_len = iv_, .align = align_, .cipher = cipher_, \
		.auth_key_len = HMAC_KEY(auth_), .icv_len = HMAC_ICV(auth_),        \
		.hash = HMAC_HASH(auth_)                                            \
	}
// RFC 2404, RFC 4868.
#define HMAC_KEY(auth)                                  \
	((auth) == API_SA_HMAC_SHA1_96             ? 20 \
		: (auth) == API_SA_HMAC_SHA256_128 ? 32 \
		: (auth) == API_SA_HMAC_SHA384_192 ? 48 \
						   : 64)
#define HMAC_ICV(auth)                                  \
	((auth) == API_SA_HMAC_SHA1_96             ? 12 \
		: (auth) == API_SA_HMAC_SHA256_128 ? 16 \
		: (auth) == API_SA_HMAC_SHA384_192 ? 24 \
						   : 32)
#define HMAC_HASH(auth)                                                    \
	((auth) == API_SA_HMAC_SHA1_96             ? IMB_AUTH_HMAC_SHA_1   \
		: (auth) == API_SA_HMAC_SHA256_128 ? IMB_AUTH_HMAC_SHA_256 \
		: (auth) == API_SA_HMAC_SHA384_192 ? IMB_AUTH_HMAC_SHA_384 \
						   : IMB_AUTH_HMAC_SHA_512)
#define HMACS(name_, encryption_, key_, iv_, align_, cipher_)                                      \
	HMAC(name_ "+hmac-sha1-96", encryption_, key_, iv_, align_, cipher_, API_SA_HMAC_SHA1_96), \
		HMAC(name_ "+hmac-sha256-128", encryption_, key_, iv_, align_, cipher_,            \
			API_SA_HMAC_SHA256_128),                                                   \
		HMAC(name_ "+hmac-sha384-192", encryption_, key_, iv_, align_, cipher_,            \
			API_SA_HMAC_SHA384_192),                                                   \
		HMAC(name_ "+hmac-sha512-256", encryption_, key_, iv_, align_, cipher_,            \
			API_SA_HMAC_SHA512_256)

static const struct esp_suite suites[] = {
	AEAD("aes-gcm-16-128", API_SA_AES_GCM_16, 16, IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC),
	AEAD("aes-gcm-16-256", API_SA_AES_GCM_16, 32, IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC),
	AEAD("chacha20-poly1305", API_SA_CHACHA20_POLY1305, 32, IMB_CIPHER_CHACHA20_POLY1305,
		IMB_AUTH_CHACHA20_POLY1305),
	HMACS("aes-cbc-128", API_SA_AES_CBC, 16, 16, 16, IMB_CIPHER_CBC),
	HMACS("aes-cbc-256", API_SA_AES_CBC, 32, 16, 16, IMB_CIPHER_CBC),
	HMACS("null", API_SA_NULL, 0, 0, 4, IMB_CIPHER_NULL),
#ifdef UNWIRED_LEGACY_CRYPTO
	HMACS("3des-cbc", API_SA_3DES_CBC, 24, 8, 8, IMB_CIPHER_DES3),
#endif
};

const struct esp_suite *esp_suites(unsigned int *n)
{
	*n = RTE_DIM(suites);
	return suites;
}

const struct esp_suite *esp_suite_find(
	uint8_t encryption, uint8_t authentication, uint16_t enc_key_len, uint16_t auth_key_len)
{
	for (unsigned int i = 0; i < RTE_DIM(suites); i++) {
		const struct esp_suite *s = &suites[i];

		if (s->encryption == encryption && s->authentication == authentication &&
			s->key_len + s->salt_len == enc_key_len && s->auth_key_len == auth_key_len)
			return s;
	}
	return NULL;
}

// Starts both hashes of an HMAC (RFC 2104) with the key, which is no longer than their block.
static void hmac_start(
	IMB_MGR *mgr, const struct esp_suite *suite, const uint8_t *raw, struct esp_key *key)
{
	uint8_t block[128];

	for (unsigned int pass = 0; pass < 2; pass++) {
		uint8_t *out = pass == 0 ? key->inner : key->outer;

		memset(block, pass == 0 ? 0x36 : 0x5c, sizeof(block));
		for (unsigned int i = 0; i < suite->auth_key_len; i++)
			block[i] ^= raw[i];
		if (suite->hash == IMB_AUTH_HMAC_SHA_1)
			IMB_SHA1_ONE_BLOCK(mgr, block, out);
		else if (suite->hash == IMB_AUTH_HMAC_SHA_256)
			IMB_SHA256_ONE_BLOCK(mgr, block, out);
		else if (suite->hash == IMB_AUTH_HMAC_SHA_384)
			IMB_SHA384_ONE_BLOCK(mgr, block, out);
		else
			IMB_SHA512_ONE_BLOCK(mgr, block, out);
	}
	explicit_bzero(block, sizeof(block));
}

static void des_start(IMB_MGR *mgr, const uint8_t *raw, struct esp_key *key)
{
	for (unsigned int i = 0; i < 3; i++) {
		IMB_DES_KEYSCHED(
			mgr, (uint64_t *)(void *)key->des.schedule[i], raw + (size_t)i * 8);
		key->des.keys[i] = key->des.schedule[i];
	}
}

// IVs of CBC are numbers encrypted with a key that nobody else knows: unpredictable (RFC 3602 section 3).
static int iv_start(IMB_MGR *mgr, struct esp_key *key)
{
	uint8_t random[IMB_KEY_128_BYTES], unused[16 * 15] __attribute__((aligned(16)));

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	IMB_AES_KEYEXP_128(mgr, random, key->iv, unused);
	explicit_bzero(random, sizeof(random));
	explicit_bzero(unused, sizeof(unused));
	return 0;
}

int esp_key_make(
	IMB_MGR *mgr, const struct esp_suite *suite, const uint8_t *raw, struct esp_key *key)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->raw, raw, esp_raw_len(suite));
	if (suite->cipher == IMB_CIPHER_GCM && suite->key_len == IMB_KEY_128_BYTES)
		IMB_AES128_GCM_PRE(mgr, raw, &key->gcm);
	else if (suite->cipher == IMB_CIPHER_GCM)
		IMB_AES256_GCM_PRE(mgr, raw, &key->gcm);
	else if (suite->cipher == IMB_CIPHER_CHACHA20_POLY1305)
		memcpy(key->chacha, raw, suite->key_len);
	else if (suite->cipher == IMB_CIPHER_CBC && suite->key_len == IMB_KEY_128_BYTES)
		IMB_AES_KEYEXP_128(mgr, raw, key->aes.encrypt, key->aes.decrypt);
	else if (suite->cipher == IMB_CIPHER_CBC)
		IMB_AES_KEYEXP_256(mgr, raw, key->aes.encrypt, key->aes.decrypt);
	else if (suite->cipher == IMB_CIPHER_DES3)
		des_start(mgr, raw, key);
	memcpy(key->salt, raw + suite->key_len, suite->salt_len);
	if (suite->authentication != API_SA_AEAD)
		hmac_start(mgr, suite, raw + suite->key_len, key);
	return suite->cipher == IMB_CIPHER_CBC || suite->cipher == IMB_CIPHER_DES3
		       ? iv_start(mgr, key)
		       : 0;
}
