// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/bench_traffic.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_ether.h>

#include "dataplane/worker.h"

enum { PAYLOAD = 16 };

// A frame as it comes in: one header for downlink, two for uplink.
struct frame {
	struct rte_ether_hdr eth;
	struct ip6_hdr_wire ip[2];
	uint8_t payload[8 + PAYLOAD];
} __attribute__((packed, aligned(2)));

enum {
	PLAIN_LEN = sizeof(struct frame) - sizeof(struct ip6_hdr_wire), // 78 bytes
	TUNNEL_LEN = sizeof(struct frame),
};

const struct ip6 traffic_agent = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } };

static struct frame down, up, plain;

struct ip6 traffic_home(uint32_t i)
{
	struct ip6 a = { .b = { 0x20, 1, 0xd, 0xb8, 0, 1, [11] = 1 } };

	i = rte_cpu_to_be_32(i);
	memcpy(a.b + 12, &i, sizeof(i));
	return a;
}

struct ip6 traffic_care_of(uint32_t i)
{
	struct ip6 a = { .b = { 0x24, 0 } };
	// A route by multiplication: a division would weigh in the generator.
	uint16_t route =
		rte_cpu_to_be_16((uint16_t)((uint64_t)(i * 2654435761u) * TRAFFIC_ROUTES >> 32));

	memcpy(a.b + 4, &route, sizeof(route));
	i = rte_cpu_to_be_32(i);
	memcpy(a.b + 12, &i, sizeof(i));
	return a;
}

static void frame_init(
	struct frame *f, const struct rte_ether_addr *mac, bool is_up, const struct ip6 *dst)
{
	const struct ip6 cn = traffic_care_of(7);
	uint16_t payload = sizeof(f->payload);

	memset(f, 0, sizeof(*f));
	f->eth.dst_addr = *mac;
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
		f->ip[0].dst = traffic_agent;
		f->ip[1].dst = cn;
	}
}

void traffic_init(const struct rte_ether_addr *mac)
{
	frame_init(&down, mac, false, &traffic_agent);
	frame_init(&up, mac, true, &traffic_agent);
	frame_init(&plain, mac, false, &(const struct ip6){ .b = { 0x24, 0, [15] = 9 } });
	bogus_init(mac);
}

void traffic_begin(struct traffic *t, enum traffic_kind kind, uint64_t packets)
{
	t->kind = kind;
	t->left = packets;
	t->done = 0;
	t->last_tsc = 0;
	t->offer = (struct traffic_offer){ 0 };
}

void traffic_offer(struct traffic *t, double pps, unsigned int ms, enum bogus_kind bogus)
{
	uint64_t hz = rte_get_tsc_hz(), now = rte_rdtsc();

	traffic_begin(t, TRAFFIC_DOWN, UINT64_MAX);
	t->bursts = NULL;
	t->offer = (struct traffic_offer){ .interval = (double)hz / pps,
		.start_tsc = now,
		.end_tsc = now + hz / 1000 * ms,
		.bogus = bogus };
}

static inline uint32_t mobile(struct traffic *t)
{
	return t->first_mobile + traffic_random(&t->random, t->n_mobiles);
}

static inline struct frame *put(struct rte_mbuf *m, const struct frame *what, uint16_t len)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);

	memcpy(f, what, len);
	m->pkt_len = m->data_len = len;
	return f;
}

static inline void put_down(struct traffic *t, struct rte_mbuf *m)
{
	put(m, &down, PLAIN_LEN)->ip[0].dst = traffic_home(mobile(t));
}

static inline void put_up(struct traffic *t, struct rte_mbuf *m)
{
	struct frame *f = put(m, &up, TUNNEL_LEN);
	uint32_t i = mobile(t);

	f->ip[0].src = traffic_care_of(i);
	f->ip[1].src = traffic_home(i);
}

static inline void put_mixed(struct traffic *t, struct rte_mbuf *m)
{
	if (t->turn++ % 10 == 9)
		put(m, &plain, PLAIN_LEN);
	else if (t->turn % 2 == 0)
		put_down(t, m);
	else
		put_up(t, m);
}

