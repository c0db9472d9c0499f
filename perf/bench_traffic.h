// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The benchmark's generator: a receive callback that fills what net_null hands out with frames of
// random mobiles, measures the time between bursts, and stops the worker when its round is over.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "dataplane/base/wire.h"
#include "perf/bench_bogus.h"

enum traffic_kind {
	TRAFFIC_PLAIN, // to be forwarded without a tunnel
	TRAFFIC_DOWN, // to home addresses
	TRAFFIC_UP, // out of tunnels
	TRAFFIC_MIXED, // a tenth plain, the rest half down, half up
	TRAFFIC_BOGUS, // nothing but what offer.bogus says
};

enum {
	TRAFFIC_ROUTES = 1000,
	TRAFFIC_BURST_TICK = 16, // TSC ticks of one bin of burst times
	TRAFFIC_BURST_BINS = 1 << 14,
	TRAFFIC_DESCRIPTORS = 4096, // of the queue that an offered load waits in
	// No turn of the worker takes that long: the machine did something else meanwhile.
	TRAFFIC_GAP_US = 150,
};

// Packets that come by a schedule, whether the worker asks for them or not: what finds the queue full
// is lost. Every second one is bogus unless there is none.
struct traffic_offer {
	double interval; // TSC ticks between packets; 0 = as fast as the worker takes them
	uint64_t start_tsc, end_tsc;
	enum bogus_kind bogus;
	uint64_t position; // packets of the schedule that are taken or lost
	uint64_t lost, lost_in_gaps; // of both kinds; the second are among the first
	uint64_t n_bogus; // that were handed out
};

// Of one receive queue, used by the worker that polls it.
struct traffic {
	enum traffic_kind kind;
	uint64_t random;
	uint32_t first_mobile, n_mobiles; // that take part
	uint32_t n_sas; // of them, the first, have an SA for signalling
	uint32_t turn;
	uint64_t left; // packets until worker_stop is set
	uint64_t done; // packets handed out since traffic_begin
	uint64_t last_tsc; // of the last burst, 0 = none yet
	struct traffic_offer offer;
	uint32_t *bursts; // [TRAFFIC_BURST_BINS], or NULL
} __attribute__((aligned(64)));

// What every frame has in common. mac: of the port. Before the first round.
void traffic_init(const struct rte_ether_addr *mac);

// Begins a round of so many packets.
void traffic_begin(struct traffic *t, enum traffic_kind kind, uint64_t packets);

// Begins a round of the offered load pps for so many ms, half of it bogus packets of a kind.
void traffic_offer(struct traffic *t, double pps, unsigned int ms, enum bogus_kind bogus);

// The receive callback; arg is the queue's struct traffic.
uint16_t traffic_stamp(
	uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint16_t max, void *arg);

// The time in ns that a share of all bursts (0..1) took at most; 0 when there was none.
double traffic_burst_ns(const uint32_t *bursts, double share);

// Home address i, and its care-of address, which lies behind one of TRAFFIC_ROUTES routes 2400:0:r::/48.
struct ip6 traffic_home(uint32_t i);
struct ip6 traffic_care_of(uint32_t i);

// The agent's address 2001:db8:1::1, whose /64 is the home prefix.
extern const struct ip6 traffic_agent;

// The next pseudo-random number below n.
static inline uint32_t traffic_random(uint64_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(((*state >> 32) * n) >> 32);
}
