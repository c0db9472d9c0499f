// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-dataplane: boot order on one screen, undone in reverse.

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <systemd/sd-daemon.h>

#include "config/config.h"
#include "dataplane/anchor.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/boot.h"
#include "dataplane/domain.h"
#include "dataplane/eal.h"
#include "dataplane/host.h"
#include "dataplane/link.h"
#include "dataplane/link_conn.h"
#include "dataplane/mirror.h"
#include "dataplane/neigh.h"
#include "dataplane/police.h"
#include "dataplane/port.h"
#include "dataplane/pmtu.h"
#include "dataplane/privs.h"
#include "dataplane/pump.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"
#include "dataplane/show.h"
#include "dataplane/show_gate.h"
#include "dataplane/stage.h"
#include "dataplane/watchdog.h"
#include "dataplane/worker.h"

enum {
	EXIT_BOOT = 1,
	EXIT_USAGE = 2,
	MIRROR_FLUSH_MS = 500,
	STOP_LIMIT_MS = 2000, // for a worker to end
	STOP_LOOK_US = 500,
	GRACE_MS = 1, // nap while a grace period or sweep is under way
};

struct options {
	const char *config, *run_dir, *state_dir;
	bool check;
};

static const char usage[] =
	"usage: unwired-dataplane --config FILE [--run-dir DIR] [--state-dir DIR]\n"
	"                         [--log-level err|warn|info|debug]\n"
	"       unwired-dataplane --config FILE --check\n"
	"       unwired-dataplane --version | --help\n"
	"\n"
	"Forwards the packets of a Mobile IPv6 home agent. Runs in the foreground.\n"
	"\n"
	"  --config FILE     the configuration, shared with unwired-control\n"
	"  --run-dir DIR     sockets (default /run/unwired)\n"
	"  --state-dir DIR   where unwired-control runs (default /var/lib/unwired); while it does, "
	"the\n"
	"                    configuration of the last good start stands in for a FILE with "
	"errors\n"
	"  --check           check FILE and exit\n"
	"  --log-level LEVEL what is logged to stderr (default info)\n"
	"\n"
	"Exit status: 0 ended when told to, 1 could not start, 2 wrong usage or configuration.\n"
	"Ends cleanly on SIGTERM and SIGINT. See unwired-dataplane(8).\n";

