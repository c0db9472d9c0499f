// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/twin.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "dataplane/base/log.h"
#include "dataplane/domain.h"
#include "dataplane/netdev.h"
#include "dataplane/netlink.h"
#include "dataplane/tun.h"

enum {
	MAX_SEGMENTS = 16,
	RULE_PREFERENCE = 180, // of domains: before what else the operator's rules or main say
};

static int requests = -1; // netlink socket for addresses; main lcore
static uint32_t lo_ifindex;

// The on-link prefixes of the twins, to place agent addresses. Written before start.
static struct ip6_prefix on_link[CONFIG_MAX_LINKS][CONFIG_MAX_PORT_ADDRESSES];
static uint8_t n_on_link[CONFIG_MAX_LINKS];

int twin_init(void)
{
	int error;

	requests = netlink_open();
	if (requests < 0) {
		log_err("twin_netlink_failed error=%s", strerror(-requests));
		return requests;
	}
	lo_ifindex = if_nametoindex("lo");
	netdev_sysctl("ipv4", "all", "send_redirects", 0);
	netdev_sysctl("ipv6", "lo", "disable_ipv6", 0);
	error = netdev_set_flags("lo", IFF_UP, 0);
	if (error == 0)
		error = netlink_address_flush(requests, lo_ifindex);
	// Of VLANs and addresses that the configuration no longer has, too.
	if (error == 0)
		error = netlink_rules_flush(requests, AF_INET);
	if (error == 0)
		error = netlink_rules_flush(requests, AF_INET6);
	if (error != 0) {
		log_err("twin_lo_failed error=%s", strerror(-error));
		twin_free();
	}
	return error;
}

void twin_free(void)
{
	if (requests >= 0)
		close(requests);
	requests = -1;
}

// Everything that must be so before the interface goes up.
static void set_sysctls(const char *name)
{
	netdev_sysctl("ipv6", name, "disable_ipv6", 0);
	netdev_sysctl("ipv6", name, "accept_dad", 0);
	netdev_sysctl("ipv6", name, "dad_transmits", 0);
	netdev_sysctl("ipv6", name, "accept_ra", 0);
	netdev_sysctl("ipv6", name, "accept_redirects", 0);
	netdev_sysctl("ipv6", name, "forwarding", 1);
	netdev_sysctl("ipv4", name, "rp_filter", 0);
	netdev_sysctl("ipv4", name, "send_redirects", 0);
	netdev_sysctl("ipv4", name, "accept_redirects", 0);
}

// Makes the kernel use the domain's table for a twin, and for what it sends from address a (unless NULL).
static int set_rules(const struct port *port, const struct ip6_prefix *a)
{
	uint32_t table = DOMAIN_TABLE_BASE + domain_number(port->domain);
	struct netlink_rule rule = { .preference = RULE_PREFERENCE, .table = table };
	int error = 0;

	if (a != NULL) {
		rule.family = ip6_is_v4mapped(&a->addr) ? AF_INET : AF_INET6;
		rule.preference++; // after those by interface
		rule.from = &a->addr;
		return netlink_rule(requests, &rule);
	}
	for (unsigned int i = 0; i < 4 && error == 0; i++) {
		rule.family = i < 2 ? AF_INET : AF_INET6;
		rule.iif = i % 2 == 0 ? port->name : NULL;
		rule.oif = i % 2 != 0 ? port->name : NULL;
		error = netlink_rule(requests, &rule);
	}
	return error;
}

// Gives the twin an address; in a domain other than 0 with what the kernel does not do by itself there.
static int set_address(const struct port *port, const struct ip6_prefix *address)
{
	bool is_apart = port->domain != DOMAIN_TRANSPORT;
	struct ip6_prefix subnet = *address;
	int error = netlink_address(requests, true, port->ifindex, address, !is_apart);

	if (error != 0 || !is_apart)
		return error;
	ip6_mask(&subnet.addr, subnet.len);
	error = netlink_route(requests, true, DOMAIN_TABLE_BASE + domain_number(port->domain),
		&subnet, port->ifindex);
	if (error == 0 && !ip6_is_linklocal(&address->addr))
		error = set_rules(port, address);
	return error;
}

static int set_addresses(const struct port *port, const struct ip6_prefix *addresses, uint8_t n)
{
	for (unsigned int i = 0; i < n; i++) {
		int error = set_address(port, &addresses[i]);

		if (error != 0) {
			char text[PREFIX_STRLEN];

			log_err("twin_address_failed port=%s address=%s error=%s", port->name,
				prefix_str(&addresses[i], text), strerror(-error));
			return error;
		}
		on_link[port->index][i] = addresses[i];
	}
	n_on_link[port->index] = n;
	return 0;
}

