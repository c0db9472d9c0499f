// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What must be remembered of security associations, STATE_DIR/security.mdb: the slots of mobiles, and
// for each association how far its sequence numbers are given away. A number is on the disk before it is
// used, so that none is used twice, whatever ends when. No key stands here; an association is found by
// its mark (controlplane/association.h).
//
// Thread: the loop's only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/association.h"
#include "dataplane/base/addr.h"

struct reserve;

// Whose a slot is. No padding: it is a key.
struct reserve_home {
	struct ip6 home;
	struct ip6 agent;
	uint32_t domain;
};

enum {
	RESERVE_EXPIRED = 0x01, // its lifetime is over
	RESERVE_LOST = 0x02, // how far it came is not known: never again
	RESERVE_GONE = 0x04, // an IKE daemon ended it: since_s is when
};

struct reserve_entry {
	uint64_t end; // the first number that is not given away
	uint64_t since_s; // CLOCK_REALTIME of its first import
	uint8_t flags; // RESERVE_*
};

// Opens the file of a state directory, or makes one with a new id when there is none. A damaged one is
// put aside, and a new one made: its id tells.
// Returns: an owned reserve, or NULL with errno.
//
// has_past: a new one is made where there must have been one, so it is not known what was used.
struct reserve *reserve_open(const char *state_dir, bool has_past);
void reserve_close(struct reserve *reserve);

// Whether associations that are told of for the first time may have used numbers that were noted in a file
// that is lost; until reserve_end_doubt, over restarts too. Returns: 0 or negative errno.
bool reserve_is_in_doubt(const struct reserve *reserve);
int reserve_end_doubt(struct reserve *reserve);

// Random, made with the file, never 0.
uint64_t reserve_id(const struct reserve *reserve);

// Looks up. Returns: 0; -ENOENT; -EBADMSG (the entry is damaged); or negative errno.
int reserve_find_slot(
	const struct reserve *reserve, const struct reserve_home *home, uint32_t *slot);
int reserve_find(const struct reserve *reserve, const struct association_mark *mark,
	struct reserve_entry *out);

// Calls fn with every slot that a home has. Returns: 0 or negative errno.
int reserve_each_slot(
	const struct reserve *reserve, void (*fn)(void *ctx, uint32_t slot), void *ctx);

// A group of changes: begin, put and drop as many as needed, commit. It is on the disk when reserve_commit
// returns 0; after any other answer nothing of it is. Finds see the open group.
// Returns: 0 or negative errno; the first error is told by all that follows, reserve_commit too.
int reserve_begin(struct reserve *reserve);
int reserve_put_slot(struct reserve *reserve, const struct reserve_home *home, uint32_t slot);
int reserve_drop_slot(struct reserve *reserve, const struct reserve_home *home);
int reserve_put(struct reserve *reserve, const struct association_mark *mark,
	const struct reserve_entry *entry);
int reserve_commit(struct reserve *reserve);
void reserve_abort(struct reserve *reserve);

// Looks at the next n entries, beginning anew after the last one, and drops those that are gone since before a
// time. In a group of its own, when there are any. Returns: how many were dropped, or negative errno.
int reserve_prune(struct reserve *reserve, uint64_t before_s, unsigned int n);
