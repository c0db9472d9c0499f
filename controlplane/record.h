// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// One entry of the store as bytes: fixed fields, little-endian, then the MN-ID; with a checksum that
// covers its number in the log too, so that no entry passes for another.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controlplane/store.h"

enum { RECORD_MAX = 256 };

// What an entry says; expires_ns of entry.bce is of the boot that boot_tag names.
struct record {
	struct store_entry entry;
	uint64_t boot_tag;
	uint64_t expires_wall_ns;
};

// A short name for a boot of the machine.
uint64_t record_boot_tag(const uint8_t boot_id[static 16]);

// Writes *r as entry `number`. Returns: its length.
size_t record_encode(const struct record *r, uint64_t number, uint8_t buf[static RECORD_MAX]);

// Reads entry `number`. Returns: 0, or -EBADMSG (checksum, length, version or a field is wrong).
int record_decode(const void *data, size_t len, uint64_t number, struct record *out);

// Reads only whose entry it is, without its checksum. Returns: 0 or -EBADMSG.
int record_handle(const void *data, size_t len, uint32_t *handle);
