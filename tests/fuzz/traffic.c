// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What unwired-traffic makes of frames that come in on a wire, and its answers to solicitations. The
// first byte chooses the side.

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "perf/traffic/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct options options = { .n_mobiles = 1000, .n_subnets = 7 };
	static const struct rte_ether_addr own = { { 2, 0, 0, 0, 0, 9 } };
	struct packet_seen seen;

	if (size == 0)
		return 0;
	ip6_parse("2001:db8:1::1:0", &options.home);
	ip6_parse("2400::", &options.care_of);
	ip6_parse("2001:db8:1::1", &options.agent);
	ip6_parse("2001:db8:20::20", &options.correspondent);
	seen = packet_read(data + 1, size - 1, &options, data[0] & 1);
	if (seen.kind == PACKET_BOUND || seen.kind == PACKET_REFUSED)
		assert(seen.mobile < options.n_mobiles);
	if (seen.kind == PACKET_SOLICITATION) {
		uint8_t *frame = calloc(1, 2048);

		memcpy(frame, data + 1, size - 1 < 2048 ? size - 1 : 2048);
		assert(packet_answer(frame, &own) == 86);
		free(frame);
	}
	return 0;
}
