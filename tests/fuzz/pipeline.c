// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: raw frames through the stages of a real worker, over a fixed set of bindings and
// routes. Input: frames, each behind its 16-bit length; with its highest bit the frame's packet is one that our
// own kernel sends to a home address. Each frame lies in memory of exactly its size
// (with the headroom of a receive buffer before it), so that a read beyond it is caught.
//
// Oracles: every packet is accounted for; what leaves encapsulated goes to the care-of address of
// exactly its inner destination, from its agent; what leaves out of a tunnel is from a bound source
// whose care-of address was the outer source; all lengths add up; nothing that belongs to
// one link leaves on another.

#include "dataplane/worker.c"

#include <stdlib.h>

#include <rte_eal.h>
#include <rte_ip.h>

#include "dataplane/anchor.h"
#include "dataplane/fib.h"
#include "dataplane/base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { HOMES = 8, OF_HOST = 0x8000, HEADROOM = RTE_PKTMBUF_HEADROOM, FRAMES_MAX = 16, VLAN = 7 };

// Next hops by number, as the stand-in FIB below answers.
enum {
	NH_NONE,
	NH_LOCAL,
	NH_HOME,
	NH_ADJACENCY,
	NH_GLEAN,
	NH_DROP,
	NH_GROUP,
	NH_IP4,
	NH_NARROW,
	NH_MAX
};

struct port ports[CONFIG_MAX_LINKS];
uint16_t n_ports = 1;
uint8_t port_vlans[CONFIG_MAX_PORTS][PORT_VLANS];
const struct agent *anchor_agents[API_MAX_AGENTS];
const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];
bool anchor_is_filled = true;
uint32_t anchor_protect;
uint16_t anchor_agents_end;
const struct nexthop **nexthop_table;

static const struct nexthop nexthops[NH_MAX] = {
	[NH_NONE] = { .type = NEXTHOP_NO_ROUTE },
	[NH_LOCAL] = { .type = NEXTHOP_LOCAL },
	[NH_HOME] = { .type = NEXTHOP_HOME, .home_prefix = 1, .key_len = 128 },
	[NH_ADJACENCY] = { .type = NEXTHOP_ADJACENCY,
		.mtu = 1500,
		.ether = { [12] = 0x86, 0xdd },
		.ether_len = 14 },
	[NH_GLEAN] = { .type = NEXTHOP_GLEAN, .mtu = 1400, .on_link = 1 },
	[NH_DROP] = { .type = NEXTHOP_DROP },
	[NH_IP4] = { .type = NEXTHOP_ADJACENCY,
		.mtu = 1500,
		.ether = { [12] = 0x08, 0x00 },
		.ether_len = 14 },
	[NH_NARROW] = { .type = NEXTHOP_ADJACENCY,
		.mtu = 300,
		.ether = { [12] = 0x81, 0x00, 0, VLAN, 0x08, 0x00 },
		.ether_len = 18 },
	[NH_GROUP] = { .type = NEXTHOP_GROUP,
		.n_members = 2,
		.members = { NH_ADJACENCY, NH_GLEAN } },
};
static const struct nexthop *nexthop_slots[NH_MAX];

static const struct ip6 agent_address = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } };
static struct worker *worker;

// 2001:db8:1::/64 home (::1 the agent), :a:: and :b:: reachable, :c:: dropped, :d:: multipath.
void fib6_lookup_bulk(uint8_t domain, const struct ip6 *dst, uint32_t *out, unsigned int n)
{
	static const uint8_t block[5] = { 0x20, 1, 0xd, 0xb8, 0 };

	for (unsigned int i = 0; i < n; i++) {
		out[i] = domain == 0 ? NH_NONE : NH_LOCAL;
		if (domain != 0 || memcmp(dst[i].b, block, sizeof(block)) != 0)
			continue;
		switch (dst[i].b[5]) {
		case 1:
			out[i] = ip6_eq(&dst[i], &agent_address) ? NH_LOCAL : NH_HOME;
			break;
		case 0xa:
			out[i] = NH_ADJACENCY;
			break;
		case 0xb:
			out[i] = NH_GLEAN;
			break;
		case 0xc:
			out[i] = NH_DROP;
			break;
		case 0xd:
			out[i] = NH_GROUP;
			break;
		}
	}
}

