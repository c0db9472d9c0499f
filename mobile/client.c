// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/event.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/wire.h"
#include "mobile/command.h"
#include "mobile/discovery.h"
#include "mobile/inner.h"
#include "mobile/registrar.h"
#include "mobile/report.h"

enum {
	BURST = 64, // packets of one descriptor before the others get their turn
	TUNNEL_OVERHEAD = 40, // the outer header
	PACKET_MAX = 65575, // IPv6 header and the longest payload
};

#define HOLD_NS CLOCK_NS_PER_S // of uplink packets during a move
#define LEFT_GRACE_NS (30 * CLOCK_NS_PER_S) // a care-of address that was left is still heard

static uint8_t packet_buf[PACKET_MAX];
static uint8_t sealed_buf[PACKET_MAX + ESP_OVERHEAD_MAX];

static struct bul *bul_of(struct client *client, const struct ip6 *home)
{
	for (unsigned int i = 0; i < client->n_buls; i++) {
		if (ip6_eq(&client->buls[i].home, home))
			return &client->buls[i];
	}
	return NULL;
}

static struct client_path *path_of(struct client *client, const struct ip6 *address)
{
	for (unsigned int i = 0; i < CLIENT_MAX_CARE_OFS; i++) {
		struct client_path *path = &client->paths[i];

		if (path->event != NULL && ip6_eq(&path->care_of.address, address))
			return path;
	}
	return NULL;
}

// Sends a packet to the home agent, under the association for it. Returns: 0 or negative errno.
static int send_tunnelled(
	struct client *client, const struct care_of *care_of, const struct inner *inner)
{
	const struct ip6 *home_agent = &client->options->home_agent;
	uint8_t use = security_use_of(packet_buf, inner->len);
	ssize_t n;

	if (security_has(client->security, use)) {
		n = security_seal_tunnel(client->security, use, packet_buf, inner->len, sealed_buf);
		return n < 0 ? (int)n
			     : care_of_send(care_of->esp_fd, home_agent, sealed_buf, (size_t)n,
				       inner->traffic_class);
	}
	if (security_needs(client->security, use)) {
		client->drops.up_unprotected++;
		return -ENOKEY;
	}
	return care_of_send(
		care_of->tunnel_fd, home_agent, packet_buf, inner->len, inner->traffic_class);
}

// One packet of the host's into the tunnel.
static void send_up(struct client *client, size_t len)
{
	struct inner inner;
	struct client_path *path;
	const struct bul *bul;

	if (inner_parse(packet_buf, len, &inner) < 0)
		return; // the kernel's own: IPv4, or cut
	bul = bul_of(client, &inner.src);
	if (bul == NULL) {
		client->drops.up_source++;
		return;
	}
	path = bul->is_bound ? path_of(client, &bul->bound_care_of) : NULL;
	if (path == NULL) {
		client->drops.up_unbound++;
		return;
	}
	if (send_tunnelled(client, &path->care_of, &inner) < 0) {
		path->care_of.n_send_errors++;
		return;
	}
	path->care_of.packets_up++;
	path->care_of.bytes_up += inner.len;
}

static void on_tun(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)what;
	for (unsigned int i = 0; i < BURST; i++) {
		ssize_t n = read(fd, packet_buf, sizeof(packet_buf));

		if (n <= 0)
			return;
		send_up(client, (size_t)n);
	}
}

// One packet out of the tunnel, or out of a routing header, to the host.
static void deliver(
	struct client *client, struct care_of *care_of, size_t len, uint8_t outer_tclass)
{
	struct client_drops *drops = &client->drops;
	const struct bul *bul;
	struct inner inner;

	if (inner_parse(packet_buf, len, &inner) < 0) {
		drops->down_malformed++;
		return;
	}
	bul = bul_of(client, &inner.dst);
	if (bul == NULL) {
		drops->down_destination++;
		return;
	}
	if (care_of->left_ns != 0 && clock_mono_ns() - care_of->left_ns > LEFT_GRACE_NS) {
		drops->down_left++;
		return;
	}
	if (inner_merge_ecn(packet_buf, &inner, outer_tclass) < 0) {
		drops->down_ecn++;
		return;
	}
	care_of->packets_down++;
	care_of->bytes_down += inner.len;
	if (bul->is_bound && !ip6_eq(&bul->bound_care_of, &care_of->address))
		care_of->n_late++;
	if (write(client->tun.fd, packet_buf, inner.len) < 0)
		drops->down_malformed++;
}

