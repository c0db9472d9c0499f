// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/bench_rows.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_pause.h>

#include "dataplane/esp_worker.h"
#include "dataplane/police.h"

enum {
	CHURN_PER_S = 50000,
	CHURN_BATCH = 50, // what control sends in one go
	CHURN_MAX = 1 << 20,
	CONTROL_PER_S = 150000, // messages that control is taken to be able to take in
	TWIN_WRITE_NS = 1500, // what handing a packet to the kernel costs the main lcore
	TRIAL_MS = 30, // of the search for the highest load
	TRIALS = 8,
	FLOOD_MS = 200,
	LOAD_PERCENT = 60,
};

static cpu_set_t helper_cpus;

bool rows_helper_init(const cpu_set_t *all)
{
	cpu_set_t mine;

	helper_cpus = *all;
	if (sched_getaffinity(0, sizeof(mine), &mine) != 0)
		return false;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &mine))
			CPU_CLR(cpu, &helper_cpus);
	}
	return CPU_COUNT(&helper_cpus) > 0;
}

// Runs fn on the helper's core, as a thread that the EAL knows (for the caches of its memory pools).
static pthread_t helper_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) != 0 ||
		pthread_setaffinity_np(thread, sizeof(helper_cpus), &helper_cpus) != 0) {
		fprintf(stderr, "no thread for a second core\n");
		exit(EXIT_FAILURE);
	}
	return thread;
}

// --- Churn ---------------------------------------------------------------------------------------

struct churn {
	bool stop; // atomic
	uint64_t random;
	uint32_t n;
	uint32_t changed[CHURN_MAX];
};

static void handover(uint32_t i, const struct ip6 *care_of)
{
	while (site_handover(i, care_of) == -EAGAIN)
		site_poll();
}

static void *churn_run(void *arg)
{
	struct churn *c = arg;
	uint64_t pause = rte_get_tsc_hz() / CHURN_PER_S * CHURN_BATCH, next = rte_rdtsc();

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		site_poll();
		if (rte_rdtsc() < next) {
			rte_pause();
			continue;
		}
		next += pause;
		for (unsigned int k = 0; k < CHURN_BATCH && c->n < CHURN_MAX; k++) {
			uint32_t i = traffic_random(&c->random, site_traffic[0].n_mobiles);
			const struct ip6 care_of = traffic_care_of(~i);

			handover(i, &care_of);
			c->changed[c->n++] = i;
		}
	}
	return NULL;
}

double row_churn(struct result *r, const struct row *row, uint64_t packets)
{
	static struct churn churn = { .random = 88172645463325252ULL };
	uint64_t start = rte_rdtsc();
	pthread_t thread;
	double ns;

	churn.stop = false;
	churn.n = 0;
	thread = helper_start(churn_run, &churn);
	ns = row_worker(r, row, packets);
	__atomic_store_n(&churn.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	report_extra(r, "changes_per_s", churn.n * 1e9 / row_ns_since(start));
	for (uint32_t k = 0; k < churn.n; k++) { // back, for the rows that check care-of addresses
		const struct ip6 care_of = traffic_care_of(churn.changed[k]);

		handover(churn.changed[k], &care_of);
	}
	while (!site_poll())
		;
	return ns;
}

// --- Two workers ---------------------------------------------------------------------------------

static pthread_barrier_t both;

static void *second_run(void *arg)
{
	rte_thread_register();
	pthread_barrier_wait(&both);
	worker_run(arg);
	rte_thread_unregister();
	return NULL;
}

static double two_run(struct result *r, uint64_t packets)
{
	pthread_t thread;
	uint64_t start;
	double ns;

	site_traffic[0].bursts = r->bursts;
	site_traffic[1].bursts = NULL;
	traffic_begin(&site_traffic[0], TRAFFIC_DOWN, packets);
	traffic_begin(&site_traffic[1], TRAFFIC_DOWN, UINT64_MAX);
	__atomic_store_n(&worker_stop, false, __ATOMIC_RELAXED);
	pthread_barrier_init(&both, NULL, 2);
	thread = helper_start(second_run, &workers[1]);
	pthread_barrier_wait(&both);
	start = rte_rdtsc();
	worker_run(&workers[0]);
	ns = row_ns_since(start);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&both);
	return ns * 2 / (double)(site_traffic[0].done + site_traffic[1].done);
}

static uint64_t encapsulated(void)
{
	return workers[0].stats.encapsulated + workers[1].stats.encapsulated;
}

