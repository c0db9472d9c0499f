// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Asking the kernel things over rtnetlink: sockets, changes with an answer, dumps. What its messages
// mean is netlink_msg.h's matter.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#include "dataplane/base/addr.h"

enum {
	NETLINK_BUF = 64 * 1024, // room for any message that the kernel sends in one read
	NETLINK_PROTO = 191, // rtm_protocol and ifa_proto of what we put into the kernel
};

// Called for one message of a dump or a read. Returns: 0 or negative errno, which ends it.
typedef int (*netlink_fn)(const struct nlmsghdr *nlh, void *arg);

// Opens a blocking rtnetlink socket for requests (answers are waited for 3 s at most).
// Returns: the descriptor or negative errno.
int netlink_open(void);

// Opens a non-blocking rtnetlink socket that hears n groups (RTNLGRP_*), with a buffer of 64 MiB
// when started as root. Returns: the descriptor or negative errno.
int netlink_listen(const unsigned int *groups, unsigned int n);

// Reads once from a listening socket and gives each message to fn. buf is NETLINK_BUF bytes.
// Returns: 1 after a read, 0 when nothing waits, -ENOBUFS when messages were lost, else fn's or
// another negative errno.
int netlink_read(int fd, uint8_t *buf, netlink_fn fn, void *arg);

// Dumps all objects of type (RTM_GET*) and family on a socket of netlink_open. buf as above.
// Returns: 0, -EINTR when the table changed meanwhile (repeat), or another negative errno.
int netlink_dump(int fd, uint16_t type, uint8_t family, uint8_t *buf, netlink_fn fn, void *arg);

// Adds (replaces) or deletes the address a/len on a link; IPv4 when v4-mapped. With prefix_route the
// kernel makes the connected route of it. Never does DAD. Returns: 0 or the kernel's negative errno.
int netlink_address(
	int fd, bool add, uint32_t ifindex, const struct ip6_prefix *address, bool prefix_route);

// Deletes all IPv6 addresses on a link that netlink_address put there. Returns: 0 or negative errno.
int netlink_address_flush(int fd, uint32_t ifindex);

// Adds (replaces) or deletes a route over a link in a table (IPv4 when v4-mapped). Returns: 0 or
// negative errno.
int netlink_route(
	int fd, bool add, uint32_t table, const struct ip6_prefix *prefix, uint32_t ifindex);

// Which packets the kernel routes by a table: those of a family, from the interface iif, bound for the
// interface oif, from an address; each NULL for any.
struct netlink_rule {
	uint8_t family;
	uint32_t preference;
	uint32_t table;
	const char *iif;
	const char *oif;
	const struct ip6 *from;
};

// Adds a rule, unless the same is there. Returns: 0 or negative errno.
int netlink_rule(int fd, const struct netlink_rule *rule);

// Deletes all rules of a family that netlink_rule put there, in this life of the process or an earlier
// one. Returns: 0 or negative errno.
int netlink_rules_flush(int fd, uint8_t family);

// Has the kernel resolve and keep (NTF_EXT_MANAGED), or forget, a neighbour. Does not wait: a refusal
// comes back as a message to read. Returns: 0 or negative errno of the sending.
int netlink_neighbor(int fd, bool keep, uint32_t ifindex, const struct ip6 *address);
