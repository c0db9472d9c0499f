// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/sas_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/learn_link.h"
#include "dataplane/base/log.h"

// ---- what a slot has

static uint64_t settings_of(const struct association *a)
{
	struct {
		uint64_t life_packets, life_bytes;
		uint32_t lifetime_s, replay_window, has_esn, spi;
	} s = { .life_packets = a->life_packets,
		.life_bytes = a->life_bytes,
		.lifetime_s = a->lifetime_s,
		.replay_window = a->replay_window,
		.has_esn = a->has_esn,
		.spi = a->spi };

	return XXH3_64bits(&s, sizeof(s));
}

// What the reserve has of an association; a new one is put there. A damaged entry is as good as none, but
// where numbers must not be used again.
static int remember(const struct sas_place *place, const struct association *a, bool is_learned,
	const struct association_mark *mark, struct reserve_entry *entry)
{
	static struct log_limit limit = { .per_second = 1 };
	struct reserve *reserve = place->control->reserve;
	int error = reserve_find(reserve, mark, entry);

	if (error == 0 && (entry->flags & RESERVE_GONE) != 0) { // it is back
		entry->flags &= (uint8_t)~RESERVE_GONE;
		entry->since_s = place->now_s;
		return reserve_put(reserve, mark, entry);
	}
	if (error != -ENOENT && error != -EBADMSG)
		return error;
	*entry = (struct reserve_entry){ .end = 1, .since_s = place->now_s };
	if (error == -EBADMSG && a->direction == API_SA_OUT && association_has_counter(a))
		entry->flags = RESERVE_LOST;
	if (error == -ENOENT && is_learned && a->direction == API_SA_OUT &&
		association_has_counter(a) && reserve_is_in_doubt(reserve)) {
		entry->flags = RESERVE_LOST;
		log_write_limited(&limit, LOG_LEVEL_ERR,
			"sequence_lost source=ike spi=%u remedy=\"have the IKE daemon make new "
			"ones\"",
			a->spi);
	}
	if (is_learned && a->direction == API_SA_IN)
		return 0; // has no numbers of ours; IKE makes new ones all the time
	return reserve_put(reserve, mark, entry);
}

static int make_entry(const struct sas_place *place, const struct association *a,
	const struct sas_slot *slot, struct sas_entry *out)
{
	struct reserve_entry entry;
	int error;

	*out = (struct sas_entry){ .settings = settings_of(a),
		.lifetime_s = a->lifetime_s,
		.spi = a->spi,
		.use = a->use,
		.direction = a->direction,
		.has_esn = a->has_esn,
		.has_counter = association_has_counter(a) };
	association_mark(a, &slot->home.home, &out->mark);
	error = remember(place, a, slot->is_learned, &out->mark, &entry);
	if (error != 0)
		return error;
	out->since_s = entry.since_s;
	out->limit = entry.end;
	out->flags = entry.flags;
	if ((entry.flags & RESERVE_LOST) != 0 && a->direction == API_SA_OUT)
		out->state = SAS_LOST;
	if ((entry.flags & RESERVE_EXPIRED) != 0)
		out->state = SAS_EXPIRED;
	return 0;
}

// Stands for what mobiles of a network are told of its prefixes.
static uint64_t prefixes_of(const struct config_network *network)
{
	uint64_t digest = XXH3_64bits_withSeed(network->prefixes,
		network->n_prefixes * sizeof(network->prefixes[0]),
		network->prefix_valid_lifetime_s);

	return digest + network->prefix_deprecated;
}

int sas_place_make(const struct sas_place *place, const struct associations *all,
	const struct config_network *network, struct sas_slot *out)
{
	int error = 0;

	out->protect = network->protect | all->protect;
	out->n = all->n;
	out->prefixes = prefixes_of(network);
	out->list = calloc(all->n, sizeof(out->list[0]));
	if (out->list == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < all->n && error == 0; i++)
		error = make_entry(place, &all->list[i], out, &out->list[i]);
	if (error != 0)
		free(out->list);
	return error;
}

// ---- keys that two may not have

