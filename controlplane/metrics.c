// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/accept.h"
#include "controlplane/publish.h"
#include "controlplane/learn_link.h"
#include "controlplane/sas.h"

struct metrics {
	struct evhttp *http;
	struct control *control; // borrowed
};

static void counter(struct evbuffer *out, const char *name, const char *help, uint64_t value)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s counter\n%s_total %llu\n", name, help,
		name, name, (unsigned long long)value);
}

static void gauge(struct evbuffer *out, const char *name, const char *help, uint64_t value)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", name, help, name, name,
		(unsigned long long)value);
}

static void add_answers(struct evbuffer *out, const struct stats *stats)
{
	evbuffer_add_printf(out, "# HELP unwired_answers Binding Acknowledgements by status\n"
				 "# TYPE unwired_answers counter\n");
	for (unsigned int i = 0; i < 256; i++)
		if (stats->answers[i] > 0)
			evbuffer_add_printf(out, "unwired_answers_total{status=\"%u\"} %llu\n", i,
				(unsigned long long)stats->answers[i]);
}

static void add_drop(void *out, const char *name, uint64_t n)
{
	evbuffer_add_printf(out, "unwired_signalling_drops_total{reason=\"%s\"} %llu\n", name,
		(unsigned long long)n);
}

static void add_commits(struct evbuffer *out, const struct stats *stats)
{
	uint64_t n = 0;

	evbuffer_add_printf(out, "# HELP unwired_commit_seconds Group commits of the store\n"
				 "# TYPE unwired_commit_seconds histogram\n");
	for (unsigned int i = 0; i + 1 < STATS_N_LATENCIES; i++) {
		n += stats->commit_latency[i];
		evbuffer_add_printf(out, "unwired_commit_seconds_bucket{le=\"%.6f\"} %llu\n",
			(double)((uint64_t)STATS_LATENCY_FIRST_US << i) / 1e6,
			(unsigned long long)n);
	}
	evbuffer_add_printf(out,
		"unwired_commit_seconds_bucket{le=\"+Inf\"} %llu\n"
		"unwired_commit_seconds_sum %.6f\nunwired_commit_seconds_count %llu\n",
		(unsigned long long)stats->n_commits, (double)stats->commit_us_sum / 1e6,
		(unsigned long long)stats->n_commits);
}

static void add_sas(struct evbuffer *out, const struct control *control)
{
	uint32_t n[SAS_STATE_MAX];

	sas_count(control->sas, n);
	evbuffer_add_printf(out, "# HELP unwired_security_associations Security associations by "
				 "state\n# TYPE unwired_security_associations gauge\n");
	for (uint8_t state = 0; state < SAS_STATE_MAX; state++)
		evbuffer_add_printf(out, "unwired_security_associations{state=\"%s\"} %u\n",
			sas_state_name(state), n[state]);
	gauge(out, "unwired_security_learned_mobiles", "Mobiles with associations of an IKE daemon",
		control->sas->n_learned);
	gauge(out, "unwired_security_learned_unplaced",
		"Mobiles with associations of an IKE daemon that have no place",
		control->sas->n_learned_unplaced);
	counter(out, "unwired_security_learned_refused",
		"Records of unwired-xfrm that were refused",
		learn_link_table(control->learn)->n_refused);
	counter(out, "unwired_security_grants", "Grants of sequence numbers beside the first ones",
		control->stats.sas.n_grants);
	counter(out, "unwired_security_reserve_failures",
		"Groups of sequence numbers that could not be reserved",
		control->stats.sas.n_group_errors);
}

