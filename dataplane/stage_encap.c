// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets to home addresses go to the care-of address in an IPv6-in-IPv6 tunnel (RFC 6275 10.4.2,
// RFC 2473). The traffic class with its ECN bits is copied outward (RFC 6040 4.1, normal mode), the
// outer flow label is a hash of the inner flow (RFC 6438). What our own kernel sends them goes there with a
// type 2 routing header (RFC 6275 9.3.2).
//
// Exits: ports and glean (stage_egress), again (the care-of address is itself a home address), drops
// not_filled, unbound, own_source, link_local_source, hop_limit, care_of_unroutable, too_big, encap_limit,
// encap_option, no_headroom, esp_no_sa; esp_out (what has to travel under an SA: stage_esp_out.c).

#include "dataplane/stage_esp.h"

#include "dataplane/anchor.h"
#include "dataplane/base/cursor.h"
#include "dataplane/domain.h"
#include "dataplane/esp.h"
#include "dataplane/fib.h"
#include "dataplane/pmtu.h"
#include "dataplane/sa.h"

enum {
	MAX_ENCAPS = 2,
	LIMIT_MAX_HEADERS = 6, // that an encapsulation limit is looked for behind
	MH_TYPE_AT = 2, // RFC 6275 section 6.1.1
	MH_HOME_TEST = 3,
	SA_AHEAD = 8, // packets whose SAs are under way
};

// The destination options header of an outer header: a Tunnel Encapsulation Limit and padding.
// RFC 2473 section 4.1.1.
struct limit_hdr {
	uint8_t next_header, len, type, type_len, limit, padn, padn_len, pad;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct limit_hdr) == 8, "encapsulation limit");

// What is put in front of a packet.
struct outer {
	const struct agent *agent;
	struct sa *sa; // that what is inside travels under, or NULL
	uint16_t len; // bytes of outer headers
	uint16_t esp; // bytes that ESP adds to this packet
	uint8_t limit; // of the option, where len has room for it
};

static const uint16_t PLAIN_LEN = sizeof(struct ip6_hdr_wire);
static const uint16_t LIMIT_LEN = sizeof(struct ip6_hdr_wire) + sizeof(struct limit_hdr);

static void count_down(struct worker *w, struct binding *b, uint64_t bytes)
{
	if (w->counts_shared) {
		__atomic_fetch_add(&b->packets_down, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&b->bytes_down, bytes, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&b->packets_down, b->packets_down + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&b->bytes_down, b->bytes_down + bytes, __ATOMIC_RELAXED);
	}
}

// Drops what may not go further before the tunnel is even looked at. True when m lives on.
static bool admit(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	if (stage_is_odd(pkt_ip6(m)->next_header) && stage_is_own_source(m)) {
		worker_drop(w, m, DROP_own_source);
		return false;
	}
	if (ip6_is_linklocal(&pkt_ip6(m)->src)) {
		stage_refuse(
			w, m, DROP_link_local_source, ICMP6_UNREACH, ICMP6_UNREACH_BEYOND_SCOPE, 0);
		return false;
	}
	if (meta->n_encaps >= MAX_ENCAPS) {
		worker_drop(w, m, DROP_encap_limit);
		return false;
	}
	if (!(meta->flags & PKT_LOCAL_ORIGIN) && pkt_ip6(m)->hop_limit <= 1) {
		stage_refuse(w, m, DROP_hop_limit, ICMP6_TIME_EXCEEDED, 0, 0);
		return false;
	}
	return true;
}

// The offset from `at`, where options begins, of the limit in a Tunnel Encapsulation Limit option, or 0.
static unsigned int limit_search(struct rcursor options, unsigned int at)
{
	const uint8_t *start = options.p;

	while (rcursor_left(&options) > 0) {
		uint8_t type = rcursor_u8(&options), len;

		if (type == DSTOPT_PAD1)
			continue;
		len = rcursor_u8(&options);
		if (type == DSTOPT_ENCAP_LIMIT && len == 1 && rcursor_left(&options) > 0)
			return at + (unsigned int)(options.p - start);
		rcursor_bytes(&options, len);
	}
	return 0;
}

