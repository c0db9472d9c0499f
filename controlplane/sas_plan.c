// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The table of security associations that the files ask for, made beside the one in force.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/learn_link.h"
#include "controlplane/sas_place.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

// A table in the making.
struct plan {
	struct sas_place place;
	uint32_t n_mobiles;
	uint64_t n_entries;
	FILE *err; // borrowed
	struct sas_slot
		*homeless; // owned: mobiles that no slot is known of, or whose slot is taken
	uint32_t n_homeless, room_homeless;
	int error; // of the learned ones
};

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

// Makes the slot of a mobile and puts it where it was in the last life.
static int add_slot(struct plan *plan, const struct associations *all,
	const struct config_network *network, struct sas_slot *made)
{
	struct sas *sas = plan->place.sas;
	uint32_t slot = 0;
	int error = sas_place_make(&plan->place, all, network, made);

	if (error != 0)
		return error;
	plan->n_entries += all->n;
	error = reserve_find_slot(plan->place.control->reserve, &made->home, &slot);
	if (error == 0 && slot > 0 && slot < sas->max && sas->slots[slot].n == 0)
		sas_place_put(sas, slot, made);
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
	struct sas *sas = plan->place.sas;
	struct sas_slot made = { .home.home = s->home, .line = s->line, .ref = s->ref };
	const struct config_network *network =
		sas_place_network(plan->place.networks, &s->home, &made.home.domain);

	if (network == NULL) {
		sas->n_unplaced++;
		return 0;
	}
	made.home.agent = ip6_is_any(&s->agent) ? network->agent_addresses[0] : s->agent;
	if (!sas_place_has_agent(network, &made.home.agent)) {
		fprintf(plan->err,
			"subscribers: line %u: agent_address: is none of home network %s\n",
			s->line, network->name);
		return -EINVAL;
	}
	if (++plan->n_mobiles >= sas->max)
		return 0; // counts them; reported at the end
	return add_slot(plan, &s->all, network, &made);
}

// Takes one mobile that was learned, in the place of the file's.
static void add_learned(const struct learn_mobile *mobile, void *ctx)
{
	struct plan *plan = ctx;
	struct sas_slot old = { 0 };
	uint32_t slot;

	if (plan->error == 0)
		plan->error =
			sas_place_learned(&plan->place, &mobile->home, &mobile->agent, &slot, &old);
	free(old.list);
}

// Gives free slots to those without one.
static int house(struct plan *plan)
{
	for (; plan->n_homeless > 0; plan->n_homeless--) {
		const struct sas_slot *from = &plan->homeless[plan->n_homeless - 1];
		uint32_t slot;
		int error = sas_place_find(&plan->place, &from->home, &slot);

		if (error != 0)
			return error;
		sas_place_put(plan->place.sas, slot, from);
	}
	return 0;
}

static int fill(struct plan *plan, FILE *err)
{
	struct control *control = plan->place.control;
	const struct learn *learn = learn_link_table(control->learn);
	const struct sas *old = control->sas;
	struct sas *sas = plan->place.sas;
	int error = subscribers_each_secured(control->subscribers, true, add, plan);

	if (error == 0 && plan->n_mobiles > 0 && plan->n_mobiles >= sas->max) {
		fprintf(err,
			"subscribers: %u mobiles have security associations (dataplane.max_sas "
			"allows %u)\n",
			plan->n_mobiles, sas->max > 0 ? sas->max - 1 : 0);
		error = -EINVAL;
	}
	if (error == 0 && sas->max > 0 && plan->n_entries > (uint64_t)sas->max * API_SA_PER_SLOT) {
		fprintf(err,
			"subscribers: have %llu security associations (dataplane.max_sas allows "
			"%llu)\n",
			(unsigned long long)plan->n_entries,
			(unsigned long long)sas->max * API_SA_PER_SLOT);
		error = -EINVAL;
	}
	if (error == 0)
		error = house(plan);
	if (error == 0 && learn != NULL) {
		learn_each(learn, add_learned, plan);
		error = plan->error;
		sas->n_learned_unplaced = learn->n - sas->n_learned;
	}
	if (error == 0)
		error = sas_make_room(sas, 0, old != NULL ? old->n_entries + old->n_gone : 0);
	return error;
}

static void remember(void *ctx, uint32_t slot)
{
	struct sas *sas = ctx;

	if (slot < sas->max)
		sas->remembered[slot / 64] |= (uint64_t)1 << slot % 64;
}

static int make_table(struct sas *sas, uint32_t max_sas, const struct reserve *reserve)
{
	int error;

	sas->max = max_sas;
	sas->free_at = sas->fresh_at = 1;
	sas->slots = calloc((size_t)max_sas + 1, sizeof(sas->slots[0]));
	sas->remembered = calloc((size_t)max_sas / 64 + 1, sizeof(sas->remembered[0]));
	error = sas->slots == NULL || sas->remembered == NULL ? -ENOMEM : 0;
	if (error == 0)
		error = hindex_init(&sas->index, max_sas);
	if (error == 0)
		error = hindex_init(&sas->marks, max_sas * API_SA_PER_SLOT);
	if (error == 0)
		error = reserve_each_slot(reserve, remember, sas);
	return error;
}

struct sas *sas_plan(
	struct control *control, const struct networks *networks, uint32_t max_sas, FILE *err)
{
	struct plan plan = { .place = { .control = control,
				     .networks = networks,
				     .sas = calloc(1, sizeof(struct sas)),
				     .now_s = clock_wall_ns() / CLOCK_NS_PER_S },
		.err = err };
	struct sas *sas = plan.place.sas;
	int error = sas == NULL ? -ENOMEM : make_table(sas, max_sas, control->reserve);

	if (error == 0)
		error = reserve_begin(control->reserve);
	if (error == 0) {
		error = fill(&plan, err);
		if (error == 0)
			error = reserve_commit(control->reserve);
		else
			reserve_abort(control->reserve);
	}
	for (uint32_t i = 0; i < plan.n_homeless; i++)
		free(plan.homeless[i].list);
	free(plan.homeless);
	if (error == 0)
		return sas;
	if (error != -EINVAL)
		fprintf(err, "security associations: %s\n", strerror(-error));
	sas_free(sas);
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
