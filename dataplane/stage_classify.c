// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Exits: route (IPv6 unicast), route4 (IPv4 unicast), host (everything the kernel's twin should see: ARP,
// ND, multicast, broadcast, link-local), drops not_for_us, unknown_vlan, broadcast_frame, bad_ip6_header,
// bad_ip4_header, bad_ip4_checksum, bad_address, source_route.

#include "dataplane/stage.h"

#include <rte_ether.h>
#include <rte_ip.h>

#include "dataplane/port.h"

enum verdict {
	TO_ROUTE,
	TO_HOST,
	BAD_HEADER,
	BAD_ADDRESS,
	BAD_CHECKSUM,
	BAD_OPTION,
	SOURCE_ROUTE,
};

// Addresses that nobody sends from or to: ::, ::1, ::ffff:0:0/96.
static bool is_nobody(const struct ip6 *a)
{
	uint64_t q[2];

	memcpy(q, a, sizeof(q));
	return q[0] == 0 && ((q[1] & rte_cpu_to_be_64(~1ULL)) == 0 ||
				    (q[1] & rte_cpu_to_be_64(0xffffffff00000000)) ==
					    rte_cpu_to_be_64(0x0000ffff00000000));
}

// Cuts off what follows len bytes behind the Ethernet header (padding). False when they are not there.
static inline bool trim(struct rte_mbuf *m, uint32_t len)
{
	uint32_t frame = RTE_ETHER_HDR_LEN + len;

	if (unlikely(m->pkt_len < frame))
		return false;
	return likely(m->pkt_len == frame) ||
	       rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - frame)) == 0;
}

// Addresses of which some are looked for.
static enum verdict judge_ip6_addresses(const struct ip6_hdr_wire *ip)
{
	if (ip6_is_multicast(&ip->src))
		return BAD_ADDRESS;
	if (ip6_is_multicast(&ip->dst) || ip6_is_linklocal(&ip->dst))
		return TO_HOST;
	return is_nobody(&ip->src) || is_nobody(&ip->dst) ? BAD_ADDRESS : TO_ROUTE;
}

static inline enum verdict judge_ip6(struct rte_mbuf *m)
{
	const struct ip6_hdr_wire *ip =
		rte_pktmbuf_mtod_offset(m, struct ip6_hdr_wire *, RTE_ETHER_HDR_LEN);
	uint64_t src, dst; // the first halves

	if (unlikely(m->data_len < RTE_ETHER_HDR_LEN + sizeof(*ip) ||
		     (ip->vtc_flow_be & rte_cpu_to_be_32(0xf0000000)) !=
			     rte_cpu_to_be_32(0x60000000) ||
		     !trim(m, (uint32_t)sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len_be))))
		return BAD_HEADER;
	memcpy(&src, &ip->src, sizeof(src));
	memcpy(&dst, &ip->dst, sizeof(dst));
	// What is special is fe80::/10 or multicast, or begins with zeros.
	if (likely(ip->src.b[0] < 0xff && ip->dst.b[0] < 0xfe && src != 0 && dst != 0))
		return TO_ROUTE;
	return judge_ip6_addresses(ip);
}

// RFC 791 section 3.1. Of all options only source routes matter: nobody may steer packets (RFC 7126
// 4.3, 4.4). A router alert concerns no protocol of ours (RFC 6398), records stay as they are.
// *at becomes the offset of what is wrong, in the header.
static enum verdict judge_options(
	const struct ip4_hdr_wire *ip, unsigned int header_len, unsigned int *at)
{
	enum { END = 0, NOP = 1, LOOSE_ROUTE = 131, STRICT_ROUTE = 137 };
	const uint8_t *header = (const uint8_t *)ip;
	unsigned int len;

	for (*at = sizeof(*ip); *at < header_len && header[*at] != END; *at += len) {
		len = 1;
		if (header[*at] == NOP)
			continue;
		if (*at + 1 == header_len)
			return BAD_OPTION;
		len = header[*at + 1];
		if (len < 2 || len > header_len - *at)
			return BAD_OPTION;
		if (header[*at] == LOOSE_ROUTE || header[*at] == STRICT_ROUTE)
			return SOURCE_ROUTE;
	}
	return TO_ROUTE;
}

// RFC 1812 5.3.7: this network, loopback, multicast and what is reserved send nothing.
static enum verdict judge_ip4_addresses(const struct ip4_hdr_wire *ip)
{
	uint32_t src = rte_be_to_cpu_32(ip->src_be), dst = rte_be_to_cpu_32(ip->dst_be);
	uint8_t from = (uint8_t)(src >> 24), to = (uint8_t)(dst >> 24);

	if (unlikely(dst == UINT32_MAX || (to >= 224 && to < 240)))
		return from == 127 || from >= 224 ? BAD_ADDRESS : TO_HOST;
	if (unlikely(from == 0 || from == 127 || from >= 224 || to == 0 || to == 127 || to >= 240))
		return BAD_ADDRESS;
	return unlikely(dst >> 16 == 0xa9fe) ? TO_HOST : TO_ROUTE; // 169.254/16 stays on its link
}

// RFC 1812 5.2.2.
static enum verdict judge_ip4(struct rte_mbuf *m, unsigned int *at)
{
	const struct ip4_hdr_wire *ip =
		rte_pktmbuf_mtod_offset(m, struct ip4_hdr_wire *, RTE_ETHER_HDR_LEN);
	unsigned int header_len;
	enum verdict verdict;