// The offset in a packet of the limit that it may enter tunnels under, or 0: examines what RFC 2473
// section 4.1.1 (a) says.
static unsigned int limit_find(const struct rte_mbuf *m)
{
	const uint8_t *packet = rte_pktmbuf_mtod(m, const uint8_t *);
	struct rcursor c = rcursor_make(packet, m->data_len);
	uint8_t proto = ((const struct ip6_hdr_wire *)(const void *)packet)->next_header;
	unsigned int limit = 0;

	rcursor_bytes(&c, sizeof(struct ip6_hdr_wire));
	for (unsigned int i = 0; i < LIMIT_MAX_HEADERS && c.ok && limit == 0; i++) {
		uint8_t next = rcursor_u8(&c), len = rcursor_u8(&c);
		unsigned int at = (unsigned int)(c.p - packet);

		if (proto == PROTO_DSTOPTS)
			limit = limit_search(rcursor_sub(&c, 8u * len + 6), at);
		else if (proto == PROTO_HOPOPTS || proto == PROTO_ROUTING)
			rcursor_bytes(&c, 8u * len + 6);
		else if (proto == PROTO_AH)
			rcursor_bytes(&c, 4u * len + 6); // RFC 4302 section 2.2
		else if (proto != PROTO_FRAGMENT || (rcursor_u16(&c) & 0xfff8) != 0)
			return 0;
		else
			rcursor_bytes(&c, 4);
		proto = next;
	}
	return limit;
}

// Chooses the outer headers of a packet. True when m lives on.
static bool outer_choose(
	struct worker *w, struct rte_mbuf *m, const struct binding *b, struct outer *outer)
{
	const struct agent *agent = anchor_agent(b->agent);
	unsigned int at;

	if (agent == NULL) {
		worker_drop(w, m, DROP_agent_gone);
		return false;
	}
	*outer = (struct outer){ .agent = agent, .len = PLAIN_LEN };
	if (agent->has_encap_limit) {
		outer->len = LIMIT_LEN;
		outer->limit = agent->encap_limit;
	}
	if (!stage_is_odd(pkt_ip6(m)->next_header) || (at = limit_find(m)) == 0)
		return true;
	outer->limit = *rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	if (outer->limit == 0) {
		stage_refuse(w, m, DROP_encap_option, ICMP6_PARAM_PROBLEM, 0, at);
		return false;
	}
	outer->len = LIMIT_LEN;
	outer->limit--;
	return true;
}

static bool is_home_test(const struct rte_mbuf *m)
{
	unsigned int off = 0;

	return stage_upper(m, &off) == PROTO_MH && off + MH_TYPE_AT < m->data_len &&
	       *rte_pktmbuf_mtod_offset(m, const uint8_t *, off + MH_TYPE_AT) == MH_HOME_TEST;
}

// Finds the SA that a packet to a mobile has to travel under (RFC 6275 10.4.2, 10.4.6). True when m lives on.
static bool sa_choose(
	struct worker *w, struct rte_mbuf *m, const struct binding *b, struct outer *outer)
{
	uint32_t protect = stage_protect_binding(b);
	bool has_slot = (b->flags & BINDING_SA) != 0;
	bool is_payload = (protect & API_SA_BIT(API_SA_PAYLOAD)) != 0;
	bool is_routability = (protect & API_SA_BIT(API_SA_ROUTABILITY)) != 0 && is_home_test(m);

	if (!is_payload && !is_routability)
		return true;
	if (has_slot && is_routability)
		outer->sa = sa_out(b->sa_slot, API_SA_ROUTABILITY);
	if (has_slot && is_payload && outer->sa == NULL)
		outer->sa = sa_out(b->sa_slot, API_SA_PAYLOAD);
	if (outer->sa == NULL) {
		worker_drop(w, m, DROP_esp_no_sa);
		return false;
	}
	outer->esp = (uint16_t)(esp_head_len(outer->sa->suite) +
				esp_tail_len(outer->sa->suite, m->pkt_len));
	return true;
}

// The path MTU to a care-of address: that of its link, but for the few exceptions. One that is itself a
// home address has no link yet; what does not fit into its tunnel is learned from our own error.
static uint16_t path_mtu(const struct rte_mbuf *m, const struct binding *b,
	const struct nexthop *nh, const struct outer *outer)
{
	uint16_t floor = __atomic_load_n(&pmtu_floor, __ATOMIC_RELAXED);
	// A route may be given any MTU; IPv6 knows none below 1280 (RFC 8200 section 5).
	uint16_t link =
		nh->type != NEXTHOP_HOME ? RTE_MAX(nh->mtu, (uint16_t)IP6_MIN_MTU) : UINT16_MAX;

	if (m->pkt_len + outer->len + outer->esp <= floor)
		return link;
	return pmtu_get(&b->care_of, link);
}