int twin_open(struct port *port, const struct ip6_prefix *addresses, uint8_t n)
{
	int error;

	if (if_nametoindex(port->name) != 0)
		log_debug("twin_name_taken port=%s", port->name);
	port->tap_fd = tun_open(port->name, IFF_TAP);
	if (port->tap_fd < 0) {
		error = port->tap_fd;
		log_err("twin_open_failed port=%s error=%s", port->name, strerror(-error));
		return error;
	}
	set_sysctls(port->name);
	port->ifindex = if_nametoindex(port->name);
	error = netdev_set_mac(port->name, port->mac.addr_bytes);
	if (error == 0)
		error = netdev_set_mtu(port->name, port->mtu);
	if (error == 0)
		error = netdev_set_flags(port->name, IFF_UP, 0);
	if (error != 0) {
		log_err("twin_setup_failed port=%s mtu=%u error=%s", port->name, port->mtu,
			strerror(-error));
		goto close_twin;
	}
	if (port->domain != DOMAIN_TRANSPORT)
		error = set_rules(port, NULL);
	if (error == 0)
		error = set_addresses(port, addresses, n);
	if (error != 0)
		goto close_twin;
	twin_set_carrier(port, port->carrier);
	return 0;

close_twin:
	twin_close(port);
	return error;
}

void twin_close(struct port *port)
{
	if (port->tap_fd >= 0)
		close(port->tap_fd);
	port->tap_fd = -1;
	port->ifindex = 0;
	n_on_link[port->index] = 0;
}

void twin_set_carrier(const struct port *port, bool has_carrier)
{
	int carrier = has_carrier;

	if (ioctl(port->tap_fd, TUNSETCARRIER, &carrier) != 0)
		log_warn("twin_carrier_failed port=%s error=%s", port->name, strerror(errno));
}

struct rte_mbuf *twin_read(const struct port *port, struct rte_mempool *pool)
{
	static uint8_t spill[1]; // tells a frame that fills the buffer from one that is larger
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(pool);
	struct iovec iov[2];
	ssize_t n;

	if (pkt == NULL) {
		// Take the frame all the same, or the descriptor stays readable.
		n = read(port->tap_fd, spill, sizeof(spill));
		errno = n < 0 ? errno : ENOMEM;
		return NULL;
	}
	iov[0].iov_base = rte_pktmbuf_mtod(pkt, void *);
	iov[0].iov_len = rte_pktmbuf_tailroom(pkt);
	iov[1].iov_base = spill;
	iov[1].iov_len = sizeof(spill);
	n = readv(port->tap_fd, iov, 2);
	if (n <= 0 || (size_t)n > iov[0].iov_len) {
		int error = n > 0 ? EMSGSIZE : (n == 0 ? EAGAIN : errno);

		rte_pktmbuf_free(pkt);
		errno = error;
		return NULL;
	}
	pkt->data_len = (uint16_t)n;
	pkt->pkt_len = (uint32_t)n;
	pkt->port = port->index;
	return pkt;
}

int twin_write(const struct port *port, struct rte_mbuf *pkt)
{
	struct iovec iov[MAX_SEGMENTS];
	int n = 0;
	int error = 0;

	for (const struct rte_mbuf *seg = pkt; seg != NULL; seg = seg->next) {
		if (n == MAX_SEGMENTS) {
			rte_pktmbuf_free(pkt);
			return -EMSGSIZE;
		}
		iov[n].iov_base = rte_pktmbuf_mtod(seg, void *);
		iov[n++].iov_len = seg->data_len;
	}
	if (writev(port->tap_fd, iov, n) < 0)
		error = -errno;
	rte_pktmbuf_free(pkt);
	return error;
}

// The interface that carries an agent address.
static uint32_t local_ifindex(const struct ip6 *a)
{
	for (unsigned int p = 0; p < n_links; p++) {
		if (ports[p].domain != DOMAIN_TRANSPORT)
			continue; // tunnels end in domain 0
		for (unsigned int i = 0; i < n_on_link[p]; i++) {
			if (prefix_contains(&on_link[p][i], a))
				return ports[p].ifindex;
		}
	}
	return lo_ifindex;
}

// True for an address that a twin has by configuration and must keep.
static bool is_configured(const struct ip6 *a)
{
	for (unsigned int p = 0; p < n_links; p++) {
		for (unsigned int i = 0; i < n_on_link[p]; i++) {
			if (ports[p].domain == DOMAIN_TRANSPORT && ip6_eq(&on_link[p][i].addr, a))
				return true;
		}
	}
	return false;
}

int twin_add_local(const struct ip6 *a)
{
	struct ip6_prefix host = { .addr = *a, .len = 128 };

	if (is_configured(a))
		return 0;
	return netlink_address(requests, true, local_ifindex(a), &host, false);
}

int twin_del_local(const struct ip6 *a)
{
	struct ip6_prefix host = { .addr = *a, .len = 128 };

	if (is_configured(a))
		return 0;
	return netlink_address(requests, false, local_ifindex(a), &host, false);
}
