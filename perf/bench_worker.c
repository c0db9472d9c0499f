// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-bench: nanoseconds per packet of the shipping worker on one core, over a net_null port whose
// receive callback stamps frames of random mobiles; with plain MAC forwarding of the same stream and
// fetches of random memory lines as the baselines of the same run. Rounds of all rows take turns, so
// that a change of the machine's speed meets all alike.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "dataplane/rcu.h"
#include "dataplane/sa.h"
#include "perf/bench_rows.h"

enum {
	LINES_LOG2 = 25, // 2 GiB of memory lines
	LINES_DEEP = 32,
	LINE_BYTES = 64,
};

static uint8_t *lines;

double row_ns_since(uint64_t start_tsc)
{
	return (double)(rte_rdtsc() - start_tsc) * 1e9 / (double)rte_get_tsc_hz();
}

static void round_begin(struct result *r, const struct row *row, uint64_t packets)
{
	site_traffic[0].bursts = r->bursts;
	traffic_begin(&site_traffic[0], row->traffic, packets);
	__atomic_store_n(&worker_stop, false, __ATOMIC_RELAXED);
}

// Plain MAC forwarding of the stream: what no forwarding can be faster than.
static double mac_round(struct result *r, const struct row *row, uint64_t packets)
{
	static const struct rte_ether_hdr eth = { .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6) };
	uint64_t start = rte_rdtsc();

	round_begin(r, row, packets);
	while (!__atomic_load_n(&worker_stop, __ATOMIC_RELAXED)) {
		struct rte_mbuf *pkts[BURST];
		uint16_t n = rte_eth_rx_burst(0, 0, pkts, BURST);

		for (uint16_t i = 0; i < n; i++)
			memcpy(rte_pktmbuf_mtod(pkts[i], void *), &eth, sizeof(eth));
		rte_eth_tx_burst(0, 0, pkts, n);
	}
	return row_ns_since(start) / (double)site_traffic[0].done;
}

// What the worker does not send is no measurement.
double row_worker(struct result *r, const struct row *row, uint64_t packets)
{
	struct worker *w = &workers[0];
	uint64_t start, sent = w->stats.tx;
	double ns;

	round_begin(r, row, packets);
	start = rte_rdtsc();
	worker_run(w);
	ns = row_ns_since(start);
	if (w->stats.tx - sent != site_traffic[0].done) {
		fprintf(stderr, "%s: the worker dropped packets\n", row->name);
		return -1;
	}
	return ns / (double)site_traffic[0].done;
}

// Random lines of a large area, fetched ahead by the depth that a burst would have.
static double lines_round(struct result *r, const struct row *row, uint64_t packets)
{
	static uint64_t random = 88172645463325252ULL, sum;
	uint64_t start, n = 0;

	(void)r;
	(void)row;
	start = rte_rdtsc();
	for (; n < packets; n += LINES_DEEP) {
		const uint8_t *at[LINES_DEEP];

		for (unsigned int i = 0; i < LINES_DEEP; i++) {
			at[i] = lines +
				(size_t)traffic_random(&random, 1u << LINES_LOG2) * LINE_BYTES;
			rte_prefetch0(at[i]);
		}
		for (unsigned int i = 0; i < LINES_DEEP; i++)
			sum += *at[i];
	}
	*(volatile uint64_t *)&sum = sum; // so that the reads stay
	return row_ns_since(start) / (double)n;
}

