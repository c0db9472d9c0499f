// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/codec/ip6chain.h"

#include <errno.h>

#include "dataplane/base/cursor.h"
#include "dataplane/base/wire.h"

enum {
	IP6_HEADER_LEN = 40,
	OPT_PAD1 = 0,
	HOME_OPTION_LEN = 16,
	EXT_LEN = 24, // of the option header with HAO, and of the type 2 routing header
	MAX_EXT_HEADERS = 6,
	MAX_PAYLOAD = 65535,
};

static enum ip6chain_verdict drop(struct ip6chain *c, enum ip6chain_why why)
{
	c->why = why;
	return IP6CHAIN_DROP;
}

static enum ip6chain_verdict param_problem(
	struct ip6chain *c, enum ip6chain_why why, uint8_t code, size_t at)
{
	c->why = why;
	c->icmp_code = code;
	c->pointer = (uint32_t)at;
	return IP6CHAIN_PARAM_PROBLEM;
}

// An option that nobody here knows: its two upper bits say what to do. RFC 8200 section 4.2.
static enum ip6chain_verdict unknown_option(struct ip6chain *c, uint8_t type, size_t at)
{
	switch (type >> 6) {
	case 0:
		return IP6CHAIN_OK;
	case 1:
		return drop(c, IP6CHAIN_UNKNOWN_OPTION);
	case 3:
		if (ip6_is_multicast(&c->dst))
			return drop(c, IP6CHAIN_UNKNOWN_OPTION);
		break;
	}
	return param_problem(c, IP6CHAIN_UNKNOWN_OPTION, 2, at);
}

static enum ip6chain_verdict home_option(struct ip6chain *c, const uint8_t *data, uint8_t len)
{
	if (len != HOME_OPTION_LEN)
		return drop(c, IP6CHAIN_HOME_LENGTH);
	if (c->has_home)
		return drop(c, IP6CHAIN_HOME_TWICE);
	memcpy(&c->home, data, sizeof(c->home));
	c->has_home = true;
	return IP6CHAIN_OK;
}

// Walks the options of one hop-by-hop or destination options header. at is the offset of the first
// option in the packet.
static enum ip6chain_verdict walk_options(
	struct ip6chain *c, struct rcursor opts, size_t at, bool is_destination)
{
	const uint8_t *start = opts.p;
	enum ip6chain_verdict verdict = IP6CHAIN_OK;

	while (verdict == IP6CHAIN_OK && rcursor_left(&opts) > 0) {
		size_t opt_at = at + (size_t)(opts.p - start);
		uint8_t type = rcursor_u8(&opts);

		if (type == OPT_PAD1)
			continue;
		uint8_t len = rcursor_u8(&opts);
		const uint8_t *data = rcursor_bytes(&opts, len);

		if (!opts.ok)
			return drop(c, IP6CHAIN_BAD_OPTION);
		if (type == DSTOPT_HOME_ADDRESS && is_destination)
			verdict = home_option(c, data, len);
		else
			verdict = unknown_option(c, type, opt_at); // PadN has its bits at "skip"
	}
	return verdict;
}

// A routing header: type 2 is kept for the mobile node to follow, others only pass when they are done.
// ext is the whole header. RFC 8200 section 4.4, RFC 6275 section 6.4.
static enum ip6chain_verdict walk_routing(struct ip6chain *c, const uint8_t *ext, size_t len)
{
	struct rcursor r = rcursor_make(ext, len);

	rcursor_bytes(&r, 2);
	uint8_t type = rcursor_u8(&r);
	uint8_t segments_left = rcursor_u8(&r);

	if (c->has_home)
		return drop(c, IP6CHAIN_HOME_ORDER);
	if (type != ROUTING_TYPE2) {
		if (segments_left == 0)
			return IP6CHAIN_OK;
		return param_problem(c, IP6CHAIN_ROUTING, 0, (size_t)(ext + 2 - c->packet));
	}
	if (len != EXT_LEN || segments_left != 1 || c->has_routed)
		return drop(c, IP6CHAIN_ROUTING);
	rcursor_bytes(&r, 4);
	rcursor_copy(&r, &c->routed, sizeof(c->routed));
	c->has_routed = true;
	return IP6CHAIN_OK;
}

static bool is_extension(uint8_t proto)
{
	return proto == PROTO_HOPOPTS || proto == PROTO_DSTOPTS || proto == PROTO_ROUTING;
}

static enum ip6chain_verdict walk_extensions(struct ip6chain *c, struct rcursor *r)
{
	for (int n = 0; is_extension(c->proto); n++) {
		const uint8_t *ext = r->p;
		uint8_t next = rcursor_u8(r);
		size_t len = ((size_t)rcursor_u8(r) + 1) * 8;
		enum ip6chain_verdict verdict;

		rcursor_bytes(r, len - 2);
		if (!r->ok)
			return drop(c, IP6CHAIN_TRUNCATED);
		if (n == MAX_EXT_HEADERS)
			return drop(c, IP6CHAIN_TOO_LONG);
		if (c->proto == PROTO_HOPOPTS && n > 0) // only right behind the IPv6 header
			return param_problem(c, IP6CHAIN_BAD_OPTION, 1, c->pointer);
		if (c->proto == PROTO_ROUTING)
			verdict = walk_routing(c, ext, len);
		else
			verdict = walk_options(c, rcursor_make(ext + 2, len - 2),
				(size_t)(ext + 2 - c->packet), c->proto == PROTO_DSTOPTS);
		if (verdict != IP6CHAIN_OK)
			return verdict;
		c->proto = next;
		c->pointer = (uint32_t)(ext - c->packet); // where this next header value stands
	}
	if (c->proto == PROTO_FRAGMENT)
		return drop(c, IP6CHAIN_FRAGMENT);
	return IP6CHAIN_OK;
}

