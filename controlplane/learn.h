// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The security associations that unwired-xfrm told of (controlplane/learned.h), in locked memory. They are
// kept nowhere else: unwired-xfrm tells them again to a new control process.
//
// Thread: the loop's only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/association.h"
#include "controlplane/secret.h"
#include "dataplane/base/addr.h"

// One home address at one agent address. Borrowed until the next record.
struct learn_mobile {
	struct ip6 home, agent; // the key, first
	bool is_fresh; // told since the last BEGIN
	struct associations all;
};

// Names one.
struct learn_key {
	struct ip6 home, agent;
};

struct learn {
	struct secret_pool pool; // of struct learn_mobile
	void *mobiles; // of tsearch
	uint32_t n, max; // mobiles
	struct learn_key *changed; // owned: that have others than before, since learn_take_changed
	size_t n_changed, room_changed, changed_at;
	bool is_all_changed; // more than could be noted
	uint64_t n_refused; // records
	bool is_whole; // everything was told once
};

void learn_init(struct learn *learn, uint32_t max);
void learn_fini(struct learn *learn);

// Takes one record as it came. One that is refused changes nothing, and reason says why (no key in it).
// Returns: 0, -EINVAL, or -ENOMEM when there is no room for another mobile.
int learn_record(struct learn *learn, const void *data, size_t len,
	char reason[static ASSOCIATION_REASON_LEN]);

// What is known of a home address at an agent address, or NULL.
const struct learn_mobile *learn_find(
	const struct learn *learn, const struct ip6 *home, const struct ip6 *agent);

// Names at most max mobiles that have changed since, oldest first; one may come twice. Returns: how many.
size_t learn_take_changed(struct learn *learn, struct learn_key *out, size_t max);

// Forgets which have changed.
void learn_drop_changed(struct learn *learn);

// Calls fn for every mobile in the order of addresses; it must not change the table.
void learn_each(const struct learn *learn, void (*fn)(const struct learn_mobile *mobile, void *ctx),
	void *ctx);