// 10/8 reachable, 10.1/16 too but over a narrow VLAN, 10.2/16 unresolved, 10.3/16 dropped, 10.4/16 ours.
// Domain 1, that of the VLAN, has routes of its own.
void fib4_lookup_bulk(uint8_t domain, const uint32_t *dst_be, uint32_t *out, unsigned int n)
{
	static const uint32_t second[] = { NH_IP4, NH_NARROW, NH_GLEAN, NH_DROP, NH_LOCAL };

	for (unsigned int i = 0; i < n; i++) {
		uint32_t dst = rte_be_to_cpu_32(dst_be[i]);
		uint8_t block = dst >> 16 & 0xff;

		out[i] = dst >> 24 != 10 ? NH_NONE
			 : domain == 1   ? NH_NARROW
					 : second[block < RTE_DIM(second) ? block : 0];
	}
}

int port_queue_fd(const struct port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

static struct ip6 home_of(uint8_t i)
{
	return (struct ip6){ .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [14] = 1, [15] = i } };
}

// 1..4 on a reachable link, 5 unresolved, 6 multipath, 7 behind mobile 1, 8 without a route.
static struct ip6 care_of_of(uint8_t i)
{
	static const uint8_t block[HOMES + 1] = { 0, 0xa, 0xa, 0xa, 0xa, 0xb, 0xd, 1, 0xee };

	if (i == 7)
		return home_of(1);
	return (struct ip6){ .b = { 0x20, 1, 0xd, 0xb8, 0, block[i], [15] = i } };
}

static void retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	(void)ctx;
	(void)handle;
	(void)entry;
}

static void anchors_init(void)
{
	static struct agent limited,
		agent = { .outer = { .next_header = PROTO_IPV6, .hop_limit = 64 } };
	static struct api_home_prefix_set home = {
		.home_prefix = 1, .key_len = 128, .prefix_len = 64
	};

	agent.outer.vtc_flow_be = rte_cpu_to_be_32(6u << 28);
	agent.outer.src = agent_address;
	anchor_agents[0] = &agent;
	limited = agent;
	limited.has_encap_limit = true;
	limited.encap_limit = 1;
	anchor_agents[1] = &limited;
	home.prefix = agent_address;
	ip6_mask(&home.prefix, 64);
	anchor_home_prefixes[1] = &home;
	for (unsigned int i = 0; i < NH_MAX; i++)
		nexthop_slots[i] = &nexthops[i];
	nexthop_table = nexthop_slots;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char args[][24] = { "fuzz", "--no-huge", "--no-pci", "-m", "64", "--no-telemetry",
		"--no-shconf", "--vdev=net_null0", "--log-level=4" };
	char *eal[RTE_DIM(args)];
	const struct ip6 source = { .b = { 0x20, 1, 0xd, 0xb8, 0, 0xa, [15] = 0xff } };
	const struct rte_eth_conf conf = { 0 };

	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < RTE_DIM(args); i++)
		eal[i] = args[i];
	if (rte_eal_init(RTE_DIM(eal), eal) < 0 || rcu_init(1) != 0)
		abort();
	anchors_init();
	worker = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*worker));
	if (worker == NULL)
		abort();
	memset(worker, 0, sizeof(*worker));
	worker->pool = rte_pktmbuf_pool_create("fuzz", 2047, 0, PKT_PRIV_SIZE, 2176, SOCKET_ID_ANY);
	worker->bindings = bindtab_new(64, retired, NULL);
	worker->reassembly = reassembly_new(200);
	if (worker->reassembly == NULL || fragment_ids_init(&worker->fragment_ids, 3, 1) != 0 ||
		worker->pool == NULL || main_rings_init(worker) != 0 || worker->bindings == NULL ||
		rte_eth_dev_configure(0, 0, 1, &conf) != 0 ||
		rte_eth_tx_queue_setup(0, 0, 64, 0, NULL) != 0 || rte_eth_dev_start(0) != 0)
		abort();
	for (uint8_t i = 1; i <= HOMES; i++) {
		const struct binding b = {
			.care_of = care_of_of(i), .home_prefix = 1, .agent = i == 4 || i == 7
		};
		const struct ip6 home = home_of(i);
		union bindtab_key key;

		bindtab_key_make(&key, &home, 1, 128);
		if (bindtab_set(worker->bindings, &key, i, &b) != 0)
			abort();
	}
	ports[0].mac = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	stage_icmp_source_set(0, &source);
	stage_ip4_source_set(0, rte_cpu_to_be_32(0x0a040001));
	ports[1] = ports[0];
	ports[1].index = 1;
	ports[1].vlan = VLAN;
	ports[1].domain = 1;
	port_vlans[0][VLAN] = 1;
	return 0;
}

