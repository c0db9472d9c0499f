// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/lane.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_pause.h>

enum { BURST = 32 };

static uint32_t random_below(struct lane *lane, uint32_t below)
{
	lane->random ^= lane->random << 13;
	lane->random ^= lane->random >> 7;
	lane->random ^= lane->random << 17;
	return (uint32_t)(((lane->random >> 32) * below) >> 32);
}

static enum side side_of(enum direction direction)
{
	return direction == DOWN ? CORE : ACCESS;
}

static void fill(struct lane *lane, enum direction direction, uint8_t trial, struct rte_mbuf *m,
	uint64_t now_tsc)
{
	const struct options *options = lane->options;
	const struct packet_mark mark = {
		.trial = trial, .number = ++lane->numbers[direction], .sent_tsc = now_tsc
	};
	uint16_t size = options->sizes[lane->turn];

	if (++lane->turn == options->n_sizes)
		lane->turn = 0;
	m->pkt_len = m->data_len = packet_write(rte_pktmbuf_mtod(m, uint8_t *), options, direction,
		random_below(lane, options->n_mobiles), size, &lane->macs[side_of(direction)],
		&mark);
}

// Sends n packets, at most a burst.
static void send_burst(struct lane *lane, enum direction direction, uint8_t trial, unsigned int n)
{
	struct lane_count *count = &lane->counts[direction];
	struct rte_mbuf *pkts[BURST];
	uint64_t now = rte_rdtsc();
	uint16_t sent;

	if (rte_pktmbuf_alloc_bulk(lane->pools[direction], pkts, n) != 0) {
		count->unsent += n;
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		fill(lane, direction, trial, pkts[i], now);
	sent = rte_eth_tx_burst(
		lane->options->ports[side_of(direction)], lane->id, pkts, (uint16_t)n);
	count->sent += sent;
	count->unsent += n - sent;
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

static void answer(struct lane *lane, enum side side, struct rte_mbuf *m)
{
	struct rte_mbuf *reply = rte_pktmbuf_copy(m, m->pool, 0, UINT32_MAX);

	if (reply == NULL || reply->nb_segs > 1) {
		rte_pktmbuf_free(reply);
		return;
	}
	reply->pkt_len = reply->data_len =
		packet_answer(rte_pktmbuf_mtod(reply, uint8_t *), &lane->macs[side]);
	if (rte_eth_tx_burst(lane->options->ports[side], lane->id, &reply, 1) != 1)
		rte_pktmbuf_free(reply);
}

static void measured(
	struct lane *lane, const struct packet_seen *seen, uint8_t trial, uint64_t now_tsc)
{
	struct lane_count *count = &lane->counts[seen->mark.direction];
	uint32_t *newest = &lane->newest[seen->mark.direction][seen->mark.lane];
	uint64_t ticks = now_tsc - seen->mark.sent_tsc;

	if (seen->mark.trial != trial || now_tsc < seen->mark.sent_tsc)
		return;
	if (seen->kind == PACKET_STRAY) {
		count->stray++;
		return;
	}
	count->received++;
	if ((int32_t)(seen->mark.number - *newest) < 0)
		count->late++;
	else
		*newest = seen->mark.number;
	latency_add(&count->latency, (uint64_t)((double)ticks * 1e9 / (double)rte_get_tsc_hz()));
}

static void receive_one(
	struct lane *lane, enum side side, uint8_t trial, struct rte_mbuf *m, uint64_t now)
{
	struct packet_seen seen =
		packet_read(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, lane->options, side);

	if (likely(seen.kind == PACKET_OURS || seen.kind == PACKET_STRAY))
		measured(lane, &seen, trial, now);
	else if (seen.kind == PACKET_SOLICITATION)
		answer(lane, side, m);
	else if (seen.kind != PACKET_FOREIGN && lane->heard != NULL)
		lane->heard(lane->ctx, &seen);
	else
		lane->foreign++;
}

void lane_receive(struct lane *lane, uint8_t trial)
{
	const struct options *options = lane->options;
	unsigned int n_sides = options->ports[CORE] == options->ports[ACCESS] ? 1 : SIDES;

	for (enum side side = CORE; side < n_sides; side++) {
		struct rte_mbuf *pkts[BURST];
		uint16_t n = rte_eth_rx_burst(options->ports[side], lane->id, pkts, BURST);
		uint64_t now = rte_rdtsc();

		for (uint16_t i = 0; i < n; i++)
			receive_one(lane, side, trial, pkts[i], now);
		if (n > 0)
			rte_pktmbuf_free_bulk(pkts, n);
	}
}

int lane_send(
	struct lane *lane, enum side side, uint16_t (*write)(void *ctx, uint8_t *frame), void *ctx)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(lane->pools[UP]);

	if (m == NULL)
		return -ENOBUFS;
	m->pkt_len = m->data_len = write(ctx, rte_pktmbuf_mtod(m, uint8_t *));
	if (rte_eth_tx_burst(lane->options->ports[side], lane->id, &m, 1) == 1)
		return 0;
	rte_pktmbuf_free(m);
	return -ENOBUFS;
}

void lane_run(struct lane *lane, const struct lane_orders *orders)
{
	double per_tick = orders->rate / lane->n_lanes / (double)rte_get_tsc_hz();
	uint64_t done[DIRECTIONS] = { 0 }; // due and handled

	for (uint64_t now = rte_rdtsc(); now < orders->receive_until_tsc; now = rte_rdtsc()) {
		uint64_t until = RTE_MIN(now, orders->send_until_tsc);
		uint64_t due = until <= orders->start_tsc
				       ? 0
				       : (uint64_t)((double)(until - orders->start_tsc) * per_tick);

		for (enum direction d = DOWN; d < DIRECTIONS; d++) {
			uint64_t n = RTE_MIN(due - done[d], (uint64_t)BURST);

			if (!lane->options->directions[d] || n == 0)
				continue;
			send_burst(lane, d, orders->trial, (unsigned int)n);
			done[d] += n;
		}
		lane_receive(lane, orders->trial);
	}
}
