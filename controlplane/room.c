// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/room.h"

void room_make(struct control *control, unsigned int n)
{
	struct bcache_counts counts = bcache_counts(control->bcache);
	uint32_t n_wanted = 0, handle;

	if (counts.n_live < counts.max_bindings)
		n_wanted = counts.max_bindings - counts.n_live;
	if (n_wanted > n)
		n_wanted = n;
	for (; counts.n_free < n_wanted; counts.n_free++) {
		handle = bcache_old_hold(control->bcache);
		if (handle == BCACHE_NONE || bcache_remove(control->bcache, handle) != 0)
			return;
		store_forget(control->store, handle);
		control->stats.n_holds_forgotten++;
	}
}

bool room_is_taken(const struct control *control, uint32_t handle, const struct bce *old)
{
	const struct bce *bce = bcache_at(control->bcache, handle);

	return (old != NULL && old->state == BCE_LIVE) ||
	       (bce != NULL &&
		       (bce->state == BCE_LIVE || bcache_is_dirty(control->bcache, handle)));
}

bool room_for(
	const struct control *control, uint32_t handle, const struct bce *old, unsigned int n_more)
{
	struct bcache_counts counts = bcache_counts(control->bcache);
	uint64_t n_entries = (uint64_t)counts.n_live + counts.n_reserved + counts.n_dirty_hold +
			     control->sync.n_kept + n_more;

	if (room_is_taken(control, handle, old))
		return !bcache_is_refused(control->bcache, handle);
	if (control->sync.is_full && counts.n_refused > 0)
		return false;
	return n_entries < control_max_bindings(control) &&
	       (handle != BCACHE_NONE || counts.n_free > 0);
}

bool room_of_owner(const struct control *control, const struct authorise *who, unsigned int n_new)
{
	unsigned int n = n_new;
	uint32_t handle;

	if (who->auth != AUTH_OK || who->is_listed || who->mn_id_len == 0)
		return true;
	handle = bcache_find_mn_id(control->bcache, who->mn_id, who->mn_id_len);
	for (; handle != BCACHE_NONE && n < ROOM_OF_OWNER; n++)
		handle = bcache_next_mn_id(control->bcache, handle);
	return n < ROOM_OF_OWNER;
}
