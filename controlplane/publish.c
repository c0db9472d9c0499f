// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/publish.h"

#include <assert.h>
#include <errno.h>

#include "controlplane/held.h"
#include "controlplane/sas.h"
#include "controlplane/sas_publish.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

static_assert((int)CONFIG_NO_ENCAPSULATION_LIMIT == (int)API_NO_ENCAP_LIMIT,
	"both say the same for none");

static_assert((int)CONFIG_PROTECT_SIGNALLING == (int)API_SA_BIT(API_SA_SIGNALLING) &&
		      (int)CONFIG_PROTECT_DISCOVERY == (int)API_SA_BIT(API_SA_DISCOVERY) &&
		      (int)CONFIG_PROTECT_ROUTABILITY == (int)API_SA_BIT(API_SA_ROUTABILITY) &&
		      (int)CONFIG_PROTECT_PAYLOAD == (int)API_SA_BIT(API_SA_PAYLOAD),
	"both say the same for what is protected");

static bool put_set(struct control *control, uint32_t handle, const struct bce *bce, uint16_t flags)
{
	struct api_binding_set *set = link_put(
		control->link, API_BINDING_SET, flags, sizeof(*set) + sizeof(set->care_of[0]));

	if (set == NULL)
		return false;
	set->handle = handle;
	set->generation = bce->generation;
	set->home_prefix = bce->home_prefix;
	set->n_care_of = 1;
	set->home = bce->home;
	set->care_of[0] = bce->care_of;
	set->care_of[0].sa_slot = sas_find(control->sas, &bce->home, bce->domain,
		&control->networks.agents[bce->care_of.agent].address);
	return true;
}

static bool put_del(struct control *control, uint32_t handle, const struct bce *bce, uint16_t flags)
{
	struct api_binding_del *del = link_put(control->link, API_BINDING_DEL, flags, sizeof(*del));

	if (del == NULL)
		return false;
	del->handle = handle;
	del->generation = bce->generation;
	del->home_prefix = bce->home_prefix;
	del->home = bce->home;
	return true;
}

bool publish_binding(
	struct control *control, uint32_t handle, const struct bce *bce, uint16_t flags)
{
	bool is_bound = bce->state == BCE_LIVE &&
			networks_serve(&control->networks, bce->home_prefix, bce->care_of.agent);

	return is_bound ? put_set(control, handle, bce, flags)
			: put_del(control, handle, bce, flags);
}

// Asks for the counters of a binding that was refused before: that there are any tells that it was
// taken this time.
static void put_question(struct control *control, uint32_t handle, const struct bce *bce)
{
	struct api_counters_get *get = link_put(control->link, API_COUNTERS_GET, 0, sizeof(*get));

	if (get == NULL)
		return;
	get->handle = handle;
	get->home_prefix = bce->home_prefix;
	get->home = bce->home;
}

static void put_networks(struct control *control)
{
	const struct networks *networks = &control->networks;

	for (uint16_t i = 0; i < API_MAX_AGENTS; i++) {
		struct api_agent_set *set;

		if (networks->agents[i].network == NULL)
			continue;
		set = link_put(control->link, API_AGENT_SET, 0, sizeof(*set));
		if (set == NULL)
			return;
		set->agent = i;
		set->encap_limit = networks->agents[i].network->encapsulation_limit;
		set->domain = networks->agents[i].domain;
		set->address = networks->agents[i].address;
	}
	for (uint16_t i = 1; i < API_MAX_HOME_PREFIXES; i++) {
		const struct networks_prefix *p = &networks->prefixes[i];
		struct api_home_prefix_set *set;

		if (p->network == NULL)
			continue;
		set = link_put(control->link, API_HOME_PREFIX_SET, 0, sizeof(*set));
		if (set == NULL)
			return;
		set->home_prefix = i;
		set->key_len = 128;
		set->prefix_len = p->prefix.len;
		set->domain = p->domain;
		set->prefix = p->prefix.addr;
		set->protect = p->network->protect;
	}
}

void publish_resync(struct control *control, bool is_forced)
{
	struct api_sync_begin *begin;

	if (link_state(control->link) != LINK_UP)
		return;
	control->sync.id++;
	control->sync.n_runs++;
	control->sync.n_errors = 0;
	if (control->sync.state != CONTROL_SYNC_RUNNING)
		control->sync.is_forced = false;
	control->sync.is_forced |= is_forced;
	control->sync.is_end_due = true;
	control->sync.state = CONTROL_SYNC_RUNNING;
	begin = link_put(control->link, API_SYNC_BEGIN, 0, sizeof(*begin));
	if (begin == NULL)
		return;
	begin->sync_id = control->sync.id;
	begin->orphan_hold_s = control->config->dataplane.orphan_hold_s;
	put_networks(control);
	sas_publish_all(control);
	bcache_mark_all_dirty(control->bcache);
	link_bulk_ready(control->link);
	link_flush(control->link);
}

static void put_sync_end(struct control *control)
{
	struct api_sync_end *end = link_put(control->link, API_SYNC_END, 0, sizeof(*end));

	control->sync.is_end_due = false;
	if (end == NULL)
		return;
	control->is_held_over = true; // what is not known from now on ended in this life
	end->sync_id = control->sync.id;
	end->force = control->sync.is_forced ? 1 : 0;
}

