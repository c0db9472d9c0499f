// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The packets of the home addresses, out of the tunnel or behind a type 2 routing header, as far as a mobile node looks into them.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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

// Follows the type 2 routing header of a packet of len bytes that is no signalling: takes it out and puts the
// home address in its place; *care_of is where the packet was sent to.
// Returns: the packet's length then, or -ENOENT (another packet, left as it is).
// RFC:     6275 section 6.4.
ssize_t inner_unroute(uint8_t *packet, size_t len, struct ip6 *care_of);

// Carries congestion marks of the outer header into a decapsulated packet.
// Returns: 0, or -ECONNABORTED: drop it (marked, but its sender does not know ECN).
// RFC:     6040 section 4.2.
int inner_merge_ecn(uint8_t *packet, const struct inner *inner, uint8_t outer_traffic_class);
