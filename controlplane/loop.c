// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "controlplane/alive.h"
#include "controlplane/bindings.h"
#include "controlplane/chain.h"
#include "controlplane/discovery.h"
#include "controlplane/held.h"
#include "controlplane/mgmt.h"
#include "controlplane/publish.h"
#include "controlplane/reload.h"
#include "controlplane/review.h"
#include "controlplane/sas_publish.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

enum {
	TICK_MS = 250,
	RETRY_TICKS = 4, // what failed is tried again every second
	REBUILD_TICKS = 20, // of a store that failed
};

// The events of the loop, and whose they are.
struct loop {
	struct control *control;
	struct event *on_end[2], *on_reload, *on_tick, *on_more;
	unsigned int n_ticks;
	bool is_watched; // systemd waits for signs of life
};

static void record(void *arg, const struct api_rec *rec)
{
	struct control *control = arg;
	const struct api_counters *counters;

	switch (rec->type) {
	case API_SYNC_DONE:
		publish_sync_done(control, (const struct api_sync_done *)(const void *)rec);
		reload_synced(control);
		return;
	case API_BINDING_ERR:
		publish_binding_err(control, (const struct api_binding_err *)(const void *)rec);
		return;
	case API_SA_ERR:
		sas_publish_err(control, (const struct api_sa_err *)(const void *)rec);
		return;
	case API_SA_EVENT:
		sas_publish_event(control, (const struct api_sa_event *)(const void *)rec);
		return;
	case API_COUNTERS:
		counters = (const struct api_counters *)(const void *)rec;
		if (counters->final) {
			control->stats.n_counters_late +=
				!bcache_add_counters(control->bcache, counters->handle, counters);
			return;
		}
		publish_counters(control, counters);
		mgmt_counters(control->mgmt, counters);
		return;
	default:
		return;
	}
}

static void down(void *control)
{
	publish_down(control);
	reload_synced(control);
}

static void punts(void *arg, const struct api_punt *const list[], unsigned int n)
{
	chain_punts(((struct control *)arg)->chain, list, n);
}

static void turn(void *arg)
{
	sas_publish_grants(arg);
}

struct link_handlers loop_link_handlers(struct control *control)
{
	return (struct link_handlers){ .ctx = control,
		.hello = publish_hello,
		.up = publish_up,
		.down = down,
		.punts = punts,
		.record = record,
		.turn = turn,
		.bulk = publish_bulk };
}

static void end(evutil_socket_t signal_number, short what, void *arg)
{
	struct loop *loop = arg;

	(void)what;
	log_info("ending signal=%d", (int)signal_number);
	event_base_loopbreak(loop->control->base);
}

static void reload(evutil_socket_t signal_number, short what, void *arg)
{
	(void)signal_number;
	(void)what;
	if (reload_begin(((struct loop *)arg)->control) == -ENOMEM)
		log_err("reload_refused reason=\"%s\"", strerror(ENOMEM));
}

// A little of the work on bindings that is due; the rest after the sockets had their turn.
static void work(struct loop *loop)
{
	static const struct timeval soon = { 0 };
	bool has_ends = bindings_expire(loop->control);
	bool has_entries = bindings_rebuild_turn(loop->control);

	if (review_turn(loop->control) || has_ends || has_entries)
		event_add(loop->on_more, &soon);
}

static void more(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	work(arg);
}

// The next tick is at the next quarter of a second of the clock that lifetimes are in: bindings end in
// whole seconds of it, and none lives longer than a second too long.
static void await_tick(struct loop *loop)
{
	static const uint64_t period_ns = TICK_MS * CLOCK_NS_PER_S / 1000;
	uint64_t left_ns = period_ns - clock_boot_ns() % period_ns;
	struct timeval left = { .tv_usec = (suseconds_t)(left_ns / 1000 + 1) };

	event_add(loop->on_tick, &left);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct control *control = loop->control;

	(void)fd;
	(void)what;
	await_tick(loop);
	loop->n_ticks++;
	if (loop->is_watched)
		alive_tell();
	work(loop);
	held_tick(control);
	if (loop->n_ticks % RETRY_TICKS == 0)
		sas_publish_tick(control, clock_boot_ns());
	if (loop->n_ticks % RETRY_TICKS == 0)
		discovery_tick(control);
	if (loop->n_ticks % RETRY_TICKS == 0 && bcache_counts(control->bcache).n_dirty > 0)
		link_bulk_ready(control->link);
	if (loop->n_ticks % REBUILD_TICKS == 0 && store_stats(control->store).has_failed)
		bindings_rebuild_begin(control);
}

static void free_events(struct loop *loop)
{
	struct event *events[] = { loop->on_end[0], loop->on_end[1], loop->on_reload, loop->on_tick,
		loop->on_more };

	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
}

static void reload_signal(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

static int add_events(struct loop *loop)
{
	struct event_base *base = loop->control->base;

	loop->on_end[0] = evsignal_new(base, SIGTERM, end, loop);
	loop->on_end[1] = evsignal_new(base, SIGINT, end, loop);
	loop->on_reload = evsignal_new(base, SIGHUP, reload, loop);
	loop->on_tick = evtimer_new(base, tick, loop);
	loop->on_more = evtimer_new(base, more, loop);
	if (loop->on_end[0] == NULL || loop->on_end[1] == NULL || loop->on_reload == NULL ||
		loop->on_tick == NULL || loop->on_more == NULL)
		return -ENOMEM;
	event_add(loop->on_end[0], NULL);
	event_add(loop->on_end[1], NULL);
	event_add(loop->on_reload, NULL);
	await_tick(loop);
	reload_signal(SIG_UNBLOCK);
	return 0;
}

void loop_block_signals(void)
{
	reload_signal(SIG_BLOCK);
}

int loop_run(struct control *control)
{
	struct loop loop = { .control = control, .is_watched = sd_watchdog_enabled(0, NULL) > 0 };
	int error = add_events(&loop);

	signal(SIGPIPE, SIG_IGN); // a reader that left is an error of its own write
	if (error == 0) {
		link_start(control->link);
		sd_notify(0, "READY=1");
		log_info("ready networks=%u max_bindings=%u", control->config->n_networks,
			control->config->dataplane.max_bindings);
		if (event_base_dispatch(control->base) < 0)
			error = -EIO;
		sd_notify(0, "STOPPING=1");
	}
	free_events(&loop);
	return error;
}
