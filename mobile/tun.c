// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "dataplane/base/log.h"

enum {
	ROUTE_METRIC = 64, // the kernel's own default is 1024
	N_QUEUED_PACKETS = 2000, // held by the device while a move waits for its acknowledgement
	REQUEST_MAX = 512, // bytes
};

// Sends one rtnetlink request and waits for the kernel's answer.
static int request(struct nlmsghdr *nlh)
{
	char answer[4096];
	ssize_t n;
	int result = 0;
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl == NULL)
		return -errno;
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
		result = -errno;
		goto close_socket;
	}
	n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
	if (n < 0 || mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		result = -errno;
close_socket:
	mnl_socket_close(nl);
	return result;
}

// The device needs no link-local address: it has no neighbours.
static void no_link_local(const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/addr_gen_mode", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		log_warn("tun_link_local_kept file=%s error=%s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int set_up(const struct tun *tun, uint32_t mtu)
{
	char buf[REQUEST_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)tun->ifindex;
	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	mnl_attr_put_u32(nlh, IFLA_TXQLEN, N_QUEUED_PACKETS);
	return request(nlh);
}

int tun_open(struct tun *tun, const char *name, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int error;

	tun->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun->fd < 0) {
		error = -errno;
		log_err("tun_unavailable device=/dev/net/tun error=%s", strerror(-error));
		return error;
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(tun->fd, TUNSETIFF, &ifr) < 0) {
		error = -errno;
		goto close_fd;
	}
	memcpy(tun->name, ifr.ifr_name, sizeof(tun->name));
	tun->ifindex = if_nametoindex(tun->name);
	no_link_local(tun->name);
	error = set_up(tun, mtu);
	if (error == 0)
		return 0;
close_fd:
	log_err("tun_failed name=%s mtu=%u error=%s", name, mtu, strerror(-error));
	close(tun->fd);
	tun->fd = -1;
	return error;
}

void tun_close(struct tun *tun)
{
	close(tun->fd);
	tun->fd = -1;
}

int tun_add_address(const struct tun *tun, const struct ip6 *home)
{
	char buf[REQUEST_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	ifa->ifa_family = AF_INET6;
	ifa->ifa_prefixlen = 128;
	ifa->ifa_flags = IFA_F_NODAD;
	ifa->ifa_index = tun->ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, sizeof(*home), home);
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(*home), home);
	return request(nlh);
}

int tun_add_route(const struct tun *tun, const struct ip6_prefix *prefix, const struct ip6 *src)
{
	char buf[REQUEST_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	nlh->nlmsg_type = RTM_NEWROUTE;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	rtm->rtm_family = AF_INET6;
	rtm->rtm_dst_len = prefix->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_DST, sizeof(prefix->addr), &prefix->addr);
	mnl_attr_put(nlh, RTA_PREFSRC, sizeof(*src), src);
	mnl_attr_put_u32(nlh, RTA_OIF, tun->ifindex);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, ROUTE_METRIC);
	return request(nlh);
}
