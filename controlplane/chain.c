// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/answer.h"
#include "controlplane/authorise.h"
#include "controlplane/bindings.h"
#include "controlplane/decide.h"
#include "controlplane/discovery.h"
#include "controlplane/mesgid.h"
#include "controlplane/mgmt.h"
#include "controlplane/publish.h"
#include "controlplane/room.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"

enum {
	EARLIER_SLOTS = 2 * LINK_PUNT_BATCH, // a power of two
	EARLIER_NONE = UINT16_MAX,
	LOOP_DEPTH = 8, // bindings that a care-of address is followed through
};

enum fate {
	FATE_GONE, // dropped and counted
	FATE_PARAM_PROBLEM,
	FATE_UNKNOWN_TYPE,
	FATE_UPDATE,
	FATE_SOLICITATION, // a Mobile Prefix Solicitation
};

// One punted message on its way through the chain.
struct item {
	const struct api_punt *punt; // borrowed
	enum fate fate;
	uint8_t icmp_code; // of FATE_PARAM_PROBLEM
	uint32_t pointer; // of FATE_PARAM_PROBLEM
	struct ip6chain ip;
	struct mh mh;
	struct authorise who;
	struct bcache_key key;
	uint32_t handle; // of what the binding cache has, or of what will be
	struct decide_verdict verdict;
	bool is_new_handle; // reserved for this item
	bool is_on_batch; // decided on what an earlier item of the batch will have done
	bool has_change; // next is to be committed
	bool has_news; // the dataplane must be told
	struct store_entry next; // the new state
};

struct chain {
	struct control *control; // borrowed
	unsigned int n;
	unsigned int n_revived; // held records of this batch that will need an entry again
	struct store_time now;
	uint16_t earlier[EARLIER_SLOTS]; // newest changing item by key: open addressing
	uint16_t n_new[EARLIER_SLOTS]; // new records of this batch by hash of their MN-ID
	struct item items[LINK_PUNT_BATCH];
	const struct store_entry *committed[LINK_PUNT_BATCH];
	unsigned int n_committed;
};

struct chain *chain_new(struct control *control)
{
	struct chain *chain = calloc(1, sizeof(*chain));

	if (chain != NULL)
		chain->control = control;
	return chain;
}

void chain_free(struct chain *chain)
{
	free(chain);
}

// ---- parse

static void drop(struct item *item, uint64_t *counter)
{
	item->fate = FATE_GONE;
	(*counter)++;
}

static void param_problem(struct item *item, uint8_t code, uint32_t pointer)
{
	item->fate = FATE_PARAM_PROBLEM;
	item->icmp_code = code;
	item->pointer = pointer;
}

static void parse_mh(struct stats *stats, struct item *item)
{
	enum mh_verdict verdict = mh_parse(&item->ip, &item->mh);

	if (verdict != MH_OK)
		stats->mh_drops[verdict]++;
	switch (verdict) {
	case MH_OK:
		item->fate = FATE_UPDATE;
		if (item->mh.msg.type != MH_BU)
			drop(item, &stats->drops[STATS_DROP_UNUSED_TYPE]);
		return;
	case MH_UNKNOWN_TYPE:
		item->fate = FATE_UNKNOWN_TYPE;
		return;
	case MH_PAYLOAD_PROTO:
	case MH_TOO_SHORT:
		if (item->punt->sa_slot != 0)
			stats->drops[STATS_DROP_NOT_ANSWERABLE]++;
		else
			param_problem(item, 0, item->mh.pointer);
		return;
	default:
		return;
	}
}