static void on_tunnel(evutil_socket_t fd, short what, void *arg)
{
	struct client_path *path = arg;
	struct client *client = path->client;

	(void)what;
	for (unsigned int i = 0; i < BURST; i++) {
		uint8_t tclass;
		ssize_t n = care_of_recv(
			fd, &client->options->home_agent, packet_buf, sizeof(packet_buf), &tclass);

		if (n == -EPERM)
			client->drops.down_source++;
		else if (n < 0)
			return;
		else if (security_needs(client->security, security_use_of(packet_buf, (size_t)n)))
			client->drops.down_unprotected++;
		else
			deliver(client, &path->care_of, (size_t)n, tclass);
	}
}

static void on_esp(evutil_socket_t fd, short what, void *arg)
{
	struct client_path *path = arg;
	struct client *client = path->client;

	(void)what;
	for (unsigned int i = 0; i < BURST; i++) {
		uint8_t tclass;
		ssize_t n = care_of_recv(
			fd, &client->options->home_agent, packet_buf, sizeof(packet_buf), &tclass);

		if (n < 0 && n != -EPERM)
			return;
		if (n >= 0)
			n = security_open_tunnel(client->security, packet_buf, (size_t)n);
		if (n < 0)
			client->drops.down_esp++;
		else
			deliver(client, &path->care_of, (size_t)n, tclass);
	}
}

// While a move waits for its acknowledgement the TUN's queue holds what the host sends: the home
// agent drops what comes from a care-of address that it does not know yet.
static void hold_update(struct client *client, uint64_t now_ns)
{
	bool hold = false;

	for (unsigned int i = 0; i < client->n_buls; i++) {
		const struct bul *bul = &client->buls[i];

		hold |= bul_is_moving(bul) &&
			(bul->n_sent == 0 || now_ns < bul->started_ns + HOLD_NS);
	}
	if (hold == client->is_holding)
		return;
	client->is_holding = hold;
	if (hold)
		event_del(client->tun_event);
	else
		event_add(client->tun_event, NULL);
}

// Does what is due and sets the timer for what comes next.
static void advance(struct client *client)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t due_ns = registrar_advance(client, now_ns);
	struct timeval delay;

	hold_update(client, now_ns);
	if (client->is_holding && due_ns > now_ns + HOLD_NS / 10)
		due_ns = now_ns + HOLD_NS / 10;
	if (due_ns == BUL_NEVER_NS) {
		event_del(client->timer);
		return;
	}
	now_ns = clock_mono_ns();
	due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	delay = (struct timeval){ .tv_sec = (time_t)(due_ns / CLOCK_NS_PER_S),
		.tv_usec = (suseconds_t)(due_ns % CLOCK_NS_PER_S / 1000) };
	event_add(client->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	advance(arg);
}

// Signalling in the clear, or a packet that lost its routing header.
static void receive_clear(struct client *client, size_t len)
{
	struct client_path *path = NULL;
	struct ip6 care_of;
	ssize_t n_inner = inner_unroute(packet_buf, len, &care_of);

	if (n_inner >= 0)
		path = path_of(client, &care_of);
	if (path != NULL)
		deliver(client, &path->care_of, (size_t)n_inner, 0);
	else if (n_inner >= 0)
		client->drops.down_left++;
	else if (security_needs(client->security, API_SA_SIGNALLING))
		client->drops.down_unprotected++;
	else
		registrar_receive(client, packet_buf, len);
}

static void on_signalling(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)what;
	for (unsigned int i = 0; i < BURST; i++) {
		ssize_t n = message_recv(fd, packet_buf, sizeof(packet_buf)), n_open;
		uint8_t use = 0;

		if (n < 0)
			break;
		n_open = security_open_transport(client->security, packet_buf, (size_t)n, &use);
		if (n_open == -ENOENT)
			receive_clear(client, (size_t)n);
		else if (n_open < 0)
			client->drops.down_esp++;
		else if (use == API_SA_DISCOVERY)
			discovery_receive(client, packet_buf, (size_t)n_open);
		else
			registrar_receive(client, packet_buf, (size_t)n_open);
	}
	advance(client);
}

