// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/host.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"
#include "dataplane/netdev.h"
#include "dataplane/netlink.h"
#include "dataplane/port.h"
#include "dataplane/tun.h"

enum {
	TABLE = 191,
	RULE_PREFERENCE = 191, // after the local table (0), before main (32766)
	ADDR_GEN_NONE = 1, // no link-local address, so no multicast chatter
};

static int tun_fd = -1;
static int requests = -1;
static uint32_t ifindex;

static uint16_t inner_mtu(void)
{
	uint16_t mtu = UINT16_MAX;

	for (unsigned int i = 0; i < n_ports; i++)
		mtu = ports[i].mtu < mtu ? ports[i].mtu : mtu;
	mtu -= sizeof(struct ip6_hdr_wire);
	return mtu < IP6_MIN_MTU ? IP6_MIN_MTU : mtu;
}

int host_tun_open(void)
{
	const struct netlink_rule rule = {
		.family = AF_INET6, .preference = RULE_PREFERENCE, .table = TABLE
	};
	int error;

	requests = netlink_open();
	error = requests < 0 ? requests : 0;
	if (error == 0) {
		tun_fd = tun_open(HOST_TUN_NAME, IFF_TUN);
		error = tun_fd < 0 ? tun_fd : 0;
	}
	if (error == 0) {
		ifindex = if_nametoindex(HOST_TUN_NAME);
		netdev_sysctl("ipv6", HOST_TUN_NAME, "disable_ipv6", 0);
		netdev_sysctl("ipv6", HOST_TUN_NAME, "addr_gen_mode", ADDR_GEN_NONE);
		netdev_sysctl("ipv6", HOST_TUN_NAME, "accept_ra", 0);
		error = netdev_set_mtu(HOST_TUN_NAME, inner_mtu());
	}
	if (error == 0)
		error = netdev_set_flags(HOST_TUN_NAME, IFF_UP, 0);
	if (error == 0)
		error = netlink_rule(requests, &rule);
	if (error != 0) {
		log_err("host_tun_failed name=" HOST_TUN_NAME " error=%s", strerror(-error));
		host_tun_close();
		return error;
	}
	return tun_fd;
}

void host_tun_close(void)
{
	if (tun_fd >= 0)
		close(tun_fd);
	if (requests >= 0)
		close(requests);
	tun_fd = -1;
	requests = -1;
}

int host_route_set(const struct ip6_prefix *prefix)
{
	return netlink_route(requests, true, TABLE, prefix, ifindex);
}

int host_route_del(const struct ip6_prefix *prefix)
{
	return netlink_route(requests, false, TABLE, prefix, ifindex);
}