// Drops what the way to the care-of address cannot carry: RFC 2473 section 7.1. True when m lives on.
static bool admit_on_route(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh,
	uint16_t mtu, const struct outer *outer)
{
	uint32_t room;

	if (nh->type != NEXTHOP_ADJACENCY && nh->type != NEXTHOP_GLEAN &&
		nh->type != NEXTHOP_HOME) {
		worker_drop(w, m, DROP_care_of_unroutable);
		return false;
	}
	if (m->pkt_len + outer->len + outer->esp <= mtu || m->pkt_len <= IP6_MIN_MTU)
		return true;
	room = mtu - outer->len;
	if (outer->sa != NULL)
		room = esp_room(outer->sa->suite, room);
	stage_refuse(
		w, m, DROP_too_big, ICMP6_PACKET_TOO_BIG, 0, RTE_MAX(room, (uint32_t)IP6_MIN_MTU));
	return false;
}

// Writes the fixed outer header of an IPv6 packet of len bytes that begins with in_vtc_flow_be.
static inline void outer_write(struct ip6_hdr_wire *out, const struct agent *agent,
	const struct binding *b, uint32_t in_vtc_flow_be, uint32_t hash, uint32_t len)
{
	const uint32_t tc_mask = rte_cpu_to_be_32(0x0ff00000),
		       label_mask = rte_cpu_to_be_32(0xfffff);
	uint32_t label_be = hash & label_mask;

	out->vtc_flow_be = agent->outer.vtc_flow_be | (in_vtc_flow_be & tc_mask) |
			   (label_be != 0 ? label_be : rte_cpu_to_be_32(1));
	out->payload_len_be = rte_cpu_to_be_16((uint16_t)len);
	out->next_header = agent->outer.next_header;
	out->hop_limit = agent->outer.hop_limit;
	out->src = agent->outer.src;
	out->dst = b->care_of;
}

// Puts the outer headers in front. Returns: m, maybe in another buffer, or NULL: dropped.
static struct rte_mbuf *push_outer(struct worker *w, struct rte_mbuf *m, const struct binding *b,
	uint32_t hash, const struct outer *outer)
{
	struct ip6_hdr_wire *in = pkt_ip6(m), *out;
	uint32_t in_vtc_flow_be = in->vtc_flow_be;
	uint8_t protocol = PROTO_IPV6;
	struct pkt_meta *meta;

	if (!(pkt_meta(m)->flags & PKT_LOCAL_ORIGIN))
		in->hop_limit--;
	if (outer->sa != NULL) {
		protocol = PROTO_ESP;
		m = stage_esp_wrap(w, m, outer->sa->suite, m->pkt_len, PROTO_IPV6);
		if (m == NULL)
			return NULL;
	}
	out = (struct ip6_hdr_wire *)(void *)rte_pktmbuf_prepend(m, outer->len);
	if (unlikely(out == NULL)) {
		worker_drop(w, m, DROP_no_headroom);
		return NULL;
	}
	outer_write(out, outer->agent, b, in_vtc_flow_be, hash, m->pkt_len - sizeof(*out));
	out->next_header = protocol;
	if (outer->len == LIMIT_LEN) {
		out->next_header = PROTO_DSTOPTS;
		*(struct limit_hdr *)(out + 1) = (struct limit_hdr){
			.next_header = protocol,
			.type = DSTOPT_ENCAP_LIMIT,
			.type_len = 1,
			.limit = outer->limit,
			.padn = DSTOPT_PADN,
			.padn_len = 1,
		};
	}
	meta = pkt_meta(m);
	meta->n_encaps++;
	meta->flags &= (uint8_t)~PKT_FROM_HOST;
	meta->domain = DOMAIN_TRANSPORT;
	return m;
}

void stage_tunnel_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, uint16_t mtu)
{
	if (nh->type == NEXTHOP_HOME)
		pkt_meta(m)->flags |= PKT_LOCAL_ORIGIN;
	if (m->pkt_len > mtu)
		fragment_send(w, m, nh, mtu);
	else if (nh->type == NEXTHOP_HOME)
		worker_again(w, m);
	else
		stage_egress(w, m, nh);
}

