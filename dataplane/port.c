// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_pci.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/base/log.h"
#include "dataplane/domain.h"
#include "dataplane/netdev.h"
#include "dataplane/pkt.h"
#include "dataplane/port_bond.h"
#include "dataplane/port_device.h"
#include "dataplane/port_fd.h"
#include "dataplane/twin.h"

enum {
	POOL_SHARED = 16384, // packets that wait for neighbours and control; fragments
	POOL_CACHE = 256, // of each thread
	POOL_PER_MBUF = 256 + PKT_PRIV_SIZE + RTE_PKTMBUF_HEADROOM, // mbuf, mempool, alignment
	POOL_PAGE = 4096,
};

struct port ports[CONFIG_MAX_LINKS];
uint16_t n_ports;
uint16_t n_links;
uint8_t port_vlans[CONFIG_MAX_PORTS][PORT_VLANS];

static uint32_t pool_count(const struct config_dataplane *config)
{
	uint32_t n_queues = 0;

	for (unsigned int i = 0; i < config->n_ports; i++) {
		char members[PORT_BOND_MEMBERS][PORT_BOND_NAME];
		int n = port_bond_members(config->ports[i].device, members);

		n_queues += RTE_MAX(config->ports[i].queues, config->n_workers) *
			    (uint32_t)RTE_MAX(n, 1);
	}
	return POOL_SHARED + config->n_workers * (uint32_t)PORT_POOL_PER_WORKER +
	       n_queues * (PORT_RX_DESC + PORT_TX_DESC) + (config->n_workers + 1u) * 2 * POOL_CACHE;
}

static uint32_t pool_room(const struct config_dataplane *config)
{
	uint32_t room = 0;

	for (unsigned int i = 0; i < config->n_ports; i++) {
		uint32_t need = port_device_frame_room(&config->ports[i]);

		room = need > room ? need : room;
	}
	return room;
}

uint64_t port_pool_memory(const struct config_dataplane *config)
{
	uint64_t mbuf = pool_room(config) + POOL_PER_MBUF;

	// Without hugepages an mbuf larger than a page has whole pages.
	if (mbuf > POOL_PAGE)
		mbuf = RTE_ALIGN_CEIL(mbuf, POOL_PAGE);
	return pool_count(config) * mbuf;
}

struct rte_mempool *port_pool_make(const struct config_dataplane *config)
{
	uint32_t room = pool_room(config) + RTE_PKTMBUF_HEADROOM;
	struct rte_mempool *pool = rte_pktmbuf_pool_create("packets", pool_count(config),
		POOL_CACHE, PKT_PRIV_SIZE, (uint16_t)room, SOCKET_ID_ANY);

	if (pool == NULL)
		log_err("port_pool_failed n=%u room=%u error=%s", pool_count(config), room,
			rte_strerror(rte_errno));
	return pool;
}

bool port_is_pci(const char *device)
{
	unsigned int domain, bus, slot, function;
	int used = 0;

	return sscanf(device, "%x:%x:%x.%u%n", &domain, &bus, &slot, &function, &used) == 4 &&
	       (device[used] == '\0' || device[used] == ',');
}

struct port *port_by_ifindex(uint32_t ifindex)
{
	for (unsigned int i = 0; ifindex != 0 && i < n_links; i++) {
		if (ports[i].ifindex == ifindex)
			return &ports[i];
	}
	return NULL;
}

void port_set_carrier(struct port *port, bool has_carrier)
{
	if (port->carrier == has_carrier)
		return;
	for (unsigned int i = 0; i < n_links; i++) {
		if (ports[i].device != port->index)
			continue;
		ports[i].carrier = has_carrier;
		twin_set_carrier(&ports[i], has_carrier);
	}
	log_info("port_carrier port=%s carrier=%s", port->name, has_carrier ? "up" : "down");
}

static bool device_has_carrier(const struct port *port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port->dpdk_id, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP && (!port->is_bond || port_bond_follow(port));
}

void port_poll_carrier(struct port *port)
{
	if (port->netdev_ifindex == 0)
		port_set_carrier(port, device_has_carrier(port));
}

// Sets up and starts the device with its queues. Returns: 0 or negative errno, logged.
static int start_device(struct port *port, const struct config_port *config, uint16_t n_workers,
	struct rte_mempool *pool)
{
	uint16_t n_rx_desc = PORT_RX_DESC, n_tx_desc = PORT_TX_DESC;
	const char *step = "configure";
	int error = port_device_configure(port, config, n_workers);

