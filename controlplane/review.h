// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// After a change of the home networks: every binding is looked at in small pieces from the loop. What
// lives without a place in the configuration ends, what had none and has one again is served.
#pragma once

#include "controlplane/control.h"

// Looks at all bindings from the beginning; turns follow.
void review_begin(struct control *control);

// Looks at some, when a review is due. A group that the store refuses is tried again by the next call.
// Returns: true when the next piece may follow at once.
bool review_turn(struct control *control);
