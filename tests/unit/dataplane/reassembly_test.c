// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fragmenting and reassembly against each other and against hand-made fragments, with the account of
// packets and buffers after each.

#include "dataplane/worker.c"

#include <stdlib.h>

#include <rte_ethdev.h>

#include "dataplane/anchor.h"
#include "dataplane/fib.h"
#include "tests/unit/dataplane/suite.h"

struct port ports[CONFIG_MAX_LINKS];
uint16_t n_ports = 1;
uint8_t port_vlans[CONFIG_MAX_PORTS][PORT_VLANS];
bool anchor_is_filled;
uint32_t anchor_protect;
uint16_t anchor_agents_end;
const struct agent *anchor_agents[API_MAX_AGENTS];
const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];

enum { MOST_PIECES = 12 };

static struct worker *worker;
static const struct ip6 peer = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xa, [15] = 1 } };
static const struct ip6 stranger = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xb, [15] = 1 } };
static const struct ip6 agent = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } };
static const struct nexthop adjacency = { .type = NEXTHOP_ADJACENCY, .mtu = 1500, .ether_len = 14 };

int port_queue_fd(const struct port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

// No stage runs here; those of the pipeline are linked for what they share.
void fib6_lookup_bulk(uint8_t domain, const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	(void)domain;
	(void)dst;
	memset(out, 0, n * sizeof(*out));
}

void fib4_lookup_bulk(uint8_t domain, const uint32_t *dst_be, uint32_t *out, unsigned int n)
{
	(void)domain;
	(void)dst_be;
	memset(out, 0, n * sizeof(*out));
}

static void setup(void)
{
	static struct worker storage;

	if (rte_mempool_lookup("frag") == NULL)
		rte_pktmbuf_pool_create("frag", 1023, 0, PKT_PRIV_SIZE, 2304, SOCKET_ID_ANY);
	reassembly_free(storage.reassembly);
	memset(&storage, 0, sizeof(storage));
	worker = &storage;
	worker->pool = rte_mempool_lookup("frag");
	worker->now_tsc = rte_rdtsc();
	worker->reassembly = reassembly_new(200);
	CU_ASSERT_PTR_NOT_NULL_FATAL(worker->pool);
	CU_ASSERT_PTR_NOT_NULL_FATAL(worker->reassembly);
	CU_ASSERT_EQUAL_FATAL(fragment_ids_init(&worker->fragment_ids, 5, 2), 0);
}

// Every buffer is accounted for and given back.
static void teardown(void)
{
	worker->now_tsc += 60 * rte_get_tsc_hz();
	reassembly_poll(worker);
	rte_pktmbuf_free_bulk(worker->again, worker->n_again);
	worker->n_again = 0;
	CU_ASSERT_EQUAL(reassembly_held(worker->reassembly), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(worker->pool), 0);
}

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8));
}

static struct rte_mbuf *packet_make(const struct ip6 *src, uint16_t payload)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker->pool);
	struct ip6_hdr_wire *ip;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	*pkt_meta(m) = (struct pkt_meta){ 0 };
	ip = (void *)rte_pktmbuf_append(m, (uint16_t)(sizeof(*ip) + payload));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ip);
	*ip = (struct ip6_hdr_wire){
		.vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16(payload),
		.next_header = PROTO_IPV6,
		.hop_limit = 64,
		.src = *src,
		.dst = agent,
	};
	for (uint32_t i = 0; i < payload; i++)
		((uint8_t *)(ip + 1))[i] = pattern(i);
	return m;
}

// A fragment by hand: len bytes of the pattern from offset on.
static struct rte_mbuf *fragment_of(
	const struct ip6 *src, uint32_t id, uint16_t offset, uint16_t len, bool has_more)
{
	struct rte_mbuf *m = packet_make(src, (uint16_t)(len + 8));
	uint8_t *hdr = (uint8_t *)(pkt_ip6(m) + 1);
	uint16_t offset_more = rte_cpu_to_be_16((uint16_t)(offset | has_more));

	pkt_ip6(m)->next_header = PROTO_FRAGMENT;
	memset(hdr, 0, 8);
	hdr[0] = PROTO_IPV6;
	memcpy(hdr + 2, &offset_more, sizeof(offset_more));
	memcpy(hdr + 4, &id, sizeof(id));
	for (uint16_t i = 0; i < len; i++)
		hdr[8 + i] = pattern(offset + (uint32_t)i);
	return m;
}

