// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/watchdog.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/rcu.h"
#include "dataplane/worker.h"

enum {
	LOOK_MS = 100,
	CPU_LIMIT_MS = 350, // in one turn; with the time between looks a stop is seen within 500 ms
	WAIT_LIMIT_MS = 2000, // without a turn, asleep in the kernel or without a CPU
	RCU_LOOK_US = 50,
	DUMP_MS = 100, // for the stuck worker to write its stack
	FRAMES_MAX = 48,
	NS_PER_MS = 1000000,
};

// What the last looks at a worker saw.
struct seen {
	uint64_t turn_tsc; // of its last turn
	uint64_t cpu_ns; // what its thread had spent when that turn was first seen
	uint64_t wait_ns; // looked at since then
};

static struct seen seen[CONFIG_MAX_WORKERS];
static uint64_t looked_ns, alive_ns; // last look, last sign of life
static uint64_t alive_period_ns; // 0 = nobody waits for it

static void dump_stack(int number)
{
	void *frames[FRAMES_MAX];

	(void)number;
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
}

void watchdog_init(void)
{
	struct sigaction action = { .sa_handler = dump_stack };
	void *frame[1];
	uint64_t timeout_us = 0;

	backtrace(frame, 1); // loads its library now, not in the handler
	sigaction(SIGUSR2, &action, NULL);
	if (sd_watchdog_enabled(0, &timeout_us) > 0)
		alive_period_ns = timeout_us * 1000 / 4;
	looked_ns = clock_mono_ns();
}

static uint64_t cpu_ns(const struct worker *w)
{
	clockid_t clock;

	return pthread_getcpuclockid(w->thread, &clock) == 0 ? clock_ns(clock) : 0;
}

static void __attribute__((noreturn)) end_stuck(const struct worker *w, uint64_t spent_ns)
{
	log_err("worker_stuck worker=%u cpu_ms=%llu waited_ms=%llu", w->id,
		(unsigned long long)(spent_ns / NS_PER_MS),
		(unsigned long long)(seen[w->id].wait_ns / NS_PER_MS));
	pthread_kill(w->thread, SIGUSR2);
	usleep(DUMP_MS * 1000);
	abort();
}

// elapsed_ns: since the last look, at most twice what lies between looks: when this thread was
// stopped, so was the worker.
static void look(const struct worker *w, uint64_t elapsed_ns)
{
	uint64_t turn_tsc = __atomic_load_n(&w->now_tsc, __ATOMIC_RELAXED);
	struct seen *s = &seen[w->id];
	uint64_t spent_ns;

	if (!__atomic_load_n(&w->is_started, __ATOMIC_ACQUIRE))
		return;
	// A worker without packets sleeps for less than the time between looks, and turns then.
	if (turn_tsc != s->turn_tsc) {
		*s = (struct seen){ .turn_tsc = turn_tsc, .cpu_ns = cpu_ns(w) };
		return;
	}
	s->wait_ns += elapsed_ns;
	spent_ns = cpu_ns(w) - s->cpu_ns;
	if (spent_ns >= (uint64_t)CPU_LIMIT_MS * NS_PER_MS ||
		s->wait_ns >= (uint64_t)WAIT_LIMIT_MS * NS_PER_MS)
		end_stuck(w, spent_ns);
}

unsigned int watchdog_poll(void)
{
	static const uint64_t period_ns = (uint64_t)LOOK_MS * NS_PER_MS;
	uint64_t now_ns = clock_mono_ns(), elapsed_ns = now_ns - looked_ns;

	if (elapsed_ns < period_ns)
		return (unsigned int)((period_ns - elapsed_ns) / NS_PER_MS) + 1;
	looked_ns = now_ns;
	for (uint16_t i = 0; i < n_workers; i++)
		look(&workers[i], RTE_MIN(elapsed_ns, 2 * period_ns));
	if (alive_period_ns != 0 && now_ns - alive_ns >= alive_period_ns) {
		alive_ns = now_ns;
		sd_notify(0, "WATCHDOG=1");
	}
	return LOOK_MS;
}

void watchdog_rcu_wait(void)
{
	uint64_t token = rcu_start();

	while (!rcu_done(token)) {
		watchdog_poll();
		usleep(RCU_LOOK_US);
	}
}
