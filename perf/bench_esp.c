// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-bench-esp: nanoseconds per packet of the shipping worker with AES-GCM-128 in tunnel mode, on one
// core over net_null, beside nothing but the library's AES-GCM on payloads of the same size, the same worker
// without ESP, and packets whose check value is wrong, in the same run. Each mobile has an SA of its own; the
// library's rows have one key, which stays in the nearest cache, or those of the SAs. Rounds of all rows take
// turns.

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "dataplane/esp_worker.h"
#include "dataplane/rcu.h"
#include "perf/bench_report.h"
#include "perf/bench_site.h"

enum {
	SPI = 0x1000, // of mobile 0; each mobile's is one more
	N_SEALED = 512, // packets that the uplink repeats
	SEALED_ROOM = 1600,
	SMALL = 64, // bytes of the inner packet
	LARGE = 1400,
};

static const struct esp_suite *suite;
static uint8_t keys[20] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
static struct esp_key raw_key;
static IMB_MGR *mgr;

static uint32_t n_mobiles;
static uint16_t inner_len; // of the round under way
static bool is_up, is_forged;
static uint32_t at_sealed;
static struct {
	uint16_t len;
	uint8_t frame[SEALED_ROOM];
} * sealed; // [N_SEALED], of inner_len

static double ns_since(uint64_t start_tsc)
{
	return (double)(rte_rdtsc() - start_tsc) * 1e9 / (double)rte_get_tsc_hz();
}

// --- What comes in -----------------------------------------------------------------------------------

// Behind the generator: gives its frames to home addresses the size of the round, or puts sealed ones in
// their place.
static uint16_t resize(
	uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint16_t max, void *arg)
{
	(void)port;
	(void)queue;
	(void)max;
	(void)arg;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

		if (is_up) {
			m->pkt_len = m->data_len = sealed[at_sealed].len;
			memcpy(frame, sealed[at_sealed].frame, m->data_len);
			at_sealed = (at_sealed + 1) % N_SEALED;
			continue;
		}
		m->pkt_len = m->data_len = (uint16_t)(RTE_ETHER_HDR_LEN + inner_len);
		((struct ip6_hdr_wire *)(void *)(frame + RTE_ETHER_HDR_LEN))->payload_len_be =
			rte_cpu_to_be_16((uint16_t)(inner_len - sizeof(struct ip6_hdr_wire)));
	}
	return n;
}

// One frame of a mobile, sealed with a number.
static uint16_t seal(uint8_t *frame, uint32_t mobile, uint64_t seq, uint16_t len)
{
	struct rte_ether_hdr *eth = (void *)frame;
	struct ip6_hdr_wire *out = (void *)(eth + 1), *in;
	uint8_t *esp = (uint8_t *)(out + 1);
	unsigned int head = esp_head_len(suite), tail = esp_tail_len(suite, len);
	struct esp_op op = {
		.packet = esp, .is_esn = true, .seq = seq, .suite = suite, .key = &raw_key
	};

	memset(frame, 0, SEALED_ROOM);
	eth->dst_addr = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
	*out = (struct ip6_hdr_wire){ .vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16((uint16_t)(head + len + tail)),
		.next_header = PROTO_ESP,
		.hop_limit = 64,
		.src = traffic_care_of(mobile),
		.dst = traffic_agent };
	in = (void *)(esp + head);
	*in = (struct ip6_hdr_wire){ .vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16((uint16_t)(len - sizeof(*in))),
		.next_header = PROTO_UDP,
		.hop_limit = 64,
		.src = traffic_home(mobile),
		.dst = traffic_care_of(7) };
	esp_trailer_put(suite, esp + head + len, len, PROTO_IPV6);
	op.len = head + len + tail - suite->icv_len;
	esp_head_put(mgr, &op, SPI + mobile, 0);
	esp_seal(mgr, &op, 1);
	esp[op.len] ^= is_forged;
	return (uint16_t)(sizeof(*eth) + sizeof(*out) + head + len + tail);
}

static void seal_all(uint16_t len)
{
	for (uint32_t i = 0; i < N_SEALED; i++)
		sealed[i].len = seal(sealed[i].frame, i % n_mobiles, i / n_mobiles + 1, len);
}

// --- Mobiles -----------------------------------------------------------------------------------------

static int sa_give(uint32_t mobile, uint8_t direction)
{
	_Alignas(8) uint8_t record[sizeof(struct api_sa_set) + sizeof(keys)] = { 0 };
	struct api_sa_set *set = (void *)record;

	*set = (struct api_sa_set){ .slot = mobile + 1,
		.spi = SPI + mobile,
		.use = API_SA_PAYLOAD,
		.direction = direction,
		.encryption = API_SA_AES_GCM_16,
		.authentication = API_SA_AEAD,
		.flags = API_SA_ESN,
		.protect = API_SA_BIT(API_SA_PAYLOAD),
		.enc_key_len = sizeof(keys),
		.replay_window = direction == API_SA_IN ? 64 : 0,
		.home = traffic_home(mobile),
		.seq_next = 1,
		.seq_limit = UINT64_MAX };
	memcpy(set->keys, keys, sizeof(keys));
	return sa_set(set, 0, &traffic_agent);
}

