// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/check.h"

#include <string.h>

// Names that Linux keeps for itself where interfaces are named.
static const char *const taken_names[] = { ".", "..", "lo", "all", "default" };

static void check_port_name(
	const struct config_dataplane *dataplane, unsigned int i, struct fault_log *log)
{
	const struct config_port *port = &dataplane->ports[i];

	for (size_t t = 0; t < sizeof(taken_names) / sizeof(taken_names[0]); t++) {
		if (strcmp(port->name, taken_names[t]) == 0)
			fault_write(log,
				"dataplane.ports[%u].name: \"%s\" is taken in Linux (allowed: "
				"another name)",
				i, port->name);
	}
	for (unsigned int j = 0; j < i; j++) {
		const struct config_port *other = &dataplane->ports[j];

		if (port->name[0] != '\0' && strcmp(port->name, other->name) == 0)
			fault_write(log,
				"dataplane.ports[%u].name: \"%s\" is the name of "
				"dataplane.ports[%u] (allowed: a name of its own)",
				i, port->name, j);
		if (port->device != NULL && other->device != NULL &&
			strcmp(port->device, other->device) == 0)
			fault_write(log,
				"dataplane.ports[%u].device: \"%.64s\" is the device of "
				"dataplane.ports[%u] (allowed: a device of its own)",
				i, port->device, j);
	}
}

// Compares address a of port i with all that come before it. Link-local addresses may be on
// several ports.
static void check_port_address(const struct config_dataplane *dataplane, unsigned int i,
	unsigned int a, struct fault_log *log)
{
	const struct ip6 *address = &dataplane->ports[i].addresses[a].addr;
	char text[IP6_STRLEN];

	if (ip6_is_any(address))
		return;
	for (unsigned int j = 0; j <= i; j++) {
		const struct config_port *other = &dataplane->ports[j];
		unsigned int n = j == i ? a : other->n_addresses;

		if (j != i && ip6_is_linklocal(address))
			continue;
		for (unsigned int b = 0; b < n; b++) {
			if (ip6_eq(address, &other->addresses[b].addr))
				fault_write(log,
					"dataplane.ports[%u].addresses[%u]: %s is also "
					"dataplane.ports[%u].addresses[%u] (allowed: an address "
					"once)",
					i, a, ip6_str(address, text), j, b);
		}
	}
}

static void check_ports(const struct config_dataplane *dataplane, struct fault_log *log)
{
	for (unsigned int i = 0; i < dataplane->n_ports; i++) {
		check_port_name(dataplane, i, log);
		for (unsigned int a = 0; a < dataplane->ports[i].n_addresses; a++)
			check_port_address(dataplane, i, a, log);
	}
}

static bool prefixes_overlap(const struct ip6_prefix *a, const struct ip6_prefix *b)
{
	return a->len != 0 && b->len != 0 &&
	       ip6_match(&a->addr, &b->addr, a->len < b->len ? a->len : b->len);
}

// Compares prefix p of network i with all that come before it. All ports are in one domain, so
// prefixes of two domains cannot be told apart yet.
static void check_prefix(
	const struct config *config, unsigned int i, unsigned int p, struct fault_log *log)
{
	const struct ip6_prefix *prefix = &config->networks[i].prefixes[p];
	char text[PREFIX_STRLEN], other_text[PREFIX_STRLEN];

	for (unsigned int j = 0; j <= i; j++) {
		const struct config_network *other = &config->networks[j];
		unsigned int n = j == i ? p : other->n_prefixes;
		const char *why = other->domain == config->networks[i].domain
					  ? ""
					  : " of another domain, not available in this version";

		for (unsigned int q = 0; q < n; q++) {
			if (prefixes_overlap(prefix, &other->prefixes[q]))
				fault_write(log,
					"home_networks[%u].prefixes[%u]: %s overlaps with %s in "
					"home_networks[%u].prefixes[%u]%s (allowed: prefixes "
					"apart from each other)",
					i, p, prefix_str(prefix, text),
					prefix_str(&other->prefixes[q], other_text), j, q, why);
		}
	}
}

// Compares agent address a of network i with all that come before it.
static void check_agent(
	const struct config *config, unsigned int i, unsigned int a, struct fault_log *log)
{
	const struct ip6 *agent = &config->networks[i].agent_addresses[a];
	char text[IP6_STRLEN];

	if (ip6_is_any(agent))
		return;
	for (unsigned int j = 0; j <= i; j++) {
		const struct config_network *other = &config->networks[j];
		unsigned int n = j == i ? a : other->n_agents;

		for (unsigned int b = 0; b < n; b++) {
			if (ip6_eq(agent, &other->agent_addresses[b]))
				fault_write(log,
					"home_networks[%u].agent_addresses[%u]: %s is also "
					"home_networks[%u].agent_addresses[%u] (allowed: an "
					"address once)",
					i, a, ip6_str(agent, text), j, b);
		}
	}
}

static void check_network(const struct config *config, unsigned int i, struct fault_log *log)
{
	const struct config_network *network = &config->networks[i];

	for (unsigned int j = 0; j < i && network->name[0] != '\0'; j++) {
		if (strcmp(network->name, config->networks[j].name) == 0)
			fault_write(log,
				"home_networks[%u].name: \"%s\" is the name of home_networks[%u] "
				"(allowed: a name of its own)",
				i, network->name, j);
	}
	for (unsigned int p = 0; p < network->n_prefixes; p++)
		check_prefix(config, i, p, log);
	for (unsigned int a = 0; a < network->n_agents; a++)
		check_agent(config, i, a, log);
	if (network->auth == CONFIG_AUTH_NONE && network->mesg_id_required)
		fault_write(log,
			"home_networks[%u].mesg_id_required: has no sense without "
			"authentication (allowed: true only with authentication auth-option)",
			i);
}

void check_config(const struct config *config, struct fault_log *log)
{
	unsigned int n_prefixes = 0, n_agents = 0;

	check_ports(&config->dataplane, log);
	for (unsigned int i = 0; i < config->n_networks; i++) {
		check_network(config, i, log);
		n_prefixes += config->networks[i].n_prefixes;
		n_agents += config->networks[i].n_agents;
	}
	if (n_prefixes > CONFIG_MAX_ALL_PREFIXES)
		fault_write(log, "home_networks: have %u prefixes together (allowed: 0..%u)",
			n_prefixes, CONFIG_MAX_ALL_PREFIXES);
	if (n_agents > CONFIG_MAX_ALL_AGENTS)
		fault_write(log, "home_networks: have %u agent addresses together (allowed: 0..%u)",
			n_agents, CONFIG_MAX_ALL_AGENTS);
}
