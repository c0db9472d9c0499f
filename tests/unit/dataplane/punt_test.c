// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The queues towards control against a list that keeps the same rules, the measured rate with the time
// as an argument, and both together against a control process that takes what it is told to.

#include "dataplane/punt.c"
#include "dataplane/punt_budget.c"
#include "dataplane/punt_queue.c"

#include <rte_cycles.h>

#include "tests/unit/dataplane/suite.h"

struct pump_stats pump_stats;

// Control's side: what it was handed, by the number in outer_src.
static struct {
	bool is_there, is_full;
	uint32_t got[100000];
	unsigned int n;
} peer;

static struct rte_mempool *pool;
static uint32_t budgets[POLICE_CLASSES];

bool link_takes_punts(void)
{
	return peer.is_there;
}

bool link_punt(struct rte_mbuf *m)
{
	if (peer.is_full)
		return false;
	memcpy(&peer.got[peer.n++], &pkt_priv(m)->outer_src, sizeof(peer.got[0]));
	return true;
}

void police_budget_set(enum police_class class, uint32_t per_s)
{
	budgets[class] = per_s;
}

static void setup(void)
{
	if (pool == NULL)
		pool = rte_pktmbuf_pool_create("punt", 4095, 0, PKT_PRIV_SIZE, 256, SOCKET_ID_ANY);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	memset(&peer, 0, sizeof(peer));
	memset(&pump_stats, 0, sizeof(pump_stats));
	memset(&punt, 0, sizeof(punt));
	peer.is_there = true;
	punt_init();
}