double row_two_workers(struct result *r, const struct row *row, uint64_t packets)
{
	bool is_checked = r->n_rounds == 1; // adding all bindings up takes its time
	uint64_t counted = is_checked ? site_packets_down() : 0, sent = encapsulated();
	double ns;

	(void)row;
	site_set_alone(false);
	ns = two_run(r, packets);
	site_set_alone(true);
	if (!is_checked)
		return ns;
	counted = site_packets_down() - counted;
	sent = encapsulated() - sent;
	report_extra(r, "counters_exact", counted == sent);
	if (counted != sent) {
		fprintf(stderr, "two_workers: bindings counted %llu packets of %llu\n",
			(unsigned long long)counted, (unsigned long long)sent);
		return -1;
	}
	return ns;
}

double row_two_separate(struct result *r, const struct row *row, uint64_t packets)
{
	uint32_t n = site_traffic[0].n_mobiles;
	double ns;

	(void)row;
	for (unsigned int q = 0; q < SITE_WORKERS; q++) {
		site_traffic[q].first_mobile = q * (n / 2);
		site_traffic[q].n_mobiles = n / 2;
	}
	ns = two_run(r, packets);
	for (unsigned int q = 0; q < SITE_WORKERS; q++) {
		site_traffic[q].first_mobile = 0;
		site_traffic[q].n_mobiles = n;
	}
	return ns;
}

// --- Offered load --------------------------------------------------------------------------------

static double no_loss_pps; // what the last search found

static void main_take(struct rte_ring *ring, uint64_t twin_write)
{
	void *pkts[BURST];
	unsigned int n = rte_ring_sc_dequeue_burst(ring, pkts, BURST, NULL);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t start = rte_rdtsc();

		while (pkt_meta(pkts[i])->kind == PKT_FRAME && rte_rdtsc() - start < twin_write)
			rte_pause();
		rte_pktmbuf_free(pkts[i]);
	}
}

// The main lcore's part: takes what workers hand over at the pace that the kernel's twin would allow.
static void *main_run(void *arg)
{
	bool *stop = arg;
	uint64_t twin_write = rte_get_tsc_hz() / 1000000 * TWIN_WRITE_NS / 1000;

	rte_thread_register();
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		for (unsigned int i = 0; i < MAIN_CLASSES; i++)
			main_take(workers[0].to_main[i], twin_write);
	}
	rte_thread_unregister();
	return NULL;
}

// Offers a load for a while, with the main lcore at work.
static const struct traffic_offer *offer(double pps, unsigned int ms, enum bogus_kind bogus)
{
	bool stop = false;
	pthread_t thread = helper_start(main_run, &stop);

	__atomic_store_n(&worker_stop, false, __ATOMIC_RELAXED);
	traffic_offer(&site_traffic[0], pps, ms, bogus);
	worker_run(&workers[0]);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	site_traffic[0].offer.interval = 0;
	return &site_traffic[0].offer;
}

double row_no_loss(struct result *r, const struct row *row, uint64_t packets)
{
	double ns = row_worker(r, row, packets), low, high;

	if (ns < 0)
		return ns;
	low = 0.5e9 / ns;
	high = 1.1e9 / ns;
	for (unsigned int i = 0; i < TRIALS; i++) {
		double pps = (low + high) / 2;
		const struct traffic_offer *o = offer(pps, TRIAL_MS, BOGUS_NONE);

		if (o->lost > o->lost_in_gaps)
			high = pps;
		else
			low = pps;
	}
	no_loss_pps = low;
	return 1e9 / low;
}

// Those that a flood of ESP must have had: one each for what was handed out.
static uint64_t esp_drops(enum bogus_kind kind)
{
	const uint64_t *drops = workers[0].stats.drops;

	if (kind == BOGUS_ESP_UNKNOWN)
		return drops[DROP_esp_no_sa];
	if (kind == BOGUS_ESP_REPLAY)
		return drops[DROP_esp_replay];
	return drops[DROP_esp_icv] + drops[DROP_esp_budget];
}

