// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/mgmt_show.h"

#include <stdio.h>
#include <stdlib.h>

#include "controlplane/codec/mh.h"
#include "controlplane/publish.h"
#include "controlplane/learn_link.h"
#include "controlplane/sas.h"
#include "dataplane/base/clock.h"

// What the dataplane refused is sent again every second: with no new refusal it was taken.
#define REFUSED_ALARM_NS (5 * CLOCK_NS_PER_S)

static json_t *address_json(const struct ip6 *a)
{
	char text[IP6_STRLEN];

	return json_string(ip6_str(a, text));
}

static void set_u64(json_t *object, const char *key, uint64_t n)
{
	json_object_set_new(object, key, json_integer((json_int_t)n));
}

json_t *mgmt_show_text(const void *text, size_t len)
{
	const uint8_t *from = text;
	char out[256];

	if (len > sizeof(out))
		len = sizeof(out);
	for (size_t i = 0; i < len; i++)
		out[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	return json_stringn(out, len);
}

// The end of life in wall time, as RFC 3339 text.
static json_t *expiry_json(uint64_t expires_boot_ns)
{
	uint64_t now_ns = clock_boot_ns();
	uint64_t left_ns = expires_boot_ns > now_ns ? expires_boot_ns - now_ns : 0;
	time_t at = (time_t)((clock_wall_ns() + left_ns) / CLOCK_NS_PER_S);
	char text[32];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *flags_json(uint16_t flags)
{
	static const struct {
		uint16_t flag;
		const char *name;
	} names[] = { { MH_BU_A, "A" }, { MH_BU_H, "H" }, { MH_BU_L, "L" }, { MH_BU_K, "K" },
		{ MH_BU_R, "R" }, { MH_BU_P, "P" } };
	json_t *array = json_array();

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((flags & names[i].flag) != 0)
			json_array_append_new(array, json_string(names[i].name));
	return array;
}

static json_t *care_of_json(const struct control *control, const struct bce *bce)
{
	const struct api_care_of *care_of = &bce->care_of;
	uint32_t slot = sas_find(control->sas, &bce->home, bce->domain,
		&control->networks.agents[care_of->agent].address);
	char text[IP6_STRLEN];

	const struct sas_slot *sa = sas_at(control->sas, slot);

	return json_pack("[{s:s, s:i, s:s, s:n, s:o, s:s?}]", "address",
		ip6_str(&care_of->address, text), "bid", care_of->bid, "mode", "ip6-ip6", "port",
		"sa", slot != 0 ? json_integer(slot) : json_null(), "sa_source",
		sa == NULL       ? NULL
		: sa->is_learned ? "ike"
				 : "file");
}

json_t *mgmt_show_binding(
	const struct control *control, const struct bce *bce, const struct api_counters *living)
{
	const struct config_network *network = control->networks.prefixes[bce->home_prefix].network;
	bool counts = living != NULL && living->generation == bce->generation;
	json_t *o = json_object();

	json_object_set_new(o, "home_network", json_string(network != NULL ? network->name : ""));
	set_u64(o, "domain", bce->domain);
	json_object_set_new(o, "home_address", address_json(&bce->home));
	json_object_set_new(o, "prefixes", json_array());
	json_object_set_new(o, "mn_id", mgmt_show_text(bce->mn_id, bce->mn_id_len));
	json_object_set_new(o, "care_of", care_of_json(control, bce));
	set_u64(o, "lifetime_s", bce->lifetime_s);
	json_object_set_new(o, "expires_at", expiry_json(bce->expires_ns));
	set_u64(o, "sequence", bce->sequence);
	json_object_set_new(o, "serving_ha", json_string(control->config->node.name));
	json_object_set_new(o, "state", json_string("registered"));
	json_object_set_new(o, "flags", flags_json(bce->flags));
	set_u64(o, "packets_down", bce->packets_down + (counts ? living->packets_down : 0));
	set_u64(o, "bytes_down", bce->bytes_down + (counts ? living->bytes_down : 0));
	set_u64(o, "packets_up", bce->packets_up + (counts ? living->packets_up : 0));
	set_u64(o, "bytes_up", bce->bytes_up + (counts ? living->bytes_up : 0));
	return o;
}

static uint64_t network_bindings(const struct networks *networks, const struct config_network *of)
{
	uint64_t n = 0;

	for (unsigned int i = 1; i < API_MAX_HOME_PREFIXES; i++)
		if (networks->prefixes[i].network == of)
			n += networks->prefixes[i].n_bindings;
	return n;
}

static json_t *protect_json(uint8_t protect)
{
	json_t *array = json_array();

	for (uint8_t use = 1; use < API_SA_USE_MAX; use++)
		if ((protect & API_SA_BIT(use)) != 0)
			json_array_append_new(array, json_string(association_use_name(use)));
	return array;
}

static json_t *network_json(const struct control *control, const struct config_network *network)
{
	json_t *o = json_object(), *prefixes = json_array(), *agents = json_array();

	for (unsigned int i = 0; i < network->n_prefixes; i++) {
		char text[PREFIX_STRLEN];

		json_array_append_new(
			prefixes, json_string(prefix_str(&network->prefixes[i], text)));
	}
	for (unsigned int i = 0; i < network->n_agents; i++)
		json_array_append_new(agents, address_json(&network->agent_addresses[i]));
	json_object_set_new(o, "name", json_string(network->name));
	set_u64(o, "domain", network->domain);
	json_object_set_new(o, "protocols", json_pack("[s]", "mip6"));
	json_object_set_new(o, "prefixes", prefixes);
	json_object_set_new(o, "agent_addresses", agents);
	json_object_set_new(o, "link", json_string("virtual"));
	json_object_set_new(o, "authentication",
		json_string(network->auth == CONFIG_AUTH_NONE    ? "none"
			    : network->auth == CONFIG_AUTH_IPSEC ? "ipsec"
								 : "auth-option"));
	json_object_set_new(o, "protect", protect_json(network->protect));
	set_u64(o, "max_lifetime_s", network->max_lifetime_s);
	set_u64(o, "bindings", network_bindings(&control->networks, network));
	return o;
}

json_t *mgmt_show_networks(const struct control *control)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < control->config->n_networks; i++)
		json_array_append_new(array, network_json(control, &control->config->networks[i]));
	return array;
}

