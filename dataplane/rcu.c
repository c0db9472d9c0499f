// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/rcu.h"

#include <errno.h>

#include <rte_malloc.h>

struct rte_rcu_qsbr *rcu_qsbr;

int rcu_init(unsigned int n_workers)
{
	rcu_qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(n_workers), RTE_CACHE_LINE_SIZE);
	if (rcu_qsbr == NULL)
		return -ENOMEM;
	if (rte_rcu_qsbr_init(rcu_qsbr, n_workers) != 0)
		goto fail;
	for (unsigned int i = 0; i < n_workers; i++) {
		if (rte_rcu_qsbr_thread_register(rcu_qsbr, i) != 0)
			goto fail;
	}
	return 0;

fail:
	rcu_free();
	return -ENOMEM;
}

void rcu_free(void)
{
	rte_free(rcu_qsbr);
	rcu_qsbr = NULL;
}

void rcu_wait(void)
{
	rte_rcu_qsbr_synchronize(rcu_qsbr, RTE_QSBR_THRID_INVALID);
}