	if (error == 0) {
		step = "descriptors";
		error = rte_eth_dev_adjust_nb_rx_tx_desc(port->dpdk_id, &n_rx_desc, &n_tx_desc);
	}
	for (uint16_t q = 0; error == 0 && q < port->n_rx_queues; q++) {
		step = "rx_queue";
		error = rte_eth_rx_queue_setup(
			port->dpdk_id, q, n_rx_desc, SOCKET_ID_ANY, NULL, pool);
	}
	for (uint16_t q = 0; error == 0 && q < port->n_tx_queues; q++) {
		step = "tx_queue";
		error = rte_eth_tx_queue_setup(port->dpdk_id, q, n_tx_desc, SOCKET_ID_ANY, NULL);
	}
	if (error == 0) {
		step = "start";
		error = rte_eth_dev_start(port->dpdk_id);
	}
	if (error == 0) {
		step = "promiscuous";
		error = rte_eth_promiscuous_enable(port->dpdk_id);
		error = error == -ENOTSUP ? 0 : error;
	}
	if (error == 0) {
		// AF_PACKET sees all multicast anyway and says that it cannot be asked to.
		rte_eth_allmulticast_enable(port->dpdk_id);
		step = "mac";
		error = rte_eth_macaddr_get(port->dpdk_id, &port->mac);
	}
	if (error != 0)
		log_err("port_start_failed port=%s device=%s step=%s error=%s", port->name,
			config->device, step, strerror(-error));
	return error;
}

static int start_port(struct port *port, const struct config_port *config, uint16_t n_workers,
	struct rte_mempool *pool)
{
	char netdev[PORT_NETDEV_MAX];
	bool has_netdev = port_device_netdev(config->device, netdev);
	int error = port_device_probe(port, config, n_workers);

	if (error != 0)
		return error;
	error = start_device(port, config, n_workers, pool);
	if (error == 0)
		error = port_device_mtu(port, config);
	if (error != 0)
		goto close_device;
	port_fd_find(port);
	// A netdev that was just set up tells its carrier late; the mirror's first dump corrects this.
	port->carrier = has_netdev || device_has_carrier(port);
	error = twin_open(port, config->addresses, config->n_addresses);
	if (error != 0)
		goto close_device;
	log_info("port_started port=%s device=%s mtu=%u rx_queues=%u tx_queues=%u carrier=%s",
		port->name, config->device, port->mtu, port->n_rx_queues, port->n_tx_queues,
		port->carrier ? "up" : "down");
	return 0;

close_device:
	port_device_close(port);
	return error;
}

// Makes the link of a VLAN behind all others. Returns: 0 or negative errno, logged.
static int start_vlan(const struct port *device, const struct config_vlan *config)
{
	struct port *link = &ports[n_links];
	char name[CONFIG_PORT_NAME_MAX + sizeof(".65535")];
	int error;

	*link = *device;
	link->index = n_links;
	link->vlan = config->id;
	link->domain = (uint8_t)domain_index(config->domain);
	link->tap_fd = -1;
	link->ifindex = 0;
	link->netdev_ifindex = 0;
	snprintf(name, sizeof(name), "%s.%u", device->name, config->id);
	memcpy(link->name, name,
		CONFIG_PORT_NAME_MAX); // the configuration was checked for the length
	error = twin_open(link, config->addresses, config->n_addresses);
	if (error != 0)
		return error;
	port_vlans[device->index][config->id] = (uint8_t)n_links;
	n_links++;
	log_info("vlan_started port=%s vlan=%u domain=%u", link->name, config->id, config->domain);
	return 0;
}

int ports_start(const struct config_dataplane *config, uint16_t n_workers, struct rte_mempool *pool)
{
	int error = twin_init();

	for (uint16_t i = 0; error == 0 && i < config->n_ports; i++) {
		struct port *port = &ports[i];

		memset(port, 0, sizeof(*port));
		port->index = port->device = i;
		port->tap_fd = -1;
		snprintf(port->name, sizeof(port->name), "%s", config->ports[i].name);
		error = start_port(port, &config->ports[i], n_workers, pool);
		if (error == 0)
			n_links = ++n_ports;
	}
	for (uint16_t i = 0; error == 0 && i < config->n_ports; i++) {
		for (uint8_t v = 0; error == 0 && v < config->ports[i].n_vlans; v++)
			error = start_vlan(&ports[i], &config->ports[i].vlans[v]);
	}
	if (error != 0)
		ports_stop();
	return error;
}

void ports_stop(void)
{
	while (n_links > n_ports)
		twin_close(&ports[--n_links]);
	while (n_ports > 0) {
		struct port *port = &ports[--n_ports];

		twin_close(port);
		port_device_close(port);
	}
	n_links = 0;
	twin_free();
}
