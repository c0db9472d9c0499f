// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/pump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/log.h"
#include "dataplane/domain.h"
#include "dataplane/host.h"
#include "dataplane/neigh.h"
#include "dataplane/pkt.h"
#include "dataplane/port.h"
#include "dataplane/punt.h"
#include "dataplane/tunnel_error.h"
#include "dataplane/twin.h"
#include "dataplane/worker.h"

enum { TURN_MAX = 64 }; // packets of one source in one turn

// Packets of each class that one worker may bring in one turn: what comes last may not hold up the next
// turn, which begins with answers and what keeps sessions alive.
static const unsigned int turn_max[MAIN_CLASSES] = {
	[MAIN_SIGNAL] = TURN_MAX,
	[MAIN_LIVE] = TURN_MAX,
	[MAIN_NEIGHBOR] = TURN_MAX,
	[MAIN_GLEAN] = TURN_MAX / 2,
	[MAIN_ROUTING] = TURN_MAX / 2,
	[MAIN_OTHER] = TURN_MAX / 2,
};

const char *const pump_drop_names[PUMP_DROP_MAX] = {
#define X(name, text) [PUMP_DROP_##name] = #name,
	PUMP_DROPS(X)
#undef X
};

const char *const pump_drop_texts[PUMP_DROP_MAX] = {
#define X(name, text) [PUMP_DROP_##name] = text,
	PUMP_DROPS(X)
#undef X
};

struct pump_stats pump_stats;

static struct rte_mempool *pump_pool;
static int pump_host_fd; // the TUN that the kernel sends to home addresses through

static void inject(struct worker *w, struct rte_mbuf **pkts, unsigned int n)
{
	unsigned int taken = worker_inject(w, pkts, n);

	pump_stats.injected += taken;
	pump_stats.drops[PUMP_DROP_inject_full] += n - taken;
}

// Parked packets go on. Hop limit and headers are done already: they count as ours.
static void parked_again(struct rte_mbuf **pkts, unsigned int n)
{
	pump_stats.unparked += n;
	for (unsigned int i = 0; i < n; i++) {
		pkt_meta(pkts[i])->kind = PKT_IP;
		pkt_meta(pkts[i])->flags = PKT_LOCAL_ORIGIN;
	}
	inject(&workers[0], pkts, n);
}

// Their senders are told, RFC 4861 section 7.2.2: by a worker, within its budget for errors.
static void parked_unresolved(struct rte_mbuf **pkts, unsigned int n)
{
	pump_stats.unparked += n;
	for (unsigned int i = 0; i < n; i++)
		pkt_meta(pkts[i])->kind = PKT_UNRESOLVED;
	inject(&workers[0], pkts, n);
}

static void parked_drop(struct rte_mbuf **pkts, unsigned int n)
{
	pump_stats.drops[PUMP_DROP_park] += n;
	rte_pktmbuf_free_bulk(pkts, n);
}

int pump_init(struct rte_mempool *pool, int host_fd)
{
	static const struct neigh_ops ops = {
		.again = parked_again,
		.unresolved = parked_unresolved,
		.drop = parked_drop,
	};

	pump_pool = pool;
	pump_host_fd = host_fd;
	return neigh_init(&ops);
}

void pump_free(void)
{
	neigh_free();
}

// Somebody deleted an interface of ours. Nothing here could put it back with its addresses and routes,
// a new process can.
static void __attribute__((noreturn)) interface_lost(const char *name)
{
	log_err("interface_lost name=%s error=\"%s\"", name, strerror(errno));
	_exit(EXIT_FAILURE);
}

static void to_twin(const struct port *port, struct rte_mbuf *m)
{
	int error = twin_write(port, m);

	if (error == 0)
		pump_stats.to_host++;
	else
		pump_count_drop(error == -EMSGSIZE ? PUMP_DROP_twin_too_long : PUMP_DROP_twin_full);
}

static void take_one(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	switch ((enum pkt_kind)meta->kind) {
	case PKT_FRAME:
		to_twin(&ports[meta->port], m);
		break;
	case PKT_PUNT:
		punt_put(m);
		break;
	case PKT_GLEAN:
		pump_stats.parked++;
		neigh_park(meta->port, &pkt_priv(m)->target, (meta->flags & PKT_STRANGER) == 0, m);
		break;
	case PKT_ERROR:
		tunnel_error_take(m);
		break;
	case PKT_IP:
	case PKT_SEAL:
	case PKT_UNRESOLVED:
		rte_pktmbuf_free(m);
		break;
	}
}

static unsigned int from_worker(struct worker *w, enum main_class class)
{
	void *pkts[TURN_MAX];
	unsigned int n = rte_ring_sc_dequeue_burst(w->to_main[class], pkts, turn_max[class], NULL);

	pump_stats.from_workers += n;
	for (unsigned int i = 0; i < n; i++)
		take_one(pkts[i]);
	return n;
}