static struct rte_mbuf *add(struct rte_mbuf *m)
{
	return reassembly_add(worker, m, sizeof(struct ip6_hdr_wire));
}

static void check_whole(struct rte_mbuf *m, uint16_t payload)
{
	uint8_t copy[9300];
	const uint8_t *bytes;
	bool is_right = true;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->pkt_len, payload + sizeof(struct ip6_hdr_wire));
	CU_ASSERT_EQUAL(rte_be_to_cpu_16(pkt_ip6(m)->payload_len_be), payload);
	CU_ASSERT_EQUAL(pkt_ip6(m)->next_header, PROTO_IPV6);
	bytes = rte_pktmbuf_read(m, sizeof(struct ip6_hdr_wire), payload, copy);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	for (uint32_t i = 0; i < payload; i++)
		is_right = is_right && bytes[i] == pattern(i);
	CU_ASSERT_TRUE(is_right);
	rte_pktmbuf_free(m);
}

// What fragment_send put out for one port, without Ethernet headers, in random order.
static unsigned int take_sent(struct rte_mbuf **out, unsigned int *seed)
{
	unsigned int n = worker->out[0].n;

	memcpy(out, worker->out[0].pkts, n * sizeof(*out));
	worker->out[0].n = 0;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int k = (unsigned int)rand_r(seed) % n;
		struct rte_mbuf *m = out[i];

		out[i] = out[k];
		out[k] = m;
	}
	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_adj(out[i], RTE_ETHER_HDR_LEN);
	return n;
}

static void test_round_trip(void)
{
	unsigned int seed = 1;

	setup();
	for (unsigned int round = 0; round < 400; round++) {
		uint16_t payload = (uint16_t)(600 + (unsigned int)rand_r(&seed) % 1300);
		uint16_t mtu = (uint16_t)(1280 - ((unsigned int)rand_r(&seed) % 100) * 8);
		struct rte_mbuf *out[2 * BURST], *whole = NULL;
		unsigned int n;

		fragment_send(worker, packet_make(&peer, payload), &adjacency, mtu);
		n = take_sent(out, &seed);
		for (unsigned int i = 0; i < n; i++) {
			CU_ASSERT(out[i]->pkt_len <= mtu);
			CU_ASSERT_PTR_NULL(whole);
			whole = add(out[i]);
		}
		check_whole(whole, payload);
	}
	CU_ASSERT_EQUAL(worker->stats.fragmented, 400);
	teardown();
}

static void test_identification(void)
{
	uint32_t last = 0;

	setup();
	for (unsigned int i = 0; i < 1000; i++) {
		uint32_t id = fragment_id_next(&worker->fragment_ids, &peer);

		CU_ASSERT_EQUAL(id >> 24, 5); // site
		CU_ASSERT_EQUAL((id >> 18) & 0x3f, 2); // worker
		if (i > 0) {
			CU_ASSERT_EQUAL(id & 0x3ffff, (last + 1) & 0x3ffff);
		}
		last = id;
	}
	teardown();
}

static void test_overlap_ends_the_packet(void)
{
	setup();
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, 0, 160, true)));
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, 152, 80, false)));
	CU_ASSERT_EQUAL(worker->stats.drops[DROP_fragment_overlap], 2);
	// An exact copy is an overlap too.
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 2, 0, 160, true)));
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 2, 0, 160, true)));
	CU_ASSERT_EQUAL(worker->stats.drops[DROP_fragment_overlap], 4);
	// Two ends, and a piece beyond the end.
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 3, 160, 80, false)));
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 3, 240, 80, false)));
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 4, 160, 80, false)));
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 4, 320, 80, true)));
	CU_ASSERT_EQUAL(worker->stats.drops[DROP_fragment_overlap], 8);
	teardown();
}

static void test_bad_fragments(void)
{
	setup();
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, 0, 153, true))); // not a multiple of 8
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, 65528, 80, false))); // beyond 65,535
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, 0, 0, true))); // empty
	CU_ASSERT_EQUAL(worker->stats.drops[DROP_fragment_bad], 3);
	teardown();
}

