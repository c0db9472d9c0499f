// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Changes of state of bindings: committed in the store first, then applied to the binding cache and
// the wheel; and the ends that no message asks for.
#pragma once

#include "controlplane/control.h"

// Commits a group of entries in their order, timed and counted. entries: borrowed.
// Returns: 0, or negative errno with nothing changed.
int bindings_commit(struct control *control, const struct store_entry *const entries[],
	unsigned int n, struct store_time now);

// Takes a committed state over into the binding cache and arms its timer. handle: reserved or in use.
void bindings_apply(struct control *control, uint32_t handle, const struct bce *next);

// Ends a live binding by an operator's decision: committed, the dataplane told, floors kept.
// Returns: 0, -ENOENT (no live binding), or what the store said.
int bindings_clear(struct control *control, uint32_t handle);

// Ends what is due by the wheel: lifetimes become holds, holds are forgotten. Bounded work.
// Returns: true when more may be due.
bool bindings_expire(struct control *control);

// Fills the binding cache from the store: what lives, and what ended less than a hold ago. What the
// configuration has no home prefix or agent for any more is forgotten.
// Returns: 0 or negative errno.
int bindings_restore(struct control *control);

// Writes the whole binding cache into a new store file after the old one failed. Blocks.
// Returns: 0 or negative errno.
int bindings_rebuild_store(struct control *control);
