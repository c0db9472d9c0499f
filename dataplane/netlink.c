// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

enum {
	LISTEN_RCVBUF = 64 * 1024 * 1024,
	ANSWER_TIMEOUT_S = 3,
	REQUEST_MAX = 512,
	V4MAPPED_BITS = 96,
};

static uint32_t last_seq;

static uint32_t next_seq(void)
{
	return __atomic_add_fetch(&last_seq, 1, __ATOMIC_RELAXED);
}

int netlink_open(void)
{
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };
	int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (bind(fd, (const void *)&local, sizeof(local)) != 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

int netlink_listen(const unsigned int *groups, unsigned int n)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };
	int size = LISTEN_RCVBUF;
	int error;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (const void *)&local, sizeof(local)) != 0)
		goto close_fd;
	for (unsigned int i = 0; i < n; i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) != 0)
			goto close_fd;
	}
	return fd;

close_fd:
	error = -errno;
	close(fd);
	return error;
}

int netlink_read(int fd, uint8_t *buf, netlink_fn fn, void *arg)
{
	ssize_t n = recv(fd, buf, NETLINK_BUF, MSG_DONTWAIT);
	const struct nlmsghdr *nlh = (const void *)buf;
	int left = (int)n;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		int error = fn(nlh, arg);

		if (error != 0)
			return error;
	}
	return 1;
}

// The end of a dump tells of the error that ended it. Returns: 1 or negative errno.
static int dump_end(const struct nlmsghdr *nlh)
{
	int error = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error < 0 ? error : 1;
}

// One datagram of a dump's answer. Returns: 1 at the end of the dump, 0 to go on, negative errno.
static int dump_part(
	const uint8_t *buf, int left, uint32_t seq, netlink_fn fn, void *arg, bool *is_torn)
{
	const struct nlmsghdr *nlh = (const void *)buf;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		int error;

		if (nlh->nlmsg_seq != seq)
			continue; // the rest of an earlier dump that was given up
		if ((nlh->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
			*is_torn = true;
		if (nlh->nlmsg_type == NLMSG_DONE)
			return dump_end(nlh);
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			return mnl_nlmsg_get_payload_len(nlh) < sizeof(*err) ? -EPROTO : err->error;
		}
		error = fn(nlh, arg);
		if (error != 0)
			return error;
	}
	return 0;
}

// Size of the fixed part of a dump request; the kernel complains of what is longer.
static size_t dump_head(uint16_t type)
{
	switch (type) {
	case RTM_GETLINK:
		return sizeof(struct ifinfomsg);
	case RTM_GETNEIGH:
		return sizeof(struct ndmsg);
	case RTM_GETNEXTHOP:
		return sizeof(struct nhmsg);
	case RTM_GETADDR:
		return sizeof(struct ifaddrmsg);
	case RTM_GETRULE:
		return sizeof(struct fib_rule_hdr);
	default:
		return sizeof(struct rtmsg);
	}
}

int netlink_dump(int fd, uint16_t type, uint8_t family, uint8_t *buf, netlink_fn fn, void *arg)
{
	uint8_t request[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	bool is_torn = false;
	int result = 0;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = next_seq();
	// Every dump request head begins with the family and is zero otherwise.
	*(uint8_t *)mnl_nlmsg_put_extra_header(nlh, dump_head(type)) = family;
	if (send(fd, nlh, nlh->nlmsg_len, 0) < 0)
		return -errno;
	while (result == 0) {
		ssize_t n = recv(fd, buf, NETLINK_BUF, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		result = dump_part(buf, (int)n, nlh->nlmsg_seq, fn, arg, &is_torn);
	}
	if (result < 0)
		return result;
	return is_torn ? -EINTR : 0;
}

// Sends a request and waits for the kernel's verdict.
static int talk(int fd, struct nlmsghdr *request)
{
	uint8_t buf[REQUEST_MAX * 2] __attribute__((aligned(8)));

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = next_seq();
	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		const struct nlmsghdr *nlh = (const void *)buf;
		const struct nlmsgerr *err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!mnl_nlmsg_ok(nlh, (int)n) || nlh->nlmsg_seq != request->nlmsg_seq ||
			nlh->nlmsg_type != NLMSG_ERROR)
			continue;
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*err))
			return -EPROTO;
		err = mnl_nlmsg_get_payload(nlh);
		return err->error;
	}
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, const struct ip6 *a)
{
	if (ip6_is_v4mapped(a))
		mnl_attr_put(nlh, type, 4, a->b + 12);
	else
		mnl_attr_put(nlh, type, sizeof(*a), a);
}

int netlink_address(
	int fd, bool add, uint32_t ifindex, const struct ip6_prefix *address, bool prefix_route)
{
	uint8_t request[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	bool is_v4 = ip6_is_v4mapped(&address->addr);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
	nlh->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = is_v4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = is_v4 ? (uint8_t)(address->len - V4MAPPED_BITS) : address->len;
	ifa->ifa_index = ifindex;
	put_address(nlh, IFA_LOCAL, &address->addr);
	put_address(nlh, IFA_ADDRESS, &address->addr);
	mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD | (prefix_route ? 0 : IFA_F_NOPREFIXROUTE));
	mnl_attr_put_u8(nlh, IFA_PROTO, NETLINK_PROTO);
	return talk(fd, nlh);
}

// What netlink_address_flush finds in the dump; deleting goes on after it.
struct flush {
	uint32_t ifindex;
	unsigned int n;
	struct ip6_prefix found[64];
};