static void add_all(struct evbuffer *out, const struct control *control)
{
	const struct stats *stats = &control->stats;
	struct bcache_counts counts = bcache_counts(control->bcache);

	gauge(out, "unwired_bindings", "Live bindings", counts.n_live);
	gauge(out, "unwired_bindings_held", "Ended bindings whose floors are kept", counts.n_hold);
	gauge(out, "unwired_bindings_unserved",
		"Bindings that no home network of the configuration has", counts.n_unserved);
	gauge(out, "unwired_bindings_unsent", "Bindings the dataplane was not told yet",
		counts.n_dirty);
	gauge(out, "unwired_bindings_max", "Most live bindings", control_max_bindings(control));
	gauge(out, "unwired_link_up", "1 when the dataplane is connected",
		link_state(control->link) == LINK_UP);
	gauge(out, "unwired_dataplane_synced", "1 when the dataplane has all bindings",
		control->sync.state == CONTROL_SYNC_DONE);
	add_sas(out, control);
	add_answers(out, stats);
	evbuffer_add_printf(out, "# HELP unwired_signalling_drops Signalling dropped by reason\n"
				 "# TYPE unwired_signalling_drops counter\n");
	stats_each_drop(stats, add_drop, out);
	counter(out, "unwired_punts", "Packets from the dataplane",
		link_stats(control->link)->n_punts);
	counter(out, "unwired_punts_dropped", "Packets dropped while answers were backed up",
		link_stats(control->link)->n_punts_dropped);
	counter(out, "unwired_prefix_advertisements", "Mobile Prefix Advertisements sent",
		stats->n_prefix_advertisements);
	counter(out, "unwired_expired", "Bindings whose lifetime ran out", stats->n_expired);
	counter(out, "unwired_over_quota", "Registrations beyond the quota of a mobile node",
		stats->n_over_quota);
	counter(out, "unwired_holds_forgotten", "Holds that ended early for want of room",
		stats->n_holds_forgotten);
	counter(out, "unwired_counters_late", "Final counters of bindings that are forgotten",
		stats->n_counters_late);
	counter(out, "unwired_dataplane_errors", "Bindings that the dataplane refused",
		stats->n_dataplane_errors);
	counter(out, "unwired_replication_failures",
		"Group commits that other home agents do not have as asked",
		stats->n_replication_failures);
	counter(out, "unwired_commit_failures", "Group commits that failed",
		stats->n_commit_failures);
	add_commits(out, stats);
	evbuffer_add_printf(out, "# EOF\n");
}

static void serve(struct evhttp_request *request, void *arg)
{
	struct metrics *metrics = arg;
	struct evbuffer *out = evbuffer_new();

	if (out == NULL || evhttp_request_get_command(request) != EVHTTP_REQ_GET) {
		evhttp_send_error(request, HTTP_BADMETHOD, NULL);
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
			"application/openmetrics-text; version=1.0.0; charset=utf-8");
		add_all(out, metrics->control);
		evhttp_send_reply(request, HTTP_OK, "OK", out);
	}
	if (out != NULL)
		evbuffer_free(out);
}

// Splits "[::1]:9273" or "127.0.0.1:9273". Returns: 0 or -EINVAL.
static int split(const char *listen, char host[static 64], uint16_t *port)
{
	const char *colon = strrchr(listen, ':');
	size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
	unsigned long number = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;

	if (len > 2 && listen[0] == '[' && listen[len - 1] == ']') {
		listen++;
		len -= 2;
	}
	if (len == 0 || len >= 64 || number == 0 || number > UINT16_MAX)
		return -EINVAL;
	memcpy(host, listen, len);
	host[len] = '\0';
	*port = (uint16_t)number;
	return 0;
}

struct metrics *metrics_new(struct control *control)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct evhttp_bound_socket *socket = NULL;
	char host[64];
	uint16_t port;

	if (metrics == NULL)
		return NULL;
	metrics->control = control;
	metrics->http = evhttp_new(control->base);
	errno = 0;
	if (metrics->http != NULL && split(control->config->telemetry.listen, host, &port) == 0)
		socket = evhttp_bind_socket_with_handle(metrics->http, host, port);
	if (socket == NULL) {
		int error = errno != 0 ? errno : EINVAL;

		metrics_free(metrics);
		errno = error;
		return NULL;
	}
	accept_rests_on_error(evhttp_bound_socket_get_listener(socket));
	evhttp_set_max_headers_size(metrics->http, 8192);
	evhttp_set_max_body_size(metrics->http, 0);
	evhttp_set_timeout(metrics->http, 10);
	evhttp_set_cb(metrics->http, "/metrics", serve, metrics);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	if (metrics->http != NULL)
		evhttp_free(metrics->http);
	free(metrics);
}