// What wrong check values take of the worker's time, and how many of them are computed: at this load, without
// what the guard had saved up.
static void report_checks(struct result *r, double pps, enum bogus_kind kind)
{
	struct esp_guard *guard = &workers[0].esp->guard;
	uint64_t checked = workers[0].stats.drops[DROP_esp_icv], start = rte_rdtsc();
	const struct traffic_offer *o;
	double elapsed;

	guard->tokens = 0;
	guard->filled_tsc = start;
	o = offer(pps, FLOOD_MS, kind);
	esp_guard_turn(guard, rte_rdtsc());
	elapsed = (double)(guard->filled_tsc - start);
	checked = workers[0].stats.drops[DROP_esp_icv] - checked;
	report_sample(r, "time_percent",
		100 * (elapsed / ESP_GUARD_SHARE - (double)guard->tokens) / elapsed);
	report_sample(r, "checked_percent", 100.0 * (double)checked / (double)o->n_bogus);
}

// What one bogus packet costs, when there is nothing else and more of them than any budget is for.
static double bogus_alone(enum bogus_kind kind, uint64_t packets)
{
	bool stop = false;
	pthread_t thread = helper_start(main_run, &stop);
	uint64_t start;
	double ns;

	traffic_begin(&site_traffic[0], TRAFFIC_BOGUS, packets);
	site_traffic[0].offer.bogus = kind;
	__atomic_store_n(&worker_stop, false, __ATOMIC_RELAXED);
	start = rte_rdtsc();
	worker_run(&workers[0]);
	ns = row_ns_since(start) / (double)site_traffic[0].done;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return ns;
}

// The generator alone.
static double made(void)
{
	uint64_t start = rte_rdtsc();

	__atomic_store_n(&worker_stop, false, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&worker_stop, __ATOMIC_RELAXED)) {
		struct rte_mbuf *pkts[BURST];

		rte_pktmbuf_free_bulk(pkts, rte_eth_rx_burst(0, 0, pkts, BURST));
	}
	return row_ns_since(start) / (double)site_traffic[0].done;
}

double row_made(struct result *r, const struct row *row, uint64_t packets)
{
	site_traffic[0].bursts = r->bursts;
	traffic_begin(&site_traffic[0], row->traffic, packets);
	return made();
}

// Returns: false when one was dropped for another reason than it should, said.
static bool report_alone(struct result *r, const struct row *row, uint64_t packets)
{
	uint64_t dropped = esp_drops(row->bogus);

	report_sample(r, "alone_ns", bogus_alone(row->bogus, packets));
	dropped = esp_drops(row->bogus) - dropped;
	if (bogus_is_esp(row->bogus) && dropped != site_traffic[0].offer.n_bogus) {
		fprintf(stderr, "%s: %llu of %llu dropped as they should\n", row->name,
			(unsigned long long)dropped,
			(unsigned long long)site_traffic[0].offer.n_bogus);
		return false;
	}
	traffic_begin(&site_traffic[0], TRAFFIC_BOGUS, packets);
	site_traffic[0].offer.bogus = row->bogus;
	report_sample(r, "made_ns", made());
	return true;
}

// Offers a load of which half is bogus. Returns: per cent lost but for what was due in the machine's gaps.
static double lost_at(double pps, enum bogus_kind bogus)
{
	const struct traffic_offer *o = offer(pps, FLOOD_MS, bogus);

	return 100.0 * (double)(o->lost - o->lost_in_gaps) / (double)o->position;
}

double row_flood(struct result *r, const struct row *row, uint64_t packets)
{
	double pps = no_loss_pps * LOAD_PERCENT / 100, lost, calm, ns; // in all
	const struct traffic_offer *o;

	if (pps == 0) {
		fprintf(stderr, "%s: needs the row no_loss before it\n", row->name);
		return -1;
	}
	for (unsigned int i = 0; i < POLICE_CLASSES; i++) // shares as in punt.c
		police_budget_set(i, CONTROL_PER_S >> i);
	o = offer(pps, FLOOD_MS, BOGUS_NONE);
	calm = 100.0 * (double)o->lost / (double)o->position;
	o = offer(pps, FLOOD_MS, row->bogus);
	lost = 100.0 * (double)o->lost / (double)o->position;
	report_sample(r, "lost_percent", lost);
	report_sample(
		r, "lost_in_gaps_percent", 100.0 * (double)o->lost_in_gaps / (double)o->position);
	report_sample(r, "lost_calm_percent", calm);
	report_extra(r, "offered_mpps", pps / 1e6);
	ns = FLOOD_MS * 1e6 / (double)(o->position - o->lost);
	report_sample(r, "lost_beside_percent", lost_at(2 * pps, row->bogus));
	if (row->bogus == BOGUS_ESP_CHECK || row->bogus == BOGUS_ESP_CHECK_PEER)
		report_checks(r, pps, row->bogus);
	return report_alone(r, row, packets) ? ns : -1;
}
