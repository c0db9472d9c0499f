// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: whole IPv6 packets into the header walk and the error that answers them.
//
// Oracles: a slow reference walker, written from the RFCs in two passes over plain bytes, comes to the
// same verdict with the same reason, pointer and addresses; the error quotes the packet to its sender
// in at most 1280 bytes, with a right checksum, and nobody is told who must not be (RFC 4443 2.4).

#include <stdlib.h>
#include <string.h>

#include "controlplane/codec/icmp6.h"
#include "controlplane/codec/ip6chain.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 40, MOST_HEADERS = 6, OPTION_HAO = 201, ERROR_ROOM = 1280 };

// What the first pass finds: where each extension header begins, and how the chain ends.
struct layout {
	unsigned int n;
	struct {
		uint8_t type;
		size_t at, len;
	} ext[8192];
	bool is_cut; // the header behind the last one is not all there
	uint8_t last_type; // behind the last one
	size_t end; // of the packet as its length field says
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool is_walked(uint8_t type)
{
	return type == PROTO_HOPOPTS || type == PROTO_ROUTING || type == PROTO_DSTOPTS;
}

static void lay_out(const uint8_t *p, struct layout *l)
{
	size_t at = HEAD;

	l->n = 0;
	l->is_cut = false;
	l->end = HEAD + (size_t)(p[4] << 8 | p[5]);
	l->last_type = p[6];
	while (is_walked(l->last_type)) {
		if (at + 2 > l->end || at + 8 + 8 * (size_t)p[at + 1] > l->end) {
			l->is_cut = true;
			return;
		}
		l->ext[l->n].type = l->last_type;
		l->ext[l->n].at = at;
		l->ext[l->n].len = 8 + 8 * (size_t)p[at + 1];
		l->last_type = p[at];
		at += l->ext[l->n++].len;
	}
}

static enum ip6chain_verdict say(
	struct ip6chain *c, enum ip6chain_verdict verdict, enum ip6chain_why why)
{
	c->why = why;
	return verdict;
}

static enum ip6chain_verdict complain(
	struct ip6chain *c, enum ip6chain_why why, uint8_t code, size_t pointer)
{
	c->icmp_code = code;
	c->pointer = (uint32_t)pointer;
	return say(c, IP6CHAIN_PARAM_PROBLEM, why);
}

// RFC 8200 section 4.2, RFC 6275 section 6.3.
static enum ip6chain_verdict judge_options(
	const uint8_t *p, size_t at, size_t end, bool is_destination, struct ip6chain *c)
{
	while (at < end) {
		if (p[at] == 0) {
			at++;
			continue;
		}
		if (at + 2 > end || at + 2 + p[at + 1] > end)
			return say(c, IP6CHAIN_DROP, IP6CHAIN_BAD_OPTION);
		if (is_destination && p[at] == OPTION_HAO) {
			if (p[at + 1] != 16)
				return say(c, IP6CHAIN_DROP, IP6CHAIN_HOME_LENGTH);
			if (c->has_home)
				return say(c, IP6CHAIN_DROP, IP6CHAIN_HOME_TWICE);
			c->has_home = true;
			memcpy(&c->home, p + at + 2, 16);
		} else if (p[at] >= 192 && p[24] == 0xff) { // multicast
			return say(c, IP6CHAIN_DROP, IP6CHAIN_UNKNOWN_OPTION);
		} else if (p[at] >= 128) {
			return complain(c, IP6CHAIN_UNKNOWN_OPTION, 2, at);
		} else if (p[at] >= 64) {
			return say(c, IP6CHAIN_DROP, IP6CHAIN_UNKNOWN_OPTION);
		}
		at += 2u + p[at + 1];
	}
	return IP6CHAIN_OK;
}

// RFC 8200 section 4.4, RFC 6275 section 6.4.
static enum ip6chain_verdict judge_routing(
	const uint8_t *p, size_t at, size_t len, struct ip6chain *c)
{
	if (c->has_home)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_HOME_ORDER);
	if (p[at + 2] != 2)
		return p[at + 3] == 0 ? IP6CHAIN_OK : complain(c, IP6CHAIN_ROUTING, 0, at + 2);
	if (len != 24 || p[at + 3] != 1 || c->has_routed)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_ROUTING);
	c->has_routed = true;
	memcpy(&c->routed, p + at + 8, 16);
	return IP6CHAIN_OK;
}

