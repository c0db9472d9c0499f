// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Which tunnels become heavy, when they cease to be, and where their flows and fragments go.

#include "dataplane/spread.c"

#include "tests/unit/dataplane/suite.h"

enum { WORKERS = 4, PAIRS = 1000 };

uint16_t n_workers = WORKERS;

static struct worker worker;
static uint16_t last_peer;
static unsigned int n_away;

void worker_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m)
{
	(void)m;
	CU_ASSERT_PTR_EQUAL(w, &worker);
	CU_ASSERT_NOT_EQUAL(peer, w->id);
	last_peer = peer;
	n_away++;
}

static struct ip6_hdr_wire tunnel_of(unsigned int i)
{
	struct ip6_hdr_wire ip = { .next_header = PROTO_IPV6 };

	ip.src.b[0] = 0x20;
	ip.src.b[14] = (uint8_t)(i >> 8);
	ip.src.b[15] = (uint8_t)i;
	ip.dst.b[15] = 1;
	return ip;
}

static void setup(void)
{
	memset(&worker, 0, sizeof(worker));
	worker.id = 1;
	worker.now_tsc = 1000 * rte_get_tsc_hz();
	n_away = 0;
	CU_ASSERT_EQUAL_FATAL(spread_init(), 0);
}

static void turn_ms(unsigned int ms)
{
	worker.now_tsc += rte_get_tsc_hz() / 1000 * ms + 1;
}

// Whether a packet of a tunnel, of the flow with this hash, goes to another worker.
static bool goes_away(unsigned int tunnel, uint32_t hash)
{
	struct ip6_hdr_wire outer = tunnel_of(tunnel), inner = { .vtc_flow_be = hash };
	struct rte_mbuf m = { .buf_addr = &inner };

	return spread_away(&worker, &m, &outer);
}

static void vote(unsigned int tunnel, unsigned int n)
{
	struct ip6_hdr_wire outer = tunnel_of(tunnel);

	for (unsigned int i = 0; i < n; i++)
		spread_vote(&worker, &outer);
}

static void make_heavy(unsigned int tunnel)
{
	vote(tunnel, HEAVY_VOTES);
	turn_ms(0);
}

static void test_heavy_from_the_next_turn_on(void)
{
	setup();
	vote(1, HEAVY_VOTES - 1);
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 0);
	vote(1, 1);
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 1);
	CU_ASSERT_EQUAL(worker.stats.spread_pairs, 1);
	CU_ASSERT_FALSE(goes_away(1, 0)); // this turn's packets are on their way already
	turn_ms(0);
	CU_ASSERT_TRUE(goes_away(1, 0));
	CU_ASSERT_FALSE(goes_away(2, 0)); // another tunnel
}

static void test_votes_count_in_their_window(void)
{
	setup();
	for (unsigned int i = 0; i < 10; i++) {
		vote(1, HEAVY_VOTES - 1);
		turn_ms(WINDOW_MS + 1);
	}
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 0);
}

// Many tunnels of the same size are no matter of one tunnel: the network card spreads them.
static void test_a_small_share_is_not_heavy(void)
{
	setup();
	for (unsigned int i = 0; i < 100000; i++)
		vote(i % PAIRS, 1);
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 0);
	// One that has half of all stands out from them.
	turn_ms(WINDOW_MS + 1);
	for (unsigned int i = 0; i < 10000; i++)
		vote(i % 2 == 0 ? PAIRS : i % PAIRS, 1);
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 1);
	turn_ms(0);
	CU_ASSERT_TRUE(goes_away(PAIRS, 0));
}

static void test_silence_ends_it(void)
{
	setup();
	make_heavy(1);
	for (unsigned int i = 0; i < 10; i++) {
		turn_ms(SILENT_MS - 10);
		CU_ASSERT_TRUE(goes_away(1, 0)); // slow, but never silent for long enough
	}
	turn_ms(SILENT_MS + 1);
	CU_ASSERT_FALSE(goes_away(1, 0));
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 0);
	// One that is never heard of again goes with the votes of others.
	make_heavy(1);
	turn_ms(WINDOW_MS + SILENT_MS + 1);
	vote(2, 1);
	CU_ASSERT_EQUAL(worker.spread.n_heavy, 0);
}

static void test_flows_go_to_all_workers_and_stay_there(void)
{
	unsigned int n_of[WORKERS] = { 0 };

	setup();
	make_heavy(1);
	for (uint32_t flow = 0; flow < 4000; flow++) {
		uint32_t hash = flow * 0x9e3779b9u;
		uint16_t at = goes_away(1, hash) ? last_peer : worker.id;

		n_of[at]++;
		CU_ASSERT_EQUAL(goes_away(1, hash) ? last_peer : worker.id, at);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		CU_ASSERT(n_of[i] > 800 && n_of[i] < 1200);
	CU_ASSERT_EQUAL(n_away, 2 * (4000 - n_of[1]));
}

static void test_fragments_of_a_packet_have_one_worker(void)
{
	unsigned int n_of[WORKERS] = { 0 };

	setup();
	for (uint32_t id = 0; id < 4000; id++) {
		struct ip6_hdr_wire ip = tunnel_of(id % 10);
		uint16_t at = spread_fragment_worker(&ip, id);

		CU_ASSERT_FATAL(at < WORKERS);
		n_of[at]++;
		ip.vtc_flow_be = id;
		ip.payload_len_be = (uint16_t)id;
		CU_ASSERT_EQUAL(spread_fragment_worker(&ip, id), at);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		CU_ASSERT(n_of[i] > 800 && n_of[i] < 1200);
}

static void test_every_packet_of_a_burst_can_vote(void)
{
	bool has_voted[SPREAD_FULL_BURST] = { false };

	setup();
	for (unsigned int i = 0; i < SPREAD_FULL_BURST; i++) {
		unsigned int voter = spread_voter(&worker);

		CU_ASSERT_FATAL(voter < SPREAD_FULL_BURST);
		CU_ASSERT_FALSE(has_voted[voter]);
		has_voted[voter] = true;
	}
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "heavy by votes, from the next turn on", test_heavy_from_the_next_turn_on },
		{ "votes count in their window", test_votes_count_in_their_window },
		{ "a small share is not heavy", test_a_small_share_is_not_heavy },
		{ "silence ends it", test_silence_ends_it },
		{ "flows go to all workers and stay there",
			test_flows_go_to_all_workers_and_stay_there },
		{ "fragments of a packet have one worker",
			test_fragments_of_a_packet_have_one_worker },
		{ "every packet of a burst can vote", test_every_packet_of_a_burst_can_vote },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("spread", tests);
}
