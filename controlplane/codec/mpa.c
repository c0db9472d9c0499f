// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/codec/mpa.h"

#include <errno.h>

#include "dataplane/base/cksum.h"
#include "dataplane/base/cursor.h"
#include "dataplane/base/wire.h"

enum {
	MESSAGE_LEN = 8,
	OPTION_UNIT = 8, // RFC 4861 section 4.6
	OPTION_PREFIX = 3,
	OPTION_PREFIX_UNITS = 4,
	PREFIX_AUTONOMOUS = 0x40,
	PREFIX_ROUTER = 0x20,
};

// Options are whole; what they are does not matter.
static bool has_whole_options(struct rcursor *c)
{
	while (c->ok && rcursor_left(c) > 0) {
		uint8_t units;

		rcursor_u8(c);
		units = rcursor_u8(c);
		if (units == 0)
			return false;
		rcursor_bytes(c, (size_t)units * OPTION_UNIT - 2);
	}
	return c->ok;
}

int mpa_read_solicitation(const struct ip6chain *chain, uint16_t *identifier)
{
	const uint8_t *icmp = chain->packet + chain->payload_at;
	struct rcursor c = rcursor_make(icmp, chain->payload_len);
	uint8_t type = rcursor_u8(&c), code = rcursor_u8(&c);

	rcursor_u16(&c); // checksum
	*identifier = rcursor_u16(&c);
	rcursor_u16(&c); // reserved
	if (!c.ok || chain->proto != PROTO_ICMP6 || type != ICMP6_MPS || code != 0 ||
		!has_whole_options(&c))
		return -EBADMSG;
	// Over a right checksum in the message the sum is zero.
	if (cksum_ip6(ip6chain_upper_src(chain), ip6chain_upper_dst(chain), PROTO_ICMP6, icmp,
		    chain->payload_len) != 0)
		return -EBADMSG;
	return 0;
}

static void put_prefix(struct wcursor *w, const struct mpa_prefix *p)
{
	wcursor_u8(w, OPTION_PREFIX);
	wcursor_u8(w, OPTION_PREFIX_UNITS);
	wcursor_u8(w, p->len);
	wcursor_u8(w, PREFIX_AUTONOMOUS | (p->has_router ? PREFIX_ROUTER : 0));
	wcursor_u32(w, p->valid_s);
	wcursor_u32(w, p->preferred_s);
	wcursor_u32(w, 0);
	wcursor_bytes(w, &p->address, sizeof(p->address));
}

ssize_t mpa_build(void *buf, size_t size, const struct ip6chain_head *head, uint16_t identifier,
	const struct mpa_prefix prefixes[], unsigned int n)
{
	size_t head_len = ip6chain_head_len(head);
	size_t icmp_len = MESSAGE_LEN + (size_t)n * OPTION_PREFIX_UNITS * OPTION_UNIT;
	ssize_t len = ip6chain_write(buf, size, head, PROTO_ICMP6, icmp_len);
	uint8_t *icmp = (uint8_t *)buf + head_len;
	struct wcursor w;
	uint16_t sum_be;

	if (len < 0)
		return len;
	w = wcursor_make(icmp, icmp_len);
	wcursor_u8(&w, ICMP6_MPA);
	wcursor_u8(&w, 0);
	wcursor_u16(&w, 0);
	wcursor_u16(&w, identifier);
	wcursor_u16(&w, 0); // M and O: no DHCPv6
	for (unsigned int i = 0; i < n; i++)
		put_prefix(&w, &prefixes[i]);
	sum_be = cksum_ip6(&head->src, head->routed, PROTO_ICMP6, icmp, icmp_len);
	memcpy(icmp + offsetof(struct icmp6_hdr_wire, cksum_be), &sum_be, sizeof(sum_be));
	return len;
}
