// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the kernel's XFRM messages (linux/xfrm.h) say of ESP over IPv6, as plain structs.
//
// The parsers are pure. Each returns 0, -EINVAL for a message that is cut or contradicts itself, or
// -EOPNOTSUPP for what has no place in a home agent: another protocol or address family, an algorithm
// that we do not have (with the reason in *reason then, a constant).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "controlplane/association.h"
#include "dataplane/base/addr.h"

// Which packets; RFC 4301 section 4.4.1.1. Its addresses are whole ones or ::/0.
struct xfrm_traffic {
	struct ip6 src, dst; // :: = any
	uint8_t proto; // 0 = any
	uint8_t type; // of the Mobility Header or ICMPv6, with has_type
	bool has_type;
};

// One SA of the kernel. a.use and a.direction are not known here; a.spi and the rest are.
struct xfrm_sa {
	struct ip6 src, dst;
	uint32_t reqid; // 0 = none
	bool is_tunnel; // else transport mode
	uint64_t added_s; // when the kernel got it
	struct xfrm_traffic traffic;
	struct association a;
};

// What names an SA.
struct xfrm_sa_id {
	struct ip6 dst;
	uint32_t spi;
};

// One policy of the kernel that asks for ESP.
struct xfrm_policy {
	bool is_in; // else out
	bool is_tunnel;
	uint32_t reqid; // 0 = any SA that fits
	struct xfrm_traffic traffic;
	struct ip6 tunnel_src, tunnel_dst; // tunnel mode
};

int xfrm_msg_sa(const struct nlmsghdr *nlh, struct xfrm_sa *out, const char **reason);
int xfrm_msg_policy(const struct nlmsghdr *nlh, struct xfrm_policy *out, const char **reason);

// XFRM_MSG_DELSA, and XFRM_MSG_EXPIRE: *is_gone tells a hard end from the warning before it.
int xfrm_msg_sa_end(const struct nlmsghdr *nlh, struct xfrm_sa_id *out, bool *is_gone);
