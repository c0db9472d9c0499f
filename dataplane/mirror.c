// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/mirror.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>
#include <rte_lcore.h>

#include "dataplane/adj.h"
#include "dataplane/backlog.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/mirror_show.h"
#include "dataplane/mirror_sync.h"
#include "dataplane/netlink.h"
#include "dataplane/nexthop.h"
#include "dataplane/nhobj.h"
#include "dataplane/port.h"
#include "dataplane/privs.h"

enum {
	AUDIT_S = 60,
	RESYNC_AFTER_LINK_MS = 200,
	RETRY_AFTER_ROOM_MS = 1000,
	CARRIER_POLL_MS = 1000, // of devices that no netlink message tells of
	DUMP_TRIES = 5, // a table in motion
	READS_PER_TURN = 256,
	DUMPED_PER_FILL = 4096, // messages; some milliseconds
	NEVER_MS = 3600 * 1000,
};

#define NS_PER_MS 1000000ULL

// A wish of control about one home prefix.
struct wish {
	bool is_pending;
	bool is_del;
	struct api_home_prefix_set set;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // mirror's tables, against telemetry
static pthread_t thread;
static bool is_running;
static bool must_stop; // atomic
static int events = -1;
static int requests = -1;
static int wake_fd = -1;
static uint8_t buf[NETLINK_BUF] __attribute__((aligned(8)));

static uint32_t generation;
static bool has_overrun; // while dumping
static bool is_dumping; // messages come from a dump, not as events
static unsigned int n_differences; // that the dump in progress found
static uint64_t resync_at_ns; // 0 = none due
static uint64_t audit_at_ns;
static uint64_t retry_at_ns; // of what found no room in the FIB; 0 = none due
static bool twin_is_up[CONFIG_MAX_LINKS]; // by order
static bool link_is_up[CONFIG_MAX_LINKS]; // with the device's carrier, as resolved

// One about an agent address.
struct agent_wish {
	bool is_pending;
	uint8_t domain;
	struct ip6 address;
};

static pthread_mutex_t wish_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wishes_done;
static struct wish wishes[API_MAX_HOME_PREFIXES]; // under wish_lock
static struct agent_wish agent_wishes[API_MAX_AGENTS]; // under wish_lock
static uint64_t n_wished; // under wish_lock
static uint64_t n_fulfilled; // under wish_lock

// Follows whether routes over a port's twin are usable. The carrier is the device's: the twin's own
// message of it may come a second later.
static void follow_link(uint16_t i, bool mtu_changed)
{
	bool is_up = twin_is_up[i] && ports[i].carrier;

	if (is_up == link_is_up[i] && !mtu_changed)
		return;
	link_is_up[i] = is_up;
	log_info("mirror_link port=%s state=%s mtu=%u", ports[i].name, is_up ? "up" : "down",
		ports[i].mtu);
	mirror_sync_link(i, is_up);
	// What the kernel drops with a link it does not always tell.
	if (!is_dumping)
		resync_at_ns = clock_mono_ns() + RESYNC_AFTER_LINK_MS * NS_PER_MS;
}

static void on_link(const struct nlmsghdr *nlh)
{
	struct netlink_link link;
	bool is_gone = nlh->nlmsg_type == RTM_DELLINK;

	if (netlink_msg_link(nlh, &link) != 0)
		return;
	for (uint16_t i = 0; i < n_links; i++) {
		struct port *port = &ports[i];
		bool mtu_changed = false;

		if (port->netdev_ifindex == link.ifindex)
			port_set_carrier(port, link.has_carrier && !is_gone);
		if (port->ifindex == link.ifindex) {
			twin_is_up[i] = link.is_up && !is_gone;
			mtu_changed =
				link.mtu != port->mtu && link.mtu != 0 && link.mtu <= UINT16_MAX;
		}
		if (mtu_changed)
			__atomic_store_n(&port->mtu, (uint16_t)link.mtu, __ATOMIC_RELAXED);
		follow_link(i, mtu_changed);
	}
}

static void on_route(const struct nlmsghdr *nlh)
{
	struct netlink_route route;
	bool is_changed;

	if (netlink_msg_route(nlh, &route) != 0 ||
		(!route.is_ip4 && ip6_is_v4mapped(&route.prefix.addr)))
		return;
	is_changed = mirror_sync_route(&route, nlh->nlmsg_type == RTM_DELROUTE,
		!is_dumping && (nlh->nlmsg_flags & NLM_F_REPLACE) != 0, generation);
	if (is_dumping && is_changed)
		n_differences++;
}

static void on_neighbor(const struct nlmsghdr *nlh)
{
	struct netlink_neigh neigh;
	const struct adj *adj;
	bool is_changed;
	bool was_failed;

	if (netlink_msg_neigh(nlh, &neigh) != 0 || neigh.is_proxy ||
		ip6_is_multicast(&neigh.address) || port_by_ifindex(neigh.ifindex) == NULL)
		return;
	if (nlh->nlmsg_type == RTM_DELNEIGH) {
		if (adj_del(neigh.ifindex, &neigh.address))
			mirror_sync_adj_gone(neigh.ifindex, &neigh.address);
		return;
	}
	adj = adj_find(neigh.ifindex, &neigh.address);
	was_failed = adj != NULL && (adj->state & NUD_FAILED) != 0;
	adj = adj_set(&neigh, generation, &is_changed);
	if (adj == NULL)
		return;
	if (is_changed || ((adj->state & NUD_FAILED) != 0 && !was_failed))
		mirror_sync_adj(adj);
}

static void on_nexthop(const struct nlmsghdr *nlh)
{
	struct netlink_nexthop object;

	if (netlink_msg_nexthop(nlh, &object) != 0 || object.is_fdb)
		return;
	if (nlh->nlmsg_type == RTM_DELNEXTHOP) {
		nhobj_del(object.id);
		return;
	}
	if (nhobj_is_gone(object.id))
		mirror_sync_objects_gone();
	if (nhobj_set(&object, generation))
		mirror_sync_objects();
}

static int on_message(const struct nlmsghdr *nlh, void *arg)
{
	(void)arg;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		on_link(nlh);
		break;
	case RTM_DELADDR:
		// The routes that the kernel drops with an IPv4 address it does not tell.
		resync_at_ns = clock_mono_ns() + RESYNC_AFTER_LINK_MS * NS_PER_MS;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		on_route(nlh);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		on_neighbor(nlh);
		break;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		on_nexthop(nlh);
		break;
	default:
		break;
	}
	return 0;
}

