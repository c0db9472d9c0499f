// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/cksum.h"

#include <arpa/inet.h>
#include <string.h>

static uint64_t sum_bytes(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len >= 2; p += 2, len -= 2) {
		uint16_t word;

		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (len == 1) {
		uint8_t last[2] = { *p, 0 };
		uint16_t word;

		memcpy(&word, last, sizeof(word));
		sum += word;
	}
	return sum;
}

uint16_t cksum_ip6(const struct ip6 *src, const struct ip6 *dst, uint8_t next_header,
	const void *data, size_t len)
{
	uint32_t pseudo[2] = { htonl((uint32_t)len), htonl(next_header) };
	uint64_t sum = sum_bytes(0, src, sizeof(*src));

	sum = sum_bytes(sum, dst, sizeof(*dst));
	sum = sum_bytes(sum, pseudo, sizeof(pseudo));
	sum = sum_bytes(sum, data, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
