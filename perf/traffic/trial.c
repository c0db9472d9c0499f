// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/trial.h"

#include <string.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

enum { STRAGGLERS_S = 2 }; // RFC 2544 section 23

static const double START_S = 0.05; // until all lanes are awake

struct order {
	struct lane *lanes;
	struct lane_orders orders;
};

static int lane_main(void *arg)
{
	struct order *order = arg;

	lane_run(&order->lanes[rte_lcore_index(-1)], &order->orders);
	return 0;
}

static void count_merge(struct lane_count *count, const struct lane_count *other)
{
	count->sent += other->sent;
	count->unsent += other->unsent;
	count->received += other->received;
	count->late += other->late;
	count->stray += other->stray;
	latency_merge(&count->latency, &other->latency);
}

void trial_run(struct lane *lanes, double rate, double seconds, struct trial *trial)
{
	static uint8_t number;
	double hz = (double)rte_get_tsc_hz();
	struct order order = { .lanes = lanes };

	memset(trial, 0, sizeof(*trial));
	trial->rate = rate;
	trial->seconds = seconds;
	for (unsigned int i = 0; i < lanes[0].n_lanes; i++)
		memset(lanes[i].counts, 0, sizeof(lanes[i].counts));
	order.orders.rate = rate;
	order.orders.trial = ++number;
	order.orders.start_tsc = rte_rdtsc() + (uint64_t)(START_S * hz);
	order.orders.send_until_tsc = order.orders.start_tsc + (uint64_t)(seconds * hz);
	order.orders.receive_until_tsc =
		order.orders.send_until_tsc + (uint64_t)(STRAGGLERS_S * hz);
	rte_eal_mp_remote_launch(lane_main, &order, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	for (unsigned int i = 0; i < lanes[0].n_lanes; i++) {
		for (enum direction d = DOWN; d < DIRECTIONS; d++)
			count_merge(&trial->counts[d], &lanes[i].counts[d]);
	}
}

double trial_loss(const struct trial *trial, enum direction direction)
{
	const struct lane_count *count = &trial->counts[direction];
	uint64_t wanted = count->sent + count->unsent;

	if (wanted == 0 || count->received >= wanted)
		return 0;
	return (double)(wanted - count->received) / (double)wanted;
}

double trial_worst_loss(const struct trial *trial, const struct options *options)
{
	double worst = 0;

	for (enum direction d = DOWN; d < DIRECTIONS; d++) {
		if (options->directions[d])
			worst = RTE_MAX(worst, trial_loss(trial, d));
	}
	return worst;
}

double trial_search(struct lane *lanes, const struct options *options, struct trial *best,
	void (*each)(void *ctx, const struct trial *trial), void *ctx)
{
	static struct trial trial;
	double low = 0, high = options->rate, rate = options->rate;

	while (rate > 0) {
		trial_run(lanes, rate, options->seconds, &trial);
		each(ctx, &trial);
		if (trial_worst_loss(&trial, options) <= options->max_loss) {
			*best = trial;
			low = rate;
		} else {
			high = rate;
		}
		if (high - low <= options->precision * options->rate)
			break;
		rate = (low + high) / 2;
	}
	return low;
}
