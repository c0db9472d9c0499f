// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/key.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

static_assert(KEY_CORE_MAX == 1023 && KEY_HOME_PREFIX_MIN == 16 && KEY_HOME_PREFIX_MAX == 64,
	"the texts of key_allowed say these numbers");

#define FIELD_SIZE(type, field) sizeof(((struct type *)0)->field)
#define IN(type, field) .offset = offsetof(struct type, field), .size = FIELD_SIZE(type, field)
#define LIST_IN(type, field, n)                                                               \
	.offset = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field[0]), \
	.count_offset = offsetof(struct type, n), .count_size = FIELD_SIZE(type, n)

static const struct key_word idle_words[] = {
	{ "auto", CONFIG_IDLE_AUTO, false },
	{ "spin", CONFIG_IDLE_SPIN, false },
	{ "sleep", CONFIG_IDLE_SLEEP, false },
	{ 0 },
};

static const struct key_word hugepages_words[] = {
	{ "auto", CONFIG_HUGEPAGES_AUTO, false },
	{ "on", CONFIG_HUGEPAGES_ON, false },
	{ "off", CONFIG_HUGEPAGES_OFF, false },
	{ 0 },
};

static const struct key_word authentication_words[] = {
	{ "none", CONFIG_AUTH_NONE, false },
	{ "auth-option", CONFIG_AUTH_OPTION, false },
	{ "ipsec", CONFIG_AUTH_IPSEC, false },
	{ 0 },
};

static const struct key_word protect_words[] = {
	{ "signalling", CONFIG_PROTECT_SIGNALLING, false },
	{ "discovery", CONFIG_PROTECT_DISCOVERY, false },
	{ "routability", CONFIG_PROTECT_ROUTABILITY, false },
	{ "payload", CONFIG_PROTECT_PAYLOAD, false },
	{ 0 },
};

static const struct key_word protocol_words[] = {
	{ "mip6", 0, false },
	{ "nemo", 0, true },
	{ "dsmip6", 0, true },
	{ "pmip6", 0, true },
	{ "mip4", 0, true },
	{ 0 },
};

static const struct key_word durability_words[] = {
	{ "sync", CONFIG_DURABILITY_SYNC, false },
	{ "relaxed", CONFIG_DURABILITY_RELAXED, false },
	{ 0 },
};

static const struct key_word link_words[] = {
	{ "virtual", 0, false },
	{ "", 0, true }, // the name of a port: a real home link
	{ 0 },
};

