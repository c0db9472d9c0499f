// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The binding cache: what lives, and what is remembered for a short while of what lived. A slab of
// records addressed by handle, an index by (domain, home address), an index by MN-ID, and a mark on
// every binding whose newest version the dataplane was not told yet.
//
// All of it is one thread's. Everything is allocated by bcache_new; nothing grows or fails later.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/api/records.h"
#include "dataplane/base/addr.h"

// No binding: in place of a handle.
#define BCACHE_NONE UINT32_MAX

enum {
	BCE_MN_ID_MAX = 76, // octets; RFC 7542 section 2.3 asks for 72
	BCACHE_BATCH = 32, // keys whose memory is fetched together
};

enum bce_state {
	BCE_FREE = 0,
	BCE_RESERVED, // has a handle, and nobody finds it yet
	BCE_LIVE,
	BCE_HOLD, // gone for the dataplane; keeps the floors below until expires_ns
	BCE_UNSERVED, // of the store; the configuration has no home prefix or agent for it
};

// One binding. Plain data: copy, edit the copy, store it, then bcache_set it. The owner of the table
// of home prefixes and agents fills home_prefix and care_of.agent (they are not in the store).
struct bce {
	struct ip6 home;
	uint32_t domain;
	uint32_t generation; // of what the dataplane has or is to have
	struct api_care_of care_of; // meaningless in BCE_HOLD
	uint64_t expires_ns; // CLOCK_BOOTTIME: end of life, or of the hold
	uint64_t mesg_id; // floor: last accepted RFC 4285 timestamp, 0 = none yet
	uint64_t packets_down, bytes_down; // of versions that the dataplane has retired
	uint64_t packets_up, bytes_up;
	uint32_t
		first_generation; // the first one of this life; 0 = begun by an earlier process, not known
	uint32_t registered_at_s; // CLOCK_REALTIME of the first registration, for people
	uint32_t lifetime_s; // as granted
	uint32_t mn_next, mn_prev; // bcache's own: bindings of the same MN-ID
	uint16_t home_prefix; // index, 1..API_MAX_HOME_PREFIXES-1; 0 in BCE_UNSERVED
	uint16_t sequence; // floor: last accepted sequence number
	uint16_t flags; // of the Binding Update, as on the wire
	uint8_t state; // enum bce_state
	uint8_t mn_id_len; // 0 = none known
	uint8_t mn_id[BCE_MN_ID_MAX]; // as received, no final zero
};
static_assert(sizeof(struct bce) == 208, "budget of 256 B a binding with indexes and timer");

// What a binding is found by. No padding: it is hashed as bytes.
struct bcache_key {
	struct ip6 home;
	uint32_t domain;
};
static_assert(sizeof(struct bcache_key) == 20, "hashed as bytes");

struct bcache;
struct prefault;

// Counts of records by state; max_bindings is the limit for live plus reserved.
struct bcache_counts {
	uint32_t max_bindings;
	uint32_t n_live;
	uint32_t n_hold;
	uint32_t n_reserved;
	uint32_t n_unserved;
	uint32_t n_dirty;
	uint32_t n_dirty_hold; // of those, the ones in hold: the dataplane may still have them
	uint32_t n_refused;
	uint32_t n_held;
	uint32_t n_free; // records without a state
};

// Records there are room for: beyond max_bindings some for what is in hold. Handles are below it.
static inline uint32_t bcache_slots(uint32_t max_bindings)
{
	return max_bindings + max_bindings / 8 + 64;
}

// Makes an empty cache; untouched memory costs nothing. 1 <= max_bindings <= 2^30.
// Returns: an owned cache, or NULL with errno.
struct bcache *bcache_new(uint32_t max_bindings);
void bcache_free(struct bcache *bc);

// Takes a handle for a binding that is not there yet, before its commit. Give it back with
// bcache_release when the commit failed.
// Returns: a handle, or BCACHE_NONE when max_bindings live, or the room for holds is used up.
uint32_t bcache_reserve(struct bcache *bc);
void bcache_release(struct bcache *bc, uint32_t handle);

// Takes the given handle, as the store's replay needs it, beyond max_bindings too: what was
// acknowledged stays when the limit was lowered.
// Returns: 0, -EEXIST (taken), -ERANGE (no such handle).
int bcache_reserve_at(struct bcache *bc, uint32_t handle);

