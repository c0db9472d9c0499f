// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-bench: nanoseconds per packet of the shipping worker (its source is included, not copied)
// on one core, over net_null ports whose receive callback stamps frames of random mobiles; with plain
// MAC forwarding of the same stream as the baseline of the same run. Rounds of all modes take turns,
// so that a change of the machine's speed meets all alike. One JSON object a line.

#include "dataplane/worker.c"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>

#include <rte_eal.h>

#include "dataplane/anchor.h"
#include "dataplane/fib.h"

enum { PAYLOAD = 16, ROUNDS_MAX = 101, N_ROUTES = 1000, POOL = 8191 };
enum mode { MODE_MAC, MODE_ENCAP, MODE_DECAP, MODE_MIXED, MODE_MAX };

static const char *const mode_names[MODE_MAX] = { "mac", "encap", "decap", "mixed" };

struct port ports[CONFIG_MAX_LINKS];
uint16_t n_ports = 1;
uint8_t port_vlans[CONFIG_MAX_PORTS][PORT_VLANS];
bool anchor_is_filled = true;
const struct agent *anchor_agents[API_MAX_AGENTS];
const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];

// A frame as it comes in: one header for downlink, two for uplink.
struct frame {
	struct rte_ether_hdr eth;
	struct ip6_hdr_wire ip[2];
	uint8_t payload[8 + PAYLOAD];
} __attribute__((packed, aligned(2)));

static struct {
	enum mode mode;
	uint32_t n_bindings;
	uint64_t random;
	uint32_t turn;
	struct frame down, up, plain;
} gen;

static struct worker worker;
static const struct ip6 agent_address = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } };

int port_queue_fd(const struct port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

// Home address 2001:db8:1::1:i; its care-of address lies behind one of the routes.
static struct ip6 home_of(uint32_t i)
{
	struct ip6 a = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [11] = 1 } };

	i = rte_cpu_to_be_32(i);
	memcpy(a.b + 12, &i, sizeof(i));
	return a;
}

static struct ip6 care_of_of(uint32_t i)
{
	struct ip6 a = { .b = { 0x24, 0 } };
	// A route by multiplication: a division would weigh in the generator.
	uint16_t route = rte_cpu_to_be_16((uint16_t)((uint64_t)(i * 2654435761u) * N_ROUTES >> 32));

	memcpy(a.b + 4, &route, sizeof(route));
	i = rte_cpu_to_be_32(i);
	memcpy(a.b + 12, &i, sizeof(i));
	return a;
}

static inline uint32_t random_mobile(void)
{
	gen.random ^= gen.random << 13;
	gen.random ^= gen.random >> 7;
	gen.random ^= gen.random << 17;
	return (uint32_t)(((gen.random >> 32) * gen.n_bindings) >> 32);
}

static inline void stamp_down(struct rte_mbuf *m)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);
	uint32_t len = sizeof(*f) - sizeof(f->ip[1]);

	memcpy(f, &gen.down, len);
	f->ip[0].dst = home_of(random_mobile());
	m->pkt_len = m->data_len = (uint16_t)len;
}

static inline void stamp_up(struct rte_mbuf *m)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);
	uint32_t i = random_mobile();

	memcpy(f, &gen.up, sizeof(*f));
	f->ip[0].src = care_of_of(i);
	f->ip[1].src = home_of(i);
	m->pkt_len = m->data_len = sizeof(*f);
}

// The generator: fills what net_null hands out.
static uint16_t stamp(
	uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint16_t max, void *arg)
{
	(void)port;
	(void)queue;
	(void)max;
	(void)arg;
	for (uint16_t i = 0; i < n; i++) {
		if (gen.mode == MODE_DECAP) {
			stamp_up(pkts[i]);
		} else if (gen.mode != MODE_MIXED) {
			stamp_down(pkts[i]);
		} else if (gen.turn++ % 10 == 9) { // a tenth plain, the rest half down, half up
			struct frame *f = rte_pktmbuf_mtod(pkts[i], struct frame *);
			uint32_t len = sizeof(*f) - sizeof(f->ip[1]);

			memcpy(f, &gen.plain, len);
			pkts[i]->pkt_len = pkts[i]->data_len = (uint16_t)len;
		} else if (gen.turn % 2 == 0) {
			stamp_down(pkts[i]);
		} else {
			stamp_up(pkts[i]);
		}
	}
	return n;
}

