// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/sa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#include "dataplane/base/hash.h"
#include "dataplane/base/log.h"
#include "dataplane/esp.h"
#include "dataplane/locked.h"

enum {
	NO_SA = 0,
	LIST_END = UINT32_MAX, // of the events' list, where 0 means: on none
	REPORTS_PER_TURN = 4096,
};

static const uint64_t SEQ_END = 1ULL << 32; // RFC 4303 section 3.3.3: may not come round
static const uint64_t SEQ_END_ESN = 1ULL << 56; // what the IV has room for

static struct {
	sa_event_fn tell;
	IMB_MGR *mgr; // the main lcore's, for keys
	struct sa *sas; // [n_sas + 1], in locked memory
	uint32_t *buckets; // inbound
	uint32_t *sent_buckets; // outbound; the main lcore's
	uint32_t n_sas, n_buckets;
	struct hash_seed seed;
	uint32_t n_used; // places that were ever in use
	uint32_t n_live;
	uint32_t unused; // list of places to be used again
	uint32_t doomed; // list: unlinked, no grace period has begun
	uint32_t dying; // list: unlinked before `token`
	uint64_t token;
	uint32_t mark;
	uint32_t sweep_at;
	uint32_t events; // list that workers push to
} tab;

bool sa_is_on;
struct sa_slot *sa_slot_list;
uint32_t sa_n_slots;

static size_t sas_len(void)
{
	return ((size_t)tab.n_sas + 1) * sizeof(struct sa);
}

int sa_init(uint32_t n_slots, sa_event_fn tell)
{
	memset(&tab, 0, sizeof(tab));
	tab.tell = tell;
	tab.events = LIST_END;
	sa_is_on = false;
	if (n_slots == 0)
		return 0;
	sa_n_slots = n_slots;
	tab.n_sas = n_slots * SA_PER_SLOT;
	tab.n_buckets = rte_align32pow2(tab.n_sas);
	sa_slot_list = aligned_alloc(RTE_CACHE_LINE_SIZE, n_slots * sizeof(*sa_slot_list));
	tab.buckets = calloc(tab.n_buckets, sizeof(*tab.buckets));
	tab.sent_buckets = calloc(tab.n_buckets, sizeof(*tab.sent_buckets));
	tab.sas = locked_new(sas_len());
	tab.mgr = esp_manager_new();
	if (sa_slot_list == NULL || tab.buckets == NULL || tab.sent_buckets == NULL ||
		tab.sas == NULL || tab.mgr == NULL || hash_seed_draw(&tab.seed) != 0) {
		log_err("sas_failed slots=%u reason=\"not enough memory\"", n_slots);
		sa_free();
		return -ENOMEM;
	}
	memset(sa_slot_list, 0, n_slots * sizeof(*sa_slot_list));
	sa_is_on = true;
	return 0;
}

void sa_free(void)
{
	if (sa_n_slots == 0)
		return;
	esp_manager_free(tab.mgr);
	locked_free(tab.sas, sas_len());
	free(tab.buckets);
	free(tab.sent_buckets);
	free(sa_slot_list);
	sa_slot_list = NULL;
	sa_n_slots = 0;
	memset(&tab, 0, sizeof(tab));
	sa_is_on = false;
}

uint32_t sa_count(void)
{
	return tab.n_live;
}

uint32_t sa_places(void)
{
	return __atomic_load_n(&tab.n_used, __ATOMIC_ACQUIRE);
}

const struct sa *sa_at(uint32_t i)
{
	return tab.sas[i].direction != 0 ? &tab.sas[i] : NULL;
}

// --- Look-up ---------------------------------------------------------------------------------------

static uint32_t bucket_of(uint32_t spi, const struct ip6 *dst)
{
	uint64_t q[2];

	memcpy(q, dst, sizeof(q));
	q[0] ^= (uint64_t)spi << 32 | spi;
	return (uint32_t)hash_16(&tab.seed, q) & (tab.n_buckets - 1);
}

