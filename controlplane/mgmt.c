// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/mgmt.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/accept.h"
#include "controlplane/bindings.h"
#include "controlplane/mgmt_request.h"
#include "controlplane/mgmt_show.h"
#include "controlplane/publish.h"
#include "controlplane/reload.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

enum {
	COUNTERS_WAIT_MS = 300,
	LOOKED_AT_MAX = 65536, // bindings in one turn of the loop
};

// A binding on the page that a client waits for.
struct row {
	uint32_t handle;
	bool is_answered;
	struct api_counters living; // with is_answered
};

// One connection.
struct client {
	LIST_ENTRY(client) link;
	struct mgmt *mgmt; // borrowed
	struct bufferevent *bev; // owned
	struct event *on_patience; // owned; the page waits no longer
	bool is_busy; // a list is being sent; the next request waits
	bool is_monitor;
	bool awaits_reload;
	bool is_single; // the page is one "result", not "items"
	bool is_last_page;
	bool is_closing; // sends no more requests; gets what it asked for
	struct mgmt_request request;
	uint32_t at; // handles up to here have been looked at
	uint32_t n_left; // of --limit
	struct row rows[MGMT_PAGE];
	unsigned int n_rows, n_unanswered;
	uint64_t n_lost; // events that did not fit
};

LIST_HEAD(client_list, client);

struct mgmt {
	struct control *control; // borrowed
	struct evconnlistener *listener;
	struct sockaddr_un address;
	struct client_list clients;
	unsigned int n_clients, n_monitors;
};

static void next_page(struct client *client);

// Writes one line; line: moved.
static void write_line(struct client *client, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	json_decref(line);
	if (text == NULL)
		return;
	bufferevent_write(client->bev, text, strlen(text));
	bufferevent_write(client->bev, "\n", 1);
	free(text);
}

static void reply_error(struct client *client, const char *why)
{
	client->is_busy = false;
	write_line(client,
		json_pack("{s:b, s:o}", "end", 1, "error", mgmt_show_text(why, strlen(why))));
}

// result: moved.
static void reply_result(struct client *client, json_t *result)
{
	client->is_busy = false;
	write_line(client, json_pack("{s:b, s:o}", "end", 1, "result", result));
}

static void reply_end(struct client *client)
{
	client->is_busy = false;
	write_line(client, json_pack("{s:b}", "end", 1));
}

static void client_free(struct client *client)
{
	LIST_REMOVE(client, link);
	client->mgmt->n_clients--;
	client->mgmt->n_monitors -= client->is_monitor;
	event_free(client->on_patience);
	bufferevent_free(client->bev);
	free(client);
}

// ---- pages of bindings

// Sends the page with the counters that came.
static void finish_page(struct client *client)
{
	struct control *control = client->mgmt->control;
	json_t *items = json_array();

	event_del(client->on_patience);
	for (unsigned int i = 0; i < client->n_rows; i++) {
		const struct row *row = &client->rows[i];
		const struct bce *bce = bcache_at(control->bcache, row->handle);

		if (bce != NULL && bce->state == BCE_LIVE)
			json_array_append_new(
				items, mgmt_show_binding(control, bce,
					       row->is_answered ? &row->living : NULL));
	}
	client->n_rows = 0;
	client->n_unanswered = 0;
	if (client->is_single) {
		json_t *only = json_incref(json_array_get(items, 0));

		json_decref(items);
		if (only != NULL)
			reply_result(client, only);
		else
			reply_error(client, "no such binding");
		return;
	}
	write_line(client, json_pack("{s:o}", "items", items));
	if (client->is_last_page)
		reply_end(client);
	// else the write callback asks for the next page once this one is taken
}

static void patience_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish_page(arg);
}

