// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Ports: a DPDK device and its TAP twin in the kernel, which carries the port's name, addresses and
// MAC. Everything that the kernel should see of a port goes through the twin.
//
// A VLAN of a port is a link of its own, with a twin of its own, in the same table behind the ports:
// ports[0..n_ports-1] are devices with their untagged frames, ports[n_ports..n_links-1] VLANs.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mempool.h>

#include "config/config.h"

struct port {
	uint16_t index; // in ports[]
	uint16_t device; // index of the port under a VLAN, else its own
	uint16_t vlan; // its number, 0 = a device
	uint8_t domain; // index of the mobility domain, see domain.h
	uint16_t dpdk_id;
	uint16_t mtu; // of the twin, followed by the mirror thread
	uint16_t n_rx_queues; // queue q is polled by worker q % n_workers
	uint16_t n_tx_queues; // worker w sends on queue w
	bool spin; // a real NIC: its workers do not sleep when idle is auto
	bool is_bond;
	bool has_interrupts; // the driver itself hands out a descriptor of its receive queues
	bool carrier;
	bool tx_multi_segs; // sends packets of several segments
	const char *rss; // what receive queues are chosen by: none, outer or innermost headers
	uint32_t ifindex; // of the twin
	int tap_fd; // non-blocking
	struct rte_ether_addr mac;
	char name[CONFIG_PORT_NAME_MAX + 1]; // of the twin
	uint32_t netdev_ifindex; // under af_packet or af_xdp, else 0
};

extern struct port ports[CONFIG_MAX_LINKS];
extern uint16_t n_ports;
extern uint16_t n_links; // n_ports and the VLANs

enum { PORT_VLANS = 4096 };

// The link of each VLAN number of a port, 0 = none (link 0 is no VLAN). Written before start.
extern uint8_t port_vlans[CONFIG_MAX_PORTS][PORT_VLANS];

enum { PORT_POOL_PER_WORKER = 20480 }; // buffers for a worker's rings and lanes, all full

// Makes the packet buffers that the ports, the workers and what waits between them need, with room
// for the largest frame configured. Before ports_start. Returns: owned, or NULL with the reason logged.
struct rte_mempool *port_pool_make(const struct config_dataplane *config);
// Bytes that port_pool_make takes.
uint64_t port_pool_memory(const struct config_dataplane *config);

// True when device is a PCI address ("0000:3b:00.0", arguments may follow a comma), not a vdev.
bool port_is_pci(const char *device);

// Brings all configured ports and their twins up: vdev or PCI probe, queues for n_workers workers,
// promiscuous, twin with MAC, MTU and addresses, quiet netdev under af_packet. Before start, as root.
// Returns: 0, or negative errno with the reason logged and everything undone.
int ports_start(
	const struct config_dataplane *config, uint16_t n_workers, struct rte_mempool *pool);

// Stops and closes what ports_start opened. The twins go away with their descriptors.
void ports_stop(void);

// A descriptor that becomes readable when packets wait in a receive queue, or -1 when the device has
// none (then an idle worker polls at intervals). Borrowed from the port. Before the drop of rights.
int port_queue_fd(const struct port *port, uint16_t queue);

// Port whose twin has this ifindex, or NULL.
struct port *port_by_ifindex(uint32_t ifindex);

// Follows the link state of a device: sets port->carrier, its VLANs' too, and hands it to the twins when
// it changed.
// Thread: mirror only.
void port_set_carrier(struct port *port, bool has_carrier);
// Asks the device itself; for devices without a netdev underneath. Thread: mirror only.
void port_poll_carrier(struct port *port);

// Registers /unwired/ports. Returns: 0 or negative errno.
int port_show_register(void);
