// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The shipping stages one by one, on bursts of random mobiles: what each takes of a packet. The order is
// that of run_stages in worker.c; a packet that strays from it fails the run.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "dataplane/rcu.h"
#include "dataplane/stage.h"
#include "perf/bench_site.h"
#include "perf/micro.h"

enum { STEPS_MAX = 8, FRAGMENT = 640 };

// What a stage is called in the rows, by direction.
struct step {
	const char *name;
	void (*run)(struct worker *w);
};

static const struct step down_steps[] = { { "route", stage_route }, { "encap", stage_encap } };
static const struct step up_steps[] = { { "up: route", stage_route }, { "up: local", stage_local },
	{ "up: decap", stage_decap }, { "up: route inner", stage_route },
	{ "up: forward", stage_forward } };
static const struct step plain_steps[] = { { "plain: route", stage_route },
	{ "plain: forward", stage_forward } };

static const struct path {
	enum traffic_kind traffic;
	const char *take, *classify, *send, *all;
	const struct step *steps;
	unsigned int n_steps; // at most STEPS_MAX
} paths[] = {
	{ TRAFFIC_DOWN, "take", "classify", "send", "all of encapsulation", down_steps,
		RTE_DIM(down_steps) },
	{ TRAFFIC_UP, "up: take", "up: classify", "up: send", "all of decapsulation", up_steps,
		RTE_DIM(up_steps) },
	{ TRAFFIC_PLAIN, "plain: take", "plain: classify", "plain: send", "all of plain forwarding",
		plain_steps, RTE_DIM(plain_steps) },
};

static void sample(const char *row, uint32_t n, uint64_t start, uint64_t end)
{
	micro_sample(row, n, (double)(end - start) / BURST);
}

// What the worker's loop does at the end of its turn.
static void send_all(struct worker *w)
{
	uint16_t n = w->out[0].n;

	w->out[0].n = 0;
	w->stats.tx += rte_eth_tx_burst(0, w->id, w->out[0].pkts, n);
}

// One burst through the stages, timing each. Taking it includes the generator.
static void burst_run(struct worker *w, const struct path *path, uint32_t n)
{
	struct rte_mbuf *pkts[BURST];
	uint64_t t[STEPS_MAX + 4];
	unsigned int s;

	w->now_tsc = t[0] = micro_tsc();
	rte_eth_rx_burst(0, w->id, pkts, BURST);
	t[1] = micro_tsc();
	stage_classify(w, 0, pkts, BURST);
	t[2] = micro_tsc();
	for (s = 0; s < path->n_steps; s++) {
		path->steps[s].run(w);
		t[s + 3] = micro_tsc();
	}
	send_all(w);
	t[s + 3] = micro_tsc();
	sample(path->take, n, t[0], t[1]);
	sample(path->classify, n, t[1], t[2]);
	for (s = 0; s < path->n_steps; s++)
		sample(path->steps[s].name, n, t[s + 2], t[s + 3]);
	sample(path->send, n, t[s + 2], t[s + 3]);
	sample(path->all, n, t[0], t[s + 3]);
}

// The first or second half of a fragmented tunnel packet. Returns: NULL when no buffer is left.
static struct rte_mbuf *fragment_make(struct rte_mempool *pool, uint32_t id, bool is_first)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct ip6_hdr_wire *ip;
	uint8_t *hdr;

	if (m == NULL)
		return NULL;
	*pkt_meta(m) = (struct pkt_meta){ 0 };
	m->pkt_len = m->data_len = sizeof(*ip) + 8 + FRAGMENT;
	ip = pkt_ip6(m);
	*ip = (struct ip6_hdr_wire){ .vtc_flow_be = RTE_BE32(6u << 28),
		.payload_len_be = RTE_BE16(8 + FRAGMENT),
		.next_header = PROTO_FRAGMENT,
		.hop_limit = 64,
		.src = traffic_care_of(id),
		.dst = traffic_agent };
	hdr = (uint8_t *)(ip + 1);
	memset(hdr, 0, 8);
	hdr[0] = PROTO_IPV6;
	hdr[2] = is_first ? 0 : FRAGMENT >> 8;
	hdr[3] = is_first ? 1 : FRAGMENT & 0xff; // more follow
	memcpy(hdr + 4, &id, sizeof(id));
	return m;
}

// Whole packets out of two fragments each.
static int reassembly_round(struct worker *w, uint32_t operations)
{
	static uint32_t id;

	for (uint32_t i = 0; i < operations / MICRO_BURST; i++) {
		struct rte_mbuf *first = fragment_make(w->pool, ++id, true), *whole;
		struct rte_mbuf *second = fragment_make(w->pool, id, false);
		uint64_t start, end;

		if (first == NULL || second == NULL)
			return -ENOMEM;
		w->now_tsc = start = micro_tsc();
		whole = reassembly_add(w, first, sizeof(struct ip6_hdr_wire));
		if (whole != NULL)
			return -EIO;
		whole = reassembly_add(w, second, sizeof(struct ip6_hdr_wire));
		end = micro_tsc();
		if (whole == NULL)
			return -EIO;
		rte_pktmbuf_free(whole);
		micro_sample("reassembly of two", 1, (double)(end - start));
	}
	return 0;
}

// Says where packets went that should have been sent. Returns: -EIO.
static int complain(const struct worker *w, uint64_t sent, uint64_t expected)
{
	fprintf(stderr, "%lu packets of %lu were sent, %lu went to main\n", sent, expected,
		w->stats.to_main);
	for (unsigned int r = 0; r < DROP_MAX; r++) {
		if (w->stats.drops[r] != 0)
			fprintf(stderr, "dropped: %s %lu\n", drop_names[r], w->stats.drops[r]);
	}
	return -EIO;
}

int micro_stages_round(struct bindtab *tab, uint32_t n, uint32_t operations)
{
	uint32_t bursts = operations / BURST;
	struct worker *w = &workers[0];
	uint64_t sent = w->stats.tx;
	int error;

	w->bindings = tab;
	site_traffic[0].n_mobiles = n;
	rcu_online(w->id);
	for (unsigned int p = 0; p < RTE_DIM(paths); p++) {
		traffic_begin(&site_traffic[0], paths[p].traffic, UINT64_MAX);
		for (uint32_t i = 0; i < bursts; i++)
			burst_run(w, &paths[p], n);
	}
	error = reassembly_round(w, operations);
	rcu_offline(w->id);
	sent = w->stats.tx - sent;
	if (error == 0 && sent != (uint64_t)RTE_DIM(paths) * bursts * BURST)
		error = complain(w, sent, (uint64_t)RTE_DIM(paths) * bursts * BURST);
	return error;
}
