// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/packet.h"

#include <string.h>

#include <rte_byteorder.h>

#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"

enum {
	MAGIC = 0x7577,
	UDP_PORT = 9, // discard
	HEADERS = 40 + 8, // in front of the mark
	MH_BU = 5,
	MH_BA = 6,
	NS_TARGET = 8, // offset in a solicitation
	NA_LEN = 32,
};

struct udp_wire {
	uint16_t src_be, dst_be, len_be, cksum_be;
} __attribute__((packed, aligned(2)));

static struct ip6 plus(const struct ip6 *base, uint32_t i)
{
	struct ip6 a = *base;
	uint32_t low;

	memcpy(&low, a.b + 12, sizeof(low));
	low = rte_cpu_to_be_32(rte_be_to_cpu_32(low) + i);
	memcpy(a.b + 12, &low, sizeof(low));
	return a;
}

struct ip6 packet_home(const struct options *options, uint32_t i)
{
	return plus(&options->home, i);
}

struct ip6 packet_care_of(const struct options *options, uint32_t i)
{
	struct ip6 a = plus(&options->care_of, i);
	uint16_t subnet;

	memcpy(&subnet, a.b + 4, sizeof(subnet));
	subnet = (uint16_t)(rte_be_to_cpu_16(subnet) +
			    (uint16_t)((uint64_t)(i * 2654435761u) * options->n_subnets >> 32));
	subnet = rte_cpu_to_be_16(subnet);
	memcpy(a.b + 4, &subnet, sizeof(subnet));
	return a;
}

static uint8_t *ether_write(
	uint8_t *at, const struct rte_ether_addr *to, const struct rte_ether_addr *from)
{
	struct rte_ether_hdr eth = {
		.dst_addr = *to, .src_addr = *from, .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6)
	};

	memcpy(at, &eth, sizeof(eth));
	return at + sizeof(eth);
}

