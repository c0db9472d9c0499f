// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Whole IPv6 packets into the header walk and the error that answers them.

#include <stdlib.h>

#include "controlplane/codec/icmp6.h"
#include "controlplane/codec/ip6chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ip6 agent = { { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	uint8_t error[1280];
	struct ip6chain c;
	enum ip6chain_verdict verdict = ip6chain_parse(data, size, &c);

	if ((verdict == IP6CHAIN_OK) != (c.why == IP6CHAIN_FINE))
		abort();
	if (verdict == IP6CHAIN_OK &&
		(c.packet_len > size || c.payload_at + c.payload_len != c.packet_len))
		abort();
	if (verdict != IP6CHAIN_PARAM_PROBLEM)
		return 0;
	if (c.pointer >= c.packet_len)
		abort();
	icmp6_param_problem(
		error, sizeof(error), &agent, c.icmp_code, c.pointer, data, c.packet_len);
	return 0;
}