static void ext_free(void *addr, void *opaque)
{
	(void)opaque;
	free(addr);
}

static struct rte_mbuf *frame_make(const uint8_t *bytes, uint16_t len)
{
	static struct rte_mbuf_ext_shared_info infos[4096];
	static unsigned int next;
	struct rte_mbuf_ext_shared_info *info = &infos[next++ % RTE_DIM(infos)];
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker->pool);
	uint8_t *buf = malloc(HEADROOM + (size_t)len);

	if (m == NULL || buf == NULL)
		abort();
	memcpy(buf + HEADROOM, bytes, len);
	info->free_cb = ext_free;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, buf, 0, (uint16_t)(HEADROOM + len), info);
	m->data_off = HEADROOM;
	m->data_len = len;
	m->pkt_len = len;
	return m;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

static uint64_t packets_of(void)
{
	uint64_t sum = worker->stats.tx + worker->stats.to_main + worker->stats.absorbed +
		       worker->n_again + reassembly_held(worker->reassembly);

	for (unsigned int r = 0; r < DROP_MAX; r++)
		sum += worker->stats.drops[r];
	return sum;
}

// What an outer header of ours carries is for the mobile at its destination.
static void check_encapsulated(const struct ip6_hdr_wire *out, uint32_t len, bool is_of_host)
{
	const struct ip6_hdr_wire *in = out + 1;
	const uint8_t *fragment = (const uint8_t *)in;
	bool is_right = false;

	if (out->next_header == PROTO_FRAGMENT) {
		require((fragment[0] == PROTO_IPV6 || fragment[0] == PROTO_DSTOPTS) &&
			fragment[4] == 3); // our site
		if (fragment[2] != 0 || (fragment[3] & 0xf8) != 0)
			return;
		in = (const void *)(fragment + (fragment[0] == PROTO_IPV6 ? 8 : 16));
	} else if (out->next_header == PROTO_DSTOPTS) {
		static const uint8_t limit[] = { PROTO_IPV6, 0, DSTOPT_ENCAP_LIMIT, 1 };

		require(memcmp(in, limit, sizeof(limit)) == 0 && len >= 2 * sizeof(*out) + 8);
		in = (const void *)((const uint8_t *)in + 8);
	} else {
		require(out->next_header == PROTO_IPV6);
	}

	require(len >= 2 * sizeof(*out) && out->hop_limit == 64 &&
		ip6_eq(&out->src, &agent_address));
	for (uint8_t i = 1; i <= HOMES; i++) {
		const struct ip6 home = home_of(i), care_of = care_of_of(i);

		is_right = is_right || (ip6_eq(&in->dst, &home) && ip6_eq(&out->dst, &care_of));
	}
	require(is_right && (is_of_host || ip6_is_unicast_routable(&in->src)));
}