unsigned int publish_bulk(void *arg, unsigned int n)
{
	struct control *control = arg;
	uint32_t handles[LINK_BULK_RECORDS];
	unsigned int n_put = 0;
	size_t n_taken = 0;

	if (n > LINK_BULK_RECORDS)
		n = LINK_BULK_RECORDS;
	n_put = sas_publish_bulk(control, n); // bindings stand on them
	while (n_put < n) {
		n_taken = bcache_take_dirty(control->bcache, handles, n - n_put);
		if (n_taken == 0)
			break;
		for (size_t i = 0; i < n_taken; i++) {
			const struct bce *bce = bcache_at(control->bcache, handles[i]);

			if (bce == NULL || held_keep(control, handles[i], bce))
				continue;
			if (!publish_binding(control, handles[i], bce, API_REC_BULK))
				return n_put; // link lost: the next one begins with everything
			n_put++;
			if (bcache_is_refused(control->bcache, handles[i]))
				put_question(control, handles[i], bce);
		}
	}
	if (n_put < n && control->sync.is_end_due && !control->review.is_due &&
		!held_waits(control))
		put_sync_end(control);
	return n_put;
}

void publish_hello(void *arg, struct api_hello *out)
{
	struct control *control = arg;

	out->max_bindings = control->config->dataplane.max_bindings;
	out->instance = control->instance;
	out->store_id = store_id(control->store);
	out->generation = store_generation(control->store);
	out->n_bindings = bcache_counts(control->bcache).n_live;
}

// Entries of a dataplane, just connected, that the binding cache may know nothing of. Those of our own
// store are ours; of another one's we will know when everything has been sent.
static uint32_t foreign_entries(const struct control *control, const struct api_hello *peer)
{
	struct bcache_counts counts = bcache_counts(control->bcache);
	uint32_t n_ours = counts.n_live + counts.n_hold;

	if (peer->store_id != store_id(control->store))
		return peer->n_bindings;
	return peer->n_bindings > n_ours ? peer->n_bindings - n_ours : 0;
}

void publish_up(void *arg, const struct api_hello *peer)
{
	struct control *control = arg;

	control->peer = *peer;
	log_info("link_up dataplane_bindings=%u dataplane_max=%u our_bindings=%u", peer->n_bindings,
		peer->max_bindings, bcache_counts(control->bcache).n_live);
	if (peer->max_bindings < control->config->dataplane.max_bindings)
		log_warn("capacity_reduced ours=%u dataplane=%u",
			control->config->dataplane.max_bindings, peer->max_bindings);
	if (peer->store_id != 0 && peer->store_id != store_id(control->store))
		log_warn("store_changed dataplane=%016llx ours=%016llx",
			(unsigned long long)peer->store_id,
			(unsigned long long)store_id(control->store));
	control->sync.n_kept = foreign_entries(control, peer);
	publish_resync(control, false);
}

void publish_down(void *arg)
{
	struct control *control = arg;

	control->sync.state = CONTROL_SYNC_NONE;
	control->sync.n_kept = 0;
	control->sync.is_end_due = false;
}

void publish_sync_done(struct control *control, const struct api_sync_done *done)
{
	enum control_sync before = control->sync.state;

	if (done->sync_id != control->sync.id) // of a resync that a newer one replaced
		return;
	control->sync.n_live = done->n_live;
	control->sync.n_stale = done->n_stale;
	if (done->error == 0) {
		control->sync.state = CONTROL_SYNC_DONE;
		control->sync.n_kept = 0;
		log_info("sync_done live=%u swept=%u", done->n_live, done->n_stale);
		return;
	}
	control->sync.state = CONTROL_SYNC_REFUSED;
	control->sync.n_kept = done->n_stale;
	if (before != CONTROL_SYNC_REFUSED) // else: fewer of them are left
		log_err("sync_refused live=%u stale=%u remedy=\"look at the store, or unwiredctl "
			"resync --force\"",
			done->n_live, done->n_stale);
}

void publish_binding_err(struct control *control, const struct api_binding_err *err)
{
	static struct log_limit limit = { .per_second = 5 };
	const struct bce *bce = bcache_at(control->bcache, err->handle);
	char home[IP6_STRLEN];

	if (bce == NULL || bce->generation != err->generation)
		return; // of a version that a newer one has replaced
	control->stats.n_dataplane_errors++;
	control->sync.n_errors++;
	control->sync.refused_ns = clock_mono_ns();
	log_write_limited(&limit, LOG_LEVEL_ERR, "dataplane_refused hoa=%s error=%d",
		ip6_str(&bce->home, home), err->error);
	control->sync.is_full |= err->error == -ENOSPC;
	bcache_mark_refused(control->bcache, err->handle);
	bcache_mark_dirty(control->bcache, err->handle); // the next second tries again
}

void publish_counters(struct control *control, const struct api_counters *counters)
{
	const struct bce *bce = bcache_at(control->bcache, counters->handle);

	if (bce == NULL || counters->generation != bce->generation ||
		!bcache_is_refused(control->bcache, counters->handle))
		return;
	bcache_clear_refused(control->bcache, counters->handle);
	control->sync.is_full = false;
}

const char *publish_sync_name(enum control_sync state)
{
	static const char *const names[] = {
		[CONTROL_SYNC_NONE] = "away",
		[CONTROL_SYNC_RUNNING] = "filling",
		[CONTROL_SYNC_DONE] = "synced",
		[CONTROL_SYNC_REFUSED] = "sweep-refused",
	};

	return names[state];
}