static uint64_t hash_of_mark(const void *sas, uint32_t ref)
{
	const struct sas_slot *slots = ((const struct sas *)sas)->slots;

	return XXH3_64bits(&slots[ref >> 4].list[ref & 15].mark, sizeof(struct association_mark));
}

static bool has_own_numbers(const struct sas_entry *entry)
{
	return entry->has_counter && entry->direction == API_SA_OUT;
}

// Where the mark of an entry stands, or would. Returns: the entry that has it, or HINDEX_NONE.
static uint32_t find_mark(
	const struct sas *sas, const struct association_mark *mark, uint64_t hash, uint32_t *pos)
{
	uint32_t ref;

	*pos = hindex_start(&sas->marks, hash);
	while ((ref = hindex_candidate(&sas->marks, hash, pos)) != HINDEX_NONE) {
		if (memcmp(&sas->slots[ref >> 4].list[ref & 15].mark, mark, sizeof(*mark)) == 0)
			break;
		*pos = hindex_after(&sas->marks, *pos);
	}
	return ref;
}

// Of two that share a key the second may not send: each would use the other one's numbers.
static void claim_keys(struct sas *sas, uint32_t slot)
{
	for (unsigned int i = 0; i < sas->slots[slot].n; i++) {
		struct sas_entry *entry = &sas->slots[slot].list[i];
		uint64_t hash = hash_of_mark(sas, SAS_REF(slot, i));
		uint32_t pos;

		if (!has_own_numbers(entry))
			continue;
		if (find_mark(sas, &entry->mark, hash, &pos) != HINDEX_NONE)
			entry->state = SAS_LOST;
		else
			hindex_put(&sas->marks, pos, hash, SAS_REF(slot, i));
	}
}

static void give_up_keys(struct sas *sas, uint32_t slot)
{
	for (unsigned int i = 0; i < sas->slots[slot].n; i++) {
		const struct sas_entry *entry = &sas->slots[slot].list[i];
		uint32_t pos;

		if (has_own_numbers(entry) &&
			find_mark(sas, &entry->mark, hash_of_mark(sas, SAS_REF(slot, i)), &pos) ==
				SAS_REF(slot, i))
			hindex_remove(&sas->marks, pos, hash_of_mark, sas);
	}
}

// ---- slots

static uint64_t hash_of_home(const void *sas, uint32_t slot)
{
	return sas_hash(&((const struct sas *)sas)->slots[slot].home);
}

void sas_place_put(struct sas *sas, uint32_t slot, const struct sas_slot *from)
{
	uint64_t hash = sas_hash(&from->home);
	uint32_t pos = hindex_start(&sas->index, hash);

	sas->slots[slot] = *from; // moved
	sas->n_slots++;
	sas->n_learned += from->is_learned;
	sas->n_entries += from->n;
	if (sas->top <= slot)
		sas->top = slot + 1;
	while (hindex_candidate(&sas->index, hash, &pos) != HINDEX_NONE)
		pos = hindex_after(&sas->index, pos);
	hindex_put(&sas->index, pos, hash, slot);
	claim_keys(sas, slot);
}

void sas_place_pull(struct sas *sas, uint32_t slot, struct sas_slot *out)
{
	uint64_t hash = hash_of_home(sas, slot);
	uint32_t pos = hindex_start(&sas->index, hash);

	give_up_keys(sas, slot);
	while (hindex_candidate(&sas->index, hash, &pos) != slot)
		pos = hindex_after(&sas->index, pos);
	hindex_remove(&sas->index, pos, hash_of_home, sas);
	*out = sas->slots[slot]; // moved
	sas->slots[slot] = (struct sas_slot){ 0 };
	sas->n_slots--;
	sas->n_learned -= out->is_learned;
	sas->n_entries -= out->n;
	if (sas->free_at > slot)
		sas->free_at = slot;
}

static bool is_remembered(const struct sas *sas, uint32_t slot)
{
	return (sas->remembered[slot / 64] >> slot % 64 & 1) != 0;
}