const struct key key_table[] = {
	{ .path = "node",
		.type = KEY_OBJECT,
		.apply = KEY_RESTART_CONTROL,
		.help = "Who this node is." },
	{ .path = "node.name",
		.type = KEY_NAME,
		.apply = KEY_RESTART_CONTROL,
		IN(config, node.name),
		.min = 1,
		.max = CONFIG_NAME_MAX,
		.fallback = "\"unwired\"",
		.help = "Name of this node, unique among the home agents of an operator." },
	{ .path = "node.site",
		.type = KEY_NAME,
		.apply = KEY_RESTART_CONTROL,
		IN(config, node.site),
		.min = 1,
		.max = CONFIG_NAME_MAX,
		.fallback_note = "no site",
		.help = "Name of the site that the node stands in." },
	{ .path = "node.id",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, node.id),
		.min = 0,
		.max = CONFIG_NODE_ID_MAX,
		.fallback = "0",
		.help = "Number of this node, unique among the home agents that share an agent "
			"address: it keeps their fragments apart." },

	{ .path = "dataplane",
		.type = KEY_OBJECT,
		.apply = KEY_RESTART_DATAPLANE,
		.is_required = true,
		.help = "The packet forwarding process." },
	{ .path = "dataplane.worker_cores",
		.type = KEY_CORES,
		.apply = KEY_RESTART_DATAPLANE,
		LIST_IN(config, dataplane.worker_cores, dataplane.n_workers),
		.min = 1,
		.max = CONFIG_MAX_WORKERS,
		.fallback_note = "[1], or [0] on a machine with one CPU",
		.help = "CPUs that forward packets, one worker on each; no CPU twice." },
	{ .path = "dataplane.main_core",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.main_core),
		.min = 0,
		.max = KEY_CORE_MAX,
		.fallback = "0",
		.help = "CPU of the main thread (tables, control socket). May be a worker's too; "
			"then "
			"the two share it." },
	{ .path = "dataplane.idle",
		.type = KEY_WORD,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.idle),
		.words = idle_words,
		.fallback = "\"auto\"",
		.help = "What a worker without packets does: poll on (spin), back off (sleep), or "
			"what "
			"suits the ports (auto: spin if one of them is a PCI device)." },
	{ .path = "dataplane.hugepages",
		.type = KEY_WORD,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.hugepages),
		.words = hugepages_words,
		.fallback = "\"auto\"",
		.help = "Whether DPDK takes its memory from hugepages; auto does so where enough "
			"of "
			"them are free." },
	{ .path = "dataplane.memory_mb",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.memory_mb),
		.min = 64,
		.max = 1048576,
		.unit = "MiB",
		.fallback_note = "reckoned from the other settings",
		.help = "Memory of DPDK: packet buffers and tables." },
	{ .path = "dataplane.max_bindings",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.max_bindings),
		.min = 16,
		.max = 67000000,
		.fallback = "100000",
		.help = "Size of the binding table. When it is full, registrations are refused "
			"with "
			"status 130 (insufficient resources)." },
	{ .path = "dataplane.max_sas",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.max_sas),
		.min = 16,
		.max = 16777216,
		.fallback_note = "65536 where a home network has authentication ipsec, else none",
		.help = "How many mobiles may have IPsec security associations, and one. There is "
			"room for four associations each, however they are shared out." },
	{ .path = "dataplane.max_routes",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.max_routes),
		.min = 16,
		.max = 8388608,
		.fallback = "16384",
		.help = "Routes that the IPv4 forwarding table of each domain takes; home prefixes "
			"and addresses of the node do not count." },
	{ .path = "dataplane.max_routes_ip6",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.max_routes_ip6),
		.min = 16,
		.max = 1048576,
		.fallback_note = "max_routes, at most 262144",
		.help = "Routes that the IPv6 forwarding table of each domain takes." },
	{ .path = "dataplane.orphan_hold_s",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config, dataplane.orphan_hold_s),
		.min = 1,
		.max = 262140,
		.unit = "s",
		.fallback_note = "the longest max_lifetime_s of the home networks",
		.help = "How long bindings are served while there is no control process." },

	{ .path = "dataplane.ports",
		.type = KEY_OBJECTS,
		.apply = KEY_RESTART_DATAPLANE,
		.is_required = true,
		LIST_IN(config, dataplane.ports, dataplane.n_ports),
		.min = 1,
		.max = CONFIG_MAX_PORTS,
		.help = "The ports, each with a TAP twin of the same name in Linux." },
	{ .path = "dataplane.ports[].name",
		.type = KEY_NAME,
		.apply = KEY_RESTART_DATAPLANE,
		.is_required = true,
		IN(config_port, name),
		.min = 1,
		.max = CONFIG_PORT_NAME_MAX,
		.help = "Name of the port and of its TAP interface." },
	{ .path = "dataplane.ports[].device",
		.type = KEY_DEVICE,
		.apply = KEY_RESTART_DATAPLANE,
		.is_required = true,
		IN(config_port, device),
		.min = 1,
		.max = 255,
		.help = "PCI address (0000:3b:00.0) or DPDK vdev (net_af_packet0,iface=veth0; a "
			"bond: "
			"net_bonding0,mode=1,slave=0000:3b:00.0,slave=0000:3b:00.1)." },
	{ .path = "dataplane.ports[].addresses",
		.type = KEY_PORT_ADDRESSES,
		.apply = KEY_RESTART_DATAPLANE,
		LIST_IN(config_port, addresses, n_addresses),
		.min = 0,
		.max = CONFIG_MAX_PORT_ADDRESSES,
		.fallback = "[]",
		.help = "Addresses that are put on the TAP interface, with the length of their "
			"subnet." },
	{ .path = "dataplane.ports[].queues",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config_port, queues),
		.min = 1,
		.max = CONFIG_MAX_WORKERS,
		.fallback_note = "one for each worker, as far as the device has them",
		.help = "Receive queues." },
	{ .path = "dataplane.ports[].mtu",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config_port, mtu),
		.min = 1280,
		.max = 9216,
		.unit = "bytes",
		.fallback_note = "what the device has",
		.help = "Longest IP packet." },
	{ .path = "dataplane.ports[].vlans",
		.type = KEY_OBJECTS,
		.apply = KEY_RESTART_DATAPLANE,
		LIST_IN(config_port, vlans, n_vlans),
		.min = 0,
		.max = CONFIG_MAX_VLANS,
		.fallback = "[]",
		.help = "VLANs of the port, each with a TAP interface named PORT.ID of its own. "
			"Frames of other VLANs are dropped." },
	{ .path = "dataplane.ports[].vlans[].id",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		.is_required = true,
		IN(config_vlan, id),
		.min = 1,
		.max = 4094,
		.help = "VLAN identifier (IEEE 802.1Q)." },
	{ .path = "dataplane.ports[].vlans[].domain",
		.type = KEY_NUMBER,
		.apply = KEY_RESTART_DATAPLANE,
		IN(config_vlan, domain),
		.min = 0,
		.max = 65535,
		.fallback = "0",
		.help = "Mobility domain that the VLAN belongs to: its packets are routed by the "
			"domain's own tables. Untagged frames belong to domain 0." },
	{ .path = "dataplane.ports[].vlans[].addresses",
		.type = KEY_PORT_ADDRESSES,
		.apply = KEY_RESTART_DATAPLANE,
		LIST_IN(config_vlan, addresses, n_addresses),
		.min = 0,
		.max = CONFIG_MAX_PORT_ADDRESSES,
		.fallback = "[]",
		.help = "Addresses that are put on its TAP interface, with the length of their "
			"subnet." },

	{ .path = "home_networks",
		.type = KEY_OBJECTS_OWNED,
		.apply = KEY_LIVE,
		.offset = offsetof(struct config, networks),
		.size = sizeof(struct config_network),
		.count_offset = offsetof(struct config, n_networks),
		.count_size = FIELD_SIZE(config, n_networks),
		.min = 0,
		.max = CONFIG_MAX_NETWORKS,
		.fallback = "[]",
		.help = "The home networks that this node serves." },
	{ .path = "home_networks[].name",
		.type = KEY_NAME,
		.apply = KEY_LIVE,
		.is_required = true,
		IN(config_network, name),
		.min = 1,
		.max = CONFIG_NAME_MAX,
		.help = "Name of the network; no two have the same." },
	{ .path = "home_networks[].protocols",
		.type = KEY_WORDS,
		.apply = KEY_LIVE,
		.min = 1,
		.max = 5,
		.words = protocol_words,
		.fallback = "[\"mip6\"]",
		.help = "Mobility protocols: mip6 is Mobile IPv6 (RFC 6275)." },
	{ .path = "home_networks[].domain",
		.type = KEY_NUMBER,
		.apply = KEY_LIVE,
		IN(config_network, domain),
		.min = 0,
		.max = 65535,
		.fallback = "0",
		.help = "Mobility domain whose hosts reach the home prefixes: 0, or that of a "
			"VLAN. Tunnels to mobiles run in domain 0 whatever this is." },
	{ .path = "home_networks[].prefixes",
		.type = KEY_HOME_PREFIXES,
		.apply = KEY_LIVE,
		.is_required = true,
		LIST_IN(config_network, prefixes, n_prefixes),
		.min = 1,
		.max = CONFIG_MAX_PREFIXES,
		.help = "Prefixes that home addresses are in; none may overlap with another of "
			"the same domain." },
	{ .path = "home_networks[].home_prefix_length",
		.type = KEY_LATER_NUMBER,
		.apply = KEY_LIVE,
		.help = "Length of the prefix that each mobile gets." },
	{ .path = "home_networks[].agent_addresses",
		.type = KEY_AGENT_ADDRESSES,
		.apply = KEY_LIVE,
		.is_required = true,
		LIST_IN(config_network, agent_addresses, n_agents),
		.min = 1,
		.max = CONFIG_MAX_AGENT_ADDRESSES,
		.help = "Home agent addresses that mobiles register with and tunnel to; each "
			"belongs "
			"to one network, and may lie in its home prefix." },
	{ .path = "home_networks[].unicast_addresses",
		.type = KEY_LATER_LIST,
		.apply = KEY_LIVE,
		.help = "Agent addresses of this site outside the shared prefixes." },
	{ .path = "home_networks[].link",
		.type = KEY_WORD,
		.apply = KEY_LIVE,
		.words = link_words,
		.fallback = "\"virtual\"",
		.help = "Home link: virtual is a routed home prefix. The name of a port (a real "
			"home "
			"link) is not available in this version." },
	{ .path = "home_networks[].authentication",
		.type = KEY_WORD,
		.apply = KEY_LIVE,
		.is_required = true,
		IN(config_network, auth),
		.words = authentication_words,
		.help = "How registrations prove themselves: none (only for labs: anyone can "
			"redirect "
			"anyone's traffic), auth-option (RFC 4285) or ipsec (RFC 3776, RFC 4877); "
			"the keys are in the subscribers file." },
	{ .path = "home_networks[].protect",
		.type = KEY_WORD_BITS,
		.apply = KEY_LIVE,
		IN(config_network, protect),
		.min = 1,
		.max = 4,
		.words = protect_words,
		.fallback_note = "[\"signalling\", \"discovery\", \"routability\"] with "
				 "authentication ipsec, else nothing",
		.help = "What mobiles may exchange under ESP only: signalling (binding messages), "
			"discovery (mobile prefix solicitations and advertisements), routability "
			"(home test messages), payload (everything else in the tunnel). Needs "
			"authentication ipsec, and that needs signalling." },
	{ .path = "home_networks[].max_lifetime_s",
		.type = KEY_NUMBER,
		.apply = KEY_LIVE,
		IN(config_network, max_lifetime_s),
		.min = 4,
		.max = 262140,
		.multiple = 4,
		.unit = "s",
		.fallback = "420",
		.help = "Longest lifetime that a registration is granted." },
	{ .path = "home_networks[].prefix_valid_lifetime_s",
		.type = KEY_NUMBER,
		.apply = KEY_LIVE,
		IN(config_network, prefix_valid_lifetime_s),
		.min = 4,
		.max = UINT32_MAX - 1,
		.unit = "s",
		.fallback_note = "infinite",
		.help = "Valid lifetime of the home prefixes; no registration is granted for "
			"longer." },
	{ .path = "home_networks[].prefix_deprecated",
		.type = KEY_BOOL,
		.apply = KEY_LIVE,
		IN(config_network, prefix_deprecated),
		.fallback = "false",
		.help = "Answers registrations with status 1, accepted but prefix discovery "
			"necessary." },
	{ .path = "home_networks[].prefix_advertisements",
		.type = KEY_BOOL,
		.apply = KEY_LIVE,
		IN(config_network, prefix_advertisements),
		.fallback = "true",
		.help = "Answers Mobile Prefix Solicitations, and tells mobiles of changed "
			"prefixes (RFC 6275 section 10.6). Only under a security association." },
	{ .path = "home_networks[].min_prefix_advertisement_s",
		.type = KEY_NUMBER,
		.apply = KEY_LIVE,
		IN(config_network, min_prefix_advertisement_s),
		.min = 1,
		.max = 2678400,
		.unit = "s",
		.fallback = "600",
		.help = "Shortest time until mobiles are told of changed prefixes "
			"(MinMobPfxAdvInterval)." },
	{ .path = "home_networks[].max_prefix_advertisement_s",
		.type = KEY_NUMBER,
		.apply = KEY_LIVE,
		IN(config_network, max_prefix_advertisement_s),
		.min = 1,
		.max = 2678400,
		.unit = "s",
		.fallback = "86400",
		.help = "Longest time without an advertisement to a bound mobile "
			"(MaxMobPfxAdvInterval)." },
	{ .path = "home_networks[].mesg_id_required",
		.type = KEY_BOOL,
		.apply = KEY_LIVE,
		IN(config_network, mesg_id_required),
		.fallback_note = "true with authentication auth-option, else false",
		.help = "Refuses registrations without the replay protection option of RFC 4285." },
	{ .path = "home_networks[].encapsulation_limit",
		.type = KEY_NUMBER,
		.apply = KEY_LIVE,
		IN(config_network, encapsulation_limit),
		.min = 0,
		.max = 255,
		.fallback_note = "no limit is put in",
		.help = "Tunnel Encapsulation Limit option (RFC 2473) that tunnel packets from the "
			"agent addresses begin with: how many tunnels they may enter before they "
			"leave ours. It takes 8 bytes of the MTU, and some networks drop such "
			"packets." },
	{ .path = "home_networks[].mobile_networks",
		.type = KEY_LATER_LIST,
		.apply = KEY_LIVE,
		.help = "Prefixes of mobile networks." },
	{ .path = "home_networks[].mags",
		.type = KEY_LATER_LIST,
		.apply = KEY_LIVE,
		.help = "Mobile access gateways." },

	{ .path = "subscribers",
		.type = KEY_OBJECT,
		.apply = KEY_LIVE,
		.help = "Who may register." },
	{ .path = "subscribers.file",
		.type = KEY_FILE,
		.apply = KEY_LIVE,
		IN(config, subscribers.file),
		.min = 1,
		.max = 4095,
		.fallback_note = "no subscribers",
		.help = "JSON lines with mobile node identifiers, home addresses, keys and policy; "
			"relative to the folder of the configuration file." },
	{ .path = "control",
		.type = KEY_OBJECT,
		.apply = KEY_RESTART_CONTROL,
		.help = "The signalling process." },
	{ .path = "control.durability",
		.type = KEY_WORD,
		.apply = KEY_RESTART_CONTROL,
		IN(config, control.durability),
		.words = durability_words,
		.fallback = "\"sync\"",
		.help = "sync: a registration is on the disk before it is answered. relaxed: a "
			"power "
			"cut may lose the last ones, a crash of a process still loses none." },
	{ .path = "telemetry",
		.type = KEY_OBJECT,
		.apply = KEY_RESTART_CONTROL,
		.help = "Figures for monitoring." },
	{ .path = "telemetry.listen",
		.type = KEY_ENDPOINT,
		.apply = KEY_RESTART_CONTROL,
		IN(config, telemetry.listen),
		.fallback_note = "no such socket",
		.help = "Where the metrics are served, [::1]:9273 for instance." },
	{ .path = "cluster",
		.type = KEY_LATER_OBJECT,
		.apply = KEY_RESTART_CONTROL,
		.help = "Other home agents of the same networks." },
	{ .path = "bgp",
		.type = KEY_LATER_OBJECT,
		.apply = KEY_RESTART_CONTROL,
		.help = "How prefixes are announced." },
	{ .path = "aaa",
		.type = KEY_LATER_OBJECT,
		.apply = KEY_RESTART_CONTROL,
		.help = "Outside authorisation of subscribers." },
	{ 0 },
};

