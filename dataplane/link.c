// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/link.h"

#include <errno.h>
#include <sys/random.h>

#include "dataplane/api/records.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/link_conn.h"
#include "dataplane/link_record.h"
#include "dataplane/link_sync.h"
#include "dataplane/pkt.h"
#include "dataplane/punt.h"
#include "dataplane/sa.h"

enum {
	// Bytes on their way to control. Punts wait above the first mark, records from control wait
	// above the second; the rest of the buffer takes the reports of one grace period.
	PUNT_MARK = 256 << 10,
	READ_MARK = 512 << 10,
	MESSAGES_PER_TURN = 4,
};

struct link_status link_status;

static struct bindtab *bindings;
static uint64_t instance; // of this process

struct bindtab *link_bindings(void)
{
	return bindings;
}

static void report_retired(void *ctx, uint32_t handle, const struct binding *entry)
{
	struct api_counters *rec = link_conn_record(API_COUNTERS, sizeof(*rec));

	(void)ctx;
	if (rec == NULL)
		return;
	rec->handle = handle;
	rec->generation = entry->generation;
	rec->packets_down = entry->packets_down;
	rec->bytes_down = entry->bytes_down;
	rec->packets_up = entry->packets_up;
	rec->bytes_up = entry->bytes_up;
	rec->final = 1;
}

bool link_takes_punts(void)
{
	return link_status.is_connected;
}

bool link_punt(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	uint32_t len = m->pkt_len;
	struct api_punt *rec;
	const void *data;

	if (link_conn_backlog() > PUNT_MARK)
		return false;
	rec = link_conn_record(API_PUNT, api_rec_len(sizeof(*rec), len));
	if (rec == NULL)
		return false;
	rec->lane = pkt_priv(m)->punt_lane;
	rec->sa_slot = pkt_priv(m)->sa_slot;
	rec->sa_use = pkt_priv(m)->sa_use;
	rec->tunnelled = (meta->flags & PKT_TUNNELLED) != 0;
	rec->port = meta->port;
	rec->packet_len = len;
	rec->outer_src = pkt_priv(m)->outer_src;
	rec->outer_dst = pkt_priv(m)->outer_dst;
	data = rte_pktmbuf_read(m, 0, len, rec->packet);
	if (data != rec->packet)
		memcpy(rec->packet, data, len);
	return true;
}

static void send_hello(void)
{
	struct api_hello *rec = link_conn_record(API_HELLO, sizeof(*rec));

	if (rec == NULL)
		return;
	rec->version = API_VERSION;
	rec->max_bindings = bindtab_max(bindings);
	rec->instance = instance;
	rec->store_id = link_status.store_id;
	rec->n_bindings = bindtab_count(bindings);
}

static void lost(void)
{
	link_status.is_connected = false;
	link_sync_lost();
	link_record_lost();
	punt_reset();
}

// Applies what is left of the message in hand. False when it has to wait or the link is gone.
static bool apply(void)
{
	const struct api_rec *rec;

	while ((rec = link_conn_next()) != NULL) {
		int error = link_record_apply(rec);

		if (error == -EAGAIN)
			return false;
		if (error != 0) {
			link_conn_refuse("protocol error");
			return false;
		}
		link_conn_done();
	}
	return link_conn_fd() >= 0;
}

bool link_turn(void)
{
	bool has_more = false, is_settled;

	if (link_conn_accept())
		send_hello();
	is_settled = bindtab_poll(bindings);
	is_settled &= sa_poll();
	for (unsigned int i = 0; link_conn_fd() >= 0 && i < MESSAGES_PER_TURN; i++) {
		if (link_conn_backlog() > READ_MARK || !link_conn_receive())
			break;
		has_more = true;
		if (!apply())
			break;
	}
	has_more |= link_sync_turn();
	link_record_credit();
	punt_turn();
	link_conn_flush();
	return has_more || !is_settled;
}

int link_init(const struct link_config *config)
{
	int error;

	bindings = bindtab_new(config->max_bindings, report_retired, NULL);
	if (bindings == NULL) {
		log_err("bindings_failed max_bindings=%u reason=\"not enough memory\"",
			config->max_bindings);
		return -ENOMEM;
	}
	error = sa_init(config->max_sas, link_record_sa_event);
	if (error != 0) {
		bindtab_free(bindings);
		return error;
	}
	link_sync_init(bindings, config->orphan_hold_s);
	if (getrandom(&instance, sizeof(instance), 0) < 0)
		instance = clock_wall_ns();
	error = link_conn_init(config->run_dir, lost);
	if (error != 0)
		link_free();
	return error;
}

void link_free(void)
{
	punt_reset();
	link_conn_free();
	sa_free();
	bindtab_free(bindings);
	bindings = NULL;
}
