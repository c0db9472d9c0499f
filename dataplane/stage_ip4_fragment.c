// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// IPv4 packets that may be fragmented and must be (RFC 791 section 3.2, RFC 1812 section 4.2.2.7).

#include "dataplane/stage.h"

#include <rte_ip.h>

enum {
	OPTIONS_MAX = 40,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_COPIED = 0x80, // goes into every fragment
};

// The header of the fragments behind the first: without the options that are not copied.
// Shape: out as large as any header. Returns: its length. The options were checked on the way in.
static unsigned int later_header(const struct ip4_hdr_wire *ip, uint8_t *out)
{
	const uint8_t *options = (const uint8_t *)(ip + 1);
	unsigned int n = (ip->version_ihl & 0xf) * 4u - (unsigned int)sizeof(*ip);
	unsigned int len = sizeof(*ip), option_len;

	memcpy(out, ip, sizeof(*ip));
	for (unsigned int i = 0; i < n && options[i] != OPTION_END; i += option_len) {
		option_len = options[i] == OPTION_NOP || i + 1 == n ? 1 : options[i + 1];
		if (option_len == 0 || option_len > n - i)
			break;
		if ((options[i] & OPTION_COPIED) == 0)
			continue;
		memcpy(out + len, options + i, option_len);
		len += option_len;
	}
	while (len % 4 != 0)
		out[len++] = OPTION_END;
	out[0] = (uint8_t)(4 << 4 | len / 4);
	return len;
}

// A fragment to be: a header, then n bytes of the packet from at on.
struct piece {
	uint8_t header[sizeof(struct ip4_hdr_wire) + OPTIONS_MAX] __attribute__((aligned(2)));
	unsigned int header_len;
	uint32_t at, n;
	uint16_t fragment; // field of the header, host order
};

// Returns: false without a buffer.
static bool send_one(
	struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, const struct piece *piece)
{
	unsigned int header_len = piece->header_len;
	struct rte_mbuf *f = rte_pktmbuf_alloc(w->pool);
	uint8_t *out =
		f == NULL ? NULL
			  : (uint8_t *)rte_pktmbuf_append(f, (uint16_t)(header_len + piece->n));
	struct ip4_hdr_wire *ip = (void *)out;
	const void *data;

	if (out == NULL) {
		rte_pktmbuf_free(f);
		return false;
	}
	*pkt_meta(f) = *pkt_meta(m);
	memcpy(out, piece->header, header_len);
	data = rte_pktmbuf_read(m, piece->at, piece->n, out + header_len);
	if (data != out + header_len)
		memcpy(out + header_len, data, piece->n);
	ip->total_len_be = rte_cpu_to_be_16((uint16_t)(header_len + piece->n));
	ip->fragment_be = rte_cpu_to_be_16(piece->fragment);
	ip->cksum_be = 0;
	ip->cksum_be = (uint16_t)~rte_raw_cksum(ip, header_len);
	w->stats.made++;
	stage_send(w, f, nh);
	return true;
}

void stage_ip4_fragment(
	struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, uint16_t mtu)
{
	const struct ip4_hdr_wire *ip = pkt_ip4(m);
	uint16_t before = rte_be_to_cpu_16(ip->fragment_be);
	unsigned int whole_len = (ip->version_ihl & 0xf) * 4u;
	struct piece piece = { .header_len = whole_len, .at = whole_len };
	uint8_t later[sizeof(piece.header)];
	unsigned int later_len = later_header(ip, later);

	memcpy(piece.header, ip, whole_len);
	while (piece.at < m->pkt_len) {
		uint32_t room = (mtu - piece.header_len) & ~7u, left = m->pkt_len - piece.at;
		bool is_last = left <= room && (before & IP4_MF) == 0;

		piece.n = RTE_MIN(room, left);
		piece.fragment = (uint16_t)((before & IP4_OFFSET) + (piece.at - whole_len) / 8);
		piece.fragment |= is_last ? 0 : IP4_MF;
		if (!send_one(w, m, nh, &piece)) {
			worker_drop(w, m, DROP_mbuf_empty);
			return;
		}
		piece.at += piece.n;
		memcpy(piece.header, later, later_len);
		piece.header_len = later_len;
	}
	w->stats.fragmented++;
	w->stats.absorbed++;
	rte_pktmbuf_free(m);
}
