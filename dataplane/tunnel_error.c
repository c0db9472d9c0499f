// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/tunnel_error.h"

#include <rte_byteorder.h>

#include "dataplane/anchor.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/cursor.h"
#include "dataplane/link.h"
#include "dataplane/pkt.h"
#include "dataplane/pmtu.h"
#include "dataplane/pump.h"
#include "dataplane/sa.h"

enum {
	RELAY_PER_SECOND = 1000,
	RELAY_BURST = 100,
	RELAY_HOP_LIMIT = 64,
	ERROR_MAX = IP6_MIN_MTU,
	SEALED_RECENT = 1 << 20, // packets of an SA that errors may still come about
	SEALED_TRIES = 64, // SAs of one SPI that are looked at
};

// What an error says, with the original packet that its quote ends in.
struct tunnel_error {
	uint8_t domain; // of the original packet, when it is known to be ours
	uint8_t type;
	uint32_t param;
	struct ip6_hdr_wire outer;
	bool is_fragment; // the quote is of a first fragment
	size_t ext_len; // between outer and inner header
	const struct ip6_hdr_wire *inner; // into the packet
	size_t inner_len; // quoted bytes from there
};

struct tunnel_error_stats tunnel_error_stats;

// Steps over one extension header in a quote of our tunnel packets: a first fragment or the
// encapsulation limit. Returns: the next protocol, or -1.
static int step_over(struct rcursor *c, uint8_t proto)
{
	const uint8_t *hdr = rcursor_bytes(c, 8);

	if (hdr == NULL || (proto != PROTO_FRAGMENT && proto != PROTO_DSTOPTS))
		return -1;
	if (proto == PROTO_FRAGMENT && ((uint16_t)(hdr[2] << 8 | hdr[3]) & 0xfff8) != 0)
		return -1;
	if (proto == PROTO_DSTOPTS && hdr[1] != 0)
		return -1;
	return hdr[0];
}

// Reads the error at offset off of the packet's bytes up to the quoted IPv6 header, behind which the cursor
// stands then. False when it ends too early.
static bool error_read(
	const uint8_t *packet, size_t len, size_t off, struct tunnel_error *e, struct rcursor *c)
{
	const struct ip6_hdr_wire *ip = (const void *)packet;

	*c = rcursor_make(packet, len);
	if (rcursor_bytes(c, off) == NULL ||
		cksum_ip6(&ip->src, &ip->dst, PROTO_ICMP6, c->p, rcursor_left(c)) != 0)
		return false;
	e->type = rcursor_u8(c);
	rcursor_bytes(c, 3);
	e->param = rcursor_u32(c);
	rcursor_copy(c, &e->outer, sizeof(e->outer));
	return c->ok;
}

// Reads on to the inner packet. False when the quote is none of a tunnel packet or ends too early.
static bool inner_read(struct tunnel_error *e, struct rcursor *c)
{
	int proto = e->outer.next_header;

	e->is_fragment = false;
	e->ext_len = rcursor_left(c);
	while (c->ok && proto != PROTO_IPV6 && proto >= 0) {
		e->is_fragment = e->is_fragment || proto == PROTO_FRAGMENT;
		proto = step_over(c, (uint8_t)proto);
	}
	e->inner_len = rcursor_left(c);
	e->ext_len -= e->inner_len;
	e->inner = (const void *)rcursor_bytes(c, sizeof(*e->inner));
	return c->ok && proto == PROTO_IPV6;
}

// True for a binding that led the quoted packet to where it was sent, from its agent unless that is NULL.
static bool is_of(
	const struct binding *b, const struct tunnel_error *e, const struct ip6 *agent_address)
{
	const struct agent *agent;

	if (b == NULL || !ip6_eq(&b->care_of, &e->outer.dst))
		return false;
	agent = anchor_agents[b->agent];
	return agent_address == NULL || (agent != NULL && ip6_eq(&agent->outer.src, agent_address));
}

// The home prefix of the home address whose binding that is, or NULL. The same prefix may be there in
// several domains.
static const struct api_home_prefix_set *home_of(
	const struct tunnel_error *e, const struct ip6 *address, const struct ip6 *agent_address)
{
	union bindtab_key key;
	uint32_t handle;

	for (uint16_t i = 0; i < API_MAX_HOME_PREFIXES; i++) {
		const struct api_home_prefix_set *home = anchor_home_prefixes[i];

		if (home == NULL || !ip6_match(&home->prefix, address, home->prefix_len))
			continue;
		bindtab_key_make(&key, address, i, home->key_len);
		if (is_of(bindtab_find(link_bindings(), &key, &handle), e, agent_address))
			return home;
	}
	return NULL;
}

