// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/sas_publish.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/learn_link.h"
#include "controlplane/sas.h"
#include "controlplane/secret.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

enum {
	RESERVE_BATCH = 4096, // associations whose numbers one group reserves
	GRANT_TRANSPORT = 1 << 12, // numbers of a first grant
	GRANT_TUNNEL = 1 << 16,
	GRANT_GROWTH = 4,
	GRANT_MAX = 1 << 24,
	GRANT_MAX_ESN = 1 << 28,
	SOON_PART = 10, // a warning comes when a tenth of the lifetime is left
	PRUNE_PART = 1024, // entries of the reserve that a tick looks at
	GONE_KEEP_S = 86400,
	LOOK_AGAIN_S = 60, // longest time between two looks at lifetimes
};

#define GRANT_FAST_NS (2 * CLOCK_NS_PER_S) // a grant that lasted shorter was too small
#define NUMBERS_SHORT ((uint64_t)1 << 32) // RFC 4303 section 3.3.3: without ESN
#define NUMBERS_LONG ((uint64_t)1 << 56) // what an IV with the site in front has room for

static struct sas_entry *entry_of(struct sas *sas, uint32_t ref)
{
	return &sas->slots[ref >> 4].list[ref & 15];
}

// The entry that stands in the queue at a place, or NULL: it is another one's place by now, or it was sent.
static struct sas_entry *queued_at(struct sas *sas, uint32_t at)
{
	uint32_t ref = sas->queue[at];

	if ((ref & 15) >= sas->slots[ref >> 4].n || !entry_of(sas, ref)->is_queued)
		return NULL;
	return entry_of(sas, ref);
}

// The first number that no grant reaches.
static uint64_t cap_of(const struct sas_entry *entry)
{
	return entry->has_esn ? NUMBERS_LONG : NUMBERS_SHORT;
}

void sas_publish_one(struct sas *sas, uint32_t slot, unsigned int i)
{
	struct sas_entry *entry = &sas->slots[slot].list[i];

	if (entry->state == SAS_EXPIRED || entry->state == SAS_LOST || entry->is_queued)
		return;
	if (sas->queue_at == sas->n_queue)
		sas->queue_at = sas->ready_at = sas->n_queue = 0;
	if (sas->n_queue == sas->room_queue) { // what was sent makes room
		memmove(sas->queue, sas->queue + sas->queue_at,
			(sas->n_queue - sas->queue_at) * sizeof(sas->queue[0]));
		sas->n_queue -= sas->queue_at;
		sas->ready_at -= sas->queue_at;
		sas->queue_at = 0;
	}
	entry->state = SAS_WAITING;
	entry->is_queued = true;
	entry->is_ready = entry->direction == API_SA_IN;
	sas->queue[sas->n_queue++] = SAS_REF(slot, i);
}

void sas_publish_all(struct control *control)
{
	struct sas *sas = control->sas;

	sas->n_gone = sas->gone_at = 0; // the dataplane sweeps what is not set again
	sas->n_queue = sas->queue_at = sas->ready_at = 0;
	for (uint32_t slot = 1; slot < sas->top; slot++) {
		for (unsigned int i = 0; i < sas->slots[slot].n; i++) {
			sas->slots[slot].list[i].is_queued = false;
			sas_publish_one(sas, slot, i);
		}
	}
}

// ---- numbers

// The size of the next grant. A dataplane that comes back soon needs longer ones.
static uint64_t next_grant(struct sas_entry *entry, uint64_t now_ns, bool is_first)
{
	uint64_t most = entry->has_esn ? GRANT_MAX_ESN : GRANT_MAX;

	if (is_first)
		return entry->use == API_SA_SIGNALLING || entry->use == API_SA_DISCOVERY
			       ? GRANT_TRANSPORT
			       : GRANT_TUNNEL;
	if (now_ns - entry->granted_ns < GRANT_FAST_NS && entry->grant < most)
		return entry->grant * GRANT_GROWTH;
	return entry->grant;
}

static struct reserve_entry wire_of(const struct sas_entry *entry)
{
	return (struct reserve_entry){
		.end = entry->limit, .since_s = entry->since_s, .flags = entry->flags
	};
}

// Moves an outbound association on to its next numbers, in the open group.
static void reserve_one(struct control *control, struct sas_entry *entry, bool is_first)
{
	uint64_t now_ns = clock_mono_ns(), cap = cap_of(entry);
	struct reserve_entry wire;

	entry->grant = next_grant(entry, now_ns, is_first);
	entry->granted_ns = now_ns;
	entry->next = entry->limit;
	entry->limit = entry->limit + entry->grant < cap ? entry->limit + entry->grant : cap;
	wire = wire_of(entry);
	reserve_put(control->reserve, &entry->mark, &wire);
}

