// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/check.h"

#include <stdio.h>
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

// Addresses of a port or of one of its VLANs.
struct link_addresses {
	char path[56];
	uint32_t domain;
	uint8_t n;
	const struct ip6_prefix *addresses;
};

// Lists the ports, each with its VLANs behind it. Returns: how many.
static unsigned int list_links(const struct config_dataplane *dataplane,
	struct link_addresses links[CONFIG_MAX_PORTS * (1 + CONFIG_MAX_VLANS)])
{
	unsigned int n = 0;

	for (unsigned int p = 0; p < dataplane->n_ports; p++) {
		const struct config_port *port = &dataplane->ports[p];

		links[n] = (struct link_addresses){ .n = port->n_addresses,
			.addresses = port->addresses };
		snprintf(links[n++].path, sizeof(links->path), "dataplane.ports[%u]", p);
		for (unsigned int v = 0; v < port->n_vlans; v++) {
			const struct config_vlan *vlan = &port->vlans[v];

			links[n] = (struct link_addresses){ .domain = vlan->domain,
				.n = vlan->n_addresses,
				.addresses = vlan->addresses };
			snprintf(links[n++].path, sizeof(links->path),
				"dataplane.ports[%u].vlans[%u]", p, v);
		}
	}
	return n;
}

// Compares address a of link i with all of its domain that come before it. Link-local addresses may be
// on several links.
static void check_address(
	const struct link_addresses *links, unsigned int i, unsigned int a, struct fault_log *log)
{
	const struct ip6 *address = &links[i].addresses[a].addr;
	char text[IP6_STRLEN];

	if (ip6_is_any(address))
		return;
	for (unsigned int j = 0; j <= i; j++) {
		unsigned int n = j == i ? a : links[j].n;

		if ((j != i && ip6_is_linklocal(address)) || links[j].domain != links[i].domain)
			continue;
		for (unsigned int b = 0; b < n; b++) {
			if (ip6_eq(address, &links[j].addresses[b].addr))
				fault_write(log,
					"%s.addresses[%u]: %s is also %s.addresses[%u] "
					"(allowed: an address once)",
					links[i].path, a, ip6_str(address, text), links[j].path, b);
		}
	}
}

// True when a port has the name of the VLAN's TAP interface.
static bool is_port_name(const struct config_dataplane *dataplane, const char *name)
{
	for (unsigned int p = 0; p < dataplane->n_ports; p++) {
		if (strcmp(dataplane->ports[p].name, name) == 0)
			return true;
	}
	return false;
}

static void check_vlan(const struct config_dataplane *dataplane, unsigned int p, unsigned int v,
	struct fault_log *log)
{
	const struct config_port *port = &dataplane->ports[p];
	const struct config_vlan *vlan = &port->vlans[v];
	char name[CONFIG_PORT_NAME_MAX + sizeof(".65535")];

	snprintf(name, sizeof(name), "%s.%u", port->name, vlan->id);
	if (strlen(name) > CONFIG_PORT_NAME_MAX)
		fault_write(log,
			"dataplane.ports[%u].vlans[%u].id: the interface name \"%s\" has %zu "
			"characters (allowed: 1..%u; give the port a shorter name)",
			p, v, name, strlen(name), CONFIG_PORT_NAME_MAX);
	else if (is_port_name(dataplane, name))
		fault_write(log,
			"dataplane.ports[%u].vlans[%u].id: its interface \"%s\" has the name of a "
			"port (allowed: another name for the port)",
			p, v, name);
	for (unsigned int before = 0; before < v && vlan->id != 0; before++) {
		if (port->vlans[before].id == vlan->id)
			fault_write(log,
				"dataplane.ports[%u].vlans[%u].id: %u is that of "
				"dataplane.ports[%u].vlans[%u] (allowed: an identifier once)",
				p, v, vlan->id, p, before);
	}
}

static bool has_domain(const struct config_dataplane *dataplane, uint32_t domain)
{
	for (unsigned int i = 0; i < dataplane->n_domains; i++) {
		if (dataplane->domains[i] == domain)
			return true;
	}
	return false;
}

