// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "dataplane/base/log.h"

void netdev_sysctl(const char *family, const char *name, const char *key, int value)
{
	char path[128];
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", value);
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		log_warn("netdev_sysctl_failed path=%s value=%d error=%s", path, value,
			strerror(errno));
	if (fd >= 0)
		close(fd);
}

// One ioctl on an interface. Returns: 0 or negative errno.
static int request(unsigned long what, struct ifreq *ifr, const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (ioctl(fd, what, ifr) != 0)
		error = -errno;
	close(fd);
	return error;
}

int netdev_set_flags(const char *name, unsigned int set, unsigned int clear)
{
	struct ifreq ifr = { 0 };
	int error = request(SIOCGIFFLAGS, &ifr, name);

	if (error != 0)
		return error;
	ifr.ifr_flags = (short)((((unsigned int)ifr.ifr_flags & 0xffff) | set) & ~clear);
	return request(SIOCSIFFLAGS, &ifr, name);
}

int netdev_set_mac(const char *name, const uint8_t mac[6])
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return request(SIOCSIFHWADDR, &ifr, name);
}

int netdev_set_mtu(const char *name, uint16_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };

	return request(SIOCSIFMTU, &ifr, name);
}

int netdev_mtu(const char *name)
{
	struct ifreq ifr = { 0 };
	int error = request(SIOCGIFMTU, &ifr, name);

	return error != 0 ? error : ifr.ifr_mtu;
}

unsigned int netdev_queues(const char *name)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (char *)&channels };
	unsigned int n;

	if (request(SIOCETHTOOL, &ifr, name) != 0)
		return 1;
	n = channels.combined_count;
	if (n == 0)
		n = channels.rx_count < channels.tx_count ? channels.rx_count : channels.tx_count;
	return n == 0 ? 1 : n;
}

static int gro_off(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SGRO, .data = 0 };
	struct ifreq ifr = { .ifr_data = (char *)&value };
	int error = request(SIOCETHTOOL, &ifr, name);

	return error == -EOPNOTSUPP ? 0 : error;
}

int netdev_quiet_packet(const char *name)
{
	int error;

	netdev_sysctl("ipv6", name, "disable_ipv6", 1);
	// Strict: every source is routed through the twin, so this interface drops all IPv4.
	netdev_sysctl("ipv4", name, "rp_filter", 1);
	error = netdev_set_flags(name, IFF_NOARP, 0);
	if (error == 0)
		error = gro_off(name);
	return error == 0 ? netdev_set_flags(name, IFF_UP, 0) : error;
}

int netdev_quiet_xdp(const char *name)
{
	netdev_sysctl("ipv6", name, "disable_ipv6", 1);
	return netdev_set_flags(name, IFF_UP, 0);
}
