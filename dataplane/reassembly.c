// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/reassembly.h"

#include <stdlib.h>

#include <rte_cycles.h>

#include "dataplane/base/hash.h"
#include "dataplane/bucket.h"
#include "dataplane/stage.h"

enum {
	SETS = 128,
	WAYS = 8, // packets of one set
	STRANGER_WAYS = 6, // of them for peers that are not known
	PIECES = 12, // fragments of one packet: 9,216 bytes in pieces of 1,280 take 8
	TIMEOUT_MS = 2000,
	POLL_MS = 50,
	KNOWN = 4096,
	STRANGERS_PER_S = 8000, // fragments that one worker hands to others
	STRANGERS_BURST = 256,
};

struct piece {
	struct rte_mbuf *m;
	uint16_t offset, len; // of its payload in the packet's
};

// A packet that is not whole yet. n_pieces 0: the entry is free.
struct entry {
	struct ip6 src, dst;
	uint32_t id_be;
	uint8_t n_pieces;
	bool is_known;
	uint16_t head_len; // of the first piece: IPv6 and unfragmentable extension headers
	uint32_t total; // payload length, 0 until the last piece is here
	uint32_t have; // payload bytes here
	uint64_t due_tsc;
	struct piece pieces[PIECES + 1]; // by offset; one too many ends the packet
};

struct reassembly {
	struct hash_seed seed;
	uint32_t held, max_held; // buffers
	uint32_t held_strange; // of them of strangers: at most three in four
	uint32_t n_entries;
	uint64_t poll_tsc;
	uint32_t known[KNOWN]; // upper hash bits of known sources
	struct entry entries[SETS][WAYS];
};

// What the fragment header says, RFC 8200 section 4.5.
struct fragment {
	uint32_t id_be;
	uint16_t offset, len; // of the payload
	bool has_more;
	unsigned int head_len; // IPv6 and unfragmentable extension headers
};

struct reassembly *reassembly_new(uint32_t max_buffers)
{
	struct reassembly *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->max_held = max_buffers;
	if (hash_seed_draw(&r->seed) != 0) {
		free(r);
		return NULL;
	}
	return r;
}

static void entry_clear(struct reassembly *r, struct entry *e)
{
	for (unsigned int i = 0; i < e->n_pieces; i++)
		rte_pktmbuf_free(e->pieces[i].m);
	r->held -= e->n_pieces;
	r->held_strange -= e->is_known ? 0 : e->n_pieces;
	r->n_entries--;
	memset(e, 0, sizeof(*e));
}

static void entry_drop(struct worker *w, struct entry *e, enum drop_reason reason)
{
	w->stats.drops[reason] += e->n_pieces;
	entry_clear(w->reassembly, e);
}

void reassembly_free(struct reassembly *r)
{
	if (r == NULL)
		return;
	for (unsigned int s = 0; s < SETS; s++) {
		for (unsigned int i = 0; i < WAYS; i++) {
			if (r->entries[s][i].n_pieces > 0)
				entry_clear(r, &r->entries[s][i]);
		}
	}
	free(r);
}

uint32_t reassembly_held(const struct reassembly *r)
{
	return r->held;
}

static uint32_t *known_slot(struct reassembly *r, const struct ip6 *src, uint32_t *tag)
{
	uint64_t h = hash_ip6(&r->seed, src);

	*tag = (uint32_t)(h >> 32) | 1;
	return &r->known[h % KNOWN];
}

void reassembly_know(struct reassembly *r, const struct ip6 *src)
{
	uint32_t tag, *slot = known_slot(r, src, &tag);

	*slot = tag;
}

static bool is_known(struct reassembly *r, const struct ip6 *src)
{
	uint32_t tag, *slot = known_slot(r, src, &tag);

	return *slot == tag;
}

// Whether another buffer may be held for a peer.
static bool has_room(struct reassembly *r, const struct ip6 *src)
{
	if (is_known(r, src))
		return r->held < r->max_held;
	return r->held_strange < r->max_held - r->max_held / 4 && r->held < r->max_held;
}

// The entry that gives way to a newcomer: a free one, else the oldest of those it may displace.
// Strangers displace strangers, and only while they have their share.
static struct entry *victim(struct entry *set, bool newcomer_is_known)
{
	struct entry *oldest = NULL;
	unsigned int n_strangers = 0;

	for (unsigned int i = 0; i < WAYS; i++)
		n_strangers += set[i].n_pieces > 0 && !set[i].is_known;
	for (unsigned int i = 0; i < WAYS; i++) {
		struct entry *e = &set[i];

		if (e->n_pieces == 0 && (newcomer_is_known || n_strangers < STRANGER_WAYS))
			return e;
		if (e->n_pieces == 0 || (e->is_known && (!newcomer_is_known || n_strangers > 0)))
			continue;
		if (oldest == NULL || e->due_tsc < oldest->due_tsc)
			oldest = e;
	}
	return oldest;
}

