// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/bench_site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "dataplane/anchor.h"
#include "dataplane/esp_worker.h"
#include "dataplane/fib.h"
#include "dataplane/police.h"
#include "dataplane/port.h"
#include "dataplane/rcu.h"

enum { POOL = 16383, DESCRIPTORS = 512, BUFFER = 2176 };

struct traffic site_traffic[SITE_WORKERS];

static struct bindtab *bindings;
static uint32_t n_bindings;
static uint64_t retired_packets;
static struct rte_ring *from_peers; // of worker 0 when it is not alone

static int fib_fill(void)
{
	const struct nexthop adjacency = { .type = NEXTHOP_ADJACENCY,
		.mtu = 1500,
		.ether = { [12] = 0x86, 0xdd },
		.ether_len = 14 };
	const struct nexthop local = { .type = NEXTHOP_LOCAL };
	const struct nexthop home = { .type = NEXTHOP_HOME, .home_prefix = 1, .key_len = 128 };
	struct ip6_prefix p = { .addr = traffic_agent, .len = 128 };
	int error;

	if (nexthop_init(TRAFFIC_ROUTES + 16) != 0 || fib_init(1, 16, TRAFFIC_ROUTES + 16) != 0)
		return -ENOMEM;
	error = fib_set(0, FIB_IP6, &p, nexthop_add(&local), true);
	p.len = 64;
	ip6_mask(&p.addr, p.len);
	if (error == 0)
		error = fib_set(0, FIB_IP6, &p, nexthop_add(&home), true);
	for (uint16_t r = 0; r < TRAFFIC_ROUTES && error == 0; r++) {
		uint16_t route = rte_cpu_to_be_16(r);

		p = (struct ip6_prefix){ .addr = { .b = { 0x24, 0 } }, .len = 48 };
		memcpy(p.addr.b + 4, &route, sizeof(route));
		error = fib_set(0, FIB_IP6, &p, nexthop_add(&adjacency), false);
	}
	fib_commit();
	return error;
}

static void anchors_fill(void)
{
	static struct agent agent = { .outer = { .next_header = PROTO_IPV6, .hop_limit = 64 } };
	static struct api_home_prefix_set home = {
		.home_prefix = 1, .key_len = 128, .prefix_len = 64
	};

	agent.outer.vtc_flow_be = rte_cpu_to_be_32(6u << 28);
	agent.outer.src = traffic_agent;
	anchor_agents[0] = &agent;
	anchor_agents_end = 1;
	home.prefix = traffic_agent;
	ip6_mask(&home.prefix, home.prefix_len);
	anchor_home_prefixes[1] = &home;
	anchor_is_filled = true;
}

static int device_start(struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = { 0 };
	struct port *port = &ports[0];

	if (rte_eth_dev_configure(0, SITE_WORKERS, SITE_WORKERS, &conf) != 0)
		return -EIO;
	for (uint16_t q = 0; q < SITE_WORKERS; q++) {
		site_traffic[q].random = 88172645463325252ULL + q;
		if (rte_eth_rx_queue_setup(0, q, DESCRIPTORS, 0, NULL, pool) != 0 ||
			rte_eth_tx_queue_setup(0, q, DESCRIPTORS, 0, NULL) != 0)
			return -EIO;
	}
	if (rte_eth_dev_start(0) != 0)
		return -EIO;
	for (uint16_t q = 0; q < SITE_WORKERS; q++) {
		if (rte_eth_add_rx_callback(0, q, traffic_stamp, &site_traffic[q]) == NULL)
			return -EIO;
	}
	n_ports = n_links = 1;
	port->n_rx_queues = port->n_tx_queues = SITE_WORKERS;
	port->mtu = 1500;
	port->mac = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	traffic_init(&port->mac);
	return 0;
}

int site_start(void)
{
	const struct config_dataplane config = { .n_workers = SITE_WORKERS,
		.idle = CONFIG_IDLE_SPIN };
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("bench", POOL, 256, PKT_PRIV_SIZE, BUFFER, SOCKET_ID_ANY);
	int error = pool == NULL ? -ENOMEM : device_start(pool);

	if (error == 0)
		error = rcu_init(SITE_WORKERS);
	if (error == 0)
		error = fib_fill();
	if (error == 0)
		error = police_init(rte_get_tsc_hz());
	if (error == 0)
		error = workers_init(&config, 0, NULL, pool);
	if (error != 0) {
		fprintf(stderr, "cannot start: %s (EAL arguments must bring net_null0)\n",
			strerror(-error));
		return error;
	}
	anchors_fill();
	from_peers = workers[0].from_peers;
	site_set_alone(true);
	return 0;
}

