// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/punt_budget.h"

#include "dataplane/base/clock.h"

enum {
	NS_PER_MS = 1000000,
	DEMAND =
		8, // the rate grows when an eighth of it was asked for: the least class gets a quarter
	GROWTH = 4, // by a quarter
};

void punt_budget_init(struct punt_budget *budget, uint64_t now_ns)
{
	*budget = (struct punt_budget){
		.per_s = PUNT_RATE_START, .turn_ns = now_ns, .change_ns = now_ns
	};
}

void punt_budget_taken(struct punt_budget *budget, uint32_t n)
{
	budget->taken += n;
	if (budget->is_waiting)
		budget->taken_waiting += n;
}

static uint64_t next_rate(const struct punt_budget *budget, uint64_t elapsed_ns)
{
	uint64_t rate = budget->per_s;

	if (budget->waited_ns >= PUNT_MEASURE_MS * (uint64_t)NS_PER_MS)
		rate = (rate + budget->taken_waiting * CLOCK_NS_PER_S / budget->waited_ns) / 2;
	else if (budget->taken * DEMAND * CLOCK_NS_PER_S >= rate * elapsed_ns)
		rate += rate / GROWTH;
	if (rate < PUNT_RATE_MIN)
		return PUNT_RATE_MIN;
	return rate > PUNT_RATE_MAX ? PUNT_RATE_MAX : rate;
}

bool punt_budget_turn(struct punt_budget *budget, uint64_t now_ns, bool is_waiting)
{
	uint64_t elapsed_ns = now_ns - budget->change_ns;
	uint32_t old = budget->per_s;

	if (budget->is_waiting)
		budget->waited_ns += now_ns - budget->turn_ns;
	budget->turn_ns = now_ns;
	budget->is_waiting = is_waiting;
	if (elapsed_ns < PUNT_INTERVAL_MS * (uint64_t)NS_PER_MS)
		return false;
	budget->per_s = (uint32_t)next_rate(budget, elapsed_ns);
	budget->change_ns = now_ns;
	budget->waited_ns = budget->taken_waiting = budget->taken = 0;
	return budget->per_s != old;
}
