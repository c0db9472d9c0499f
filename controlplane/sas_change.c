// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Putting a new table of security associations in force, or a change of one mobile in the one that is: what
// goes on goes on as it was, what is new or gone is sent.

#include <stdlib.h>
#include <string.h>

#include "controlplane/learn_link.h"
#include "controlplane/sas_place.h"
#include "controlplane/sas_publish.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

static bool is_same(const struct sas_entry *a, const struct sas_entry *b)
{
	return a->spi == b->spi && a->use == b->use && a->direction == b->direction &&
	       memcmp(&a->mark, &b->mark, sizeof(a->mark)) == 0;
}

// Lets an association go on as it was; one that is the same but for its settings is set again.
static void go_on(struct sas_entry *to, const struct sas_entry *from, bool is_unchanged)
{
	uint64_t settings = to->settings, lifetime_s = to->lifetime_s;
	bool is_lost = to->state == SAS_LOST;

	is_unchanged &= from->settings == settings;
	*to = *from;
	to->settings = settings;
	to->lifetime_s = lifetime_s;
	to->is_queued = to->is_low = to->is_ready = false;
	if (is_lost)
		to->state = SAS_LOST;
	if (to->state == SAS_REFUSED || (!is_unchanged && to->state == SAS_STANDING))
		to->state = SAS_WAITING;
}

// Has the dataplane forget one; a new one sweeps what it is not told of.
static void part(struct control *control, struct sas *next, uint32_t slot,
	const struct sas_slot *old, const struct sas_entry *entry)
{
	if (control->link == NULL || link_state(control->link) != LINK_UP)
		return;
	next->gone[next->n_gone++] = (struct sas_gone){ .slot = slot,
		.spi = entry->spi,
		.use = entry->use,
		.direction = entry->direction,
		.agent = old->home.agent };
}

// Brings an entry over into the one that it is in the new slot.
static void carry_entry(struct control *control, struct sas *next, uint32_t slot, unsigned int i,
	const struct sas_slot *old, const struct sas_entry *from)
{
	struct sas_slot *to = &next->slots[slot];

	go_on(&to->list[i], from, old->protect == to->protect);
	if (to->list[i].state == SAS_LOST && from->state == SAS_STANDING)
		part(control, next, slot, old, from);
	if (from->is_low && next->n_low < SAS_LOW_MAX) {
		to->list[i].is_low = true;
		next->low[next->n_low++] = SAS_REF(slot, i);
	}
}

// Brings what stood in a slot over into the new table, or has the dataplane forget it.
static void carry(
	struct control *control, struct sas *next, uint32_t slot, const struct sas_slot *old)
{
	struct sas_slot *to = slot < next->max ? &next->slots[slot] : NULL;
	bool is_same_home =
		to != NULL && to->n > 0 && memcmp(&to->home, &old->home, sizeof(old->home)) == 0;

	if (is_same_home) {
		to->told_ns = old->told_ns;
		to->tell_ns = old->tell_ns;
		to->n_told = old->n_told;
		to->is_untold = old->is_untold;
		to->is_changed = old->is_changed || old->prefixes != to->prefixes;
	}
	for (unsigned int i = 0; i < old->n; i++) {
		const struct sas_entry *from = &old->list[i];
		unsigned int j = 0;

		while (is_same_home && j < to->n && !is_same(&to->list[j], from))
			j++;
		if (is_same_home && j < to->n)
			carry_entry(control, next, slot, j, old, from);
		else if (from->state == SAS_STANDING || from->is_queued)
			part(control, next, slot, old, from);
	}
}

// Has the binding of a home address told again: its slot is another one.
static void tell_binding(struct control *control, const struct sas_slot *slot)
{
	struct bcache_key key = { .home = slot->home.home, .domain = slot->home.domain };
	uint32_t handle = bcache_find(control->bcache, &key);

	if (handle != BCACHE_NONE)
		bcache_mark_dirty(control->bcache, handle);
}

static void tell_bindings(struct control *control, const struct sas *a, const struct sas *b)
{
	for (uint32_t slot = 1; slot < a->top; slot++) {
		const struct sas_slot *was = &a->slots[slot], *is = sas_at(b, slot);

		if (was->n > 0 &&
			(is == NULL || memcmp(&was->home, &is->home, sizeof(was->home)) != 0))
			tell_binding(control, was);
	}
}

static void send_waiting_of(struct sas *sas, uint32_t slot)
{
	for (unsigned int i = 0; i < sas->slots[slot].n; i++)
		if (sas->slots[slot].list[i].state == SAS_WAITING)
			sas_publish_one(sas, slot, i);
}

