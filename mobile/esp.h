// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Encapsulating Security Payload (RFC 4303) by OpenSSL, one packet at a time.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "controlplane/association.h"

enum {
	ESP_HEADER_LEN = 8,
	ESP_OVERHEAD_MAX = ESP_HEADER_LEN + 16 + 15 + 2 + 32, // IV, padding, trailer, check value
};

// One association in use. Plain data but for the keys, which are never logged.
struct esp {
	struct association sa;
	uint64_t sequence; // outbound: of the last packet; inbound: the highest seen
	uint64_t window; // inbound: bit i = sequence - i was seen
	uint64_t iv; // outbound, of encryptions with a counter: of the last packet
	uint64_t packets, bytes; // that passed
};

// Bytes that a packet of this association is longer than its payload, at most.
size_t esp_overhead(const struct esp *esp);

// Seals len bytes of payload under the next sequence number.
// Shape:   out has room for len + ESP_OVERHEAD_MAX and does not overlap the payload.
// Returns: length of what begins with the ESP header; -EOVERFLOW (numbers are used up); -EIO (library).
// RFC:     4303 section 3.3, 4106, 7634, 3602, 2451, 4868.
ssize_t esp_seal(
	struct esp *esp, uint8_t next_header, const void *payload, size_t len, uint8_t *out);

// Opens a packet that begins with the ESP header.
// Shape:   out has room for len, may not overlap the packet.
// Returns: length of the payload with *next_header; -EBADMSG (malformed, or wrong check value);
//          -EALREADY (replay). RFC: 4303 section 3.4.
ssize_t esp_open(
	struct esp *esp, const uint8_t *packet, size_t len, uint8_t *out, uint8_t *next_header);