static void parse(struct chain *chain)
{
	struct stats *stats = &chain->control->stats;

	for (unsigned int i = 0; i < chain->n; i++) {
		struct item *item = &chain->items[i];
		enum ip6chain_verdict verdict =
			ip6chain_parse(item->punt->packet, item->punt->packet_len, &item->ip);

		item->fate = FATE_GONE;
		if (verdict != IP6CHAIN_OK)
			stats->chain_drops[item->ip.why]++;
		if (item->punt->sa_slot != 0 && verdict == IP6CHAIN_PARAM_PROBLEM)
			stats->drops[STATS_DROP_NOT_ANSWERABLE]++; // it would quote what was hidden
		else if (verdict == IP6CHAIN_PARAM_PROBLEM)
			param_problem(item, item->ip.icmp_code, item->ip.pointer);
		else if (verdict == IP6CHAIN_OK && item->punt->tunnelled &&
			 ip6_eq(mh_bu_home(&item->ip), &item->ip.src))
			stats->drops[STATS_DROP_TUNNELLED]++;
		else if (verdict == IP6CHAIN_OK && item->punt->lane == API_PUNT_DISCOVERY)
			item->fate = FATE_SOLICITATION;
		else if (verdict == IP6CHAIN_OK && item->ip.proto != PROTO_MH)
			stats->drops[STATS_DROP_NOT_MH]++;
		else if (verdict == IP6CHAIN_OK)
			parse_mh(stats, item);
	}
}

// ---- authorise

// Fetches the subscribers that these Updates will be looked up for.
static void fetch_subscribers(const struct chain *chain, struct item *items, unsigned int n)
{
	struct subscribers_key keys[BCACHE_BATCH];
	unsigned int n_keys = 0;

	for (unsigned int i = 0; i < n; i++)
		if (items[i].fate == FATE_UPDATE)
			keys[n_keys++] = authorise_key(&items[i].ip, &items[i].mh);
	subscribers_fetch(chain->control->subscribers, keys, n_keys);
}

static void authorise_some(struct chain *chain, struct item *items, unsigned int n)
{
	fetch_subscribers(chain, items, n);
	for (unsigned int i = 0; i < n; i++) {
		struct item *item = &items[i];

		if (item->fate != FATE_UPDATE)
			continue;
		authorise_bu(chain->control, item->punt, &item->ip, &item->mh, &item->who);
		if (item->who.is_dropped) {
			drop(item, &chain->control->stats.drops[item->who.drop]);
			continue;
		}
		item->key = (struct bcache_key){ .home = *mh_bu_home(&item->ip),
			.domain = item->who.domain };
	}
}

static void authorise(struct chain *chain)
{
	for (unsigned int i = 0; i < chain->n; i += BCACHE_BATCH)
		authorise_some(chain, &chain->items[i],
			chain->n - i < BCACHE_BATCH ? chain->n - i : BCACHE_BATCH);
}

// ---- look up

// The bindings of all, with the memory that a change of them will touch on its way.
static void look_up(struct chain *chain)
{
	const struct control *control = chain->control;
	struct bcache_key keys[LINK_PUNT_BATCH];
	uint32_t handles[LINK_PUNT_BATCH];
	unsigned int n = 0;

	room_make(chain->control, chain->n);
	for (unsigned int i = 0; i < chain->n; i++)
		if (chain->items[i].fate == FATE_UPDATE)
			keys[n++] = chain->items[i].key;
	bcache_find_batch(control->bcache, keys, n, handles);
	for (unsigned int i = 0; i < n; i++) {
		wheel_fetch(control->wheel, handles[i]);
		store_fetch(control->store, handles[i]);
	}
	n = 0;
	for (unsigned int i = 0; i < chain->n; i++)
		if (chain->items[i].fate == FATE_UPDATE)
			chain->items[i].handle = handles[n++];
}

// ---- decide

