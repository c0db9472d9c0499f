// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: tunnel (IPv6-in-IPv6), esp_in (ESP), punt (Mobility Header), host and error (stage_host.c), again
// (reassembled packets), drops tunnel_nested, esp_required and those of reassembly and of the correspondent
// shim (stage_shim.c).

#include "dataplane/stage.h"

#include "dataplane/anchor.h"
#include "dataplane/sa.h"

enum {
	UPPER_MAX_HEADERS = 6,
};

int stage_upper(const struct rte_mbuf *m, unsigned int *off)
{
	const struct ip6_hdr_wire *ip = rte_pktmbuf_mtod(m, const struct ip6_hdr_wire *);
	unsigned int at = sizeof(*ip);
	uint8_t proto = ip->next_header;

	for (unsigned int i = 0; i < UPPER_MAX_HEADERS; i++) {
		const uint8_t *ext;

		if (likely(proto != PROTO_HOPOPTS && proto != PROTO_DSTOPTS &&
			    proto != PROTO_ROUTING)) {
			*off = at;
			return proto;
		}
		if (at + 8 > m->data_len)
			return -1;
		ext = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
		if (proto == PROTO_ROUTING && ext[3] != 0) // RFC 8200 4.4: not the end of its way
			return -1;
		proto = ext[0];
		at += 8u + 8u * ext[1];
		if (at > m->data_len)
			return -1;
	}
	return -1;
}

uint8_t *stage_last_next_header(struct rte_mbuf *m, unsigned int upper)
{
	uint8_t *packet = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *place = &pkt_ip6(m)->next_header;
	unsigned int at = sizeof(struct ip6_hdr_wire);

	while (at < upper) {
		place = packet + at;
		at += 8u + 8u * place[1];
	}
	return place;
}

// True for a fragment of what this node itself takes apart: tunnels, and signalling with or without
// destination options. The kernel reassembles its own.
static bool is_our_fragment(const struct rte_mbuf *m, unsigned int off)
{
	uint8_t next_header;

	if (off + 8 > m->data_len)
		return false;
	next_header = *rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	return next_header == PROTO_IPV6 || next_header == PROTO_MH ||
	       next_header == PROTO_DSTOPTS || (next_header == PROTO_ESP && sa_is_on);
}

// True for an ICMPv6 error that quotes a tunnel packet of its own destination, maybe behind a fragment
// header or the encapsulation limit, and for what tells the path MTU behind a routing header or of ESP. What
// else the kernel sent is the kernel's.
static bool is_tunnel_error(const struct rte_mbuf *m, unsigned int off)
{
	const struct ip6_hdr_wire *ip = rte_pktmbuf_mtod(m, const struct ip6_hdr_wire *), *quoted;
	unsigned int quote = off + (unsigned int)sizeof(struct icmp6_hdr_wire);
	uint8_t type, next_header;

	if (quote + sizeof(*quoted) + 1 > m->data_len)
		return false;
	type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	if (type > ICMP6_PARAM_PROBLEM)
		return false;
	quoted = rte_pktmbuf_mtod_offset(m, const struct ip6_hdr_wire *, quote);
	next_header = quoted->next_header;
	if (next_header == PROTO_FRAGMENT || next_header == PROTO_DSTOPTS)
		next_header = *(const uint8_t *)(quoted + 1);
	return (next_header == PROTO_IPV6 ||
		       ((next_header == PROTO_ROUTING || (next_header == PROTO_ESP && sa_is_on)) &&
			       type == ICMP6_PACKET_TOO_BIG)) &&
	       ip6_eq(&quoted->src, &ip->dst);
}

// True for what the shim leaves alone: signalling and IPsec are processed with or without a binding (RFC
// 6275 9.3.1), and what is reassembled here comes by again.
static bool is_exempt(const struct rte_mbuf *m, int proto, unsigned int off)
{
	return proto < 0 || proto == PROTO_MH || proto == PROTO_ESP || proto == PROTO_AH ||
	       (proto == PROTO_FRAGMENT && is_our_fragment(m, off));
}

// True for a Mobile Prefix Solicitation of a home that may send it under an SA only.
static bool is_bare_discovery(const struct rte_mbuf *m, unsigned int off, uint8_t domain)
{
	const struct ip6_hdr_wire *ip = rte_pktmbuf_mtod(m, const struct ip6_hdr_wire *);

	return (__atomic_load_n(&anchor_protect, __ATOMIC_RELAXED) &
		       API_SA_BIT(API_SA_DISCOVERY)) != 0 &&
	       off < m->data_len &&
	       *rte_pktmbuf_mtod_offset(m, const uint8_t *, off) == ICMP6_MPS &&
	       (stage_protect_of(domain, &ip->src) & API_SA_BIT(API_SA_DISCOVERY)) != 0;
}

void stage_local(struct worker *w)
{
	struct lane *in = &w->local;
	unsigned int n = in->n;

	in->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = in->pkts[i];
		unsigned int off = 0;
		int proto = stage_upper(m, &off);

		if (unlikely(off > sizeof(struct ip6_hdr_wire) && !is_exempt(m, proto, off) &&
			     !stage_shim_in(w, m, off)))
			continue;
		if (proto == PROTO_IPV6 || proto == PROTO_IPV4) {
			if (unlikely(pkt_meta(m)->n_decaps >= STAGE_MAX_DECAPS)) {
				worker_drop(w, m, DROP_tunnel_nested);
				continue;
			}
			pkt_meta(m)->outer_len = (uint16_t)off;
			lane_add(&w->tunnel, m, in->nh[i]);
		} else if (proto == PROTO_MH) {
			lane_add(&w->punt, m, in->nh[i]);
		} else if (unlikely(proto == PROTO_ESP && sa_is_on)) {
			lane_add(&w->esp_in, m, in->nh[i]);
		} else if (unlikely(proto == PROTO_FRAGMENT && is_our_fragment(m, off))) {
			m = reassembly_add(w, m, off);
			if (m != NULL)
				worker_again(w, m);
		} else if (unlikely(proto == PROTO_ICMP6 && is_tunnel_error(m, off))) {
			pkt_meta(m)->outer_len = (uint16_t)off;
			stage_host_error(w, m);
		} else if (unlikely(proto == PROTO_ICMP6 &&
				    is_bare_discovery(m, off, in->nh[i]->domain))) {
			worker_drop(w, m, DROP_esp_required);
		} else {
			stage_host(w, m);
		}
	}
}