static void log_failure(int error)
{
	static struct log_limit limit = { .per_second = 1 };

	log_write_limited(&limit, LOG_LEVEL_ERR,
		"reserve_failed error=\"%s\" meaning=\"security associations get no numbers\"",
		strerror(-error));
}

// Ends a group of reserve_one. What failed has no numbers: the next ones are beyond them all the same.
static int commit(struct control *control)
{
	int error = reserve_commit(control->reserve);

	control->stats.sas.n_groups++;
	control->stats.sas.last_error = error;
	if (error == 0)
		return 0;
	control->stats.sas.n_group_errors++;
	log_failure(error);
	return error;
}

// Reserves numbers for what stands next in the queue. Returns: 0 or negative errno with nothing ready.
static int make_ready(struct control *control)
{
	struct sas *sas = control->sas;
	uint32_t until = sas->queue_at + RESERVE_BATCH;
	int error = reserve_begin(control->reserve);

	if (until > sas->n_queue)
		until = sas->n_queue;
	if (error != 0) {
		control->stats.sas.last_error = error;
		log_failure(error);
		return error;
	}
	for (uint32_t at = sas->queue_at; at < until; at++) {
		struct sas_entry *entry = queued_at(sas, at);

		if (entry == NULL || entry->is_ready)
			continue;
		reserve_one(control, entry, true);
		entry->is_ready = true;
	}
	error = commit(control);
	if (error == 0)
		sas->ready_at = until;
	for (uint32_t at = sas->queue_at; at < until && error != 0; at++) {
		struct sas_entry *entry = queued_at(sas, at);

		if (entry != NULL)
			entry->is_ready = entry->direction == API_SA_IN;
	}
	return error;
}

// ---- down

// What a slot has, with the keys. Borrowed until the next call.
static const struct associations *secrets_of(struct control *control, const struct sas_slot *slot)
{
	struct subscriber_secured *secured = control->sas_secrets;

	if (slot->is_learned) {
		const struct learn_mobile *mobile = learn_find(
			learn_link_table(control->learn), &slot->home.home, &slot->home.agent);

		return mobile != NULL ? &mobile->all : NULL;
	}
	if (subscribers_find_secured(control->subscribers, slot->ref, secured) != 0)
		return NULL;
	return &secured->all;
}

static const struct association *find_secret(
	struct control *control, const struct sas_slot *slot, const struct sas_entry *entry)
{
	const struct associations *all = secrets_of(control, slot);
	struct association_mark mark;

	for (unsigned int i = 0; all != NULL && i < all->n; i++) {
		const struct association *a = &all->list[i];

		if (a->spi != entry->spi || a->direction != entry->direction ||
			a->use != entry->use)
			continue;
		association_mark(a, &slot->home.home, &mark);
		if (memcmp(&mark, &entry->mark, sizeof(mark)) == 0)
			return a; // learned ones may have changed since the plan
	}
	return NULL;
}

static void fill_set(struct api_sa_set *set, const struct association *a,
	const struct sas_slot *slot, const struct sas_entry *entry)
{
	set->spi = entry->spi;
	set->use = entry->use;
	set->direction = entry->direction;
	set->encryption = a->encryption;
	set->authentication = a->authentication;
	set->flags =
		(uint8_t)((a->has_esn ? API_SA_ESN : 0) | (slot->is_learned ? API_SA_LEARNED : 0));
	set->protect = slot->protect;
	set->replay_window = a->replay_window;
	set->enc_key_len = a->enc_key_len;
	set->auth_key_len = a->auth_key_len;
	set->domain = slot->home.domain;
	set->home = slot->home.home;
	set->life_packets = a->life_packets;
	set->life_bytes = a->life_bytes;
	if (entry->direction == API_SA_OUT) {
		set->seq_next = entry->next;
		set->seq_limit = entry->limit;
	}
	memcpy(set->keys, a->enc_key, a->enc_key_len);
	memcpy(set->keys + a->enc_key_len, a->auth_key, a->auth_key_len);
}