static int flush_see(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct flush *flush = arg;
	const struct nlattr *attr;
	const struct nlattr *address = NULL;
	bool is_ours = false;

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
		ifa->ifa_index != flush->ifindex ||
		flush->n == sizeof(flush->found) / sizeof(flush->found[0]))
		return 0;
	mnl_attr_for_each (attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_PROTO && mnl_attr_get_payload_len(attr) == 1)
			is_ours = mnl_attr_get_u8(attr) == NETLINK_PROTO;
		if (mnl_attr_get_type(attr) == IFA_ADDRESS &&
			mnl_attr_get_payload_len(attr) == sizeof(struct ip6))
			address = attr;
	}
	if (is_ours && address != NULL) {
		struct ip6_prefix *p = &flush->found[flush->n++];

		memcpy(&p->addr, mnl_attr_get_payload(address), sizeof(p->addr));
		p->len = ifa->ifa_prefixlen;
	}
	return 0;
}

int netlink_address_flush(int fd, uint32_t ifindex)
{
	static uint8_t buf[NETLINK_BUF] __attribute__((aligned(8)));
	struct flush flush = { .ifindex = ifindex };
	int error;

	do {
		flush.n = 0;
		error = netlink_dump(fd, RTM_GETADDR, AF_INET6, buf, flush_see, &flush);
	} while (error == -EINTR);
	for (unsigned int i = 0; error == 0 && i < flush.n; i++)
		error = netlink_address(fd, false, ifindex, &flush.found[i], false);
	return error;
}

int netlink_route(
	int fd, bool add, uint32_t table, const struct ip6_prefix *prefix, uint32_t ifindex)
{
	uint8_t request[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	bool is_v4 = ip6_is_v4mapped(&prefix->addr);
	struct rtmsg *rtm;

	nlh->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	nlh->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = is_v4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = is_v4 ? (uint8_t)(prefix->len - V4MAPPED_BITS) : prefix->len;
	rtm->rtm_protocol = add ? NETLINK_PROTO : RTPROT_UNSPEC;
	rtm->rtm_scope = is_v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
	put_address(nlh, RTA_DST, &prefix->addr);
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	return talk(fd, nlh);
}

int netlink_rule(int fd, const struct netlink_rule *rule)
{
	uint8_t request[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct fib_rule_hdr *head;
	int error;

	nlh->nlmsg_type = RTM_NEWRULE;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->family = rule->family;
	head->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(nlh, FRA_PRIORITY, rule->preference);
	mnl_attr_put_u32(nlh, FRA_TABLE, rule->table);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, NETLINK_PROTO);
	if (rule->iif != NULL)
		mnl_attr_put_strz(nlh, FRA_IIFNAME, rule->iif);
	if (rule->oif != NULL)
		mnl_attr_put_strz(nlh, FRA_OIFNAME, rule->oif);
	if (rule->from != NULL) {
		head->src_len = rule->family == AF_INET ? 32 : 128;
		put_address(nlh, FRA_SRC, rule->from);
	}
	error = talk(fd, nlh);
	return error == -EEXIST ? 0 : error;
}

// What netlink_rules_flush finds in the dump, as the kernel says it; deleting goes on after it.
struct rules {
	unsigned int n;
	uint8_t found[32][REQUEST_MAX] __attribute__((aligned(8)));
};

static int rules_see(const struct nlmsghdr *nlh, void *arg)
{
	struct rules *rules = arg;
	const struct nlattr *attr;
	bool is_ours = false;

	if (nlh->nlmsg_type != RTM_NEWRULE || nlh->nlmsg_len > REQUEST_MAX ||
		mnl_nlmsg_get_payload_len(nlh) < sizeof(struct fib_rule_hdr) ||
		rules->n == sizeof(rules->found) / sizeof(rules->found[0]))
		return 0;
	mnl_attr_for_each (attr, nlh, sizeof(struct fib_rule_hdr)) {
		if (mnl_attr_get_type(attr) == FRA_PROTOCOL && mnl_attr_get_payload_len(attr) == 1)
			is_ours = mnl_attr_get_u8(attr) == NETLINK_PROTO;
	}
	if (is_ours)
		memcpy(rules->found[rules->n++], nlh, nlh->nlmsg_len);
	return 0;
}

int netlink_rules_flush(int fd, uint8_t family)
{
	static uint8_t buf[NETLINK_BUF] __attribute__((aligned(8)));
	static struct rules rules;
	int error;

	do {
		rules.n = 0;
		error = netlink_dump(fd, RTM_GETRULE, family, buf, rules_see, &rules);
		for (unsigned int i = 0; error == 0 && i < rules.n; i++) {
			struct nlmsghdr *nlh = (void *)rules.found[i];

			nlh->nlmsg_type = RTM_DELRULE;
			nlh->nlmsg_flags = 0;
			nlh->nlmsg_pid = 0;
			error = talk(fd, nlh);
		}
	} while (error == -EINTR || (error == 0 && rules.n > 0));
	return error;
}

int netlink_neighbor(int fd, bool keep, uint32_t ifindex, const struct ip6 *address)
{
	uint8_t request[REQUEST_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct ndmsg *ndm;

	nlh->nlmsg_type = keep ? RTM_NEWNEIGH : RTM_DELNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST | (keep ? NLM_F_CREATE : 0);
	nlh->nlmsg_seq = next_seq();
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = ip6_is_v4mapped(address) ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = (int)ifindex;
	ndm->ndm_state = NUD_NONE;
	put_address(nlh, NDA_DST, address);
	if (keep)
		mnl_attr_put_u32(nlh, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return send(fd, nlh, nlh->nlmsg_len, MSG_DONTWAIT) < 0 ? -errno : 0;
}
