// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/show.h"

#include <stdio.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "dataplane/link.h"
#include "dataplane/mirror_sync.h"
#include "dataplane/neigh.h"
#include "dataplane/pmtu.h"
#include "dataplane/police.h"
#include "dataplane/pump.h"
#include "dataplane/punt.h"
#include "dataplane/show_gate.h"
#include "dataplane/show_rows.h"
#include "dataplane/show_sas.h"
#include "dataplane/tunnel_error.h"
#include "dataplane/worker.h"

static int show_status(const char *cmd, const char *params, struct rte_tel_data *d)
{
	const struct link_status *s = &link_status;
	char store_id[17];

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	snprintf(store_id, sizeof(store_id), "%016lx", s->store_id);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "version", UNWIRED_VERSION);
	rte_tel_data_add_dict_int(d, "pid", getpid());
	rte_tel_data_add_dict_string(d, "control", s->is_connected ? "connected" : "away");
	rte_tel_data_add_dict_string(d, "sweep_guard", s->is_guarded ? "holding" : "clear");
	rte_tel_data_add_dict_string(d, "store_id", store_id);
	rte_tel_data_add_dict_u64(d, "bindings", bindtab_count(link_bindings()));
	rte_tel_data_add_dict_u64(d, "max_bindings", bindtab_max(link_bindings()));
	rte_tel_data_add_dict_u64(d, "bindings_set", stat_read(&s->bindings_set));
	rte_tel_data_add_dict_u64(d, "bindings_deleted", stat_read(&s->bindings_deleted));
	rte_tel_data_add_dict_u64(d, "bindings_refused", stat_read(&s->bindings_refused));
	rte_tel_data_add_dict_u64(d, "bindings_swept", stat_read(&s->swept));
	rte_tel_data_add_dict_u64(d, "control_connects", stat_read(&s->connects));
	rte_tel_data_add_dict_u64(d, "protocol_errors", stat_read(&s->protocol_errors));
	rte_tel_data_add_dict_u64(d, "buffers_in_use", rte_mempool_in_use_count(workers[0].pool));
	rte_tel_data_add_dict_u64(d, "from_workers", stat_read(&pump_stats.from_workers));
	rte_tel_data_add_dict_u64(d, "to_host", stat_read(&pump_stats.to_host));
	rte_tel_data_add_dict_u64(d, "from_host", stat_read(&pump_stats.from_host));
	rte_tel_data_add_dict_u64(d, "punted", stat_read(&pump_stats.punted));
	rte_tel_data_add_dict_u64(d, "punts_waiting", stat_read(&punt_status.waiting));
	rte_tel_data_add_dict_u64(d, "punts_on_way", stat_read(&punt_status.on_way));
	rte_tel_data_add_dict_u64(d, "punts_per_s", stat_read(&punt_status.per_s));
	rte_tel_data_add_dict_u64(d, "budget_class0_per_s", police_budget(POLICE_KNOWN));
	rte_tel_data_add_dict_u64(d, "budget_class1_per_s", police_budget(POLICE_MOVED));
	rte_tel_data_add_dict_u64(d, "budget_class2_per_s", police_budget(POLICE_UNKNOWN));
	rte_tel_data_add_dict_u64(d, "sent", stat_read(&pump_stats.sent));
	rte_tel_data_add_dict_u64(d, "parked", stat_read(&pump_stats.parked));
	rte_tel_data_add_dict_u64(d, "unparked", stat_read(&pump_stats.unparked));
	rte_tel_data_add_dict_u64(d, "waiting_for_neighbors", neigh_waiting());
	rte_tel_data_add_dict_u64(d, "injected", stat_read(&pump_stats.injected));
	rte_tel_data_add_dict_u64(d, "routes_ip4", stat_read(&mirror_status.routes[FIB_IP4]));
	rte_tel_data_add_dict_u64(d, "routes_ip6", stat_read(&mirror_status.routes[FIB_IP6]));
	rte_tel_data_add_dict_u64(d, "routes_missing", stat_read(&mirror_status.missing));
	rte_tel_data_add_dict_u64(d, "routes_refused", stat_read(&mirror_status.refused));
	rte_tel_data_add_dict_u64(d, "route_overruns", stat_read(&mirror_status.overruns));
	rte_tel_data_add_dict_u64(d, "path_mtus", pmtu_count());
	rte_tel_data_add_dict_u64(d, "path_mtus_learned", pmtu_learned());
	rte_tel_data_add_dict_u64(
		d, "tunnel_errors_relayed", stat_read(&tunnel_error_stats.relayed));
	rte_tel_data_add_dict_u64(
		d, "tunnel_errors_ignored", stat_read(&tunnel_error_stats.ignored));
	rte_tel_data_add_dict_u64(
		d, "tunnel_errors_suppressed", stat_read(&tunnel_error_stats.suppressed));
	rte_tel_data_add_dict_u64(d, "tunnel_errors_forged", stat_read(&tunnel_error_stats.forged));
	return 0;
}