// Asks the dataplane for the counters of the page, or sends it without when there is none to ask.
static void ask_counters(struct client *client)
{
	static const struct timeval patience = { .tv_usec = COUNTERS_WAIT_MS * 1000 };
	struct control *control = client->mgmt->control;

	client->n_unanswered = 0;
	for (unsigned int i = 0; i < client->n_rows; i++) {
		const struct bce *bce = bcache_at(control->bcache, client->rows[i].handle);
		struct api_counters_get *get =
			link_put(control->link, API_COUNTERS_GET, 0, sizeof(*get));

		if (get == NULL)
			break;
		get->handle = client->rows[i].handle;
		get->home_prefix = bce->home_prefix;
		get->home = bce->home;
		client->n_unanswered++;
	}
	if (client->n_unanswered == 0) {
		finish_page(client);
		return;
	}
	event_add(client->on_patience, &patience);
	link_flush(control->link);
}

void mgmt_counters(struct mgmt *mgmt, const struct api_counters *counters)
{
	struct client *client, *next;

	for (client = LIST_FIRST(&mgmt->clients); client != NULL; client = next) {
		next = LIST_NEXT(client, link);
		for (unsigned int i = 0; i < client->n_rows; i++) {
			struct row *row = &client->rows[i];

			if (row->handle != counters->handle || row->is_answered)
				continue;
			row->is_answered = true;
			row->living = *counters;
			client->n_unanswered--;
		}
		if (client->n_rows > 0 && client->n_unanswered == 0)
			finish_page(client);
	}
}

static bool is_wanted(const struct client *client, uint32_t handle)
{
	const struct control *control = client->mgmt->control;
	const struct bce *bce = bcache_at(control->bcache, handle);
	const struct config_network *network;

	if (bce == NULL || bce->state != BCE_LIVE)
		return false;
	network = control->networks.prefixes[bce->home_prefix].network;
	return client->request.network[0] == '\0' ||
	       (network != NULL && strcmp(network->name, client->request.network) == 0);
}

// Gathers the next page. When a long stretch of the table has nothing to show, the loop gets its turn.
static void next_page(struct client *client)
{
	const struct bcache *bcache = client->mgmt->control->bcache;
	bool is_end = false, is_full = false;
	client->n_rows = 0;
	for (unsigned int i = 0; i < LOOKED_AT_MAX && !is_end && !is_full; i++) {
		uint32_t handle = bcache_next(bcache, client->at, &client->at, &is_end);

		if (handle == BCACHE_NONE)
			break; // the end, or a long stretch of free records
		if (!is_wanted(client, handle))
			continue;
		client->rows[client->n_rows++] = (struct row){ .handle = handle };
		client->n_left--;
		is_full = client->n_rows == MGMT_PAGE || client->n_left == 0;
	}
	client->is_last_page = is_end || client->n_left == 0;
	if (client->n_rows > 0)
		ask_counters(client);
	else
		finish_page(client);
}

// ---- verbs

static void run_show_bindings(struct client *client)
{
	client->is_single = false;
	client->at = BCACHE_NONE;
	client->n_left = client->request.limit != 0 ? client->request.limit : UINT32_MAX;
	if (client->request.after[0] != '\0') {
		client->at = mgmt_show_find(client->mgmt->control, client->request.after);
		if (client->at == BCACHE_NONE) {
			reply_error(client, "after: no such binding");
			return;
		}
	}
	next_page(client);
}

static void run_show_binding(struct client *client)
{
	uint32_t handle = mgmt_show_find(client->mgmt->control, client->request.key);

	if (handle == BCACHE_NONE) {
		reply_error(client, "no such binding");
		return;
	}
	client->is_single = true;
	client->n_rows = 1;
	client->rows[0] = (struct row){ .handle = handle };
	ask_counters(client);
}

static void run_show_networks(struct client *client)
{
	write_line(client, json_pack("{s:o}", "items", mgmt_show_networks(client->mgmt->control)));
	reply_end(client);
}

static void run_status(struct client *client)
{
	reply_result(client, mgmt_show_status(client->mgmt->control));
}

static void run_show_sync(struct client *client)
{
	reply_result(client, mgmt_show_sync(client->mgmt->control));
}

