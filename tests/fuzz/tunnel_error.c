// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: ICMPv6 errors about our tunnels. Input: a packet from its IPv6 header on, whose ICMPv6
// header follows at once; its checksum is made right, or no input would get far.
//
// Oracles: a path MTU is learned for the care-of address of the one binding only, and never below 1280;
// what is told to the original sender is a sound error of at most 1280 bytes, to the inner source, that
// quotes the inner packet; every error is counted once.

#include "dataplane/tunnel_error.c"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const struct agent *anchor_agents[API_MAX_AGENTS];
const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];
struct pump_stats pump_stats;

static const struct ip6 home = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 0x10 } };
static const struct ip6 agent_address = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } };
static const struct binding bound = {
	.care_of = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xa1, [15] = 2 } },
};

// One SA of the bound home address, SPI 2000, of which numbers 1 to 999 were sent.
const struct sa *sa_find_sent(uint32_t spi, const struct ip6 *address, const struct sa *after)
{
	static struct sa sa = { .spi = 2000, .seq = 1000 };

	sa.home = home;
	return spi == sa.spi && ip6_eq(address, &agent_address) && after == NULL ? &sa : NULL;
}

struct bindtab *link_bindings(void)
{
	return NULL;
}

const struct binding *bindtab_find(
	const struct bindtab *tab, const union bindtab_key *key, uint32_t *handle)
{
	union bindtab_key mine;

	(void)tab;
	*handle = 1;
	bindtab_key_make(&mine, &home, 1, 128);
	return memcmp(&mine, key, sizeof(mine)) == 0 ? &bound : NULL;
}

void pmtu_learn(const struct ip6 *care_of, uint32_t mtu)
{
	if (!ip6_eq(care_of, &bound.care_of) || mtu < IP6_MIN_MTU || mtu > UINT16_MAX + 40)
		abort();
}

void pump_send(uint8_t domain, const void *packet, uint32_t len)
{
	const struct ip6_hdr_wire *ip = packet;
	const struct icmp6_hdr_wire *icmp = (const void *)(ip + 1);
	const struct ip6_hdr_wire *quoted = (const void *)(icmp + 1);
	uint32_t payload = len - (uint32_t)sizeof(*ip);

	if (domain != 0)
		abort();
	if (len > IP6_MIN_MTU || len < sizeof(*ip) + sizeof(*icmp) + sizeof(*quoted) ||
		rte_be_to_cpu_16(ip->payload_len_be) != payload ||
		cksum_ip6(&ip->src, &ip->dst, PROTO_ICMP6, icmp, payload) != 0)
		abort();
	if (!ip6_eq(&ip->src, &agent_address) || !ip6_eq(&ip->dst, &quoted->src) ||
		!ip6_eq(&quoted->dst, &home) || !ip6_is_unicast_routable(&ip->dst))
		abort();
	if (icmp->type != ICMP6_UNREACH && icmp->type != ICMP6_PACKET_TOO_BIG)
		abort();
	if (icmp->type == ICMP6_PACKET_TOO_BIG && rte_be_to_cpu_32(icmp->param_be) < IP6_MIN_MTU)
		abort();
}

static void anchors_init(void)
{
	static struct api_home_prefix_set prefix = {
		.home_prefix = 1, .key_len = 128, .prefix_len = 64
	};
	static struct agent agent;

	agent.outer.src = agent_address;
	prefix.prefix = agent_address;
	ip6_mask(&prefix.prefix, 64);
	anchor_agents[0] = &agent;
	anchor_home_prefixes[1] = &prefix;
}

static uint64_t counted(void)
{
	const struct tunnel_error_stats *s = &tunnel_error_stats;

	return s->relayed + s->ignored + s->suppressed + s->forged;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip6_hdr_wire *ip;
	uint64_t before = counted();
	uint8_t *packet;
	uint16_t sum;

	if (size < sizeof(*ip) + sizeof(struct icmp6_hdr_wire) || size > ERROR_MAX)
		return 0;
	anchors_init();
	packet = malloc(size);
	if (packet == NULL)
		return 0;
	memcpy(packet, data, size);
	ip = (void *)packet;
	memset(packet + sizeof(*ip) + 2, 0, sizeof(sum));
	sum = cksum_ip6(&ip->src, &ip->dst, PROTO_ICMP6, packet + sizeof(*ip), size - sizeof(*ip));
	memcpy(packet + sizeof(*ip) + 2, &sum, sizeof(sum));
	take(packet, size, sizeof(*ip));
	if (counted() != before + 1)
		abort();
	free(packet);
	return 0;
}