static int show_workers(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct show_rows rows = show_rows_start(d, params);

	RTE_SET_USED(cmd);
	for (uint16_t i = 0; i < n_workers; i++) {
		const struct worker_stats *s = &workers[i].stats;
		struct rte_tel_data *row = show_rows_add(&rows);
		uint64_t drops = 0;

		if (row == NULL)
			continue;
		for (unsigned int r = 0; r < DROP_MAX; r++)
			drops += stat_read(&s->drops[r]);
		rte_tel_data_add_dict_u64(row, "worker", i);
		rte_tel_data_add_dict_u64(row, "rx", stat_read(&s->rx));
		rte_tel_data_add_dict_u64(row, "from_main", stat_read(&s->from_main));
		rte_tel_data_add_dict_u64(row, "from_peers", stat_read(&s->from_peers));
		rte_tel_data_add_dict_u64(row, "made", stat_read(&s->made));
		rte_tel_data_add_dict_u64(row, "tx", stat_read(&s->tx));
		rte_tel_data_add_dict_u64(row, "to_main", stat_read(&s->to_main));
		rte_tel_data_add_dict_u64(row, "to_peers", stat_read(&s->to_peers));
		rte_tel_data_add_dict_u64(row, "drops", drops);
		rte_tel_data_add_dict_u64(row, "absorbed", stat_read(&s->absorbed));
		rte_tel_data_add_dict_u64(row, "held", stat_read(&s->held));
		rte_tel_data_add_dict_u64(row, "forwarded", stat_read(&s->forwarded));
		rte_tel_data_add_dict_u64(row, "encapsulated", stat_read(&s->encapsulated));
		rte_tel_data_add_dict_u64(row, "decapsulated", stat_read(&s->decapsulated));
		rte_tel_data_add_dict_u64(row, "sealed", stat_read(&s->sealed));
		rte_tel_data_add_dict_u64(row, "opened", stat_read(&s->opened));
		rte_tel_data_add_dict_u64(row, "home_options", stat_read(&s->home_options));
		rte_tel_data_add_dict_u64(row, "routed", stat_read(&s->routed));
		rte_tel_data_add_dict_u64(row, "binding_errors", stat_read(&s->binding_errors));
		rte_tel_data_add_dict_u64(row, "fragmented", stat_read(&s->fragmented));
		rte_tel_data_add_dict_u64(row, "reassembled", stat_read(&s->reassembled));
		rte_tel_data_add_dict_u64(row, "spread_pairs", stat_read(&s->spread_pairs));
		rte_tel_data_add_dict_u64(row, "icmp_suppressed", stat_read(&s->icmp_suppressed));
		rte_tel_data_add_dict_u64(row, "rx_bytes", stat_read(&s->rx_bytes));
		rte_tel_data_add_dict_u64(row, "tx_bytes", stat_read(&s->tx_bytes));
		rte_tel_data_add_dict_u64(row, "bursts", stat_read(&s->bursts));
		rte_tel_data_add_dict_u64(row, "sleeps", stat_read(&s->sleeps));
	}
	show_rows_end(&rows);
	return 0;
}

static void drop_row(struct show_rows *rows, const char *where, const char *reason,
	uint64_t packets, const char *meaning)
{
	struct rte_tel_data *row = show_rows_add(rows);

	if (row == NULL)
		return;
	rte_tel_data_add_dict_string(row, "reason", reason);
	rte_tel_data_add_dict_string(row, "where", where);
	rte_tel_data_add_dict_u64(row, "packets", packets);
	rte_tel_data_add_dict_string(row, "meaning", meaning);
}

static int show_drops(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct show_rows rows = show_rows_start(d, params);

	RTE_SET_USED(cmd);
	for (unsigned int r = 0; r < DROP_MAX; r++) {
		uint64_t packets = 0;

		for (uint16_t i = 0; i < n_workers; i++)
			packets += stat_read(&workers[i].stats.drops[r]);
		drop_row(&rows, "worker", drop_names[r], packets, drop_texts[r]);
	}
	for (unsigned int r = 0; r < PUMP_DROP_MAX; r++)
		drop_row(&rows, "main", pump_drop_names[r], stat_read(&pump_stats.drops[r]),
			pump_drop_texts[r]);
	show_rows_end(&rows);
	return 0;
}

int show_register(void)
{
	int error = show_gate_register(
		"/unwired/status", show_status, "State of the dataplane. No parameters.");

	if (error == 0)
		error = show_gate_register("/unwired/workers", show_workers,
			"Packet account of each worker. Parameter: first row.");
	if (error == 0)
		error = show_gate_register("/unwired/drops", show_drops,
			"Dropped packets by reason. Parameter: first row.");
	if (error == 0)
		error = show_sas_register();
	return error;
}