// The slot of a key among the earlier items: that of its item, or the free one for it.
static uint16_t *earlier_slot(struct chain *chain, const struct bcache_key *key)
{
	uint64_t seed = chain->control->limiter.seed, high, low;
	uint32_t at;

	memcpy(&high, key->home.b, sizeof(high));
	memcpy(&low, key->home.b + 8, sizeof(low));
	low = (low ^ seed) * 0xbf58476d1ce4e5b9ULL + key->domain;
	low = ((low ^ (low >> 29)) ^ high) * 0x94d049bb133111ebULL;
	at = (uint32_t)(low >> 32) % EARLIER_SLOTS;
	while (chain->earlier[at] != EARLIER_NONE &&
		memcmp(&chain->items[chain->earlier[at]].key, key, sizeof(*key)) != 0)
		at = (at + 1) % EARLIER_SLOTS;
	return &chain->earlier[at];
}

// What a home address has: by an earlier item of this batch, else by the binding cache.
// found: of bcache_find. Returns: borrowed, or NULL.
static const struct bce *current(
	struct chain *chain, const struct bcache_key *key, uint32_t found, bool *is_on_batch)
{
	uint16_t at = *earlier_slot(chain, key);

	*is_on_batch = at != EARLIER_NONE;
	if (*is_on_batch)
		return &chain->items[at].next.bce;
	return bcache_at(chain->control->bcache, found);
}

// The decision's view. What merely expired has no sequence number any more (RFC 6275 section 9.5.1)
// where that is not what keeps old Updates out.
static struct binding_view view_of(const struct bce *bce, const struct config_network *network)
{
	struct binding_view view = { .expires_ns = bce->expires_ns,
		.coa = bce->care_of.address,
		.sequence = bce->sequence,
		.mesg_id = bce->mesg_id };

	if (bce->state == BCE_LIVE)
		view.state = BINDING_LIVE;
	else if (bce->state == BCE_UNSERVED || bce->lifetime_s == 0 ||
		 (network != NULL && network->auth == CONFIG_AUTH_OPTION))
		view.state = BINDING_HELD;
	return view;
}

struct hook_ctx {
	struct chain *chain;
	uint32_t domain;
	bool is_on_batch;
};

static bool is_own_address(void *ctx, const struct ip6 *address)
{
	const struct control *control = ((struct hook_ctx *)ctx)->chain->control;
	const struct config_dataplane *dataplane = &control->config->dataplane;

	if (networks_find_agent(&control->networks, address) != NETWORKS_NO_AGENT)
		return true;
	for (unsigned int i = 0; i < dataplane->n_ports; i++)
		for (unsigned int j = 0; j < dataplane->ports[i].n_addresses; j++)
			if (ip6_eq(&dataplane->ports[i].addresses[j].addr, address))
				return true;
	return false;
}

// Follows the care-of address through the bindings that it is the home address of.
static bool would_loop(void *arg, const struct ip6 *home, const struct ip6 *coa)
{
	struct hook_ctx *ctx = arg;
	struct bcache_key key = { .home = *coa, .domain = ctx->domain };

	if (networks_find_prefix(&ctx->chain->control->networks, ctx->domain, coa) == 0)
		return ip6_eq(home, coa); // nobody's home address: no wait for the cache's memory
	for (unsigned int depth = 0; depth < LOOP_DEPTH; depth++) {
		bool is_on_batch;
		const struct bce *bce;

		if (ip6_eq(&key.home, home))
			return true;
		bce = current(ctx->chain, &key, bcache_find(ctx->chain->control->bcache, &key),
			&is_on_batch);
		ctx->is_on_batch |= is_on_batch;
		if (bce == NULL || bce->state != BCE_LIVE)
			return false;
		key.home = bce->care_of.address;
	}
	return true;
}

static void refuse(struct item *item, enum mh_status status)
{
	item->verdict.kind = DECIDE_REFUSE;
	item->verdict.ba.status = (uint8_t)status;
	item->verdict.ba.lifetime_4s = 0;
	item->verdict.ba.sequence = item->mh.msg.bu.sequence;
	item->has_change = false;
}

