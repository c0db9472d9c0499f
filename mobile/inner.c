// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/inner.h"

#include <endian.h>
#include <errno.h>

#include "dataplane/base/cursor.h"
#include "dataplane/base/wire.h"

enum {
	ECN_MASK = 3,
	ECN_NOT_ECT = 0,
	ECN_ECT1 = 1,
	ECN_CE = 3,
	ROUTING_LEN = 24, // of a type 2 routing header
};

int inner_parse(const void *packet, size_t len, struct inner *out)
{
	struct rcursor c = rcursor_make(packet, len);
	uint32_t vtc_flow = rcursor_u32(&c);
	size_t payload_len = rcursor_u16(&c);
	struct inner inner;

	rcursor_bytes(&c, 2); // next header, hop limit
	rcursor_copy(&c, &inner.src, sizeof(inner.src));
	rcursor_copy(&c, &inner.dst, sizeof(inner.dst));
	if (!c.ok || vtc_flow >> 28 != 6 || payload_len > rcursor_left(&c))
		return -EINVAL;
	inner.traffic_class = (uint8_t)(vtc_flow >> 20);
	inner.len = len - rcursor_left(&c) + payload_len;
	*out = inner;
	return 0;
}

ssize_t inner_unroute(uint8_t *packet, size_t len, struct ip6 *care_of)
{
	struct rcursor c = rcursor_make(packet, len);
	struct ip6_hdr_wire ip;
	uint8_t next_header, hdr_len, type, segments_left;
	struct inner inner;

	rcursor_copy(&c, &ip, sizeof(ip));
	next_header = rcursor_u8(&c);
	hdr_len = rcursor_u8(&c);
	type = rcursor_u8(&c);
	segments_left = rcursor_u8(&c);
	rcursor_bytes(&c, 4);
	*care_of = ip.dst;
	rcursor_copy(&c, &ip.dst, sizeof(ip.dst));
	if (!c.ok || inner_parse(packet, len, &inner) < 0 || inner.len < sizeof(ip) + ROUTING_LEN ||
		ip.next_header != PROTO_ROUTING || next_header == PROTO_MH ||
		hdr_len != ROUTING_LEN / 8 - 1 || type != ROUTING_TYPE2 || segments_left != 1)
		return -ENOENT;
	inner.len -= ROUTING_LEN;
	ip.next_header = next_header;
	ip.payload_len_be = htobe16((uint16_t)(inner.len - sizeof(ip)));
	memcpy(packet, &ip, sizeof(ip));
	memmove(packet + sizeof(ip), packet + sizeof(ip) + ROUTING_LEN, inner.len - sizeof(ip));
	return (ssize_t)inner.len;
}

int inner_merge_ecn(uint8_t *packet, const struct inner *inner, uint8_t outer_traffic_class)
{
	uint8_t outer_ecn = outer_traffic_class & ECN_MASK;
	uint8_t inner_ecn = inner->traffic_class & ECN_MASK;

	if (inner_ecn == ECN_NOT_ECT)
		return outer_ecn == ECN_CE ? -ECONNABORTED : 0;
	// CE wins; ECT(1) outside turns ECT(0) inside into ECT(1). The field's bits are 5 and 4 of
	// the second byte.
	if (outer_ecn == ECN_CE || (outer_ecn == ECN_ECT1 && inner_ecn != ECN_CE))
		packet[1] = (uint8_t)((packet[1] & ~(ECN_MASK << 4)) | outer_ecn << 4);
	return 0;
}
