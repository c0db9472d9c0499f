// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/neigh.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_random.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/ip6_hash.h"
#include "dataplane/netlink.h"
#include "dataplane/port.h"

enum {
	N_BUCKETS = 2048,
	N_RECENT = 256,
	RECENT_MS = 100, // longer than a packet needs from a worker to us
	MAX_NOTICES = 4096, // between two polls
	IDLE_MS = 1000,
	NONE = -1,
};

// A neighbour that packets wait for.
struct target {
	int16_t next; // of the bucket or the free list, NONE at the end
	int16_t newer; // of the queue by age
	int16_t older;
	uint16_t port;
	uint16_t n;
	bool is_gateway;
	struct ip6 address;
	uint64_t deadline_ns;
	struct rte_mbuf *pkts[NEIGH_PARK_PER_TARGET];
};

// What the mirror told.
struct notice {
	uint16_t port;
	enum neigh_event event;
	struct ip6 target;
};

// A target that became usable a moment ago: packets for it that were on their way to us already must
// not wait for an announcement that is past.
struct recent {
	uint16_t port;
	struct ip6 address;
	uint64_t until_ns;
};

static const struct neigh_ops *ops;
static int requests = -1;
static int wake_fd = -1;
static int poll_fd = -1; // epoll of both
static uint32_t seed;

// Main lcore only. Targets are queued by age, all wait equally long.
static struct target targets[NEIGH_PARK_TARGETS];
static int16_t buckets[N_BUCKETS];
static int16_t free_target;
static int16_t oldest, newest;
static unsigned int n_strangers; // targets that are no gateways
static uint32_t n_waiting; // packets; atomic, others read it relaxed
static uint64_t
	strangers_spent_ns[CONFIG_MAX_LINKS]; // token buckets: time up to which all is spent

static struct recent recents[N_RECENT];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct notice notices[MAX_NOTICES]; // under lock
static unsigned int n_notices; // under lock

static int open_all(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	requests = netlink_listen(NULL, 0);
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (requests < 0)
		return requests;
	if (wake_fd < 0 || poll_fd < 0)
		return -errno;
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, requests, &event) != 0 ||
		epoll_ctl(poll_fd, EPOLL_CTL_ADD, wake_fd, &event) != 0)
		return -errno;
	return 0;
}

int neigh_init(const struct neigh_ops *neigh_ops)
{
	int error = open_all();

	if (error != 0) {
		log_err("neigh_init_failed error=%s", strerror(-error));
		neigh_free();
		return error;
	}
	ops = neigh_ops;
	seed = (uint32_t)rte_rand();
	for (unsigned int i = 0; i < N_BUCKETS; i++)
		buckets[i] = NONE;
	for (int16_t i = 0; i < NEIGH_PARK_TARGETS; i++)
		targets[i].next = i + 1 < NEIGH_PARK_TARGETS ? (int16_t)(i + 1) : NONE;
	free_target = 0;
	oldest = newest = NONE;
	return 0;
}

static uint32_t bucket_of(uint16_t port, const struct ip6 *address)
{
	return ip6_hash(address, seed ^ port) % N_BUCKETS;
}

// The link that holds the target's number, or NONE at the end of its chain.
static int16_t *position(uint16_t port, const struct ip6 *address)
{
	int16_t *link = &buckets[bucket_of(port, address)];

	while (*link != NONE &&
		(targets[*link].port != port || !ip6_eq(&targets[*link].address, address)))
		link = &targets[*link].next;
	return link;
}

// Frees a target's slot; its packets must have been moved.
static void release(int16_t *link)
{
	int16_t i = *link;
	struct target *target = &targets[i];

	*link = target->next;
	n_strangers -= !target->is_gateway;
	if (target->older == NONE)
		oldest = target->newer;
	else
		targets[target->older].newer = target->newer;
	if (target->newer == NONE)
		newest = target->older;
	else
		targets[target->newer].older = target->older;
	target->next = free_target;
	free_target = i;
}

// Says whether one more host of a link may be looked for, and counts it.
static bool may_ask(uint16_t port, uint64_t now_ns)
{
	static const uint64_t cost_ns = CLOCK_NS_PER_S / NEIGH_STRANGERS_PER_S;
	uint64_t *spent_ns = &strangers_spent_ns[port];

	if (n_strangers == NEIGH_PARK_STRANGERS)
		return false;
	if (*spent_ns + NEIGH_STRANGERS_BURST * cost_ns < now_ns)
		*spent_ns = now_ns - NEIGH_STRANGERS_BURST * cost_ns;
	if (*spent_ns + cost_ns > now_ns)
		return false;
	*spent_ns += cost_ns;
	return true;
}

// Takes a slot for a new target. Returns: NULL when it may have none.
static struct target *obtain(uint16_t port, const struct ip6 *address, bool is_gateway)
{
	int16_t *link = position(port, address);
	int16_t i = *link;
	uint64_t now_ns = clock_mono_ns();
	struct target *target;

	if (i != NONE)
		return &targets[i];
	i = free_target;
	if (i == NONE || (!is_gateway && !may_ask(port, now_ns)))
		return NULL;
	n_strangers += !is_gateway;
	target = &targets[i];
	free_target = target->next;
	target->next = NONE;
	*link = i;
	target->newer = NONE;
	target->older = newest;
	if (newest == NONE)
		oldest = i;
	else
		targets[newest].newer = i;
	newest = i;
	target->port = port;
	target->address = *address;
	target->n = 0;
	target->is_gateway = is_gateway;
	target->deadline_ns = now_ns + NEIGH_PARK_TIMEOUT_MS * 1000000ULL;
	return target;
}