static void run_clear_binding(struct client *client)
{
	struct control *control = client->mgmt->control;
	uint32_t handle = mgmt_show_find(control, client->request.key);
	const struct bce *bce = bcache_at(control->bcache, handle);
	char home[IP6_STRLEN];
	int error;

	if (bce == NULL) {
		reply_error(client, "no such binding");
		return;
	}
	ip6_str(&bce->home, home);
	error = bindings_end(control, &handle, 1);
	if (error != 0) {
		reply_error(client, strerror(-error));
		return;
	}
	log_info("binding_cleared hoa=%s", home);
	reply_result(client, json_pack("{s:s}", "cleared", home));
}

static void run_reload(struct client *client)
{
	int error;

	client->awaits_reload = true;
	error = reload_begin(client->mgmt->control);
	if (error == 0)
		return; // mgmt_reloaded answers, or has done so
	client->awaits_reload = false;
	reply_error(client, error == -EBUSY ? "another reload is on its way" : strerror(-error));
}

static void run_resync(struct client *client)
{
	struct control *control = client->mgmt->control;

	if (link_state(control->link) != LINK_UP) {
		reply_error(client, "the dataplane is away");
		return;
	}
	log_info("resync_asked force=%d", client->request.is_forced);
	publish_resync(control, client->request.is_forced);
	reply_result(
		client, json_pack("{s:b, s:b}", "started", 1, "force", client->request.is_forced));
}

static void run_monitor(struct client *client)
{
	client->is_monitor = true;
	client->mgmt->n_monitors++;
}

static void run(struct client *client)
{
	static void (*const verbs[MGMT_N_VERBS])(struct client * client) = {
		[MGMT_STATUS] = run_status,
		[MGMT_SHOW_BINDINGS] = run_show_bindings,
		[MGMT_SHOW_BINDING] = run_show_binding,
		[MGMT_SHOW_NETWORKS] = run_show_networks,
		[MGMT_SHOW_SYNC] = run_show_sync,
		[MGMT_CLEAR_BINDING] = run_clear_binding,
		[MGMT_RELOAD] = run_reload,
		[MGMT_RESYNC] = run_resync,
		[MGMT_MONITOR] = run_monitor,
	};

	client->is_busy = true;
	verbs[client->request.verb](client);
}

// ---- events

bool mgmt_has_monitors(const struct mgmt *mgmt)
{
	return mgmt->n_monitors > 0;
}

static json_t *time_json(void)
{
	uint64_t now_ns = clock_wall_ns();
	time_t now = (time_t)(now_ns / CLOCK_NS_PER_S);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%03uZ", text, (unsigned int)(now_ns % CLOCK_NS_PER_S / 1000000));
}

static void tell(struct client *client, json_t *event)
{
	size_t unread = evbuffer_get_length(bufferevent_get_output(client->bev));

	if (unread > MGMT_EVENT_BACKLOG) {
		client->n_lost++;
		return;
	}
	if (client->n_lost > 0)
		write_line(client, json_pack("{s:{s:o, s:s, s:I}}", "event", "time", time_json(),
					   "event", "lost", "n", (json_int_t)client->n_lost));
	client->n_lost = 0;
	write_line(client, json_pack("{s:O}", "event", event));
}

void mgmt_event_binding(struct mgmt *mgmt, const char *what, const struct ip6 *home,
	const struct ip6 *coa, uint16_t sequence, uint8_t status, uint32_t lifetime_s)
{
	char home_text[IP6_STRLEN], coa_text[IP6_STRLEN];
	struct client *client;
	json_t *event;

	if (!mgmt_has_monitors(mgmt))
		return;
	event = json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:i}", "time", time_json(), "event", what,
		"home_address", ip6_str(home, home_text), "care_of", ip6_str(coa, coa_text),
		"sequence", sequence, "status", status, "lifetime_s", (int)lifetime_s);
	LIST_FOREACH (client, &mgmt->clients, link)
		if (client->is_monitor)
			tell(client, event);
	json_decref(event);
}

void mgmt_reloaded(struct mgmt *mgmt, const char *why)
{
	struct client *client;

	LIST_FOREACH (client, &mgmt->clients, link) {
		if (!client->awaits_reload)
			continue;
		client->awaits_reload = false;
		if (why != NULL)
			reply_error(client, why);
		else
			reply_result(client, json_pack("{s:b}", "reloaded", 1));
	}
}