static void check_vlans(const struct config_dataplane *dataplane, struct fault_log *log)
{
	unsigned int n = dataplane->n_ports;

	for (unsigned int p = 0; p < dataplane->n_ports; p++) {
		n += dataplane->ports[p].n_vlans;
		for (unsigned int v = 0; v < dataplane->ports[p].n_vlans; v++) {
			uint32_t domain = dataplane->ports[p].vlans[v].domain;

			check_vlan(dataplane, p, v, log);
			if (!has_domain(dataplane, domain))
				fault_write(log,
					"dataplane.ports[%u].vlans[%u].domain: %u is one domain "
					"too "
					"many (allowed: %u domains with domain 0)",
					p, v, domain, CONFIG_MAX_DOMAINS);
		}
	}
	if (n > CONFIG_MAX_LINKS)
		fault_write(log,
			"dataplane.ports: have %u ports and VLANs together (allowed: 1..%u)", n,
			CONFIG_MAX_LINKS);
}

static void check_ports(const struct config_dataplane *dataplane, struct fault_log *log)
{
	static struct link_addresses links[CONFIG_MAX_PORTS * (1 + CONFIG_MAX_VLANS)];
	unsigned int n = list_links(dataplane, links);

	for (unsigned int i = 0; i < dataplane->n_ports; i++)
		check_port_name(dataplane, i, log);
	check_vlans(dataplane, log);
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int a = 0; a < links[i].n; a++)
			check_address(links, i, a, log);
	}
}

static bool prefixes_overlap(const struct ip6_prefix *a, const struct ip6_prefix *b)
{
	return a->len != 0 && b->len != 0 &&
	       ip6_match(&a->addr, &b->addr, a->len < b->len ? a->len : b->len);
}

// Compares prefix p of network i with all of its domain that come before it.
static void check_prefix(
	const struct config *config, unsigned int i, unsigned int p, struct fault_log *log)
{
	const struct ip6_prefix *prefix = &config->networks[i].prefixes[p];
	char text[PREFIX_STRLEN], other_text[PREFIX_STRLEN];

	for (unsigned int j = 0; j <= i; j++) {
		const struct config_network *other = &config->networks[j];
		unsigned int n = j == i ? p : other->n_prefixes;

		if (other->domain != config->networks[i].domain)
			continue;
		for (unsigned int q = 0; q < n; q++) {
			if (prefixes_overlap(prefix, &other->prefixes[q]))
				fault_write(log,
					"home_networks[%u].prefixes[%u]: %s overlaps with %s in "
					"home_networks[%u].prefixes[%u] (allowed: prefixes apart "
					"from each other)",
					i, p, prefix_str(prefix, text),
					prefix_str(&other->prefixes[q], other_text), j, q);
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
	if (!has_domain(&config->dataplane, network->domain))
		fault_write(log,
			"home_networks[%u].domain: %u is the domain of no VLAN (allowed: 0, or the "
			"domain of a VLAN)",
			i, network->domain);
	for (unsigned int p = 0; p < network->n_prefixes; p++)
		check_prefix(config, i, p, log);
	for (unsigned int a = 0; a < network->n_agents; a++)
		check_agent(config, i, a, log);
	if (network->auth != CONFIG_AUTH_OPTION && network->mesg_id_required)
		fault_write(log,
			"home_networks[%u].mesg_id_required: has no sense without "
			"authentication (allowed: true only with authentication auth-option)",
			i);
	if (network->min_prefix_advertisement_s > network->max_prefix_advertisement_s)
		fault_write(log,
			"home_networks[%u].min_prefix_advertisement_s: %u is above "
			"max_prefix_advertisement_s (allowed: 1..%u)",
			i, network->min_prefix_advertisement_s,
			network->max_prefix_advertisement_s);
	if (network->auth != CONFIG_AUTH_IPSEC && network->protect != 0)
		fault_write(log,
			"home_networks[%u].protect: has no sense without security associations "
			"(allowed: only with authentication ipsec)",
			i);
	if (network->auth == CONFIG_AUTH_IPSEC &&
		(network->protect & CONFIG_PROTECT_SIGNALLING) == 0)
		fault_write(log,
			"home_networks[%u].protect: signalling is missing (allowed: a list with "
			"signalling)",
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