// Puts *value in place of a reserved or an existing record; state from BCE_LIVE on. Domain and
// home address of an existing record stay; mn_next and mn_prev of *value are ignored.
// Returns: 0, or -EEXIST (another handle has this home address; nothing is changed. Only a replay
// over a reboot with a wrong clock can meet it: the later of the two in the log is the newer one).
int bcache_set(struct bcache *bc, uint32_t handle, const struct bce *value);

// Fetches fresh memory for the records from..to-1 from the kernel, now.
void bcache_populate(const struct bcache *bc, uint32_t from, uint32_t to);

// Has that done for all that records from..to-1 will need, but they come first.
void bcache_prefault(
	const struct bcache *bc, uint32_t from, uint32_t to, struct prefault *prefault);

// Fetches the memory of bcache_reserve_at and bcache_set of a new record to come.
void bcache_fetch(const struct bcache *bc, uint32_t handle, const struct bce *value);

// Forgets a live, held or unserved record and frees its handle.
// Returns: 0, or -EBUSY while it is dirty (the dataplane was not told yet).
int bcache_remove(struct bcache *bc, uint32_t handle);

// A record in hold to forget when there is no other room: of those it comes upon, looking at no more than
// 256 records, the one that would end first. What keeps a MESG-ID floor, or is dirty, is none.
// Returns: a handle, or BCACHE_NONE.
uint32_t bcache_old_hold(struct bcache *bc);

// The record of a handle: NULL when it is free, reserved or out of range. Borrowed until the next
// change of this handle.
const struct bce *bcache_at(const struct bcache *bc, uint32_t handle);

// Fetches the memory of a bcache_at to come.
void bcache_fetch_at(const struct bcache *bc, uint32_t handle);

// Adds the final counters of a version that the dataplane retired. Ignored for a free handle, and for a
// version of an earlier life of it: that account is closed.
// Returns: true when they were added.
bool bcache_add_counters(struct bcache *bc, uint32_t handle, const struct api_counters *c);

// A generation that no binding had lately; never 0. They are given in rising order, around the end.
uint32_t bcache_new_generation(struct bcache *bc);

// Finds n keys: out[i] is the handle of a live, held or unserved record, or BCACHE_NONE. Any n.
// Cost: batches of BCACHE_BATCH share the wait for memory.
void bcache_find_batch(
	const struct bcache *bc, const struct bcache_key *keys, size_t n, uint32_t *out);
uint32_t bcache_find(const struct bcache *bc, const struct bcache_key *key);

// The bindings of an MN-ID (len 1..BCE_MN_ID_MAX), newest first: the first, then those that follow
// it; BCACHE_NONE at the end.
uint32_t bcache_find_mn_id(const struct bcache *bc, const void *mn_id, size_t len);
uint32_t bcache_next_mn_id(const struct bcache *bc, uint32_t handle);

// The next live, held or unserved handle above `after` (BCACHE_NONE: from the beginning), looking at no more
// than 65536 records: *is_end tells whether BCACHE_NONE means the end, else go on after *at.
// For lists that stream; changes in between are seen or not, nothing else.
uint32_t bcache_next(const struct bcache *bc, uint32_t after, uint32_t *at, bool *is_end);

// Marks that the dataplane is still to be told of this record (state BCE_LIVE: set; BCE_HOLD: del).
// Of what is unserved it is told nothing.
void bcache_mark_dirty(struct bcache *bc, uint32_t handle);
void bcache_clear_dirty(struct bcache *bc, uint32_t handle);
bool bcache_is_dirty(const struct bcache *bc, uint32_t handle);

// Marks every live and held record: a dataplane is to be filled.
void bcache_mark_all_dirty(struct bcache *bc);

// Takes up to max marked handles and clears their marks: first what is in hold, so that the dataplane
// has room for the rest; else round and round in handle order.
// Returns: how many, 0 = no mark is left.
size_t bcache_take_dirty(struct bcache *bc, uint32_t *out, size_t max);

// Marks that the dataplane refused this live record, and that it has taken it after all. The end of
// the binding clears the mark, too.
void bcache_mark_refused(struct bcache *bc, uint32_t handle);
void bcache_clear_refused(struct bcache *bc, uint32_t handle);
bool bcache_is_refused(const struct bcache *bc, uint32_t handle);

// Marks that this live record, which is not dirty, is to be published later (controlplane/held.h). The end of
// the binding clears the mark, and so does what makes all of them dirty.
void bcache_mark_held(struct bcache *bc, uint32_t handle);
void bcache_release_held(struct bcache *bc);

struct bcache_counts bcache_counts(const struct bcache *bc);