// The slot for a new care-of address: a free one, else the one that was left longest ago.
static struct client_path *path_slot(struct client *client)
{
	struct client_path *oldest = NULL;

	for (unsigned int i = 0; i < CLIENT_MAX_CARE_OFS; i++) {
		struct client_path *path = &client->paths[i];

		if (path->event == NULL)
			return path;
		if (path->care_of.left_ns != 0 &&
			(oldest == NULL || path->care_of.left_ns < oldest->care_of.left_ns))
			oldest = path;
	}
	return oldest;
}

static void path_close(struct client_path *path)
{
	event_free(path->event);
	if (path->esp_event != NULL)
		event_free(path->esp_event);
	path->event = path->esp_event = NULL;
	care_of_close(&path->care_of);
}

// Makes address the place where the mobile is, opening it if it is new.
static int arrive(struct client *client, const struct ip6 *address)
{
	struct client_path *path = path_of(client, address);

	if (path == NULL) {
		struct care_of care_of;
		int error = care_of_open(&care_of, address, client->security != NULL);

		if (error < 0)
			return error;
		path = path_slot(client);
		if (path->event != NULL)
			path_close(path);
		path->care_of = care_of;
		path->client = client;
		path->event = event_new(
			client->base, care_of.tunnel_fd, EV_READ | EV_PERSIST, on_tunnel, path);
		if (path->event == NULL) {
			care_of_close(&path->care_of);
			return -ENOMEM;
		}
		event_add(path->event, NULL);
		if (care_of.esp_fd >= 0)
			path->esp_event = event_new(
				client->base, care_of.esp_fd, EV_READ | EV_PERSIST, on_esp, path);
		if (path->esp_event != NULL)
			event_add(path->esp_event, NULL);
	}
	if (client->here != NULL && client->here != path)
		client->here->care_of.left_ns = clock_mono_ns();
	path->care_of.left_ns = 0;
	client->here = path;
	return 0;
}

static int command_move(struct client *client, const char *text, FILE *reply)
{
	struct ip6 address;
	int error = ip6_parse(text, &address);

	if (error == 0 && !ip6_is_unicast_routable(&address))
		error = -EINVAL;
	if (error == 0)
		error = arrive(client, &address);
	if (error < 0) {
		fprintf(reply, "move %s: %s\n", text,
			error == -EINVAL ? "not a unicast IPv6 address" : strerror(-error));
		return error;
	}
	registrar_ask(client, client->options->lifetime_s);
	return 0;
}

static int on_command(void *arg, const char *words, FILE *reply)
{
	struct client *client = arg;
	int error = 0;

	if (strncmp(words, "move ", 5) == 0) {
		error = command_move(client, words + 5, reply);
	} else if (strcmp(words, "register") == 0) {
		registrar_ask(client, client->options->lifetime_s);
	} else if (strcmp(words, "deregister") == 0) {
		registrar_ask(client, 0);
	} else if (strcmp(words, "solicit") == 0) {
		error = discovery_ask(client);
		if (error < 0)
			fprintf(reply, "solicit: %s\n", strerror(-error));
	} else if (strcmp(words, "status") == 0) {
		report_status(client, reply);
	} else if (strcmp(words, "quit") == 0) {
		event_base_loopbreak(client->base);
	} else {
		fprintf(reply,
			"%s: unknown command (move ADDRESS, register, deregister, solicit, status, "
			"quit)\n",
			words);
		error = -EINVAL;
	}
	advance(client);
	return error;
}

static void on_stop_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct client *client = arg;

	(void)signal_number;
	(void)what;
	event_base_loopbreak(client->base);
}

// The TUN device with its addresses and routes.
static int tun_start(struct client *client)
{
	static const struct ip6_prefix everything;
	const struct options *o = client->options;
	uint32_t mtu = client->here->care_of.mtu - TUNNEL_OVERHEAD -
		       (uint32_t)security_tunnel_overhead(client->security);
	int error = tun_open(&client->tun, o->tun, mtu < IP6_MIN_MTU ? IP6_MIN_MTU : mtu);

	if (error < 0)
		return error;
	for (unsigned int i = 0; i < o->n_homes && error == 0; i++)
		error = tun_add_address(&client->tun, &o->homes[i]);
	if (o->n_routes == 0 && error == 0)
		error = tun_add_route(&client->tun, &everything, &o->homes[0]);
	for (unsigned int i = 0; i < o->n_routes && error == 0; i++)
		error = tun_add_route(&client->tun, &o->routes[i], &o->homes[0]);
	if (error < 0) {
		log_err("tun_setup_failed name=%s error=%s", client->tun.name, strerror(-error));
		tun_close(&client->tun);
	}
	return error;
}

