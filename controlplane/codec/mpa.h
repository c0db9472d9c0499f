// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Mobile Prefix Solicitation and Advertisement: ICMPv6 that tells a mobile node away from home the
// prefixes of its home network.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "controlplane/codec/ip6chain.h"

enum { MPA_INFINITE = UINT32_MAX }; // of a lifetime

// Reads a solicitation whose headers were walked; its options are skipped.
// Returns: 0 with its identifier (host order), or -EBADMSG (type, code, length, option or checksum).
// RFC:     6275 section 6.7.
// Test:    tests/unit/controlplane/mpa_test.c
int mpa_read_solicitation(const struct ip6chain *chain, uint16_t *identifier);

// One prefix to advertise. Its address is that of the home agent where that lies in it, with has_router.
struct mpa_prefix {
	struct ip6 address;
	uint8_t len;
	bool has_router;
	uint32_t valid_s, preferred_s; // MPA_INFINITE = for ever
};

// Writes a whole IPv6 packet with an advertisement: head must have the mobile's home address in routed.
// Returns: its length or -EMSGSIZE.
// RFC:     6275 sections 6.8, 7.2, 10.6.3.
ssize_t mpa_build(void *buf, size_t size, const struct ip6chain_head *head, uint16_t identifier,
	const struct mpa_prefix prefixes[], unsigned int n);
