// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/review.h"

#include "controlplane/bindings.h"
#include "dataplane/base/log.h"

enum { LOOKED_AT_MAX = 65536 };

void review_begin(struct control *control)
{
	control->review.is_due = true;
	control->review.at = BCACHE_NONE;
	control->review.n_ended = control->review.n_served = 0;
}

// Serves what can be served, and gathers what is to end, until there are enough or a long stretch has
// been looked at. Returns: how many handles.
static unsigned int gather(struct control *control, uint32_t *at, uint32_t handles[], bool *is_end)
{
	const struct networks *networks = &control->networks;
	unsigned int n = 0, n_served = 0;

	for (unsigned int i = 0; i < LOOKED_AT_MAX && n + n_served < BINDINGS_END_MAX; i++) {
		uint32_t handle = bcache_next(control->bcache, *at, at, is_end);
		const struct bce *bce = bcache_at(control->bcache, handle);

		if (bce == NULL)
			break;
		if (bce->state == BCE_UNSERVED)
			n_served += bindings_serve(control, handle);
		else if (bce->state == BCE_LIVE &&
			 !networks_serve(networks, bce->home_prefix, bce->care_of.agent))
			handles[n++] = handle;
	}
	control->review.n_served += n_served;
	return n;
}

static void end(struct control *control)
{
	control->review.is_due = false;
	if (control->review.n_ended > 0)
		log_warn(
			"bindings_ended reason=home_network_removed n=%u", control->review.n_ended);
	if (control->review.n_served > 0)
		log_info("bindings_served_again n=%u", control->review.n_served);
}

bool review_turn(struct control *control)
{
	uint32_t handles[BINDINGS_END_MAX];
	uint32_t at = control->review.at;
	bool is_end = false;
	unsigned int n;

	if (!control->review.is_due)
		return false;
	n = gather(control, &at, handles, &is_end);
	if (n > 0 && bindings_end(control, handles, n) != 0)
		return false;
	control->review.at = at;
	control->review.n_ended += n;
	if (is_end)
		end(control);
	link_bulk_ready(control->link);
	return control->review.is_due;
}
