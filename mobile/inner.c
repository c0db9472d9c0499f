// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/inner.h"

#include <errno.h>

#include "dataplane/base/cursor.h"

enum {
	ECN_MASK = 3,
	ECN_NOT_ECT = 0,
	ECN_ECT1 = 1,
	ECN_CE = 3,
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