static void add_drop(void *object, const char *name, uint64_t n)
{
	if (n > 0)
		set_u64(object, name, n);
}

static void add_sa_alarms(const struct control *control, json_t *array)
{
	static const char *const texts[SAS_STATE_MAX] = {
		[SAS_REFUSED] = "the dataplane refused %u security associations",
		[SAS_EXPIRED] = "%u security associations are over: they need new keys",
		[SAS_LOST] =
			"it is not known which sequence numbers %u security associations used: "
			"they need new keys",
	};
	int last_error = control->stats.sas.last_error;
	uint32_t n[SAS_STATE_MAX];

	sas_count(control->sas, n);
	for (unsigned int state = 0; state < SAS_STATE_MAX; state++)
		if (texts[state] != NULL && n[state] > 0)
			json_array_append_new(array, json_sprintf(texts[state], n[state]));
	if (last_error != 0)
		json_array_append_new(
			array, json_sprintf("sequence numbers cannot be reserved (%s): security "
					    "associations wait for them",
				       strerror(-last_error)));
}

static json_t *sas_json(const struct control *control)
{
	uint32_t n[SAS_STATE_MAX];
	json_t *o = json_object();

	sas_count(control->sas, n);
	set_u64(o, "mobiles", control->sas->n_slots);
	set_u64(o, "mobiles_of_ike", control->sas->n_learned);
	set_u64(o, "mobiles_of_ike_unplaced", control->sas->n_learned_unplaced);
	set_u64(o, "ike_records_refused", learn_link_table(control->learn)->n_refused);
	json_object_set_new(o, "ike_mirror",
		json_string(learn_link_is_up(control->learn) ? "connected" : "away"));
	for (uint8_t state = 0; state < SAS_STATE_MAX; state++)
		set_u64(o, sas_state_name(state), n[state]);
	set_u64(o, "grants", control->stats.sas.n_grants);
	set_u64(o, "forgotten", control->stats.sas.n_pruned);
	return o;
}

