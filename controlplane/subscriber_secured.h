// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Security associations in the subscribers' index: records of their own, so that a look-up of a subscriber
// does not meet them; and, while it is made, what of them no two subscribers may share.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controlplane/subscriber_index.h"

enum { SECURED_BYTES_MAX = 4 + 2 * 16 + ASSOCIATION_BYTES_MAX };

// Writes a record; size is at least SECURED_BYTES_MAX. s: of the same line. Returns: its length.
size_t secured_pack(
	const struct subscriber *s, const struct associations *all, uint8_t *buf, size_t size);

// Reads what secured_pack wrote; out->ref stays. Returns: 0 or -EBADMSG.
int secured_unpack(const void *data, size_t len, struct subscriber_secured *out);

// What an association claims for itself: an SPI or the mark of a key.
struct secured_claim {
	uint8_t b[16];
	uint32_t line;
	uint8_t is_key, at;
};

// The records of an index in the making. All zero is empty.
struct secured_list {
	uint32_t *handles; // owned
	size_t n, room;
	struct secured_claim *claims; // owned
	size_t n_claims, room_claims;
};

// Notes a record and its claims. Returns: 0 or -ENOMEM.
int secured_list_add(
	struct secured_list *list, uint32_t handle, uint32_t line, const struct associations *all);

// As subscriber_build_check.
void secured_list_check(struct secured_list *list,
	void (*clashed)(void *ctx, const struct subscriber_clash *clash), void *ctx);

void secured_list_free(struct secured_list *list);