enum ip6chain_verdict ip6chain_parse(const void *packet, size_t len, struct ip6chain *out)
{
	struct rcursor r = rcursor_make(packet, len);

	*out = (struct ip6chain){ .packet = packet };
	uint32_t vtc_flow = rcursor_u32(&r);
	uint16_t payload_len = rcursor_u16(&r);

	out->proto = rcursor_u8(&r);
	out->hop_limit = rcursor_u8(&r);
	rcursor_copy(&r, &out->src, sizeof(out->src));
	rcursor_copy(&r, &out->dst, sizeof(out->dst));
	if (!r.ok)
		return drop(out, IP6CHAIN_TRUNCATED);
	if (vtc_flow >> 28 != 6)
		return drop(out, IP6CHAIN_VERSION);
	struct rcursor payload = rcursor_sub(&r, payload_len);

	if (!payload.ok)
		return drop(out, IP6CHAIN_TRUNCATED);
	out->packet_len = IP6_HEADER_LEN + (size_t)payload_len;
	out->pointer = offsetof(struct ip6_hdr_wire, next_header);
	enum ip6chain_verdict verdict = walk_extensions(out, &payload);

	if (verdict != IP6CHAIN_OK)
		return verdict;
	out->pointer = 0;
	out->payload_len = rcursor_left(&payload);
	out->payload_at = out->packet_len - out->payload_len;
	return IP6CHAIN_OK;
}

const char *ip6chain_why_name(enum ip6chain_why why)
{
	static const char *const names[IP6CHAIN_WHY_MAX] = {
		[IP6CHAIN_FINE] = "fine",
		[IP6CHAIN_TRUNCATED] = "truncated",
		[IP6CHAIN_VERSION] = "version",
		[IP6CHAIN_FRAGMENT] = "fragment",
		[IP6CHAIN_TOO_LONG] = "too_long",
		[IP6CHAIN_BAD_OPTION] = "bad_option",
		[IP6CHAIN_UNKNOWN_OPTION] = "unknown_option",
		[IP6CHAIN_HOME_TWICE] = "home_twice",
		[IP6CHAIN_HOME_LENGTH] = "home_length",
		[IP6CHAIN_HOME_ORDER] = "home_order",
		[IP6CHAIN_ROUTING] = "routing",
	};

	return why < IP6CHAIN_WHY_MAX ? names[why] : "unknown";
}

size_t ip6chain_head_len(const struct ip6chain_head *head)
{
	return IP6_HEADER_LEN + (head->routed != NULL ? EXT_LEN : 0) +
	       (head->home != NULL ? EXT_LEN : 0);
}

static void write_routing(struct wcursor *w, uint8_t next, const struct ip6 *routed)
{
	wcursor_u8(w, next);
	wcursor_u8(w, EXT_LEN / 8 - 1);
	wcursor_u8(w, ROUTING_TYPE2);
	wcursor_u8(w, 1); // segments left
	wcursor_zero(w, 4);
	wcursor_bytes(w, routed, sizeof(*routed));
}

static void write_home(struct wcursor *w, uint8_t next, const struct ip6 *home)
{
	static const uint8_t padn4[] = { 1, 2, 0, 0 };

	wcursor_u8(w, next);
	wcursor_u8(w, EXT_LEN / 8 - 1);
	wcursor_bytes(w, padn4, sizeof(padn4)); // the option is 8n+6 aligned
	wcursor_u8(w, DSTOPT_HOME_ADDRESS);
	wcursor_u8(w, HOME_OPTION_LEN);
	wcursor_bytes(w, home, sizeof(*home));
}

ssize_t ip6chain_write(
	void *buf, size_t size, const struct ip6chain_head *head, uint8_t proto, size_t payload_len)
{
	size_t head_len = ip6chain_head_len(head);
	uint8_t after_routing = head->home != NULL ? PROTO_DSTOPTS : proto;

	if (payload_len > MAX_PAYLOAD - (head_len - IP6_HEADER_LEN) ||
		head_len + payload_len > size)
		return -EMSGSIZE;
	struct wcursor w = wcursor_make(buf, size);

	wcursor_u32(&w, 6U << 28);
	wcursor_u16(&w, (uint16_t)(head_len - IP6_HEADER_LEN + payload_len));
	wcursor_u8(&w, head->routed != NULL ? PROTO_ROUTING : after_routing);
	wcursor_u8(&w, head->hop_limit);
	wcursor_bytes(&w, &head->src, sizeof(head->src));
	wcursor_bytes(&w, &head->dst, sizeof(head->dst));
	if (head->routed != NULL)
		write_routing(&w, after_routing, head->routed);
	if (head->home != NULL)
		write_home(&w, proto, head->home);
	return (ssize_t)(head_len + payload_len);
}
