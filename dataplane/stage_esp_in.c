// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ESP to our agent addresses (RFC 4303 section 3.4, RFC 3776, RFC 4877): SA by SPI and destination, replay
// window, check value, then the selectors of the SA's use. Until the check value is right nothing is
// remembered, logged or answered; what wrong ones may cost is bounded by esp_guard.h.
//
// Exits: tunnel (tunnel mode: the outer headers in front, as those of a plain tunnel), punt (transport
// mode, ESP taken out), host (ESP to an address of ours that is no agent's), drops esp_no_sa,
// esp_malformed, esp_expired, esp_replay, esp_budget, esp_icv, esp_selector, esp_dummy, esp_no_room,
// home_option_bad, tunnel_nested and those of the punt.

#include "dataplane/stage.h"

#include <rte_cycles.h>

#include "dataplane/anchor.h"
#include "dataplane/esp_worker.h"

enum {
	MH_LEN_AT = 1, // RFC 6275 section 6.1.1
	MH_TYPE_AT = 2,
	MH_HOME_TEST_INIT = 1,
	MH_CARE_OF_TEST = 4, // the last type of return routability
};

// One packet of the burst.
struct incoming {
	struct rte_mbuf *m;
	struct sa *sa;
	const struct nexthop *nh; // of the agent address
	uint64_t source; // keyed hash
	uint16_t at; // offset of the ESP header
	bool is_peer;
};

static const struct ip6 *dst_of(struct rte_mbuf *m)
{
	return &pkt_ip6(m)->dst;
}

// ESP that no SA of ours is for: the kernel may have one for an address that is no agent's.
static void stranger(struct worker *w, struct rte_mbuf *m)
{
	uint16_t end = __atomic_load_n(&anchor_agents_end, __ATOMIC_RELAXED);

	for (uint16_t i = 0; i < end; i++) {
		const struct agent *agent = anchor_agent(i);

		if (agent != NULL && ip6_eq(&agent->outer.src, dst_of(m))) {
			worker_drop(w, m, DROP_esp_no_sa);
			return;
		}
	}
	stage_host(w, m);
}

// Finds the SAs of the lane's packets. Returns: how many have one.
static unsigned int find(struct worker *w, struct incoming *in)
{
	struct lane *lane = &w->esp_in;
	const struct ip6 *dsts[BURST];
	uint32_t spis[BURST];
	struct sa *sas[BURST];
	unsigned int n = 0, found = 0;

	for (unsigned int i = 0; i < lane->n; i++) {
		struct rte_mbuf *m = lane->pkts[i];
		const struct esp_hdr *hdr;
		unsigned int off = 0;

		if (stage_upper(m, &off) != PROTO_ESP || off + sizeof(*hdr) > m->data_len) {
			worker_drop(w, m, DROP_esp_malformed);
			continue;
		}
		hdr = rte_pktmbuf_mtod_offset(m, const struct esp_hdr *, off);
		spis[n] = rte_be_to_cpu_32(hdr->spi_be);
		dsts[n] = dst_of(m);
		in[n++] = (struct incoming){ .m = m, .nh = lane->nh[i], .at = (uint16_t)off };
	}
	lane->n = 0;
	sa_lookup_bulk(spis, dsts, sas, n);
	for (unsigned int i = 0; i < n; i++) {
		if (unlikely(sas[i] == NULL)) {
			stranger(w, in[i].m);
			continue;
		}
		in[found] = in[i];
		in[found++].sa = sas[i];
	}
	return found;
}

// Brings a packet into one buffer. Moves m. NULL: dropped.
static struct rte_mbuf *make_linear(struct worker *w, struct rte_mbuf *m)
{
	unsigned int front = pkt_meta(m)->flags & PKT_TUNNELLED ? pkt_meta(m)->outer_len : 0;
	struct rte_mbuf *copy;

	if (likely(m->nb_segs == 1))
		return m;
	rte_pktmbuf_prepend(m, (uint16_t)front);
	copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);
	if (copy == NULL || copy->nb_segs > 1) {
		rte_pktmbuf_free(copy);
		worker_drop(w, m, copy == NULL ? DROP_mbuf_empty : DROP_esp_no_room);
		return NULL;
	}
	rte_pktmbuf_free(m);
	rte_pktmbuf_adj(copy, (uint16_t)front);
	return copy;
}

// What can be said before the check value is computed.
static enum drop_reason judge(struct worker *w, struct incoming *in, struct esp_op *op)
{
	struct esp_guard *guard = &w->esp->guard;
	const struct esp_suite *suite = in->sa->suite;
	struct rte_mbuf *m = in->m;
	const struct esp_hdr *hdr = rte_pktmbuf_mtod_offset(m, const struct esp_hdr *, in->at);
	uint32_t len = m->pkt_len - in->at;