static bool is_routed(struct rte_mbuf *m, const struct ip6_hdr_wire *ip)
{
	return (pkt_meta(m)->flags & PKT_FROM_HOST) && pkt_meta(m)->n_encaps == 0 &&
	       ip->dst.b[5] != 1; // else it was to none of our homes
}

// What our kernel sent to a mobile is for that mobile at its care-of address.
static void check_routed(const struct ip6_hdr_wire *ip, uint32_t len)
{
	const uint8_t *routing = (const uint8_t *)(ip + 1);
	bool is_right = false;

	if (ip->next_header == PROTO_HOPOPTS) {
		require(len >= sizeof(*ip) + 8 && routing[0] == PROTO_ROUTING);
		routing += 8 + 8 * routing[1];
	} else {
		require(ip->next_header == PROTO_ROUTING);
	}
	require(routing + 24 <= (const uint8_t *)ip + len && routing[1] == 2 &&
		routing[2] == ROUTING_TYPE2 && routing[3] == 1);
	for (uint8_t i = 1; i <= HOMES; i++) {
		const struct ip6 home = home_of(i), care_of = care_of_of(i);

		is_right = is_right || (memcmp(routing + 8, &home, sizeof(home)) == 0 &&
					       ip6_eq(&ip->dst, &care_of));
	}
	require(is_right);
}

// What leaves as IPv4 is whole, within the MTU, and its checksum is right.
static void check_sent4(struct rte_mbuf *m)
{
	uint8_t copy[2048];
	const uint8_t *frame = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	bool is_tagged = frame[12] == 0x81;
	unsigned int head = is_tagged ? 18 : 14, len = m->pkt_len - head;
	const struct ip4_hdr_wire *ip = (const void *)(frame + head);

	require(frame[head - 2] == 0x08 && frame[head - 1] == 0x00 && len >= sizeof(*ip));
	require(!is_tagged || (frame[15] == VLAN && len <= 300));
	require(ip->version_ihl >> 4 == 4 && (ip->version_ihl & 0xf) >= 5 &&
		rte_be_to_cpu_16(ip->total_len_be) == len && ip->ttl > 0 &&
		rte_raw_cksum(ip, (ip->version_ihl & 0xfu) * 4) == 0xffff);
}

static bool is_sent4(struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	return frame[12] != 0x86;
}

// What is forwarded for others comes from and goes to nodes beyond one link: neither neighbour
// discovery nor router advertisements or anything else of a link gets to another (RFC 4291 2.5.6).
static void check_scope(struct rte_mbuf *m, const struct ip6_hdr_wire *ip)
{
	if (pkt_meta(m)->flags & (PKT_LOCAL_ORIGIN | PKT_FROM_HOST))
		return;
	require(ip6_is_unicast_routable(&ip->src) && ip6_is_unicast_routable(&ip->dst));
}

static void check_sent(struct rte_mbuf *m)
{
	const struct ip6_hdr_wire *ip =
		rte_pktmbuf_mtod_offset(m, const struct ip6_hdr_wire *, RTE_ETHER_HDR_LEN);

	require(m->pkt_len >= RTE_ETHER_HDR_LEN + sizeof(*ip) && m->pkt_len <= 1514);
	require(rte_be_to_cpu_16(ip->payload_len_be) + sizeof(*ip) ==
		m->pkt_len - RTE_ETHER_HDR_LEN);
	check_scope(m, ip);
	if (is_routed(m, ip))
		check_routed(ip, m->pkt_len - RTE_ETHER_HDR_LEN);
	else if (pkt_meta(m)->n_encaps > 0)
		check_encapsulated(ip, m->pkt_len - RTE_ETHER_HDR_LEN,
			pkt_meta(m)->flags & (PKT_LOCAL_ORIGIN | PKT_FROM_HOST));
}

