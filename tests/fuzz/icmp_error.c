// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: the errors that a worker makes about packets: ICMPv6, ICMPv4, Binding Errors. Input: a
// byte that says which error and how the buffer is cut into segments, a byte of flags, then the packet
// from its IP header on.
//
// Oracles: at most one error for a packet, of at most 1280 (ICMPv4: 576) bytes, longer than the packet
// by no more than its own headers, to the packet's source, with a right checksum, quoting the packet
// from its beginning; a slow reference says about which packets there is none (RFC 4443 2.4 (e), RFC
// 1812 4.3.2.7); never more than the budget.

#include "dataplane/worker.c"

#include <stdlib.h>

#include <rte_eal.h>
#include <rte_ip.h>

#include "dataplane/anchor.h"
#include "dataplane/police.h"
#include "dataplane/fib.h"
#include "dataplane/base/cksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	PACKET_MAX = 1900,
	HEAD6 = 40,
	HEAD4 = 20,
	ICMP_HEAD = 8,
	BUDGET = POLICE_RECEIVER_BURST,
	ASKED = 120,
};

struct port ports[CONFIG_MAX_LINKS];
uint16_t n_ports = 1;
uint8_t port_vlans[CONFIG_MAX_PORTS][PORT_VLANS];
const struct agent *anchor_agents[API_MAX_AGENTS];
const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];
bool anchor_is_filled;
uint32_t anchor_protect;
uint16_t anchor_agents_end;
const struct nexthop **nexthop_table;

static struct worker storage, *const worker = &storage;
static const struct ip6 router = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xa, [15] = 0xff } };
static const uint8_t router4[4] = { 10, 4, 0, 1 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

// No stage runs here that looks for routes.
void fib6_lookup_bulk(uint8_t domain, const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	(void)domain;
	(void)dst;
	(void)out;
	(void)n;
	abort();
}

void fib4_lookup_bulk(uint8_t domain, const uint32_t *dst_be, uint32_t *out, unsigned int n)
{
	(void)domain;
	(void)dst_be;
	(void)out;
	(void)n;
	abort();
}

int port_queue_fd(const struct port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char args[][24] = { "fuzz", "--no-huge", "--no-pci", "-m", "64", "--no-telemetry",
		"--no-shconf", "--log-level=4" };
	char *eal[RTE_DIM(args)];
	uint32_t source4;

	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < RTE_DIM(args); i++)
		eal[i] = args[i];
	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		abort();
	worker->pool = rte_pktmbuf_pool_create("fuzz", 511, 0, PKT_PRIV_SIZE, 2176, SOCKET_ID_ANY);
	if (worker->pool == NULL || police_init(rte_get_tsc_hz()) != 0)
		abort();
	stage_icmp_source_set(0, &router);
	memcpy(&source4, router4, sizeof(source4));
	stage_ip4_source_set(0, source4);
	return 0;
}

// A buffer with the packet, cut in two at `cut` when that is in it.
static struct rte_mbuf *packet_make(const uint8_t *bytes, size_t len, size_t cut)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker->pool);
	size_t first = cut >= HEAD6 && cut < len ? cut : len;

	require(m != NULL);
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), bytes, first);
	if (first < len) {
		struct rte_mbuf *rest = rte_pktmbuf_alloc(worker->pool);

		require(rest != NULL);
		memcpy(rte_pktmbuf_append(rest, (uint16_t)(len - first)), bytes + first,
			len - first);
		require(rte_pktmbuf_chain(m, rest) == 0);
	}
	return m;
}

static bool is_one_node6(const uint8_t *address)
{
	static const uint8_t loopback[16] = { [15] = 1 }, any[16];

	return address[0] != 0xff && memcmp(address, loopback, 16) != 0 &&
	       memcmp(address, any, 16) != 0 && (address[0] != 0xfe || address[1] >> 6 != 2);
}

// Whether the packet is, as far as its first segment tells, an ICMPv6 error or a redirect.
static bool is_error6(const uint8_t *p, size_t len)
{
	size_t at = HEAD6;
	uint8_t type = p[6];

	while ((type == PROTO_HOPOPTS || type == PROTO_DSTOPTS || type == PROTO_ROUTING) &&
		at + 8 <= len) {
		type = p[at];
		at += 8 + 8 * (size_t)p[at + 1];
	}
	if (type == PROTO_FRAGMENT && at < len)
		return p[at] == PROTO_ICMP6;
	return type == PROTO_ICMP6 && at < len && (p[at] < 128 || p[at] == ICMP6_REDIRECT);
}

static void check_error6(struct rte_mbuf *error, const uint8_t *p, size_t len)
{
	const uint8_t *e = rte_pktmbuf_mtod(error, const uint8_t *);
	size_t quoted = error->pkt_len - HEAD6 - ICMP_HEAD, room = 1280 - HEAD6 - ICMP_HEAD;
	const struct ip6_hdr_wire *ip = (const void *)e;

	require(error->nb_segs == 1 && error->pkt_len <= 1280 && quoted == RTE_MIN(len, room));
	require(memcmp(e + 24, p + 8, 16) == 0 && ip6_eq(&ip->src, &router));
	require(memcmp(e + HEAD6 + ICMP_HEAD, p, quoted) == 0 && e[6] == PROTO_ICMP6);
	require((size_t)(e[4] << 8 | e[5]) == quoted + ICMP_HEAD);
	require(cksum_ip6(&ip->src, &ip->dst, PROTO_ICMP6, e + HEAD6, quoted + ICMP_HEAD) == 0);
}

