// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the dataplane is told of security associations, and what it says of them. Sequence numbers are
// granted in stretches that are on the disk before (controlplane/reserve.h); what an SA_SET grants begins
// where the last stretch ended, so a restart of either process jumps ahead and never goes back.
#pragma once

#include "controlplane/control.h"
#include "controlplane/sas.h"

// Puts an entry, which waits, into the queue. There is room.
void sas_publish_one(struct sas *sas, uint32_t slot, unsigned int i);

// Sends everything again, for a dataplane that is being filled.
void sas_publish_all(struct control *control);

// Puts at most n bulk records: what is gone, then what is waiting. Returns: how many, fewer than n when
// there is nothing more to send now.
unsigned int sas_publish_bulk(struct control *control, unsigned int n);

// What the dataplane says.
void sas_publish_err(struct control *control, const struct api_sa_err *err);
void sas_publish_event(struct control *control, const struct api_sa_event *event);

// Grants what was asked for since the last call, in one group. Call it when the records of a turn are read.
void sas_publish_grants(struct control *control);

// Ends what is over by time, and tries again what could not be written. now_ns: CLOCK_BOOTTIME.
void sas_publish_tick(struct control *control, uint64_t now_ns);
