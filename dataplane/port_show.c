// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include <errno.h>
#include <stdio.h>

#include <rte_ethdev.h>
#include <rte_telemetry.h>

#include "dataplane/port.h"
#include "dataplane/port_bond.h"
#include "dataplane/show_gate.h"
#include "dataplane/worker.h"

// What the workers had from a port and sent to it.
static void describe_workers(struct rte_tel_data *d, const struct port *port)
{
	uint64_t rx = 0, tx = 0;

	for (uint16_t i = 0; i < n_workers; i++) {
		rx += stat_read(&workers[i].stats.ports[port->index].rx);
		tx += stat_read(&workers[i].stats.ports[port->index].tx);
	}
	rte_tel_data_add_dict_u64(d, "worker_rx", rx);
	rte_tel_data_add_dict_u64(d, "worker_tx", tx);
}

// One port as a dict. Returns: owned, or NULL without memory.
static struct rte_tel_data *describe(const struct port *port)
{
	struct rte_tel_data *d = rte_tel_data_alloc();
	struct rte_eth_stats stats = { 0 };
	char mac[RTE_ETHER_ADDR_FMT_SIZE], active[RTE_ETH_NAME_MAX_LEN];

	if (d == NULL)
		return NULL;
	rte_eth_stats_get(port->dpdk_id, &stats);
	rte_ether_format_addr(mac, sizeof(mac), &port->mac);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "name", port->name);
	rte_tel_data_add_dict_string(d, "carrier", port->carrier ? "up" : "down");
	rte_tel_data_add_dict_string(d, "mac", mac);
	rte_tel_data_add_dict_int(d, "mtu", port->mtu);
	rte_tel_data_add_dict_int(d, "rx_queues", port->n_rx_queues);
	rte_tel_data_add_dict_int(d, "tx_queues", port->n_tx_queues);
	rte_tel_data_add_dict_string(d, "rss", port->rss);
	rte_tel_data_add_dict_u64(d, "rx_packets", stats.ipackets);
	rte_tel_data_add_dict_u64(d, "rx_bytes", stats.ibytes);
	rte_tel_data_add_dict_u64(d, "rx_missed", stats.imissed);
	rte_tel_data_add_dict_u64(d, "rx_errors", stats.ierrors);
	rte_tel_data_add_dict_u64(d, "rx_no_buffer", stats.rx_nombuf);
	rte_tel_data_add_dict_u64(d, "tx_packets", stats.opackets);
	rte_tel_data_add_dict_u64(d, "tx_bytes", stats.obytes);
	rte_tel_data_add_dict_u64(d, "tx_errors", stats.oerrors);
	if (port->is_bond) {
		port_bond_active(port, active);
		rte_tel_data_add_dict_string(d, "active", active);
	}
	describe_workers(d, port);
	return d;
}

// DPDK 22.11 prints no list inside a dict: the items are a dict with the row numbers as keys.
static int show(const char *command, const char *params, struct rte_tel_data *d)
{
	struct rte_tel_data *items = rte_tel_data_alloc();

	(void)command;
	(void)params;
	if (items == NULL)
		return -ENOMEM;
	rte_tel_data_start_dict(items);
	for (unsigned int i = 0; i < n_ports; i++) {
		struct rte_tel_data *item = describe(&ports[i]);
		char key[8];

		snprintf(key, sizeof(key), "%u", i);
		if (item != NULL)
			rte_tel_data_add_dict_container(items, key, item, 0);
	}
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_container(d, "items", items, 0);
	rte_tel_data_add_dict_int(d, "next", -1);
	return 0;
}

int port_show_register(void)
{
	return show_gate_register("/unwired/ports", show, "Ports and their counters");
}