// The second pass: each header in its turn.
static enum ip6chain_verdict judge(const uint8_t *p, const struct layout *l, struct ip6chain *c)
{
	for (unsigned int i = 0; i < l->n; i++) {
		size_t at = l->ext[i].at, len = l->ext[i].len;
		bool is_routing = l->ext[i].type == PROTO_ROUTING;
		enum ip6chain_verdict verdict;

		if (i == MOST_HEADERS)
			return say(c, IP6CHAIN_DROP, IP6CHAIN_TOO_LONG);
		if (l->ext[i].type == PROTO_HOPOPTS && i > 0)
			return complain(c, IP6CHAIN_BAD_OPTION, 1, l->ext[i - 1].at);
		verdict = is_routing ? judge_routing(p, at, len, c)
				     : judge_options(p, at + 2, at + len,
					       l->ext[i].type == PROTO_DSTOPTS, c);
		if (verdict != IP6CHAIN_OK)
			return verdict;
	}
	if (l->is_cut)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_TRUNCATED);
	if (l->last_type == PROTO_FRAGMENT)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_FRAGMENT);
	c->proto = l->last_type;
	c->packet_len = l->end;
	c->payload_at = l->n == 0 ? HEAD : l->ext[l->n - 1].at + l->ext[l->n - 1].len;
	c->payload_len = l->end - c->payload_at;
	return IP6CHAIN_OK;
}

static enum ip6chain_verdict reference(const uint8_t *p, size_t size, struct ip6chain *c)
{
	static struct layout layout;

	memset(c, 0, sizeof(*c));
	if (size < HEAD)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_TRUNCATED);
	if (p[0] >> 4 != 6)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_VERSION);
	if (HEAD + (size_t)(p[4] << 8 | p[5]) > size)
		return say(c, IP6CHAIN_DROP, IP6CHAIN_TRUNCATED);
	lay_out(p, &layout);
	memcpy(&c->src, p + 8, 16);
	memcpy(&c->dst, p + 24, 16);
	c->hop_limit = p[7];
	return judge(p, &layout, c);
}

static void check_same(const struct ip6chain *is, const struct ip6chain *should,
	enum ip6chain_verdict verdict, enum ip6chain_verdict right)
{
	require(verdict == right && is->why == should->why);
	if (verdict == IP6CHAIN_PARAM_PROBLEM)
		require(is->icmp_code == should->icmp_code && is->pointer == should->pointer &&
			is->pointer < is->packet_len);
	if (verdict != IP6CHAIN_OK)
		return;
	require(is->has_home == should->has_home && is->has_routed == should->has_routed);
	require(!is->has_home || ip6_eq(&is->home, &should->home));
	require(!is->has_routed || ip6_eq(&is->routed, &should->routed));
	require(ip6_eq(&is->src, &should->src) && ip6_eq(&is->dst, &should->dst));
	require(is->proto == should->proto && is->hop_limit == should->hop_limit &&
		is->packet_len == should->packet_len && is->payload_at == should->payload_at &&
		is->payload_len == should->payload_len);
}

static void check_error(const uint8_t *packet, const struct ip6chain *c)
{
	static const struct ip6 agent = { { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	uint8_t error[ERROR_ROOM];
	const uint8_t *icmp = error + HEAD;
	ssize_t len = icmp6_param_problem(
		error, sizeof(error), &agent, c->icmp_code, c->pointer, packet, c->packet_len);
	bool is_forbidden = packet[8] == 0xff || ip6_is_any(&c->src) ||
			    (packet[24] == 0xff && c->icmp_code != ICMP6_PARAM_OPTION);

	require(len >= 0 && (len == 0) == is_forbidden);
	if (len == 0)
		return;
	size_t quoted = (size_t)len - HEAD - 8, most = ERROR_ROOM - HEAD - 8;
	uint32_t pointer = (uint32_t)icmp[4] << 24 | icmp[5] << 16 | icmp[6] << 8 | icmp[7];

	require(quoted == (c->packet_len < most ? c->packet_len : most));
	require(memcmp(error + 8, &agent, 16) == 0 && memcmp(error + 24, packet + 8, 16) == 0);
	require((size_t)(error[4] << 8 | error[5]) == quoted + 8 && error[6] == PROTO_ICMP6);
	require(icmp[0] == ICMP6_PARAM_PROBLEM && icmp[1] == c->icmp_code && pointer == c->pointer);
	require(memcmp(icmp + 8, packet, quoted) == 0);
	require(cksum_ip6(&agent, &c->src, PROTO_ICMP6, icmp, quoted + 8) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip6chain c, should;
	enum ip6chain_verdict verdict = ip6chain_parse(data, size, &c);

	check_same(&c, &should, verdict, reference(data, size, &should));
	if (verdict == IP6CHAIN_PARAM_PROBLEM)
		check_error(data, &c);
	return 0;
}