static void send_waiting(struct sas *sas)
{
	for (uint32_t slot = 1; slot < sas->top; slot++)
		send_waiting_of(sas, slot);
}

void sas_tell_unplaced(struct sas *sas, uint32_t now)
{
	static struct log_limit limit = { .per_second = 1 };
	uint32_t before = sas->n_learned_unplaced;

	sas->n_learned_unplaced = now;
	if (now > before)
		log_write_limited(&limit, LOG_LEVEL_WARN,
			"learned_associations_unused mobiles=%u reason=\"no home network with "
			"authentication ipsec has their home and agent address, or there is no "
			"room\"",
			now);
}

void sas_take(struct control *control, struct sas *next)
{
	static struct sas nothing = { 0 };
	struct sas *old = control->sas != NULL ? control->sas : &nothing;
	uint32_t n_learned_unplaced = next->n_learned_unplaced;

	if (control->sas != NULL)
		sas_publish_grants(control);
	for (uint32_t i = old->gone_at; i < old->n_gone; i++)
		next->gone[next->n_gone++] = old->gone[i];
	for (uint32_t slot = 1; slot < old->top; slot++)
		carry(control, next, slot, &old->slots[slot]);
	tell_bindings(control, old, next);
	tell_bindings(control, next, old);
	control->sas = next;
	send_waiting(next);
	next->n_learned_unplaced = old->n_learned_unplaced;
	sas_tell_unplaced(next, n_learned_unplaced);
	if (next->n_unplaced > 0 && next->n_unplaced != old->n_unplaced)
		log_warn("security_associations_unused mobiles=%u reason=\"no home network with "
			 "authentication ipsec has their home address\"",
			next->n_unplaced);
	if (old != &nothing)
		sas_free(old);
	if (control->link != NULL)
		link_bulk_ready(control->link);
}

// Forgets who of a slot wants more numbers: its entries are about to have other places.
static void drop_low(struct sas *sas, uint32_t slot)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sas->n_low; i++)
		if (sas->low[i] >> 4 != slot)
			sas->low[n++] = sas->low[i];
	sas->n_low = n;
}

// While no dataplane takes anything, a queue grows with places that are others' by now.
static void tidy_queue(struct sas *sas)
{
	if (sas->n_queue - sas->queue_at <= 2 * sas->n_entries + 1024)
		return;
	sas->n_queue = sas->queue_at = sas->ready_at = 0;
	for (uint32_t slot = 1; slot < sas->top; slot++)
		for (unsigned int i = 0; i < sas->slots[slot].n; i++)
			sas->slots[slot].list[i].is_queued = false;
	send_waiting(sas);
}

// Notes of a mobile's associations that an IKE daemon has ended when that was: a day later nobody has to know
// any more how far they came, for such a daemon uses no key twice.
static void note_gone(const struct sas_place *place, uint32_t slot, const struct sas_slot *old)
{
	const struct sas_slot *is = &place->sas->slots[slot];

	for (unsigned int i = 0; i < old->n && old->is_learned; i++) {
		const struct sas_entry *from = &old->list[i];
		struct reserve_entry wire = { .end = from->limit,
			.since_s = place->now_s,
			.flags = from->flags | RESERVE_GONE };
		unsigned int j = 0;

		while (j < is->n && memcmp(&is->list[j].mark, &from->mark, sizeof(from->mark)) != 0)
			j++;
		if (from->direction == API_SA_OUT && from->state != SAS_LOST && j == is->n)
			reserve_put(place->control->reserve, &from->mark, &wire);
	}
}

int sas_change(struct control *control, const struct ip6 *home, const struct ip6 *agent)
{
	struct sas *sas = control->sas;
	struct sas_place place = { .control = control,
		.networks = &control->networks,
		.sas = sas,
		.now_s = clock_wall_ns() / CLOCK_NS_PER_S };
	struct sas_slot old;
	uint32_t slot;
	int error = sas_make_room(sas, ASSOCIATION_MAX, ASSOCIATION_MAX);

	if (error == 0)
		error = sas_place_learned(&place, home, agent, &slot, &old);
	if (error != 0 || slot == 0)
		return error;
	note_gone(&place, slot, &old); // an error is the group's
	drop_low(sas, slot);
	carry(control, sas, slot, &old);
	if ((old.n > 0) != (sas->slots[slot].n > 0))
		tell_binding(control, old.n > 0 ? &old : &sas->slots[slot]);
	send_waiting_of(sas, slot);
	tidy_queue(sas);
	free(old.list);
	for (unsigned int i = 0; i < sas->slots[slot].n; i++)
		if (sas->slots[slot].list[i].lifetime_s != 0)
			sas->ends_ns = 0; // the next tick looks
	return 0;
}
