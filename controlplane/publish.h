// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the dataplane is told: networks, bindings, and the resync of everything.
#pragma once

#include "controlplane/control.h"

// Puts the record that makes the dataplane have this state of a binding: a set for BCE_LIVE, a del
// for BCE_HOLD and for what has no place in the configuration any more. flags: API_REC_*.
// Returns: true, or false when the link does not take it.
bool publish_binding(
	struct control *control, uint32_t handle, const struct bce *bce, uint16_t flags);

// Begins to send everything: agents, home prefixes, then all bindings as bulk; the end follows when no
// review of the bindings is due. One in place of a forced one is forced too. Without a dataplane
// nothing happens (the next connection does it).
void publish_resync(struct control *control, bool is_forced);

// The link's bulk handler: sends marked bindings, and the end of a resync behind the last one.
unsigned int publish_bulk(void *control, unsigned int n);

// The link's handlers for what the dataplane says of it.
void publish_hello(void *control, struct api_hello *out);
void publish_up(void *control, const struct api_hello *peer);
void publish_down(void *control);
void publish_sync_done(struct control *control, const struct api_sync_done *done);
void publish_binding_err(struct control *control, const struct api_binding_err *err);

// A reading of the counters of a living entry: what was refused has been taken. For any reading.
void publish_counters(struct control *control, const struct api_counters *counters);

// "away", "filling", "synced" or "sweep-refused".
const char *publish_sync_name(enum control_sync state);
