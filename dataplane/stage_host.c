// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What goes to the kernel's twins, and errors about tunnels: told apart by what must not be displaced by
// the rest, which anybody can send at any rate.
//
// Exits: to the main lcore as live, neighbor, routing or other; drops host_flood, error_flood, no_headroom.

#include "dataplane/stage.h"

#include <rte_cycles.h>
#include <rte_ether.h>

#include "dataplane/bucket.h"
#include "dataplane/port.h"

enum {
	// Of all workers together. The main lcore writes a hundred thousand frames a second to twins;
	// bursts are so short that MAIN_RING takes both.
	HOST_PER_S = 10000,
	HOST_BURST = 512,
	ERROR_PER_S = 4000,
	ERROR_BURST = 256,
	ON_LINK = 255, // hop limit of what no router has passed on: RFC 4861 section 11.2, RFC 5082
	PORT_BGP = 179,
	PORT_BFD = 3784, // RFC 5881; its echo is 3785
	PORT_BFD_ECHO = 3785,
	PORT_BFD_MULTIHOP = 4784, // RFC 5883
};
static_assert(HOST_BURST + ERROR_BURST < MAIN_RING, "neither fills the ring");

// By the ports at the beginning of a TCP or UDP header of len bytes.
static enum main_class class_of_ports(
	uint8_t proto, uint8_t hop_limit, const uint8_t *header, uint32_t len)
{
	uint16_t src, dst;

	if ((proto != PROTO_TCP && proto != PROTO_UDP) || len < 4)
		return MAIN_OTHER;
	src = (uint16_t)(header[0] << 8 | header[1]);
	dst = (uint16_t)(header[2] << 8 | header[3]);
	if (proto == PROTO_TCP)
		return src == PORT_BGP || dst == PORT_BGP ? MAIN_ROUTING : MAIN_OTHER;
	if (hop_limit == ON_LINK && (dst == PORT_BFD || dst == PORT_BFD_ECHO))
		return MAIN_LIVE;
	return dst == PORT_BFD_MULTIHOP ? MAIN_ROUTING : MAIN_OTHER;
}

static enum main_class class_of_ip6(const struct ip6_hdr_wire *ip, uint32_t len)
{
	const uint8_t *upper = (const uint8_t *)(ip + 1);

	if (len <= sizeof(*ip))
		return MAIN_OTHER;
	if (ip->next_header == PROTO_ICMP6)
		return ip->hop_limit == ON_LINK && *upper >= ICMP6_RS && *upper <= ICMP6_REDIRECT
			       ? MAIN_NEIGHBOR
			       : MAIN_OTHER;
	return class_of_ports(ip->next_header, ip->hop_limit, upper, len - (uint32_t)sizeof(*ip));
}

static enum main_class class_of_ip4(const struct ip4_hdr_wire *ip, uint32_t len)
{
	uint32_t header_len;

	if (len < sizeof(*ip))
		return MAIN_OTHER;
	header_len = (ip->version_ihl & 0xf) * 4u;
	if (len < header_len || (ip->fragment_be & rte_cpu_to_be_16(IP4_OFFSET)) != 0)
		return MAIN_OTHER;
	return class_of_ports(
		ip->protocol, ip->ttl, (const uint8_t *)ip + header_len, len - header_len);
}

// Of an Ethernet frame, by its first segment.
static enum main_class class_of(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	uint32_t len = m->data_len - RTE_ETHER_HDR_LEN;

	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
		return MAIN_NEIGHBOR;
	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))
		return class_of_ip6((const void *)(eth + 1), len);
	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		return class_of_ip4((const void *)(eth + 1), len);
	return MAIN_OTHER;
}

// Takes one of the tokens that come at a rate per second of all workers together.
static bool take(const struct worker *w, uint64_t *spent_tsc, uint64_t per_s, uint32_t burst)
{
	return bucket_take(spent_tsc, w->now_tsc, rte_get_tsc_hz() / per_s * n_workers, burst);
}

void stage_host_frame(struct worker *w, struct rte_mbuf *m)
{
	enum main_class class = class_of(m);

	if (unlikely(class == MAIN_OTHER && !take(w, &w->host_spent_tsc, HOST_PER_S, HOST_BURST))) {
		worker_drop(w, m, DROP_host_flood);
		return;
	}
	worker_to_main(w, m, PKT_FRAME, class);
}

// The twin takes Ethernet frames: gives the packet a header as if it had just come in.
void stage_host(struct worker *w, struct rte_mbuf *m)
{
	uint16_t type = pkt_is_ip4(m) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
	const struct port *port = &ports[pkt_meta(m)->port];
	struct rte_ether_hdr *eth =
		(struct rte_ether_hdr *)(void *)rte_pktmbuf_prepend(m, sizeof(*eth));

	if (unlikely(eth == NULL)) {
		worker_drop(w, m, DROP_no_headroom);
		return;
	}
	rte_ether_addr_copy(&port->mac, &eth->dst_addr);
	rte_ether_addr_copy(&port->mac, &eth->src_addr);
	eth->src_addr.addr_bytes[0] ^= 0x02; // any station but ourselves
	eth->ether_type = rte_cpu_to_be_16(type);
	stage_host_frame(w, m);
}

void stage_host_error(struct worker *w, struct rte_mbuf *m)
{
	if (unlikely(!take(w, &w->error_spent_tsc, ERROR_PER_S, ERROR_BURST))) {
		worker_drop(w, m, DROP_error_flood);
		return;
	}
	worker_to_main(w, m, PKT_ERROR, MAIN_OTHER);
}
