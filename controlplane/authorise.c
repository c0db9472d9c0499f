// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/authorise.h"

#include <errno.h>
#include <stdio.h>

#include "controlplane/sas.h"

// Names of the identifiers of RFC 8371 that are not text, for what people read.
static const char *const mn_id_names[] = {
	[MH_MN_ID_IPV6] = "ipv6",
	[MH_MN_ID_IMSI] = "imsi",
	[MH_MN_ID_P_TMSI] = "p-tmsi",
	[MH_MN_ID_EUI48] = "eui48",
	[MH_MN_ID_EUI64] = "eui64",
	[MH_MN_ID_GUTI] = "guti",
	[MH_MN_ID_DUID] = "duid",
};

// Takes the MN-ID of the Update: an NAI as it is, others as "name:hex". What is too long for a
// record is as good as none.
static void take_mn_id(const struct mh_mn_id *from, struct authorise *out)
{
	enum { N_NAMES = sizeof(mn_id_names) / sizeof(mn_id_names[0]) };
	char text[2 * BCE_MN_ID_MAX + 16];
	int n;

	if (from->subtype == MH_MN_ID_NAI) {
		if (from->id.len <= BCE_MN_ID_MAX) {
			out->mn_id_len = from->id.len;
			memcpy(out->mn_id, from->id.p, from->id.len);
		}
		return;
	}
	if (from->subtype >= N_NAMES || mn_id_names[from->subtype] == NULL ||
		from->id.len > BCE_MN_ID_MAX)
		return;
	n = snprintf(text, sizeof(text), "%s:", mn_id_names[from->subtype]);
	for (unsigned int i = 0; i < from->id.len; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", from->id.p[i]);
	if (n <= BCE_MN_ID_MAX) {
		out->mn_id_len = (uint8_t)n;
		memcpy(out->mn_id, text, (size_t)n);
	}
}

// The subscriber: by MN-ID when the Update carries a known one, else by home address. An association
// proves the home address.
static bool find_subscriber(const struct control *control, const struct ip6 *home,
	const struct authorise *known, struct subscriber *out)
{
	if (subscribers_counts(control->subscribers).n_subscribers == 0)
		return false;
	if (known->mn_id_len > 0 && known->sa_slot == 0 &&
		subscribers_find_by_mn_id(
			control->subscribers, known->mn_id, known->mn_id_len, out) == 0)
		return true;
	return subscribers_find_by_home(control->subscribers, home, out) == 0;
}

// A home address that is listed for one subscriber is nobody else's.
static bool may_have_home(
	const struct control *control, const struct subscriber *subscriber, const struct ip6 *home)
{
	struct subscriber owner;

	if (!subscriber_has_home(subscriber, home))
		return false;
	if (subscriber->n_homes > 0)
		return true;
	return subscribers_find_by_home(control->subscribers, home, &owner) == -ENOENT;
}

static enum auth_result verify(const struct control *control, const struct ip6chain *chain,
	const struct mh *bu, const struct subscriber *subscriber, struct authorise *out)
{
	const struct subscriber_key *key = NULL;

	if (!bu->opt.has_mn_ha)
		return AUTH_MISSING;
	if (subscriber != NULL)
		key = subscriber_find_key(subscriber, bu->opt.mn_ha.spi);
	if (key == NULL)
		return AUTH_NO_SA;
	out->has_key = true;
	out->key = *key;
	return auth_verify(control->auth, key->key, key->len, mh_bu_coa(chain, bu),
		mh_bu_home(chain), bu->data, &bu->opt);
}

uint32_t authorise_sa(const struct control *control, const struct api_punt *punt,
	const struct ip6chain *chain, uint32_t domain, uint8_t use, enum stats_drop *why)
{
	const struct sas_slot *slot = sas_at(control->sas, punt->sa_slot);
	struct reserve_home home = {
		.home = *ip6chain_upper_src(chain), .agent = chain->dst, .domain = domain
	};

	*why = STATS_DROP_UNPROTECTED;
	if (punt->sa_slot == 0)
		return 0;
	*why = STATS_DROP_WRONG_SA;
	if (slot == NULL || punt->sa_use != use || memcmp(&slot->home, &home, sizeof(home)) != 0)
		return 0;
	return punt->sa_slot;
}

void authorise_bu(const struct control *control, const struct api_punt *punt,
	const struct ip6chain *chain, const struct mh *bu, struct authorise *out)
{
	const struct ip6 *home = mh_bu_home(chain);
	struct subscriber subscriber;

	const struct config_network *network = NULL;

	*out = (struct authorise){ 0 };
	out->agent = networks_find_agent(&control->networks, &chain->dst);
	if (out->agent != NETWORKS_NO_AGENT) {
		out->domain = control->networks.agents[out->agent].domain;
		network = control->networks.agents[out->agent].network;
	}
	out->home_prefix = networks_find_prefix(&control->networks, out->domain, home);
	if (out->home_prefix != 0)
		network = out->network = control->networks.prefixes[out->home_prefix].network;
	if (network != NULL && network->auth == CONFIG_AUTH_IPSEC) {
		out->sa_slot = authorise_sa(
			control, punt, chain, out->domain, API_SA_SIGNALLING, &out->drop);
		out->is_dropped = out->sa_slot == 0;
		out->auth = AUTH_OK;
	} else if (bu->opt.has_mn_id) {
		take_mn_id(&bu->opt.mn_id, out); // under ipsec the list alone says who it is
	}
	if (network == NULL || out->is_dropped)
		return;
	out->has_policy = find_subscriber(control, home, out, &subscriber);
	if (out->has_policy) {
		out->is_stranger = !may_have_home(control, &subscriber, home);
		out->is_listed = subscriber.n_homes > 0 && !out->is_stranger;
		out->policy.is_allowed = subscriber.is_allowed && !out->is_stranger;
		out->policy.max_lifetime_s = subscriber.max_lifetime_s;
		if (subscriber.mn_id_len > 0) {
			out->mn_id_len = subscriber.mn_id_len;
			memcpy(out->mn_id, subscriber.mn_id, subscriber.mn_id_len);
		}
	}
	// Who asks for a home address that is not ours is told so only after the same proof.
	if (network->auth == CONFIG_AUTH_OPTION)
		out->auth = verify(control, chain, bu, out->has_policy ? &subscriber : NULL, out);
}

struct subscribers_key authorise_key(const struct ip6chain *chain, const struct mh *bu)
{
	const struct mh_mn_id *id = &bu->opt.mn_id;

	if (bu->opt.has_mn_id && id->subtype == MH_MN_ID_NAI && id->id.len <= BCE_MN_ID_MAX)
		return (struct subscribers_key){
			.p = id->id.p, .len = (uint8_t)id->id.len, .is_mn_id = true
		};
	return (struct subscribers_key){ .p = mh_bu_home(chain), .len = sizeof(struct ip6) };
}
