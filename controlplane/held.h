// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Bindings under security associations that a new control process has not learned yet. They stay in the
// dataplane as they are, and so does all that stands there (the end of the filling waits), until unwired-xfrm
// has told everything or HELD_MAX_S after the start: who is served goes on being served.
//
// Thread: the loop's only.
#pragma once

#include "controlplane/control.h"

enum { HELD_MAX_S = 5 }; // unwired-xfrm comes back within a fraction of a second

// True when a binding, taken to be published, is not to be: it is kept for later.
bool held_keep(struct control *control, uint32_t handle, const struct bce *bce);

// True while there are such bindings.
bool held_waits(const struct control *control);

// Everything that can be learned is in force: what was kept is published.
void held_end(struct control *control);

// Ends the wait when it has been long enough. Call it every tick.
void held_tick(struct control *control);