// What a person must look at, as sentences.
static json_t *alarms_json(const struct control *control)
{
	struct bcache_counts counts = bcache_counts(control->bcache);
	int last_error = store_stats(control->store).last_error;
	json_t *array = json_array();

	if (control->sync.state == CONTROL_SYNC_NONE)
		json_array_append_new(array, json_string("the dataplane is away"));
	if (control->sync.state == CONTROL_SYNC_REFUSED)
		json_array_append_new(array,
			json_sprintf("the dataplane keeps %u bindings that are not in the store: "
				     "look at the store, or unwiredctl resync --force",
				control->sync.n_stale));
	if (last_error != 0)
		json_array_append_new(array,
			json_sprintf("the store cannot be written (%s): registrations are refused",
				strerror(-last_error)));
	if (counts.n_unserved > 0)
		json_array_append_new(array,
			json_sprintf("no home network of the configuration has %u bindings of the "
				     "store: correct it and reload, or they end",
				counts.n_unserved));
	if (control->sync.n_errors > 0 &&
		clock_mono_ns() - control->sync.refused_ns < REFUSED_ALARM_NS)
		json_array_append_new(array,
			json_sprintf(
				"the dataplane refused bindings %llu times since it was filled",
				(unsigned long long)control->sync.n_errors));
	if (control->stats.n_replication_failures > 0)
		json_array_append_new(array,
			json_sprintf("other home agents lack bindings: %llu groups since the start",
				(unsigned long long)control->stats.n_replication_failures));
	add_sa_alarms(control, array);
	for (unsigned int i = 0; i < control->config->n_networks; i++)
		if (control->config->networks[i].auth == CONFIG_AUTH_NONE)
			json_array_append_new(
				array, json_sprintf("home network %s authenticates nobody",
					       control->config->networks[i].name));
	return array;
}

static json_t *answers_json(const struct stats *stats)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < 256; i++) {
		char status[8];

		snprintf(status, sizeof(status), "%u", i);
		if (stats->answers[i] > 0)
			set_u64(o, status, stats->answers[i]);
	}
	return o;
}

static json_t *store_json(const struct store *store)
{
	struct store_stats stats = store_stats(store);

	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "state", stats.has_failed ? "failed" : "ok",
		"live", (json_int_t)stats.n_live, "log", (json_int_t)stats.n_log, "commits",
		(json_int_t)stats.n_commits, "commit_errors", (json_int_t)stats.n_commit_errors);
}

json_t *mgmt_show_status(const struct control *control)
{
	struct bcache_counts counts = bcache_counts(control->bcache);
	const struct stats *stats = &control->stats;
	json_t *o = json_object(), *drops = json_object();

	stats_each_drop(stats, add_drop, drops);
	json_object_set_new(o, "node", json_string(control->config->node.name));
	json_object_set_new(o, "site", json_string(control->config->node.site));
	json_object_set_new(o, "version", json_string(UNWIRED_VERSION));
	set_u64(o, "uptime_s", (clock_mono_ns() - control->started_ns) / CLOCK_NS_PER_S);
	json_object_set_new(o, "dataplane", json_string(publish_sync_name(control->sync.state)));
	set_u64(o, "bindings", counts.n_live);
	set_u64(o, "bindings_held", counts.n_hold);
	set_u64(o, "bindings_unserved", counts.n_unserved);
	set_u64(o, "max_bindings", control_max_bindings(control));
	set_u64(o, "subscribers", subscribers_counts(control->subscribers).n_subscribers);
	set_u64(o, "registered", stats->kinds[DECIDE_REGISTER]);
	set_u64(o, "refreshed", stats->kinds[DECIDE_REFRESH]);
	set_u64(o, "moved", stats->kinds[DECIDE_MOVE]);
	set_u64(o, "deregistered", stats->kinds[DECIDE_DEREGISTER]);
	set_u64(o, "expired", stats->n_expired);
	set_u64(o, "over_quota", stats->n_over_quota);
	set_u64(o, "holds_forgotten", stats->n_holds_forgotten);
	json_object_set_new(o, "answers", answers_json(stats));
	set_u64(o, "binding_errors", stats->n_binding_errors);
	set_u64(o, "param_problems", stats->n_param_problems);
	set_u64(o, "prefix_advertisements", stats->n_prefix_advertisements);
	set_u64(o, "punts", link_stats(control->link)->n_punts);
	set_u64(o, "punts_dropped", link_stats(control->link)->n_punts_dropped);
	json_object_set_new(o, "drops", drops);
	json_object_set_new(o, "security_associations", sas_json(control));
	json_object_set_new(o, "store", store_json(control->store));
	json_object_set_new(o, "alarms", alarms_json(control));
	return o;
}

