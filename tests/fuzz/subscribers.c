// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: one line of the subscribers' source, and, when the first byte is 0 or 1, one entry of
// their index: a subscriber, or security associations. What is taken reads the same after writing.

#include <stdlib.h>
#include <string.h>

#include "controlplane/subscriber_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct subscriber *s)
{
	uint8_t buf[SUBSCRIBER_BYTES_MAX], third[SUBSCRIBER_BYTES_MAX];
	size_t len = subscriber_line_pack(s, buf, sizeof(buf));
	struct subscriber again;

	if (s->mn_id_len > BCE_MN_ID_MAX || s->n_homes > SUBSCRIBER_MAX_HOMES ||
		s->n_keys > SUBSCRIBER_MAX_KEYS)
		abort();
	if (subscriber_line_unpack(buf, len, &again) != 0)
		abort();
	if (subscriber_line_pack(&again, third, sizeof(third)) != len ||
		memcmp(buf, third, len) != 0)
		abort();
}

static void check_secured(const struct associations *all)
{
	uint8_t buf[ASSOCIATION_BYTES_MAX], third[ASSOCIATION_BYTES_MAX];
	size_t len = association_pack(all, buf, sizeof(buf));
	struct associations again;

	if (all->n > ASSOCIATION_MAX || association_unpack(buf, len, &again) != 0)
		abort();
	if (association_pack(&again, third, sizeof(third)) != len || memcmp(buf, third, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct associations all;
	char reason[SUBSCRIBER_REASON_LEN] = "";
	struct subscriber s;

	if (size > 0 && data[0] == 0) {
		if (subscriber_line_unpack(data + 1, size - 1, &s) == 0)
			check(&s);
		return 0;
	}
	if (size > 0 && data[0] == 1) {
		if (association_unpack(data + 1, size - 1, &all) == 0)
			check_secured(&all);
		return 0;
	}
	if (size > SUBSCRIBER_LINE_MAX)
		return 0;
	if (subscriber_line_parse((const char *)data, size, &s, &all, reason) == 0) {
		if (reason[0] != '\0' || (s.mn_id_len == 0 && s.n_homes == 0))
			abort();
		check(&s);
		check_secured(&all);
	} else if (strchr(reason, ':') == NULL) {
		abort();
	}
	return 0;
}
