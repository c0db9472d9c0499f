// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: fragments of many packets in any order, among peers that are known and strangers, with
// time going on between them. Input: operations of a byte and its arguments (see step). The places of
// all packets are in one set of the table, so that they fight for them.
//
// Every byte of a fragment's payload is the fragment's number, so that what comes out tells which
// fragments it was made of.
//
// Oracles: what comes out is one whole set of fragments of one packet, each at its own offset, to its
// own end, used once, and no other fragment of that packet had come between them (RFC 5722); the
// buffers held never exceed the bound, nor those of strangers theirs; strangers put nobody out who is
// known; every fragment is accounted for; nothing is held beyond its time.

#include "dataplane/reassembly.c"

#include <stdlib.h>

#include <rte_eal.h>

#include "dataplane/base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { FRAGMENTS_MAX = 250, SOURCES = 4, IDS = 16, HELD_MAX = 40 };

// A fragment that was handed in, by its number.
struct given {
	uint8_t source, id, agent;
	uint16_t offset, len;
	bool has_more;
	bool is_refused; // never taken in
	bool is_out; // in a packet that came out
};

static struct worker worker_storage, *const worker = &worker_storage;
static struct rte_mempool *pool;
static struct given given[FRAGMENTS_MAX];
static unsigned int n_given, n_out, n_errors;
static struct ip6 sources[SOURCES];
static uint32_t ids_be[IDS];

static void require(bool holds)
{
	if (!holds)
		abort();
}

// The ends of the parts around it, which only count.
void stage_icmp_error(
	struct worker *w, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
	(void)w;
	(void)code;
	require(type == ICMP6_PARAM_PROBLEM ? param < m->pkt_len : type == ICMP6_TIME_EXCEEDED);
	n_errors++;
}

uint16_t spread_fragment_worker(const struct ip6_hdr_wire *ip, uint32_t id_be)
{
	(void)ip;
	(void)id_be;
	return 0;
}

void worker_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m)
{
	(void)w;
	(void)peer;
	(void)m;
	abort(); // this worker is alone
}

void worker_fragment_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m)
{
	worker_to_peer(w, peer, m);
}

static struct ip6 agent_of(uint8_t i)
{
	return (struct ip6){ .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = i } };
}

// Sources and identifiers that all fall into one set.
static void choose_keys(const struct reassembly *r)
{
	struct ip6 source = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xa } };
	unsigned int n = 0;

	for (uint16_t i = 0; n < SOURCES; i++) {
		source.b[14] = (uint8_t)(i >> 8);
		source.b[15] = (uint8_t)i;
		if (hash_ip6(&r->seed, &source) % SETS == 0)
			sources[n++] = source;
	}
	n = 0;
	for (uint32_t id = 0; n < IDS; id++) {
		if (hash_fold(id + 1, r->seed.q[2] | 1) % SETS == 0)
			ids_be[n++] = id;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char args[][24] = { "fuzz", "--no-huge", "--no-pci", "-m", "64", "--no-telemetry",
		"--no-shconf", "--log-level=4" };
	char *eal[RTE_DIM(args)];

	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < RTE_DIM(args); i++)
		eal[i] = args[i];
	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		abort();
	pool = rte_pktmbuf_pool_create("fuzz", 1023, 0, PKT_PRIV_SIZE, 2304, SOCKET_ID_ANY);
	worker->reassembly = reassembly_new(HELD_MAX);
	if (pool == NULL || worker->reassembly == NULL)
		abort();
	for (unsigned int i = 0; i < RTE_DIM(worker->reassembly->seed.q); i++)
		worker->reassembly->seed.q[i] = 0x9e3779b97f4a7c15 * (i + 1);
	choose_keys(worker->reassembly);
	return 0;
}

// A packet with fragment number n: IPv6, hop-by-hop options or not, fragment header, its number.
static struct rte_mbuf *fragment_make(unsigned int n, bool has_options, unsigned int *at)
{
	const struct given *g = &given[n];
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint16_t head = sizeof(struct ip6_hdr_wire) + (has_options ? 8 : 0);
	struct ip6_hdr_wire *ip;
	uint8_t *hdr;

	require(m != NULL);
	ip = (void *)rte_pktmbuf_append(m, (uint16_t)(head + 8 + g->len));
	memset(ip, n, head + 8u + g->len);
	*ip = (struct ip6_hdr_wire){
		.vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16((uint16_t)(head + 8 + g->len - sizeof(*ip))),
		.next_header = has_options ? PROTO_HOPOPTS : PROTO_FRAGMENT,
		.src = sources[g->source],
		.dst = agent_of(g->agent),
	};
	hdr = (uint8_t *)ip + head;
	if (has_options)
		memcpy(ip + 1, (const uint8_t[]){ PROTO_FRAGMENT, 0, 1, 4, 0, 0, 0, 0 }, 8);
	hdr[0] = PROTO_IPV6;
	hdr[1] = 0;
	hdr[2] = (uint8_t)(g->offset >> 8);
	hdr[3] = (uint8_t)(g->offset | g->has_more);
	memcpy(hdr + 4, &ids_be[g->id], 4);
	*pkt_meta(m) = (struct pkt_meta){ 0 };
	*at = head;
	return m;
}

