// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The way of this node's own programs to mobiles: packets of the local kernel for home prefixes go
// into a TUN interface, and from there into the pipeline like any other.
//
// Their routes stand in a table of their own, looked up by a rule before the main one: the mirror
// and routing daemons read the main table, so neither mirrors nor redistributes them.
#pragma once

#include "dataplane/base/addr.h"

#define HOST_TUN_NAME "unwired0"

// Makes the TUN interface (up, MTU so that an encapsulated packet fits every port). As root, after
// ports_start. Returns: a non-blocking descriptor (each read or write is one IPv6 packet), or
// negative errno with the reason logged.
int host_tun_open(void);
// Closes it; its routes go with it.
void host_tun_close(void);

// Sends packets of the local kernel for a prefix into the TUN, or no longer. Thread: main lcore.
// Returns: 0 or negative errno.
int host_route_set(const struct ip6_prefix *prefix);
int host_route_del(const struct ip6_prefix *prefix);
