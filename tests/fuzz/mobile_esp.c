// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: ESP of the mobile. The first byte chooses the algorithms. What is sealed opens as it was;
// what was not sealed with the key is not opened.

#include <stdlib.h>
#include <string.h>

#include "mobile/esp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct association make(uint8_t choice)
{
	static const uint8_t suites[][4] = { { API_SA_AES_GCM_16, 20, API_SA_AEAD, 0 },
		{ API_SA_CHACHA20_POLY1305, 36, API_SA_AEAD, 0 },
		{ API_SA_AES_CBC, 16, API_SA_HMAC_SHA1_96, 20 },
		{ API_SA_NULL, 0, API_SA_HMAC_SHA256_128, 32 } };
	const uint8_t *row = suites[choice % 4];

	return (struct association){ .spi = 256,
		.use = API_SA_PAYLOAD,
		.direction = API_SA_IN,
		.encryption = row[0],
		.enc_key_len = row[1],
		.authentication = row[2],
		.auth_key_len = row[3],
		.has_esn = (choice & 4) != 0,
		.replay_window = 64 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct esp from, to;
	uint8_t next_header = 0, *sealed, *out;
	ssize_t n;

	if (size == 0 || size > 4096)
		return 0;
	to = from = (struct esp){ .sa = make(data[0]) };
	sealed = malloc(size + ESP_OVERHEAD_MAX);
	out = malloc(size + ESP_OVERHEAD_MAX);
	if (sealed == NULL || out == NULL)
		abort();
	if (esp_open(&to, data + 1, size - 1, out, &next_header) >= 0)
		abort();
	n = esp_seal(&from, data[0], data + 1, size - 1, sealed);
	if (n < 0 || (size_t)n > size - 1 + esp_overhead(&from))
		abort();
	if (esp_open(&to, sealed, (size_t)n, out, &next_header) != (ssize_t)size - 1 ||
		next_header != data[0] || memcmp(out, data + 1, size - 1) != 0)
		abort();
	sealed[data[size - 1] % 8 + 8] ^= 1;
	if (n > 16 && esp_open(&from, sealed, (size_t)n, out, &next_header) >= 0)
		abort();
	free(sealed);
	free(out);
	return 0;
}