	if (unlikely(m->data_len < RTE_ETHER_HDR_LEN + sizeof(*ip) || ip->version_ihl >> 4 != 4))
		return BAD_HEADER;
	header_len = (ip->version_ihl & 0xf) * 4u;
	if (unlikely(header_len < sizeof(*ip) || m->data_len < RTE_ETHER_HDR_LEN + header_len ||
		     rte_be_to_cpu_16(ip->total_len_be) < header_len))
		return BAD_HEADER;
	if (unlikely(rte_raw_cksum(ip, header_len) != 0xffff))
		return BAD_CHECKSUM;
	if (unlikely(!trim(m, rte_be_to_cpu_16(ip->total_len_be))))
		return BAD_HEADER;
	verdict = judge_ip4_addresses(ip);
	if (unlikely(header_len > sizeof(*ip) && verdict == TO_ROUTE))
		verdict = judge_options(ip, header_len, at);
	return verdict;
}

// Takes the tag out of a frame. Returns: the link of its VLAN, or NULL.
static const struct port *untag(const struct port *port, struct rte_mbuf *m)
{
	const struct rte_vlan_hdr *tag =
		rte_pktmbuf_mtod_offset(m, struct rte_vlan_hdr *, RTE_ETHER_HDR_LEN);
	uint16_t vlan;

	if (m->data_len < RTE_ETHER_HDR_LEN + sizeof(*tag))
		return NULL;
	vlan = rte_be_to_cpu_16(tag->vlan_tci) & 0xfff;
	if (vlan != 0 && port_vlans[port->index][vlan] == 0)
		return NULL;
	memmove(rte_pktmbuf_mtod_offset(m, char *, sizeof(*tag)), rte_pktmbuf_mtod(m, char *),
		2 * RTE_ETHER_ADDR_LEN);
	rte_pktmbuf_adj(m, sizeof(*tag));
	return vlan == 0 ? port : &ports[port_vlans[port->index][vlan]]; // 0 is a priority alone
}

// A frame of a link without its tag.
static void classify_ip6(struct worker *w, struct rte_mbuf *m, bool is_broadcast)
{
	switch (judge_ip6(m)) {
	case TO_ROUTE:
		// Not to be forwarded, nor answered with an error (RFC 4443 2.4 (e)).
		if (unlikely(is_broadcast)) {
			worker_drop(w, m, DROP_broadcast_frame);
			break;
		}
		rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);
		lane_add(&w->route, m, NULL);
		break;
	case TO_HOST:
		stage_host_frame(w, m);
		break;
	case BAD_ADDRESS:
		worker_drop(w, m, DROP_bad_address);
		break;
	default:
		worker_drop(w, m, DROP_bad_ip6_header);
		break;
	}
}

static void classify_ip4(struct worker *w, struct rte_mbuf *m, bool is_broadcast)
{
	unsigned int at = 0;

	switch (judge_ip4(m, &at)) {
	case TO_ROUTE:
		if (unlikely(is_broadcast)) { // RFC 1812 5.3.4, RFC 1122 3.3.6
			worker_drop(w, m, DROP_broadcast_frame);
			break;
		}
		rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);
		lane_add(&w->route4, m, NULL);
		break;
	case TO_HOST:
		stage_host_frame(w, m);
		break;
	case BAD_HEADER:
		worker_drop(w, m, DROP_bad_ip4_header);
		break;
	case BAD_ADDRESS:
		worker_drop(w, m, DROP_bad_address);
		break;
	case BAD_CHECKSUM:
		worker_drop(w, m, DROP_bad_ip4_checksum);
		break;
	case SOURCE_ROUTE:
		worker_drop(w, m, DROP_source_route);
		break;
	case BAD_OPTION:
		rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);
		if (!is_broadcast)
			stage_ip4_error(w, m, ICMP4_PARAM_PROBLEM, 0, (uint32_t)at << 24);
		worker_drop(w, m, DROP_bad_ip4_header);
		break;
	}
}

// An Ethernet address as a number to compare. The eight bytes from it on must be readable.
static inline uint64_t mac_bits(const struct rte_ether_addr *mac)
{
	uint64_t bits;

	memcpy(&bits, mac, sizeof(bits));
	return bits << 16; // without the two bytes behind it
}

// What packets of a link begin with, in one piece so that it is stored as one.
static inline uint64_t meta_of(const struct port *port)
{
	const struct pkt_meta meta = { .port = (uint8_t)port->index, .domain = port->domain };
	uint64_t all;

	memcpy(&all, &meta, sizeof(all));
	return all;
}

static inline void classify_one(
	struct worker *w, const struct port *port, uint64_t mac, uint64_t meta, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool is_broadcast = mac_bits(&eth->dst_addr) != mac;

	w->stats.rx_bytes += m->pkt_len;
	if (unlikely(is_broadcast) && !rte_is_multicast_ether_addr(&eth->dst_addr)) {
		worker_drop(w, m, DROP_not_for_us);
		return;
	}
	memcpy(pkt_meta(m), &meta, sizeof(meta));
	if (unlikely(eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN))) {
		port = untag(port, m);
		if (port == NULL) {
			worker_drop(w, m, DROP_unknown_vlan);
			return;
		}
		eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
		meta = meta_of(port);
		memcpy(pkt_meta(m), &meta, sizeof(meta));
	}
	if (likely(eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)))
		classify_ip6(w, m, is_broadcast);
	else if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		classify_ip4(w, m, is_broadcast);
	else
		stage_host_frame(w, m);
}

void stage_classify(struct worker *w, uint8_t port, struct rte_mbuf **pkts, unsigned int n)
{
	enum { AHEAD = 4 };
	const struct port *from = &ports[port];
	uint64_t mac = mac_bits(&from->mac), meta = meta_of(from);

	for (unsigned int i = 0; i < AHEAD && i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (unsigned int i = 0; i < n; i++) {
		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + AHEAD], void *));
		classify_one(w, from, mac, meta, pkts[i]);
	}
}
