// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Reverse tunnels end here: the inner source must be bound to exactly this outer source, in a binding
// of exactly this agent address (RFC 6275 10.4.5; the agent part is ours). ECN as RFC 6040 4.2.
//
// Exits: route (inner packets, to be routed in the domain of their home prefix), spread (the same, of
// a tunnel too heavy for one worker, to be routed by another), drops
// tunnel_bad_inner, tunnel_protocol, tunnel_unbound, tunnel_wrong_source, tunnel_wrong_agent,
// tunnel_ecn, inner_scope.

#include "dataplane/stage.h"

#include "dataplane/anchor.h"
#include "dataplane/fib.h"

enum { ECN_MASK = 3, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3 };

// Traffic class of the inner packet after the tunnel, or -1 to drop it (RFC 6040 figure 4).
static int ecn_decap(uint8_t inner, uint8_t outer)
{
	uint8_t in = inner & ECN_MASK, out = outer & ECN_MASK;

	if (out == ECN_CE)
		return in == 0 ? -1 : inner | ECN_CE;
	if (in == ECN_ECT0 && out == ECN_ECT1)
		return (inner & ~ECN_MASK) | ECN_ECT1;
	return inner;
}

// Judges the form of the inner packet behind outer_len bytes.
static enum drop_reason judge_inner(const struct rte_mbuf *m, unsigned int outer_len)
{
	const struct ip6_hdr_wire *in =
		rte_pktmbuf_mtod_offset(m, const struct ip6_hdr_wire *, outer_len);

	if (unlikely(m->data_len < outer_len + 1))
		return DROP_tunnel_bad_inner;
	if (unlikely((*(const uint8_t *)in >> 4) == 4))
		return DROP_tunnel_protocol;
	if (unlikely(m->data_len < outer_len + sizeof(*in) || (*(const uint8_t *)in >> 4) != 6 ||
		     rte_be_to_cpu_16(in->payload_len_be) + sizeof(*in) != m->pkt_len - outer_len))
		return DROP_tunnel_bad_inner;
	if (unlikely(ip6_is_multicast(&in->dst) || ip6_is_linklocal(&in->dst)))
		return DROP_inner_scope;
	return DROP_MAX;
}

// Fills the keys of the inner sources, in the domain of the agent address that the tunnel ends at: most
// share the last packet's home prefix, the others ask the FIB. A source outside every home prefix gets
// the key of no binding.
static void source_keys(
	struct worker *w, const struct lane *in_lane, union bindtab_key *keys, unsigned int n)
{
	const struct api_home_prefix_set *home = anchor_home_prefix(w->last_home_prefix);

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in_lane->pkts[i];
		uint8_t domain = in_lane->nh[i]->domain;
		const struct ip6_hdr_wire *in = rte_pktmbuf_mtod_offset(
			m, const struct ip6_hdr_wire *, pkt_meta(m)->outer_len);

		if (unlikely(home == NULL || home->domain != domain ||
			     !ip6_match(&in->src, &home->prefix, home->prefix_len))) {
			const struct nexthop *nh;
			uint32_t idx;

			fib6_lookup_bulk(domain, &in->src, &idx, 1);
			nh = nexthop_get(idx);
			home = nh->type == NEXTHOP_HOME ? anchor_home_prefix(nh->home_prefix)
							: NULL;
			if (home == NULL) {
				bindtab_key_make(&keys[i], &in->src, 0, 128);
				continue;
			}
			w->last_home_prefix = home->home_prefix;
		}
		bindtab_key_make(&keys[i], &in->src, home->home_prefix, home->key_len);
	}
}

static enum drop_reason check_source(const struct ip6_hdr_wire *out, const struct binding *b)
{
	const struct agent *agent;

	if (unlikely(b == NULL))
		return DROP_tunnel_unbound;
	if (unlikely(!ip6_eq(&out->src, &b->care_of)))
		return DROP_tunnel_wrong_source;
	agent = anchor_agent(b->agent);
	if (unlikely(agent == NULL || !ip6_eq(&out->dst, &agent->outer.src)))
		return DROP_tunnel_wrong_agent;
	return DROP_MAX;
}

static void count_up(struct worker *w, struct binding *b, uint64_t bytes)
{
	if (w->counts_shared) {
		__atomic_fetch_add(&b->packets_up, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&b->bytes_up, bytes, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&b->packets_up, b->packets_up + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&b->bytes_up, b->bytes_up + bytes, __ATOMIC_RELAXED);
	}
}

static void decap_one(struct worker *w, struct rte_mbuf *m, struct binding *b, uint8_t domain)
{
	const struct ip6_hdr_wire *out = pkt_ip6(m);
	struct pkt_meta *meta = pkt_meta(m);
	enum drop_reason reason = check_source(out, b);
	uint8_t outer_tc = ip6_traffic_class(out);
	struct ip6_hdr_wire *in;
	int tc;

	if (unlikely(reason != DROP_MAX)) {
		worker_drop(w, m, reason);
		return;
	}
	in = (struct ip6_hdr_wire *)(void *)rte_pktmbuf_adj(m, meta->outer_len);
	tc = ecn_decap(ip6_traffic_class(in), outer_tc);
	if (unlikely(tc < 0)) {
		worker_drop(w, m, DROP_tunnel_ecn);
		return;
	}
	if (unlikely(tc != ip6_traffic_class(in)))
		ip6_set_traffic_class(in, (uint8_t)tc);
	meta->flags |= PKT_TUNNELLED;
	meta->n_decaps++;
	meta->domain = domain;
	if (unlikely(meta->flags & PKT_REASSEMBLED))
		reassembly_know(w->reassembly, &out->src);
	count_up(w, b, m->pkt_len);
	w->stats.decapsulated++;
	if (likely(w->spread.n_heavy == 0) || !spread_away(w, m, out))
		lane_add(&w->route, m, NULL);
}

void stage_decap(struct worker *w)
{
	struct lane *in = &w->tunnel;
	union bindtab_key keys[BURST];
	struct binding *bindings[BURST];
	unsigned int n = 0;

	for (unsigned int i = 0; i < in->n; i++) {
		struct rte_mbuf *m = in->pkts[i];
		enum drop_reason reason = judge_inner(m, pkt_meta(m)->outer_len);

		if (unlikely(reason != DROP_MAX)) {
			worker_drop(w, m, reason);
			continue;
		}
		in->pkts[n] = m;
		in->nh[n++] = in->nh[i];
	}
	in->n = 0;
	if (n == 0)
		return;
	source_keys(w, in, keys, n);
	bindtab_lookup_bulk(w->bindings, keys, bindings, n);
	if (w->from_peers != NULL && n >= SPREAD_FULL_BURST) {
		unsigned int i = spread_voter(w);

		if (check_source(pkt_ip6(in->pkts[i]), bindings[i]) == DROP_MAX)
			spread_vote(w, pkt_ip6(in->pkts[i]));
	}
	for (unsigned int i = 0; i < n; i++)
		decap_one(w, in->pkts[i], bindings[i], in->nh[i]->domain);
}
