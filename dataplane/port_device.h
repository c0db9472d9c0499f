// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The DPDK side of a port: what each kind of device needs before, while and after it is probed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <net/if.h>

#include "config/config.h"
#include "dataplane/port.h"

enum {
	PORT_RX_DESC = 1024,
	PORT_TX_DESC = 1024,
	PORT_NETDEV_MAX = IF_NAMESIZE,
};

// Value of "key=" among the arguments of a device string, or NULL. It ends at a comma or the string's end.
const char *port_device_arg(const char *device, const char *key);

// Name of the kernel interface under an af_packet or af_xdp device. Returns: false without one.
bool port_device_netdev(const char *device, char netdev[PORT_NETDEV_MAX]);

// Bytes of a buffer (without headroom) that hold any frame of the port.
uint32_t port_device_frame_room(const struct config_port *config);

// Quiets the netdev underneath, if any, and probes the device; sets dpdk_id, netdev_ifindex and spin.
// As root. Returns: 0 or negative errno with the reason logged.
int port_device_probe(struct port *port, const struct config_port *config, uint16_t n_workers);

// Configures the numbers of queues; sets n_rx_queues and n_tx_queues. Returns: 0 or negative errno.
int port_device_configure(struct port *port, const struct config_port *config, uint16_t n_workers);

// Sets the configured MTU, or learns the device's; sets mtu. Returns: 0 or negative errno, logged.
int port_device_mtu(struct port *port, const struct config_port *config);

// Stops, closes and removes the device.
void port_device_close(struct port *port);
