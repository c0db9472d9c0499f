// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/worker.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include "dataplane/base/log.h"
#include "dataplane/esp_worker.h"
#include "dataplane/port.h"
#include "dataplane/stage.h"

enum {
	IDLE_POLLS = 64, // empty turns before a worker that may sleep does
	IDLE_SLEEP_MS = 100,
	REASSEMBLY_SHARE = 10, // one buffer in ten may wait for the rest of its packet
	IDLE_NO_FD_MS = 1, // for devices that cannot wake us
};

static_assert(WORKER_SLOTS + AGAIN_MAX + 2 * BURST * CONFIG_MAX_PORTS <= PORT_POOL_PER_WORKER,
	"what waits on rings leaves buffers for receiving");

struct worker *workers;
uint16_t n_workers;
bool worker_stop;
int worker_main_fd = -1;
bool worker_main_asleep;

void worker_to_main(struct worker *w, struct rte_mbuf *m, enum pkt_kind kind, enum main_class class)
{
	static const enum drop_reason is_full[MAIN_CLASSES] = {
		[MAIN_SIGNAL] = DROP_main_signal_full,
		[MAIN_LIVE] = DROP_main_live_full,
		[MAIN_NEIGHBOR] = DROP_main_neighbor_full,
		[MAIN_GLEAN] = DROP_main_glean_full,
		[MAIN_ROUTING] = DROP_main_routing_full,
		[MAIN_OTHER] = DROP_main_other_full,
	};

	pkt_meta(m)->kind = (uint8_t)kind;
	if (unlikely(rte_ring_sp_enqueue(w->to_main[class], m) != 0)) {
		worker_drop(w, m, is_full[class]);
		return;
	}
	w->stats.to_main++;
	__atomic_thread_fence(
		__ATOMIC_SEQ_CST); // pairs with the main lcore's last look at the rings
	if (unlikely(__atomic_load_n(&worker_main_asleep, __ATOMIC_SEQ_CST))) {
		__atomic_store_n(&worker_main_asleep, false, __ATOMIC_SEQ_CST);
		eventfd_write(worker_main_fd, 1);
	}
}

bool worker_main_is_idle(const struct worker *w)
{
	for (unsigned int i = 0; i < MAIN_CLASSES; i++) {
		if (!rte_ring_empty(w->to_main[i]))
			return false;
	}
	return true;
}

// Wakes a worker after something was put onto a ring of its own. The fence pairs with that of idle.
static void wake(struct worker *w)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&w->is_asleep, __ATOMIC_SEQ_CST))
		eventfd_write(w->wake_fd, 1);
}

static void peer_flush(struct worker *w, uint16_t peer)
{
	struct worker_batch *batch = &w->to_peers[peer];
	unsigned int taken =
		rte_ring_mp_enqueue_burst(workers[peer].from_peers, batch->pkts, batch->n, NULL);

	w->stats.to_peers += taken;
	for (unsigned int i = taken; i < batch->n; i++)
		worker_drop(w, batch->pkts[i], DROP_peer_ring_full);
	batch->n = 0;
	w->peers_waiting &= ~(1ULL << peer);
	wake(&workers[peer]);
}

void worker_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m)
{
	struct worker_batch *batch = &w->to_peers[peer];

	batch->pkts[batch->n++] = m;
	w->peers_waiting |= 1ULL << peer;
	if (unlikely(batch->n == BURST))
		peer_flush(w, peer);
}

void worker_fragment_to_peer(struct worker *w, uint16_t peer, struct rte_mbuf *m)
{
	if (unlikely(rte_ring_mp_enqueue(workers[peer].fragments, m) != 0)) {
		worker_drop(w, m, DROP_fragment_ring_full);
		return;
	}
	w->stats.to_peers++;
	wake(&workers[peer]);
}

static void out_flush(struct worker *w, uint8_t port)
{
	uint16_t n = w->out[port].n, sent;

	if (n == 0)
		return;
	w->out[port].n = 0;
	for (uint16_t i = 0; i < n; i++)
		w->stats.tx_bytes += w->out[port].pkts[i]->pkt_len;
	sent = rte_eth_tx_burst(ports[port].dpdk_id, w->id, w->out[port].pkts, n);
	w->stats.tx += sent;
	w->stats.ports[port].tx += sent;
	for (uint16_t i = sent; i < n; i++) {
		w->stats.tx_bytes -= w->out[port].pkts[i]->pkt_len;
		worker_drop(w, w->out[port].pkts[i], DROP_tx_full);
	}
}

