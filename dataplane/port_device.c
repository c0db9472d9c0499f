// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/port_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/base/log.h"
#include "dataplane/netdev.h"
#include "dataplane/port_bond.h"
#include "dataplane/port_fd.h"

enum {
	DEVARGS_MAX = 512,
	SMALL_ROOM = 2048, // buffer for ordinary frames
	// AF_PACKET rings: the ring holds whole frames with the kernel's head; the PMD wants a
	// buffer as large as a ring frame. Jumbo values as tested.
	RING_JUMBO_MTU = 1900,
	RING_JUMBO_FRAME = 16384,
	RING_FRAMES = 2048, // of 2048 bytes; 512, the default, overflow in one scheduler delay
	// The frame's own headers, and those of a tunnel packet that was reassembled in its first
	// fragment's buffer.
	FRAME_OVERHEAD = RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN + 48,
	DEFAULT_MTU = 1500,
};

static bool is_kind(const char *device, const char *driver)
{
	return strncmp(device, driver, strlen(driver)) == 0;
}

static bool is_packet(const char *device)
{
	return is_kind(device, "net_af_packet") || is_kind(device, "eth_af_packet");
}

static bool is_xdp(const char *device)
{
	return is_kind(device, "net_af_xdp");
}

static bool is_tap(const char *device)
{
	return is_kind(device, "net_tap");
}

const char *port_device_arg(const char *device, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = strchr(device, ','); at != NULL; at = strchr(at, ',')) {
		at++;
		if (strncmp(at, key, len) == 0 && at[len] == '=')
			return at + len + 1;
	}
	return NULL;
}

bool port_device_netdev(const char *device, char netdev[PORT_NETDEV_MAX])
{
	const char *value = port_device_arg(device, "iface");
	size_t len;

	netdev[0] = '\0';
	if (value == NULL || (!is_packet(device) && !is_xdp(device)))
		return false;
	len = strcspn(value, ",");
	if (len >= PORT_NETDEV_MAX)
		return false;
	memcpy(netdev, value, len);
	netdev[len] = '\0';
	return true;
}

static uint32_t expected_mtu(const struct config_port *config)
{
	char netdev[PORT_NETDEV_MAX];
	int mtu;

	if (config->mtu != 0)
		return config->mtu;
	if (!port_device_netdev(config->device, netdev))
		return DEFAULT_MTU;
	mtu = netdev_mtu(netdev);
	return mtu > 0 ? (uint32_t)mtu : DEFAULT_MTU;
}

static bool is_jumbo_ring(const struct config_port *config)
{
	return is_packet(config->device) && expected_mtu(config) > RING_JUMBO_MTU;
}

uint32_t port_device_frame_room(const struct config_port *config)
{
	uint32_t need = expected_mtu(config) + FRAME_OVERHEAD;

	if (is_jumbo_ring(config))
		return RING_JUMBO_FRAME;
	return need <= SMALL_ROOM ? SMALL_ROOM : (need + 1023) / 1024 * 1024;
}

// Queue pairs that are made when the device is probed.
static unsigned int wanted_queues(const struct config_port *config, uint16_t n_workers)
{
	return config->queues > n_workers ? config->queues : n_workers;
}

// Completes the device string with what we decide, unless it says so itself.
static void complete_devargs(
	const struct config_port *config, uint16_t n_workers, char devargs[DEVARGS_MAX])
{
	const char *device = config->device;
	size_t used = (size_t)snprintf(devargs, DEVARGS_MAX, "%s", device);
	unsigned int n = wanted_queues(config, n_workers);

	if (used >= DEVARGS_MAX)
		return;
	if (is_packet(device) && port_device_arg(device, "qpairs") == NULL)
		used += (size_t)snprintf(devargs + used, DEVARGS_MAX - used, ",qpairs=%u", n);
	if (is_packet(device) && port_device_arg(device, "framesz") == NULL && used < DEVARGS_MAX) {
		if (is_jumbo_ring(config))
			snprintf(devargs + used, DEVARGS_MAX - used,
				",blocksz=65536,framesz=%u,framecnt=256", RING_JUMBO_FRAME);
		else
			snprintf(devargs + used, DEVARGS_MAX - used,
				",blocksz=65536,framesz=2048,framecnt=%u", RING_FRAMES);
	}
	if (is_xdp(device) && n > 1 && port_device_arg(device, "queue_count") == NULL)
		snprintf(devargs + used, DEVARGS_MAX - used, ",queue_count=%u", n);
}

// Prepares the kernel interface underneath. Returns: 0 or negative errno, logged.
static int quiet_netdev(struct port *port, const struct config_port *config, const char *netdev)
{
	int error;

	port->netdev_ifindex = if_nametoindex(netdev);
	if (port->netdev_ifindex == 0) {
		log_err("port_no_netdev port=%s device=%s netdev=%s error=%s", port->name,
			config->device, netdev, strerror(errno));
		return -ENODEV;
	}
	if (is_packet(config->device))
		error = netdev_quiet_packet(netdev);
	else
		error = netdev_quiet_xdp(netdev);
	if (error == 0 && config->mtu != 0)
		error = netdev_set_mtu(netdev, config->mtu);
	if (error != 0)
		log_err("port_netdev_failed port=%s netdev=%s mtu=%u error=%s", port->name, netdev,
			config->mtu, strerror(-error));
	return error;
}

