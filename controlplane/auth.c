// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/auth.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "dataplane/base/cursor.h"

enum { SHA1_LEN = 20, CKSUM_AT = 4, CKSUM_END = 6, DATA_MIN = 8 };

struct auth {
	EVP_MAC_CTX *ctx; // owned; its digest is set once, its key per message
};

static EVP_MAC_CTX *context_new(void)
{
	char digest[] = "SHA1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac); // the context keeps its own reference
	if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

struct auth *auth_new(void)
{
	struct auth *auth = calloc(1, sizeof(*auth));

	if (auth == NULL)
		return NULL;
	auth->ctx = context_new();
	if (auth->ctx == NULL) {
		free(auth);
		errno = ENOSYS;
		return NULL;
	}
	return auth;
}

void auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	EVP_MAC_CTX_free(auth->ctx);
	free(auth);
}

int auth_sign(struct auth *auth, const void *key, size_t key_len, const struct ip6 *coa,
	const struct ip6 *home, const uint8_t *mh, size_t data_at, uint8_t out[MH_AUTH_LEN])
{
	uint8_t data[2 * sizeof(*coa) + MH_MAX_LEN]; // in one piece: every update call costs
	uint8_t mac[SHA1_LEN];
	size_t mac_len = 0;
	struct wcursor w = wcursor_make(data, sizeof(data));

	if (key_len == 0 || data_at < DATA_MIN || data_at > MH_MAX_LEN)
		return -EINVAL;
	wcursor_bytes(&w, coa, sizeof(*coa));
	wcursor_bytes(&w, home, sizeof(*home));
	wcursor_bytes(&w, mh, CKSUM_AT);
	wcursor_zero(&w, CKSUM_END - CKSUM_AT);
	wcursor_bytes(&w, mh + CKSUM_END, data_at - CKSUM_END);
	if (EVP_MAC_init(auth->ctx, key, key_len, NULL) != 1 ||
		EVP_MAC_update(auth->ctx, data, wcursor_len(&w)) != 1 ||
		EVP_MAC_final(auth->ctx, mac, &mac_len, sizeof(mac)) != 1 || mac_len != SHA1_LEN)
		return -EIO;
	memcpy(out, mac, MH_AUTH_LEN);
	OPENSSL_cleanse(mac, sizeof(mac));
	return 0;
}

enum auth_result auth_verify(struct auth *auth, const void *key, size_t key_len,
	const struct ip6 *coa, const struct ip6 *home, const uint8_t *mh,
	const struct mh_options *opt)
{
	uint8_t right[MH_AUTH_LEN];

	if (!opt->has_mn_ha)
		return AUTH_MISSING;
	if (opt->mn_ha.data.len != MH_AUTH_LEN)
		return AUTH_FAILED;
	if (auth_sign(auth, key, key_len, coa, home, mh, opt->mn_ha.data_at, right) != 0)
		return AUTH_FAILED;
	bool is_right = CRYPTO_memcmp(right, opt->mn_ha.data.p, sizeof(right)) == 0;

	OPENSSL_cleanse(right, sizeof(right));
	return is_right ? AUTH_OK : AUTH_FAILED;
}