static bool take_token(void)
{
	static uint64_t spent_until_ns;
	const uint64_t cost = CLOCK_NS_PER_S / RELAY_PER_SECOND;
	uint64_t now = clock_mono_ns(), oldest = now - RELAY_BURST * cost;

	if (spent_until_ns < oldest)
		spent_until_ns = oldest;
	if (spent_until_ns + cost > now)
		return false;
	spent_until_ns += cost;
	return true;
}

// RFC 4443 2.4 (e) for the original packet: never about an error. A quote that ends before that is
// known, and a later fragment of ICMPv6, could be one.
static bool may_tell(const struct tunnel_error *e)
{
	struct rcursor c =
		rcursor_make((const uint8_t *)(e->inner + 1), e->inner_len - sizeof(*e->inner));
	uint8_t proto = e->inner->next_header, type;

	if (!ip6_is_unicast_routable(&e->inner->src))
		return false;
	while (proto == PROTO_HOPOPTS || proto == PROTO_DSTOPTS || proto == PROTO_ROUTING ||
		proto == PROTO_FRAGMENT) {
		const uint8_t *hdr = rcursor_bytes(&c, 8);

		if (hdr == NULL)
			return false;
		if (proto == PROTO_FRAGMENT && ((uint16_t)(hdr[2] << 8 | hdr[3]) & 0xfff8) != 0)
			return hdr[0] != PROTO_ICMP6;
		if (proto != PROTO_FRAGMENT)
			rcursor_bytes(&c, 8u * hdr[1]);
		proto = hdr[0];
	}
	if (proto != PROTO_ICMP6)
		return c.ok;
	type = rcursor_u8(&c);
	return c.ok && type >= ICMP6_ECHO_REQUEST && type != ICMP6_REDIRECT;
}

static void relay(const struct tunnel_error *e, uint8_t type, uint8_t code, uint32_t param)
{
	struct {
		struct ip6_hdr_wire ip;
		struct icmp6_hdr_wire icmp;
		uint8_t quote[ERROR_MAX - sizeof(struct ip6_hdr_wire) -
			      sizeof(struct icmp6_hdr_wire)];
	} out;
	size_t quote = RTE_MIN(e->inner_len, sizeof(out.quote));
	uint16_t len = (uint16_t)(sizeof(out.icmp) + quote);

	if (!may_tell(e)) {
		tunnel_error_stats.ignored++;
		return;
	}
	if (!take_token()) {
		tunnel_error_stats.suppressed++;
		return;
	}
	out.ip = (struct ip6_hdr_wire){
		.vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16(len),
		.next_header = PROTO_ICMP6,
		.hop_limit = RELAY_HOP_LIMIT,
		.src = e->outer.src,
		.dst = e->inner->src,
	};
	out.icmp = (struct icmp6_hdr_wire){
		.type = type, .code = code, .param_be = rte_cpu_to_be_32(param)
	};
	memcpy(out.quote, e->inner, quote);
	out.icmp.cksum_be = cksum_ip6(&out.ip.src, &out.ip.dst, PROTO_ICMP6, &out.icmp, len);
	pump_send(e->domain, &out, (uint32_t)(sizeof(out.ip) + len));
	tunnel_error_stats.relayed++;
}

static uint32_t packet_len(const struct ip6_hdr_wire *ip)
{
	return rte_be_to_cpu_16(ip->payload_len_be) + (uint32_t)sizeof(*ip);
}

// The quoted lengths must agree, and an MTU that the packet had kept to, or that no IPv6 link has (RFC
// 8201 section 4), is no reason to believe anything.
static bool is_credible(const struct tunnel_error *e)
{
	uint32_t sent = packet_len(&e->outer);
	uint32_t whole = packet_len(e->inner) + (uint32_t)(sizeof(e->outer) + e->ext_len);

	return (e->is_fragment ? sent < whole : sent == whole) && sent > e->param &&
	       e->param >= IP6_MIN_MTU;
}

static void too_big(const struct tunnel_error *e)
{
	uint32_t overhead = (uint32_t)(sizeof(e->outer) + e->ext_len);

	if (!is_credible(e)) {
		tunnel_error_stats.forged++;
		return;
	}
	pmtu_learn(&e->outer.dst, e->param);
	if (packet_len(e->inner) > IP6_MIN_MTU)
		relay(e, ICMP6_PACKET_TOO_BIG, 0,
			RTE_MAX(e->param - overhead, (uint32_t)IP6_MIN_MTU));
	else
		tunnel_error_stats.ignored++;
}

