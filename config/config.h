// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The one JSON configuration file, read by both processes, as a checked struct.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dataplane/base/addr.h"

enum {
	CONFIG_NAME_MAX = 63, // characters of a name
	CONFIG_PORT_NAME_MAX = 15, // it is the name of the TAP twin too
	CONFIG_NODE_ID_MAX = 255,
	CONFIG_MAX_PORTS = 16,
	CONFIG_MAX_PORT_ADDRESSES = 16,
	CONFIG_MAX_VLANS = 32, // of one port
	CONFIG_MAX_LINKS = 64, // ports and VLANs together
	CONFIG_MAX_DOMAINS = 16, // with domain 0
	CONFIG_MAX_WORKERS = 64,
	CONFIG_MAX_NETWORKS = 256,
	CONFIG_MAX_PREFIXES = 16, // of one home network
	CONFIG_MAX_AGENT_ADDRESSES = 4, // of one home network
	CONFIG_MAX_ALL_PREFIXES = 1023, // of all home networks, as the dataplane's table holds
	CONFIG_MAX_ALL_AGENTS = 256, // of all home networks
	CONFIG_NO_ENCAPSULATION_LIMIT = 256,
	CONFIG_DEFAULT_SAS = 65536, // slots, where a home network has authentication ipsec
};

enum config_idle { CONFIG_IDLE_AUTO, CONFIG_IDLE_SPIN, CONFIG_IDLE_SLEEP };
enum config_hugepages { CONFIG_HUGEPAGES_AUTO, CONFIG_HUGEPAGES_ON, CONFIG_HUGEPAGES_OFF };
enum config_auth { CONFIG_AUTH_NONE = 1, CONFIG_AUTH_OPTION, CONFIG_AUTH_IPSEC }; // no default

// What may be asked to come and go under ESP only; bits.
enum config_protect {
	CONFIG_PROTECT_SIGNALLING = 1 << 1,
	CONFIG_PROTECT_DISCOVERY = 1 << 2,
	CONFIG_PROTECT_ROUTABILITY = 1 << 3,
	CONFIG_PROTECT_PAYLOAD = 1 << 4,
};

enum config_durability { CONFIG_DURABILITY_SYNC, CONFIG_DURABILITY_RELAXED };

struct config_vlan {
	uint16_t id; // 1..4094
	uint32_t domain;
	uint8_t n_addresses;
	struct ip6_prefix addresses[CONFIG_MAX_PORT_ADDRESSES]; // as a port's
};

struct config_port {
	char name[CONFIG_PORT_NAME_MAX + 1];
	char *device; // PCI address or vdev string; owned
	uint16_t queues; // receive queues, 0 = one per worker where the device can
	uint16_t mtu; // 0 = what the device has
	uint8_t n_addresses;
	struct ip6_prefix
		addresses[CONFIG_MAX_PORT_ADDRESSES]; // with host bits; v4-mapped for IPv4
	uint8_t n_vlans;
	struct config_vlan vlans[CONFIG_MAX_VLANS];
};

struct config_dataplane {
	uint16_t worker_cores[CONFIG_MAX_WORKERS];
	uint16_t n_workers; // 1..CONFIG_MAX_WORKERS; default: worker_cores [1] (or [0] on one core)
	uint16_t main_core;
	enum config_idle idle;
	enum config_hugepages hugepages;
	uint32_t memory_mb; // of DPDK, 0 = reckoned from the other settings
	uint32_t max_bindings; // default 100000
	uint32_t max_routes; // of IPv4 in one domain, default 16384
	uint32_t max_routes_ip6; // of IPv6, default as many, at most 262144
	uint32_t max_sas; // slots of security associations, 0 = none
	uint32_t orphan_hold_s; // forwarding without control; default the longest max_lifetime_s
	uint16_t n_ports;
	struct config_port ports[CONFIG_MAX_PORTS];
	uint8_t n_domains; // reckoned: the domains of the VLANs, 0 always first
	uint32_t domains[CONFIG_MAX_DOMAINS];
};

struct config_network {
	char name[CONFIG_NAME_MAX + 1];
	uint32_t domain;
	uint8_t n_prefixes;
	struct ip6_prefix prefixes[CONFIG_MAX_PREFIXES];
	uint8_t n_agents;
	struct ip6 agent_addresses[CONFIG_MAX_AGENT_ADDRESSES];
	enum config_auth auth;
	uint8_t protect; // of enum config_protect; 0 but with CONFIG_AUTH_IPSEC
	uint32_t max_lifetime_s; // multiple of 4, default 420
	uint32_t
		prefix_valid_lifetime_s; // of the home prefixes: caps what is granted (M12), 0 = infinite
	bool prefix_deprecated; // answer registrations with status 1 (M12)
	uint16_t encapsulation_limit; // 0..255, CONFIG_NO_ENCAPSULATION_LIMIT = no option
	bool prefix_advertisements; // Mobile Prefix Advertisements; default true
	uint32_t min_prefix_advertisement_s, max_prefix_advertisement_s; // RFC 6275 section 13
	bool mesg_id_required; // RFC 4285 MESG-ID, default true with auth-option
};

// The whole configuration. Owned by the caller of config_load; free with config_free.
struct config {
	struct {
		char name[CONFIG_NAME_MAX + 1];
		char site[CONFIG_NAME_MAX + 1];
		uint16_t id; // 0..CONFIG_NODE_ID_MAX
	} node;
	struct config_dataplane dataplane;
	uint16_t n_networks;
	struct config_network *networks; // owned
	struct {
		char *file; // path, relative ones against the config file's folder; NULL without; owned
	} subscribers;
	struct {
		enum config_durability durability;
	} control;
	struct {
		char *listen; // "[::1]:9273"; NULL without; owned
	} telemetry;
	struct json_t *document; // what the file said, for config_diff; owned
};

// Reads and checks the file at path. Every error goes to err as one line
// "PATH: path.to.key: what is wrong (what is allowed)".
// Returns: an owned config, or NULL with errno EINVAL (errors were written), or that of reading
// (also written).
struct config *config_load(const char *path, FILE *err);

// The same for len bytes of JSON in memory; name stands for the path in errors and for the folder
// of relative paths. Returns: an owned config, or NULL with errno EINVAL or ENOMEM.
struct config *config_parse(const char *text, size_t len, const char *name, FILE *err);

// Reads the whole file at path; an error goes to err.
// Returns: its owned text with a final zero and the length in *len, or NULL with errno.
char *config_read(const char *path, size_t *len, FILE *err);

// Frees config; NULL is allowed.
void config_free(struct config *config);

// Compares two configurations key by key. A changed key that takes effect while running is written
// to live as "path.to.key"; one that does not to restart as "path.to.key: restart PROGRAM". Either
// stream may be NULL.
// Returns: the number of changed keys that need a restart.
unsigned int config_diff(
	const struct config *from, const struct config *to, FILE *restart, FILE *live);
