// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/control.h"

#include "dataplane/base/clock.h"

uint32_t control_max_bindings(const struct control *control)
{
	uint32_t ours = control->config->dataplane.max_bindings;

	if (link_state(control->link) == LINK_UP && control->peer.max_bindings < ours)
		return control->peer.max_bindings;
	return ours;
}

uint64_t control_hold_ns(const struct control *control, uint16_t home_prefix)
{
	const struct config_network *network = control->networks.prefixes[home_prefix].network;
	bool uses_mesg_id = network != NULL && network->auth == CONFIG_AUTH_OPTION;

	return (uses_mesg_id ? CONTROL_HOLD_MESGID_S : CONTROL_HOLD_S) * CLOCK_NS_PER_S;
}

struct store_time control_time(void)
{
	return (struct store_time){ .boot_ns = clock_boot_ns(), .wall_ns = clock_wall_ns() };
}
