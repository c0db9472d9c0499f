// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What becomes of bindings that control no longer names: between SYNC_BEGIN and SYNC_END it names all
// that it has, and the rest is swept, unless that looks like a wrong store: then the sweep guard holds
// them for a while. Without control all of them live for the same hold, since nobody ends lifetimes.
//
// Thread: main lcore.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/api/records.h"
#include "dataplane/bindtab.h"

// bindings: borrowed until the end. orphan_hold_s: until control names another.
void link_sync_init(struct bindtab *bindings, uint32_t orphan_hold_s);

// Control has come with a store of this id, or has gone.
void link_sync_adopt(uint64_t store_id);
void link_sync_lost(void);

void link_sync_begin(const struct api_sync_begin *begin);
// Returns: 0; -EAGAIN: try this record again later; -EPROTO: end of another synchronisation.
int link_sync_end(const struct api_sync_end *end);

// One turn: sweeps a bounded number, tells control, looks at the hold. Returns: true when there is more
// to do at once.
bool link_sync_turn(void);