static int mobiles_bind(bool under_sa)
{
	for (uint32_t i = 0; i < n_mobiles; i++) {
		const struct ip6 home = traffic_home(i);
		const struct binding b = { .care_of = traffic_care_of(i),
			.home_prefix = 1,
			.flags = under_sa ? BINDING_SA : 0,
			.sa_slot = under_sa ? i + 1 : 0 };
		union bindtab_key key;

		bindtab_key_make(&key, &home, 1, 128);
		if (bindtab_set(workers[0].bindings, &key, i, &b) != 0)
			return -ENOMEM;
		while (!bindtab_poll(workers[0].bindings))
			;
	}
	return 0;
}

static int mobiles_make(void)
{
	for (uint32_t i = 0; i < n_mobiles; i++) {
		if (sa_give(i, API_SA_IN) != 0 || sa_give(i, API_SA_OUT) != 0)
			return -ENOMEM;
	}
	return mobiles_bind(true);
}

// --- Rows ------------------------------------------------------------------------------------------

// Windows forget what they saw, so that the same packets pass again.
static void windows_clear(void)
{
	for (uint32_t i = 1; i <= sa_places(); i++) {
		struct sa *sa = (struct sa *)(uintptr_t)sa_at(i);

		if (sa != NULL && sa->direction == API_SA_IN)
			replay_init(&sa->replay, sa->window, sa->is_esn);
	}
}

// The worker's own loop over so many packets. Uplink goes in pieces: as many packets as there are.
static double worker_round(uint16_t len, bool up, uint64_t packets)
{
	struct worker *w = &workers[0];
	const uint64_t *counter = is_forged ? &w->stats.drops[DROP_esp_icv] : &w->stats.tx;
	uint64_t before = *counter, done = 0;
	double ns = 0;

	inner_len = len;
	is_up = up;
	at_sealed = 0;
	if (up)
		seal_all(len);
	while (done < packets) {
		uint64_t start;

		if (up)
			windows_clear();
		traffic_begin(&site_traffic[0], TRAFFIC_DOWN, up ? N_SEALED : packets);
		__atomic_store_n(&worker_stop, false, __ATOMIC_RELAXED);
		start = rte_rdtsc();
		worker_run(w);
		ns += ns_since(start);
		done += site_traffic[0].done;
	}
	if (*counter - before != done) {
		for (unsigned int r = 0; r < DROP_MAX; r++) {
			if (w->stats.drops[r] != 0)
				fprintf(stderr, "dropped: %s %lu\n", drop_names[r],
					w->stats.drops[r]);
		}
		return -1;
	}
	return ns / (double)done;
}

// The same with wrong check values from the mobiles' own addresses, as many as nothing else would allow.
static double forged_round(uint16_t len, bool up, uint64_t packets)
{
	struct esp_guard *guard = &workers[0].esp->guard, kept = *guard;
	double ns;

	guard->tokens = INT64_MAX / 2;
	is_forged = true;
	ns = worker_round(len, up, packets);
	is_forged = false;
	*guard = kept;
	return ns;
}

// The same without ESP.
static double plain_round(uint16_t len, bool up, uint64_t packets)
{
	double ns = mobiles_bind(false) == 0 ? worker_round(len, up, packets) : -1;

	return mobiles_bind(true) == 0 ? ns : -1;
}

// The library alone: buffers of the worker's own pool, 8 bytes of additional data, the keys of so many SAs
// at random or, for 0, one of its own.
static double library_loop(uint16_t len, bool up, uint64_t packets, uint32_t n_sas)
{
	static uint64_t random = 88172645463325252ULL;
	aes_gcm_enc_dec_t run = up ? mgr->gcm128_dec : mgr->gcm128_enc;
	typedef uint64_t pair __attribute__((vector_size(16)));
	uint8_t nonce[16] = { 0 }, aad[16] = { 0 }, tag[16];
	struct gcm_context_data context;
	static struct rte_mbuf *pkts[N_SEALED];
	uint64_t start;
	double ns;

	if (rte_pktmbuf_alloc_bulk(workers[0].pool, pkts, N_SEALED) != 0)
		return -1;
	start = rte_rdtsc();
	for (uint64_t i = 0; i < packets; i++) {
		uint8_t *text = rte_pktmbuf_mtod(pkts[i % N_SEALED], uint8_t *);
		const struct esp_key *key =
			n_sas == 0 ? &raw_key : &sa_at(1 + traffic_random(&random, n_sas))->key;

		memcpy(nonce, &(pair){ i, i >> 32 }, sizeof(pair));
		run(&key->gcm, &context, text, text, len, nonce, aad, 8, tag, sizeof(tag));
	}
	ns = ns_since(start) / (double)packets;
	rte_pktmbuf_free_bulk(pkts, N_SEALED);
	return ns;
}

