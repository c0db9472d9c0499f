// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/api/walk.h"
#include "dataplane/base/clock.h"
#include "perf/load_way.h"

enum { PUNTS_OF_MESSAGE = 64, ACCEPT_WAIT_S = 120 };

struct dataplane {
	struct load_way way; // first
	char path[108];
	int listener, fd; // -1 without
	unsigned int n_out; // punts that control has not given credit for
	unsigned int n_in_message;
	size_t len; // of the message in the making
	uint32_t max_bindings;
	bool is_filled;
	uint64_t begin_ns;
	struct load_filling filling;
	uint8_t out[API_MSG_MAX] __attribute__((aligned(8)));
	uint8_t in[API_MSG_MAX] __attribute__((aligned(8)));
};

static struct dataplane *of(struct load_way *way)
{
	return (struct dataplane *)(void *)way;
}

static int send_all(struct dataplane *d, const void *msg, size_t len)
{
	struct pollfd fd = { .fd = d->fd, .events = POLLOUT };

	while (send(d->fd, msg, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		poll(&fd, 1, 1);
	}
	return 0;
}

static int say_done(struct dataplane *d, const struct api_sync_end *end)
{
	struct api_sync_done done = { .rec = { .type = API_SYNC_DONE, .len = sizeof(done) },
		.sync_id = end->sync_id,
		.n_live = d->filling.n_bindings };

	d->is_filled = true;
	d->filling.took_ns = clock_mono_ns() - d->begin_ns;
	return send_all(d, &done, sizeof(done));
}

// Of the associations only whose slot it is matters: nothing is opened or sealed here.
static void note_secured(struct dataplane *d, const struct api_sa_set *set)
{
	if (set->use == API_SA_SIGNALLING && set->direction == API_SA_IN)
		d->way.owner->secured(d->way.owner->ctx, &set->home, set->slot);
}

// Takes one message. Returns: 0 or negative errno.
static int take(struct dataplane *d, size_t len)
{
	struct api_credit credit = { .rec = { .type = API_CREDIT, .len = sizeof(credit) } };
	struct api_walk walk = api_walk_start(d->in, len);
	const struct api_rec *rec;
	int error = 0;

	while (error == 0 && (rec = api_walk_next(&walk)) != NULL) {
		const struct api_packet_out *out = (const void *)rec;

		credit.n += (rec->flags & API_REC_BULK) != 0;
		switch (rec->type) {
		case API_PUNT_CREDIT:
			d->way.n_done += ((const struct api_punt_credit *)(const void *)rec)->n;
			d->n_out -= ((const struct api_punt_credit *)(const void *)rec)->n;
			break;
		case API_PACKET_OUT:
			d->way.owner->answer(d->way.owner->ctx, out->packet, out->packet_len);
			break;
		case API_SA_SET:
			note_secured(d, (const void *)rec);
			break;
		case API_BINDING_SET:
			d->filling.n_bindings += !d->is_filled;
			break;
		case API_SYNC_BEGIN:
			d->filling = (struct load_filling){ 0 };
			d->is_filled = false;
			break;
		case API_SYNC_END:
			error = say_done(d, (const void *)rec);
			break;
		default:
			break;
		}
	}
	if (error == 0 && credit.n > 0)
		error = send_all(d, &credit, sizeof(credit));
	return error != 0 ? error : walk.error;
}

static int receive(struct dataplane *d, unsigned int wait_us)
{
	struct timespec wait = { .tv_nsec = 1000L * wait_us };
	struct pollfd fd = { .fd = d->fd, .events = POLLIN };
	ssize_t n = 1;
	int error = 0;

	if (wait_us > 0)
		ppoll(&fd, 1, &wait, NULL);
	while (error == 0) {
		n = recv(d->fd, d->in, sizeof(d->in), MSG_DONTWAIT);
		if (n <= 0)
			break;
		error = take(d, (size_t)n);
	}
	if (error == 0 && n == 0)
		error = -EPIPE;
	if (error == 0 && n < 0 && errno != EAGAIN && errno != EINTR)
		error = -errno;
	return error;
}

static unsigned int room(struct load_way *way)
{
	return API_PUNT_WINDOW - of(way)->n_out;
}

static int send_message(struct dataplane *d)
{
	int error = d->len > 0 ? send_all(d, d->out, d->len) : 0;

	d->len = 0;
	d->n_in_message = 0;
	return error;
}

static void put(struct load_way *way, const uint8_t *packet, size_t len, uint32_t sa_slot)
{
	struct dataplane *d = of(way);
	struct api_punt *punt = (void *)(d->out + d->len);
	uint32_t rec_len = api_rec_len(sizeof(*punt), len);

	memset(punt, 0, sizeof(*punt));
	punt->rec = (struct api_rec){ .type = API_PUNT, .len = rec_len };
	punt->lane = API_PUNT_MH;
	punt->packet_len = (uint32_t)len;
	punt->sa_slot = sa_slot;
	punt->sa_use = sa_slot != 0 ? API_SA_SIGNALLING : 0;
	memcpy(&punt->outer_src, packet + 8, 2 * sizeof(punt->outer_src));
	memcpy(punt->packet, packet, len);
	d->len += rec_len;
	d->n_out++;
	if (++d->n_in_message == PUNTS_OF_MESSAGE)
		send_message(d);
}

static int turn(struct load_way *way, unsigned int wait_us)
{
	struct dataplane *d = of(way);
	int error = send_message(d);

	return error != 0 ? error : receive(d, wait_us);
}

static void close_all(struct load_way *way)
{
	struct dataplane *d = of(way);

	if (d->fd >= 0)
		close(d->fd);
	if (d->listener >= 0) {
		close(d->listener);
		unlink(d->path);
	}
	free(d);
}

static int listen_at(struct dataplane *d)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const void *to = &address;
	int size = 4 << 20;

	memcpy(address.sun_path, d->path, sizeof(d->path));
	unlink(d->path);
	d->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (d->listener < 0 || bind(d->listener, to, sizeof(address)) != 0 ||
		chmod(d->path, 0777) != 0 || listen(d->listener, 1) != 0)
		return -errno;
	setsockopt(d->listener, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return 0;
}

// Waits for control, says hello and takes the filling in.
static int accept_control(struct dataplane *d)
{
	struct api_hello hello = { .rec = { .type = API_HELLO, .len = sizeof(hello) },
		.version = API_VERSION,
		.max_bindings = d->max_bindings,
		.instance = 1 };
	struct pollfd fd = { .fd = d->listener, .events = POLLIN };
	int size = 4 << 20;
	int error;

	if (poll(&fd, 1, ACCEPT_WAIT_S * 1000) != 1)
		return -ETIMEDOUT;
	d->fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	setsockopt(d->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	d->begin_ns = clock_mono_ns();
	error = send_all(d, &hello, sizeof(hello));
	while (error == 0 && !d->is_filled)
		error = receive(d, 100000);
	return error;
}

struct load_way *load_dataplane_open(
	const char *run_dir, uint32_t max_bindings, const struct load_owner *owner)
{
	struct dataplane *d = calloc(1, sizeof(*d));
	int error;

	if (d == NULL)
		return NULL;
	d->way = (struct load_way){
		.owner = owner, .room = room, .put = put, .turn = turn, .close = close_all
	};
	d->fd = d->listener = -1;
	d->max_bindings = max_bindings;
	if (snprintf(d->path, sizeof(d->path), "%s/" API_SOCKET_NAME, run_dir) >=
		(int)sizeof(d->path))
		error = -ENAMETOOLONG;
	else
		error = listen_at(d);
	if (error == 0)
		error = accept_control(d);
	if (error != 0) {
		close_all(&d->way);
		errno = -error;
		return NULL;
	}
	return &d->way;
}

struct load_filling load_dataplane_filling(const struct load_way *way)
{
	return ((const struct dataplane *)(const void *)way)->filling;
}
