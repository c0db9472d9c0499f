// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/bindings.h"

#include <assert.h>
#include <errno.h>

#include "controlplane/mgmt.h"
#include "controlplane/prefault.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

enum {
	EXPIRE_BATCH = 512, // of a turn of the loop: half a millisecond of it
	FETCHED_STEP = 1 << 15, // records whose memory is fetched together
};

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
	for (unsigned int i = 0; i < n; i++)
		if (store_put(store, entries[i], now) != 0)
			break; // the commit says it
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

// Counts a binding for its home prefix and agent, whose numbers it pins.
static void count(struct control *control, const struct bce *bce, int change)
{
	struct networks *networks = &control->networks;

	if (bce->state == BCE_LIVE)
		networks->prefixes[bce->home_prefix].n_bindings += (uint32_t)change;
	if (bce->state == BCE_LIVE || bce->state == BCE_UNSERVED)
		networks->agents[bce->care_of.agent].n_bindings += (uint32_t)change;
}

void bindings_apply(struct control *control, uint32_t handle, const struct bce *next)
{
	const struct bce *old = bcache_at(control->bcache, handle);
	int error;

	if (old != NULL)
		count(control, old, -1);
	count(control, next, 1);
	error = bcache_set(control->bcache, handle, next);
	assert(error == 0); // a home address has one handle
	wheel_arm(control->wheel, handle, next->expires_ns);
}

// The end of a live binding, now.
static struct store_entry end_of(
	const struct control *control, uint32_t handle, struct store_time now)
{
	const struct bce *old = bcache_at(control->bcache, handle);
	struct store_entry entry = { .handle = handle,
		.agent = control->networks.agents[old->care_of.agent].address,
		.bce = *old };

	entry.bce.state = BCE_HOLD;
	entry.bce.lifetime_s = 0;
	entry.bce.expires_ns = now.boot_ns + control_hold_ns(control, old->home_prefix);
	return entry;
}

