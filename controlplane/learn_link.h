// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Where unwired-xfrm connects: RUN_DIR/ike.sock, for the run-time user only, one sender at a time. What it
// tells is put in force soon after, mobile by mobile (sas_change); a sender that goes leaves what it told.
#pragma once

#include "controlplane/control.h"
#include "controlplane/learn.h"

struct learn_link;

// Listens. Returns: owned, or NULL with errno.
struct learn_link *learn_link_new(struct control *control);
void learn_link_free(struct learn_link *link);

// What was learned; link may be NULL (then it is, too).
const struct learn *learn_link_table(const struct learn_link *link);
bool learn_link_is_up(const struct learn_link *link);
