// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The kernel's nexthop objects (ip nexthop), by id. Routes may name them instead of gateways; when
// an object goes, the kernel may drop its routes without a word.
// Thread: mirror.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/netlink_msg.h"

// Returns: 0 or -ENOMEM.
int nhobj_init(void);
void nhobj_free(void);

// Takes in an object. Returns: true when it was known and now leads elsewhere.
bool nhobj_set(const struct netlink_nexthop *object, uint32_t generation);
// An object is gone; it leads nowhere any more but is remembered as such until it is reaped.
void nhobj_del(uint32_t id);
bool nhobj_is_gone(uint32_t id);
bool nhobj_has_gone(void);
void nhobj_reap(void);
// Deletes all of another generation. Returns: how many.
unsigned int nhobj_sweep(uint32_t generation);

// The ways of an object, groups resolved. Shape: out[NETLINK_MAX_HOPS].
// Returns: number of ways (0: blackhole, with *is_blackhole set), or -ENOENT.
int nhobj_hops(uint32_t id, struct netlink_hop *out, bool *is_blackhole);
