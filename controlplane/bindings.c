// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/bindings.h"

#include <assert.h>
#include <errno.h>

#include "controlplane/mgmt.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

enum { EXPIRE_BATCH = 2048 };

// How long ago a binding may have ended for the dataplane still to be told so explicitly after a
// start: always. What was not named would count as stale there, and the sweep guard would take a long
// absence of control for a wrong store.
#define RESTORE_ENDED_NS (400 * 86400 * CLOCK_NS_PER_S)

static int commit_entries(struct store *store, const struct store_entry *const entries[],
	unsigned int n, struct store_time now)
{
	int error = store_begin(store);

	if (error != 0)
		return error;
	for (unsigned int i = 0; i < n; i++) {
		error = store_put(store, entries[i], now);
		if (error != 0) {
			store_abort(store);
			return error;
		}
	}
	return store_commit(store);
}

int bindings_commit(struct control *control, const struct store_entry *const entries[],
	unsigned int n, struct store_time now)
{
	static struct log_limit limit = { .per_second = 1 };
	uint64_t begin_ns = clock_mono_ns();
	int error = commit_entries(control->store, entries, n, now);

	if (error == 0) {
		stats_commit(&control->stats, clock_mono_ns() - begin_ns);
		return 0;
	}
	control->stats.n_commit_failures++;
	log_write_limited(&limit, LOG_LEVEL_ERR, "commit_failed error=\"%s\" refused=%u",
		strerror(-error), n);
	return error;
}

void bindings_apply(struct control *control, uint32_t handle, const struct bce *next)
{
	const struct bce *old = bcache_at(control->bcache, handle);
	bool was_live = old != NULL && old->state == BCE_LIVE;
	bool is_live = next->state == BCE_LIVE;
	int error;

	if (was_live)
		control->networks.prefixes[old->home_prefix].n_bindings--;
	if (is_live)
		control->networks.prefixes[next->home_prefix].n_bindings++;
	error = bcache_set(control->bcache, handle, next);
	assert(error == 0); // a home address has one handle
	wheel_arm(control->wheel, handle, next->expires_ns);
}

int bindings_clear(struct control *control, uint32_t handle)
{
	const struct bce *old = bcache_at(control->bcache, handle);
	struct store_time now = control_time();
	const struct store_entry *entries[1];
	struct store_entry entry;
	int error;

	if (old == NULL || old->state != BCE_LIVE)
		return -ENOENT;
	entry = (struct store_entry){ .handle = handle,
		.agent = control->networks.agents[old->care_of.agent].address,
		.bce = *old };
	entry.bce.state = BCE_HOLD;
	entry.bce.lifetime_s = 0;
	entry.bce.expires_ns = now.boot_ns + control_hold_ns(control, old->home_prefix);
	entries[0] = &entry;
	error = bindings_commit(control, entries, 1, now);
	if (error != 0)
		return error;
	bindings_apply(control, handle, &entry.bce);
	bcache_mark_dirty(control->bcache, handle);
	link_bulk_ready(control->link);
	mgmt_event_binding(control->mgmt, "cleared", &entry.bce.home, &entry.bce.care_of.address,
		entry.bce.sequence, 0, 0);
	return 0;
}

// A lifetime that ran out becomes a hold; the store needs no word of it.
static void expire(struct control *control, uint32_t handle, const struct bce *old)
{
	struct bce next = *old;

	next.state = BCE_HOLD;
	next.expires_ns = old->expires_ns + control_hold_ns(control, old->home_prefix);
	bindings_apply(control, handle, &next);
	bcache_mark_dirty(control->bcache, handle);
	control->stats.n_expired++;
	if (mgmt_has_monitors(control->mgmt))
		mgmt_event_binding(control->mgmt, "expired", &next.home, &next.care_of.address,
			next.sequence, 0, 0);
}

static void due(struct control *control, uint32_t handle, uint64_t now_ns)
{
	const struct bce *bce = bcache_at(control->bcache, handle);

	if (bce == NULL)
		return;
	if (bce->expires_ns > now_ns) {
		wheel_arm(control->wheel, handle, bce->expires_ns); // it was refreshed
	} else if (bce->state == BCE_LIVE) {
		expire(control, handle, bce);
	} else if (bcache_remove(control->bcache, handle) == 0) {
		store_forget(control->store, handle);
	} else { // the dataplane was not told yet
		wheel_arm(control->wheel, handle, now_ns + CLOCK_NS_PER_S);
	}
}