// Puts one that is ready. Returns: false when the link does not take it.
static bool put_set(struct control *control, uint32_t ref, unsigned int *n_put)
{
	struct sas_entry *entry = entry_of(control->sas, ref);
	const struct sas_slot *slot = &control->sas->slots[ref >> 4];
	uint16_t agent = networks_find_agent(&control->networks, &slot->home.agent);
	const struct association *a = find_secret(control, slot, entry);
	struct api_sa_set *set;

	entry->is_queued = false;
	if (entry->state != SAS_WAITING)
		return true; // it ended meanwhile
	if (entry->direction == API_SA_OUT && entry->next >= cap_of(entry)) {
		entry->state = SAS_EXPIRED;
		log_err("sa_numbers_used_up line=%u spi=%u remedy=\"give it new keys\"", slot->line,
			entry->spi);
		return true;
	}
	if (a == NULL || agent == NETWORKS_NO_AGENT) {
		entry->state = SAS_REFUSED;
		entry->error = -ENOENT;
		return true;
	}
	set = link_put(control->link, API_SA_SET, API_REC_BULK,
		api_rec_len(sizeof(*set), (size_t)a->enc_key_len + a->auth_key_len));
	if (set == NULL)
		return false;
	set->slot = ref >> 4;
	set->agent = agent;
	fill_set(set, a, slot, entry);
	entry->state = SAS_STANDING;
	entry->error = 0;
	(*n_put)++;
	return true;
}

static bool put_del(struct control *control, const struct sas_gone *gone, uint16_t flags)
{
	uint16_t agent = networks_find_agent(&control->networks, &gone->agent);
	struct api_sa_del *del = link_put(control->link, API_SA_DEL, flags, sizeof(*del));

	if (del == NULL)
		return false;
	del->slot = gone->slot;
	del->spi = gone->spi;
	del->use = gone->use;
	del->direction = gone->direction;
	del->agent = agent;
	return true;
}

unsigned int sas_publish_bulk(struct control *control, unsigned int n)
{
	struct sas *sas = control->sas;
	const struct sas_entry *entry;
	unsigned int n_put = 0;

	for (; n_put < n && sas->gone_at < sas->n_gone; n_put++, sas->gone_at++)
		if (!put_del(control, &sas->gone[sas->gone_at], API_REC_BULK))
			return n_put;
	while (n_put < n && sas->queue_at < sas->n_queue) {
		if (sas->queue_at == sas->ready_at && make_ready(control) != 0)
			break; // the tick tries again
		entry = queued_at(sas, sas->queue_at);
		if (entry != NULL && entry->is_ready &&
			!put_set(control, sas->queue[sas->queue_at], &n_put))
			break;
		sas->queue_at++;
	}
	explicit_bzero(control->sas_secrets, sizeof(*control->sas_secrets));
	return n_put;
}

// ---- up

// The entry that a record names, or NULL when there is none any more.
static struct sas_entry *find(
	struct control *control, uint32_t slot, uint32_t spi, uint8_t use, uint8_t direction)
{
	if (sas_at(control->sas, slot) == NULL)
		return NULL;
	for (unsigned int i = 0; i < control->sas->slots[slot].n; i++) {
		struct sas_entry *entry = &control->sas->slots[slot].list[i];

		if (entry->spi == spi && entry->use == use && entry->direction == direction)
			return entry;
	}
	return NULL;
}

static void log_entry(enum log_level level, const char *event, const struct sas_slot *slot,
	const struct sas_entry *entry, int error)
{
	static struct log_limit limit = { .per_second = 5 };
	char home[IP6_STRLEN];

	log_write_limited(&limit, level, "%s hoa=%s use=%s direction=%s spi=%u error=%d", event,
		ip6_str(&slot->home.home, home), association_use_name(entry->use),
		association_direction_name(entry->direction), entry->spi, error);
}

void sas_publish_err(struct control *control, const struct api_sa_err *err)
{
	struct sas_entry *entry = find(control, err->slot, err->spi, err->use, err->direction);

	if (entry == NULL || entry->state != SAS_STANDING)
		return;
	entry->state = SAS_REFUSED;
	entry->error = err->error;
	log_entry(LOG_LEVEL_ERR, "sa_refused", &control->sas->slots[err->slot], entry, err->error);
}

// Marks an association as over, in the open group.
static void expire(struct control *control, const struct sas_slot *slot, struct sas_entry *entry)
{
	struct reserve_entry wire;

	entry->state = SAS_EXPIRED;
	entry->flags |= RESERVE_EXPIRED;
	wire = wire_of(entry);
	reserve_put(control->reserve, &entry->mark, &wire);
	log_entry(LOG_LEVEL_WARN, "sa_expired", slot, entry, 0);
}

static void ask_for_more(struct control *control, uint32_t ref)
{
	struct sas *sas = control->sas;
	struct sas_entry *entry = entry_of(sas, ref);

	if (entry->direction != API_SA_OUT || entry->is_low)
		return;
	if (sas->n_low == SAS_LOW_MAX)
		sas_publish_grants(control);
	if (sas->n_low == SAS_LOW_MAX)
		return; // nothing can be written; the next resync brings numbers
	entry->is_low = true;
	sas->low[sas->n_low++] = ref;
}

