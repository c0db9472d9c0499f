// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-traffic: generator and receiver on both sides of a home agent, for real NICs and any other
// DPDK port.

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include "perf/traffic/report.h"

enum { DESCRIPTORS = 1024, BUFFERS = 8191, CACHE = 256, BUFFER = 2176, LEARNING_PPS = 1000 };

static const double LEARNING_S = 0.5; // for neighbours and caches, RFC 2544 section 23

static_assert(RTE_MAX_LCORE <= LANES_MAX, "a lane for each lcore");
static struct lane lanes[LANES_MAX];

static void buffer_clear(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	struct rte_mbuf *m = object;

	(void)pool;
	(void)arg;
	(void)index;
	memset(m->buf_addr, 0, m->buf_len);
}

static struct rte_mempool *pool_make(const char *name, unsigned int n_lanes)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, BUFFERS * n_lanes, CACHE, 0, BUFFER, SOCKET_ID_ANY);

	if (pool != NULL)
		rte_mempool_obj_iter(pool, buffer_clear, NULL);
	return pool;
}

// Brings a port up with a queue for each lane. Returns: 0 or negative errno.
static int port_start(uint16_t port, uint16_t n_lanes, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = { .rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IP };
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port, &info);

	if (error != 0)
		return error;
	conf.rx_adv_conf.rss_conf.rss_hf &= info.flow_type_rss_offloads;
	if (n_lanes > 1 && conf.rx_adv_conf.rss_conf.rss_hf != 0)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	error = rte_eth_dev_configure(port, n_lanes, n_lanes, &conf);
	for (uint16_t q = 0; q < n_lanes && error == 0; q++) {
		error = rte_eth_rx_queue_setup(port, q, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool);
		if (error == 0)
			error = rte_eth_tx_queue_setup(port, q, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	}
	if (error == 0)
		error = rte_eth_dev_start(port);
	if (error == 0)
		rte_eth_promiscuous_enable(port); // vdevs that cannot do it see everything anyway
	return error;
}

static int ports_start(const struct options *options, uint16_t n_lanes)
{
	struct rte_mempool *pool = pool_make("received", 2 * n_lanes);
	int error = pool == NULL ? -ENOMEM : port_start(options->ports[CORE], n_lanes, pool);

	if (error == 0 && options->ports[ACCESS] != options->ports[CORE])
		error = port_start(options->ports[ACCESS], n_lanes, pool);
	if (error != 0)
		fprintf(stderr, "unwired-traffic: ports %u and %u with %u queues: %s\n",
			options->ports[CORE], options->ports[ACCESS], n_lanes, strerror(-error));
	return error;
}

static int lanes_init(const struct options *options, uint16_t n_lanes)
{
	struct rte_mempool *down = pool_make("down", n_lanes), *up = pool_make("up", n_lanes);

	if (down == NULL || up == NULL) {
		fprintf(stderr, "unwired-traffic: no memory for packet buffers\n");
		return -ENOMEM;
	}
	for (uint16_t i = 0; i < n_lanes; i++) {
		struct lane *lane = &lanes[i];

		lane->options = options;
		lane->id = i;
		lane->n_lanes = n_lanes;
		lane->pools[DOWN] = down;
		lane->pools[UP] = up;
		lane->random = 88172645463325252ULL + i;
		for (enum side s = CORE; s < SIDES; s++)
			rte_eth_macaddr_get(options->ports[s], &lane->macs[s]);
	}
	return 0;
}

// Returns: 0 when it was done, whatever was lost.
static int measure(const struct options *options, struct report *report)
{
	static struct trial trial;
	struct registration found = { 0 };
	int error = 0;

	if (options->register_rate > 0) {
		error = registration_run(&lanes[0], &found);
		report_registration(report, &found);
	}
	if (error != 0 || found.refused > 0) {
		fprintf(stderr, "unwired-traffic: not all mobiles are bound\n");
		return error != 0 ? error : -EPERM;
	}
	trial_run(lanes, RTE_MIN(options->rate, (double)LEARNING_PPS), LEARNING_S, &trial);
	if (options->search) {
		report_search(report, trial_search(lanes, options, &trial, report_trial, report));
	} else {
		trial_run(lanes, options->rate, options->seconds, &trial);
		report_trial(report, &trial);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct report *report;
	uint16_t n_lanes;
	int eal, error;

	for (eal = 1; eal < argc && strcmp(argv[eal], "--") != 0; eal++)
		;
	if (eal == argc) {
		fputs(options_usage, stderr);
		return 2;
	}
	if (options_read(&options, eal, argv) != 0)
		return 2;
	if (rte_eal_init(argc - eal, argv + eal) < 0)
		return EXIT_FAILURE;
	n_lanes = (uint16_t)rte_lcore_count();
	error = ports_start(&options, n_lanes);
	if (error == 0)
		error = lanes_init(&options, n_lanes);
	report = error == 0 ? report_new(&options) : NULL;
	if (report != NULL) {
		error = measure(&options, report);
		if (report_end(report) != 0)
			error = -EIO;
	}
	rte_eth_dev_stop(options.ports[CORE]);
	rte_eth_dev_stop(options.ports[ACCESS]);
	rte_eal_cleanup();
	return error == 0 && report != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