static bool sweep_adj(const struct adj *adj, void *arg)
{
	(void)arg;
	if (adj->generation != generation) {
		uint32_t ifindex = adj->ifindex;
		struct ip6 address = adj->address;

		adj_del(ifindex, &address);
		mirror_sync_adj_gone(ifindex, &address);
	}
	return true;
}

// One of a dump; now and then looks after the events.
static int on_dumped(const struct nlmsghdr *nlh, void *arg)
{
	static unsigned int n;

	if (++n % DUMPED_PER_FILL == 0)
		backlog_fill(events);
	return on_message(nlh, arg);
}

// Dumps one kind of object until its table stood still. Returns: 0 or negative errno.
static int dump(uint16_t type, uint8_t family)
{
	int error = -EINTR;

	for (unsigned int i = 0; error == -EINTR && i < DUMP_TRIES; i++)
		error = netlink_dump(requests, type, family, buf, on_dumped, NULL);
	if (error == -EOPNOTSUPP && type == RTM_GETNEXTHOP)
		return 0; // a kernel without nexthop objects
	return error;
}

// Reads all tables. Returns: 0 or negative errno.
static int dump_all(void)
{
	static const struct {
		uint16_t type;
		uint8_t family;
	} tables[] = {
		{ RTM_GETLINK, AF_UNSPEC },
		{ RTM_GETNEXTHOP, AF_UNSPEC },
		{ RTM_GETROUTE, AF_INET6 },
		{ RTM_GETROUTE, AF_INET },
		{ RTM_GETNEIGH, AF_INET6 },
		{ RTM_GETNEIGH, AF_INET },
	};
	int error = 0;

	generation++;
	is_dumping = true;
	n_differences = 0;
	for (unsigned int i = 0; i < sizeof(tables) / sizeof(tables[0]) && error == 0; i++)
		error = dump(tables[i].type, tables[i].family);
	is_dumping = false;
	return error;
}

// Reads all tables and forgets what is not in them any more; then takes in what happened meanwhile. What
// no dump confirmed is only swept when all dumps were complete. Returns: 0 or negative errno.
static int resync(void)
{
	int error = dump_all();

	resync_at_ns = 0;
	if (error != 0) {
		log_warn("mirror_resync_failed error=%s", strerror(-error));
		resync_at_ns = clock_mono_ns() + CLOCK_NS_PER_S;
	} else {
		if (nhobj_sweep(generation) > 0)
			mirror_sync_objects();
		n_differences += mirror_sync_sweep(generation);
		adj_walk(sweep_adj, NULL);
		audit_at_ns = clock_mono_ns() + AUDIT_S * CLOCK_NS_PER_S;
	}
	has_overrun = backlog_replay(on_message) != 0;
	return error;
}