static const struct row rows[] = {
	{ .name = "mac", mac_round, TRAFFIC_DOWN },
	{ .name = "made", row_made, TRAFFIC_DOWN },
	{ .name = "encap", row_worker, TRAFFIC_DOWN },
	{ .name = "decap", row_worker, TRAFFIC_UP },
	{ .name = "mixed", row_worker, TRAFFIC_MIXED },
	{ .name = "churn", row_churn, TRAFFIC_DOWN, .needs_helper = true },
	{ .name = "no_loss", row_no_loss, TRAFFIC_DOWN, .needs_helper = true },
	{ .name = "flood", row_flood, .bogus = BOGUS_UPDATE, .needs_helper = true },
	{ .name = "flood_option", row_flood, .bogus = BOGUS_HOME_OPTION, .needs_helper = true },
	{ .name = "flood_host", row_flood, .bogus = BOGUS_HOST, .needs_helper = true },
	{ .name = "flood_fragment", row_flood, .bogus = BOGUS_FRAGMENT, .needs_helper = true },
	{ .name = "flood_headers", row_flood, .bogus = BOGUS_HEADERS, .needs_helper = true },
	{ .name = "flood_esp", row_flood, .bogus = BOGUS_ESP_UNKNOWN, .needs_helper = true },
	{ .name = "flood_check", row_flood, .bogus = BOGUS_ESP_CHECK, .needs_helper = true },
	{ .name = "flood_check_peer",
		row_flood,
		.bogus = BOGUS_ESP_CHECK_PEER,
		.needs_helper = true },
	{ .name = "flood_replay", row_flood, .bogus = BOGUS_ESP_REPLAY, .needs_helper = true },
	{ .name = "two_workers", row_two_workers, .needs_helper = true },
	{ .name = "two_separate", row_two_separate, .needs_helper = true },
	{ .name = "memory_lines", lines_round, .needs_lines = true },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool is_wanted[N_ROWS];
static struct result results[N_ROWS];

static const char *row_name(unsigned int i)
{
	return rows[i].name;
}

// Without a second core.
static void rows_leave_out(void)
{
	for (unsigned int i = 0; i < N_ROWS; i++) {
		if (is_wanted[i] && rows[i].needs_helper) {
			fprintf(stderr, "%s: left out for want of a second core\n", rows[i].name);
			is_wanted[i] = false;
		}
	}
}

// Two GiB, which nobody should have to have who does not measure them.
static int lines_start(void)
{
	bool are_wanted = false;
	size_t size = (size_t)LINE_BYTES << LINES_LOG2;

	for (unsigned int i = 0; i < N_ROWS; i++)
		are_wanted |= is_wanted[i] && rows[i].needs_lines;
	if (!are_wanted)
		return 0;
	lines = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (lines == MAP_FAILED)
		return -1;
	madvise(lines, size, MADV_HUGEPAGE);
	memset(lines, 1, size);
	return 0;
}

static bool deaf(const struct sa *sa, enum api_sa_event_type event)
{
	(void)sa;
	(void)event;
	return true;
}

// A table of SAs, which no row without need shall have beside it.
static int sas_start(void)
{
	bool are_wanted = false;

	for (unsigned int i = 0; i < N_ROWS; i++)
		are_wanted |= is_wanted[i] && bogus_is_esp(rows[i].bogus);
	return are_wanted ? sa_init(SITE_SAS + 1, deaf) : 0;
}

// Rows of one number of bindings. Round 0 warms up and does not count.
static int measure(uint32_t n, unsigned int rounds, uint64_t packets)
{
	double inserts_per_s = site_bind(n);
	static struct result memory;

	if (inserts_per_s == 0) {
		fprintf(stderr, "no memory for %u bindings\n", n);
		return -1;
	}
	if (sa_is_on && site_secure() != 0) {
		fprintf(stderr, "no security associations\n");
		return -1;
	}
	for (unsigned int round = 0; round <= rounds; round++) {
		for (unsigned int i = 0; i < N_ROWS; i++) {
			struct result *r = &results[i];

			if (!is_wanted[i])
				continue;
			if (round <= 1 && r->extra != NULL)
				json_decref(r->extra);
			if (round <= 1)
				*r = (struct result){ .row = rows[i].name, .n_bindings = n };
			r->n_rounds = round;
			r->ns[round == 0 ? 0 : round - 1] =
				rows[i].round(r, &rows[i], round == 0 ? packets / 4 : packets);
			if (r->ns[round == 0 ? 0 : round - 1] < 0)
				return -1;
		}
	}
	for (unsigned int i = 0; i < N_ROWS; i++) {
		if (is_wanted[i])
			report_row(&results[i]);
	}
	memory = (struct result){ .row = "memory", .n_bindings = n };
	report_extra(&memory, "bytes_per_binding", (double)bindtab_memory(n) / n);
	report_extra(&memory, "inserts_per_s", inserts_per_s);
	report_row(&memory);
	json_decref(memory.extra);
	site_unbind();
	return 0;
}

static const char usage[] =
	"usage: unwired-bench [--json FILE] [--rounds N] [--packets N] [--rows ROW,...] "
	"BINDINGS...\n"
	"       -- EAL-ARGUMENTS...\n"
	"Measures a worker with each number of bindings. EAL arguments must bring net_null0.\n";

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "packets", required_argument, NULL, 'p' },
		{ "rows", required_argument, NULL, 'r' },
		{ 0 },
	};
	unsigned int rounds = 5;
	uint64_t packets = 2000000;
	const char *json = NULL;
	int opt, eal, error = 0;
	cpu_set_t cpus;

	memset(is_wanted, 1, sizeof(is_wanted));
	for (eal = 1; eal < argc && strcmp(argv[eal], "--") != 0; eal++)
		;
	while ((opt = getopt_long(eal, argv, "", longopts, NULL)) != -1) {
		if (opt == 'j')
			json = optarg;
		else if (opt == 'n')
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (opt == 'p')
			packets = strtoull(optarg, NULL, 10);
		else if (opt != 'r' || !report_choose(optarg, row_name, is_wanted, N_ROWS))
			rounds = 0;
	}
	if (eal == argc || optind == eal || rounds < 1 || rounds > REPORT_ROUNDS_MAX ||
		packets < BURST) {
		fputs(usage, stderr);
		return 2;
	}
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (rte_eal_init(argc - eal, argv + eal) < 0 || sas_start() != 0 || site_start() != 0 ||
		lines_start() != 0)
		return EXIT_FAILURE;
	if (!rows_helper_init(&cpus))
		rows_leave_out();
	for (int i = optind; i < eal && error == 0; i++)
		error = measure((uint32_t)strtoul(argv[i], NULL, 10), rounds, packets);
	if (error == 0 && json != NULL)
		error = report_write(json);
	site_stop();
	sa_free();
	if (lines != NULL)
		munmap(lines, (size_t)LINE_BYTES << LINES_LOG2);
	rte_eal_cleanup();
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
