// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: a packet with a Mobile Prefix Solicitation; with and without its checksum made right, so
// that the options are reached.

#include <stdlib.h>
#include <string.h>

#include "controlplane/codec/mpa.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct ip6chain chain;
	uint16_t identifier, sum_be;
	uint8_t *icmp;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	if (ip6chain_parse(copy, size, &chain) == IP6CHAIN_OK && chain.proto == PROTO_ICMP6) {
		mpa_read_solicitation(&chain, &identifier);
		if (chain.payload_len >= 4) {
			icmp = copy + chain.payload_at;
			memset(icmp + 2, 0, 2);
			sum_be = cksum_ip6(ip6chain_upper_src(&chain), ip6chain_upper_dst(&chain),
				PROTO_ICMP6, icmp, chain.payload_len);
			memcpy(icmp + 2, &sum_be, sizeof(sum_be));
			if (mpa_read_solicitation(&chain, &identifier) == 0 &&
				(chain.payload_len % 8 != 0 || icmp[0] != ICMP6_MPS))
				abort();
		}
	}
	free(copy);
	return 0;
}
