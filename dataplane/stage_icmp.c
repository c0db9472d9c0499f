// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ICMPv6 errors that a router sends (RFC 4443), and Binding Errors. They are packets of our own: held for the next
// burst and routed like any other, so an error to a mobile goes through its tunnel.

#include "dataplane/stage.h"

#include "dataplane/base/cksum.h"
#include "dataplane/police.h"
#include "dataplane/port.h"

enum {
	ICMP_HOP_LIMIT = 64,
	// An error is at most 1280 bytes with its headers, RFC 4443 2.4 (c).
	QUOTE_MAX = IP6_MIN_MTU - sizeof(struct ip6_hdr_wire) - sizeof(struct icmp6_hdr_wire),
	ICMP6_LAST_ERROR = 127,
};

static struct ip6 icmp_source[CONFIG_MAX_LINKS];

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

// An empty buffer for an error about m, or NULL when none may be sent.
static struct rte_mbuf *error_alloc(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	// Errors about our own tunnel packets come back to us like those of any router on the way, and
	// what they mean for the original packet is told to its sender. Our kernel wants to know, too.
	bool is_own = (meta->flags & (PKT_LOCAL_ORIGIN | PKT_FROM_HOST)) == PKT_LOCAL_ORIGIN &&
		      meta->n_encaps == 0;
	struct rte_mbuf *error = NULL;
	uint64_t receiver;

	memcpy(&receiver, &pkt_ip6(m)->src, sizeof(receiver));
	if (!is_own && may_answer(m, pkt_ip6(m)) && police_error(receiver, w->now_tsc))
		error = rte_pktmbuf_alloc(w->pool);
	if (error == NULL) {
		w->stats.icmp_suppressed++;
		return NULL;
	}
	*pkt_meta(error) = (struct pkt_meta){
		.flags = PKT_LOCAL_ORIGIN, .port = meta->port, .domain = meta->domain
	};
	return error;
}

void stage_icmp_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
	const struct ip6 *source = &icmp_source[pkt_meta(m)->port];
	struct icmp6_hdr_wire icmp = {
		.type = type, .code = code, .param_be = rte_cpu_to_be_32(param)
	};
	struct rte_mbuf *error;

	if (ip6_is_any(source)) {
		w->stats.icmp_suppressed++;
		return;
	}
	error = error_alloc(w, m);
	if (error == NULL)
		return;
	fill(error, m, source, icmp);
	w->stats.made++;
	worker_again(w, error);
}

void stage_binding_error(struct worker *w, struct rte_mbuf *m, const struct ip6 *home)
{
	// RFC 6275 section 6.1.9, without options.
	struct {
		struct ip6_hdr_wire ip;
		uint8_t payload_proto, header_len, type, reserved;
		uint16_t cksum_be;
		uint8_t status, reserved_too;
		struct ip6 home;
	} * be;
	enum { BE_TYPE = 7, BE_LEN = 24, BE_UNKNOWN_BINDING = 1 };
	struct rte_mbuf *error = error_alloc(w, m);

	static_assert(sizeof(*be) == sizeof(be->ip) + BE_LEN, "Binding Error");
	if (error == NULL)
		return;
	be = (void *)rte_pktmbuf_append(error, sizeof(*be));
	*be = (typeof(*be)){
		.ip = { .vtc_flow_be = rte_cpu_to_be_32(6u << 28),
			.payload_len_be = rte_cpu_to_be_16(BE_LEN),
			.next_header = PROTO_MH,
			.hop_limit = ICMP_HOP_LIMIT,
			.src = pkt_ip6(m)->dst,
			.dst = pkt_ip6(m)->src },
		.payload_proto = PROTO_NONE,
		.header_len = BE_LEN / 8 - 1,
		.type = BE_TYPE,
		.status = BE_UNKNOWN_BINDING,
		.home = *home,
	};
	be->cksum_be = cksum_ip6(&be->ip.src, &be->ip.dst, PROTO_MH, &be->payload_proto, BE_LEN);
	w->stats.made++;
	w->stats.binding_errors++;
	worker_again(w, error);
}