void sas_publish_event(struct control *control, const struct api_sa_event *event)
{
	struct sas_entry *entry =
		find(control, event->slot, event->spi, event->use, event->direction);
	const struct sas_slot *slot;

	if (entry == NULL || entry->state != SAS_STANDING)
		return; // of one that is gone, or is being set again
	slot = &control->sas->slots[event->slot];
	if (event->event == API_SA_LOW)
		ask_for_more(control, SAS_REF(event->slot, entry - slot->list));
	if (event->event != API_SA_EXPIRED || reserve_begin(control->reserve) != 0)
		return;
	expire(control, slot, entry);
	commit(control);
}

static void put_grant(struct control *control, uint32_t ref)
{
	struct sas_entry *entry = entry_of(control->sas, ref);
	const struct sas_slot *slot = &control->sas->slots[ref >> 4];
	struct api_sa_grant *grant;

	entry->is_low = false;
	if (entry->state != SAS_STANDING)
		return;
	grant = link_put(control->link, API_SA_GRANT, 0, sizeof(*grant));
	if (grant == NULL)
		return; // the next connection sets everything again
	grant->slot = ref >> 4;
	grant->spi = entry->spi;
	grant->use = entry->use;
	grant->direction = entry->direction;
	grant->agent = networks_find_agent(&control->networks, &slot->home.agent);
	grant->seq_limit = entry->limit;
	control->stats.sas.n_grants++;
}

void sas_publish_grants(struct control *control)
{
	struct sas *sas = control->sas;

	if (sas->n_low == 0 || reserve_begin(control->reserve) != 0)
		return;
	for (uint32_t i = 0; i < sas->n_low; i++)
		reserve_one(control, entry_of(sas, sas->low[i]), false);
	if (commit(control) != 0)
		return; // the tick tries again
	for (uint32_t i = 0; i < sas->n_low; i++)
		put_grant(control, sas->low[i]);
	sas->n_low = 0;
	link_flush(control->link);
}

// ---- time

// Looks at the lifetime of one. Returns: seconds until there is something to do about it.
static uint64_t look(
	struct control *control, uint32_t slot, struct sas_entry *entry, uint64_t now_s)
{
	uint64_t end_s = entry->since_s + entry->lifetime_s;
	uint64_t soon_s = end_s - entry->lifetime_s / SOON_PART;
	struct sas_gone gone = { .slot = slot,
		.spi = entry->spi,
		.use = entry->use,
		.direction = entry->direction,
		.agent = control->sas->slots[slot].home.agent };

	if (entry->lifetime_s == 0 || entry->state == SAS_EXPIRED)
		return UINT64_MAX;
	if (now_s >= end_s) {
		if (entry->state == SAS_STANDING)
			put_del(control, &gone, 0);
		expire(control, &control->sas->slots[slot], entry);
		return UINT64_MAX;
	}
	if (now_s >= soon_s && !entry->is_warned) {
		entry->is_warned = true;
		log_entry(LOG_LEVEL_WARN, "sa_expires_soon", &control->sas->slots[slot], entry, 0);
	}
	return (now_s >= soon_s ? end_s : soon_s) - now_s;
}

static void end_lifetimes(struct control *control, uint64_t now_ns)
{
	struct sas *sas = control->sas;
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S, wait_s = UINT64_MAX;

	if (reserve_begin(control->reserve) != 0)
		return;
	for (uint32_t slot = 1; slot < sas->top; slot++) {
		for (unsigned int i = 0; i < sas->slots[slot].n; i++) {
			uint64_t s = look(control, slot, &sas->slots[slot].list[i], now_s);

			wait_s = s < wait_s ? s : wait_s;
		}
	}
	if (wait_s == UINT64_MAX)
		sas->ends_ns = UINT64_MAX;
	else // the wall clock may be set meanwhile
		sas->ends_ns =
			now_ns + (wait_s < LOOK_AGAIN_S ? wait_s : LOOK_AGAIN_S) * CLOCK_NS_PER_S;
	commit(control);
	link_flush(control->link);
}

// Forgets what nobody will ask for any more.
static void prune(struct control *control)
{
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S;
	int n = now_s > GONE_KEEP_S
			? reserve_prune(control->reserve, now_s - GONE_KEEP_S, PRUNE_PART)
			: 0;

	if (n < 0)
		control->stats.sas.last_error = n;
	else
		control->stats.sas.n_pruned += (uint64_t)n;
}

void sas_publish_tick(struct control *control, uint64_t now_ns)
{
	struct sas *sas = control->sas;

	if (now_ns >= sas->ends_ns)
		end_lifetimes(control, now_ns);
	sas_publish_grants(control);
	prune(control);
	if (sas->queue_at < sas->n_queue || sas->gone_at < sas->n_gone)
		link_bulk_ready(control->link);
}