void sa_lookup_bulk(
	const uint32_t *spis, const struct ip6 *const *dsts, struct sa **out, unsigned int n)
{
	uint32_t *buckets[ESP_BURST];

	for (unsigned int i = 0; i < n; i++) {
		buckets[i] = &tab.buckets[bucket_of(spis[i], dsts[i])];
		rte_prefetch0(buckets[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		out[i] = &tab.sas[__atomic_load_n(buckets[i], __ATOMIC_ACQUIRE)];
		rte_prefetch0(out[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		while (out[i] != tab.sas &&
			(out[i]->spi != spis[i] || !ip6_eq(&out[i]->agent_address, dsts[i])))
			out[i] = &tab.sas[__atomic_load_n(&out[i]->next, __ATOMIC_ACQUIRE)];
		if (out[i] == tab.sas) {
			out[i] = NULL;
			continue;
		}
		rte_prefetch0(&out[i]->seq);
		rte_prefetch0(&out[i]->replay);
	}
}

const struct sa *sa_find_sent(uint32_t spi, const struct ip6 *agent_address, const struct sa *after)
{
	uint32_t at = 0;

	if (after != NULL)
		at = after->next;
	else if (sa_is_on)
		at = tab.sent_buckets[bucket_of(spi, agent_address)];
	while (at != NO_SA &&
		(tab.sas[at].spi != spi || !ip6_eq(&tab.sas[at].agent_address, agent_address)))
		at = tab.sas[at].next;
	return at != NO_SA ? &tab.sas[at] : NULL;
}

const struct ip6 *sa_home(uint32_t slot)
{
	if (slot >= sa_n_slots ||
		__atomic_load_n(&sa_slot_list[slot].first, __ATOMIC_ACQUIRE) == NO_SA)
		return NULL;
	return &sa_slot_list[slot].home;
}

// --- What workers tell -----------------------------------------------------------------------------

// Puts sa on the list for the main lcore, once for each thing.
static void attend(struct sa *sa, uint32_t what)
{
	uint32_t none = 0, head;

	if (__atomic_load_n(&sa->told, __ATOMIC_RELAXED) & what ||
		__atomic_fetch_or(&sa->told, what, __ATOMIC_SEQ_CST) & what)
		return;
	// On the list already: it will be looked at with all that there is to tell.
	if (!__atomic_compare_exchange_n(
		    &sa->event_next, &none, LIST_END, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	head = __atomic_load_n(&tab.events, __ATOMIC_RELAXED);
	do
		__atomic_store_n(&sa->event_next, head, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&tab.events, &head, sa->index, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void sa_end(struct sa *sa)
{
	__atomic_store_n(&sa->is_over, 1, __ATOMIC_RELAXED);
	attend(sa, SA_TOLD_OVER);
}

static uint64_t seq_end(const struct sa *sa)
{
	return sa->is_esn ? SEQ_END_ESN : SEQ_END;
}

uint64_t sa_seq_judge(struct sa *sa, uint64_t seq)
{
	uint64_t limit = __atomic_load_n(&sa->seq_limit, __ATOMIC_RELAXED);

	if (unlikely(seq >= limit)) {
		if (limit >= seq_end(sa))
			sa_end(sa);
		return 0;
	}
	if (unlikely(seq >= __atomic_load_n(&sa->seq_low, __ATOMIC_RELAXED)))
		attend(sa, SA_TOLD_LOW);
	return seq;
}

uint64_t sa_seq_take_slowly(struct sa *sa)
{
	uint64_t seq_floor = __atomic_load_n(&sa->seq_floor, __ATOMIC_RELAXED);
	uint64_t seq = __atomic_load_n(&sa->seq, __ATOMIC_RELAXED);

	while (seq < seq_floor && !__atomic_compare_exchange_n(&sa->seq, &seq, seq_floor, true,
					  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	// Workers may pass the limit by a number each, which then is never used.
	if (sa_seq(sa) < __atomic_load_n(&sa->seq_limit, __ATOMIC_RELAXED))
		seq = __atomic_fetch_add(&sa->seq, 1, __ATOMIC_RELAXED);
	else
		seq = UINT64_MAX;
	return sa_seq_judge(sa, seq);
}

static void events_take(void)
{
	uint32_t at, next, told;

	if (likely(__atomic_load_n(&tab.events, __ATOMIC_RELAXED) == LIST_END))
		return;
	for (at = __atomic_exchange_n(&tab.events, LIST_END, __ATOMIC_ACQUIRE); at != LIST_END;
		at = next) {
		struct sa *sa = &tab.sas[at];

		next = __atomic_load_n(&sa->event_next, __ATOMIC_RELAXED);
		__atomic_store_n(&sa->event_next, 0, __ATOMIC_SEQ_CST);
		told = __atomic_load_n(&sa->told, __ATOMIC_SEQ_CST);
		// What control cannot hear now is told again by the next packet.
		if (!tab.tell(sa, told & SA_TOLD_OVER ? API_SA_EXPIRED : API_SA_LOW))
			__atomic_fetch_and(&sa->told, ~told, __ATOMIC_SEQ_CST);
	}
}

// --- Change ----------------------------------------------------------------------------------------

// The SA of a slot that goes by these names, or NULL.
static struct sa *find(uint32_t slot, uint8_t use, uint8_t direction, uint32_t spi, uint16_t agent)
{
	uint32_t at = slot < sa_n_slots ? sa_slot_list[slot].first : NO_SA;

	while (at != NO_SA) {
		struct sa *sa = &tab.sas[at];

		if (sa->use == use && sa->direction == direction && sa->spi == spi &&
			sa->agent == agent)
			return sa;
		at = sa->sibling;
	}
	return NULL;
}

static struct sa *place_take(void)
{
	uint32_t at = tab.unused;

	if (at != NO_SA)
		tab.unused = tab.sas[at].later;
	else if (tab.n_used < tab.n_sas)
		at = ++tab.n_used;
	else
		return NULL;
	memset(&tab.sas[at], 0, sizeof(tab.sas[at]));
	tab.sas[at].index = at;
	return &tab.sas[at];
}

static void place_give_back(struct sa *sa)
{
	uint32_t at = sa->index;

	explicit_bzero(sa, sizeof(*sa));
	sa->later = tab.unused;
	tab.unused = at;
}

// The first link of the chain that an SA stands in.
static uint32_t *chain_of(const struct sa *sa)
{
	uint32_t *buckets = sa->direction == API_SA_IN ? tab.buckets : tab.sent_buckets;

	return &buckets[bucket_of(sa->spi, &sa->agent_address)];
}

static void link_in(struct sa *sa)
{
	struct sa_slot *slot = &sa_slot_list[sa->slot];
	uint32_t *bucket = chain_of(sa);

	slot->home = sa->home;
	sa->sibling = slot->first;
	__atomic_store_n(&slot->first, sa->index, __ATOMIC_RELEASE);
	tab.n_live++;
	sa->next = *bucket;
	__atomic_store_n(bucket, sa->index, __ATOMIC_RELEASE);
	if (sa->direction == API_SA_OUT)
		rcu_publish(&slot->out[sa->use], sa);
}

// Takes an SA out of everybody's sight; it dies after a grace period.
static void link_out(struct sa *sa)
{
	struct sa_slot *slot = &sa_slot_list[sa->slot];
	uint32_t *at;

	for (at = &slot->first; *at != sa->index; at = &tab.sas[*at].sibling)
		;
	__atomic_store_n(at, sa->sibling, __ATOMIC_RELEASE);
	tab.n_live--;
	for (at = chain_of(sa); *at != sa->index; at = &tab.sas[*at].next)
		;
	__atomic_store_n(at, sa->next, __ATOMIC_RELEASE);
	if (sa->direction == API_SA_OUT && slot->out[sa->use] == sa)
		rcu_publish(&slot->out[sa->use], NULL);
	sa->is_dying = true;
	sa->later = tab.doomed;
	tab.doomed = sa->index;
}

static uint64_t limit_of(const struct sa *sa, uint64_t seq_limit)
{
	return RTE_MIN(seq_limit, seq_end(sa));
}

// Numbers up to a new limit, which is no smaller than the old one.
static void grant(struct sa *sa, uint64_t seq_limit)
{
	uint64_t seq = sa_seq(sa);
	uint64_t limit = RTE_MAX(limit_of(sa, seq_limit), sa->seq_limit);

	if (limit == sa->seq_limit && sa->told == 0)
		return;
	// The last numbers of all are no reason to ask for more.
	__atomic_store_n(&sa->seq_low,
		limit == seq_end(sa) || seq >= limit ? limit : limit - (limit - seq) / 4,
		__ATOMIC_RELAXED);
	__atomic_store_n(&sa->seq_limit, limit, __ATOMIC_RELAXED);
	__atomic_fetch_and(&sa->told, ~(uint32_t)SA_TOLD_LOW, __ATOMIC_SEQ_CST);
}

static void lives_set(struct sa *sa, const struct api_sa_set *set)
{
	__atomic_store_n(&sa->life_packets, set->life_packets != 0 ? set->life_packets : UINT64_MAX,
		__ATOMIC_RELAXED);
	__atomic_store_n(&sa->life_bytes, set->life_bytes != 0 ? set->life_bytes : UINT64_MAX,
		__ATOMIC_RELAXED);
}

// The same SA again: keeps its counters and its window, its numbers only rise.
static void renew(struct sa *sa, const struct api_sa_set *set)
{
	sa->mark = tab.mark;
	lives_set(sa, set);
	if (sa->direction != API_SA_OUT)
		return;
	if (set->seq_next > sa->seq_floor)
		__atomic_store_n(&sa->seq_floor, set->seq_next, __ATOMIC_RELAXED);
	grant(sa, set->seq_limit);
}

static bool is_same(
	const struct sa *sa, const struct api_sa_set *set, const struct esp_suite *suite)
{
	return sa->suite == suite && sa->is_esn == ((set->flags & API_SA_ESN) != 0) &&
	       sa->window == set->replay_window && ip6_eq(&sa->home, &set->home) &&
	       memcmp(sa->key.raw, set->keys, esp_raw_len(suite)) == 0;
}

// Whether the record makes sense by itself.
static bool is_sound(const struct api_sa_set *set)
{
	bool is_esn = (set->flags & API_SA_ESN) != 0;

	if (set->use == 0 || set->use >= API_SA_USE_MAX || set->spi < API_SPI_MIN)
		return false;
	if (set->direction == API_SA_OUT)
		return set->seq_next > 0;
	return set->direction == API_SA_IN && set->replay_window % 32 == 0 &&
	       set->replay_window <= REPLAY_MAX && (set->replay_window != 0 || !is_esn);
}

static struct sa *make(const struct api_sa_set *set, const struct esp_suite *suite, uint8_t domain,
	const struct ip6 *agent_address, int *error)
{
	struct sa *sa = place_take();

	*error = tab.doomed != NO_SA || tab.dying != NO_SA ? -EAGAIN : -ENOSPC;
	if (sa == NULL)
		return NULL;
	*error = esp_key_make(tab.mgr, suite, set->keys, &sa->key);
	if (*error != 0) {
		place_give_back(sa);
		return NULL;
	}
	sa->spi = set->spi;
	sa->slot = set->slot;
	sa->use = set->use;
	sa->direction = set->direction;
	sa->domain = domain;
	sa->is_esn = (set->flags & API_SA_ESN) != 0;
	sa->is_learned = (set->flags & API_SA_LEARNED) != 0;
	sa->agent = set->agent;
	sa->suite = suite;
	sa->agent_address = *agent_address;
	sa->home = set->home;
	sa->window = set->replay_window;
	replay_init(&sa->replay, set->replay_window, sa->is_esn);
	sa->seq = set->seq_next;
	renew(sa, set);
	return sa;
}

int sa_set(const struct api_sa_set *set, uint8_t domain, const struct ip6 *agent_address)
{
	const struct esp_suite *suite = esp_suite_find(
		set->encryption, set->authentication, set->enc_key_len, set->auth_key_len);
	struct sa *old, *new;
	int error;

	if (set->slot == 0 || set->slot >= sa_n_slots)
		return -ENOSPC;
	if (suite == NULL || !is_sound(set))
		return -EOPNOTSUPP;
	old = find(set->slot, set->use, set->direction, set->spi, set->agent);
	__atomic_store_n(&sa_slot_list[set->slot].protect, set->protect, __ATOMIC_RELAXED);
	if (old != NULL && is_same(old, set, suite) && ip6_eq(&old->agent_address, agent_address)) {
		renew(old, set);
		return 0;
	}
	if (set->direction == API_SA_IN) {
		struct sa *other;

		sa_lookup_bulk(&set->spi, &agent_address, &other, 1);
		if (other != NULL && other != old)
			return -EEXIST;
	} else if (old == NULL) {
		old = sa_slot_list[set->slot].out[set->use];
	}
	new = make(set, suite, domain, agent_address, &error);
	if (new == NULL)
		return error;
	// The new one stands in front of the old one: no moment without either.
	link_in(new);
	if (old != NULL)
		link_out(old);
	return 0;
}

int sa_del(const struct api_sa_del *del)
{
	struct sa *sa = find(del->slot, del->use, del->direction, del->spi, del->agent);

	if (sa == NULL)
		return -ENOENT;
	link_out(sa);
	return 0;
}

int sa_grant(const struct api_sa_grant *g)
{
	struct sa *sa = find(g->slot, g->use, g->direction, g->spi, g->agent);

	if (sa == NULL || sa->direction != API_SA_OUT)
		return -ENOENT;
	grant(sa, g->seq_limit);
	return 0;
}

// --- Death -----------------------------------------------------------------------------------------

bool sa_poll(void)
{
	if (!sa_is_on)
		return true;
	events_take();
	if (tab.dying == NO_SA && tab.doomed != NO_SA) {
		tab.dying = tab.doomed;
		tab.doomed = NO_SA;
		tab.token = rcu_start();
	}
	if (tab.dying != NO_SA && rcu_done(tab.token)) {
		events_take(); // nobody is on the list after this who dies now
		for (unsigned int i = 0; i < REPORTS_PER_TURN && tab.dying != NO_SA; i++) {
			struct sa *sa = &tab.sas[tab.dying];

			tab.dying = sa->later;
			tab.tell(sa, API_SA_FINAL);
			place_give_back(sa);
		}
	}
	return tab.dying == NO_SA && tab.doomed == NO_SA;
}

void sa_mark_begin(void)
{
	tab.mark++;
}

void sa_sweep_begin(void)
{
	tab.sweep_at = 1;
}

bool sa_sweep(uint32_t budget)
{
	for (; budget > 0 && tab.sweep_at <= tab.n_used; budget--, tab.sweep_at++) {
		struct sa *sa = &tab.sas[tab.sweep_at];

		if (sa->direction != 0 && !sa->is_dying && sa->mark != tab.mark)
			link_out(sa);
	}
	return tab.sweep_at > tab.n_used;
}
