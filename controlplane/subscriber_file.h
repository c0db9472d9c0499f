// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The bytes of the subscribers' index, which subscriber_build.c writes and subscriber_index.c reads: in
// host byte order, for the file is of one machine and can always be made again from its source.
#pragma once

#include <assert.h>

#include "controlplane/subscriber_index.h"

#define subscriber_magic "unw-subscrib"

enum {
	SUBSCRIBER_FILE_VERSION = 4,
	SUBSCRIBER_RECORD_ALIGN = 8, // handle of a record = its offset in these
};

// Behind it records_len bytes of records (16-bit length; subscriber_line_pack, or secured_pack), then the
// tables, then the handles of the records of security associations.
struct subscriber_head {
	char magic[12];
	uint32_t version;
	uint64_t seed; // of the tables' hash
	uint64_t records_len;
	uint32_t masks[SUBSCRIBER_N_BY]; // slots of each table - 1
	struct subscriber_origin origin;
	uint64_t sum; // of what stands before
};
static_assert(sizeof(struct subscriber_head) % 8 == 0, "slots are aligned");

// Sets the sum.
void subscriber_head_seal(struct subscriber_head *head);

uint64_t subscriber_hash(uint64_t seed, const void *key, size_t len);

// Reads the record of a handle. Returns: 0 or -EBADMSG.
int subscriber_index_read(
	const struct subscriber_index *ix, uint32_t handle, struct subscriber *out);

bool subscriber_has_key(
	const struct subscriber *s, enum subscriber_by by, const void *key, size_t len);