static void frame_init(struct frame *f, bool is_up, const struct ip6 *dst)
{
	const struct ip6 cn = care_of_of(7);
	uint16_t payload = sizeof(f->payload);

	memset(f, 0, sizeof(*f));
	f->eth.dst_addr = ports[0].mac;
	f->eth.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
	for (unsigned int h = 0; h < 2; h++) {
		f->ip[h].vtc_flow_be = rte_cpu_to_be_32(6u << 28);
		f->ip[h].hop_limit = 64;
		f->ip[h].next_header = PROTO_UDP;
		f->ip[h].payload_len_be = rte_cpu_to_be_16(payload);
		f->ip[h].src = cn;
		f->ip[h].dst = *dst;
	}
	if (is_up) {
		f->ip[0].next_header = PROTO_IPV6;
		f->ip[0].payload_len_be =
			rte_cpu_to_be_16((uint16_t)(payload + sizeof(struct ip6_hdr_wire)));
		f->ip[0].dst = agent_address;
		f->ip[1].dst = cn;
	}
}

static int fib_fill(void)
{
	const struct nexthop adjacency = { .type = NEXTHOP_ADJACENCY,
		.mtu = 1500,
		.ether = { [12] = 0x86, 0xdd },
		.ether_len = 14 };
	const struct nexthop local = { .type = NEXTHOP_LOCAL };
	const struct nexthop home = { .type = NEXTHOP_HOME, .home_prefix = 1, .key_len = 128 };
	struct ip6_prefix p = { .addr = agent_address, .len = 128 };
	int error;

	if (nexthop_init(N_ROUTES + 16) != 0 || fib_init(1, N_ROUTES + 16) != 0)
		return -ENOMEM;
	error = fib_set(0, FIB_IP6, &p, nexthop_add(&local));
	p.len = 64;
	ip6_mask(&p.addr, p.len);
	if (error == 0)
		error = fib_set(0, FIB_IP6, &p, nexthop_add(&home));
	for (uint16_t r = 0; r < N_ROUTES && error == 0; r++) {
		uint16_t route = rte_cpu_to_be_16(r);

		p = (struct ip6_prefix){ .addr = { .b = { 0x24, 0 } }, .len = 48 };
		memcpy(p.addr.b + 4, &route, sizeof(route));
		error = fib_set(0, FIB_IP6, &p, nexthop_add(&adjacency));
	}
	fib_commit();
	return error;
}

static void anchors_init(void)
{
	static struct agent agent = { .outer = { .next_header = PROTO_IPV6, .hop_limit = 64 } };
	static struct api_home_prefix_set home = {
		.home_prefix = 1, .key_len = 128, .prefix_len = 64
	};

	agent.outer.vtc_flow_be = rte_cpu_to_be_32(6u << 28);
	agent.outer.src = agent_address;
	anchor_agents[0] = &agent;
	home.prefix = agent_address;
	ip6_mask(&home.prefix, home.prefix_len);
	anchor_home_prefixes[1] = &home;
}

static void retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	(void)ctx;
	(void)handle;
	(void)entry;
}

// Returns: bindings per second of the filling, or 0 on failure.
static double bindings_fill(uint32_t n)
{
	uint64_t start = rte_rdtsc();

	worker.bindings = bindtab_new(n, retired, NULL);
	if (worker.bindings == NULL)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct binding b = { .care_of = care_of_of(i), .home_prefix = 1 };
		const struct ip6 home = home_of(i);
		union bindtab_key key;

		bindtab_key_make(&key, &home, 1, 128);
		if (bindtab_set(worker.bindings, &key, i, &b) != 0)
			return 0;
	}
	gen.n_bindings = n;
	return n / ((double)(rte_rdtsc() - start) / (double)rte_get_tsc_hz());
}

static unsigned int mac_burst(void)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(0, 0, pkts, BURST);

	for (uint16_t i = 0; i < n; i++)
		memcpy(rte_pktmbuf_mtod(pkts[i], void *), &gen.plain.eth, sizeof(gen.plain.eth));
	rte_eth_tx_burst(0, 0, pkts, n);
	return n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

// Nanoseconds per packet of one round.
static double round_run(enum mode mode, uint64_t packets)
{
	uint64_t done = 0, start;

	gen.mode = mode;
	start = rte_rdtsc();
	while (done < packets) {
		worker.now_tsc = rte_rdtsc();
		done += mode == MODE_MAC ? mac_burst() : take_ports(&worker);
		out_flush(&worker, 0);
		rcu_quiescent(0);
	}
	return (double)(rte_rdtsc() - start) * 1e9 / (double)rte_get_tsc_hz() / (double)done;
}

static void report(uint32_t n, enum mode mode, double *ns, unsigned int rounds)
{
	qsort(ns, rounds, sizeof(*ns), by_value);
	printf("{\"bindings\": %u, \"mode\": \"%s\", \"ns\": %.2f, \"ns_min\": %.2f, "
	       "\"ns_max\": %.2f, \"mpps\": %.2f, \"rounds\": %u}\n",
		n, mode_names[mode], ns[rounds / 2], ns[0], ns[rounds - 1], 1e3 / ns[rounds / 2],
		rounds);
}