static inline void put_bogus(struct traffic *t, struct rte_mbuf *m)
{
	bogus_put(m, t->offer.bogus, &t->random, t->n_mobiles, t->n_sas);
	t->offer.n_bogus++;
}

static void put_all(struct traffic *t, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	switch (t->kind) {
	case TRAFFIC_PLAIN:
		for (i = 0; i < n; i++)
			put(pkts[i], &plain, PLAIN_LEN);
		break;
	case TRAFFIC_DOWN:
		for (i = 0; i < n; i++)
			put_down(t, pkts[i]);
		break;
	case TRAFFIC_UP:
		for (i = 0; i < n; i++)
			put_up(t, pkts[i]);
		break;
	case TRAFFIC_BOGUS:
		for (i = 0; i < n; i++)
			put_bogus(t, pkts[i]);
		break;
	case TRAFFIC_MIXED:
		for (i = 0; i < n; i++)
			put_mixed(t, pkts[i]);
		break;
	}
}

static void meter(struct traffic *t, uint64_t now)
{
	uint64_t bin = (now - t->last_tsc) / TRAFFIC_BURST_TICK;

	if (t->last_tsc != 0 && t->bursts != NULL)
		t->bursts[RTE_MIN(bin, (uint64_t)TRAFFIC_BURST_BINS - 1)]++;
}

// How many of n packets the schedule has now; what the queue could not hold is lost.
static uint16_t arrived(struct traffic *t, uint64_t now, uint16_t n)
{
	struct traffic_offer *o = &t->offer;
	uint64_t waiting = (uint64_t)((double)(now - o->start_tsc) / o->interval) - o->position;

	if (unlikely(waiting > TRAFFIC_DESCRIPTORS)) {
		uint64_t lost = waiting - TRAFFIC_DESCRIPTORS;

		o->lost += lost;
		if (t->last_tsc != 0 &&
			now - t->last_tsc > rte_get_tsc_hz() / 1000000 * TRAFFIC_GAP_US)
			o->lost_in_gaps += lost;
		o->position += lost;
		waiting = TRAFFIC_DESCRIPTORS;
	}
	n = (uint16_t)RTE_MIN(waiting, (uint64_t)n);
	if (now > o->end_tsc)
		t->left = n;
	return n;
}

static inline void put_offered(struct traffic *t, struct rte_mbuf *m)
{
	struct traffic_offer *o = &t->offer;

	if (o->bogus != BOGUS_NONE && o->position % 2 != 0)
		put_bogus(t, m);
	else
		put_down(t, m);
	o->position++;
}

uint16_t traffic_stamp(
	uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint16_t max, void *arg)
{
	struct traffic *t = arg;
	uint64_t now = rte_rdtsc();

	(void)port;
	(void)queue;
	(void)max;
	meter(t, now);
	if (t->offer.interval > 0) {
		uint16_t here = arrived(t, now, n);

		rte_pktmbuf_free_bulk(pkts + here, n - here);
		n = here;
		for (uint16_t i = 0; i < n; i++)
			put_offered(t, pkts[i]);
	} else {
		put_all(t, pkts, n);
	}
	t->last_tsc = now;
	t->done += n;
	t->left -= RTE_MIN(t->left, (uint64_t)n);
	if (unlikely(t->left == 0))
		__atomic_store_n(&worker_stop, true, __ATOMIC_RELAXED);
	return n;
}

double traffic_burst_ns(const uint32_t *bursts, double share)
{
	uint64_t total = 0, seen = 0;

	for (unsigned int i = 0; i < TRAFFIC_BURST_BINS; i++)
		total += bursts[i];
	for (unsigned int i = 0; i < TRAFFIC_BURST_BINS; i++) {
		seen += bursts[i];
		if (total > 0 && (double)seen >= share * (double)total)
			return (i + 1) * TRAFFIC_BURST_TICK * 1e9 / (double)rte_get_tsc_hz();
	}
	return 0;
}
