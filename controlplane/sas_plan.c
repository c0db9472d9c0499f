// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The table of security associations that the files ask for, made beside the one in force.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "controlplane/learn_link.h"
#include "controlplane/sas.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

// A table in the making.
struct plan {
	struct control *control; // borrowed
	const struct networks *networks; // borrowed
	struct sas *sas;
	uint64_t now_s;
	uint32_t n_mobiles;
	uint64_t n_entries;
	struct sas_slot
		*homeless; // owned: mobiles that no slot is known of, or whose slot is taken
	uint32_t n_homeless, room_homeless;
	int error; // of the learned ones
};

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
static int remember(struct plan *plan, const struct association *a, bool is_learned,
	const struct association_mark *mark, struct reserve_entry *entry)
{
	struct reserve *reserve = plan->control->reserve;
	int error = reserve_find(reserve, mark, entry);

	if (error != -ENOENT && error != -EBADMSG)
		return error;
	*entry = (struct reserve_entry){ .end = 1, .since_s = plan->now_s };
	if (error == -EBADMSG && a->direction == API_SA_OUT && association_has_counter(a))
		entry->flags = RESERVE_LOST;
	if (is_learned && a->direction == API_SA_IN)
		return 0; // has no numbers of ours; IKE makes new ones all the time
	return reserve_put(reserve, mark, entry);
}

static int make_entry(struct plan *plan, const struct association *a, const struct sas_slot *slot,
	struct sas_entry *out)
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
	error = remember(plan, a, slot->is_learned, &out->mark, &entry);
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

// Fills in the rest of *out.
static int make_slot(struct plan *plan, const struct associations *all,
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
		error = make_entry(plan, &all->list[i], out, &out->list[i]);
	if (error != 0)
		free(out->list);
	return error;
}

// Puts a mobile into a slot that is free.
static void put_slot(struct plan *plan, uint32_t slot, const struct sas_slot *from)
{
	struct sas *sas = plan->sas;
	uint64_t hash = sas_hash(&from->home);
	uint32_t pos = hindex_start(&sas->index, hash);

	sas->slots[slot] = *from; // moved
	sas->n_slots++;
	if (sas->top <= slot)
		sas->top = slot + 1;
	sas->n_entries += from->n;
	while (hindex_candidate(&sas->index, hash, &pos) != HINDEX_NONE)
		pos = hindex_after(&sas->index, pos);
	hindex_put(&sas->index, pos, hash, slot);
}