int bindings_end(struct control *control, const uint32_t handles[], unsigned int n)
{
	static struct store_entry group[BINDINGS_END_MAX];
	static const struct store_entry *entries[BINDINGS_END_MAX];
	struct store_time now = control_time();
	int error;

	for (unsigned int i = 0; i < n; i++) {
		group[i] = end_of(control, handles[i], now);
		entries[i] = &group[i];
	}
	error = bindings_commit(control, entries, n, now);
	if (error != 0)
		return error;
	for (unsigned int i = 0; i < n; i++) {
		const struct bce *bce = &group[i].bce;

		bindings_apply(control, handles[i], bce);
		bcache_mark_dirty(control->bcache, handles[i]);
		mgmt_event_binding(control->mgmt, "cleared", &bce->home, &bce->care_of.address,
			bce->sequence, 0, 0);
	}
	link_bulk_ready(control->link);
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

// Forgets a record. Returns: false while the dataplane is still to be told of it.
static bool forget(struct control *control, uint32_t handle)
{
	struct bce bce = *bcache_at(control->bcache, handle);

	if (bcache_remove(control->bcache, handle) != 0)
		return false;
	count(control, &bce, -1);
	store_forget(control->store, handle);
	return true;
}

// When the record has no more to say. An unserved one has its hold behind its lifetime, as it would
// have had.
static uint64_t end_ns(const struct bce *bce)
{
	return bce->expires_ns +
	       (bce->state == BCE_UNSERVED ? CONTROL_HOLD_MESGID_S * CLOCK_NS_PER_S : 0);
}

static void due(struct control *control, uint32_t handle, uint64_t now_ns)
{
	const struct bce *bce = bcache_at(control->bcache, handle);

	if (bce == NULL)
		return;
	if (end_ns(bce) > now_ns) {
		wheel_arm(control->wheel, handle, end_ns(bce)); // it was refreshed
	} else if (bce->state == BCE_LIVE) {
		expire(control, handle, bce);
	} else if (!forget(control, handle)) {
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
		bcache_fetch_at(control->bcache, handles[i]);
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
	uint32_t n_live, n_held, n_unserved;
};

// An older entry of the same home address under another handle: it had ended and was forgotten before
// the newer one was made.
static void drop_older(struct control *control, const struct bce *bce)
{
	struct bcache_key key = { .home = bce->home, .domain = bce->domain };
	uint32_t handle = bcache_find(control->bcache, &key);

	if (handle == BCACHE_NONE)
		return;
	bcache_clear_dirty(control->bcache, handle);
	forget(control, handle);
}

// Gives a record, as the log has it, the state that configuration and clock make of it. An agent
// whose number it names is kept whether it is configured or not.
static void place(const struct control *control, struct bce *bce, uint64_t now_ns)
{
	const struct networks *networks = &control->networks;
	uint64_t hold_ns;

	bce->home_prefix = networks_find_prefix(networks, bce->domain, &bce->home);
	if (!networks_serve(networks, bce->home_prefix, bce->care_of.agent)) {
		if (bce->state == BCE_HOLD)
			bce->lifetime_s = 0; // see logged_state
		bce->home_prefix = 0;
		bce->state = BCE_UNSERVED;
		return;
	}
	hold_ns = control_hold_ns(control, bce->home_prefix);
	if (bce->state == BCE_HOLD && bce->expires_ns > now_ns + hold_ns)
		bce->expires_ns = now_ns + hold_ns; // the wall clock stepped over a reboot
	if (bce->state == BCE_LIVE && bce->expires_ns <= now_ns) {
		bce->state = BCE_HOLD;
		bce->expires_ns += hold_ns;
	}
}

// The state that an unserved record has in the log: only what was ended has no lifetime.
static uint8_t logged_state(const struct bce *bce)
{
	if (bce->state != BCE_UNSERVED)
		return bce->state;
	return bce->lifetime_s == 0 ? BCE_HOLD : BCE_LIVE;
}

static int restore_one(void *arg, const struct store_entry *entry)
{
	struct restore *restore = arg;
	struct control *control = restore->control;
	struct bce bce = entry->bce;
	int error;

	bce.care_of.agent = networks_keep_agent(&control->networks, &entry->agent);
	if (bce.care_of.agent == NETWORKS_NO_AGENT)
		return -ENOSPC;
	place(control, &bce, restore->now_ns);
	error = bcache_reserve_at(control->bcache, entry->handle);
	if (error != 0)
		return error;
	if (bcache_set(control->bcache, entry->handle, &bce) == -EEXIST) {
		drop_older(control, &bce);
		error = bcache_set(control->bcache, entry->handle, &bce);
		assert(error == 0);
	}
	count(control, &bce, 1);
	wheel_arm(control->wheel, entry->handle, bce.expires_ns);
	if (bce.state == BCE_HOLD)
		bcache_mark_dirty(control->bcache, entry->handle);
	restore->n_live += bce.state == BCE_LIVE;
	restore->n_held += bce.state == BCE_HOLD;
	restore->n_unserved += bce.state == BCE_UNSERVED;
	return 0;
}

static void restore_expected(void *arg, const struct store_entry *entry)
{
	const struct control *control = ((const struct restore *)arg)->control;

	bcache_fetch(control->bcache, entry->handle, &entry->bce);
	wheel_fetch(control->wheel, entry->handle);
}

// Fetches what the entries of the store will need. A few in a large table have no need of it.
static struct prefault *prefault_begun(const struct control *control)
{
	struct prefault *prefault = prefault_new();
	uint32_t n = store_handles(control->store);

	if (n >= control->config->dataplane.max_bindings / 8)
		bcache_prefault(control->bcache, control->n_fetched, n, prefault);
	wheel_prefault(control->wheel, n, prefault);
	prefault_begin(prefault);
	return prefault;
}

bool bindings_expect(void *arg, uint32_t n)
{
	struct control *control = arg;
	uint32_t to = control->n_fetched + FETCHED_STEP;

	if (n < to)
		return false;
	bcache_populate(control->bcache, control->n_fetched, to);
	control->n_fetched = to;
	return true;
}

int bindings_restore(struct control *control)
{
	static const struct store_replay_fns fns = { .take = restore_one,
		.expect = restore_expected };
	uint64_t begin_ns = clock_mono_ns();
	struct store_time now = control_time();
	struct restore restore = { .control = control, .now_ns = now.boot_ns };
	struct prefault *prefault = prefault_begun(control);
	int error = store_replay(control->store, now, RESTORE_ENDED_NS, &fns, &restore);

	prefault_end(prefault);
	if (error != 0)
		return error;
	log_info("restored bindings=%u held=%u took_ms=%llu", restore.n_live, restore.n_held,
		(unsigned long long)((clock_mono_ns() - begin_ns) / 1000000));
	if (restore.n_unserved > 0)
		log_err("bindings_unserved n=%u reason=\"no home network of the configuration has "
			"their home prefix and agent\" remedy=\"correct it and reload\"",
			restore.n_unserved);
	return 0;
}

bool bindings_serve(struct control *control, uint32_t handle)
{
	struct bce bce = *bcache_at(control->bcache, handle);

	bce.state = logged_state(&bce);
	place(control, &bce, clock_boot_ns());
	if (bce.state == BCE_UNSERVED)
		return false;
	bindings_apply(control, handle, &bce);
	bcache_mark_dirty(control->bcache, handle);
	return true;
}

static bool rebuild_next(void *arg, struct store_entry *out)
{
	struct control *control = arg;
	bool is_end = false;
	uint32_t handle = BCACHE_NONE;

	while (handle == BCACHE_NONE && !is_end)
		handle = bcache_next(
			control->bcache, control->rebuild.at, &control->rebuild.at, &is_end);
	if (handle == BCACHE_NONE)
		return false;
	out->handle = handle;
	out->bce = *bcache_at(control->bcache, handle);
	out->bce.state = logged_state(&out->bce);
	out->agent = control->networks.agents[out->bce.care_of.agent].address;
	return true;
}

void bindings_rebuild_begin(struct control *control)
{
	int error;

	if (control->rebuild.is_running)
		return;
	error = store_rebuild_begin(control->store);
	control->rebuild.is_running = error == 0;
	control->rebuild.at = BCACHE_NONE;
	if (error != 0)
		log_err("store_rebuild_failed error=\"%s\"", strerror(-error));
}

bool bindings_rebuild_turn(struct control *control)
{
	int result;

	if (!control->rebuild.is_running)
		return false;
	result = store_rebuild_step(control->store, control_time(), rebuild_next, control);
	control->rebuild.is_running = result == 1;
	if (result == 0)
		log_info("store_rebuilt entries=%llu",
			(unsigned long long)store_stats(control->store).n_live);
	else if (result < 0)
		log_err("store_rebuild_failed error=\"%s\"", strerror(-result));
	return control->rebuild.is_running;
}