// Encapsulates any packet on any way.
static void encap_any(struct worker *w, struct rte_mbuf *m, struct binding *b,
	const struct nexthop *nh, uint32_t hash)
{
	uint32_t inner_len = m->pkt_len;
	struct outer outer;
	uint16_t mtu;

	if (!admit(w, m) || !outer_choose(w, m, b, &outer))
		return;
	if ((b->flags != 0 || __atomic_load_n(&anchor_protect, __ATOMIC_RELAXED) != 0) &&
		!sa_choose(w, m, b, &outer))
		return;
	mtu = path_mtu(m, b, nh, &outer);
	if ((pkt_meta(m)->flags & PKT_FROM_HOST) && outer.sa == NULL && nh->type != NEXTHOP_HOME &&
		stage_shim_out(m, &b->care_of, mtu)) {
		count_down(w, b, inner_len);
		w->stats.routed++;
		stage_egress(w, m, nh);
		return;
	}
	if (!admit_on_route(w, m, nh, mtu, &outer))
		return;
	m = push_outer(w, m, b, hash, &outer);
	if (m == NULL)
		return;
	if (outer.sa == NULL)
		stage_tunnel_send(w, m, nh, mtu);
	else if (!stage_esp_queue_slowly(w, &(struct esp_out){ .m = m, .nh = nh, .mtu = mtu },
			 outer.sa, outer.len, inner_len))
		return;
	count_down(w, b, inner_len);
	w->stats.encapsulated++;
}

// The longest packet that is_ordinary may hold for ordinary.
static uint32_t ordinary_max(void)
{
	if (__atomic_load_n(&anchor_protect, __ATOMIC_RELAXED) != 0)
		return 0;
	return __atomic_load_n(&pmtu_floor, __ATOMIC_RELAXED) - (uint32_t)PLAIN_LEN;
}

// Whether admit and outer_choose have nothing to say to a packet, and its way is a neighbour's.
static inline bool is_usual(struct rte_mbuf *m, const struct agent *agent, const struct nexthop *nh)
{
	const struct ip6_hdr_wire *ip = pkt_ip6(m);
	const struct pkt_meta *meta = pkt_meta(m);

	return likely((meta->flags & (PKT_LOCAL_ORIGIN | PKT_FROM_HOST)) == 0) &&
	       likely(meta->n_encaps == 0) && likely(!stage_is_odd(ip->next_header)) &&
	       likely(!ip6_is_linklocal(&ip->src)) && likely(ip->hop_limit > 1) &&
	       likely(agent != NULL) && likely(!agent->has_encap_limit) &&
	       likely(nh->type == NEXTHOP_ADJACENCY);
}

// Whether sa_choose and the way's MTU have nothing to say either, as to nearly all.
static inline bool is_ordinary(struct rte_mbuf *m, const struct binding *b,
	const struct agent *agent, const struct nexthop *nh, uint32_t max)
{
	return likely(b->flags == 0) && is_usual(m, agent, nh) && likely(m->pkt_len <= max) &&
	       likely(m->pkt_len + PLAIN_LEN <= nh->mtu);
}

// Encapsulates a packet of the payload that has to travel under its mobile's SA, when there is nothing else to
// say. Returns: false: there is, and m is as it was.
static bool encap_sealed(struct worker *w, struct rte_mbuf *m, struct binding *b,
	const struct agent *agent, const struct nexthop *nh, uint32_t hash)
{
	struct ip6_hdr_wire *in = pkt_ip6(m), *out;
	struct sa *sa = sa_out(b->sa_slot, API_SA_PAYLOAD);
	uint32_t len = m->pkt_len, front, tail, whole;

	if (unlikely(sa == NULL || !(stage_protect_binding(b) & API_SA_BIT(API_SA_PAYLOAD)) ||
		     !is_usual(m, agent, nh)))
		return false;
	front = PLAIN_LEN + esp_head_len(sa->suite);
	tail = esp_tail_len(sa->suite, len);
	whole = front + len + tail;
	if (unlikely(whole > nh->mtu || whole > __atomic_load_n(&pmtu_floor, __ATOMIC_RELAXED) ||
		     m->nb_segs > 1 || rte_pktmbuf_headroom(m) < front ||
		     rte_pktmbuf_tailroom(m) < tail))
		return false;
	esp_trailer_put(sa->suite, (uint8_t *)in + len, len, PROTO_IPV6);
	out = (struct ip6_hdr_wire *)(void *)((uint8_t *)in - front);
	outer_write(out, agent, b, in->vtc_flow_be, hash, whole - PLAIN_LEN);
	out->next_header = PROTO_ESP;
	in->hop_limit--;
	m->data_off -= (uint16_t)front;
	m->data_len = (uint16_t)whole;
	m->pkt_len = whole;
	if (stage_esp_queue(w, &(struct esp_out){ .m = m, .nh = nh, .is_ready = true }, sa,
		    PLAIN_LEN, len)) {
		count_down(w, b, len);
		w->stats.encapsulated++;
	}
	return true;
}