// Returns: -1 to go on, else an exit status.
static int options_parse(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "check", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	enum log_level level = LOG_LEVEL_INFO;
	int opt;

	*o = (struct options){ .run_dir = "/run/unwired", .state_dir = "/var/lib/unwired" };
	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (opt) {
		case 'c':
			o->config = optarg;
			break;
		case 'r':
			o->run_dir = optarg;
			break;
		case 's':
			o->state_dir = optarg;
			break;
		case 'l':
			if (log_level_parse(optarg, &level) != 0) {
				fprintf(stderr,
					"--log-level: unknown level \"%s\" "
					"(err, warn, info or debug)\n",
					optarg);
				return EXIT_USAGE;
			}
			break;
		case 'k':
			o->check = true;
			break;
		case 'v':
			printf("unwired-dataplane %s\n", UNWIRED_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (o->config == NULL || optind < argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	log_init("unwired-dataplane", level);
	return -1;
}

static int signals_init(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	// Before any thread exists, so that all of them inherit it.
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

// --- The main lcore's loop -----------------------------------------------------------------------

struct watch {
	int epoll_fd, signal_fd;
};

static int watch_fd(const struct watch *watch, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int watch_init(struct watch *watch, int signal_fd, int host_fd)
{
	int error = 0;

	*watch = (struct watch){ .signal_fd = signal_fd };
	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->epoll_fd < 0)
		return -errno;
	for (uint16_t i = 0; i < n_links && error == 0; i++)
		error = watch_fd(watch, ports[i].tap_fd);
	if (error == 0)
		error = watch_fd(watch, signal_fd);
	if (error == 0)
		error = watch_fd(watch, host_fd);
	if (error == 0)
		error = watch_fd(watch, worker_main_fd);
	if (error == 0)
		error = watch_fd(watch, link_conn_listen_fd());
	if (error == 0)
		error = watch_fd(watch, neigh_fd());
	if (error != 0) {
		close(watch->epoll_fd);
		log_err("watch_failed error=%d", -error);
	}
	return error;
}

// Follows the connection to control as it comes, goes and blocks.
static void watch_control(const struct watch *watch)
{
	struct epoll_event event = {
		.events = EPOLLIN | (link_conn_is_blocked() ? EPOLLOUT : 0),
	};

	// A closed descriptor has left the epoll set by itself; the same number may be a new one.
	if (link_conn_fd() >= 0 &&
		epoll_ctl(watch->epoll_fd, EPOLL_CTL_MOD, link_conn_fd(), &event) != 0 &&
		errno == ENOENT)
		epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, link_conn_fd(), &event);
}

static bool rings_empty(void)
{
	for (uint16_t i = 0; i < n_workers; i++) {
		if (!worker_main_is_idle(&workers[i]))
			return false;
	}
	return true;
}

static void nap(const struct watch *watch, unsigned int timeout_ms)
{
	struct epoll_event events[8];
	uint64_t ignored;

	watch_control(watch);
	__atomic_store_n(&worker_main_asleep, true, __ATOMIC_SEQ_CST);
	if (rings_empty())
		epoll_wait(watch->epoll_fd, events, RTE_DIM(events), (int)timeout_ms);
	__atomic_store_n(&worker_main_asleep, false, __ATOMIC_SEQ_CST);
	if (read(worker_main_fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		log_warn("wake_read_failed error=%d", errno);
}

static void run(const struct watch *watch)
{
	struct signalfd_siginfo info;

	while (read(watch->signal_fd, &info, sizeof(info)) != sizeof(info)) {
		bool is_busy = pump_turn(), is_waiting = link_turn();
		unsigned int timeout_ms = neigh_poll();

		pmtu_poll();
		timeout_ms = RTE_MIN(timeout_ms, watchdog_poll());

		if (is_busy)
			continue;
		nap(watch, is_waiting ? RTE_MIN(timeout_ms, (unsigned int)GRACE_MS) : timeout_ms);
	}
	log_info("stopping signal=%u", info.ssi_signo);
}

// --- Boot ----------------------------------------------------------------------------------------

// An address of ours for errors of links that have none: of another port, else of an agent. RFC 4443
// section 2.2 (d) asks for one of the node. Returns: borrowed from config, or NULL.
static const struct ip6 *icmp_source_any(const struct config *config)
{
	const struct config_dataplane *c = &config->dataplane;

	for (uint8_t p = 0; p < c->n_ports; p++) {
		for (uint8_t a = 0; a < c->ports[p].n_addresses; a++) {
			if (ip6_is_unicast_routable(&c->ports[p].addresses[a].addr))
				return &c->ports[p].addresses[a].addr;
		}
	}
	for (uint16_t n = 0; n < config->n_networks; n++) {
		if (config->networks[n].n_agents > 0)
			return &config->networks[n].agent_addresses[0];
	}
	return NULL;
}

// The first address of each version is what errors of the link come from.
static void icmp_source_set(uint8_t link, const struct ip6_prefix *addresses, uint8_t n)
{
	while (n-- > 0) {
		const struct ip6 *a = &addresses[n].addr;
		uint32_t address_be;

		if (ip6_is_unicast_routable(a)) {
			stage_icmp_source_set(link, a);
		} else if (ip6_is_v4mapped(a)) {
			memcpy(&address_be, a->b + 12, sizeof(address_be));
			stage_ip4_source_set(link, address_be);
		}
	}
}

static void icmp_sources_set(const struct config *config)
{
	const struct config_dataplane *c = &config->dataplane;
	const struct ip6 *any = icmp_source_any(config);

	for (uint8_t link = 0; any != NULL && link < CONFIG_MAX_LINKS; link++)
		stage_icmp_source_set(link, any);
	for (uint8_t p = 0; p < c->n_ports; p++) {
		const struct config_port *port = &c->ports[p];

		icmp_source_set(p, port->addresses, port->n_addresses);
		for (uint8_t v = 0; v < port->n_vlans; v++)
			icmp_source_set(port_vlans[p][port->vlans[v].id], port->vlans[v].addresses,
				port->vlans[v].n_addresses);
	}
}

static void workers_launch(void)
{
	for (uint16_t i = 0; i < n_workers; i++)
		rte_eal_remote_launch(worker_run, &workers[i], i + 1u);
}

static void workers_stop(void)
{
	uint64_t deadline_ns = clock_mono_ns() + STOP_LIMIT_MS * (CLOCK_NS_PER_S / 1000);

	__atomic_store_n(&worker_stop, true, __ATOMIC_RELAXED);
	for (uint16_t i = 0; i < n_workers; i++)
		eventfd_write(workers[i].wake_fd, 1);
	for (uint16_t i = 0; i < n_workers; i++) {
		while (rte_eal_get_lcore_state(i + 1u) == RUNNING && clock_mono_ns() < deadline_ns)
			usleep(STOP_LOOK_US);
		if (rte_eal_get_lcore_state(i + 1u) != RUNNING)
			continue;
		log_err("worker_stuck worker=%u waited_ms=%d", i, STOP_LIMIT_MS);
		_exit(EXIT_BOOT); // what it holds cannot be freed
	}
	rte_eal_mp_wait_lcore();
}

// What needs root: DPDK, buffers, ports and the side of them that the kernel sees.
// Returns: the pool of packet buffers with *host_fd, or NULL with the reason logged.
static struct rte_mempool *ports_open(
	const struct config_dataplane *c, const char *run_dir, int *host_fd)
{
	struct rte_mempool *pool;

	domain_init(c);
	if (eal_start(c, run_dir) != 0)
		return NULL;
	pool = port_pool_make(c);
	if (pool == NULL)
		goto fail_eal;
	if (rcu_init(c->n_workers) != 0)
		goto fail_pool;
	if (ports_start(c, c->n_workers, pool) != 0)
		goto fail_rcu;
	*host_fd = host_tun_open();
	if (*host_fd >= 0)
		return pool;
	ports_stop();
fail_rcu:
	rcu_free();
fail_pool:
	rte_mempool_free(pool);
fail_eal:
	rte_eal_cleanup();
	return NULL;
}

static void ports_close(struct rte_mempool *pool)
{
	host_tun_close();
	ports_stop();
	rcu_free();
	rte_mempool_free(pool);
	rte_eal_cleanup();
}

// The last that needs root, and the first that others can see.
static int rights_give_up(const char *run_dir, const struct config *config)
{
	if (show_register() != 0 || port_show_register() != 0 ||
		boot_config_keep(run_dir, config) != 0 || privs_drop() != 0)
		return -EPERM;
	return mirror_start();
}

// Forwards until a signal comes.
static void forward(const struct watch *watch, const struct config_dataplane *c)
{
	watchdog_init();
	// Not before the expected home prefixes are in the FIB.
	if (mirror_flush(MIRROR_FLUSH_MS) != 0)
		log_warn("mirror_slow waited_ms=%d", MIRROR_FLUSH_MS);
	workers_launch();
	sd_notify(0, "READY=1");
	log_info("ready ports=%u workers=%u max_bindings=%u", n_ports, n_workers, c->max_bindings);
	run(watch);
	sd_notify(0, "STOPPING=1");
	workers_stop();
}

static int serve(const struct options *o, const struct config *config, int signal_fd)
{
	const struct config_dataplane *c = &config->dataplane;
	const struct link_config link = {
		.run_dir = o->run_dir,
		.max_bindings = c->max_bindings,
		.max_sas = c->max_sas,
		.orphan_hold_s = c->orphan_hold_s,
	};
	int host_fd, status = EXIT_BOOT;
	struct rte_mempool *pool = ports_open(c, o->run_dir, &host_fd);
	struct watch watch;

	if (pool == NULL)
		return status;
	if (mirror_init(c) != 0)
		goto fail_ports;
	if (pmtu_init() != 0 || pump_init(pool, host_fd) != 0)
		goto fail_mirror;
	if (police_init(rte_get_tsc_hz()) != 0)
		goto fail_pump;
	punt_init();
	if (link_init(&link) != 0)
		goto fail_pump;
	if (workers_init(c, (uint8_t)config->node.id, link_bindings(), pool) != 0)
		goto fail_link;
	icmp_sources_set(config);
	anchor_expect(config);
	if (watch_init(&watch, signal_fd, host_fd) != 0)
		goto fail_workers;
	if (rights_give_up(o->run_dir, config) != 0)
		goto fail_watch;
	forward(&watch, c);
	status = EXIT_SUCCESS;
fail_watch:
	show_gate_close();
	close(watch.epoll_fd);
fail_workers:
	anchor_free();
	workers_free();
fail_link:
	link_free();
fail_pump:
	pump_free();
	pmtu_free();
fail_mirror:
	mirror_stop();
fail_ports:
	ports_close(pool);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct config *config;
	int signal_fd, status = options_parse(argc, argv, &options);

	if (status >= 0)
		return status;
	config = options.check ? config_load(options.config, stderr)
			       : boot_config(options.config, options.run_dir, options.state_dir);
	if (config == NULL)
		return EXIT_USAGE;
	if (options.check) {
		config_free(config);
		return EXIT_SUCCESS;
	}
	signal_fd = signals_init();
	if (signal_fd < 0) {
		log_err("signals_failed error=%d", -signal_fd);
		config_free(config);
		return EXIT_BOOT;
	}
	status = serve(&options, config, signal_fd);
	config_free(config);
	close(signal_fd);
	return status;
}
