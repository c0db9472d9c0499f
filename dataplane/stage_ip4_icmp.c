// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// ICMPv4 errors that a router sends (RFC 1812 section 4.3): packets of our own, held for the next
// burst and routed like any other.

#include "dataplane/stage.h"

#include <rte_ip.h>

#include "dataplane/police.h"

enum {
	ERROR_MAX = 576, // RFC 1812 4.3.2.3, with all headers
	ERROR_TTL = 64,
	ERROR_TOS = 0xc0, // internetwork control, RFC 1812 4.3.2.5
};

static uint32_t sources_be[CONFIG_MAX_LINKS];

void stage_ip4_source_set(uint8_t port, uint32_t address_be)
{
	sources_be[port] = address_be;
}

// True for an address that can be one node's.
static bool is_single(uint32_t address_be)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(address_be) >> 24);

	return first != 0 && first != 127 && first < 224;
}

// RFC 1812 4.3.2.7. What comes in broadcast frames or is for broadcast addresses never gets here.
static bool may_answer(struct rte_mbuf *m)
{
	const struct ip4_hdr_wire *ip = pkt_ip4(m);
	unsigned int off = (ip->version_ihl & 0xf) * 4u;
	uint8_t type;

	if (!is_single(ip->src_be) || !is_single(ip->dst_be) ||
		(ip->fragment_be & rte_cpu_to_be_16(IP4_OFFSET)) != 0)
		return false;
	if (ip->protocol != PROTO_ICMP4)
		return true;
	if (off + 1 > m->data_len)
		return false;
	type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	return type != ICMP4_UNREACH && type != ICMP4_SOURCE_QUENCH && type != ICMP4_REDIRECT &&
	       type != ICMP4_TIME_EXCEEDED && type != ICMP4_PARAM_PROBLEM;
}

static void fill(
	struct rte_mbuf *error, struct rte_mbuf *m, uint32_t source_be, struct icmp6_hdr_wire icmp)
{
	uint32_t quote = RTE_MIN(m->pkt_len,
		ERROR_MAX - (uint32_t)sizeof(struct ip4_hdr_wire) - (uint32_t)sizeof(icmp));
	uint16_t len = (uint16_t)(sizeof(struct ip4_hdr_wire) + sizeof(icmp) + quote);
	struct ip4_hdr_wire *ip = (void *)rte_pktmbuf_append(error, len);
	uint8_t *body = (uint8_t *)(ip + 1);
	const void *quoted = rte_pktmbuf_read(m, 0, quote, body + sizeof(icmp));

	if (quoted != body + sizeof(icmp))
		memcpy(body + sizeof(icmp), quoted, quote);
	memcpy(body, &icmp, sizeof(icmp));
	icmp.cksum_be = (uint16_t)~rte_raw_cksum(body, sizeof(icmp) + quote);
	memcpy(body, &icmp, sizeof(icmp));
	*ip = (struct ip4_hdr_wire){
		.version_ihl = 4 << 4 | sizeof(*ip) / 4,
		.tos = ERROR_TOS,
		.total_len_be = rte_cpu_to_be_16(len),
		.fragment_be =
			rte_cpu_to_be_16(IP4_DF), // so the identifier may be anything, RFC 6864
		.ttl = ERROR_TTL,
		.protocol = PROTO_ICMP4,
		.src_be = source_be,
		.dst_be = pkt_ip4(m)->src_be,
	};
	ip->cksum_be = (uint16_t)~rte_raw_cksum(ip, sizeof(*ip));
}

void stage_ip4_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint32_t source_be = sources_be[meta->port];
	struct icmp6_hdr_wire icmp = {
		.type = type, .code = code, .param_be = rte_cpu_to_be_32(param)
	};
	struct rte_mbuf *error = NULL;

	if (!(meta->flags & PKT_LOCAL_ORIGIN) && source_be != 0 && may_answer(m) &&
		police_error(pkt_ip4(m)->src_be, w->now_tsc))
		error = rte_pktmbuf_alloc(w->pool);
	if (error == NULL) {
		w->stats.icmp_suppressed++;
		return;
	}
	*pkt_meta(error) = (struct pkt_meta){
		.flags = PKT_LOCAL_ORIGIN, .port = meta->port, .domain = meta->domain
	};
	fill(error, m, source_be, icmp);
	w->stats.made++;
	worker_again(w, error);
}