// Its peer has become known while the packet was coming in.
static void entry_know(struct reassembly *r, struct entry *e)
{
	e->is_known = true;
	r->held_strange -= e->n_pieces;
}

static struct entry *entry_get(struct worker *w, const struct ip6_hdr_wire *ip, uint32_t id_be)
{
	struct reassembly *r = w->reassembly;
	uint64_t h = hash_ip6(&r->seed, &ip->src) ^ hash_fold(id_be + 1, r->seed.q[2] | 1);
	struct entry *set = r->entries[h % SETS], *e;
	bool from_known = is_known(r, &ip->src);

	for (unsigned int i = 0; i < WAYS; i++) {
		e = &set[i];
		if (e->n_pieces == 0 || e->id_be != id_be || !ip6_eq(&e->src, &ip->src) ||
			!ip6_eq(&e->dst, &ip->dst))
			continue;
		if (from_known && !e->is_known)
			entry_know(r, e);
		return e;
	}
	e = victim(set, from_known);
	if (e == NULL)
		return NULL;
	if (e->n_pieces > 0)
		entry_drop(w, e, DROP_fragment_evicted);
	r->n_entries++;
	*e = (struct entry){
		.src = ip->src,
		.dst = ip->dst,
		.id_be = id_be,
		.is_known = from_known,
		.due_tsc = w->now_tsc + rte_get_tsc_hz() / 1000 * TIMEOUT_MS,
	};
	return e;
}

// Reads the fragment header at `at`. Returns: 0, or the offset in the packet that is wrong (RFC 8200
// section 4.5: payload length, or fragment offset).
static uint32_t fragment_read(struct rte_mbuf *m, unsigned int at, struct fragment *f)
{
	const uint8_t *hdr = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	uint32_t len = m->pkt_len - at - 8;
	uint16_t offset_more;

	if (at + 8 > m->data_len || m->pkt_len <= at + 8)
		return offsetof(struct ip6_hdr_wire, payload_len_be);
	memcpy(&offset_more, hdr + 2, sizeof(offset_more));
	memcpy(&f->id_be, hdr + 4, sizeof(f->id_be));
	offset_more = rte_be_to_cpu_16(offset_more);
	f->offset = offset_more & 0xfff8;
	f->has_more = offset_more & 1;
	f->len = (uint16_t)len;
	f->head_len = at;
	if (f->has_more && len % 8 != 0)
		return offsetof(struct ip6_hdr_wire, payload_len_be);
	return f->offset + len <= UINT16_MAX - at ? 0 : at + 2;
}

// Puts a piece (moved) into its place. False when the packet cannot be right any more: an overlap, two
// ends, too many pieces.
static bool piece_insert(struct entry *e, struct rte_mbuf *m, const struct fragment *f)
{
	uint32_t end = (uint32_t)f->offset + f->len;
	bool has_two_ends = !f->has_more && e->total != 0;
	unsigned int i = e->n_pieces++;

	if (!f->has_more)
		e->total = end;
	if (f->offset == 0)
		e->head_len = (uint16_t)f->head_len;
	for (; i > 0 && e->pieces[i - 1].offset > f->offset; i--)
		e->pieces[i] = e->pieces[i - 1];
	e->pieces[i] = (struct piece){ .m = m, .offset = f->offset, .len = f->len };
	e->have += f->len;
	if (i > 0 && (uint32_t)e->pieces[i - 1].offset + e->pieces[i - 1].len > f->offset)
		return false;
	if (i + 1u < e->n_pieces && end > e->pieces[i + 1].offset)
		return false;
	i = e->n_pieces - 1u;
	return !has_two_ends && e->n_pieces <= PIECES &&
	       (e->total == 0 || (uint32_t)e->pieces[i].offset + e->pieces[i].len <= e->total);
}

// Takes the fragment header out of the first piece: what stands before it moves up by 8 bytes.
static struct rte_mbuf *head_close(struct rte_mbuf *m, unsigned int head_len, uint32_t payload)
{
	uint8_t *head = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t next_header = head[head_len];
	uint8_t *place = &((struct ip6_hdr_wire *)(void *)head)->next_header;
	unsigned int at = sizeof(struct ip6_hdr_wire);

	while (at < head_len) { // the chain was walked before: it ends at head_len
		place = &head[at];
		at += 8u + 8u * head[at + 1];
	}
	*place = next_header;
	memmove(head + 8, head, head_len);
	rte_pktmbuf_adj(m, 8);
	if (pkt_meta(m)->flags & PKT_TUNNELLED) // its outer header stayed where it was
		pkt_meta(m)->outer_len += 8;
	pkt_ip6(m)->payload_len_be =
		rte_cpu_to_be_16((uint16_t)(head_len - sizeof(struct ip6_hdr_wire) + payload));
	return m;
}

