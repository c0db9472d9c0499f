// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: an entry of the store. The first byte is its number; the checksum is made right when
// the second is odd, so that the fields are reached. What is taken reads the same after writing.

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[RECORD_MAX], third[RECORD_MAX];
	struct record a, b;
	uint64_t number;
	uint8_t *entry;
	size_t len;

	if (size < 2)
		return 0;
	number = data[0];
	len = size - 2;
	entry = malloc(len + (len == 0)); // of the exact size, so that a read beyond it is seen
	if (entry == NULL)
		return 0;
	memcpy(entry, data + 2, len);
	if (data[1] % 2 != 0 && len > sizeof(uint32_t)) {
		uint32_t sum = htole32((uint32_t)XXH3_64bits_withSeed(
			entry + sizeof(sum), len - sizeof(sum), number));

		memcpy(entry, &sum, sizeof(sum));
	}
	if (record_decode(entry, len, number, &a) == 0) {
		if (a.entry.bce.mn_id_len > BCE_MN_ID_MAX)
			abort();
		len = record_encode(&a, number + 1, again);
		if (record_decode(again, len, number, &b) == 0) // another entry's bytes
			abort();
		if (record_decode(again, len, number + 1, &b) != 0)
			abort();
		if (record_encode(&b, number + 1, third) != len || memcmp(again, third, len) != 0)
			abort();
	}
	free(entry);
	return 0;
}
