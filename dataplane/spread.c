// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/spread.h"

#include <rte_cycles.h>

#include "dataplane/base/hash.h"
#include "dataplane/stage.h"

enum {
	WINDOW_MS = 100,
	HEAVY_VOTES = 8, // of one window
	HEAVY_SHARE = 4, // one vote in so many
	SILENT_MS = 100, // after which a tunnel is heavy no more
};

static struct hash_seed seed; // const after start

int spread_init(void)
{
	return hash_seed_draw(&seed);
}

static uint64_t pair_hash(const struct ip6_hdr_wire *ip)
{
	return hash_fold(hash_ip6(&seed, &ip->src) ^ seed.q[0], hash_ip6(&seed, &ip->dst) | 1);
}

// One of n by the upper bits of a hash.
static uint16_t pick(uint32_t hash, uint16_t n)
{
	return (uint16_t)((uint64_t)hash * n >> 32);
}

uint16_t spread_fragment_worker(const struct ip6_hdr_wire *ip, uint32_t id_be)
{
	uint64_t h = hash_fold(pair_hash(ip) ^ id_be, seed.q[1] | 1);

	return pick((uint32_t)h, n_workers);
}

static struct spread_slot *slot_of(
	struct spread *s, const struct ip6_hdr_wire *outer, uint32_t *tag)
{
	uint64_t h = pair_hash(outer);

	*tag = (uint32_t)(h >> 32) | 1;
	return &s->slots[h % SPREAD_SLOTS];
}

static bool is_silent(const struct worker *w, const struct spread_slot *slot)
{
	return w->now_tsc - slot->last_tsc > rte_get_tsc_hz() / 1000 * SILENT_MS;
}

static void slot_clear(struct spread *s, struct spread_slot *slot)
{
	s->n_heavy -= slot->is_heavy;
	*slot = (struct spread_slot){ 0 };
}

// Votes count in their window alone, and heavy tunnels that have ended make room.
static void window_renew(struct worker *w)
{
	struct spread *s = &w->spread;

	for (unsigned int i = 0; i < SPREAD_SLOTS; i++) {
		s->slots[i].n_votes = 0;
		if (s->slots[i].is_heavy && is_silent(w, &s->slots[i]))
			slot_clear(s, &s->slots[i]);
	}
	s->n_votes = 0;
	s->window_tsc = w->now_tsc + rte_get_tsc_hz() / 1000 * WINDOW_MS;
}

unsigned int spread_voter(struct worker *w)
{
	return w->spread.turn++ % SPREAD_FULL_BURST;
}

void spread_vote(struct worker *w, const struct ip6_hdr_wire *outer)
{
	struct spread *s = &w->spread;
	struct spread_slot *slot;
	uint32_t tag;

	if (w->now_tsc > s->window_tsc)
		window_renew(w);
	s->n_votes++;
	slot = slot_of(s, outer, &tag);
	if (slot->tag != tag && (slot->is_heavy || slot->n_votes > 0)) {
		slot->n_votes -= !slot->is_heavy;
		return;
	}
	slot->tag = tag;
	slot->n_votes++;
	if (slot->is_heavy || slot->n_votes < HEAVY_VOTES ||
		slot->n_votes * HEAVY_SHARE < s->n_votes)
		return;
	slot->is_heavy = true;
	slot->since_tsc = slot->last_tsc = w->now_tsc;
	s->n_heavy++;
	w->stats.spread_pairs++;
}

bool spread_away(struct worker *w, struct rte_mbuf *m, const struct ip6_hdr_wire *outer)
{
	uint32_t tag;
	struct spread_slot *slot = slot_of(&w->spread, outer, &tag);
	uint16_t peer;

	// What this turn has taken already leaves first.
	if (!slot->is_heavy || slot->tag != tag || slot->since_tsc == w->now_tsc)
		return false;
	if (is_silent(w, slot)) {
		slot_clear(&w->spread, slot);
		return false;
	}
	slot->last_tsc = w->now_tsc;
	peer = pick(stage_flow_hash(m, pkt_ip6(m)), n_workers);
	if (peer == w->id)
		return false;
	worker_to_peer(w, peer, m);
	return true;
}