static void buls_start(struct client *client)
{
	const struct options *o = client->options;

	client->n_buls = o->n_homes;
	for (unsigned int i = 0; i < o->n_homes; i++) {
		uint16_t first = 0;

		if (getrandom(&first, sizeof(first), 0) < 0)
			log_warn("no_random_sequence error=%s", strerror(errno));
		bul_init(&client->buls[i], &o->homes[i], first);
	}
}

// Opens what talks to the outside; undone by client_stop.
static int sockets_start(struct client *client)
{
	const struct options *o = client->options;
	struct ip6 care_of = o->care_of;
	int error = 0;

	if (o->interface[0] != '\0')
		error = care_of_of_interface(o->interface, &care_of);
	if (error < 0) {
		log_err("interface_without_address interface=%s", o->interface);
		return error;
	}
	error = arrive(client, &care_of);
	if (error < 0)
		return error;
	client->signal_fd = message_open(&o->home_agent);
	if (client->signal_fd < 0) {
		log_err("packet_socket_failed error=%s", strerror(-client->signal_fd));
		return client->signal_fd;
	}
	return tun_start(client);
}

static int events_start(struct client *client)
{
	struct event_base *base = client->base;

	client->tun_event = event_new(base, client->tun.fd, EV_READ | EV_PERSIST, on_tun, client);
	client->signal_event =
		event_new(base, client->signal_fd, EV_READ | EV_PERSIST, on_signalling, client);
	client->timer = evtimer_new(base, on_timer, client);
	client->interrupt = evsignal_new(base, SIGINT, on_stop_signal, client);
	client->terminate = evsignal_new(base, SIGTERM, on_stop_signal, client);
	if (client->tun_event == NULL || client->signal_event == NULL || client->timer == NULL ||
		client->interrupt == NULL || client->terminate == NULL)
		return -ENOMEM;
	event_add(client->tun_event, NULL);
	event_add(client->signal_event, NULL);
	event_add(client->interrupt, NULL);
	event_add(client->terminate, NULL);
	client->commands = command_listen(base, client->options->control, on_command, client);
	if (client->commands == NULL) {
		log_err("control_socket_failed path=%s error=%s", client->options->control,
			strerror(errno));
		return -errno;
	}
	return 0;
}

int client_start(struct client *client, const struct options *options)
{
	int error = -ENOMEM;

	*client = (struct client){ .options = options, .signal_fd = -1, .tun.fd = -1 };
	client->base = event_base_new();
	client->auth = auth_new();
	if (client->base == NULL || client->auth == NULL) {
		log_err("start_failed error=%s", strerror(errno));
		goto fail;
	}
	if (options->security_associations != NULL)
		client->security = security_open(options->security_associations, stderr);
	if (options->security_associations != NULL && client->security == NULL)
		goto fail;
	buls_start(client);
	error = sockets_start(client);
	if (error == 0)
		error = events_start(client);
	if (error < 0)
		goto fail;
	registrar_ask(client, options->lifetime_s);
	advance(client);
	return 0;
fail:
	client_stop(client);
	return error;
}

int client_run(struct client *client)
{
	return event_base_dispatch(client->base) < 0 ? -EIO : 0;
}

void client_stop(struct client *client)
{
	struct event *events[] = { client->tun_event, client->signal_event, client->timer,
		client->interrupt, client->terminate };

	if (client->commands != NULL)
		command_close(client->commands);
	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i] != NULL)
			event_free(events[i]);
	}
	for (unsigned int i = 0; i < CLIENT_MAX_CARE_OFS; i++) {
		if (client->paths[i].event != NULL)
			path_close(&client->paths[i]);
	}
	if (client->tun.fd >= 0)
		tun_close(&client->tun);
	if (client->signal_fd >= 0)
		close(client->signal_fd);
	security_close(client->security);
	if (client->auth != NULL)
		auth_free(client->auth);
	if (client->base != NULL)
		event_base_free(client->base);
}
