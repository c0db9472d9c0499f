// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// One line of the subscribers' source as a checked struct, and the struct as bytes of the index.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controlplane/subscribers.h"

enum {
	SUBSCRIBER_LINE_MAX = 16384, // bytes
	SUBSCRIBER_REASON_LEN = 256,
	SUBSCRIBER_BYTES_MAX = 1024, // in the index
};

// Reads one JSON object; *all gets its security associations.
// Returns: 0, or -EINVAL with "field: reason" in reason (no key in it).
int subscriber_line_parse(const char *text, size_t len, struct subscriber *out,
	struct associations *all, char reason[static SUBSCRIBER_REASON_LEN]);

// Writes *s for the index; size is at least SUBSCRIBER_BYTES_MAX. Returns: its length.
size_t subscriber_line_pack(const struct subscriber *s, uint8_t *buf, size_t size);

// Reads what subscriber_line_pack wrote. Returns: 0 or -EBADMSG.
int subscriber_line_unpack(const void *data, size_t len, struct subscriber *out);
