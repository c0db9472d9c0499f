// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// IPv6 addresses and prefixes as plain bytes in network order. An IPv4 address is carried
// v4-mapped (::ffff:a.b.c.d), so that one key serves every protocol.
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// An IPv6 (or v4-mapped IPv4) address, network order.
struct ip6 {
	uint8_t b[16];
};

// A prefix: bits of addr beyond len are zero in every prefix that prefix_parse made.
struct ip6_prefix {
	struct ip6 addr;
	uint8_t len; // 0..128; a v4-mapped prefix counts the 96 mapped bits too
};

// Room for any text that ip6_str (or prefix_str) writes, with its final zero.
#define IP6_STRLEN 46
#define PREFIX_STRLEN 50

static inline bool ip6_eq(const struct ip6 *a, const struct ip6 *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool ip6_is_any(const struct ip6 *a)
{
	static const struct ip6 any;
	return ip6_eq(a, &any);
}

static inline bool ip6_is_multicast(const struct ip6 *a)
{
	return a->b[0] == 0xff;
}

static inline bool ip6_is_linklocal(const struct ip6 *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

// The v4-mapped form of an IPv4 address in network order.
static inline struct ip6 ip6_from_ip4(uint32_t address_be)
{
	struct ip6 a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.b + 12, &address_be, sizeof(address_be));
	return a;
}

// True for ::ffff:0:0/96.
bool ip6_is_v4mapped(const struct ip6 *a);

// True when the address may be the care-of address or home address of a node: not unspecified,
// loopback, multicast, link-local or v4-mapped. RFC 6275 section 6.1.7, RFC 4291 section 2.
bool ip6_is_unicast_routable(const struct ip6 *a);

// True when the first len bits (0..128) of a and b are the same.
static inline bool ip6_match(const struct ip6 *a, const struct ip6 *b, uint8_t len)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	x[0] = be64toh(x[0] ^ y[0]);
	x[1] = be64toh(x[1] ^ y[1]);
	if (len > 64)
		return x[0] == 0 && x[1] >> (128 - len) == 0;
	return len == 0 || x[0] >> (64 - len) == 0;
}

// Zeroes the bits of *a beyond len.
void ip6_mask(struct ip6 *a, uint8_t len);

static inline bool prefix_contains(const struct ip6_prefix *p, const struct ip6 *a)
{
	return ip6_match(&p->addr, a, p->len);
}

// Reads an IPv6 address, or a dotted IPv4 one into its v4-mapped form.
// Returns: 0, or -EINVAL and *out untouched.
int ip6_parse(const char *text, struct ip6 *out);

// Reads "ADDRESS/LEN". Host bits must be zero unless allow_host_bits is set (an interface address),
// then *out keeps them. For dotted IPv4 LEN is 0..32 and 96 is added.
// Returns: 0, or -EINVAL and *out untouched.
int prefix_parse(const char *text, bool allow_host_bits, struct ip6_prefix *out);

// Writes the RFC 5952 text of a (dotted for v4-mapped) into buf and returns buf.
char *ip6_str(const struct ip6 *a, char buf[static IP6_STRLEN]);
char *prefix_str(const struct ip6_prefix *p, char buf[static PREFIX_STRLEN]);