static void check_binding_error(struct rte_mbuf *error, const uint8_t *p)
{
	const uint8_t *e = rte_pktmbuf_mtod(error, const uint8_t *);
	const struct ip6_hdr_wire *ip = (const void *)e;

	require(error->pkt_len == HEAD6 + 24 && e[6] == PROTO_MH && e[HEAD6 + 2] == 7);
	require(memcmp(e + 8, p + 24, 16) == 0 && memcmp(e + 24, p + 8, 16) == 0);
	require(cksum_ip6(&ip->src, &ip->dst, PROTO_MH, e + HEAD6, 24) == 0);
}

static void check_error4(struct rte_mbuf *error, const uint8_t *p, size_t len)
{
	const uint8_t *e = rte_pktmbuf_mtod(error, const uint8_t *);
	size_t quoted = error->pkt_len - HEAD4 - ICMP_HEAD, room = 576 - HEAD4 - ICMP_HEAD;

	require(error->nb_segs == 1 && error->pkt_len <= 576 && quoted == RTE_MIN(len, room));
	require(memcmp(e + 12, router4, 4) == 0 && memcmp(e + 16, p + 12, 4) == 0);
	require(e[9] == PROTO_ICMP4 && (size_t)(e[2] << 8 | e[3]) == error->pkt_len);
	require(memcmp(e + HEAD4 + ICMP_HEAD, p, quoted) == 0);
	require(rte_raw_cksum(e, HEAD4) == 0xffff &&
		rte_raw_cksum(e + HEAD4, quoted + ICMP_HEAD) == 0xffff);
}

static bool is_one_node4(const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool may_be_told4(const uint8_t *p, size_t len)
{
	size_t at = (p[0] & 0xf) * 4u;

	if (!is_one_node4(p + 12) || !is_one_node4(p + 16) || (p[6] & 0x1f) != 0 || p[7] != 0)
		return false;
	if (p[9] != PROTO_ICMP4)
		return true;
	return at < len && p[at] != 3 && p[at] != 4 && p[at] != 5 && p[at] != 11 && p[at] != 12;
}

// Takes the errors that were made. Returns: how many, each checked.
static unsigned int take_errors(uint8_t kind, const uint8_t *p, size_t len)
{
	unsigned int n = worker->n_again;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *error = worker->again[i];

		require(pkt_meta(error)->flags == PKT_LOCAL_ORIGIN && pkt_meta(error)->domain == 3);
		if (kind == 0)
			check_error6(error, p, len);
		else if (kind == 1)
			check_binding_error(error, p);
		else
			check_error4(error, p, len);
		rte_pktmbuf_free(error);
	}
	worker->n_again = 0;
	return n;
}

static void ask(uint8_t kind, struct rte_mbuf *m)
{
	const struct ip6 home = { .b = { 0x20, 1, 0xd, 0xb8, [15] = 5 } };

	if (kind == 0)
		stage_icmp_error(worker, m, ICMP6_UNREACH, ICMP6_UNREACH_ADDRESS, 0);
	else if (kind == 1)
		stage_binding_error(worker, m, &home);
	else
		stage_ip4_error(worker, m, ICMP4_UNREACH, 1, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t kind, flags;
	const uint8_t *p = data + 2;
	size_t len = size - 2;
	unsigned int n, more = 0;
	struct rte_mbuf *m;

	if (size < 2 + HEAD6 || len > PACKET_MAX)
		return 0;
	kind = data[0] & 3;
	flags = data[1] & (PKT_LOCAL_ORIGIN | PKT_FROM_HOST);
	if (kind == 3 || (kind == 2 && ((p[0] & 0xf) * 4u < HEAD4 || (p[0] & 0xf) * 4u > len)))
		return 0; // classify lets none of these pass
	memset(&worker->stats, 0, sizeof(worker->stats));
	worker->now_tsc += rte_get_tsc_hz();
	m = packet_make(p, len, (data[0] >> 2) * 8u);
	*pkt_meta(m) = (struct pkt_meta){ .flags = flags, .domain = 3 };
	ask(kind, m);
	n = take_errors(kind, p, len);
	require(n <= 1 && n == worker->stats.made && n + worker->stats.icmp_suppressed == 1);
	if (n == 1 && kind == 2)
		require(may_be_told4(p, m->data_len) && !(flags & PKT_LOCAL_ORIGIN));
	else if (n == 1)
		require(is_one_node6(p + 8) && p[24] != 0xff && !is_error6(p, m->data_len) &&
			flags != PKT_LOCAL_ORIGIN);
	else if (kind == 2)
		require(!may_be_told4(p, m->data_len) || (flags & PKT_LOCAL_ORIGIN));
	for (unsigned int i = 1; i < ASKED; i++) {
		ask(kind, m);
		more += take_errors(kind, p, len);
	}
	require(n + more <= BUDGET && (n == 0 ? more == 0 : n + more == BUDGET));
	rte_pktmbuf_free(m);
	require(rte_mempool_in_use_count(worker->pool) == 0);
	return 0;
}