int port_device_probe(struct port *port, const struct config_port *config, uint16_t n_workers)
{
	char devargs[DEVARGS_MAX];
	char netdev[PORT_NETDEV_MAX];
	char name[RTE_ETH_NAME_MAX_LEN];
	int error;

	if (port_device_netdev(config->device, netdev)) {
		error = quiet_netdev(port, config, netdev);
		if (error != 0)
			return error;
		if (is_xdp(config->device) &&
			netdev_queues(netdev) < wanted_queues(config, n_workers)) {
			log_err("port_few_queues port=%s netdev=%s has=%u needed=%u", port->name,
				netdev, netdev_queues(netdev), wanted_queues(config, n_workers));
			return -ENOTSUP;
		}
	}
	port->spin = port_is_pci(config->device);
	port->is_bond = port_bond_is(config->device);
	error = port->is_bond ? port_bond_probe(port, config) : 0;
	if (error != 0)
		return error;
	complete_devargs(config, n_workers, devargs);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(devargs, ","), devargs);
	port_fd_before_probe();
	// PCI devices were probed with the EAL.
	error = port_is_pci(devargs) ? 0 : rte_dev_probe(devargs);
	if (error == 0)
		error = rte_eth_dev_get_port_by_name(name, &port->dpdk_id);
	if (error != 0) {
		log_err("port_probe_failed port=%s device=%s error=%s", port->name, devargs,
			strerror(-error));
	}
	return error;
}

static uint16_t least(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static uint16_t most(uint16_t a, uint16_t b)
{
	return a > b ? a : b;
}

// Asks for queues by the innermost headers where the device can: by the outer ones a tunnel is one flow.
static void choose_rss(
	struct port *port, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t innermost = RTE_ETH_RSS_LEVEL_INNERMOST;
	uint64_t can = info->flow_type_rss_offloads;

	port->rss = "none";
	if (port->n_rx_queues < 2 || (can & RTE_ETH_RSS_IP) == 0)
		return;
	port->rss = "outer";
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = can & RTE_ETH_RSS_IP;
	if ((can & innermost) == innermost) {
		port->rss = "innermost";
		conf->rx_adv_conf.rss_conf.rss_hf |= innermost;
	}
}

// Configures the device, without innermost headers if it refuses them after all.
static int configure(struct port *port, struct rte_eth_conf *conf)
{
	uint64_t *rss_hf = &conf->rx_adv_conf.rss_conf.rss_hf;
	int error =
		rte_eth_dev_configure(port->dpdk_id, port->n_rx_queues, port->n_tx_queues, conf);

	if (error == 0 || (*rss_hf & RTE_ETH_RSS_LEVEL_MASK) == 0)
		return error;
	*rss_hf &= ~RTE_ETH_RSS_LEVEL_MASK;
	port->rss = "outer";
	return rte_eth_dev_configure(port->dpdk_id, port->n_rx_queues, port->n_tx_queues, conf);
}

int port_device_configure(struct port *port, const struct config_port *config, uint16_t n_workers)
{
	uint16_t want_rx = config->queues != 0 ? config->queues : n_workers;
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port->dpdk_id, &info);

	if (error != 0)
		return error;
	if (info.max_tx_queues < n_workers) {
		log_err("port_few_queues port=%s device=%s has=%u needed=%u", port->name,
			config->device, info.max_tx_queues, n_workers);
		return -ENOTSUP;
	}
	// The kernel spreads packets over all rings of these, so all must be polled.
	if (is_packet(config->device) || is_xdp(config->device))
		want_rx = (uint16_t)wanted_queues(config, n_workers);
	port->n_rx_queues = least(want_rx, info.max_rx_queues);
	port->n_tx_queues = n_workers;
	if (is_tap(config->device) || port->is_bond) // taps have pairs only
		port->n_rx_queues = port->n_tx_queues = most(want_rx, n_workers);
	choose_rss(port, &info, &conf);
	conf.rxmode.mtu = port_is_pci(config->device) ? config->mtu : 0;
	port->has_interrupts = is_tap(config->device);
	conf.intr_conf.rxq = port->has_interrupts;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->tx_multi_segs = conf.txmode.offloads != 0;
	return configure(port, &conf);
}

int port_device_mtu(struct port *port, const struct config_port *config)
{
	char netdev[PORT_NETDEV_MAX];
	uint16_t mtu;
	int error;

	if (port_device_netdev(config->device, netdev)) {
		error = netdev_mtu(netdev);
		if (error > UINT16_MAX)
			error = -ERANGE;
		mtu = (uint16_t)error;
		error = error < 0 ? error : 0;
	} else {
		error = config->mtu != 0 ? rte_eth_dev_set_mtu(port->dpdk_id, config->mtu) : 0;
		if (error == 0)
			error = rte_eth_dev_get_mtu(port->dpdk_id, &mtu);
	}
	if (error != 0) {
		log_err("port_mtu_failed port=%s mtu=%u error=%s", port->name, config->mtu,
			strerror(-error));
		return error;
	}
	port->mtu = mtu;
	return 0;
}

void port_device_close(struct port *port)
{
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port->dpdk_id, &info);

	rte_eth_dev_stop(port->dpdk_id);
	rte_eth_dev_close(port->dpdk_id);
	if (error == 0)
		rte_dev_remove(info.device);
}
