// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/held.h"

#include "controlplane/sas.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

// In a network with authentication ipsec every binding came under an association.
static bool is_known(const struct control *control, const struct bce *bce)
{
	const struct networks *networks = &control->networks;
	const struct config_network *network = networks->prefixes[bce->home_prefix].network;

	return network == NULL || network->auth != CONFIG_AUTH_IPSEC ||
	       sas_find(control->sas, &bce->home, bce->domain,
		       &networks->agents[bce->care_of.agent].address) != 0;
}

bool held_keep(struct control *control, uint32_t handle, const struct bce *bce)
{
	if (control->is_held_over || bce->state != BCE_LIVE || is_known(control, bce))
		return false;
	if (!held_waits(control))
		log_info("learned_awaited hold_s=%d", HELD_MAX_S);
	bcache_mark_held(control->bcache, handle);
	return true;
}

bool held_waits(const struct control *control)
{
	return bcache_counts(control->bcache).n_held > 0;
}

void held_end(struct control *control)
{
	if (control->is_held_over)
		return;
	control->is_held_over = true;
	bcache_release_held(control->bcache);
	link_bulk_ready(control->link);
}

void held_tick(struct control *control)
{
	uint32_t n = bcache_counts(control->bcache).n_held;

	if (control->is_held_over ||
		clock_mono_ns() - control->started_ns < HELD_MAX_S * CLOCK_NS_PER_S)
		return;
	if (n > 0)
		log_warn("learned_not_told bindings=%u meaning=\"they have no security "
			 "associations\" remedy=\"see whether unwired-xfrm runs\"",
			n);
	held_end(control);
}
