// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Changes of state of bindings: committed in the store first, then applied to the binding cache and
// the wheel; and the ends that no message asks for.
#pragma once

#include "controlplane/control.h"

enum { BINDINGS_END_MAX = 1024 };

// Commits a group of entries in their order, timed and counted. entries: borrowed.
// Returns: 0, or negative errno with nothing changed.
int bindings_commit(struct control *control, const struct store_entry *const entries[],
	unsigned int n, struct store_time now);

// Takes a committed state over into the binding cache and arms its timer. handle: reserved or in use.
void bindings_apply(struct control *control, uint32_t handle, const struct bce *next);

// Ends live bindings by an operator's decision, in one group: committed, the dataplane told, floors
// kept. handles: of live bindings; n <= BINDINGS_END_MAX.
// Returns: 0, or what the store said with nothing changed.
int bindings_end(struct control *control, const uint32_t handles[], unsigned int n);

// Ends what is due by the wheel: lifetimes become holds, holds are forgotten. Bounded work.
// Returns: true when more may be due.
bool bindings_expire(struct control *control);

// Fetches memory for the records of so many handles, a little of it, while the store is being checked:
// its meanwhile, with the control as ctx. Returns: false when there is nothing to do.
bool bindings_expect(void *control, uint32_t n_handles);

// Fills the binding cache from the store: what lives, and what ended, however long ago (the dataplane
// is told so). What the configuration has no home prefix or agent for becomes BCE_UNSERVED: an
// acknowledged binding does not end by a mistake in a file.
// Returns: 0 or negative errno.
int bindings_restore(struct control *control);

// Gives an unserved binding its place when the configuration has one again.
// Returns: true when it has.
bool bindings_serve(struct control *control, uint32_t handle);

// Begins to write the whole binding cache into a new file, after the old one failed; a rebuild that is
// on its way goes on. What comes of it is in the log and in the state of the store.
void bindings_rebuild_begin(struct control *control);

// Writes a little of it. Returns: true when there is more.
bool bindings_rebuild_turn(struct control *control);