// A copy in one segment for a device that sends only such. Moves m. NULL: dropped.
static struct rte_mbuf *make_single(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);

	if (copy == NULL || copy->nb_segs > 1) {
		rte_pktmbuf_free(copy);
		worker_drop(w, m, DROP_too_big_for_device);
		return NULL;
	}
	rte_pktmbuf_free(m);
	return copy;
}

void worker_out_slow(struct worker *w, uint8_t port, struct rte_mbuf *m)
{
	if (m->nb_segs > 1 && !ports[port].tx_multi_segs) {
		m = make_single(w, m);
		if (m == NULL)
			return;
	}
	if (w->out[port].n == 2 * BURST)
		out_flush(w, port);
	w->out[port].pkts[w->out[port].n++] = m;
}

static inline void hold(struct worker *w, struct lane *lane)
{
	for (unsigned int i = 0; i < lane->n; i++)
		worker_again(w, lane->pkts[i]);
	lane->n = 0;
}

// What came out of a tunnel as a tunnel (a mobile behind a mobile) or ESP has its turn in the next burst.
static inline void hold_nested(struct worker *w)
{
	hold(w, &w->tunnel);
	hold(w, &w->esp_in);
}

// What stands in the route lanes runs through the pipeline.
static inline void run_stages(struct worker *w)
{
	stage_ip4_route(w);
	stage_route(w);
	stage_local(w);
	stage_esp_in(w);
	stage_decap(w);
	stage_route(w); // what came out of tunnels
	stage_local(w);
	hold_nested(w);
	stage_punt(w);
	stage_encap(w);
	stage_esp_out(w);
	stage_forward(w);
	stage_ip4_forward(w);
}

static unsigned int take_ports(struct worker *w)
{
	struct rte_mbuf *pkts[BURST];
	unsigned int total = 0;

	for (unsigned int i = 0; i < w->n_queues; i++) {
		const struct worker_queue *q = &w->queues[i];
		uint16_t n = rte_eth_rx_burst(ports[q->port].dpdk_id, q->queue, pkts, BURST);

		if (n == 0)
			continue;
		w->stats.rx += n;
		w->stats.ports[q->port].rx += n;
		w->stats.bursts++;
		stage_classify(w, q->port, pkts, n);
		run_stages(w);
		total += n;
	}
	return total;
}

// Its next hop does not answer. RFC 4861 section 7.2.2, RFC 1812 section 5.2.7.1.
static void refuse_unresolved(struct worker *w, struct rte_mbuf *m)
{
	if (pkt_is_ip4(m))
		stage_ip4_refuse(w, m, DROP_neighbor_silent, ICMP4_UNREACH, ICMP4_UNREACH_HOST, 0);
	else
		stage_refuse(w, m, DROP_neighbor_silent, ICMP6_UNREACH, ICMP6_UNREACH_ADDRESS, 0);
}

static unsigned int take_main(struct worker *w)
{
	void *pkts[BURST];
	unsigned int n = rte_ring_sc_dequeue_burst(w->from_main, pkts, BURST, NULL);

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		w->stats.from_main++;
		if (pkt_meta(m)->kind == PKT_FRAME)
			worker_out(w, pkt_meta(m)->port, m);
		else if (unlikely(pkt_meta(m)->kind == PKT_UNRESOLVED))
			refuse_unresolved(w, m);
		else if (unlikely(pkt_meta(m)->kind == PKT_SEAL))
			stage_esp_transport(w, m);
		else
			stage_enter(w, m);
	}
	if (n > 0)
		run_stages(w);
	return n;
}

static unsigned int take_ring(struct worker *w, struct rte_ring *ring)
{
	void *pkts[BURST];
	unsigned int n = rte_ring_sc_dequeue_burst(ring, pkts, BURST, NULL);

	for (unsigned int i = 0; i < n; i++)
		stage_enter(w, pkts[i]);
	w->stats.from_peers += n;
	if (n > 0)
		run_stages(w);
	return n;
}

static unsigned int take_peers(struct worker *w)
{
	if (w->from_peers == NULL)
		return 0;
	return take_ring(w, w->from_peers) + take_ring(w, w->fragments);
}