// A decapsulated packet still has its outer header in front: the two must belong to one binding.
static void check_tunnelled(struct rte_mbuf *m)
{
	const struct ip6_hdr_wire *in = pkt_ip6(m);
	bool is_right = false;

	for (uint8_t i = 1; i <= HOMES; i++) {
		const struct ip6 home = home_of(i), care_of = care_of_of(i);

		is_right = is_right ||
			   (ip6_eq(&in->src, &home) && ip6_eq(&pkt_priv(m)->outer_src, &care_of));
	}
	require(is_right && ip6_eq(&pkt_priv(m)->outer_dst, &agent_address));
}

static void drain_main(struct rte_ring *ring)
{
	void *pkts[BURST];
	unsigned int n;

	while ((n = rte_ring_sc_dequeue_burst(ring, pkts, BURST, NULL)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			struct rte_mbuf *m = pkts[i];

			if (pkt_meta(m)->kind == PKT_PUNT && (pkt_meta(m)->flags & PKT_TUNNELLED))
				check_tunnelled(m);
			rte_pktmbuf_free(m);
		}
	}
}

static void drain(void)
{
	for (unsigned int class = 0; class < MAIN_CLASSES; class ++)
		drain_main(worker->to_main[class]);
	for (uint16_t i = 0; i < worker->out[0].n; i++) {
		if (is_sent4(worker->out[0].pkts[i]))
			check_sent4(worker->out[0].pkts[i]);
		else
			check_sent(worker->out[0].pkts[i]);
	}
	out_flush(worker, 0);
}

// Puts the packet of a frame into the pipeline as the main lcore does. Moves m. False: no such packet.
static bool host_send(struct rte_mbuf *m)
{
	const struct ip6_hdr_wire *ip = (void *)rte_pktmbuf_adj(m, RTE_ETHER_HDR_LEN);

	if (m->data_len < sizeof(*ip) || ip->vtc_flow_be << 24 >> 28 != 6 ||
		rte_be_to_cpu_16(ip->payload_len_be) + sizeof(*ip) != m->data_len ||
		ip->dst.b[5] != 1 || ip6_eq(&ip->dst, &agent_address)) {
		rte_pktmbuf_free(m);
		return false;
	}
	*pkt_meta(m) = (struct pkt_meta){ .flags = PKT_LOCAL_ORIGIN | PKT_FROM_HOST };
	lane_add(&worker->route, m, NULL);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rcursor c = rcursor_make(data, size);
	struct rte_mbuf *pkts[FRAMES_MAX];
	unsigned int n = 0, n_host = 0;
	uint64_t made;

	memset(&worker->stats, 0, sizeof(worker->stats));
	worker->now_tsc += rte_get_tsc_hz(); // a full error budget
	while (n + n_host < FRAMES_MAX && rcursor_left(&c) > 2) {
		uint16_t head = rcursor_u16(&c);
		uint16_t len = RTE_MIN((uint16_t)(head & ~OF_HOST), (uint16_t)2000);

		len = (uint16_t)RTE_MIN((size_t)len, rcursor_left(&c));
		if (len < RTE_ETHER_HDR_LEN)
			break;
		if (head & OF_HOST)
			n_host += host_send(frame_make(rcursor_bytes(&c, len), len));
		else
			pkts[n++] = frame_make(rcursor_bytes(&c, len), len);
	}
	if (n_host > 0)
		run_stages(worker);
	if (n > 0)
		stage_classify(worker, 0, pkts, n);
	run_stages(worker);
	n += n_host;
	drain();
	while (take_again(worker) > 0)
		drain();
	made = worker->stats.made;
	require(n + made == packets_of());
	// What waits for the rest of its packet goes when its time is over.
	worker->now_tsc += 10 * rte_get_tsc_hz();
	reassembly_poll(worker);
	while (take_again(worker) > 0)
		drain();
	require(n + worker->stats.made == packets_of());
	require(rte_mempool_in_use_count(worker->pool) == 0);
	return 0;
}