void site_stop(void)
{
	site_set_alone(false);
	workers_free();
	fib_free();
	nexthop_free();
	rcu_free();
}

void site_set_alone(bool is_alone)
{
	n_workers = is_alone ? 1 : SITE_WORKERS;
	workers[0].from_peers = is_alone ? NULL : from_peers;
	for (unsigned int i = 0; i < SITE_WORKERS; i++)
		workers[i].counts_shared = !is_alone;
}

static void retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	(void)ctx;
	(void)handle;
	retired_packets += entry->packets_down;
}

uint64_t site_packets_down(void)
{
	uint64_t sum = retired_packets;

	for (uint32_t i = 0; i < n_bindings; i++) {
		const struct ip6 home = traffic_home(i);
		const struct binding *b;
		union bindtab_key key;
		uint32_t handle;

		bindtab_key_make(&key, &home, 1, 128);
		b = bindtab_find(bindings, &key, &handle);
		sum += b == NULL ? 0 : b->packets_down;
	}
	return sum;
}

bool site_poll(void)
{
	return bindtab_poll(bindings);
}

int site_handover(uint32_t i, const struct ip6 *care_of)
{
	const struct binding b = { .care_of = *care_of, .home_prefix = 1 };
	const struct ip6 home = traffic_home(i);
	union bindtab_key key;

	bindtab_key_make(&key, &home, 1, 128);
	return bindtab_set(bindings, &key, i, &b);
}

double site_bind(uint32_t n)
{
	uint64_t start = rte_rdtsc();

	bindings = bindtab_new(n, retired, NULL);
	if (bindings == NULL)
		return 0;
	for (unsigned int i = 0; i < SITE_WORKERS; i++)
		workers[i].bindings = bindings;
	for (uint32_t i = 0; i < n; i++) {
		const struct ip6 care_of = traffic_care_of(i);

		if (site_handover(i, &care_of) != 0)
			return 0;
	}
	for (unsigned int q = 0; q < SITE_WORKERS; q++)
		site_traffic[q].n_mobiles = n;
	n_bindings = n;
	retired_packets = 0;
	return n / ((double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz());
}

static int secure(uint32_t mobile)
{
	enum { KEYS = 16 + 20 };
	_Alignas(8) uint8_t record[sizeof(struct api_sa_set) + KEYS + 4] = { 0 };
	struct api_sa_set *set = (void *)record;

	*set = (struct api_sa_set){ .slot = mobile + 1,
		.spi = BOGUS_SPI + mobile,
		.use = API_SA_SIGNALLING,
		.direction = API_SA_IN,
		.encryption = API_SA_AES_CBC,
		.authentication = API_SA_HMAC_SHA1_96,
		.enc_key_len = 16,
		.auth_key_len = 20,
		.replay_window = 64,
		.home = traffic_home(mobile) };
	memcpy(set->keys, &mobile, sizeof(mobile));
	return sa_set(set, 0, &traffic_agent);
}

int site_secure(void)
{
	uint32_t n = site_traffic[0].n_mobiles < SITE_SAS ? site_traffic[0].n_mobiles : SITE_SAS;

	for (uint32_t i = 0; i < n; i++) {
		int error = secure(i);

		if (error != 0)
			return error;
	}
	for (uint32_t i = 1; i <= sa_places(); i++) {
		struct sa *sa = (struct sa *)(uintptr_t)sa_at(i);
		struct ip6 care_of;

		if (sa == NULL)
			continue;
		care_of = traffic_care_of(sa->spi - BOGUS_SPI);
		sa->peer = esp_guard_source(&workers[0].esp->guard, &care_of);
		for (uint64_t number = 1; number <= BOGUS_USED; number++)
			replay_mark(&sa->replay, number);
	}
	for (unsigned int q = 0; q < SITE_WORKERS; q++)
		site_traffic[q].n_sas = n;
	return 0;
}

void site_unbind(void)
{
	bindtab_free(bindings);
	bindings = NULL;
}