static uint8_t *ip6_write(uint8_t *at, uint8_t next_header, size_t payload, const struct ip6 *src,
	const struct ip6 *dst)
{
	const struct ip6_hdr_wire ip = { .vtc_flow_be = RTE_BE32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16((uint16_t)payload),
		.next_header = next_header,
		.hop_limit = 64,
		.src = *src,
		.dst = *dst };

	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

// The sum of 16-bit words, folded. n is even.
static uint32_t sum_of(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(b[i] | b[i + 1] << 8);
	return sum;
}

// The UDP header and the mark. What follows is zeroes and thus no part of the checksum.
static void udp_write(uint8_t *at, uint16_t len, const struct ip6 *src, const struct ip6 *dst,
	const struct packet_mark *mark)
{
	struct udp_wire udp = { .src_be = RTE_BE16(UDP_PORT),
		.dst_be = RTE_BE16(UDP_PORT),
		.len_be = rte_cpu_to_be_16(len) };
	uint32_t sum = sum_of(src, sizeof(*src)) + sum_of(dst, sizeof(*dst)) +
		       sum_of(mark, sizeof(*mark)) + sum_of(&udp, sizeof(udp)) + udp.len_be +
		       RTE_BE16(PROTO_UDP);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	udp.cksum_be = sum == 0xffff ? 0xffff : (uint16_t)~sum;
	memcpy(at, &udp, sizeof(udp));
	memcpy(at + sizeof(udp), mark, sizeof(*mark));
}

uint16_t packet_write(uint8_t *frame, const struct options *options, enum direction direction,
	uint32_t mobile, uint16_t size, const struct rte_ether_addr *source,
	const struct packet_mark *mark)
{
	const struct ip6 home = packet_home(options, mobile);
	const struct ip6 *src = direction == DOWN ? &options->correspondent : &home;
	const struct ip6 *dst = direction == DOWN ? &home : &options->correspondent;
	uint16_t ip_len = (uint16_t)(size - RTE_ETHER_HDR_LEN);
	uint16_t udp_len = (uint16_t)(ip_len - sizeof(struct ip6_hdr_wire));
	struct packet_mark own = *mark;
	uint8_t *at = frame;

	own.magic = MAGIC;
	own.direction = direction & 1;
	at = ether_write(at, &options->gateways[direction == DOWN ? CORE : ACCESS], source);
	if (direction == UP) {
		const struct ip6 care_of = packet_care_of(options, mobile);

		at = ip6_write(at, PROTO_IPV6, ip_len, &care_of, &options->agent);
	}
	at = ip6_write(at, PROTO_UDP, udp_len, src, dst);
	udp_write(at, udp_len, src, dst, &own);
	return (uint16_t)(at - frame + udp_len);
}

uint16_t packet_write_update(uint8_t *frame, const struct options *options, uint32_t mobile,
	uint16_t sequence, const struct rte_ether_addr *source)
{
	enum { AH = 0xc0, LIFETIME_4S = 0xffff, DSTOPT_LEN = 24, MH_LEN = 16 };
	const struct ip6 home = packet_home(options, mobile);
	const struct ip6 care_of = packet_care_of(options, mobile);
	// Padding in front puts the address at 8n + 6, RFC 6275 section 6.3.
	uint8_t dstopt[DSTOPT_LEN] = { PROTO_MH, 2, DSTOPT_PADN, 2, 0, 0, DSTOPT_HOME_ADDRESS, 16 };
	uint8_t mh[MH_LEN] = { PROTO_NONE, 1, MH_BU, 0, 0, 0, (uint8_t)(sequence >> 8),
		(uint8_t)sequence, AH, 0, LIFETIME_4S >> 8, LIFETIME_4S & 0xff, DSTOPT_PADN, 2 };
	uint16_t cksum;
	uint8_t *at = ether_write(frame, &options->gateways[ACCESS], source);

	memcpy(dstopt + 8, &home, sizeof(home));
	cksum = cksum_ip6(
		&home, &options->agent, PROTO_MH, mh, sizeof(mh)); // RFC 6275 section 6.1.1
	memcpy(mh + 4, &cksum, sizeof(cksum));
	at = ip6_write(at, PROTO_DSTOPTS, sizeof(dstopt) + sizeof(mh), &care_of, &options->agent);
	memcpy(at, dstopt, sizeof(dstopt));
	memcpy(at + sizeof(dstopt), mh, sizeof(mh));
	return (uint16_t)(at + sizeof(dstopt) + sizeof(mh) - frame);
}

// The number of the mobile with that home address; n_mobiles or more when there is none.
static uint32_t mobile_of(const struct options *options, const struct ip6 *home)
{
	uint32_t low, first;

	if (memcmp(home, &options->home, 12) != 0)
		return UINT32_MAX;
	memcpy(&low, home->b + 12, sizeof(low));
	memcpy(&first, options->home.b + 12, sizeof(first));
	return rte_be_to_cpu_32(low) - rte_be_to_cpu_32(first);
}

// Whether a tunnelled packet goes from the agent to the very mobile that it is for.
static bool is_at_home(const struct options *options, const struct ip6_hdr_wire *outer,
	const struct ip6_hdr_wire *inner)
{
	uint32_t mobile = mobile_of(options, &inner->dst);
	struct ip6 care_of;

	if (mobile >= options->n_mobiles)
		return false;
	care_of = packet_care_of(options, mobile);
	return ip6_eq(&outer->dst, &care_of) && ip6_eq(&outer->src, &options->agent);
}

// A Binding Acknowledgement behind a type 2 routing header.
static struct packet_seen read_answer(const uint8_t *at, size_t len, const struct options *options)
{
	enum { RH_LEN = 24, BA_STATUS = RH_LEN + 6, BA_SEQUENCE = RH_LEN + 8 };
	struct packet_seen seen = { .kind = PACKET_FOREIGN };
	struct ip6 home;

	if (len < BA_SEQUENCE + 2 || at[0] != PROTO_MH || at[2] != ROUTING_TYPE2 ||
		at[RH_LEN + 2] != MH_BA)
		return seen;
	memcpy(&home, at + 8, sizeof(home));
	seen.mobile = mobile_of(options, &home);
	seen.status = at[BA_STATUS];
	seen.sequence = (uint16_t)(at[BA_SEQUENCE] << 8 | at[BA_SEQUENCE + 1]);
	if (seen.mobile < options->n_mobiles)
		seen.kind = seen.status <= 1 ? PACKET_BOUND : PACKET_REFUSED;
	return seen;
}

// A plain packet or the inner one of a tunnel: at is behind its IPv6 header.
static struct packet_seen read_udp(const uint8_t *at, size_t len)
{
	struct packet_seen seen = { .kind = PACKET_FOREIGN };

	if (len < sizeof(struct udp_wire) + sizeof(seen.mark))
		return seen;
	memcpy(&seen.mark, at + sizeof(struct udp_wire), sizeof(seen.mark));
	if (seen.mark.magic == MAGIC)
		seen.kind = PACKET_OURS;
	return seen;
}

static struct packet_seen read_tunnel(const uint8_t *at, size_t len, const struct options *options,
	const struct ip6_hdr_wire *outer)
{
	struct packet_seen seen = { .kind = PACKET_FOREIGN };
	struct ip6_hdr_wire inner;

	if (len < sizeof(inner))
		return seen;
	memcpy(&inner, at, sizeof(inner));
	if (inner.next_header != PROTO_UDP)
		return seen;
	seen = read_udp(at + sizeof(inner), len - sizeof(inner));
	if (seen.kind == PACKET_OURS &&
		(seen.mark.direction != DOWN || !is_at_home(options, outer, &inner)))
		seen.kind = PACKET_STRAY;
	return seen;
}

struct packet_seen packet_read(
	const uint8_t *frame, size_t len, const struct options *options, enum side side)
{
	struct packet_seen seen = { .kind = PACKET_FOREIGN };
	const uint8_t *at = frame + RTE_ETHER_HDR_LEN;
	struct ip6_hdr_wire ip;
	uint8_t next_header;

	if (len < RTE_ETHER_HDR_LEN + sizeof(ip) || frame[12] != 0x86 || frame[13] != 0xdd)
		return seen;
	memcpy(&ip, at, sizeof(ip));
	at += sizeof(ip);
	len -= RTE_ETHER_HDR_LEN + sizeof(ip);
	next_header = ip.next_header;
	if (next_header == PROTO_DSTOPTS && len >= 8 && at[1] == 0) { // an encapsulation limit
		next_header = at[0];
		at += 8;
		len -= 8;
	}
	if (next_header == PROTO_IPV6)
		return read_tunnel(at, len, options, &ip);
	if (next_header == PROTO_ROUTING)
		return read_answer(at, len, options);
	if (next_header == PROTO_ICMP6 && len >= NS_TARGET + 16 && at[0] == ICMP6_NS &&
		!ip6_is_any(&ip.src)) {
		seen.kind = PACKET_SOLICITATION;
	} else if (next_header == PROTO_UDP) {
		seen = read_udp(at, len);
		// Our own frames may be looped back to us before anybody has forwarded them.
		if (seen.kind == PACKET_OURS && seen.mark.direction == DOWN)
			seen.kind = side == CORE ? PACKET_FOREIGN : PACKET_STRAY;
		else if (seen.kind == PACKET_OURS && !ip6_eq(&ip.dst, &options->correspondent))
			seen.kind = PACKET_STRAY;
	}
	return seen;
}

uint16_t packet_answer(uint8_t *frame, const struct rte_ether_addr *own)
{
	enum { SOLICITED_OVERRIDE = 0x60, TARGET_LLA = 2 };
	uint8_t *icmp = frame + RTE_ETHER_HDR_LEN + sizeof(struct ip6_hdr_wire);
	uint8_t na[NA_LEN] = { ICMP6_NA, 0, 0, 0, SOLICITED_OVERRIDE };
	struct rte_ether_addr asker;
	struct ip6_hdr_wire ip;
	struct ip6 target;
	uint16_t cksum;
	uint8_t *at;

	memcpy(&asker, frame + RTE_ETHER_ADDR_LEN, sizeof(asker));
	memcpy(&ip, frame + RTE_ETHER_HDR_LEN, sizeof(ip));
	memcpy(&target, icmp + NS_TARGET, sizeof(target));
	memcpy(na + NS_TARGET, &target, sizeof(target));
	na[24] = TARGET_LLA;
	na[25] = 1;
	memcpy(na + 26, own, sizeof(*own));
	cksum = cksum_ip6(&target, &ip.src, PROTO_ICMP6, na, sizeof(na));
	memcpy(na + 2, &cksum, sizeof(cksum));
	at = ether_write(frame, &asker, own);
	at = ip6_write(at, PROTO_ICMP6, sizeof(na), &target, &ip.src);
	frame[RTE_ETHER_HDR_LEN + 7] = 255; // hop limit, RFC 4861 section 7.1.2
	memcpy(at, na, sizeof(na));
	return (uint16_t)(at + sizeof(na) - frame);
}
