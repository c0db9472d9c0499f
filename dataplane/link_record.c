// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/link_record.h"

#include <errno.h>

#include "dataplane/anchor.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"
#include "dataplane/domain.h"
#include "dataplane/link.h"
#include "dataplane/link_conn.h"
#include "dataplane/link_sync.h"
#include "dataplane/mirror.h"
#include "dataplane/pump.h"
#include "dataplane/punt.h"

enum {
	MIRROR_FLUSH_MS = 500,
	AGENTS_MS = 2000, // for the kernel to tell of new addresses
	NS_PER_MS = 1000000,
};

static uint64_t agents_until_ns; // how long a home prefix waits for the agents' addresses
static uint32_t credit; // bulk records taken in and not yet reported

void link_record_lost(void)
{
	credit = 0;
}

void link_record_credit(void)
{
	struct api_credit *rec;

	if (credit == 0 || (rec = link_conn_record(API_CREDIT, sizeof(*rec))) == NULL)
		return;
	rec->n = credit;
	credit = 0;
}

// --- One handler a record type. 0, -EAGAIN: try this record again later, -EPROTO: hang up ----------

static int on_hello(const struct api_rec *rec)
{
	const struct api_hello *hello = (const void *)rec;

	if (link_status.is_connected)
		return -EPROTO;
	if (hello->version != API_VERSION) {
		log_err("control_refused reason=\"version\" got=%u need=%u", hello->version,
			API_VERSION);
		return -EPROTO;
	}
	link_sync_adopt(hello->store_id);
	link_status.is_connected = true;
	log_info("control_connected store_id=%016lx bindings=%u held=%u", hello->store_id,
		hello->n_bindings, bindtab_count(link_bindings()));
	return 0;
}

static int on_sync_begin(const struct api_rec *rec)
{
	link_sync_begin((const void *)rec);
	return 0;
}

static int on_sync_end(const struct api_rec *rec)
{
	return link_sync_end((const void *)rec);
}

static int on_agent_set(const struct api_rec *rec)
{
	const struct api_agent_set *set = (const void *)rec;
	int error = anchor_agent_set(set);
	char text[IP6_STRLEN];

	agents_until_ns = clock_mono_ns() + (uint64_t)AGENTS_MS * NS_PER_MS;
	if (error == -EINVAL)
		return -EPROTO;
	if (error != 0)
		log_err("agent_failed address=%s error=%d", ip6_str(&set->address, text), -error);
	return 0;
}

static int on_home_prefix_set(const struct api_rec *rec)
{
	int error;

	// The kernel tells of the agents' addresses in its own time. A prefix that stood before them would
	// take the packets to them.
	if (!anchor_is_in_force() && clock_mono_ns() < agents_until_ns)
		return -EAGAIN;
	error = anchor_home_prefix_set((const void *)rec);
	// A binding that follows must find its prefix in the FIB.
	if (error == 0 && mirror_flush(MIRROR_FLUSH_MS) != 0)
		log_warn("mirror_slow waited_ms=%d", MIRROR_FLUSH_MS);
	return error == -EINVAL ? -EPROTO : 0;
}

static void refuse_binding(const struct api_binding_set *set, int error)
{
	struct api_binding_err *rec = link_conn_record(API_BINDING_ERR, sizeof(*rec));

	link_status.bindings_refused++;
	if (rec == NULL)
		return;
	rec->handle = set->handle;
	rec->generation = set->generation;
	rec->error = error;
}

static const struct api_home_prefix_set *home_prefix_of(uint16_t idx)
{
	return idx < API_MAX_HOME_PREFIXES ? anchor_home_prefixes[idx] : NULL;
}

static int on_binding_set(const struct api_rec *rec)
{
	const struct api_binding_set *set = (const void *)rec;
	const struct api_care_of *care_of = &set->care_of[0];
	const struct api_home_prefix_set *home = home_prefix_of(set->home_prefix);
	struct binding entry = {
		.care_of = care_of->address,
		.agent = care_of->agent,
		.home_prefix = set->home_prefix,
		.port = care_of->port,
		.flags = care_of->sa_slot != 0 ? BINDING_SA : 0,
		.sa_slot = care_of->sa_slot,
		.generation = set->generation,
	};
	union bindtab_key key;
	int error = 0;

	if (set->n_care_of != 1 || care_of->mode != API_TUNNEL_IP6_IP6 ||
		(care_of->sa_slot != 0 && care_of->sa_slot >= sa_n_slots))
		error = -EOPNOTSUPP;
	else if (home == NULL || care_of->agent >= API_MAX_AGENTS ||
		 anchor_agents[care_of->agent] == NULL)
		error = -ENOENT;
	if (error == 0) {
		bindtab_key_make(&key, &set->home, set->home_prefix, home->key_len);
		error = bindtab_set(link_bindings(), &key, set->handle, &entry);
	}
	if (error == -EAGAIN)
		return error;
	if (error != 0)
		refuse_binding(set, error);
	else
		link_status.bindings_set++;
	credit += (rec->flags & API_REC_BULK) != 0;
	return 0;
}

static int on_binding_del(const struct api_rec *rec)
{
	const struct api_binding_del *del = (const void *)rec;
	const struct api_home_prefix_set *home = home_prefix_of(del->home_prefix);
	union bindtab_key key;
	int error = -ENOENT;

	if (home != NULL) {
		bindtab_key_make(&key, &del->home, del->home_prefix, home->key_len);
		error = bindtab_del(link_bindings(), &key);
	}
	if (error == -EAGAIN)
		return error;
	link_status.bindings_deleted += error == 0;
	credit += (rec->flags & API_REC_BULK) != 0;
	return 0;
}

