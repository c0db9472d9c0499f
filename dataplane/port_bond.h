// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A bond as port: several devices that DPDK's bonding driver makes one of. A device string such as
// "net_bonding0,mode=1,slave=net_tap0,slave=net_tap1" names its members.
#pragma once

#include <stdbool.h>

#include "config/config.h"
#include "dataplane/port.h"

enum {
	PORT_BOND_MEMBERS = 8,
	PORT_BOND_NAME = 32, // characters of a member's name
};

// True when the device is a bond.
bool port_bond_is(const char *device);

// Finds the values of "slave=" in a device string: names of vdevs and PCI addresses.
// Returns: how many there are, also when that is more than PORT_BOND_MEMBERS; 0 for other devices; -EINVAL
// when one is empty or too long.
int port_bond_members(const char *device, char members[PORT_BOND_MEMBERS][PORT_BOND_NAME]);

// Makes the members, which the bond asks for by name; sets spin when a NIC is among them. As root.
// Returns: 0 or negative errno, logged.
int port_bond_probe(struct port *port, const struct config_port *config);

// Looks at the members' links, and in active-backup mode sees that the active member is one that is up:
// not every driver tells its bond. Returns: true when a member is up. Thread: as port_poll_carrier.
bool port_bond_follow(const struct port *port);

// Name of the member that is active, or else the first. Shape: name[RTE_ETH_NAME_MAX_LEN]. Thread: any.
void port_bond_active(const struct port *port, char *name);
