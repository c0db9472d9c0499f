// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/codec/icmp6.h"

#include <errno.h>

#include "controlplane/codec/ip6chain.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/cursor.h"
#include "dataplane/base/wire.h"

// RFC 4443 section 2.4 (e): never about a multicast packet (but for an unrecognized option), never to
// an address that is not one node's.
static bool may_answer(const struct ip6 *src, const struct ip6 *dst, uint8_t code)
{
	if (ip6_is_any(src) || ip6_is_multicast(src))
		return false;
	return !ip6_is_multicast(dst) || code == ICMP6_PARAM_OPTION;
}

ssize_t icmp6_param_problem(void *buf, size_t size, const struct ip6 *from, uint8_t code,
	uint32_t pointer, const void *packet, size_t packet_len)
{
	struct ip6chain_head head = { .src = *from, .hop_limit = 64 };
	size_t head_len = ip6chain_head_len(&head);
	size_t quoted = IP6_MIN_MTU - head_len - sizeof(struct icmp6_hdr_wire);
	struct rcursor r = rcursor_make(packet, packet_len);
	struct ip6 dst;

	rcursor_bytes(&r, offsetof(struct ip6_hdr_wire, src));
	rcursor_copy(&r, &head.dst, sizeof(head.dst));
	rcursor_copy(&r, &dst, sizeof(dst));
	if (!r.ok || !may_answer(&head.dst, &dst, code))
		return 0;
	if (quoted > packet_len)
		quoted = packet_len;
	size_t icmp_len = sizeof(struct icmp6_hdr_wire) + quoted;
	ssize_t len = ip6chain_write(buf, size, &head, PROTO_ICMP6, icmp_len);

	if (len < 0)
		return len;
	uint8_t *icmp = (uint8_t *)buf + head_len;
	struct wcursor w = wcursor_make(icmp, icmp_len);

	wcursor_u8(&w, ICMP6_PARAM_PROBLEM);
	wcursor_u8(&w, code);
	wcursor_u16(&w, 0);
	wcursor_u32(&w, pointer);
	wcursor_bytes(&w, packet, quoted);
	uint16_t sum_be = cksum_ip6(from, &head.dst, PROTO_ICMP6, icmp, icmp_len);

	memcpy(icmp + offsetof(struct icmp6_hdr_wire, cksum_be), &sum_be, sizeof(sum_be));
	return len;
}
