// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// TAP twins: how the kernel of this namespace sees our ports. A twin carries the port's name, MAC,
// MTU and addresses; ND, ARP, TCP and ICMP of our own addresses go through it.
//
// A twin is an IPv6 router interface (net.ipv6.conf.NAME.forwarding = 1: its neighbour
// advertisements carry the R flag, it takes no router advertisements), while the namespace's
// all.forwarding stays as it is: the dataplane does not need the kernel to forward, and with it at
// its default of 0 nothing can slip past the dataplane.
#pragma once

#include <stdbool.h>

#include <rte_mbuf.h>

#include "config/config.h"
#include "dataplane/base/addr.h"
#include "dataplane/port.h"

// Prepares the namespace: lo up, no ICMP redirects, the netlink socket for changes. As root, once,
// before twin_open. Returns: 0 or negative errno with the reason logged.
int twin_init(void);
void twin_free(void);

// Makes the twin of a port whose name, mac, mtu, domain and carrier are set, with n addresses; fills
// ifindex and tap_fd. In a domain other than 0 the kernel routes what comes from the twin, goes out of
// it or comes from its addresses by the domain's table. As root. Returns: 0 or negative errno with the
// reason logged.
int twin_open(struct port *port, const struct ip6_prefix *addresses, uint8_t n);
// Closes it; the kernel removes the interface with its addresses and routes.
void twin_close(struct port *port);

// Sets the carrier that the kernel sees. Needs no rights. Thread: mirror, or before start.
void twin_set_carrier(const struct port *port, bool has_carrier);

// Reads one frame that the kernel sends out of the twin. Thread: main lcore.
// Returns: a packet from pool (moved to the caller), or NULL with errno EAGAIN (nothing waits),
// ENOMEM (no buffer, frame lost), or EMSGSIZE (larger than a buffer, frame lost).
struct rte_mbuf *twin_read(const struct port *port, struct rte_mempool *pool);

// Gives the kernel a frame as received on the port; the packet is freed in every case. Thread: main
// lcore. Returns: 0 or negative errno (-EAGAIN: the kernel's queue is full).
int twin_write(const struct port *port, struct rte_mbuf *pkt);

// Makes a an address of this node (a home agent address), or takes it away: on the twin whose
// prefix contains it, so that ND answers for it, else on lo. Thread: main lcore.
// Returns: 0 or negative errno.
int twin_add_local(const struct ip6 *a);
int twin_del_local(const struct ip6 *a);
