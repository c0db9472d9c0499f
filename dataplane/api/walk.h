// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Walking the records of one received message, checked.
#pragma once

#include "dataplane/api/records.h"

// Where a walk stands; borrows the message.
struct api_walk {
	const uint8_t *p;
	const uint8_t *end;
	int error; // 0, or -EPROTO once a record was malformed
};

// Starts a walk over a message of len bytes at an 8-byte aligned address.
struct api_walk api_walk_start(const void *msg, size_t len);

// The next record, borrowed from the message, with its length and variable tail checked (so that
// care_of[n_care_of], packet[packet_len] and both keys lie inside it), or NULL at the end or on error.
const struct api_rec *api_walk_next(struct api_walk *walk);