// Puts the tag of the link's VLAN into a frame. Returns: false without room.
static bool tag(const struct port *port, struct rte_mbuf *m)
{
	const uint16_t vlan[2] = { rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN),
		rte_cpu_to_be_16(port->vlan) };
	char *data;

	if (m->data_len < RTE_ETHER_HDR_LEN)
		return false;
	data = rte_pktmbuf_prepend(m, sizeof(vlan));
	if (data == NULL)
		return false;
	memmove(data, data + sizeof(vlan), 2 * RTE_ETHER_ADDR_LEN);
	memcpy(data + 2 * RTE_ETHER_ADDR_LEN, vlan, sizeof(vlan));
	return true;
}

// Why the twin gave no frame is in errno.
static void count_unread(const struct port *port)
{
	switch (errno) {
	case EAGAIN:
	case EINTR:
		break;
	case ENOMEM:
		pump_count_drop(PUMP_DROP_no_buffer);
		break;
	case EMSGSIZE:
		pump_count_drop(PUMP_DROP_twin_too_long);
		break;
	default:
		interface_lost(port->name);
	}
}

// Frames of the kernel leave their port as they are, but for the tag; one worker per port keeps their
// order.
static unsigned int from_twin(const struct port *port)
{
	struct rte_mbuf *pkts[TURN_MAX];
	unsigned int n = 0;

	while (n < TURN_MAX) {
		struct rte_mbuf *m = twin_read(port, pump_pool);

		if (m == NULL) {
			count_unread(port);
			break;
		}
		if (port->vlan != 0 && !tag(port, m)) {
			rte_pktmbuf_free(m);
			pump_count_drop(PUMP_DROP_no_buffer);
			break;
		}
		*pkt_meta(m) =
			(struct pkt_meta){ .kind = PKT_FRAME, .port = (uint8_t)port->device };
		pkts[n++] = m;
	}
	if (n > 0)
		inject(&workers[port->device % n_workers], pkts, n);
	pump_stats.from_host += n;
	return n;
}

// Reads one packet of the kernel to a home address into an empty buffer. False: none waits.
static bool host_read(struct rte_mbuf *m)
{
	ssize_t n = read(pump_host_fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		interface_lost(HOST_TUN_NAME);
	if (n <= 0)
		return false;
	m->data_len = (uint16_t)n;
	m->pkt_len = (uint32_t)n;
	*pkt_meta(m) =
		(struct pkt_meta){ .kind = PKT_IP, .flags = PKT_LOCAL_ORIGIN | PKT_FROM_HOST };
	return true;
}

static unsigned int from_host(void)
{
	struct rte_mbuf *pkts[TURN_MAX], *m;
	unsigned int n = 0, seen;

	for (seen = 0; seen < TURN_MAX; seen++) {
		m = rte_pktmbuf_alloc(pump_pool);
		if (m == NULL) {
			pump_count_drop(PUMP_DROP_no_buffer);
			break;
		}
		if (!host_read(m)) {
			rte_pktmbuf_free(m);
			break;
		}
		if (m->data_len < sizeof(struct ip6_hdr_wire) ||
			(*rte_pktmbuf_mtod(m, uint8_t *) >> 4) != 6 ||
			ip6_is_multicast(&pkt_ip6(m)->dst)) {
			pump_count_drop(PUMP_DROP_host_protocol);
			rte_pktmbuf_free(m);
			continue;
		}
		pkts[n++] = m;
	}
	if (n > 0)
		inject(&workers[0], pkts, n);
	pump_stats.from_host += n;
	return seen;
}

bool pump_turn(void)
{
	unsigned int n = 0;

	for (unsigned int class = 0; class < MAIN_CLASSES; class ++) {
		for (uint16_t i = 0; i < n_workers; i++)
			n += from_worker(&workers[i], class);
	}
	for (uint16_t i = 0; i < n_links; i++)
		n += from_twin(&ports[i]);
	n += from_host();
	return n > 0;
}

// A buffer with a copy of a packet. NULL: dropped.
static struct rte_mbuf *packet_copy(const void *packet, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pump_pool);
	char *data = m == NULL || len > UINT16_MAX ? NULL : rte_pktmbuf_append(m, (uint16_t)len);

	if (data == NULL) {
		pump_count_drop(PUMP_DROP_no_buffer);
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(data, packet, len);
	pump_stats.sent++;
	return m;
}

void pump_send(uint8_t domain, const void *packet, uint32_t len)
{
	struct rte_mbuf *m = packet_copy(packet, len);

	if (m == NULL)
		return;
	*pkt_meta(m) =
		(struct pkt_meta){ .kind = PKT_IP, .flags = PKT_LOCAL_ORIGIN, .domain = domain };
	inject(&workers[0], &m, 1);
}

void pump_send_sealed(uint32_t sa_slot, uint8_t sa_use, const void *packet, uint32_t len)
{
	struct rte_mbuf *m = packet_copy(packet, len);

	if (m == NULL)
		return;
	*pkt_meta(m) = (struct pkt_meta){
		.kind = PKT_SEAL, .flags = PKT_LOCAL_ORIGIN, .domain = DOMAIN_TRANSPORT
	};
	pkt_priv(m)->sa_slot = sa_slot;
	pkt_priv(m)->sa_use = sa_use;
	inject(&workers[0], &m, 1);
}