// Reads waiting events. Returns: 1 when more may wait, 0 when none, -ENOBUFS after a loss.
static int read_events(netlink_fn fn)
{
	int result = 1;

	for (unsigned int i = 0; result == 1 && i < READS_PER_TURN; i++)
		result = netlink_read(events, buf, fn, NULL);
	return result;
}

static int throw_away(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	(void)arg;
	return 0;
}

// Messages were lost. Those still queued are older than the loss: read on after a dump, they would
// write over the truth. So throw them away first, then dump.
static void recover(void)
{
	int result;

	mirror_status.overruns++;
	log_warn("mirror_overrun n=%llu", (unsigned long long)mirror_status.overruns);
	do {
		result = read_events(throw_away);
	} while (result == 1 || result == -ENOBUFS);
	resync();
}

// Compares our account with the kernel's tables. Differences count only when nothing moved meanwhile.
static void audit(void)
{
	struct pollfd waiting = { .fd = events, .events = POLLIN };
	int error;

	mirror_sync_retry();
	error = resync();
	if (error == 0 && n_differences > 0 && poll(&waiting, 1, 0) == 0)
		log_warn("mirror_audit_differences n=%u routes=%u", n_differences,
			mirror_sync_entries());
}

// Shows workers what changed. What found no room in the FIB is tried again a while after room was made.
static void commit(void)
{
	if (retry_at_ns != 0 && clock_mono_ns() >= retry_at_ns) {
		retry_at_ns = 0;
		mirror_sync_retry();
	}
	mirror_sync_commit();
	if (retry_at_ns == 0 && mirror_sync_has_room())
		retry_at_ns = clock_mono_ns() + RETRY_AFTER_ROOM_MS * NS_PER_MS;
}

// Takes over what control wishes. Returns: how many wishes there have been so far.
static uint64_t take_wishes(void)
{
	uint64_t n;

	pthread_mutex_lock(&wish_lock);
	n = n_wished;
	for (unsigned int i = 0; n != n_fulfilled && i < API_MAX_HOME_PREFIXES; i++) {
		struct wish *wish = &wishes[i];

		if (!wish->is_pending)
			continue;
		wish->is_pending = false;
		if (wish->is_del)
			mirror_sync_home_del((uint16_t)i);
		else
			mirror_sync_home_set(&wish->set);
	}
	for (unsigned int i = 0; n != n_fulfilled && i < API_MAX_AGENTS; i++) {
		struct agent_wish *wish = &agent_wishes[i];

		if (wish->is_pending)
			mirror_sync_agent_set((uint16_t)i, &wish->address, wish->domain);
		wish->is_pending = false;
	}
	pthread_mutex_unlock(&wish_lock);
	return n;
}

static void tell_fulfilled(uint64_t n)
{
	pthread_mutex_lock(&wish_lock);
	n_fulfilled = n;
	pthread_cond_broadcast(&wishes_done);
	pthread_mutex_unlock(&wish_lock);
}

static void turn(void)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	// Wishes first: what the kernel had told when a wish was made, like the address of an agent, is
	// then in the tables when the wish is fulfilled.
	n = take_wishes();
	if (has_overrun || read_events(on_message) == -ENOBUFS)
		recover();
	if (resync_at_ns != 0 && clock_mono_ns() >= resync_at_ns)
		resync();
	if (clock_mono_ns() >= audit_at_ns)
		audit();
	for (uint16_t i = 0; i < n_ports; i++)
		port_poll_carrier(&ports[i]);
	for (uint16_t i = 0; i < n_links; i++)
		follow_link(i, false);
	commit();
	pthread_mutex_unlock(&lock);
	tell_fulfilled(n);
}

static int wait_ms(void)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t until_ns = audit_at_ns;

	if (resync_at_ns != 0 && resync_at_ns < until_ns)
		until_ns = resync_at_ns;
	if (retry_at_ns != 0 && retry_at_ns < until_ns)
		until_ns = retry_at_ns;
	for (unsigned int i = 0; i < n_ports; i++) {
		if (ports[i].netdev_ifindex == 0 && until_ns > now_ns + CARRIER_POLL_MS * NS_PER_MS)
			until_ns = now_ns + CARRIER_POLL_MS * NS_PER_MS;
	}
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS + 1);
}

static void *run(void *arg)
{
	(void)arg;
	privs_drop_thread(); // reading tables needs no rights
	while (!__atomic_load_n(&must_stop, __ATOMIC_ACQUIRE)) {
		struct pollfd fds[2] = {
			{ .fd = events, .events = POLLIN },
			{ .fd = wake_fd, .events = POLLIN },
		};
		uint64_t count;

		poll(fds, 2, wait_ms());
		if ((fds[1].revents & POLLIN) != 0 && read(wake_fd, &count, sizeof(count)) < 0)
			log_warn("mirror_wake_failed error=%s", strerror(errno));
		turn();
	}
	return NULL;
}