bool bindings_expire(struct control *control)
{
	uint32_t handles[EXPIRE_BATCH];
	uint64_t now_ns = clock_boot_ns();
	uint64_t n_before = control->stats.n_expired;
	bool has_more = false;
	size_t n = wheel_take(control->wheel, now_ns, handles, EXPIRE_BATCH, &has_more);

	for (size_t i = 0; i < n; i++)
		due(control, handles[i], now_ns);
	if (control->stats.n_expired != n_before)
		link_bulk_ready(control->link);
	return has_more;
}

// ---- store and cache at start and after a failure

struct restore {
	struct control *control;
	uint64_t now_ns;
	uint32_t n_live, n_held, n_unknown;
};

// An older entry of the same home address under another handle: it had ended and was forgotten before
// the newer one was made.
static void drop_older(struct control *control, const struct bce *bce)
{
	struct bcache_key key = { .home = bce->home, .domain = bce->domain };
	uint32_t handle = bcache_find(control->bcache, &key);

	if (handle == BCACHE_NONE)
		return;
	if (bcache_at(control->bcache, handle)->state == BCE_LIVE)
		control->networks.prefixes[bce->home_prefix].n_bindings--;
	bcache_clear_dirty(control->bcache, handle);
	bcache_remove(control->bcache, handle);
	store_forget(control->store, handle);
}

static int restore_one(void *arg, const struct store_entry *entry)
{
	struct restore *restore = arg;
	struct control *control = restore->control;
	struct bce bce = entry->bce;
	uint64_t hold_ns;
	int error;

	bce.home_prefix = networks_find_prefix(&control->networks, bce.domain, &bce.home);
	bce.care_of.agent = networks_find_agent(&control->networks, &entry->agent);
	if (bce.home_prefix == 0 || bce.care_of.agent == NETWORKS_NO_AGENT) {
		restore->n_unknown++;
		return -ESTALE;
	}
	hold_ns = control_hold_ns(control, bce.home_prefix);
	if (bce.state == BCE_HOLD && bce.expires_ns > restore->now_ns + hold_ns)
		bce.expires_ns = restore->now_ns + hold_ns; // the wall clock stepped over a reboot
	if (bce.state == BCE_LIVE && bce.expires_ns <= restore->now_ns) {
		bce.state = BCE_HOLD;
		bce.expires_ns += hold_ns;
	}
	drop_older(control, &bce);
	error = bcache_reserve_at(control->bcache, entry->handle);
	if (error == -ENOSPC && bce.state == BCE_HOLD)
		return -ESTALE; // what lives needs the room
	if (error != 0)
		return error;
	bindings_apply(control, entry->handle, &bce);
	if (bce.state == BCE_LIVE) {
		restore->n_live++;
	} else {
		restore->n_held++;
		bcache_mark_dirty(control->bcache, entry->handle);
	}
	return 0;
}

int bindings_restore(struct control *control)
{
	uint64_t begin_ns = clock_mono_ns();
	struct store_time now = control_time();
	struct restore restore = { .control = control, .now_ns = now.boot_ns };
	int error = store_replay(control->store, now, RESTORE_ENDED_NS, restore_one, &restore);

	if (error == 0)
		log_info("restored bindings=%u held=%u not_configured=%u took_ms=%llu",
			restore.n_live, restore.n_held, restore.n_unknown,
			(unsigned long long)((clock_mono_ns() - begin_ns) / 1000000));
	return error;
}

struct rebuild {
	struct control *control;
	uint32_t at;
};

static bool rebuild_next(void *arg, struct store_entry *out)
{
	struct rebuild *rebuild = arg;
	struct control *control = rebuild->control;
	bool is_end = false;
	uint32_t handle = BCACHE_NONE;

	while (handle == BCACHE_NONE && !is_end)
		handle = bcache_next(control->bcache, rebuild->at, &rebuild->at, &is_end);
	if (handle == BCACHE_NONE)
		return false;
	out->handle = handle;
	out->bce = *bcache_at(control->bcache, handle);
	out->agent = control->networks.agents[out->bce.care_of.agent].address;
	return true;
}

int bindings_rebuild_store(struct control *control)
{
	struct rebuild rebuild = { .control = control, .at = BCACHE_NONE };
	int error = store_rebuild(control->store, control_time(), rebuild_next, &rebuild);

	if (error == 0)
		log_info("store_rebuilt entries=%llu",
			(unsigned long long)store_stats(control->store).n_live);
	else
		log_err("store_rebuild_failed error=\"%s\"", strerror(-error));
	return error;
}
