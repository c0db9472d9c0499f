// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/port_bond.h"

#include <errno.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>

#include "dataplane/base/log.h"
#include "dataplane/port_device.h"

bool port_bond_is(const char *device)
{
	static const char driver[] = "net_bonding";

	return strncmp(device, driver, sizeof(driver) - 1) == 0;
}

int port_bond_members(const char *device, char members[PORT_BOND_MEMBERS][PORT_BOND_NAME])
{
	const char *at = port_bond_is(device) ? port_device_arg(device, "slave") : NULL;
	int n = 0;

	for (; at != NULL; at = port_device_arg(at, "slave"), n++) {
		size_t len = strcspn(at, ",");

		if (len == 0 || len >= PORT_BOND_NAME)
			return -EINVAL;
		if (n < PORT_BOND_MEMBERS) {
			memcpy(members[n], at, len);
			members[n][len] = '\0';
		}
	}
	return n;
}

// Makes one member. Returns: 0 or negative errno.
static int probe_member(struct port *port, const char *member)
{
	if (port_is_pci(member)) { // probed with the EAL
		port->spin = true;
		return 0;
	}
	// These never say that their link is down, and a bond would never leave them.
	if (strstr(member, "_af_packet") != NULL || strstr(member, "_af_xdp") != NULL)
		return -ENOTSUP;
	return rte_dev_probe(member);
}

int port_bond_probe(struct port *port, const struct config_port *config)
{
	char members[PORT_BOND_MEMBERS][PORT_BOND_NAME];
	int n = port_bond_members(config->device, members), error = 0;

	if (n <= 0 || n > PORT_BOND_MEMBERS) {
		log_err("port_members_refused port=%s device=%s allowed=\"1..%d slave=NAME, each "
			"at "
			"most %d characters\"",
			port->name, config->device, PORT_BOND_MEMBERS, PORT_BOND_NAME - 1);
		return -EINVAL;
	}
	for (int i = 0; error == 0 && i < n; i++) {
		error = probe_member(port, members[i]);
		if (error != 0)
			log_err("port_member_failed port=%s member=%s error=%s", port->name,
				members[i], strerror(-error));
	}
	return error;
}

static bool is_up(uint16_t dpdk_id)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(dpdk_id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

bool port_bond_follow(const struct port *port)
{
	uint16_t members[PORT_BOND_MEMBERS];
	int n = rte_eth_bond_slaves_get(port->dpdk_id, members, PORT_BOND_MEMBERS);
	int active = rte_eth_bond_primary_get(port->dpdk_id), other = -1;
	char name[RTE_ETH_NAME_MAX_LEN];

	for (int i = 0; i < n; i++) {
		if (!is_up(members[i]))
			continue;
		if (members[i] == active)
			return true;
		other = members[i];
	}
	if (other < 0)
		return false;
	if (rte_eth_bond_mode_get(port->dpdk_id) == BONDING_MODE_ACTIVE_BACKUP &&
		rte_eth_bond_primary_set(port->dpdk_id, (uint16_t)other) == 0) {
		port_bond_active(port, name);
		log_info("port_bond_active port=%s member=%s", port->name, name);
	}
	return true;
}

void port_bond_active(const struct port *port, char *name)
{
	int active = rte_eth_bond_primary_get(port->dpdk_id);

	if (active < 0 || rte_eth_dev_get_name_by_port((uint16_t)active, name) != 0)
		name[0] = '\0';
}