json_t *mgmt_show_sync(const struct control *control)
{
	struct bcache_counts counts = bcache_counts(control->bcache);
	const struct link_stats *link = link_stats(control->link);
	char id[24];
	json_t *o = json_object();

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)store_id(control->store));
	json_object_set_new(o, "dataplane", json_string(publish_sync_name(control->sync.state)));
	set_u64(o, "bindings", counts.n_live);
	set_u64(o, "unsent", counts.n_dirty);
	set_u64(o, "held", counts.n_held);
	set_u64(o, "dataplane_bindings", control->sync.n_live);
	set_u64(o, "dataplane_stale", control->sync.n_stale);
	set_u64(o, "resyncs", control->sync.n_runs);
	json_object_set_new(o, "store_id", json_string(id));
	set_u64(o, "store_generation", store_generation(control->store));
	set_u64(o, "connects", link->n_connects);
	set_u64(o, "protocol_errors", link->n_protocol_errors);
	set_u64(o, "messages_in", link->n_messages_in);
	set_u64(o, "messages_out", link->n_messages_out);
	set_u64(o, "blocked", link->n_blocked);
	return o;
}

static uint32_t find_live(const struct control *control, const struct bcache_key *key)
{
	uint32_t handle = bcache_find(control->bcache, key);
	const struct bce *bce = bcache_at(control->bcache, handle);

	return bce != NULL && bce->state == BCE_LIVE ? handle : BCACHE_NONE;
}

static uint32_t find_in_any_domain(const struct control *control, const struct ip6 *home)
{
	for (unsigned int i = 1; i < API_MAX_HOME_PREFIXES; i++) {
		const struct networks_prefix *p = &control->networks.prefixes[i];
		struct bcache_key key = { .home = *home, .domain = p->domain };
		uint32_t handle;

		if (p->network == NULL || !prefix_contains(&p->prefix, home))
			continue;
		handle = find_live(control, &key);
		if (handle != BCACHE_NONE)
			return handle;
	}
	return BCACHE_NONE;
}

uint32_t mgmt_show_find(const struct control *control, const char *text)
{
	const char *at = strchr(text, '@');
	char address[IP6_STRLEN];
	struct bcache_key key = { 0 };
	uint32_t handle;

	if (ip6_parse(text, &key.home) == 0)
		return find_in_any_domain(control, &key.home);
	if (at != NULL && (size_t)(at - text) < sizeof(address)) {
		char *end;

		memcpy(address, text, (size_t)(at - text));
		address[at - text] = '\0';
		key.domain = (uint32_t)strtoul(at + 1, &end, 10);
		if (*end == '\0' && end != at + 1 && ip6_parse(address, &key.home) == 0)
			return find_live(control, &key);
	}
	if (strlen(text) > BCE_MN_ID_MAX)
		return BCACHE_NONE;
	handle = bcache_find_mn_id(control->bcache, text, strlen(text));
	while (handle != BCACHE_NONE && bcache_at(control->bcache, handle)->state != BCE_LIVE)
		handle = bcache_next_mn_id(control->bcache, handle);
	return handle;
}
