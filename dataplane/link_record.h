// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the records of control do (dataplane/api/records.h).
//
// Thread: main lcore.
#pragma once

#include <stdbool.h>

#include "dataplane/api/records.h"
#include "dataplane/sa.h"

// Does what a record says, whose length is checked. Returns: 0; -EAGAIN: nothing yet, try it again later;
// -EPROTO: control does not keep to the protocol.
int link_record_apply(const struct api_rec *rec);

// Tells control what became of an SA. Returns: false when it cannot.
bool link_record_sa_event(const struct sa *sa, enum api_sa_event_type event);

// Tells control how many bulk records were taken in since the last time.
void link_record_credit(void);

// Control has gone.
void link_record_lost(void);
