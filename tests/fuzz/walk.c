// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: the walk over a message of records. Each record that it hands out lies in the message
// with its whole variable tail, records follow each other without a gap, and only a whole message
// ends without an error.

#include "dataplane/api/walk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int touched; // keeps the reads below

// Reads the variable tail as those who take records do.
static void touch_tail(const struct api_rec *rec)
{
	const struct api_binding_set *set = (const void *)rec;
	const struct api_packet_out *out = (const void *)rec;
	const struct api_punt *punt = (const void *)rec;
	const struct api_sa_set *sa = (const void *)rec;

	if (rec->type == API_BINDING_SET) {
		for (unsigned int i = 0; i < set->n_care_of; i++)
			touched += set->care_of[i].sa_slot;
	} else if (rec->type == API_PACKET_OUT) {
		for (uint32_t i = 0; i < out->packet_len; i++)
			touched += out->packet[i];
	} else if (rec->type == API_PUNT) {
		for (uint32_t i = 0; i < punt->packet_len; i++)
			touched += punt->packet[i];
	} else if (rec->type == API_SA_SET) {
		for (uint32_t i = 0; i < (uint32_t)sa->enc_key_len + sa->auth_key_len; i++)
			touched += sa->keys[i];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *message = malloc(size);
	struct api_walk walk = api_walk_start(message, size);
	const struct api_rec *rec;
	size_t taken = 0;

	if (size == 0 || message == NULL) {
		free(message);
		return 0;
	}
	memcpy(message, data, size);
	while ((rec = api_walk_next(&walk)) != NULL) {
		if ((const uint8_t *)rec != message + taken || rec->len < api_min_len(rec->type))
			abort();
		taken += rec->len;
		touch_tail(rec);
	}
	if (taken > size || (walk.error == 0) != (taken == size))
		abort();
	free(message);
	return 0;
}