	if (sa_is_over(in->sa))
		return DROP_esp_expired;
	if (unlikely(len < suite->icv_len || !esp_len_is_sound(suite, len - suite->icv_len)))
		return DROP_esp_malformed;
	op->seq = replay_number(&in->sa->replay, rte_be_to_cpu_32(hdr->seq_be));
	if (unlikely(!replay_may_pass(&in->sa->replay, op->seq)))
		return DROP_esp_replay;
	in->source = esp_guard_source(guard, &pkt_ip6(m)->src);
	in->is_peer = __atomic_load_n(&in->sa->peer, __ATOMIC_RELAXED) == in->source;
	if (unlikely(!esp_guard_admit(guard, in->sa->spi, in->source, in->is_peer, w->now_tsc)))
		return DROP_esp_budget;
	op->packet = (uint8_t *)rte_pktmbuf_mtod_offset(m, void *, in->at);
	op->len = len - suite->icv_len;
	op->is_esn = in->sa->is_esn;
	op->suite = suite;
	op->key = &in->sa->key;
	return DROP_MAX;
}

static void count_refusal(struct sa *sa, enum drop_reason reason)
{
	if (reason == DROP_esp_replay)
		sa_count_drop(&sa->replayed);
	else if (reason == DROP_esp_icv)
		sa_count_drop(&sa->bad_icv);
	else if (reason == DROP_esp_selector)
		sa_count_drop(&sa->mismatched);
	else
		sa_count_drop(&sa->refused);
}

// --- After the check value ---------------------------------------------------------------------------

static bool is_home_test_init(const uint8_t *inner, uint32_t len, uint8_t protocol)
{
	const struct ip6_hdr_wire *ip = (const void *)inner;

	return protocol == PROTO_IPV6 && len > sizeof(*ip) + MH_TYPE_AT &&
	       ip->next_header == PROTO_MH && inner[sizeof(*ip) + MH_TYPE_AT] == MH_HOME_TEST_INIT;
}

// Tunnel mode: the packet inside begins head bytes behind the ESP header and has len bytes, with what
// hides its length (RFC 4303 section 2.7). True when it is one of this SA's: where return routability is
// protected by an SA of its own, that of the payload (which may not even encrypt) is not for it, RFC 3776
// section 4.2.
static bool select_tunnel(const struct sa *sa, const uint8_t *inner, uint32_t len, uint8_t protocol)
{
	if (protocol != PROTO_IPV6 && protocol != PROTO_IPV4)
		return false;
	if (is_home_test_init(inner, len, protocol))
		return sa->use == API_SA_ROUTABILITY ||
		       (sa->use == API_SA_PAYLOAD &&
			       !(sa_protect(sa->slot) & API_SA_BIT(API_SA_ROUTABILITY)));
	return sa->use == API_SA_PAYLOAD;
}

static void deliver_tunnel(struct worker *w, const struct incoming *in, uint32_t len)
{
	struct rte_mbuf *m = in->m;
	struct pkt_meta *meta = pkt_meta(m);
	unsigned int front = in->at + esp_head_len(in->sa->suite);
	const struct ip6_hdr_wire *ip =
		rte_pktmbuf_mtod_offset(m, const struct ip6_hdr_wire *, front);

	if (unlikely(meta->n_decaps >= STAGE_MAX_DECAPS)) {
		worker_drop(w, m, DROP_tunnel_nested);
		return;
	}
	if (len >= sizeof(*ip))
		len = RTE_MIN(len, rte_be_to_cpu_16(ip->payload_len_be) + (uint32_t)sizeof(*ip));
	rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - front - len));
	meta->outer_len = (uint16_t)front;
	meta->flags |= PKT_ESP;
	pkt_priv(m)->sa_slot = in->sa->slot;
	pkt_priv(m)->sa_use = in->sa->use;
	lane_add(&w->tunnel, m, in->nh);
}

static bool select_transport(
	const struct sa *sa, const uint8_t *message, uint32_t len, uint8_t protocol)
{
	if (sa->use == API_SA_SIGNALLING)
		return protocol == PROTO_MH && len > MH_TYPE_AT &&
		       (message[MH_TYPE_AT] == 0 || message[MH_TYPE_AT] > MH_CARE_OF_TEST);
	return sa->use == API_SA_DISCOVERY && protocol == PROTO_ICMP6 && len > 0 &&
	       message[0] == ICMP6_MPS;
}

// Takes ESP out of a packet, as if it never had been there.
static void deliver_transport(
	struct worker *w, const struct incoming *in, uint32_t len, uint8_t protocol)
{
	struct rte_mbuf *m = in->m;
	unsigned int head = esp_head_len(in->sa->suite);
	const uint8_t *message = rte_pktmbuf_mtod_offset(m, const uint8_t *, in->at + head);
	uint8_t *start = rte_pktmbuf_mtod(m, uint8_t *);

