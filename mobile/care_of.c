// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/care_of.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"

#define RECV_BUFFER_BYTES (8 * 1024 * 1024)

union address {
	struct sockaddr sa;
	struct sockaddr_in6 in6;
};

static union address address_make(const struct ip6 *address)
{
	union address sa = { .in6 = { .sin6_family = AF_INET6 } };

	memcpy(&sa.in6.sin6_addr, address, sizeof(*address));
	return sa;
}

// Finds the interface that has the address (wanted != NULL), or the first address that may be a
// care-of address on the interface named in ifname.
static int find(const struct ip6 *wanted, char ifname[static IF_NAMESIZE], struct ip6 *found)
{
	struct ifaddrs *list;
	int result = -EADDRNOTAVAIL;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
		struct sockaddr_in6 sa;

		if (ifa->ifa_addr == NULL || ifa->ifa_addr->sa_family != AF_INET6)
			continue;
		memcpy(&sa, ifa->ifa_addr, sizeof(sa));
		memcpy(found, &sa.sin6_addr, sizeof(*found));
		if (wanted != NULL ? ip6_eq(found, wanted)
				   : strcmp(ifa->ifa_name, ifname) == 0 &&
					     ip6_is_unicast_routable(found)) {
			snprintf(ifname, IF_NAMESIZE, "%s", ifa->ifa_name);
			result = 0;
			break;
		}
	}
	freeifaddrs(list);
	return result;
}

int care_of_of_interface(const char *ifname, struct ip6 *out)
{
	char name[IF_NAMESIZE];

	snprintf(name, sizeof(name), "%s", ifname);
	return find(NULL, name, out);
}

static int socket_open(const struct care_of *care_of, int protocol)
{
	static const int on = 1;
	static const int buffer_bytes = RECV_BUFFER_BYTES;
	union address sa = address_make(&care_of->address);
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int error;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, care_of->ifname,
		    (socklen_t)strlen(care_of->ifname)) < 0 ||
		bind(fd, &sa.sa, sizeof(sa)) < 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) < 0)
		log_warn("small_receive_buffer error=%s", strerror(errno));
	return fd;
}

static uint32_t mtu_of(int fd, const char *ifname)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCGIFMTU, &ifr) < 0 ? IP6_MIN_MTU : (uint32_t)ifr.ifr_mtu;
}

int care_of_open(struct care_of *care_of, const struct ip6 *address, bool has_esp)
{
	char text[IP6_STRLEN];
	struct ip6 found;
	int error;

	*care_of = (struct care_of){
		.address = *address, .tunnel_fd = -1, .esp_fd = -1, .signal_fd = -1
	};
	error = find(address, care_of->ifname, &found);
	if (error < 0)
		goto fail;
	care_of->tunnel_fd = error = socket_open(care_of, IPPROTO_IPV6);
	if (error < 0)
		goto fail;
	// Raw sockets of this protocol receive nothing, and write the IPv6 header themselves.
	care_of->signal_fd = error = socket_open(care_of, IPPROTO_RAW);
	if (error >= 0 && has_esp)
		care_of->esp_fd = error = socket_open(care_of, IPPROTO_ESP);
	if (error < 0)
		goto fail;
	care_of->mtu = mtu_of(care_of->tunnel_fd, care_of->ifname);
	return 0;
fail:
	care_of_close(care_of);
	log_err("care_of_unusable care_of=%s error=%s", ip6_str(address, text), strerror(-error));
	return error;
}

void care_of_close(struct care_of *care_of)
{
	int *fds[] = { &care_of->tunnel_fd, &care_of->esp_fd, &care_of->signal_fd };

	for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int care_of_send(
	int fd, const struct ip6 *home_agent, const void *packet, size_t len, uint8_t traffic_class)
{
	union address sa = address_make(home_agent);
	struct iovec iov = { .iov_base = (void *)(uintptr_t)packet, .iov_len = len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int value = traffic_class;

	cmsg->cmsg_level = IPPROTO_IPV6;
	cmsg->cmsg_type = IPV6_TCLASS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(value));
	memcpy(CMSG_DATA(cmsg), &value, sizeof(value));
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

ssize_t care_of_recv(
	int fd, const struct ip6 *home_agent, void *buf, size_t size, uint8_t *traffic_class)
{
	union address sa;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &msg, 0);
	int value = 0;

	if (n < 0)
		return -errno;
	if (memcmp(&sa.in6.sin6_addr, home_agent, sizeof(*home_agent)) != 0)
		return -EPERM;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			memcpy(&value, CMSG_DATA(c), sizeof(value));
	}
	*traffic_class = (uint8_t)value;
	return n;
}

int care_of_signal(struct care_of *care_of, const struct ip6 *dst, const void *packet, size_t len)
{
	union address sa = address_make(dst);

	if (sendto(care_of->signal_fd, packet, len, 0, &sa.sa, sizeof(sa)) < 0)
		return -errno;
	return 0;
}

uint32_t care_of_overruns(const struct care_of *care_of)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(care_of->tunnel_fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}