// All that stood there when the turn began, since every queue of the turn may add a burst.
static unsigned int take_again(struct worker *w)
{
	unsigned int left = w->n_again, total = left;

	while (unlikely(left > 0)) {
		unsigned int n = RTE_MIN(left, (unsigned int)BURST);

		for (unsigned int i = 0; i < n; i++)
			stage_enter(w, w->again[i]);
		w->n_again -= (uint16_t)n;
		memmove(w->again, w->again + n, w->n_again * sizeof(w->again[0]));
		left -= n;
		run_stages(w);
	}
	return total;
}

// Waits until a port, the main lcore or another worker has something. Offline for RCU meanwhile; the
// fence between is_asleep and the last look at the rings pairs with the one in wake.
static void idle(struct worker *w)
{
	struct epoll_event events[4];
	int timeout_ms = IDLE_SLEEP_MS;

	for (unsigned int i = 0; i < w->n_queues; i++) {
		if (w->queues[i].fd < 0)
			timeout_ms = IDLE_NO_FD_MS;
	}
	__atomic_store_n(&w->is_asleep, true, __ATOMIC_SEQ_CST);
	if (rte_ring_empty(w->from_main) && w->n_again == 0 &&
		(w->from_peers == NULL ||
			(rte_ring_empty(w->from_peers) && rte_ring_empty(w->fragments)))) {
		eventfd_t ignored;

		rcu_offline(w->id);
		w->stats.sleeps++;
		epoll_wait(w->epoll_fd, events, RTE_DIM(events), timeout_ms);
		eventfd_read(w->wake_fd, &ignored);
		rcu_online(w->id);
	}
	__atomic_store_n(&w->is_asleep, false, __ATOMIC_SEQ_CST);
}

int worker_run(void *arg)
{
	struct worker *w = arg;
	unsigned int empty = 0;

	w->thread = pthread_self();
	__atomic_store_n(&w->is_started, true, __ATOMIC_RELEASE);
	rcu_online(w->id);
	while (!__atomic_load_n(&worker_stop, __ATOMIC_RELAXED)) {
		unsigned int n;

		w->now_tsc = rte_rdtsc();
		n = take_again(w) + take_ports(w) + take_main(w) + take_peers(w);
		reassembly_poll(w);
		for (uint8_t port = 0; port < n_ports; port++)
			out_flush(w, port);
		while (w->peers_waiting != 0)
			peer_flush(w, (uint16_t)__builtin_ctzll(w->peers_waiting));
		__atomic_store_n(&w->stats.held, w->n_again + reassembly_held(w->reassembly),
			__ATOMIC_RELAXED);
		rcu_quiescent(w->id);
		empty = n > 0 ? 0 : empty + 1;
		if (likely(empty < IDLE_POLLS || !w->can_sleep)) {
			if (n == 0)
				rte_pause();
			continue;
		}
		empty = 0;
		idle(w);
	}
	rcu_offline(w->id);
	return 0;
}

unsigned int worker_inject(struct worker *w, struct rte_mbuf **pkts, unsigned int n)
{
	unsigned int taken = rte_ring_sp_enqueue_burst(w->from_main, (void **)pkts, n, NULL);

	for (unsigned int i = taken; i < n; i++)
		rte_pktmbuf_free(pkts[i]);
	if (taken > 0)
		wake(w);
	return taken;
}