// A Packet Too Big about a packet of our own kernel's behind a type 2 routing header. The kernel need not
// hear of it now: it knows no care-of address, and its next packet that does not fit is refused.
static void routed_too_big(const struct tunnel_error *e, struct rcursor *c)
{
	const uint8_t *hdr = rcursor_bytes(c, 8);
	struct ip6 home;

	rcursor_copy(c, &home, sizeof(home));
	if (!c->ok || e->type != ICMP6_PACKET_TOO_BIG || hdr[2] != ROUTING_TYPE2 ||
		home_of(e, &home, NULL) == NULL || packet_len(&e->outer) <= e->param ||
		e->param < IP6_MIN_MTU) {
		tunnel_error_stats.forged++;
		return;
	}
	pmtu_learn(&e->outer.dst, e->param);
	tunnel_error_stats.ignored++;
}

// True when an SA may have sent that number lately.
static bool has_sent(const struct sa *sa, uint32_t number)
{
	uint64_t next = __atomic_load_n(&sa->seq, __ATOMIC_RELAXED);
	uint32_t back = (uint32_t)next - number;

	return back >= 1 && back <= RTE_MIN(next - 1, (uint64_t)SEALED_RECENT);
}

// A Packet Too Big about a packet that left under ESP, whose quote tells no inner packet: it must name an SA
// of the mobile's that is there, and a number that was sent lately. Original senders hear of it with their
// next packet that does not fit.
static void sealed_too_big(const struct tunnel_error *e, uint32_t spi, uint32_t number)
{
	const struct sa *sa = sa_find_sent(spi, &e->outer.src, NULL);

	for (unsigned int i = 0; i < SEALED_TRIES && sa != NULL; i++) {
		if (has_sent(sa, number) && home_of(e, &sa->home, &e->outer.src) != NULL &&
			packet_len(&e->outer) > e->param && e->param >= IP6_MIN_MTU) {
			pmtu_learn(&e->outer.dst, e->param);
			tunnel_error_stats.ignored++;
			return;
		}
		sa = sa_find_sent(spi, &e->outer.src, sa);
	}
	tunnel_error_stats.forged++;
}

// Reads on to an ESP header. False when the quote has none.
static bool sealed_read(
	const struct tunnel_error *e, struct rcursor c, uint32_t *spi, uint32_t *number)
{
	int proto = e->outer.next_header;

	while (c.ok && proto != PROTO_ESP && proto >= 0)
		proto = step_over(&c, (uint8_t)proto);
	*spi = rcursor_u32(&c);
	*number = rcursor_u32(&c);
	return c.ok && proto == PROTO_ESP;
}

// Takes in the whole packet of len bytes with its ICMPv6 header at off.
static void take(const uint8_t *packet, size_t len, size_t off)
{
	const struct api_home_prefix_set *home;
	struct tunnel_error e;
	struct rcursor c;
	bool is_whole = error_read(packet, len, off, &e, &c);
	uint32_t spi, number;

	if (is_whole && e.outer.next_header == PROTO_ROUTING) {
		routed_too_big(&e, &c);
		return;
	}
	if (is_whole && e.type == ICMP6_PACKET_TOO_BIG && sealed_read(&e, c, &spi, &number)) {
		sealed_too_big(&e, spi, number);
		return;
	}
	home = is_whole && inner_read(&e, &c) ? home_of(&e, &e.inner->dst, &e.outer.src) : NULL;
	if (home == NULL) {
		tunnel_error_stats.forged++;
		return;
	}
	e.domain = (uint8_t)home->domain;
	switch (e.type) {
	case ICMP6_PACKET_TOO_BIG:
		too_big(&e);
		break;
	case ICMP6_UNREACH:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAM_PROBLEM:
		// Whatever keeps the tunnel from working: the home address cannot be reached.
		relay(&e, ICMP6_UNREACH, ICMP6_UNREACH_ADDRESS, 0);
		break;
	default:
		tunnel_error_stats.ignored++;
	}
}

void tunnel_error_take(struct rte_mbuf *m)
{
	uint8_t copy[ERROR_MAX];
	uint32_t len = RTE_MIN(m->pkt_len, (uint32_t)sizeof(copy));
	const uint8_t *packet = rte_pktmbuf_read(m, 0, len, copy);

	if (packet != NULL && len == m->pkt_len)
		take(packet, len, pkt_meta(m)->outer_len);
	else
		tunnel_error_stats.forged++;
	rte_pktmbuf_free(m);
}
