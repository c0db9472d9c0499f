// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// A worker: one lcore that takes bursts from its receive queues and runs each through the stages to
// completion. Everything in struct worker belongs to that lcore unless a field says otherwise.
#pragma once

#include <pthread.h>

#include <rte_ring.h>

#include "config/config.h"
#include "dataplane/fragment.h"
#include "dataplane/bindtab.h"
#include "dataplane/nexthop.h"
#include "dataplane/pkt.h"
#include "dataplane/reassembly.h"
#include "dataplane/spread.h"
#include "dataplane/stats.h"

enum {
	BURST = 64,
	AGAIN_MAX = 256, // packets held for the next burst
	WORKER_RING = 4096, // from the main lcore, from other workers, signalling to the main lcore
	MAIN_RING = 1024, // of each other class to the main lcore
	FRAGMENT_RING = 512, // fragments from other workers
	WORKER_MAX_QUEUES = 32,
};

// What goes to the main lcore, in the order in which it takes it: a ring for each of what others must not
// displace, whoever floods it.
enum main_class {
	// Anybody can send these, so police.[ch] bounds them before: what gets here waits behind nothing.
	MAIN_SIGNAL,
	// BFD of neighbours on a link. Apart from ND: who floods a link with ND must not end sessions.
	MAIN_LIVE,
	// ARP and ND, which come from a link alone (hop limit 255). Forwarding ends without them.
	MAIN_NEIGHBOR,
	// Packets that wait for a neighbour: as many as somebody scans a prefix of ours for.
	MAIN_GLEAN,
	// BGP and BFD over several hops, which anybody can forge: so apart from MAIN_NEIGHBOR.
	MAIN_ROUTING,
	// Other packets to us and errors about tunnels. Each has a rate (stage_host.c) that lets neither fill
	// the ring, so one is enough.
	MAIN_OTHER,
	MAIN_CLASSES,
};

// Places on all rings of a worker.
enum { WORKER_SLOTS = 3 * WORKER_RING + (MAIN_CLASSES - 1) * MAIN_RING + FRAGMENT_RING };

struct esp_worker;

// A vector of packets on their way to one stage, with the next hop that sent them there.
struct lane {
	uint16_t n;
	struct rte_mbuf *pkts[BURST];
	const struct nexthop *nh[BURST];
};

struct worker_queue {
	uint8_t port;
	uint16_t queue;
	int fd; // readable when packets wait, -1 = none
};

// What a stage looks up for its burst. Not on the stack, whose place is drawn anew for each process: where
// the low 12 bits of the addresses are alike, each store into a lane holds up a load from here.
struct lookups {
	union bindtab_key keys[BURST];
	struct ip6 addresses[BURST];
	struct binding *bindings[BURST];
	uint32_t nexthops[BURST];
};

// Packets for another worker, which go out together at the end of the turn.
struct worker_batch {
	uint16_t n;
	void *pkts[BURST];
};

struct worker {
	uint16_t id; // RCU reader id, transmit queue
	bool can_sleep;
	bool counts_shared; // several workers add to a binding's counters
	uint16_t n_queues;
	struct worker_queue queues[WORKER_MAX_QUEUES];
	struct bindtab *bindings;
	struct rte_mempool *pool;
	uint64_t now_tsc; // of this turn; the watchdog reads it relaxed
	// Token buckets (bucket.h): packets to the kernel and errors about tunnels taken, fragments of
	// strangers handed over, Home Address options looked up.
	uint64_t host_spent_tsc, error_spent_tsc, fragment_spent_tsc, option_spent_tsc;
	struct reassembly *reassembly;
	struct fragment_ids fragment_ids;
	uint16_t last_home_prefix; // of the last inner source: most bursts need no FIB for it
	struct spread spread;
	struct esp_worker *esp; // NULL: no ESP

