// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/esp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "dataplane/base/cursor.h"

enum {
	SALT_LEN = 4,
	NONCE_LEN = 12,
	AEAD_IV_LEN = 8,
	TAG_LEN = 16,
	TRAILER_LEN = 2, // pad length, next header
	ALIGNMENT = 4,
	WINDOW = 64, // packets
};

// Sizes of an encryption, bytes.
struct sizes {
	size_t iv, block;
};

static struct sizes sizes_of(const struct association *a)
{
	static const struct sizes sizes[API_SA_ENCRYPTION_MAX] = {
		[API_SA_AES_GCM_16] = { AEAD_IV_LEN, ALIGNMENT },
		[API_SA_CHACHA20_POLY1305] = { AEAD_IV_LEN, ALIGNMENT },
		[API_SA_AES_CBC] = { 16, 16 },
		[API_SA_NULL] = { 0, ALIGNMENT },
		[API_SA_3DES_CBC] = { 8, 8 },
	};

	return sizes[a->encryption];
}

static size_t icv_len(const struct association *a)
{
	static const uint8_t lens[API_SA_AUTHENTICATION_MAX] = { [API_SA_AEAD] = TAG_LEN,
		[API_SA_HMAC_SHA1_96] = 12,
		[API_SA_HMAC_SHA256_128] = 16,
		[API_SA_HMAC_SHA384_192] = 24,
		[API_SA_HMAC_SHA512_256] = 32 };

	return lens[a->authentication];
}

static const EVP_CIPHER *cipher_of(const struct association *a)
{
	switch (a->encryption) {
	case API_SA_AES_GCM_16:
		return a->enc_key_len == 16 + SALT_LEN ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	case API_SA_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case API_SA_AES_CBC:
		return a->enc_key_len == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
	case API_SA_3DES_CBC:
		return EVP_des_ede3_cbc();
	default:
		return NULL;
	}
}

static const char *digest_of(const struct association *a)
{
	switch (a->authentication) {
	case API_SA_HMAC_SHA1_96:
		return "SHA1";
	case API_SA_HMAC_SHA256_128:
		return "SHA256";
	case API_SA_HMAC_SHA384_192:
		return "SHA384";
	default:
		return "SHA512";
	}
}

// One pass of a cipher over len bytes. Of an AEAD, the tag is written or checked.
static int run_cipher(const struct association *a, bool is_sealing, const uint8_t *iv,
	const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, uint8_t *out,
	uint8_t tag[TAG_LEN])
{
	bool is_aead = a->authentication == API_SA_AEAD;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[NONCE_LEN];
	int n = 0, error = -EIO;

	if (ctx == NULL)
		return -ENOMEM;
	if (is_aead) {
		memcpy(nonce, a->enc_key + a->enc_key_len - SALT_LEN, SALT_LEN);
		memcpy(nonce + SALT_LEN, iv, AEAD_IV_LEN);
		iv = nonce;
	}
	if (EVP_CipherInit_ex(ctx, cipher_of(a), NULL, a->enc_key, iv, is_sealing) != 1)
		goto out;
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	if (is_aead && EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1)
		goto out;
	if (EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1)
		goto out;
	if (is_aead && !is_sealing &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) != 1)
		goto out;
	error = -EBADMSG;
	if (EVP_CipherFinal_ex(ctx, out + n, &n) != 1)
		goto out;
	error = 0;
	if (is_aead && is_sealing &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) != 1)
		error = -EIO;
out:
	EVP_CIPHER_CTX_free(ctx);
	return error;
}

// The check value over a packet up to its own place, and the half of the number that is not sent.
static int run_digest(const struct association *a, const uint8_t *packet, size_t len,
	uint64_t sequence, uint8_t out[EVP_MAX_MD_SIZE])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
					"digest", (char *)(uintptr_t)digest_of(a), 0),
		OSSL_PARAM_construct_end() };
	uint8_t high[4];
	struct wcursor w = wcursor_make(high, sizeof(high));
	size_t n;
	bool is_fine;

	wcursor_u32(&w, (uint32_t)(sequence >> 32));
	is_fine = ctx != NULL && EVP_MAC_init(ctx, a->auth_key, a->auth_key_len, params) == 1 &&
		  EVP_MAC_update(ctx, packet, len) == 1 &&
		  (!a->has_esn || EVP_MAC_update(ctx, high, sizeof(high)) == 1) &&
		  EVP_MAC_final(ctx, out, &n, EVP_MAX_MD_SIZE) == 1;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return is_fine ? 0 : -EIO;
}

// What an AEAD covers beside the payload. Returns: its length.
static size_t make_aad(const struct association *a, uint64_t sequence, uint8_t out[12])
{
	struct wcursor w = wcursor_make(out, 12);

	wcursor_u32(&w, a->spi);
	if (a->has_esn)
		wcursor_u32(&w, (uint32_t)(sequence >> 32));
	wcursor_u32(&w, (uint32_t)sequence);
	return wcursor_len(&w);
}

size_t esp_overhead(const struct esp *esp)
{
	struct sizes sizes = sizes_of(&esp->sa);

	return ESP_HEADER_LEN + sizes.iv + sizes.block - 1 + TRAILER_LEN + icv_len(&esp->sa);
}

static int make_iv(struct esp *esp, uint8_t *iv, size_t len)
{
	struct wcursor w = wcursor_make(iv, len);

	if (!association_has_counter(&esp->sa))
		return RAND_bytes(iv, (int)len) == 1 ? 0 : -EIO;
	wcursor_u64(&w, ++esp->iv);
	return 0;
}

