// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/registration.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>

enum { TRIES = 5, PATIENCE_S = 1, SEQUENCE_OUT_OF_WINDOW = 135 };

struct storm {
	struct lane *lane;
	struct registration *found;
	struct {
		uint16_t sequence; // of its last update
		bool is_answered;
	} * mobiles;
	uint32_t mobile; // whose update is written
};

static void heard(void *ctx, const struct packet_seen *seen)
{
	struct storm *storm = ctx;

	if (storm->mobiles[seen->mobile].is_answered)
		return;
	if (seen->kind == PACKET_REFUSED && seen->status == SEQUENCE_OUT_OF_WINDOW) {
		storm->mobiles[seen->mobile].sequence = seen->sequence; // RFC 6275 section 9.5.1
		return;
	}
	storm->mobiles[seen->mobile].is_answered = true;
	if (seen->kind == PACKET_BOUND)
		storm->found->bound++;
	else
		storm->found->refused++;
}

static uint16_t write_update(void *ctx, uint8_t *frame)
{
	struct storm *storm = ctx;

	return packet_write_update(frame, storm->lane->options, storm->mobile,
		storm->mobiles[storm->mobile].sequence, &storm->lane->macs[ACCESS]);
}

static uint32_t answered(const struct storm *storm)
{
	return storm->found->bound + storm->found->refused;
}

static void listen_until(const struct storm *storm, uint64_t until_tsc)
{
	while (rte_rdtsc() < until_tsc && answered(storm) < storm->lane->options->n_mobiles)
		lane_receive(storm->lane, 0);
}

static void progress(const struct storm *storm)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rbound %u of %u ", storm->found->bound,
			storm->lane->options->n_mobiles);
}

// One update of each mobile that has no answer yet.
static void round_run(struct storm *storm)
{
	const struct options *options = storm->lane->options;
	uint64_t hz = rte_get_tsc_hz(), next = rte_rdtsc();

	for (uint32_t i = 0; i < options->n_mobiles; i++) {
		if (storm->mobiles[i].is_answered)
			continue;
		storm->mobile = i;
		storm->mobiles[i].sequence++;
		lane_send(storm->lane, ACCESS, write_update, storm);
		next += (uint64_t)((double)hz / options->register_rate);
		do
			lane_receive(storm->lane, 0);
		while (rte_rdtsc() < next);
		if (i % 65536 == 0)
			progress(storm);
	}
	listen_until(storm, rte_rdtsc() + PATIENCE_S * hz);
}

int registration_run(struct lane *lane, struct registration *found)
{
	struct storm storm = { .lane = lane, .found = found };
	uint64_t start = rte_rdtsc();

	storm.mobiles = calloc(lane->options->n_mobiles, sizeof(storm.mobiles[0]));
	if (storm.mobiles == NULL)
		return -ENOMEM;
	lane->heard = heard;
	lane->ctx = &storm;
	for (unsigned int t = 0; t < TRIES && answered(&storm) < lane->options->n_mobiles; t++)
		round_run(&storm);
	lane->heard = NULL;
	found->seconds = (double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz();
	progress(&storm);
	free(storm.mobiles);
	return answered(&storm) == lane->options->n_mobiles ? 0 : -ETIMEDOUT;
}