bool key_is_child(const struct key *key, const char *parent)
{
	size_t len = strlen(parent);

	if (len == 0)
		return strchr(key->path, '.') == NULL;
	return strncmp(key->path, parent, len) == 0 && key->path[len] == '.' &&
	       strchr(key->path + len + 1, '.') == NULL;
}

const char *key_name(const struct key *key)
{
	const char *dot = strrchr(key->path, '.');

	return dot == NULL ? key->path : dot + 1;
}

const struct key *key_find(const char *parent, const char *name)
{
	for (const struct key *key = key_table; key->path != NULL; key++) {
		if (key_is_child(key, parent) && strcmp(key_name(key), name) == 0)
			return key;
	}
	return NULL;
}

// Appends the available words of a key, with commas.
static void append_words(char buf[static KEY_TEXT_MAX], const struct key *key)
{
	size_t used = strlen(buf);
	const char *comma = "";

	for (const struct key_word *w = key->words; w->text != NULL; w++) {
		if (w->is_later)
			continue;
		used += (size_t)snprintf(buf + used, KEY_TEXT_MAX - used, "%s%s", comma, w->text);
		comma = ", ";
	}
}

char *key_allowed(const struct key *key, char buf[static KEY_TEXT_MAX])
{
	// What stands before min..max, and after it; no after: the range is not said.
	static const struct {
		const char *before, *after;
	} texts[] = {
		[KEY_OBJECT] = { "an object", NULL },
		[KEY_OBJECTS] = { "a list of ", " objects" },
		[KEY_OBJECTS_OWNED] = { "a list of ", " objects" },
		[KEY_NAME] = { "", " characters of A-Z a-z 0-9 . _ -" },
		[KEY_DEVICE] = { "a PCI address or DPDK vdev string of ", " characters" },
		[KEY_FILE] = { "a path of ", " characters" },
		[KEY_ENDPOINT] = { "ADDRESS:PORT, an IPv6 address in brackets", NULL },
		[KEY_BOOL] = { "true or false", NULL },
		[KEY_WORDS] = { "a list of: ", NULL },
		[KEY_WORD_BITS] = { "a list of: ", NULL },
		[KEY_CORES] = { "a list of ", " numbers, each 0..1023" },
		[KEY_PORT_ADDRESSES] = { "a list of ", " unicast ADDRESS/LENGTH, IPv6 or IPv4" },
		[KEY_HOME_PREFIXES] = { "a list of ",
			" unicast IPv6 prefixes, each /16../64 without host bits" },
		[KEY_AGENT_ADDRESSES] = { "a list of ", " unicast routable IPv6 addresses" },
		[KEY_LATER_OBJECT] = { "nothing or {}", NULL },
		[KEY_LATER_LIST] = { "nothing or []", NULL },
		[KEY_LATER_NUMBER] = { "nothing", NULL },
		[KEY_NUMBER] = { "", "" },
		[KEY_WORD] = { "", NULL },
	};
	const char *after = texts[key->type].after;
	int n = snprintf(buf, KEY_TEXT_MAX, "%s", texts[key->type].before);

	if (after != NULL)
		n += snprintf(
			buf + n, KEY_TEXT_MAX - (size_t)n, "%u..%u%s", key->min, key->max, after);
	if (key->unit != NULL)
		n += snprintf(buf + n, KEY_TEXT_MAX - (size_t)n, " %s", key->unit);
	if (key->multiple != 0)
		snprintf(buf + n, KEY_TEXT_MAX - (size_t)n, " in steps of %u", key->multiple);
	if (key->words != NULL)
		append_words(buf, key);
	return buf;
}