static int epoll_watch(struct worker *w, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int queues_init(struct worker *w)
{
	for (uint16_t p = 0; p < n_ports; p++) {
		for (uint16_t q = w->id; q < ports[p].n_rx_queues; q += n_workers) {
			struct worker_queue *queue = &w->queues[w->n_queues];

			if (w->n_queues == WORKER_MAX_QUEUES)
				return -E2BIG;
			w->n_queues++;
			*queue = (struct worker_queue){
				.port = (uint8_t)p, .queue = q, .fd = port_queue_fd(&ports[p], q)
			};
			if (queue->fd >= 0 && epoll_watch(w, queue->fd) != 0)
				queue->fd = -1;
		}
	}
	return 0;
}

// The ways to and from the main lcore.
static int main_rings_init(struct worker *w)
{
	char name[RTE_RING_NAMESIZE];

	for (unsigned int i = 0; i < MAIN_CLASSES; i++) {
		snprintf(name, sizeof(name), "to_main%u_%u", w->id, i);
		w->to_main[i] = rte_ring_create(name, i == MAIN_SIGNAL ? WORKER_RING : MAIN_RING,
			SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (w->to_main[i] == NULL)
			return -ENOMEM;
	}
	snprintf(name, sizeof(name), "from_main%u", w->id);
	w->from_main =
		rte_ring_create(name, WORKER_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return w->from_main == NULL ? -ENOMEM : 0;
}

// The way from and to other workers, for one that has such.
static int peers_init(struct worker *w)
{
	char name[RTE_RING_NAMESIZE];

	static_assert(CONFIG_MAX_WORKERS <= 64, "a bit for each worker");
	if (n_workers == 1)
		return 0;
	snprintf(name, sizeof(name), "from_peers%u", w->id);
	w->from_peers = rte_ring_create(name, WORKER_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "fragments%u", w->id);
	w->fragments = rte_ring_create(name, FRAGMENT_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	w->to_peers =
		rte_zmalloc("to_peers", n_workers * sizeof(w->to_peers[0]), RTE_CACHE_LINE_SIZE);
	return w->from_peers == NULL || w->fragments == NULL || w->to_peers == NULL ? -ENOMEM : 0;
}

static int worker_init(
	struct worker *w, uint16_t id, uint8_t site, const struct config_dataplane *config)
{
	w->id = id;
	w->counts_shared = config->n_workers > 1;
	w->can_sleep = config->idle != CONFIG_IDLE_SPIN;
	for (uint16_t p = 0; p < n_ports && config->idle == CONFIG_IDLE_AUTO; p++)
		w->can_sleep = w->can_sleep && !ports[p].spin;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->wake_fd < 0 || w->epoll_fd < 0 || epoll_watch(w, w->wake_fd) != 0)
		return -errno;
	if (main_rings_init(w) != 0)
		return -ENOMEM;
	w->reassembly = reassembly_new(
		rte_mempool_avail_count(w->pool) / REASSEMBLY_SHARE / config->n_workers);
	if (w->reassembly == NULL || peers_init(w) != 0 ||
		fragment_ids_init(&w->fragment_ids, site, id) != 0)
		return -ENOMEM;
	return queues_init(w);
}

int workers_init(const struct config_dataplane *config, uint8_t site, struct bindtab *bindings,
	struct rte_mempool *pool)
{
	int error;

	worker_main_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	workers = rte_zmalloc("workers", config->n_workers * sizeof(*workers), RTE_CACHE_LINE_SIZE);
	if (worker_main_fd < 0 || workers == NULL) {
		log_err("workers_failed reason=memory");
		return -ENOMEM;
	}
	n_workers = config->n_workers;
	error = spread_init();
	for (uint16_t i = 0; i < n_workers; i++) {
		workers[i].wake_fd = workers[i].epoll_fd = -1;
		workers[i].bindings = bindings;
		workers[i].pool = pool;
	}
	for (uint16_t i = 0; i < n_workers && error == 0; i++) {
		error = worker_init(&workers[i], i, site, config);
		if (error != 0)
			log_err("worker_failed worker=%u error=%d", i, -error);
	}
	if (error == 0)
		error = esp_workers_init(workers, n_workers, site, rte_get_tsc_hz());
	if (error != 0)
		workers_free();
	return error;
}

static void ring_free(struct rte_ring *ring)
{
	void *m;

	while (ring != NULL && rte_ring_sc_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void workers_free(void)
{
	esp_workers_free(workers, n_workers);
	for (uint16_t i = 0; i < n_workers && workers != NULL; i++) {
		struct worker *w = &workers[i];

		rte_pktmbuf_free_bulk(w->again, w->n_again);
		reassembly_free(w->reassembly);
		for (unsigned int c = 0; c < MAIN_CLASSES; c++)
			ring_free(w->to_main[c]);
		ring_free(w->from_main);
		ring_free(w->from_peers);
		ring_free(w->fragments);
		rte_free(w->to_peers);
		if (w->wake_fd >= 0)
			close(w->wake_fd);
		if (w->epoll_fd >= 0)
			close(w->epoll_fd);
	}
	rte_free(workers);
	workers = NULL;
	n_workers = 0;
	if (worker_main_fd >= 0)
		close(worker_main_fd);
	worker_main_fd = -1;
}
