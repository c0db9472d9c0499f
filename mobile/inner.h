// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The packets that go through the tunnel, as far as a mobile node looks into them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

// The fixed header of an inner IPv6 packet.
struct inner {
	struct ip6 src;
	struct ip6 dst;
	uint8_t traffic_class;
	size_t len; // of the whole packet, at most that of the buffer
};

// Reads the header of a packet of len bytes.
// Returns: 0, or -EINVAL (not IPv6, or shorter than its header says).
int inner_parse(const void *packet, size_t len, struct inner *out);

// Carries congestion marks of the outer header into a decapsulated packet.
// Returns: 0, or -ECONNABORTED: drop it (marked, but its sender does not know ECN).
// RFC:     6040 section 4.2.
int inner_merge_ecn(uint8_t *packet, const struct inner *inner, uint8_t outer_traffic_class);