static int measure(uint32_t n, unsigned int rounds, uint64_t packets)
{
	static double ns[MODE_MAX][ROUNDS_MAX];
	double rate = bindings_fill(n);
	uint64_t drops = 0;

	if (rate == 0) {
		fprintf(stderr, "cannot make %u bindings\n", n);
		return -ENOMEM;
	}
	for (unsigned int m = 0; m < MODE_MAX; m++) // warm up
		round_run((enum mode)m, packets / 4);
	for (unsigned int r = 0; r < rounds; r++) {
		for (unsigned int m = 0; m < MODE_MAX; m++)
			ns[m][r] = round_run((enum mode)m, packets);
	}
	for (unsigned int m = 0; m < MODE_MAX; m++)
		report(n, (enum mode)m, ns[m], rounds);
	printf("{\"bindings\": %u, \"bytes_per_binding\": %.1f, \"inserts_per_s\": %.0f}\n", n,
		(double)bindtab_memory(n) / n, rate);
	fflush(stdout);
	for (unsigned int r = 0; r < DROP_MAX; r++)
		drops += worker.stats.drops[r];
	bindtab_free(worker.bindings);
	if (drops != 0 || worker.stats.to_main != 0) {
		fprintf(stderr, "the benchmark dropped packets: its figures are worth nothing\n");
		return -EIO;
	}
	return 0;
}

static int device_init(void)
{
	const struct rte_eth_conf conf = { 0 };
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("bench", POOL, 256, PKT_PRIV_SIZE, 2176, SOCKET_ID_ANY);

	if (pool == NULL || rte_eth_dev_configure(0, 1, 1, &conf) != 0 ||
		rte_eth_rx_queue_setup(0, 0, 512, 0, NULL, pool) != 0 ||
		rte_eth_tx_queue_setup(0, 0, 512, 0, NULL) != 0 || rte_eth_dev_start(0) != 0 ||
		rte_eth_add_rx_callback(0, 0, stamp, NULL) == NULL)
		return -EIO;
	worker.pool = pool;
	worker.n_queues = 1;
	worker.reassembly = reassembly_new(POOL / 10);
	worker.to_main = rte_ring_create("to_main", 1024, SOCKET_ID_ANY, 0);
	ports[0].mac = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	frame_init(&gen.down, false, &agent_address);
	frame_init(&gen.up, true, &agent_address);
	frame_init(&gen.plain, false, &(const struct ip6){ .b = { 0x24, 0, [15] = 9 } });
	return worker.to_main == NULL || worker.reassembly == NULL ? -ENOMEM : 0;
}

static const char usage[] =
	"usage: unwired-bench [--rounds N] [--packets N] BINDINGS... -- EAL-ARGUMENTS...\n"
	"Measures a worker with each number of bindings. EAL arguments must bring net_null0.\n";

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "packets", required_argument, NULL, 'p' },
		{ 0 },
	};
	const struct sched_param fifo = { .sched_priority = 10 };
	unsigned int rounds = 5;
	uint64_t packets = 4000000;
	int opt, eal, status = EXIT_SUCCESS;

	for (eal = 1; eal < argc && strcmp(argv[eal], "--") != 0; eal++)
		;
	while ((opt = getopt_long(eal, argv, "", longopts, NULL)) != -1) {
		if (opt == 'r')
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (opt == 'p')
			packets = strtoull(optarg, NULL, 10);
		else
			rounds = 0;
	}
	if (eal == argc || optind == eal || rounds < 1 || rounds > ROUNDS_MAX) {
		fputs(usage, stderr);
		return 2;
	}
	if (rte_eal_init(argc - eal, argv + eal) < 0 || rcu_init(1) != 0)
		return EXIT_FAILURE;
	gen.random = 88172645463325252ULL;
	anchors_init();
	rcu_online(0);
	rcu_offline(0); // fib_commit waits for readers
	if (device_init() != 0 || fib_fill() != 0)
		return EXIT_FAILURE;
	if (sched_setscheduler(0, SCHED_FIFO, &fifo) != 0)
		fprintf(stderr, "no real-time priority: expect scatter\n");
	rcu_online(0);
	for (int i = optind; i < eal && status == EXIT_SUCCESS; i++) {
		if (measure((uint32_t)strtoul(argv[i], NULL, 10), rounds, packets) != 0)
			status = EXIT_FAILURE;
	}
	rcu_offline(0);
	rte_eal_cleanup();
	return status;
}