// How many new records this batch has of the item's MN-ID (or of one that shares its hash).
static uint16_t *new_of_owner(struct chain *chain, const struct item *item)
{
	uint64_t hash = chain->control->limiter.seed;

	for (unsigned int i = 0; i < item->who.mn_id_len; i++)
		hash = (hash ^ item->who.mn_id[i]) * 0x100000001b3ULL;
	hash = (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9ULL;
	return &chain->n_new[(hash >> 32) % EARLIER_SLOTS];
}

// Takes a handle for a new binding. Returns: false with the item refused.
static bool take_handle(struct chain *chain, struct item *item)
{
	struct control *control = chain->control;

	if (!room_of_owner(control, &item->who, *new_of_owner(chain, item))) {
		control->stats.n_over_quota++;
		refuse(item, MH_STATUS_RESOURCES);
		return false;
	}
	item->handle = bcache_reserve(control->bcache);
	item->is_new_handle = item->handle != BCACHE_NONE;
	if (!item->is_new_handle) {
		refuse(item, MH_STATUS_RESOURCES);
		return false;
	}
	(*new_of_owner(chain, item))++;
	return true;
}

static struct decide_network network_of(const struct config_network *network)
{
	return (struct decide_network){
		.max_lifetime_s = network->max_lifetime_s,
		.prefix_valid_lifetime_s = network->prefix_valid_lifetime_s,
		.is_prefix_deprecated = network->prefix_deprecated,
		.needs_mesg_id = network->auth == CONFIG_AUTH_OPTION && network->mesg_id_required,
	};
}

// The subscriber's policy, with what only a look at the binding tells: where no list says whose the
// home address is, a live binding belongs to the mobile node that authenticated itself for it.
static const struct decide_policy *policy_of(struct item *item, const struct bce *old)
{
	struct authorise *who = &item->who;

	if (who->auth == AUTH_OK && !who->is_listed && old != NULL && old->state == BCE_LIVE &&
		old->mn_id_len > 0 &&
		(old->mn_id_len != who->mn_id_len ||
			memcmp(old->mn_id, who->mn_id, old->mn_id_len) != 0))
		who->is_stranger = true;
	if (who->is_stranger)
		who->policy.is_allowed = false;
	return who->has_policy ? &who->policy : NULL;
}

// Writes down what a refused Update leaves behind in the live binding.
static void make_floors(struct item *item, const struct bce *old)
{
	item->next.bce = *old;
	item->next.bce.sequence = item->mh.msg.bu.sequence;
	item->next.bce.mesg_id = item->verdict.mesg_id;
	item->has_news = false;
}

// Writes down what the accepted Update makes of the binding.
static void make_next(struct chain *chain, struct item *item, const struct bce *old)
{
	const struct decide_verdict *v = &item->verdict;
	struct control *control = chain->control;
	struct bce *next = &item->next.bce;
	bool is_alive = v->kind != DECIDE_DEREGISTER;

	*next = old != NULL ? *old : (struct bce){ 0 };
	if (v->kind == DECIDE_REGISTER) {
		*next = (struct bce){ .registered_at_s =
					      (uint32_t)(chain->now.wall_ns / CLOCK_NS_PER_S) };
		chain->n_revived += old != NULL && !room_is_taken(control, item->handle, old);
	}
	next->home = v->home;
	next->domain = item->who.domain;
	next->home_prefix = item->who.home_prefix;
	next->sequence = item->mh.msg.bu.sequence;
	next->mesg_id = v->mesg_id;
	next->flags = item->mh.msg.bu.flags;
	next->lifetime_s = v->lifetime_s;
	next->state = is_alive ? BCE_LIVE : BCE_HOLD;
	next->expires_ns =
		chain->now.boot_ns + (is_alive ? v->lifetime_s * CLOCK_NS_PER_S
					       : control_hold_ns(control, item->who.home_prefix));
	if (is_alive) {
		next->care_of = (struct api_care_of){
			.address = v->coa, .agent = item->who.agent, .mode = API_TUNNEL_IP6_IP6
		};
		next->mn_id_len = item->who.mn_id_len;
		memcpy(next->mn_id, item->who.mn_id, sizeof(next->mn_id));
	}
	item->has_news = v->kind == DECIDE_REGISTER || old == NULL || old->state != next->state ||
			 memcmp(&old->care_of, &next->care_of, sizeof(next->care_of)) != 0;
	if (item->has_news && is_alive)
		next->generation = bcache_new_generation(control->bcache);
	if (v->kind == DECIDE_REGISTER)
		next->first_generation = next->generation;
}

static void decide_item(struct chain *chain, struct item *item)
{
	struct control *control = chain->control;
	struct hook_ctx ctx = { .chain = chain, .domain = item->who.domain };
	const struct bce *old = current(chain, &item->key, item->handle, &item->is_on_batch);
	uint16_t *earlier = earlier_slot(chain, &item->key);
	uint32_t handle = *earlier != EARLIER_NONE ? chain->items[*earlier].handle : item->handle;
	const struct decide_policy *policy = policy_of(item, old);
	struct binding_view view = { 0 };
	struct decide_network network = { 0 };
	struct decide_input in = { .chain = &item->ip,
		.bu = &item->mh,
		.policy = policy,
		.is_agent = item->who.agent != NETWORKS_NO_AGENT,
		.has_room = room_for(control, handle, old, chain->n_revived),
		.auth = item->who.auth,
		.now_ns = chain->now.boot_ns,
		.now_ntp = mesgid_from_wall_ns(chain->now.wall_ns),
		.hooks = {
			.is_own_address = is_own_address, .would_loop = would_loop, .ctx = &ctx } };

	if (old != NULL && !item->who.is_stranger) {
		view = view_of(old, item->who.network);
		in.old = &view;
	}
	if (item->who.network != NULL) {
		network = network_of(item->who.network);
		in.network = &network;
	}
	item->verdict = decide_bu(&in);
	item->is_on_batch |= ctx.is_on_batch;
	item->has_change = item->verdict.kind >= DECIDE_REGISTER ||
			   (item->verdict.kind == DECIDE_REFUSE && item->verdict.is_new_to_binding);
	if (!item->has_change)
		return;
	item->handle = handle;
	if (item->handle == BCACHE_NONE && !take_handle(chain, item))
		return;
	if (item->verdict.kind == DECIDE_REFUSE)
		make_floors(item, old);
	else
		make_next(chain, item, old);
	item->next.handle = item->handle;
	item->next.agent = control->networks.agents[item->next.bce.care_of.agent].address;
	*earlier = (uint16_t)(item - chain->items);
}

static void decide(struct chain *chain)
{
	struct stats *stats = &chain->control->stats;

	memset(chain->earlier, 0xff, sizeof(chain->earlier));
	memset(chain->n_new, 0, sizeof(chain->n_new));
	chain->n_revived = 0;
	for (unsigned int i = 0; i < chain->n; i++) {
		struct item *item = &chain->items[i];

		item->has_change = false;
		item->is_new_handle = false;
		if (item->fate != FATE_UPDATE)
			continue;
		decide_item(chain, item);
		if (item->verdict.kind == DECIDE_DROP)
			drop(item, &stats->decide_drops[item->verdict.drop]);
	}
}

// ---- commit

static void commit(struct chain *chain)
{
	int error = 0;

	chain->n_committed = 0;
	for (unsigned int i = 0; i < chain->n; i++)
		if (chain->items[i].fate == FATE_UPDATE && chain->items[i].has_change)
			chain->committed[chain->n_committed++] = &chain->items[i].next;
	if (chain->n_committed > 0)
		error = bindings_commit(
			chain->control, chain->committed, chain->n_committed, chain->now);
	for (unsigned int i = 0; i < chain->n; i++) {
		struct item *item = &chain->items[i];

		if (item->fate != FATE_UPDATE)
			continue;
		if (error == 0 && item->has_change) {
			bindings_apply(chain->control, item->handle, &item->next.bce);
		} else if (error != 0) {
			if (item->is_new_handle)
				bcache_release(chain->control->bcache, item->handle);
			if (item->has_change || item->is_on_batch)
				refuse(item, MH_STATUS_RESOURCES);
		}
	}
	if (error != 0)
		chain->n_committed = 0;
}

// ---- replicate, publish, answer

static void tell_monitors(const struct control *control, const struct item *item)
{
	const struct decide_verdict *v = &item->verdict;

	if (mgmt_has_monitors(control->mgmt))
		mgmt_event_binding(control->mgmt,
			v->kind == DECIDE_REGISTER  ? "registered"
			: v->kind == DECIDE_REFRESH ? "refreshed"
			: v->kind == DECIDE_MOVE    ? "moved"
			: v->kind == DECIDE_REFUSE  ? "refused"
						    : "deregistered",
			&v->home, &v->coa, v->ba.sequence, v->ba.status, v->lifetime_s);
}

static void publish(struct chain *chain, struct item *item)
{
	struct control *control = chain->control;

	if (!item->has_change ||
		!(item->has_news || bcache_is_dirty(control->bcache, item->handle)))
		return;
	// With the link lost the mark brings it to the next dataplane.
	if (publish_binding(control, item->handle, &item->next.bce, 0))
		bcache_clear_dirty(control->bcache, item->handle);
	else
		bcache_mark_dirty(control->bcache, item->handle);
}

static void log_update(const struct item *item)
{
	const struct decide_verdict *v = &item->verdict;
	char home[IP6_STRLEN], coa[IP6_STRLEN];

	if (!log_is_on(LOG_LEVEL_DEBUG))
		return;
	log_debug("binding_%s hoa=%s coa=%s seq=%u status=%u lifetime_s=%u",
		decide_kind_name(v->kind), ip6_str(&v->home, home), ip6_str(&v->coa, coa),
		item->mh.msg.bu.sequence, v->ba.status, v->lifetime_s);
}

// The policy's answer to a group: tells the dataplane and the mobile nodes. What is committed is the
// truth, whoever else knows of it (replicate.h).
static void finish(void *arg, int error)
{
	static struct log_limit limit = { .per_second = 1 };
	struct chain *chain = arg;
	struct control *control = chain->control;

	if (error != 0) {
		control->stats.n_replication_failures++;
		log_write_limited(&limit, LOG_LEVEL_ERR,
			"replication_failed error=\"%s\" records=%u", strerror(-error),
			chain->n_committed);
	}
	for (unsigned int i = 0; i < chain->n; i++) {
		struct item *item = &chain->items[i];

		switch (item->fate) {
		case FATE_GONE:
			break;
		case FATE_PARAM_PROBLEM:
			answer_param_problem(control, &item->ip, item->icmp_code, item->pointer);
			break;
		case FATE_UNKNOWN_TYPE:
			answer_unknown_type(control, &item->ip);
			break;
		case FATE_SOLICITATION:
			discovery_solicited(control, item->punt, &item->ip);
			break;
		case FATE_UPDATE:
			publish(chain, item);
			control->stats.kinds[item->verdict.kind]++;
			answer_ba(control, &item->ip, &item->mh, &item->who, &item->verdict);
			if (item->verdict.kind >= DECIDE_REGISTER)
				discovery_updated(control, item->who.sa_slot);
			log_update(item);
			tell_monitors(control, item);
			break;
		}
	}
	link_flush(control->link);
}

void chain_punts(void *arg, const struct api_punt *const punts[], unsigned int n)
{
	struct chain *chain = arg;

	chain->n = n;
	chain->now = control_time();
	for (unsigned int i = 0; i < n; i++)
		chain->items[i].punt = punts[i];
	parse(chain);
	authorise(chain);
	look_up(chain);
	decide(chain);
	commit(chain);
	chain->control->replicate->publish(
		chain->control->replicate, chain->committed, chain->n_committed, finish, chain);
}