int sas_place_find(const struct sas_place *place, const struct reserve_home *home, uint32_t *slot)
{
	struct sas *sas = place->sas;
	int error = reserve_find_slot(place->control->reserve, home, slot);

	if (error == 0 && *slot > 0 && *slot < sas->max && sas->slots[*slot].n == 0)
		return 0;
	if (error != 0 && error != -ENOENT)
		return error;
	// One that nobody had, while there are such: who had one may come back.
	while (sas->fresh_at < sas->max &&
		(sas->slots[sas->fresh_at].n > 0 || is_remembered(sas, sas->fresh_at)))
		sas->fresh_at++;
	*slot = sas->fresh_at;
	if (*slot >= sas->max) {
		while (sas->free_at < sas->max && sas->slots[sas->free_at].n > 0)
			sas->free_at++;
		*slot = sas->free_at;
	}
	if (*slot >= sas->max)
		return -ENOSPC;
	return reserve_put_slot(place->control->reserve, home, *slot);
}

// ---- who has one

const struct config_network *sas_place_network(
	const struct networks *networks, const struct ip6 *home, uint32_t *domain)
{
	for (unsigned int i = 0; i < networks->n_order; i++) {
		const struct networks_prefix *p = &networks->prefixes[networks->order[i]];

		if (p->network->auth != CONFIG_AUTH_IPSEC || !prefix_contains(&p->prefix, home))
			continue;
		*domain = p->domain;
		return p->network;
	}
	return NULL;
}

bool sas_place_has_agent(const struct config_network *network, const struct ip6 *agent)
{
	for (unsigned int i = 0; i < network->n_agents; i++)
		if (ip6_eq(&network->agent_addresses[i], agent))
			return true;
	return false;
}

static bool has_room(const struct sas *sas, const struct sas_slot *old, unsigned int n)
{
	uint32_t n_slots = sas->n_slots - (old != NULL);
	uint64_t n_entries = sas->n_entries - (old != NULL ? old->n : 0);

	return n_slots + 1 < sas->max && n_entries + n <= (uint64_t)sas->max * API_SA_PER_SLOT;
}

// What a home address is to have: what was learned, else what the file has where it is known to have
// something; out->n 0: nothing. Returns: 0 or negative errno.
static int make_wanted(const struct sas_place *place, const struct learn_mobile *mobile,
	const struct config_network *network, const struct sas_slot *old, struct sas_slot *out)
{
	struct control *control = place->control;
	struct subscriber_secured *secured = control->sas_secrets;
	int error;

	out->is_learned = mobile != NULL;
	if (old != NULL) {
		out->line = old->line;
		out->ref = old->ref;
	}
	if (mobile != NULL)
		return sas_place_has_agent(network, &mobile->agent) &&
				       has_room(place->sas, old, mobile->all.n)
			       ? sas_place_make(place, &mobile->all, network, out)
			       : 0;
	if (out->ref == 0 || subscribers_find_secured(control->subscribers, out->ref, secured) != 0)
		return 0;
	error = sas_place_make(place, &secured->all, network, out);
	explicit_bzero(secured, sizeof(*secured));
	return error;
}

int sas_place_learned(const struct sas_place *place, const struct ip6 *home,
	const struct ip6 *agent, uint32_t *slot, struct sas_slot *old)
{
	const struct learn_mobile *mobile =
		learn_find(learn_link_table(place->control->learn), home, agent);
	struct sas_slot made = { .home = { .home = *home, .agent = *agent } };
	struct sas *sas = place->sas;
	const struct config_network *network =
		sas_place_network(place->networks, home, &made.home.domain);
	int error;

	*old = (struct sas_slot){ 0 };
	*slot = network != NULL ? sas_find(sas, home, made.home.domain, agent) : 0;
	if (network == NULL || (mobile == NULL && (*slot == 0 || !sas->slots[*slot].is_learned)))
		return 0;
	error = make_wanted(place, mobile, network, *slot != 0 ? &sas->slots[*slot] : NULL, &made);
	if (error == 0 && *slot != 0)
		sas_place_pull(sas, *slot, old);
	else if (error == 0 && made.n > 0)
		error = sas_place_find(place, &made.home, slot);
	if (error == 0 && made.n > 0)
		sas_place_put(sas, *slot, &made);
	else
		free(made.list);
	if (error != 0)
		*slot = 0;
	return error == -ENOSPC ? 0 : error;
}