// Appends the payload of a piece (moved) to the head: as bytes when has_room, else as a segment.
static void piece_append(struct rte_mbuf *head, const struct piece *piece, bool has_room)
{
	struct rte_mbuf *m = piece->m;

	rte_pktmbuf_adj(m, (uint16_t)(m->pkt_len - piece->len));
	// Pieces are single segments and few: they can always be chained.
	if (!has_room && rte_pktmbuf_chain(head, m) == 0)
		return;
	memcpy(rte_pktmbuf_append(head, piece->len), rte_pktmbuf_mtod(m, void *), piece->len);
	rte_pktmbuf_free(m);
}

static struct rte_mbuf *entry_join(struct worker *w, struct entry *e)
{
	struct reassembly *r = w->reassembly;
	struct rte_mbuf *head = head_close(e->pieces[0].m, e->head_len, e->total);
	bool has_room = e->total - e->pieces[0].len <= rte_pktmbuf_tailroom(head);
	unsigned int n = e->n_pieces;

	for (unsigned int i = 1; i < n; i++)
		piece_append(head, &e->pieces[i], has_room);
	r->held -= n;
	r->held_strange -= e->is_known ? 0 : n;
	r->n_entries--;
	w->stats.absorbed += n - 1;
	w->stats.reassembled++;
	memset(e, 0, sizeof(*e));
	pkt_meta(head)->flags |= PKT_REASSEMBLED;
	return head;
}

// Hands a fragment to the worker where its packet's meet. What a flood of them may cost that worker is
// bounded here; peers whose tunnels were good are spared, as far as this worker knows them.
static void hand_over(struct worker *w, uint16_t owner, struct rte_mbuf *m)
{
	if (!is_known(w->reassembly, &pkt_ip6(m)->src) &&
		!bucket_take(&w->fragment_spent_tsc, w->now_tsc, rte_get_tsc_hz() / STRANGERS_PER_S,
			STRANGERS_BURST)) {
		worker_drop(w, m, DROP_fragment_flood);
		return;
	}
	worker_fragment_to_peer(w, owner, m);
}

struct rte_mbuf *reassembly_add(struct worker *w, struct rte_mbuf *m, unsigned int at)
{
	struct reassembly *r = w->reassembly;
	struct fragment f;
	uint32_t wrong = fragment_read(m, at, &f);
	struct entry *e;

	if (wrong != 0 || m->nb_segs > 1) {
		stage_refuse(w, m, DROP_fragment_bad, ICMP6_PARAM_PROBLEM, 0, wrong);
		return NULL;
	}
	if (f.offset == 0 && !f.has_more) // RFC 6946: a fragment of its own
		return head_close(m, f.head_len, f.len);
	if (w->from_peers != NULL) {
		uint16_t owner = spread_fragment_worker(pkt_ip6(m), f.id_be);

		if (owner != w->id) {
			hand_over(w, owner, m);
			return NULL;
		}
	}
	e = has_room(r, &pkt_ip6(m)->src) ? entry_get(w, pkt_ip6(m), f.id_be) : NULL;
	if (e == NULL) {
		worker_drop(w, m, DROP_fragment_no_room);
		return NULL;
	}
	r->held++;
	r->held_strange += !e->is_known;
	if (!piece_insert(e, m, &f)) {
		entry_drop(w, e, DROP_fragment_overlap);
		return NULL;
	}
	return e->total != 0 && e->have == e->total ? entry_join(w, e) : NULL;
}

static void entry_expire(struct worker *w, struct entry *e)
{
	enum { REASSEMBLY_TIME = 1 }; // RFC 4443 3.3

	if (e->pieces[0].offset == 0)
		stage_icmp_error(w, e->pieces[0].m, ICMP6_TIME_EXCEEDED, REASSEMBLY_TIME, 0);
	entry_drop(w, e, DROP_fragment_timeout);
}

void reassembly_poll(struct worker *w)
{
	struct reassembly *r = w->reassembly;

	if (likely(r->n_entries == 0) || w->now_tsc < r->poll_tsc)
		return;
	r->poll_tsc = w->now_tsc + rte_get_tsc_hz() / 1000 * POLL_MS;
	for (unsigned int s = 0; s < SETS; s++) {
		for (unsigned int i = 0; i < WAYS; i++) {
			struct entry *e = &r->entries[s][i];

			if (e->n_pieces > 0 && w->now_tsc > e->due_tsc)
				entry_expire(w, e);
		}
	}
}
