// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Reverse tunnels end here: the inner source must be bound to exactly this outer source, in a binding
// of exactly this agent address (RFC 6275 10.4.5; the agent part is ours). ECN as RFC 6040 4.2.
//
// Exits: route (inner packets, to be routed in the domain of their home prefix), spread (the same, of
// a tunnel too heavy for one worker, to be routed by another), drops
// tunnel_bad_inner, tunnel_protocol, tunnel_unbound, tunnel_wrong_source, tunnel_wrong_agent,
// tunnel_ecn, inner_scope, esp_selector, esp_required.

#include "dataplane/stage.h"

#include "dataplane/anchor.h"
#include "dataplane/fib.h"
#include "dataplane/sa.h"

enum {
	ECN_MASK = 3,
	ECN_ECT1 = 1,
	ECN_ECT0 = 2,
	ECN_CE = 3,
	MH_TYPE_AT = 2, // RFC 6275 section 6.1.1
	MH_HOME_TEST_INIT = 1,
};

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

// What the policy looks at in the packet inside.
struct inner {
	int protocol; // of its upper layer, as stage_upper
	uint8_t mh_type;
	bool is_to_agent; // to the address that the tunnel ends at
	bool has_home; // it is about `home`
};

static struct inner inner_look(struct rte_mbuf *m, const struct ip6 *home)
{
	uint16_t outer_len = pkt_meta(m)->outer_len;
	const struct ip6_hdr_wire *out = pkt_ip6(m);
	struct inner inner = { 0 };
	const struct ip6 *about;
	unsigned int off = 0;

	rte_pktmbuf_adj(m, outer_len);
	inner.protocol = stage_upper(m, &off);
	inner.is_to_agent = ip6_eq(&pkt_ip6(m)->dst, &out->dst);
	if (inner.protocol == PROTO_MH && off + MH_TYPE_AT < m->data_len)
		inner.mh_type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, off + MH_TYPE_AT);
	about = inner.protocol < 0 ? NULL : stage_home_of(m, off);
	inner.has_home = about != NULL && home != NULL && ip6_eq(about, home);
	rte_pktmbuf_prepend(m, outer_len);
	return inner;
}

static bool is_signalling(const struct inner *inner)
{
	return inner->is_to_agent && (inner->protocol == PROTO_MH || inner->protocol == PROTO_ESP);
}

// A packet under an SA: the inner source must be bound with the SA's slot; where it came from says the SA
// (RFC 6275 10.4.5). An update from a new care-of address, which is not bound yet, passes (RFC 4877 section
// 5): *b becomes NULL.
static enum drop_reason check_sa(struct rte_mbuf *m, struct binding **b)
{
	uint32_t slot = pkt_priv(m)->sa_slot;
	struct inner inner;

	if (likely(*b != NULL && ((*b)->flags & BINDING_SA) && (*b)->sa_slot == slot))
		return DROP_MAX;
	inner = inner_look(m, sa_home(slot));
	if (is_signalling(&inner) && inner.has_home) {
		*b = NULL;
		return DROP_MAX;
	}
	return *b == NULL ? DROP_tunnel_unbound : DROP_esp_selector;
}

// What came without an SA from a mobile that may have to use one. Signalling has a policy of its own (RFC
// 6275 10.4.6).
static enum drop_reason check_policy(struct rte_mbuf *m, const struct binding *b)
{
	uint32_t protect = stage_protect_binding(b);
	struct inner inner;

	if ((protect & (API_SA_BIT(API_SA_PAYLOAD) | API_SA_BIT(API_SA_ROUTABILITY))) == 0)
		return DROP_MAX;
	inner = inner_look(m, NULL);
	if (is_signalling(&inner))
		return DROP_MAX;
	if (protect & API_SA_BIT(API_SA_PAYLOAD))
		return DROP_esp_required;
	return inner.protocol == PROTO_MH && inner.mh_type == MH_HOME_TEST_INIT ? DROP_esp_required
										: DROP_MAX;
}

// check_source with what IPsec asks for.
static inline enum drop_reason check(struct rte_mbuf *m, struct binding **b)
{
	enum drop_reason reason;

	if (unlikely(pkt_meta(m)->flags & PKT_ESP))
		return check_sa(m, b);
	reason = check_source(pkt_ip6(m), *b);
	if (unlikely(__atomic_load_n(&anchor_protect, __ATOMIC_RELAXED) != 0 ||
		     (*b != NULL && (*b)->flags != 0)) &&
		reason == DROP_MAX)
		reason = check_policy(m, *b);
	return reason;
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
	enum drop_reason reason = check(m, &b);
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
	meta->flags = (uint8_t)((meta->flags & ~PKT_ESP) | PKT_TUNNELLED);
	meta->n_decaps++;
	meta->domain = domain;
	if (unlikely(meta->flags & PKT_REASSEMBLED))
		reassembly_know(w->reassembly, &out->src);
	if (likely(b != NULL))
		count_up(w, b, m->pkt_len);
	w->stats.decapsulated++;
	if (likely(w->spread.n_heavy == 0) || !spread_away(w, m, out))
		lane_add(&w->route, m, NULL);
}

void stage_decap(struct worker *w)
{
	struct lane *in = &w->tunnel;
	union bindtab_key *keys = w->lookups.keys;
	struct binding **bindings = w->lookups.bindings;
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