static int open_all(void)
{
	static const unsigned int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH,
		RTNLGRP_NEXTHOP };
	unsigned int n = sizeof(groups) / sizeof(groups[0]);

	events = netlink_listen(groups, n);
	if (events < 0)
		return events;
	requests = netlink_open();
	if (requests < 0)
		return requests;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return wake_fd < 0 ? -errno : 0;
}

static void close_all(void)
{
	int *fds[] = { &events, &requests, &wake_fd };

	for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int mirror_init(const struct config_dataplane *config)
{
	pthread_condattr_t attr;
	int error = open_all();

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wishes_done, &attr);
	pthread_condattr_destroy(&attr);
	if (error == 0)
		error = mirror_sync_init(config);
	if (error == 0)
		error = resync();
	if (error == 0)
		error = mirror_show_register(&lock);
	if (error != 0) {
		log_err("mirror_init_failed error=%s", strerror(-error));
		mirror_sync_free();
		close_all();
		return error;
	}
	mirror_sync_commit();
	log_info("mirror_ready routes=%u neighbors=%u", mirror_sync_entries(), adj_count());
	return 0;
}

int mirror_start(void)
{
	sigset_t all, before;
	int error;

	// Signals are the main thread's.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = rte_ctrl_thread_create(&thread, "mirror", NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	is_running = error == 0;
	if (error != 0)
		log_err("mirror_thread_failed error=%s", strerror(-error));
	return error;
}

static void wake(void)
{
	uint64_t one = 1;

	if (write(wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("mirror_wake_failed error=%s", strerror(errno));
}

void mirror_stop(void)
{
	if (is_running) {
		__atomic_store_n(&must_stop, true, __ATOMIC_RELEASE);
		wake();
		pthread_join(thread, NULL);
		is_running = false;
	}
	pthread_mutex_lock(&lock);
	mirror_sync_free();
	pthread_mutex_unlock(&lock);
	close_all();
}

static void wish(uint16_t home_prefix, const struct api_home_prefix_set *set)
{
	if (home_prefix >= API_MAX_HOME_PREFIXES)
		return;
	pthread_mutex_lock(&wish_lock);
	wishes[home_prefix].is_pending = true;
	wishes[home_prefix].is_del = set == NULL;
	if (set != NULL)
		wishes[home_prefix].set = *set;
	n_wished++;
	pthread_mutex_unlock(&wish_lock);
	wake();
}

void mirror_home_prefix_set(const struct api_home_prefix_set *home_prefix)
{
	wish(home_prefix->home_prefix, home_prefix);
}

void mirror_home_prefix_del(uint16_t home_prefix)
{
	wish(home_prefix, NULL);
}

void mirror_agent_set(uint16_t agent, const struct ip6 *address, uint8_t domain)
{
	if (agent >= API_MAX_AGENTS)
		return;
	pthread_mutex_lock(&wish_lock);
	agent_wishes[agent] =
		(struct agent_wish){ .is_pending = true, .domain = domain, .address = *address };
	n_wished++;
	pthread_mutex_unlock(&wish_lock);
	wake();
}

int mirror_flush(unsigned int timeout_ms)
{
	struct timespec until;
	uint64_t until_ns = clock_mono_ns() + timeout_ms * NS_PER_MS;
	uint64_t target;
	int error = 0;

	until.tv_sec = (time_t)(until_ns / CLOCK_NS_PER_S);
	until.tv_nsec = (long)(until_ns % CLOCK_NS_PER_S);
	pthread_mutex_lock(&wish_lock);
	target = n_wished;
	while (n_fulfilled < target && error == 0)
		error = pthread_cond_timedwait(&wishes_done, &wish_lock, &until);
	error = n_fulfilled < target ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&wish_lock);
	return error;
}

bool mirror_has_local(const struct ip6 *address)
{
	const struct ip6_prefix host = { .addr = *address, .len = 128 };
	const struct rib_entry *entry = NULL;
	bool is_local;

	if (pthread_mutex_trylock(&lock) != 0)
		return false;
	if (mirror_ribs[DOMAIN_TRANSPORT] != NULL)
		entry = rib_find(mirror_ribs[DOMAIN_TRANSPORT], &host);
	is_local = entry != NULL && entry->nexthop != 0 &&
		   nexthop_get(entry->nexthop)->type == NEXTHOP_LOCAL;
	pthread_mutex_unlock(&lock);
	return is_local;
}