	// Lanes of the burst under way.
	struct lane route, local, esp_in, punt, tunnel, home, forward;
	struct lane route4, forward4; // IPv4
	struct lookups lookups; // of the stage under way
	uint16_t n_again;
	struct rte_mbuf *again[AGAIN_MAX];
	struct {
		uint16_t n;
		struct rte_mbuf *pkts[2 * BURST];
	} out[CONFIG_MAX_PORTS];

	struct rte_ring *to_main[MAIN_CLASSES]; // writer: this worker; reader: main lcore
	struct rte_ring *from_main; // writer: main lcore; reader: this worker
	struct rte_ring *from_peers; // writers: the other workers; reader: this one. NULL: alone
	// The same for fragments, which anybody can send: they may not displace what came out of tunnels.
	struct rte_ring *fragments;
	struct worker_batch *to_peers; // of each worker
	uint64_t peers_waiting; // bit i: to_peers[i] is not empty
	int wake_fd; // eventfd, written when is_asleep
	int epoll_fd;
	bool is_asleep; // atomic; this worker writes, main lcore and other workers read
	bool is_started; // atomic; thread is set
	pthread_t thread; // written once by this worker, for the watchdog

	struct worker_stats stats; // written here, read relaxed by anyone
} __rte_cache_aligned;

extern struct worker *workers; // n_workers of them, on hugepages
extern uint16_t n_workers;
extern bool worker_stop; // atomic: set by the main lcore to end all
extern int worker_main_fd; // eventfd that wakes the main lcore
extern bool worker_main_asleep; // atomic; main lcore writes, workers read

// Makes the workers of this site: queues, rings, descriptors. After ports_start, before the drop of rights.
// Returns: 0 or negative errno with the reason logged and everything undone.
int workers_init(const struct config_dataplane *config, uint8_t site, struct bindtab *bindings,
	struct rte_mempool *pool);
void workers_free(void);

// The loop of worker arg (struct worker *), for rte_eal_remote_launch. Returns: 0 when told to stop.
int worker_run(void *arg);

// Passes buffers (moved) to a worker and wakes it; those that do not fit are freed.
// Returns: how many were taken. Thread: main lcore.
unsigned int worker_inject(struct worker *w, struct rte_mbuf **pkts, unsigned int n);

// --- What stages share -------------------------------------------------------------------------

static inline void lane_add(struct lane *lane, struct rte_mbuf *m, const struct nexthop *nh)
{
	lane->pkts[lane->n] = m;
	lane->nh[lane->n] = nh;
	lane->n++;
}

// Ends a packet for a named reason. Moves m.
static inline void worker_drop(struct worker *w, struct rte_mbuf *m, enum drop_reason reason)
{
	w->stats.drops[reason]++;
	rte_pktmbuf_free(m);
}

// Holds a packet for the next burst. Moves m.
static inline void worker_again(struct worker *w, struct rte_mbuf *m)
{
	if (unlikely(w->n_again == AGAIN_MAX)) {
		worker_drop(w, m, DROP_again_full);
		return;
	}
	w->again[w->n_again++] = m;
}

// Hands a packet to the main lcore as what kind says, on the ring of a class. Moves m.
void worker_to_main(
	struct worker *w, struct rte_mbuf *m, enum pkt_kind kind, enum main_class class);
// True when no ring of w to the main lcore has anything. Thread: main lcore.
bool worker_main_is_idle(const struct worker *w);

// Hands a packet to another worker, which routes it as if it had come in there. Moves m.
void worker_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m);

// Hands a fragment to the worker where its packet's fragments meet. Moves m.
void worker_fragment_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m);
// The same as worker_out for a packet of several buffers, or into a full transmit buffer.
void worker_out_slow(struct worker *w, uint8_t port, struct rte_mbuf *m);

// Puts a whole frame into the transmit buffer of a port, which goes out at the end of the turn.
static inline void worker_out(struct worker *w, uint8_t port, struct rte_mbuf *m)
{
	if (unlikely(m->nb_segs > 1 || w->out[port].n == 2 * BURST))
		worker_out_slow(w, port, m);
	else
		w->out[port].pkts[w->out[port].n++] = m;
}
