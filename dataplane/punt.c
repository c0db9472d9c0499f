// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/punt.h"

#include <errno.h>

#include "dataplane/api/records.h"
#include "dataplane/base/clock.h"
#include "dataplane/link.h"
#include "dataplane/pkt.h"
#include "dataplane/police.h"
#include "dataplane/pump.h"
#include "dataplane/punt_budget.h"
#include "dataplane/punt_queue.h"

// Packets on their way, of whatever class, that keep a class from sending one more.
static const uint32_t window_share[POLICE_CLASSES] = {
	[POLICE_KNOWN] = API_PUNT_WINDOW,
	[POLICE_MOVED] = API_PUNT_WINDOW / 4 * 3,
	[POLICE_UNKNOWN] = API_PUNT_WINDOW / 2,
};

// What each class may bring, as a part of what control takes in. The shares of the lesser classes
// leave room for those above; a class that is alone still gets all, since the rate grows with demand.
static const uint32_t budget_divisor[POLICE_CLASSES] = {
	[POLICE_KNOWN] = 1,
	[POLICE_MOVED] = 2,
	[POLICE_UNKNOWN] = 4,
};

static struct {
	struct punt_queue queues[POLICE_CLASSES];
	struct punt_budget budget;
	uint32_t on_way;
} punt;

struct punt_status punt_status;

static void publish_budgets(void)
{
	for (unsigned int i = 0; i < POLICE_CLASSES; i++)
		police_budget_set(i, punt.budget.per_s / budget_divisor[i]);
}

void punt_init(void)
{
	for (unsigned int i = 0; i < POLICE_CLASSES; i++)
		punt_queue_init(&punt.queues[i]);
	punt_budget_init(&punt.budget, clock_mono_ns());
	publish_budgets();
}

static void drop(struct rte_mbuf *m, enum pump_drop reason)
{
	pump_count_drop(reason);
	rte_pktmbuf_free(m);
}

int punt_credit(uint32_t n)
{
	if (n > punt.on_way)
		return -EPROTO;
	punt.on_way -= n;
	punt_budget_taken(&punt.budget, n);
	return 0;
}

// Passes on the packet that is next. False: none may go now.
static bool send_one(void)
{
	for (unsigned int i = 0; i < POLICE_CLASSES; i++) {
		struct rte_mbuf *m = punt_queue_peek(&punt.queues[i]);

		if (m == NULL || punt.on_way >= window_share[i])
			continue;
		if (!link_punt(m))
			return false;
		rte_pktmbuf_free(punt_queue_take(&punt.queues[i]));
		punt.on_way++;
		pump_stats.punted++;
		return true;
	}
	return false;
}

void punt_put(struct rte_mbuf *m)
{
	const struct pkt_priv *priv = pkt_priv(m);
	struct rte_mbuf *gone;

	if (!link_takes_punts()) {
		drop(m, PUMP_DROP_punt_no_control);
		return;
	}
	if (m->pkt_len > API_PACKET_MAX) {
		drop(m, PUMP_DROP_punt_too_long);
		return;
	}
	switch (punt_queue_put(&punt.queues[priv->police_class], m, priv->sender, &gone)) {
	case PUNT_KEPT:
		break;
	case PUNT_SUPERSEDED:
		drop(gone, PUMP_DROP_punt_superseded);
		break;
	case PUNT_OVERFLOW:
		drop(gone, PUMP_DROP_punt_backlog);
		break;
	}
	while (send_one()) // now, so that the order changes only for what has to wait
		;
}

static uint32_t n_waiting(void)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < POLICE_CLASSES; i++)
		n += punt.queues[i].n;
	return n;
}

void punt_turn(void)
{
	uint32_t waiting = n_waiting();

	while (waiting > 0 && send_one())
		waiting--;
	if (punt_budget_turn(&punt.budget, clock_mono_ns(), waiting > 0))
		publish_budgets();
	__atomic_store_n(&punt_status.waiting, waiting, __ATOMIC_RELAXED);
	__atomic_store_n(&punt_status.on_way, punt.on_way, __ATOMIC_RELAXED);
	__atomic_store_n(&punt_status.per_s, punt.budget.per_s, __ATOMIC_RELAXED);
}

void punt_reset(void)
{
	struct rte_mbuf *m;

	for (unsigned int i = 0; i < POLICE_CLASSES; i++) {
		while ((m = punt_queue_take(&punt.queues[i])) != NULL)
			drop(m, PUMP_DROP_punt_no_control);
	}
	punt.on_way = 0;
	punt_budget_init(&punt.budget, clock_mono_ns());
	publish_budgets();
}