static int on_counters_get(const struct api_rec *rec)
{
	const struct api_counters_get *get = (const void *)rec;
	const struct api_home_prefix_set *home = home_prefix_of(get->home_prefix);
	struct api_counters *answer = link_conn_record(API_COUNTERS, sizeof(*answer));
	const struct binding *entry = NULL;
	union bindtab_key key;
	uint32_t handle;

	if (answer == NULL)
		return 0;
	answer->handle = get->handle;
	if (home != NULL) {
		bindtab_key_make(&key, &get->home, get->home_prefix, home->key_len);
		entry = bindtab_find(link_bindings(), &key, &handle);
	}
	if (entry == NULL || handle != get->handle)
		return 0;
	answer->generation = entry->generation;
	answer->packets_down = __atomic_load_n(&entry->packets_down, __ATOMIC_RELAXED);
	answer->bytes_down = __atomic_load_n(&entry->bytes_down, __ATOMIC_RELAXED);
	answer->packets_up = __atomic_load_n(&entry->packets_up, __ATOMIC_RELAXED);
	answer->bytes_up = __atomic_load_n(&entry->bytes_up, __ATOMIC_RELAXED);
	return 0;
}

static int on_packet_out(const struct api_rec *rec)
{
	const struct api_packet_out *out = (const void *)rec;

	if (out->packet_len < sizeof(struct ip6_hdr_wire) || out->packet_len > API_PACKET_MAX)
		return -EPROTO;
	if (out->sa_use >= API_SA_USE_MAX || (out->sa_slot == 0) != (out->sa_use == 0))
		return -EPROTO;
	if (out->sa_slot != 0)
		pump_send_sealed(out->sa_slot, out->sa_use, out->packet, out->packet_len);
	else
		pump_send(DOMAIN_TRANSPORT, out->packet, out->packet_len);
	return 0;
}

// --- Security associations

static void refuse_sa(const struct api_sa_set *set, int error)
{
	static struct log_limit limit = { .per_second = 10 };
	struct api_sa_err *rec = link_conn_record(API_SA_ERR, sizeof(*rec));

	log_write_limited(&limit, LOG_LEVEL_WARN,
		"sa_refused slot=%u spi=%u use=%u direction=%u error=%d", set->slot, set->spi,
		set->use, set->direction, -error);
	if (rec == NULL)
		return;
	rec->slot = set->slot;
	rec->spi = set->spi;
	rec->use = set->use;
	rec->direction = set->direction;
	rec->agent = set->agent;
	rec->error = error;
}

static int on_sa_set(const struct api_rec *rec)
{
	const struct api_sa_set *set = (const void *)rec;
	const struct agent *agent = set->agent < API_MAX_AGENTS ? anchor_agents[set->agent] : NULL;
	int domain = domain_index(set->domain);
	int error = -ENOENT;

	if (agent != NULL && domain >= 0)
		error = sa_set(set, (uint8_t)domain, &agent->outer.src);
	if (error == -EAGAIN)
		return error;
	if (error != 0)
		refuse_sa(set, error);
	credit += (rec->flags & API_REC_BULK) != 0;
	return 0;
}

static int on_sa_del(const struct api_rec *rec)
{
	sa_del((const void *)rec);
	credit += (rec->flags & API_REC_BULK) != 0;
	return 0;
}

static int on_sa_grant(const struct api_rec *rec)
{
	sa_grant((const void *)rec);
	return 0;
}

bool link_record_sa_event(const struct sa *sa, enum api_sa_event_type event)
{
	struct api_sa_event *rec = link_conn_record(API_SA_EVENT, sizeof(*rec));

	if (rec == NULL)
		return false;
	rec->slot = sa->slot;
	rec->spi = sa->spi;
	rec->use = sa->use;
	rec->direction = sa->direction;
	rec->agent = sa->agent;
	rec->event = (uint8_t)event;
	rec->seq = sa->direction == API_SA_OUT ? sa_seq(sa)
					       : __atomic_load_n(&sa->replay.top, __ATOMIC_RELAXED);
	rec->packets = __atomic_load_n(&sa->packets, __ATOMIC_RELAXED);
	rec->bytes = __atomic_load_n(&sa->bytes, __ATOMIC_RELAXED);
	return true;
}

static int on_punt_credit(const struct api_rec *rec)
{
	return punt_credit(((const struct api_punt_credit *)(const void *)rec)->n);
}

static int (*const handlers[API_TYPE_MAX])(const struct api_rec *rec) = {
	[API_HELLO] = on_hello,
	[API_SYNC_BEGIN] = on_sync_begin,
	[API_SYNC_END] = on_sync_end,
	[API_AGENT_SET] = on_agent_set,
	[API_HOME_PREFIX_SET] = on_home_prefix_set,
	[API_BINDING_SET] = on_binding_set,
	[API_BINDING_DEL] = on_binding_del,
	[API_COUNTERS_GET] = on_counters_get,
	[API_PACKET_OUT] = on_packet_out,
	[API_PUNT_CREDIT] = on_punt_credit,
	[API_SA_SET] = on_sa_set,
	[API_SA_DEL] = on_sa_del,
	[API_SA_GRANT] = on_sa_grant,
};

int link_record_apply(const struct api_rec *rec)
{
	int (*handler)(const struct api_rec *rec) = handlers[rec->type];

	if (handler == NULL || (!link_status.is_connected && rec->type != API_HELLO))
		return -EPROTO;
	return handler(rec);
}
