// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The TUN device that carries the home addresses: what the host sends through it goes into the
// tunnel, what leaves the tunnel comes out of it.
#pragma once

#include <net/if.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

struct tun {
	int fd; // non-blocking; the device goes away when it is closed
	char name[IF_NAMESIZE];
	unsigned int ifindex;
};

// Makes the device and brings it up with this MTU. Needs CAP_NET_ADMIN.
// Returns: 0, or negative errno with the reason logged and nothing left.
int tun_open(struct tun *tun, const char *name, uint32_t mtu);
void tun_close(struct tun *tun);

// Puts a home address on the device. Returns: 0 or negative errno.
int tun_add_address(const struct tun *tun, const struct ip6 *home);

// Sends what goes to prefix through the device, with src as the source address of new packets.
// Preferred over what router advertisements set. Returns: 0 or negative errno.
int tun_add_route(const struct tun *tun, const struct ip6_prefix *prefix, const struct ip6 *src);