static inline void encap_one(struct worker *w, struct rte_mbuf *m, struct binding *b,
	const struct nexthop *nh, uint32_t max)
{
	struct ip6_hdr_wire *in = pkt_ip6(m), *out;
	const struct agent *agent = anchor_agent(b->agent);
	uint32_t hash = stage_flow_hash(m, in), len = m->pkt_len;

	nh = stage_pick(nh, hash);
	if (unlikely(!is_ordinary(m, b, agent, nh, max))) {
		if (b->flags != BINDING_SA || unlikely(!encap_sealed(w, m, b, agent, nh, hash)))
			encap_any(w, m, b, nh, hash);
		return;
	}
	if (unlikely(rte_pktmbuf_headroom(m) < sizeof(*out))) {
		worker_drop(w, m, DROP_no_headroom);
		return;
	}
	out = (struct ip6_hdr_wire *)(void *)rte_pktmbuf_prepend(m, sizeof(*out));
	outer_write(out, agent, b, in->vtc_flow_be, hash, len);
	in->hop_limit--;
	count_down(w, b, len);
	w->stats.encapsulated++;
	stage_out(w, m, nh);
}

// A packet for a home address without a binding. Moves m.
static void refuse_unbound(struct worker *w, struct rte_mbuf *m)
{
	if (!__atomic_load_n(&anchor_is_filled, __ATOMIC_RELAXED))
		worker_drop(w, m, DROP_not_filled);
	else
		stage_refuse(w, m, DROP_unbound, ICMP6_UNREACH, ICMP6_UNREACH_ADDRESS, 0);
}

// Takes those without a binding out of n packets. Returns: how many are left.
static unsigned int take_out_unbound(
	struct worker *w, struct rte_mbuf **pkts, struct binding **bindings, unsigned int n)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (bindings[i] == NULL) {
			refuse_unbound(w, pkts[i]);
			continue;
		}
		pkts[left] = pkts[i];
		bindings[left++] = bindings[i];
	}
	return left;
}

static inline void sa_prefetch(const struct binding *b)
{
	if (b->flags & BINDING_SA)
		sa_out_prefetch(b->sa_slot, API_SA_PAYLOAD);
}

void stage_encap(struct worker *w)
{
	struct lane *in = &w->home;
	union bindtab_key *keys = w->lookups.keys;
	struct binding **bindings = w->lookups.bindings;
	struct ip6 *care_of = w->lookups.addresses;
	uint32_t *idx = w->lookups.nexthops, max = ordinary_max();
	unsigned int n = in->n;
	uint16_t flags = 0;

	if (n == 0)
		return;
	in->n = 0;
	for (unsigned int i = 0; i < n; i++)
		bindtab_key_make(&keys[i], &pkt_ip6(in->pkts[i])->dst, in->nh[i]->home_prefix,
			in->nh[i]->key_len);
	if (unlikely(bindtab_lookup_bulk(w->bindings, keys, bindings, n) < n))
		n = take_out_unbound(w, in->pkts, bindings, n);
	for (unsigned int i = 0; i < n; i++) {
		care_of[i] = bindings[i]->care_of;
		flags |= bindings[i]->flags;
		if (unlikely(bindings[i]->flags & BINDING_SA))
			sa_slot_prefetch(bindings[i]->sa_slot);
	}
	fib6_lookup_bulk(DOMAIN_TRANSPORT, care_of, idx, n);
	// SAs are fetched SA_AHEAD packets before they are used, the first of them here.
	for (unsigned int i = 0;
		unlikely(flags & BINDING_SA) && i < RTE_MIN(n, (unsigned int)SA_AHEAD); i++)
		sa_prefetch(bindings[i]);
	for (unsigned int i = 0; i < n; i++) {
		if (unlikely(flags & BINDING_SA) && i + SA_AHEAD < n)
			sa_prefetch(bindings[i + SA_AHEAD]);
		encap_one(w, in->pkts[i], bindings[i], nexthop_get(idx[i]), max);
	}
}