static bool is_of_one_packet(const struct given *a, const struct given *b)
{
	return a->source == b->source && a->id == b->id && a->agent == b->agent;
}

// Checks a packet that came out when fragment `last` went in. Frees it.
static void check_whole(struct rte_mbuf *m, unsigned int last)
{
	static uint8_t copy[UINT16_MAX + 64];
	const uint8_t *packet = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	const struct ip6_hdr_wire *ip = (const void *)packet;
	unsigned int at = ip->next_header == PROTO_HOPOPTS ? 48 : 40, first = last, pieces = 0;
	const struct ip6 source = sources[given[last].source], agent = agent_of(given[last].agent);

	require((at == 40 ? ip->next_header : packet[40]) == PROTO_IPV6);
	require(ip6_eq(&ip->src, &source) && ip6_eq(&ip->dst, &agent));
	require(m->pkt_len > at &&
		sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len_be) == m->pkt_len);
	for (unsigned int head = at; at < m->pkt_len; pieces++) {
		unsigned int n = packet[at];
		struct given *g = &given[n];

		require(n < n_given && !g->is_out && !g->is_refused);
		require(is_of_one_packet(g, &given[last]) && at - head == g->offset);
		require(at + g->len <= m->pkt_len && g->has_more == (at + g->len < m->pkt_len));
		for (unsigned int i = 0; i < g->len; i++)
			require(packet[at + i] == n);
		g->is_out = true;
		first = RTE_MIN(first, n);
		at += g->len;
	}
	require(given[last].is_out && pieces <= PIECES);
	for (unsigned int n = pieces > 1 ? first : last; n < n_given; n++)
		require(given[n].is_out || given[n].is_refused ||
			!is_of_one_packet(&given[n], &given[last]));
	rte_pktmbuf_free(m);
	n_out++;
}

static uint32_t held_of_known(void)
{
	return worker->reassembly->held - worker->reassembly->held_strange;
}

static void check_bounds(void)
{
	const struct reassembly *r = worker->reassembly;
	uint64_t sum = n_out + worker->stats.absorbed + r->held;

	for (unsigned int i = 0; i < DROP_MAX; i++)
		sum += worker->stats.drops[i];
	require(sum == n_given);
	require(r->held <= HELD_MAX && r->held_strange <= HELD_MAX - HELD_MAX / 4);
	require(rte_mempool_in_use_count(pool) == r->held);
}

// Hands in a fragment: 1 byte source, agent, options and more; 1 id and scale; 1 offset; 1 length.
static void give(struct rcursor *c)
{
	uint8_t who = rcursor_u8(c), id = rcursor_u8(c), offset = rcursor_u8(c),
		len = rcursor_u8(c);
	const uint64_t *drops = worker->stats.drops;
	uint64_t refused = drops[DROP_fragment_bad] + drops[DROP_fragment_no_room];
	uint64_t evicted = drops[DROP_fragment_evicted];
	uint32_t known = held_of_known();
	struct rte_mbuf *m, *whole;
	unsigned int at, n = n_given;
	struct ip6 source;

	if (!c->ok || n == FRAGMENTS_MAX)
		return;
	given[n] = (struct given){
		.source = who & 3,
		.agent = who >> 2 & 1,
		.has_more = who >> 4 & 1,
		.id = id & 0xf,
		.offset = (uint16_t)(id >> 7 ? offset * 256 : offset * 8),
		.len = (uint16_t)((len & 0x7f) * 8 + (len >> 7 ? (len & 7) : 0)),
	};
	source = sources[given[n].source];
	n_given++;
	m = fragment_make(n, who >> 3 & 1, &at);
	whole = reassembly_add(worker, m, at);
	given[n].is_refused = drops[DROP_fragment_bad] + drops[DROP_fragment_no_room] != refused;
	if (whole != NULL)
		check_whole(whole, n);
	if (drops[DROP_fragment_evicted] != evicted && !is_known(worker->reassembly, &source))
		require(held_of_known() >= known);
	check_bounds();
}

// One operation: what its byte says, and that takes what it needs.
static void step(struct rcursor *c)
{
	uint8_t op = rcursor_u8(c);
	struct ip6 source = sources[op >> 3 & 3];

	switch (op & 7) {
	case 6:
		reassembly_know(worker->reassembly, &source);
		break;
	case 7: // up to 3.1 s
		worker->now_tsc += (op >> 3) * (rte_get_tsc_hz() / 10);
		reassembly_poll(worker);
		check_bounds();
		break;
	default:
		give(c);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rcursor c = rcursor_make(data, size);

	memset(&worker->stats, 0, sizeof(worker->stats));
	memset(worker->reassembly->known, 0, sizeof(worker->reassembly->known));
	n_given = n_out = n_errors = 0;
	worker->now_tsc += rte_get_tsc_hz();
	while (rcursor_left(&c) > 0 && c.ok)
		step(&c);
	worker->now_tsc += (TIMEOUT_MS + 2 * POLL_MS) * (rte_get_tsc_hz() / 1000);
	reassembly_poll(worker);
	require(reassembly_held(worker->reassembly) == 0);
	check_bounds();
	require(n_errors <= n_given);
	return 0;
}
