// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The seam to other home agents: the chain hands over every group of records that it committed and
// answers when the acknowledgement policy of their networks is satisfied. A home agent alone
// (replicate_alone) is satisfied by its own store.
//
// What is committed stays: the dataplane is told of it and the mobile nodes get the answer that it makes
// true, also when other home agents could not be reached. A refusal would leave them, and us, with a
// binding that they believe not to have. That fewer copies exist than were asked for is counted and an
// alarm; a policy that must refuse says so before the commit.
#pragma once

#include "controlplane/store.h"

// Called once for each group. error: 0, or negative errno when the policy was not satisfied. The chain
// holds one group at a time, whose packets are borrowed from the link: as long as that is so, it must
// be called before publish returns; a policy that waits for other boxes needs a chain that copies its
// groups.
typedef void (*replicate_done_fn)(void *group, int error);

// How committed records reach other home agents.
struct replicate {
	// Publishes n committed records in their order, then calls done(group). entries are borrowed
	// until done returns.
	void (*publish)(struct replicate *self, const struct store_entry *const entries[],
		unsigned int n, replicate_done_fn done, void *group);
};

// The one for a home agent without others.
extern struct replicate replicate_alone;