static void test_atomic(void)
{
	setup();
	check_whole(add(fragment_of(&peer, 1, 0, 333, false)), 333);
	CU_ASSERT_EQUAL(worker->stats.absorbed, 0);
	teardown();
}

static void test_too_many_pieces(void)
{
	setup();
	for (uint16_t i = 0; i <= MOST_PIECES; i++) {
		CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, (uint16_t)(i * 16), 16, true)));
	}
	CU_ASSERT_EQUAL(worker->stats.drops[DROP_fragment_overlap], MOST_PIECES + 1);
	teardown();
}

static void test_timeout(void)
{
	setup();
	CU_ASSERT_PTR_NULL(add(fragment_of(&peer, 1, 160, 80, false)));
	worker->now_tsc += rte_get_tsc_hz();
	reassembly_poll(worker);
	CU_ASSERT_EQUAL(reassembly_held(worker->reassembly), 1);
	worker->now_tsc += 2 * rte_get_tsc_hz();
	reassembly_poll(worker);
	CU_ASSERT_EQUAL(reassembly_held(worker->reassembly), 0);
	CU_ASSERT_EQUAL(worker->stats.drops[DROP_fragment_timeout], 1);
	teardown();
}

// A flood of first fragments of strangers, each of another packet, leaves a known peer its share.
static void test_flood_leaves_known_peers_their_share(void)
{
	unsigned int done = 0;

	setup();
	reassembly_know(worker->reassembly, &peer);
	for (uint32_t i = 0; i < 20000; i++) {
		CU_ASSERT_PTR_NULL(add(fragment_of(&stranger, 1000 + i, 0, 160, true)));
		if (i % 100 != 0)
			continue;
		CU_ASSERT_PTR_NULL(add(fragment_of(&peer, i, 0, 160, true)));
		for (uint32_t k = 0; k < 50; k++) {
			CU_ASSERT_PTR_NULL(
				add(fragment_of(&stranger, 1u << 20 | i << 6 | k, 0, 160, true)));
		}
		{
			struct rte_mbuf *m = add(fragment_of(&peer, i, 160, 80, false));

			if (m != NULL) {
				check_whole(m, 240);
				done++;
			}
		}
	}
	CU_ASSERT_EQUAL(done, 200);
	CU_ASSERT(reassembly_held(worker->reassembly) <= 200);
	teardown();
}

// Strangers have all of their share; one of them becomes known, and its packets go on coming in: they
// count as a known peer's from then on, and another stranger has room.
static void test_peer_that_becomes_known(void)
{
	static const struct ip6 other = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xc, [15] = 1 } };
	uint32_t n = 0, held;

	setup();
	while (reassembly_held(worker->reassembly) < 150 && n < 1000)
		CU_ASSERT_PTR_NULL(add(fragment_of(&stranger, n++, 0, 160, true)));
	CU_ASSERT_PTR_NULL(add(fragment_of(&other, 1, 0, 160, true)));
	CU_ASSERT_EQUAL(reassembly_held(worker->reassembly), 150);
	reassembly_know(worker->reassembly, &stranger);
	// Places are drawn: now and then one that is taken goes for the new one, and the number stays.
	for (uint32_t i = 1; i <= 10; i++)
		CU_ASSERT_PTR_NULL(add(fragment_of(&stranger, n - i, 160, 160, true)));
	held = reassembly_held(worker->reassembly);
	CU_ASSERT(held > 150 && held <= 160);
	for (uint32_t i = 1; i <= 8 && reassembly_held(worker->reassembly) == held; i++)
		CU_ASSERT_PTR_NULL(add(fragment_of(&other, i, 0, 160, true)));
	CU_ASSERT_EQUAL(reassembly_held(worker->reassembly), held + 1);
	teardown();
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "what we fragment is what we reassemble, in any order", test_round_trip },
		{ "identifications carry site and worker and do not repeat", test_identification },
		{ "overlaps and contradictions end the packet", test_overlap_ends_the_packet },
		{ "fragments against the rules", test_bad_fragments },
		{ "a fragment of its own is a packet", test_atomic },
		{ "too many pieces end the packet", test_too_many_pieces },
		{ "what is not completed in time goes", test_timeout },
		{ "a flood leaves known peers their share",
			test_flood_leaves_known_peers_their_share },
		{ "a peer that becomes known meanwhile", test_peer_that_becomes_known },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("reassembly", tests);
}
