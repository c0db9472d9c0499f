// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/discovery.h"

#include <stdlib.h>
#include <sys/random.h>

#include "controlplane/answer.h"
#include "controlplane/authorise.h"
#include "controlplane/codec/mpa.h"
#include "controlplane/sas.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"

enum {
	HOP_LIMIT = 64,
	RETRIES = 3, // PREFIX_ADV_RETRIES, RFC 6275 section 12
	TIMEOUT_S = 3, // PREFIX_ADV_TIMEOUT
	LOOKED_AT_MIN = 1024, // slots of a tick
	LOOKED_AT_PART = 64, // of all slots in a tick
};

// RFC 6275 section 6.8: not more than one a second to any mobile.
#define PAUSE_NS CLOCK_NS_PER_S

static const struct config_network *network_of(
	const struct control *control, const struct sas_slot *slot)
{
	uint16_t number =
		networks_find_prefix(&control->networks, slot->home.domain, &slot->home.home);

	return control->networks.prefixes[number].network;
}

static uint32_t valid_of(const struct config_network *network)
{
	return network->prefix_valid_lifetime_s != 0 ? network->prefix_valid_lifetime_s
						     : MPA_INFINITE;
}

// Whether the mobile of a slot can be told anything.
static bool can_send(const struct sas_slot *slot)
{
	for (unsigned int i = 0; i < slot->n; i++) {
		const struct sas_entry *entry = &slot->list[i];

		if (entry->use == API_SA_DISCOVERY && entry->direction == API_SA_OUT)
			return entry->state == SAS_STANDING;
	}
	return false;
}

// Sends an advertisement to where the mobile of a slot is.
static void send(struct control *control, uint32_t number, struct sas_slot *slot,
	const struct config_network *network, const struct ip6 *care_of, uint16_t identifier)
{
	struct ip6chain_head head = { .src = slot->home.agent,
		.dst = *care_of,
		.routed = &slot->home.home,
		.hop_limit = HOP_LIMIT };
	uint32_t valid_s = valid_of(network);
	struct mpa_prefix prefixes[CONFIG_MAX_PREFIXES];
	uint8_t packet[IP6_MIN_MTU];
	ssize_t len;

	for (unsigned int i = 0; i < network->n_prefixes; i++) {
		const struct ip6_prefix *prefix = &network->prefixes[i];
		bool has_router = prefix_contains(prefix, &slot->home.agent);

		prefixes[i] = (struct mpa_prefix){
			.address = has_router ? slot->home.agent : prefix->addr,
			.len = prefix->len,
			.has_router = has_router,
			.valid_s = valid_s,
			.preferred_s = network->prefix_deprecated ? 0 : valid_s,
		};
	}
	len = mpa_build(packet, sizeof(packet), &head, identifier, prefixes, network->n_prefixes);
	slot->told_ns = clock_mono_ns();
	if (len > 0 && answer_put(control, packet, (size_t)len, number, API_SA_DISCOVERY))
		control->stats.n_prefix_advertisements++;
}

void discovery_solicited(
	struct control *control, const struct api_punt *punt, const struct ip6chain *chain)
{
	struct stats *stats = &control->stats;
	uint16_t agent = networks_find_agent(&control->networks, &chain->dst), identifier;
	const struct config_network *network;
	enum stats_drop why = STATS_DROP_UNPROTECTED;
	struct sas_slot *slot;
	uint32_t number = 0;

	if (agent != NETWORKS_NO_AGENT)
		number = authorise_sa(control, punt, chain, control->networks.agents[agent].domain,
			API_SA_DISCOVERY, &why);
	if (number == 0) {
		stats->drops[why]++;
		return;
	}
	slot = &control->sas->slots[number];
	network = network_of(control, slot);
	if (mpa_read_solicitation(chain, &identifier) != 0 || network == NULL ||
		!network->prefix_advertisements || !ip6_is_unicast_routable(&chain->src)) {
		stats->drops[STATS_DROP_SOLICITATION]++;
		return;
	}
	slot->is_untold = false;
	slot->tell_ns = 0;
	slot->n_told = 0;
	if (slot->told_ns != 0 && clock_mono_ns() - slot->told_ns < PAUSE_NS)
		stats->drops[STATS_DROP_LIMITED]++;
	else
		send(control, number, slot, network, &chain->src, identifier);
}

