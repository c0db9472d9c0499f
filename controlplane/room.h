// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Who gets room: the account of the dataplane's table, of the records of the binding cache, and of the
// home addresses of one mobile node. What does not fit is refused before it is committed. Thread: the
// loop's only.
#pragma once

#include "controlplane/authorise.h"
#include "controlplane/control.h"

// Records, live and held, of one mobile node that may choose its home addresses.
enum { ROOM_OF_OWNER = 16 };

// Sees to it that records in hold do not keep out up to n new bindings, by forgetting old ones that keep
// no MESG-ID floor. Call it before the handles of a batch are looked up: it must not forget one of them.
void room_make(struct control *control, unsigned int n);

// True when the dataplane has an entry of this record (handle; BCACHE_NONE = none yet), will have when
// the batch is through, or must be reckoned to have it still. old: the newest state, NULL = none.
bool room_is_taken(const struct control *control, uint32_t handle, const struct bce *old);

// Whether the dataplane takes the binding of this record, as room_is_taken has it. Its table holds what
// lives, what has ended and it was not told of yet, and what it keeps of another store. What it refused
// is not promised again; and when that was for want of room, nothing new is promised before the
// dataplane has taken one of them. n_more: entries that the batch needs beside those it reserved.
bool room_for(
	const struct control *control, uint32_t handle, const struct bce *old, unsigned int n_more);

// Whether a mobile node that authenticated itself, and whose home addresses nobody listed, may have one
// more. n_new: those it was given in this batch.
bool room_of_owner(const struct control *control, const struct authorise *who, unsigned int n_new);