static int put_homeless(struct plan *plan, const struct sas_slot *from)
{
	if (plan->n_homeless == plan->room_homeless) {
		uint32_t room = plan->room_homeless == 0 ? 256 : 2 * plan->room_homeless;
		struct sas_slot *more = reallocarray(plan->homeless, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		plan->homeless = more;
		plan->room_homeless = room;
	}
	plan->homeless[plan->n_homeless++] = *from; // moved
	return 0;
}

// The network that a home address has its associations in, and the domain. Returns: borrowed or NULL.
static const struct config_network *network_of(
	const struct plan *plan, const struct ip6 *home, uint32_t *domain)
{
	const struct networks *networks = plan->networks;

	for (unsigned int i = 0; i < networks->n_order; i++) {
		const struct networks_prefix *p = &networks->prefixes[networks->order[i]];

		if (p->network->auth != CONFIG_AUTH_IPSEC || !prefix_contains(&p->prefix, home))
			continue;
		*domain = p->domain;
		return p->network;
	}
	return NULL;
}

// Makes the slot of a mobile and puts it where it was in the last life.
static int add_slot(struct plan *plan, const struct associations *all,
	const struct config_network *network, struct sas_slot *made)
{
	struct sas *sas = plan->sas;
	uint32_t slot = 0;
	int error = make_slot(plan, all, network, made);

	if (error != 0)
		return error;
	plan->n_entries += all->n;
	error = reserve_find_slot(plan->control->reserve, &made->home, &slot);
	if (error == 0 && slot > 0 && slot < sas->max && sas->slots[slot].n == 0)
		put_slot(plan, slot, made);
	else
		error = put_homeless(plan, made);
	if (error != 0)
		free(made->list);
	return error;
}

// Takes one mobile of the walk through the subscribers.
static int add(void *ctx, const struct subscriber_secured *s)
{
	struct plan *plan = ctx;
	struct sas *sas = plan->sas;
	struct sas_slot made = { .home.home = s->home, .line = s->line, .ref = s->ref };
	const struct config_network *network = network_of(plan, &s->home, &made.home.domain);
	const struct learn *learn = learn_link_table(plan->control->learn);

	if (network == NULL) {
		sas->n_unplaced++;
		return 0;
	}
	made.home.agent = network->agent_addresses[0];
	if (learn != NULL && learn_find(learn, &s->home, &made.home.agent) != NULL)
		return 0; // what was learned counts in its place
	if (++plan->n_mobiles >= sas->max)
		return 0; // counts them; reported at the end
	return add_slot(plan, &s->all, network, &made);
}

static bool has_agent(const struct config_network *network, const struct ip6 *agent)
{
	for (unsigned int i = 0; i < network->n_agents; i++)
		if (ip6_eq(&network->agent_addresses[i], agent))
			return true;
	return false;
}

// Takes one mobile that was learned. Those that have no place do not keep others from theirs.
static void add_learned(const struct learn_mobile *mobile, void *ctx)
{
	struct plan *plan = ctx;
	struct sas *sas = plan->sas;
	struct sas_slot made = {
		.home.home = mobile->home, .home.agent = mobile->agent, .is_learned = true
	};
	const struct config_network *network = network_of(plan, &mobile->home, &made.home.domain);

	if (plan->error != 0)
		return;
	if (network == NULL || !has_agent(network, &mobile->agent) ||
		plan->n_mobiles + 1 >= sas->max ||
		plan->n_entries + mobile->all.n > (uint64_t)sas->max * API_SA_PER_SLOT) {
		sas->n_learned_unplaced++;
		return;
	}
	plan->n_mobiles++;
	sas->n_learned++;
	plan->error = add_slot(plan, &mobile->all, network, &made);
}

// An outbound association whose key no other one may have.
struct counter {
	struct association_mark mark;
	uint32_t slot;
	uint8_t at;
};

static int compare_counters(const void *va, const void *vb)
{
	const struct counter *a = va, *b = vb;
	int order = memcmp(&a->mark, &b->mark, sizeof(a->mark));

	if (order != 0)
		return order;
	return a->slot != b->slot ? (a->slot < b->slot ? -1 : 1) : a->at - b->at;
}

// Keeps the second of two that share a key from sending: each would use the other one's numbers. The
// subscribers' file is refused when it has such; what was learned has not been compared yet.
static int part_counters(struct sas *sas)
{
	struct counter *list = calloc((size_t)sas->n_entries + 1, sizeof(*list));
	size_t n = 0;

	if (list == NULL)
		return -ENOMEM;
	for (uint32_t slot = 1; slot < sas->top; slot++) {
		for (uint8_t i = 0; i < sas->slots[slot].n; i++) {
			const struct sas_entry *entry = &sas->slots[slot].list[i];

			if (entry->has_counter && entry->direction == API_SA_OUT)
				list[n++] = (struct counter){ entry->mark, slot, i };
		}
	}
	qsort(list, n, sizeof(*list), compare_counters);
	for (size_t i = 1; i < n; i++) {
		if (memcmp(&list[i].mark, &list[i - 1].mark, sizeof(list[i].mark)) == 0)
			sas->slots[list[i].slot].list[list[i].at].state = SAS_LOST;
	}
	free(list);
	return 0;
}

// Gives the lowest free slots to those without one.
static int house(struct plan *plan)
{
	uint32_t slot = 1;

	for (; plan->n_homeless > 0; plan->n_homeless--) {
		const struct sas_slot *from = &plan->homeless[plan->n_homeless - 1];
		int error;

		while (plan->sas->slots[slot].n > 0)
			slot++; // there are more slots than mobiles
		error = reserve_put_slot(plan->control->reserve, &from->home, slot);
		if (error != 0)
			return error;
		put_slot(plan, slot, from);
	}
	return 0;
}

// Makes room to say what the new table has, and what of the old one goes.
static int make_queues(struct plan *plan)
{
	const struct sas *old = plan->control->sas;
	struct sas *sas = plan->sas;

	sas->queue = calloc(sas->n_entries + 1, sizeof(sas->queue[0]));
	sas->gone =
		calloc((old != NULL ? old->n_entries + old->n_gone : 0) + 1, sizeof(sas->gone[0]));
	return sas->queue == NULL || sas->gone == NULL ? -ENOMEM : 0;
}

static int fill(struct plan *plan, FILE *err)
{
	const struct learn *learn = learn_link_table(plan->control->learn);
	struct reserve *reserve = plan->control->reserve;
	int error = reserve_begin(reserve);

	if (error == 0)
		error = subscribers_each_secured(plan->control->subscribers, true, add, plan);
	if (error == 0 && plan->n_mobiles > 0 && plan->n_mobiles >= plan->sas->max) {
		fprintf(err,
			"subscribers: %u mobiles have security associations (dataplane.max_sas "
			"allows %u)\n",
			plan->n_mobiles, plan->sas->max > 0 ? plan->sas->max - 1 : 0);
		error = -EINVAL;
	}
	if (error == 0 && plan->sas->max > 0 &&
		plan->n_entries > plan->sas->max * API_SA_PER_SLOT) {
		fprintf(err,
			"subscribers: have %llu security associations (dataplane.max_sas allows "
			"%llu)\n",
			(unsigned long long)plan->n_entries,
			(unsigned long long)plan->sas->max * API_SA_PER_SLOT);
		error = -EINVAL;
	}
	if (error == 0 && learn != NULL) {
		learn_each(learn, add_learned, plan);
		error = plan->error;
	}
	if (error == 0)
		error = house(plan);
	if (error == 0 && plan->sas->n_learned > 0)
		error = part_counters(plan->sas);
	if (error == 0)
		error = make_queues(plan);
	if (error != 0) {
		reserve_abort(reserve);
		return error;
	}
	return reserve_commit(reserve);
}

static int make_table(struct sas *sas, uint32_t max_sas)
{
	sas->max = max_sas;
	sas->slots = calloc((size_t)max_sas + 1, sizeof(sas->slots[0]));
	return sas->slots == NULL ? -ENOMEM : hindex_init(&sas->index, max_sas);
}

struct sas *sas_plan(
	struct control *control, const struct networks *networks, uint32_t max_sas, FILE *err)
{
	struct plan plan = { .control = control,
		.networks = networks,
		.sas = calloc(1, sizeof(*plan.sas)),
		.now_s = clock_wall_ns() / CLOCK_NS_PER_S };
	int error = plan.sas == NULL ? -ENOMEM : make_table(plan.sas, max_sas);

	if (error == 0)
		error = fill(&plan, err);
	for (uint32_t i = 0; i < plan.n_homeless; i++)
		free(plan.homeless[i].list);
	free(plan.homeless);
	if (error == 0)
		return plan.sas;
	if (error != -EINVAL)
		fprintf(err, "security associations: %s\n", strerror(-error));
	sas_free(plan.sas);
	errno = -error;
	return NULL;
}

// Marks what of a mobile must not send again.
static int lose(void *ctx, const struct subscriber_secured *s)
{
	const struct associations *all = &s->all;
	static struct log_limit limit = { .per_second = 1 };
	static const struct reserve_entry lost = { .end = 1, .flags = RESERVE_LOST };
	struct reserve *reserve = ctx;
	int error = 0;

	for (unsigned int i = 0; i < all->n && error == 0; i++) {
		const struct association *a = &all->list[i];
		struct association_mark mark;
		struct reserve_entry entry;

		if (a->direction != API_SA_OUT || !association_has_counter(a))
			continue;
		association_mark(a, &s->home, &mark);
		error = reserve_find(reserve, &mark, &entry);
		if (error != -ENOENT)
			continue;
		log_write_limited(&limit, LOG_LEVEL_ERR,
			"sequence_lost line=%u spi=%u remedy=\"give it new keys\"", s->line,
			a->spi);
		error = reserve_put(reserve, &mark, &lost);
	}
	return error;
}

int sas_recover(const char *state_dir, struct reserve *reserve)
{
	int error = reserve_begin(reserve);

	if (error != 0)
		return error;
	error = subscribers_each_foreign(state_dir, reserve_id(reserve), lose, reserve);
	if (error == 0)
		return reserve_commit(reserve);
	reserve_abort(reserve);
	return error;
}