static double library_round(uint16_t len, bool up, uint64_t packets)
{
	return library_loop(len, up, packets, 0);
}

static double keys_round(uint16_t len, bool up, uint64_t packets)
{
	return library_loop(len, up, packets, n_mobiles);
}

static const struct row {
	const char *name;
	double (*round)(uint16_t len, bool up, uint64_t packets);
	uint16_t len;
	bool up;
} rows[] = {
	{ "gcm_encrypt_64", library_round, SMALL, false },
	{ "gcm_encrypt_1400", library_round, LARGE, false },
	{ "gcm_decrypt_64", library_round, SMALL, true },
	{ "gcm_decrypt_1400", library_round, LARGE, true },
	{ "gcm_keys_64", keys_round, SMALL, false },
	{ "gcm_keys_1400", keys_round, LARGE, false },
	{ "plain_encap_64", plain_round, SMALL, false },
	{ "plain_encap_1400", plain_round, LARGE, false },
	{ "esp_encap_64", worker_round, SMALL, false },
	{ "esp_encap_1400", worker_round, LARGE, false },
	{ "esp_decap_64", worker_round, SMALL, true },
	{ "esp_decap_1400", worker_round, LARGE, true },
	{ "esp_forged_64", forged_round, SMALL, true },
	{ "esp_forged_1400", forged_round, LARGE, true },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool is_wanted[N_ROWS];

static const char *row_name(unsigned int i)
{
	return rows[i].name;
}

// Round 0 warms up and does not count.
static int measure(unsigned int rounds, uint64_t packets)
{
	static struct result results[N_ROWS];

	for (unsigned int round = 0; round <= rounds; round++) {
		for (unsigned int i = 0; i < N_ROWS; i++) {
			struct result *r = &results[i];
			double ns;

			if (!is_wanted[i])
				continue;
			ns = rows[i].round(
				rows[i].len, rows[i].up, round == 0 ? packets / 4 : packets);

			if (ns < 0) {
				fprintf(stderr, "%s: packets went where they should not\n",
					rows[i].name);
				return -EIO;
			}
			r->row = rows[i].name;
			r->n_bindings = n_mobiles;
			r->n_rounds = round;
			r->ns[round == 0 ? 0 : round - 1] = ns;
		}
	}
	for (unsigned int i = 0; i < N_ROWS; i++) {
		if (is_wanted[i])
			report_row(&results[i]);
	}
	return 0;
}

static bool deaf(const struct sa *sa, enum api_sa_event_type event)
{
	(void)sa;
	(void)event;
	return true;
}

static int start(void)
{
	int error = sa_init(n_mobiles + 1, deaf);

	if (error == 0)
		error = site_start();
	if (error != 0)
		return error;
	mgr = esp_manager_new();
	suite = esp_suite_find(API_SA_AES_GCM_16, API_SA_AEAD, sizeof(keys), 0);
	sealed = calloc(N_SEALED, sizeof(*sealed));
	if (mgr == NULL || sealed == NULL || esp_key_make(mgr, suite, keys, &raw_key) != 0 ||
		rte_eth_add_rx_callback(0, 0, resize, NULL) == NULL || site_bind(n_mobiles) == 0)
		return -ENOMEM;
	return mobiles_make();
}

static const char usage[] =
	"usage: unwired-bench-esp [--json FILE] [--rounds N] [--packets N] [--rows ROW,...] "
	"MOBILES -- "
	"EAL-ARGUMENTS...\n"
	"Measures a worker's ESP with an SA for each mobile. EAL arguments must bring net_null0.\n";

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "packets", required_argument, NULL, 'p' },
		{ "rows", required_argument, NULL, 'r' },
		{ 0 },
	};
	uint64_t packets = 400000;
	unsigned int rounds = 5;
	const char *json = NULL;
	int opt, eal, error;

	memset(is_wanted, true, sizeof(is_wanted));
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
	n_mobiles = optind < eal ? (uint32_t)strtoul(argv[optind], NULL, 10) : 0;
	if (eal == argc || n_mobiles < 1 || rounds < 1 || rounds > REPORT_ROUNDS_MAX ||
		packets < N_SEALED) {
		fputs(usage, stderr);
		return 2;
	}
	if (rte_eal_init(argc - eal, argv + eal) < 0)
		return EXIT_FAILURE;
	error = start();
	if (error == 0)
		error = measure(rounds, packets);
	if (error == 0 && json != NULL)
		error = report_write(json);
	if (error != 0)
		fprintf(stderr, "unwired-bench-esp: %s\n", strerror(-error));
	esp_manager_free(mgr);
	site_stop();
	sa_free();
	rte_eal_cleanup();
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
