// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The chain of headers in front of a Mobility Header: IPv6, hop-by-hop options, destination options
// with the Home Address option, type 2 routing header. Reading and writing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/base/addr.h"

enum ip6chain_verdict {
	IP6CHAIN_OK,
	IP6CHAIN_DROP, // silently; why says for what
	IP6CHAIN_PARAM_PROBLEM, // answer with ICMPv6 Parameter Problem icmp_code, pointer
};

// What is wrong with a chain; ip6chain_why_name gives its text for counters.
enum ip6chain_why {
	IP6CHAIN_FINE,
	IP6CHAIN_TRUNCATED, // a header or the payload length runs past the packet
	IP6CHAIN_VERSION, // not IPv6
	IP6CHAIN_FRAGMENT, // signalling is never fragmented
	IP6CHAIN_TOO_LONG, // more extension headers than any sender needs
	IP6CHAIN_BAD_OPTION, // an option runs past its header
	IP6CHAIN_UNKNOWN_OPTION, // its type bits ask to discard, RFC 8200 section 4.2
	IP6CHAIN_HOME_TWICE, // two Home Address options, RFC 6275 section 6.3
	IP6CHAIN_HOME_LENGTH, // a Home Address option whose length is not 16
	IP6CHAIN_HOME_ORDER, // a routing header behind the Home Address option
	IP6CHAIN_ROUTING, // a routing header that is not for us to follow
	IP6CHAIN_WHY_MAX,
};

// A packet whose headers were walked. Borrows the packet.
struct ip6chain {
	const uint8_t *packet;
	size_t packet_len; // 40 + payload length; what lies behind in the buffer is not counted
	struct ip6 src; // as on the wire
	struct ip6 dst; // as on the wire
	struct ip6 home; // of the Home Address option, set with has_home
	struct ip6 routed; // of the type 2 routing header, set with has_routed
	bool has_home;
	bool has_routed;
	uint8_t hop_limit;
	uint8_t proto; // of the payload: the first header that is not walked
	size_t payload_at; // offset of the payload in the packet
	size_t payload_len;
	enum ip6chain_why why;
	uint8_t icmp_code; // of a Parameter Problem
	uint32_t pointer; // of a Parameter Problem: offset in the packet
};

// Walks the headers of an IPv6 packet of len bytes. AH and ESP end the walk like an upper layer.
//
// Owns:     *out borrows the packet.
// Returns:  what to do; after IP6CHAIN_OK all of *out is set, else src, dst, why (and icmp_code and
//           pointer) as far as the walk came.
// RFC:      8200 section 4, 6275 sections 6.3 and 6.4.
// Test:     tests/unit/controlplane/ip6chain_test.c
enum ip6chain_verdict ip6chain_parse(const void *packet, size_t len, struct ip6chain *out);

// Short name of a reason ("home_twice"), for counters and logs.
const char *ip6chain_why_name(enum ip6chain_why why);

// The addresses that the upper layer sees: home address for the source, routing header's address for
// the destination. They are those of the Mobility Header's checksum. RFC 6275 section 6.1.1.
static inline const struct ip6 *ip6chain_upper_src(const struct ip6chain *c)
{
	return c->has_home ? &c->home : &c->src;
}

static inline const struct ip6 *ip6chain_upper_dst(const struct ip6chain *c)
{
	return c->has_routed ? &c->routed : &c->dst;
}

// What to write in front of a Mobility Header. home and routed are borrowed, NULL without.
struct ip6chain_head {
	struct ip6 src; // on the wire
	struct ip6 dst; // on the wire
	const struct ip6 *home; // Home Address option (of a Binding Update)
	const struct ip6 *routed; // type 2 routing header (of a Binding Acknowledgement)
	uint8_t hop_limit;
};

enum { IP6CHAIN_HEAD_MAX = 40 + 24 + 24 };

// Bytes that ip6chain_write takes for this head: 40, 64 or 88.
size_t ip6chain_head_len(const struct ip6chain_head *head);

// Writes the headers for a payload of payload_len bytes of protocol proto that stands (or will be put)
// right behind them in buf.
//
// Returns:  length of the whole packet, or -EMSGSIZE (beyond size, or beyond 65535 of payload).
// RFC:      6275 sections 6.3, 6.4; option alignment 8n+6.
ssize_t ip6chain_write(void *buf, size_t size, const struct ip6chain_head *head, uint8_t proto,
	size_t payload_len);