static void ask(uint16_t port, const struct ip6 *address, bool keep)
{
	static struct log_limit limit = { .per_second = 1 };
	int error = netlink_neighbor(requests, keep, ports[port].ifindex, address);

	if (error != 0)
		log_write_limited(&limit, LOG_LEVEL_WARN, "neigh_request_failed port=%s error=%s",
			ports[port].name, strerror(-error));
}

static struct recent *recent_of(uint16_t port, const struct ip6 *address)
{
	return &recents[bucket_of(port, address) % N_RECENT];
}

static bool is_recent(uint16_t port, const struct ip6 *address)
{
	const struct recent *recent = recent_of(port, address);

	return recent->until_ns != 0 && recent->port == port && ip6_eq(&recent->address, address) &&
	       recent->until_ns > clock_mono_ns();
}

void neigh_park(
	uint16_t port, const struct ip6 *target_address, bool is_gateway, struct rte_mbuf *pkt)
{
	struct target *target;

	if (is_recent(port, target_address)) {
		ops->again(&pkt, 1);
		return;
	}
	target = obtain(port, target_address, is_gateway);
	if (target == NULL || target->n == NEIGH_PARK_PER_TARGET) {
		ops->drop(&pkt, 1);
		return;
	}
	target->pkts[target->n++] = pkt;
	__atomic_store_n(&n_waiting, n_waiting + 1, __ATOMIC_RELAXED);
	if (target->n == 1)
		ask(port, target_address, true);
}

uint32_t neigh_waiting(void)
{
	return __atomic_load_n(&n_waiting, __ATOMIC_RELAXED);
}

void neigh_announce(uint16_t port, const struct ip6 *target, enum neigh_event event)
{
	uint64_t one = 1;

	pthread_mutex_lock(&lock);
	if (n_notices < MAX_NOTICES)
		notices[n_notices++] = (struct notice){ port, event, *target };
	pthread_mutex_unlock(&lock);
	if (write(wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN && errno != EBADF)
		log_warn("neigh_wake_failed error=%s", strerror(errno));
}

// Ends the waiting for a target; fate, one of ops, takes its packets.
static void finish(uint16_t port, const struct ip6 *address,
	void (*fate)(struct rte_mbuf **pkts, unsigned int n))
{
	int16_t *link = position(port, address);
	struct rte_mbuf *pkts[NEIGH_PARK_PER_TARGET];
	unsigned int n;

	if (*link == NONE)
		return;
	n = targets[*link].n;
	memcpy(pkts, targets[*link].pkts, n * sizeof(*pkts));
	__atomic_store_n(&n_waiting, n_waiting - n, __ATOMIC_RELAXED);
	release(link); // first: what goes on may be parked again
	fate(pkts, n);
}

static void handle(const struct notice *notice)
{
	struct recent *recent = recent_of(notice->port, &notice->target);

	recent->until_ns = 0;
	switch (notice->event) {
	case NEIGH_USABLE:
		recent->port = notice->port;
		recent->address = notice->target;
		recent->until_ns = clock_mono_ns() + RECENT_MS * 1000000ULL;
		finish(notice->port, &notice->target, ops->again);
		break;
	case NEIGH_FAILED:
		finish(notice->port, &notice->target, ops->unresolved);
		break;
	case NEIGH_GONE:
		finish(notice->port, &notice->target, ops->unresolved);
		ask(notice->port, &notice->target, false);
		break;
	case NEIGH_WANTED:
		ask(notice->port, &notice->target, true);
		break;
	}
}

// The kernel's refusals (a success has no answer). Forgetting what is gone already is none.
static int on_answer(const struct nlmsghdr *nlh, void *arg)
{
	static struct log_limit limit = { .per_second = 1 };
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

	(void)arg;
	if (nlh->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(nlh) >= sizeof(*err) &&
		err->error != 0 && err->error != -ENOENT)
		log_write_limited(
			&limit, LOG_LEVEL_WARN, "neigh_refused error=%s", strerror(-err->error));
	return 0;
}

static void read_answers(void)
{
	static uint8_t buf[NETLINK_BUF] __attribute__((aligned(8)));
	int result;

	do {
		result = netlink_read(requests, buf, on_answer, NULL);
	} while (result == 1 || result == -ENOBUFS);
}

unsigned int neigh_poll(void)
{
	static struct notice taken[MAX_NOTICES];
	unsigned int n;
	uint64_t count;
	uint64_t now_ns;
	uint64_t left_ns;

	if (read(wake_fd, &count, sizeof(count)) > 0) {
		pthread_mutex_lock(&lock);
		n = n_notices;
		memcpy(taken, notices, n * sizeof(*taken));
		n_notices = 0;
		pthread_mutex_unlock(&lock);
		for (unsigned int i = 0; i < n; i++)
			handle(&taken[i]);
	}
	read_answers();
	now_ns = clock_mono_ns();
	while (oldest != NONE && targets[oldest].deadline_ns <= now_ns) {
		struct ip6 address = targets[oldest].address;

		finish(targets[oldest].port, &address, ops->unresolved);
	}
	if (oldest == NONE)
		return IDLE_MS;
	left_ns = targets[oldest].deadline_ns - now_ns;
	return left_ns >= IDLE_MS * 1000000ULL ? IDLE_MS : (unsigned int)(left_ns / 1000000) + 1;
}

int neigh_fd(void)
{
	return poll_fd;
}

void neigh_free(void)
{
	int *fds[] = { &poll_fd, &wake_fd, &requests };

	while (ops != NULL && oldest != NONE) {
		struct ip6 address = targets[oldest].address;

		finish(targets[oldest].port, &address, ops->drop);
	}
	ops = NULL;
	for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
