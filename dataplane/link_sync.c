// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/link_sync.h"

#include <errno.h>
#include <stdbool.h>

#include "dataplane/anchor.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/link.h"
#include "dataplane/link_conn.h"
#include "dataplane/mirror.h"
#include "dataplane/sa.h"

enum {
	SWEEP_PER_TURN = 4096,
	FORCE_MS = 2000, // for the kernel to tell of new addresses
	NS_PER_MS = 1000000,
	TELL_STALE_MS = 100, // control hears of fewer stale entries at most this often
};

static struct {
	struct bindtab *bindings;
	uint32_t orphan_hold_s;
	uint64_t orphan_since_ns; // 0 = control is here, or the hold is over
	uint64_t peer_store_id;

	uint64_t id; // that control gave to the synchronisation under way
	bool is_sweeping;
	uint64_t force_until_ns; // swept; the agent addresses may take until then, 0 = done
	uint32_t n_stale; // of the last SYNC_DONE
	uint32_t n_before; // entries at SYNC_BEGIN
	uint64_t guarded_since_ns; // the sweep guard holds stale entries; 0 = it does not
	uint64_t told_stale_ns; // when control was told of n_stale
} sync_state;

void link_sync_init(struct bindtab *bindings, uint32_t orphan_hold_s)
{
	sync_state.bindings = bindings;
	sync_state.orphan_hold_s = orphan_hold_s;
}

void link_sync_adopt(uint64_t store_id)
{
	sync_state.is_sweeping = false; // of orphans: they have a keeper again
	sync_state.peer_store_id = store_id;
	sync_state.orphan_since_ns = 0;
}

void link_sync_lost(void)
{
	sync_state.is_sweeping = false;
	sync_state.force_until_ns = 0;
	sync_state.orphan_since_ns = clock_mono_ns();
	link_status.is_guarded = false;
}

static void send_sync_done(int error)
{
	struct api_sync_done *rec = link_conn_record(API_SYNC_DONE, sizeof(*rec));

	if (rec == NULL)
		return;
	rec->sync_id = sync_state.id;
	rec->error = error;
	rec->n_live = bindtab_count(sync_state.bindings);
	rec->n_stale = sync_state.n_stale;
}

void link_sync_begin(const struct api_sync_begin *begin)
{
	sync_state.id = begin->sync_id;
	sync_state.orphan_hold_s = begin->orphan_hold_s;
	sync_state.is_sweeping = false;
	sync_state.force_until_ns = 0;
	link_status.is_guarded = false;
	sync_state.n_before = bindtab_count(sync_state.bindings);
	bindtab_mark_begin(sync_state.bindings);
	sa_mark_begin();
	anchor_mark_begin();
}

// True when stale entries point to a wrong store rather than to ended bindings: too many of those that
// were there, or any of another store's.
static bool is_suspicious(uint64_t stale)
{
	bool is_foreign =
		link_status.store_id != 0 && link_status.store_id != sync_state.peer_store_id;

	return is_foreign ? stale > 0
			  : stale * 100 > (uint64_t)sync_state.n_before * API_SWEEP_MAX_PERCENT;
}

static void sweep_begin(void)
{
	sync_state.guarded_since_ns = 0;
	link_status.is_guarded = false;
	sync_state.n_stale = bindtab_stale(sync_state.bindings);
	sync_state.is_sweeping = true;
	bindtab_sweep_begin(sync_state.bindings);
	sa_sweep_begin();
}

// A control process that comes again and again with a wrong store does not prolong the hold of what is
// stale already.
static void guard_begin(uint32_t stale)
{
	if (sync_state.guarded_since_ns == 0 || stale > sync_state.n_stale)
		sync_state.guarded_since_ns = clock_mono_ns();
	sync_state.n_stale = stale;
	sync_state.told_stale_ns = clock_mono_ns();
	link_status.is_guarded = true;
	log_err("sweep_refused stale=%u before=%u limit_percent=%d store_id=%016lx "
		"filled_by=%016lx "
		"sweep_in_s=%u hint=\"unwiredctl resync --force\"",
		stale, sync_state.n_before, API_SWEEP_MAX_PERCENT, sync_state.peer_store_id,
		link_status.store_id, sync_state.orphan_hold_s);
	send_sync_done(-ECANCELED);
}