static void teardown(void)
{
	punt_reset();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void put(enum police_class class, uint64_t sender, uint32_t number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	*pkt_priv(m) = (struct pkt_priv){ .sender = sender, .police_class = (uint8_t) class };
	memcpy(&pkt_priv(m)->outer_src, &number, sizeof(number));
	punt_put(m);
}

// Fills the window of all classes.
static void fill_window(void)
{
	for (uint32_t i = 0; i < API_PUNT_WINDOW; i++)
		put(POLICE_KNOWN, 0, i);
	CU_ASSERT_EQUAL(peer.n, API_PUNT_WINDOW);
	peer.n = 0;
}

// --- The queue against an oracle -----------------------------------------------------------------

struct oracle {
	struct {
		uintptr_t m;
		uint64_t sender;
	} items[PUNT_QUEUE_MAX];
	unsigned int n;
};

static uintptr_t oracle_take(struct oracle *o)
{
	uintptr_t m = o->n > 0 ? o->items[0].m : 0;

	if (o->n > 0)
		memmove(&o->items[0], &o->items[1], --o->n * sizeof(o->items[0]));
	return m;
}

static enum punt_put oracle_put(struct oracle *o, uintptr_t m, uint64_t sender, uintptr_t *gone)
{
	enum punt_put result = PUNT_KEPT;

	for (unsigned int i = 0; i < o->n && sender != 0; i++) {
		if (o->items[i].sender == sender) {
			*gone = o->items[i].m;
			o->items[i].m = m;
			return PUNT_SUPERSEDED;
		}
	}
	if (o->n == PUNT_QUEUE_MAX) {
		*gone = oracle_take(o);
		result = PUNT_OVERFLOW;
	}
	o->items[o->n].m = m;
	o->items[o->n++].sender = sender;
	return result;
}

static void test_queue_is_like_the_oracle(void)
{
	static struct punt_queue queue;
	static struct oracle oracle;
	unsigned int n_of[PUNT_OVERFLOW + 1] = { 0 };

	srand(1);
	punt_queue_init(&queue);
	for (uintptr_t m = 1; m < 400000; m++) {
		// Few senders share a bucket, many the queue; phases that fill it and that empty it.
		bool fills = (m / 3000) % 2 == 0;
		uint64_t sender = rand() % 5 == 0 ? 0 : (uint64_t)(rand() % 4000) << 9 | 1;

		if (rand() % 100 < (fills ? 80 : 30)) {
			struct rte_mbuf *gone = NULL;
			uintptr_t wanted = 0;
			enum punt_put want = oracle_put(&oracle, m, sender, &wanted);
			enum punt_put did =
				punt_queue_put(&queue, (struct rte_mbuf *)m, sender, &gone);

			n_of[did]++;
			if (did != want || (uintptr_t)gone != wanted)
				CU_FAIL_FATAL("put differs");
		} else {
			uintptr_t wanted = oracle_take(&oracle);

			if ((uintptr_t)punt_queue_peek(&queue) != wanted ||
				(uintptr_t)punt_queue_take(&queue) != wanted)
				CU_FAIL_FATAL("take differs");
		}
		if (queue.n != oracle.n)
			CU_FAIL_FATAL("count differs");
	}
	CU_ASSERT(n_of[PUNT_KEPT] > 1000);
	CU_ASSERT(n_of[PUNT_SUPERSEDED] > 1000);
	CU_ASSERT(n_of[PUNT_OVERFLOW] > 1000);
}

// --- Window, classes, newest wins ----------------------------------------------------------------

static void test_order_stays_while_there_is_credit(void)
{
	setup();
	put(POLICE_UNKNOWN, 5, 1);
	put(POLICE_KNOWN, 5, 2);
	put(POLICE_MOVED, 5, 3);
	put(POLICE_UNKNOWN, 5, 4);
	CU_ASSERT_EQUAL(peer.n, 4);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(peer.got[i], i + 1);
	CU_ASSERT_EQUAL(punt_credit(4), 0);
	CU_ASSERT_EQUAL(punt_credit(1), -EPROTO);
	teardown();
}

static void test_better_classes_go_first(void)
{
	setup();
	fill_window();
	put(POLICE_UNKNOWN, 0, 1);
	put(POLICE_MOVED, 0, 2);
	put(POLICE_KNOWN, 0, 3);
	CU_ASSERT_EQUAL(peer.n, 0);
	punt_turn();
	CU_ASSERT_EQUAL(punt_status.waiting, 3);
	CU_ASSERT_EQUAL(punt_credit(API_PUNT_WINDOW), 0);
	punt_turn();
	CU_ASSERT_EQUAL(peer.n, 3);
	CU_ASSERT_EQUAL(peer.got[0], 3);
	CU_ASSERT_EQUAL(peer.got[1], 2);
	CU_ASSERT_EQUAL(peer.got[2], 1);
	CU_ASSERT_EQUAL(punt_status.waiting, 0);
	teardown();
}

// Strangers fill neither the window nor the queues of others.
static void test_flood_leaves_room_for_known_senders(void)
{
	setup();
	for (uint32_t i = 0; i < 10000; i++)
		put(POLICE_UNKNOWN, 0, i);
	CU_ASSERT_EQUAL(peer.n, API_PUNT_WINDOW / 2);
	for (uint32_t i = 0; i < 10000; i++)
		put(POLICE_MOVED, 0, i);
	CU_ASSERT_EQUAL(peer.n, API_PUNT_WINDOW / 4 * 3);
	put(POLICE_KNOWN, 0, 77);
	CU_ASSERT_EQUAL(peer.n, API_PUNT_WINDOW / 4 * 3 + 1);
	CU_ASSERT_EQUAL(peer.got[peer.n - 1], 77);
	CU_ASSERT_EQUAL(pump_stats.punted, peer.n);
	CU_ASSERT_EQUAL(pump_stats.drops[PUMP_DROP_punt_backlog],
		20000 - API_PUNT_WINDOW / 4 * 3 - 2 * PUNT_QUEUE_MAX);
	teardown();
}

static void test_newest_update_of_a_sender_wins(void)
{
	setup();
	fill_window();
	put(POLICE_MOVED, 41, 1);
	put(POLICE_MOVED, 43, 2);
	put(POLICE_MOVED, 41, 3);
	put(POLICE_MOVED, 0, 4);
	put(POLICE_MOVED, 0, 5); // no updates: both stay
	put(POLICE_MOVED, 41, 6);
	put(POLICE_UNKNOWN, 41, 7); // another class
	CU_ASSERT_EQUAL(pump_stats.drops[PUMP_DROP_punt_superseded], 2);
	CU_ASSERT_EQUAL(punt_credit(API_PUNT_WINDOW), 0);
	punt_turn();
	CU_ASSERT_EQUAL(peer.n, 5);
	CU_ASSERT_EQUAL(peer.got[0], 6); // in the place of the first
	CU_ASSERT_EQUAL(peer.got[1], 2);
	CU_ASSERT_EQUAL(peer.got[2], 4);
	CU_ASSERT_EQUAL(peer.got[3], 5);
	CU_ASSERT_EQUAL(peer.got[4], 7);
	teardown();
}

static void test_loss_of_control_ends_what_waits(void)
{
	setup();
	fill_window();
	for (uint32_t i = 0; i < 10; i++)
		put(POLICE_MOVED, 0, i);
	peer.is_there = false;
	punt_reset();
	CU_ASSERT_EQUAL(pump_stats.drops[PUMP_DROP_punt_no_control], 10);
	put(POLICE_KNOWN, 0, 1);
	CU_ASSERT_EQUAL(pump_stats.drops[PUMP_DROP_punt_no_control], 11);
	// The next one has the whole window and a place in the buffer when it reads.
	peer.is_there = peer.is_full = true;
	put(POLICE_KNOWN, 0, 2);
	CU_ASSERT_EQUAL(peer.n, 0);
	peer.is_full = false;
	punt_turn();
	CU_ASSERT_EQUAL(peer.n, 1);
	for (uint32_t i = 1; i < API_PUNT_WINDOW + 1; i++)
		put(POLICE_KNOWN, 0, i);
	CU_ASSERT_EQUAL(peer.n, API_PUNT_WINDOW);
	teardown();
}

// --- The measured rate ---------------------------------------------------------------------------

// Runs seconds of a control process that takes per_s while packets wait (or as many as come, demand).
static uint32_t run(
	struct punt_budget *b, uint64_t *now, unsigned int seconds, uint32_t per_s, uint32_t demand)
{
	for (unsigned int ms = 0; ms < seconds * 1000; ms++) {
		*now += NS_PER_MS;
		punt_budget_taken(b, RTE_MIN(per_s, demand) / 1000);
		punt_budget_turn(b, *now, demand > per_s);
	}
	return b->per_s;
}

static void test_rate_is_what_control_takes_under_load(void)
{
	uint64_t now = 1000 * CLOCK_NS_PER_S;
	struct punt_budget b;
	uint32_t rate;

	punt_budget_init(&b, now);
	CU_ASSERT_EQUAL(b.per_s, PUNT_RATE_START);
	rate = run(&b, &now, 3, 7000, 100000);
	CU_ASSERT(rate >= 6900 && rate <= 7200);
	rate = run(&b, &now, 3, 90000, 100000);
	CU_ASSERT(rate >= 89000 && rate <= 91000);
	// Stopped: down to the least, so that a little still comes to see whether it goes on.
	CU_ASSERT_EQUAL(run(&b, &now, 3, 0, 100000), PUNT_RATE_MIN);
	rate = run(&b, &now, 1, 90000, 100000);
	CU_ASSERT(rate >= 80000);
}

static void test_rate_grows_with_demand_only(void)
{
	uint64_t now = 1000 * CLOCK_NS_PER_S;
	struct punt_budget b;

	punt_budget_init(&b, now);
	run(&b, &now, 3, 7000, 100000);
	// Little to do tells nothing: the rate stays.
	uint32_t rate = b.per_s;

	CU_ASSERT_EQUAL(run(&b, &now, 10, 50000, rate / 20), rate);
	// A class that may bring a quarter of the rate, and does, opens it to what control can do.
	for (unsigned int ms = 0; ms < 3000; ms++) {
		now += NS_PER_MS;
		punt_budget_taken(&b, b.per_s / 4 / 1000);
		punt_budget_turn(&b, now, false);
	}
	CU_ASSERT_EQUAL(b.per_s, PUNT_RATE_MAX);
}

static void test_budgets_are_published_by_class(void)
{
	setup();
	CU_ASSERT_EQUAL(budgets[POLICE_KNOWN], PUNT_RATE_START);
	CU_ASSERT_EQUAL(budgets[POLICE_MOVED], PUNT_RATE_START / 2);
	CU_ASSERT_EQUAL(budgets[POLICE_UNKNOWN], PUNT_RATE_START / 4);
	// Control that gives no credit while packets wait is slower than was thought.
	fill_window();
	put(POLICE_KNOWN, 0, 1);
	punt_turn();
	punt.budget.turn_ns -= CLOCK_NS_PER_S;
	punt.budget.change_ns -= CLOCK_NS_PER_S;
	punt_turn();
	CU_ASSERT_EQUAL(budgets[POLICE_KNOWN], PUNT_RATE_START / 2);
	CU_ASSERT_EQUAL(budgets[POLICE_UNKNOWN], PUNT_RATE_START / 8);
	CU_ASSERT_EQUAL(punt_status.per_s, PUNT_RATE_START / 2);
	teardown();
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "queue is like the oracle", test_queue_is_like_the_oracle },
		{ "order stays while there is credit", test_order_stays_while_there_is_credit },
		{ "better classes go first", test_better_classes_go_first },
		{ "flood leaves room for known senders", test_flood_leaves_room_for_known_senders },
		{ "newest update of a sender wins", test_newest_update_of_a_sender_wins },
		{ "loss of control ends what waits", test_loss_of_control_ends_what_waits },
		{ "rate is what control takes", test_rate_is_what_control_takes_under_load },
		{ "rate grows with demand only", test_rate_grows_with_demand_only },
		{ "budgets are published by class", test_budgets_are_published_by_class },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("punt", tests);
}
