// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// One QSBR variable for everything that workers read: a worker is online while it polls, says
// "quiescent" once a loop turn, and goes offline before it sleeps. Writers (main lcore: bindings;
// mirror thread: FIBs, next hops) unlink, wait one grace period for the whole batch, then free.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

extern struct rte_rcu_qsbr *rcu_qsbr;

// Allocates the variable for n_workers readers (thread ids 0..n_workers-1). Before start.
// Returns: 0 or -ENOMEM.
int rcu_init(unsigned int n_workers);
void rcu_free(void);

// Publishes a complete object behind a shared pointer, and reads it.
#define rcu_publish(pp, obj) __atomic_store_n((pp), (obj), __ATOMIC_RELEASE)
#define rcu_load(pp) __atomic_load_n((pp), __ATOMIC_ACQUIRE)

// Worker side. Thread: the worker with that id.
static inline void rcu_online(unsigned int worker)
{
	rte_rcu_qsbr_thread_online(rcu_qsbr, worker);
}

static inline void rcu_offline(unsigned int worker)
{
	rte_rcu_qsbr_thread_offline(rcu_qsbr, worker);
}

static inline void rcu_quiescent(unsigned int worker)
{
	rte_rcu_qsbr_quiescent(rcu_qsbr, worker);
}

// Writer side, without waiting: a token for "everything unlinked up to now", and whether its grace
// period is over.
static inline uint64_t rcu_start(void)
{
	return rte_rcu_qsbr_start(rcu_qsbr);
}

static inline bool rcu_done(uint64_t token)
{
	return rte_rcu_qsbr_check(rcu_qsbr, token, false) == 1;
}

// Waits for a grace period. Only threads that may block (the mirror thread, shutdown).
void rcu_wait(void);