int link_sync_end(const struct api_sync_end *end)
{
	uint32_t stale = bindtab_stale(sync_state.bindings);

	if (end->sync_id != sync_state.id)
		return -EPROTO;
	// Who hears that all is in place may send packets to the agents and home networks.
	if (mirror_flush(0) != 0)
		return -EAGAIN;
	if (!end->force && is_suspicious(stale))
		guard_begin(stale);
	else
		sweep_begin();
	return 0;
}

static void sweep_turn(void)
{
	if (!sync_state.is_sweeping || !bindtab_sweep(sync_state.bindings, SWEEP_PER_TURN) ||
		!sa_sweep(SWEEP_PER_TURN))
		return;
	sync_state.is_sweeping = false;
	link_status.swept += sync_state.n_stale;
	if (link_conn_fd() < 0) {
		log_warn("orphans_dropped count=%u", sync_state.n_stale);
		return;
	}
	anchor_sweep();
	anchor_filled();
	link_status.store_id = sync_state.peer_store_id;
	sync_state.force_until_ns = clock_mono_ns() + (uint64_t)FORCE_MS * NS_PER_MS;
}

// Says that all is done when packets for the agents no longer go astray.
static void done_turn(void)
{
	bool is_in_force;

	if (sync_state.force_until_ns == 0)
		return;
	is_in_force = anchor_is_in_force();
	if (!is_in_force && clock_mono_ns() < sync_state.force_until_ns)
		return;
	if (!is_in_force)
		log_warn("agents_not_in_force waited_ms=%d", FORCE_MS);
	sync_state.force_until_ns = 0;
	log_info("sync_done live=%u swept=%u", bindtab_count(sync_state.bindings),
		sync_state.n_stale);
	send_sync_done(0);
}

// Without control nobody ends lifetimes: after the hold everything goes.
static void orphan_turn(void)
{
	uint64_t hold_ns = (uint64_t)sync_state.orphan_hold_s * CLOCK_NS_PER_S;

	if (sync_state.orphan_since_ns == 0 ||
		clock_mono_ns() - sync_state.orphan_since_ns < hold_ns)
		return;
	sync_state.orphan_since_ns = 0;
	if (bindtab_count(sync_state.bindings) == 0 && sa_count() == 0)
		return;
	log_err("orphan_hold_over hold_s=%u bindings=%u", sync_state.orphan_hold_s,
		bindtab_count(sync_state.bindings));
	bindtab_mark_begin(sync_state.bindings);
	sa_mark_begin();
	sweep_begin();
}

// What the guard keeps has nobody who ends its lifetime: it goes after the same hold. Meanwhile control
// hears how much of it mobiles have registered anew.
static void guard_turn(void)
{
	uint64_t now_ns;
	uint32_t stale;

	if (!link_status.is_guarded)
		return;
	now_ns = clock_mono_ns();
	stale = bindtab_stale(sync_state.bindings);
	if (now_ns - sync_state.guarded_since_ns >=
		(uint64_t)sync_state.orphan_hold_s * CLOCK_NS_PER_S) {
		log_err("guard_hold_over hold_s=%u stale=%u", sync_state.orphan_hold_s, stale);
		sweep_begin();
	} else if (stale != sync_state.n_stale &&
		   now_ns - sync_state.told_stale_ns >= (uint64_t)TELL_STALE_MS * NS_PER_MS) {
		sync_state.n_stale = stale;
		sync_state.told_stale_ns = now_ns;
		send_sync_done(-ECANCELED);
	}
}

bool link_sync_turn(void)
{
	sweep_turn();
	done_turn();
	orphan_turn();
	guard_turn();
	return sync_state.is_sweeping || sync_state.force_until_ns != 0;
}
