// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets out of the tunnel, as the mobile client reads them; the first byte is the outer header's
// traffic class.

#include <stdlib.h>
#include <string.h>

#include "mobile/inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inner inner;
	struct ip6 care_of;
	ssize_t len;
	uint8_t *packet;

	if (size < 1)
		return 0;
	packet = malloc(size); // of the exact size, so that a read beyond it is seen
	if (packet == NULL)
		return 0;
	memcpy(packet, data + 1, size - 1);
	if (inner_parse(packet, size - 1, &inner) == 0) {
		if (inner.len > size - 1)
			abort();
		(void)inner_merge_ecn(packet, &inner, data[0]);
	}
	len = inner_unroute(packet, size - 1, &care_of);
	if (len >= 0 && (inner_parse(packet, (size_t)len, &inner) != 0 || inner.len != (size_t)len))
		abort();
	free(packet);
	return 0;
}