// ---- connections

// Takes the next request when no reply is on its way.
static void read_requests(struct client *client)
{
	struct evbuffer *in = bufferevent_get_input(client->bev);

	while (!client->is_busy) {
		char error[MGMT_ERROR_LEN];
		size_t len;
		char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);

		if (line == NULL) {
			if (evbuffer_get_length(in) >= MGMT_LINE_MAX) {
				evbuffer_drain(in, evbuffer_get_length(in));
				reply_error(client, "request: longer than 4096 bytes");
			}
			return;
		}
		if (mgmt_request_parse(line, len, &client->request, error) == 0)
			run(client);
		else
			reply_error(client, error);
		free(line);
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	read_requests(arg);
}

// A client that shut down its side stays until it has what it asked for.
static void close_if_served(struct client *client)
{
	if (client->is_closing && (client->is_monitor || !client->is_busy) &&
		evbuffer_get_length(bufferevent_get_output(client->bev)) == 0)
		client_free(client);
}

// All output was taken: time for the next page, or the next request.
static void on_drained(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;

	(void)bev;
	if (client->is_busy && !client->is_monitor && client->n_rows == 0)
		next_page(client);
	read_requests(client);
	close_if_served(client);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;

	if ((what & BEV_EVENT_ERROR) != 0) {
		client_free(client);
	} else if ((what & BEV_EVENT_EOF) != 0) {
		bufferevent_disable(bev, EV_READ);
		client->is_closing = true;
		close_if_served(client);
	}
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	int len, void *arg)
{
	struct mgmt *mgmt = arg;
	struct client *client = NULL;

	(void)listener;
	(void)address;
	(void)len;
	if (mgmt->n_clients < MGMT_CLIENTS_MAX)
		client = calloc(1, sizeof(*client));
	if (client == NULL) {
		close(fd);
		return;
	}
	client->mgmt = mgmt;
	client->bev = bufferevent_socket_new(mgmt->control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	client->on_patience = evtimer_new(mgmt->control->base, patience_over, client);
	if (client->bev == NULL || client->on_patience == NULL)
		abort(); // malloc of a few hundred bytes
	LIST_INSERT_HEAD(&mgmt->clients, client, link);
	mgmt->n_clients++;
	bufferevent_setcb(client->bev, on_read, on_drained, on_event, client);
	bufferevent_setwatermark(client->bev, EV_READ, 0, MGMT_LINE_MAX);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
}

struct mgmt *mgmt_new(struct control *control)
{
	struct mgmt *mgmt = calloc(1, sizeof(*mgmt));
	const void *address = mgmt != NULL ? &mgmt->address : NULL;
	mode_t mask;
	int n;

	if (mgmt == NULL)
		return NULL;
	mgmt->control = control;
	LIST_INIT(&mgmt->clients);
	mgmt->address.sun_family = AF_UNIX;
	n = snprintf(mgmt->address.sun_path, sizeof(mgmt->address.sun_path), "%s/control.sock",
		control->run_dir);
	if (n < 0 || (size_t)n >= sizeof(mgmt->address.sun_path)) {
		free(mgmt);
		errno = ENAMETOOLONG;
		return NULL;
	}
	unlink(mgmt->address.sun_path);
	mask = umask(0117); // owner and group may speak to us
	mgmt->listener = evconnlistener_new_bind(control->base, on_accept, mgmt,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16, address, sizeof(mgmt->address));
	umask(mask);
	if (mgmt->listener == NULL) {
		int error = errno;

		free(mgmt);
		errno = error;
		return NULL;
	}
	accept_rests_on_error(mgmt->listener);
	return mgmt;
}

void mgmt_free(struct mgmt *mgmt)
{
	if (mgmt == NULL)
		return;
	while (!LIST_EMPTY(&mgmt->clients))
		client_free(LIST_FIRST(&mgmt->clients));
	evconnlistener_free(mgmt->listener);
	unlink(mgmt->address.sun_path);
	free(mgmt);
}