	if (protocol == PROTO_MH && len > MH_LEN_AT)
		len = RTE_MIN(len, 8u + 8u * message[MH_LEN_AT]);
	rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - in->at - head - len));
	*stage_last_next_header(m, in->at) = protocol;
	memmove(start + head, start, in->at);
	rte_pktmbuf_adj(m, (uint16_t)head);
	if (pkt_meta(m)->flags & PKT_TUNNELLED)
		pkt_meta(m)->outer_len += (uint16_t)head;
	pkt_ip6(m)->payload_len_be =
		rte_cpu_to_be_16((uint16_t)(m->pkt_len - sizeof(struct ip6_hdr_wire)));
	stage_punt_protected(w, m, in->at, in->sa);
}

// What an opened packet holds. RFC 4303 section 3.4.4.
static enum drop_reason open_one(struct worker *w, const struct incoming *in, struct esp_op *op)
{
	struct sa *sa = in->sa;
	const uint8_t *payload = op->packet + esp_head_len(sa->suite);
	bool is_transport = sa->use == API_SA_SIGNALLING || sa->use == API_SA_DISCOVERY;
	uint8_t protocol;
	int len;

	if (unlikely(!replay_mark(&sa->replay, op->seq)))
		return DROP_esp_replay;
	__atomic_store_n(&sa->peer, in->source, __ATOMIC_RELAXED);
	len = esp_trailer_take(op, &protocol);
	if (unlikely(len < 0))
		return DROP_esp_malformed;
	if (unlikely(protocol == PROTO_NONE)) // RFC 4303 section 2.6
		return DROP_esp_dummy;
	if (is_transport) {
		const struct ip6 *home = stage_home_of(in->m, in->at);

		if (home == NULL)
			return DROP_home_option_bad;
		if (!ip6_eq(home, &sa->home) ||
			!select_transport(sa, payload, (uint32_t)len, protocol))
			return DROP_esp_selector;
	} else if (unlikely(!select_tunnel(sa, payload, (uint32_t)len, protocol))) {
		return DROP_esp_selector;
	}
	sa_count_packet(sa, (uint64_t)len, w->counts_shared);
	w->stats.opened++;
	if (is_transport)
		deliver_transport(w, in, (uint32_t)len, protocol);
	else
		deliver_tunnel(w, in, (uint32_t)len);
	return DROP_MAX;
}

// Those of the burst that an SA refused: its counters, which nothing else needs, are on their way meanwhile.
struct refusals {
	unsigned int n;
	struct {
		struct sa *sa;
		enum drop_reason reason;
	} list[BURST];
};

static void refuse(
	struct worker *w, struct refusals *r, struct incoming *in, enum drop_reason reason)
{
	rte_prefetch0(&in->sa->bad_icv);
	r->list[r->n].sa = in->sa;
	r->list[r->n++].reason = reason;
	worker_drop(w, in->m, reason);
}

void stage_esp_in(struct worker *w)
{
	struct incoming in[BURST];
	struct refusals refused;
	struct esp_op ops[BURST];
	unsigned int n, found;
	uint64_t ticks;

	if (likely(w->esp_in.n == 0))
		return;
	esp_guard_turn(&w->esp->guard, w->now_tsc);
	found = find(w, in);
	refused.n = n = 0;
	for (unsigned int i = 0; i < found; i++) {
		enum drop_reason reason;

		in[n] = in[i];
		in[n].m = make_linear(w, in[i].m);
		if (unlikely(in[n].m == NULL))
			continue;
		reason = judge(w, &in[n], &ops[n]);
		if (unlikely(reason != DROP_MAX)) {
			refuse(w, &refused, &in[n], reason);
			continue;
		}
		n++;
	}
	ticks = rte_rdtsc();
	esp_open(w->esp->mgr, ops, n);
	ticks = rte_rdtsc() - ticks;
	for (unsigned int i = 0; i < n; i++) {
		enum drop_reason reason = DROP_esp_icv;

		if (likely(ops[i].is_good)) {
			esp_guard_good(&w->esp->guard, in[i].sa->spi, in[i].source, in[i].is_peer);
			reason = open_one(w, &in[i], &ops[i]);
		} else {
			esp_guard_bad(&w->esp->guard, ticks / n);
		}
		if (unlikely(reason != DROP_MAX))
			refuse(w, &refused, &in[i], reason);
	}
	for (unsigned int i = 0; i < refused.n; i++)
		count_refusal(refused.list[i].sa, refused.list[i].reason);
}
