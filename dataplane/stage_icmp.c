// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ICMPv6 errors that a router sends (RFC 4443). They are packets of our own: held for the next
// burst and routed like any other, so an error to a mobile goes through its tunnel.

#include "dataplane/stage.h"

#include <rte_cycles.h>

#include "dataplane/base/cksum.h"
#include "dataplane/port.h"

enum {
	ICMP_HOP_LIMIT = 64,
	ICMP_PER_SECOND = 1000, // of one worker
	ICMP_BURST = 100,
	// An error is at most 1280 bytes with its headers, RFC 4443 2.4 (c).
	QUOTE_MAX = IP6_MIN_MTU - sizeof(struct ip6_hdr_wire) - sizeof(struct icmp6_hdr_wire),
	ICMP6_LAST_ERROR = 127,
};

static struct ip6 icmp_source[CONFIG_MAX_PORTS];

void stage_icmp_source_set(uint8_t port, const struct ip6 *address)
{
	icmp_source[port] = *address;
}

// RFC 4443 2.4 (e): never about an error or redirect, nor to what is no single node. Of a fragment only
// the first tells its ICMPv6 type, so none of ICMPv6 is answered.
static bool may_answer(const struct rte_mbuf *m, const struct ip6_hdr_wire *ip)
{
	unsigned int off = 0;
	int proto;
	uint8_t type;

	if (ip6_is_multicast(&ip->dst) || !ip6_is_unicast_routable(&ip->src))
		return false;
	proto = stage_upper(m, &off);
	if (proto < 0 || off + 1 > m->data_len)
		return proto == PROTO_NONE;
	type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	if (proto == PROTO_FRAGMENT)
		return type != PROTO_ICMP6; // its first byte is the next header
	if (proto == PROTO_ICMP6)
		return type > ICMP6_LAST_ERROR && type != ICMP6_REDIRECT;
	return true;
}

// A token bucket kept as the time up to which tokens are spent.
static bool take_token(struct worker *w)
{
	uint64_t cost = rte_get_tsc_hz() / ICMP_PER_SECOND;
	uint64_t oldest = w->now_tsc - ICMP_BURST * cost;

	if (w->icmp_tokens_tsc < oldest || w->icmp_tokens_tsc > w->now_tsc + cost)
		w->icmp_tokens_tsc = oldest;
	if (w->icmp_tokens_tsc + cost > w->now_tsc)
		return false;
	w->icmp_tokens_tsc += cost;
	return true;
}

static void fill(struct rte_mbuf *error, struct rte_mbuf *m, const struct ip6 *source,
	struct icmp6_hdr_wire icmp)
{
	uint32_t quote = RTE_MIN(m->pkt_len, (uint32_t)QUOTE_MAX);
	uint32_t len = (uint32_t)sizeof(icmp) + quote;
	struct ip6_hdr_wire *ip = (struct ip6_hdr_wire *)(void *)rte_pktmbuf_append(
		error, (uint16_t)(sizeof(*ip) + len));
	uint8_t *body = (uint8_t *)(ip + 1);
	const void *quoted;

	quoted = rte_pktmbuf_read(m, 0, quote, body + sizeof(icmp));
	if (quoted != body + sizeof(icmp))
		memcpy(body + sizeof(icmp), quoted, quote);
	*ip = (struct ip6_hdr_wire){
		.vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16((uint16_t)len),
		.next_header = PROTO_ICMP6,
		.hop_limit = ICMP_HOP_LIMIT,
		.src = *source,
		.dst = pkt_ip6(m)->src,
	};
	memcpy(body, &icmp, sizeof(icmp));
	icmp.cksum_be = cksum_ip6(&ip->src, &ip->dst, PROTO_ICMP6, body, len);
	memcpy(body, &icmp, sizeof(icmp));
}

void stage_icmp_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
	const struct ip6 *source = &icmp_source[pkt_meta(m)->port];
	struct icmp6_hdr_wire icmp = {
		.type = type, .code = code, .param_be = rte_cpu_to_be_32(param)
	};
	struct rte_mbuf *error;

	// Errors about our own tunnel packets come back to us like those of any router on the way, and
	// what they mean for the original packet is told to its sender.
	bool is_own = (pkt_meta(m)->flags & PKT_LOCAL_ORIGIN) && pkt_meta(m)->n_encaps == 0;

	if (is_own || ip6_is_any(source) || !may_answer(m, pkt_ip6(m)) || !take_token(w)) {
		w->stats.icmp_suppressed++;
		return;
	}
	error = rte_pktmbuf_alloc(w->pool);
	if (error == NULL) {
		w->stats.icmp_suppressed++;
		return;
	}
	*pkt_meta(error) =
		(struct pkt_meta){ .flags = PKT_LOCAL_ORIGIN, .port = pkt_meta(m)->port };
	fill(error, m, source, icmp);
	w->stats.made++;
	worker_again(w, error);
}
