// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The Internet checksum (RFC 1071) and its IPv6 pseudo-header form (RFC 8200 section 8.1).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

// One's complement checksum of an upper-layer message of len bytes with its IPv6 pseudo-header.
// The checksum field inside data is taken as it stands: zero it to compute, keep it to verify (a
// right message then gives 0). Returned in network order, to be stored as is.
uint16_t cksum_ip6(const struct ip6 *src, const struct ip6 *dst, uint8_t next_header,
	const void *data, size_t len);