void discovery_updated(struct control *control, uint32_t sa_slot)
{
	struct sas_slot *slot;

	if (sas_at(control->sas, sa_slot) == NULL)
		return;
	slot = &control->sas->slots[sa_slot];
	if (!slot->is_untold || slot->tell_ns != 0)
		return;
	slot->n_told = 0;
	slot->tell_ns = clock_mono_ns() + PAUSE_NS;
}

// RAND_ADV_DELAY of RFC 6275 section 10.6.2.
static uint64_t delay_ns(const struct config_network *network)
{
	uint64_t least_s = network->min_prefix_advertisement_s;
	uint64_t most_s = network->max_prefix_advertisement_s, spread_s;
	uint64_t preferred_s = network->prefix_deprecated ? 0 : valid_of(network);
	uint32_t random = 0;

	if (preferred_s < most_s)
		most_s = preferred_s;
	spread_s = most_s > least_s ? most_s - least_s : least_s - most_s;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0 || spread_s == 0)
		return least_s * CLOCK_NS_PER_S;
	return (least_s + random % spread_s) * CLOCK_NS_PER_S;
}

// Tells the mobile what it was not told yet, until it answers or was told often enough.
static void tell(struct control *control, uint32_t number, struct sas_slot *slot,
	const struct config_network *network, const struct bce *bce, uint64_t now_ns)
{
	if (slot->told_ns != 0 && now_ns < slot->told_ns + PAUSE_NS)
		return;
	send(control, number, slot, network, &bce->care_of.address, ++control->mpa_identifier);
	slot->is_untold = true;
	slot->tell_ns = slot->n_told < RETRIES
				? now_ns + ((uint64_t)TIMEOUT_S << slot->n_told) * CLOCK_NS_PER_S
				: 0;
	slot->n_told++;
}

// True when the mobile of a slot was told nothing for too long.
static bool is_due(
	const struct sas_slot *slot, const struct config_network *network, uint64_t now_ns)
{
	uint64_t end_ns =
		slot->told_ns + network->max_prefix_advertisement_s * (uint64_t)CLOCK_NS_PER_S;

	return slot->told_ns == 0 || now_ns >= end_ns;
}

static void look(struct control *control, uint32_t number, uint64_t now_ns)
{
	struct sas_slot *slot = &control->sas->slots[number];
	struct bcache_key key = { .home = slot->home.home, .domain = slot->home.domain };
	const struct config_network *network = network_of(control, slot);
	const struct bce *bce;

	if (!can_send(slot) || network == NULL || !network->prefix_advertisements)
		return;
	bce = bcache_at(control->bcache, bcache_find(control->bcache, &key));
	if (bce == NULL || bce->state != BCE_LIVE) {
		slot->tell_ns = 0; // the next registration begins anew
		slot->told_ns = 0;
		slot->is_untold = slot->is_changed = false;
		return;
	}
	if (slot->is_changed || (slot->tell_ns == 0 && is_due(slot, network, now_ns))) {
		slot->is_changed = false;
		slot->n_told = 0;
		slot->tell_ns = now_ns + delay_ns(network);
	}
	if (slot->tell_ns != 0 && now_ns >= slot->tell_ns)
		tell(control, number, slot, network, bce, now_ns);
}

void discovery_tick(struct control *control)
{
	struct sas *sas = control->sas;
	uint64_t now_ns = clock_mono_ns();
	uint32_t n = sas->top / LOOKED_AT_PART;

	if (sas->n_slots == 0)
		return;
	if (n < LOOKED_AT_MIN)
		n = LOOKED_AT_MIN;
	if (n >= sas->top)
		n = sas->top - 1; // each once; slot 0 is none
	for (; n > 0; n--) {
		sas->look_at = sas->look_at + 1 < sas->top ? sas->look_at + 1 : 1;
		if (sas->slots[sas->look_at].n > 0)
			look(control, sas->look_at, now_ns);
	}
	link_flush(control->link);
}
