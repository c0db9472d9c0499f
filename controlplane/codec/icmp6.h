// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ICMPv6 errors that the control process answers signalling with.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/base/addr.h"

enum {
	ICMP6_PARAM_HEADER_FIELD = 0, // code: erroneous header field
	ICMP6_PARAM_OPTION = 2, // code: unrecognized IPv6 option
};

// Builds a whole IPv6 packet with an ICMPv6 Parameter Problem to the wire source of the packet,
// quoting as much of it as fits in 1280 bytes. RFC 6275 section 9.2: no routing header, no binding.
//
// Shape:    packet_len is that of the IPv6 packet without link padding; buf 1280 bytes suffice.
// Returns:  length, 0 (no error may be sent for this packet: RFC 4443 section 2.4 (e)), or -EMSGSIZE.
// Test:     tests/unit/controlplane/icmp6_test.c
ssize_t icmp6_param_problem(void *buf, size_t size, const struct ip6 *from, uint8_t code,
	uint32_t pointer, const void *packet, size_t packet_len);