ssize_t esp_seal(
	struct esp *esp, uint8_t next_header, const void *payload, size_t len, uint8_t *out)
{
	const struct association *a = &esp->sa;
	struct sizes sizes = sizes_of(a);
	size_t pad = (sizes.block - (len + TRAILER_LEN) % sizes.block) % sizes.block;
	size_t inner_len = len + pad + TRAILER_LEN;
	uint8_t *iv = out + ESP_HEADER_LEN, *inner = iv + sizes.iv, aad[12];
	struct wcursor w = wcursor_make(out, ESP_HEADER_LEN);
	uint8_t icv[EVP_MAX_MD_SIZE];
	int error;

	if (esp->sequence == (a->has_esn ? UINT64_MAX : UINT32_MAX))
		return -EOVERFLOW;
	esp->sequence++;
	wcursor_u32(&w, a->spi);
	wcursor_u32(&w, (uint32_t)esp->sequence);
	error = make_iv(esp, iv, sizes.iv);
	memcpy(inner, payload, len);
	for (size_t i = 0; i < pad; i++)
		inner[len + i] = (uint8_t)(i + 1); // RFC 4303 section 2.4
	inner[len + pad] = (uint8_t)pad;
	inner[len + pad + 1] = next_header;
	if (error == 0 && a->encryption != API_SA_NULL)
		error = run_cipher(a, true, iv, aad, make_aad(a, esp->sequence, aad), inner,
			inner_len, inner, icv);
	if (error == 0 && a->authentication != API_SA_AEAD)
		error = run_digest(
			a, out, ESP_HEADER_LEN + sizes.iv + inner_len, esp->sequence, icv);
	if (error != 0)
		return error;
	memcpy(inner + inner_len, icv, icv_len(a));
	esp->packets++;
	esp->bytes += len;
	return (ssize_t)(ESP_HEADER_LEN + sizes.iv + inner_len + icv_len(a));
}

// The whole number of which low is sent: the one nearest to those that were seen. RFC 4303 appendix A2.
static uint64_t whole_sequence(const struct esp *esp, uint32_t low)
{
	uint64_t top = esp->sequence, high = top & ~(uint64_t)UINT32_MAX;

	if (!esp->sa.has_esn)
		return low;
	if (low + high + (1ULL << 31) < top)
		return high + low + (1ULL << 32);
	if (high > 0 && low + high > top + (1ULL << 31))
		return high + low - (1ULL << 32);
	return high + low;
}

static bool is_replay(const struct esp *esp, uint64_t sequence)
{
	if (esp->sa.replay_window == 0 || sequence > esp->sequence)
		return false;
	return esp->sequence - sequence >= WINDOW ||
	       (esp->window >> (esp->sequence - sequence) & 1) != 0;
}

static void mark_seen(struct esp *esp, uint64_t sequence)
{
	uint64_t ahead = sequence - esp->sequence;

	if (sequence > esp->sequence) {
		esp->window = ahead < WINDOW ? esp->window << ahead | 1 : 1;
		esp->sequence = sequence;
	} else if (esp->sequence - sequence < WINDOW) {
		esp->window |= 1ULL << (esp->sequence - sequence);
	}
}

// Decrypts what stands between the IV and the check value, after the check of that.
static int decrypt(const struct association *a, const uint8_t *packet, size_t inner_len,
	uint64_t sequence, uint8_t *out)
{
	struct sizes sizes = sizes_of(a);
	const uint8_t *inner = packet + ESP_HEADER_LEN + sizes.iv;
	uint8_t icv[EVP_MAX_MD_SIZE], aad[12];
	int error;

	memcpy(icv, inner + inner_len, icv_len(a));
	if (a->authentication == API_SA_AEAD)
		return run_cipher(a, false, packet + ESP_HEADER_LEN, aad,
			make_aad(a, sequence, aad), inner, inner_len, out, icv);
	error = run_digest(a, packet, ESP_HEADER_LEN + sizes.iv + inner_len, sequence, icv);
	if (error != 0)
		return error;
	if (CRYPTO_memcmp(icv, inner + inner_len, icv_len(a)) != 0)
		return -EBADMSG;
	if (a->encryption != API_SA_NULL)
		return run_cipher(
			a, false, packet + ESP_HEADER_LEN, NULL, 0, inner, inner_len, out, icv);
	memcpy(out, inner, inner_len);
	return 0;
}

ssize_t esp_open(
	struct esp *esp, const uint8_t *packet, size_t len, uint8_t *out, uint8_t *next_header)
{
	const struct association *a = &esp->sa;
	struct sizes sizes = sizes_of(a);
	size_t around = ESP_HEADER_LEN + sizes.iv + icv_len(a), inner_len = len - around;
	struct rcursor c = rcursor_make(packet, len);
	uint64_t sequence;
	size_t pad;
	int error;

	rcursor_u32(&c);
	sequence = whole_sequence(esp, rcursor_u32(&c));
	if (len < around + TRAILER_LEN || inner_len % sizes.block != 0)
		return -EBADMSG;
	if (is_replay(esp, sequence))
		return -EALREADY;
	error = decrypt(a, packet, inner_len, sequence, out);
	if (error != 0)
		return error;
	mark_seen(esp, sequence);
	pad = out[inner_len - 2];
	*next_header = out[inner_len - 1];
	if (pad + TRAILER_LEN > inner_len)
		return -EBADMSG;
	esp->packets++;
	esp->bytes += inner_len - pad - TRAILER_LEN;
	return (ssize_t)(inner_len - pad - TRAILER_LEN);
}
