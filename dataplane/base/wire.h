// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Numbers and fixed headers of the wire formats that both processes know.
#pragma once

#include <assert.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

// IPv6 next header and IPv4 protocol numbers (IANA protocol numbers).
enum ip_proto {
	PROTO_HOPOPTS = 0,
	PROTO_ICMP4 = 1,
	PROTO_IPV4 = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_ESP = 50,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_NONE = 59,
	PROTO_DSTOPTS = 60,
	PROTO_MH = 135,
};

// ICMPv6 types and codes that we send or look at. RFC 4443, RFC 4861, RFC 6275 section 6.5.
enum icmp6_type {
	ICMP6_UNREACH = 1,
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAM_PROBLEM = 4,
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_RS = 133,
	ICMP6_RA = 134,
	ICMP6_NS = 135,
	ICMP6_NA = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_DHAAD_REQUEST = 144,
	ICMP6_DHAAD_REPLY = 145,
	ICMP6_MPS = 146,
	ICMP6_MPA = 147,
};

enum icmp6_unreach_code {
	ICMP6_UNREACH_NO_ROUTE = 0,
	ICMP6_UNREACH_PROHIBITED = 1,
	ICMP6_UNREACH_BEYOND_SCOPE = 2,
	ICMP6_UNREACH_ADDRESS = 3,
};

// The fixed IPv6 header, RFC 8200 section 3.
struct ip6_hdr_wire {
	uint32_t vtc_flow_be; // version 4 bits, traffic class 8, flow label 20
	uint16_t payload_len_be;
	uint8_t next_header;
	uint8_t hop_limit;
	struct ip6 src;
	struct ip6 dst;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct ip6_hdr_wire) == 40, "IPv6 header");

// The fixed IPv4 header, RFC 791 section 3.1.
struct ip4_hdr_wire {
	uint8_t version_ihl; // version 4 bits, header length in 4 bytes 4 bits
	uint8_t tos;
	uint16_t total_len_be;
	uint16_t id_be;
	uint16_t fragment_be; // IP4_DF, IP4_MF, offset in 8 bytes
	uint8_t ttl;
	uint8_t protocol;
	uint16_t cksum_be;
	uint32_t src_be;
	uint32_t dst_be;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct ip4_hdr_wire) == 20, "IPv4 header");

enum {
	IP4_DF = 0x4000, // of fragment_be, host order
	IP4_MF = 0x2000,
	IP4_OFFSET = 0x1fff,
};

// ICMPv4 types and codes that we send or look at. RFC 792, RFC 1812 section 5.2.7.1.
enum icmp4_type {
	ICMP4_UNREACH = 3,
	ICMP4_SOURCE_QUENCH = 4,
	ICMP4_REDIRECT = 5,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAM_PROBLEM = 12,
};

enum icmp4_unreach_code {
	ICMP4_UNREACH_NET = 0,
	ICMP4_UNREACH_HOST = 1,
	ICMP4_UNREACH_FRAGMENTATION = 4, // needed and DF set
	ICMP4_UNREACH_PROHIBITED = 13,
};

// ICMPv6 error header, RFC 4443 section 2.1: param is MTU or pointer. ICMPv4 errors have the same form.
struct icmp6_hdr_wire {
	uint8_t type;
	uint8_t code;
	uint16_t cksum_be;
	uint32_t param_be;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct icmp6_hdr_wire) == 8, "ICMPv6 header");

enum {
	IP6_MIN_MTU = 1280, // RFC 8200 section 5
	DSTOPT_PAD1 = 0, // RFC 8200 section 4.2
	DSTOPT_PADN = 1,
	DSTOPT_ENCAP_LIMIT = 4, // RFC 2473 section 4.1.1
	DSTOPT_HOME_ADDRESS = 0xc9, // RFC 6275 section 6.3
	ROUTING_TYPE2 = 2, // RFC 6275 section 6.4
	MH_LIFETIME_UNIT_S = 4, // RFC 6275 section 6.1.7
};
