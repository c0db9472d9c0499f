// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/link.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/secret.h"
#include "dataplane/api/walk.h"
#include "dataplane/base/log.h"

enum {
	READ_MESSAGES = 16, // of one turn of the loop
	BULK_MESSAGES = 4, // of one turn of the loop
};

// One message of the FIFO. What has keys in it is in memory of its own kind (controlplane/secret.h).
struct message {
	struct message *next;
	uint32_t len;
	bool is_secret;
	uint8_t data[API_MSG_MAX] __attribute__((aligned(8)));
};

struct link {
	struct event_base *base; // borrowed
	struct link_handlers handlers;
	struct sockaddr_un address;
	enum link_state state;
	int fd; // -1 without
	struct event *on_read, *on_write, *on_retry;
	uint32_t backoff_ms;
	int last_error; // of connecting, logged when it changes

	struct message *head, *tail; // the FIFO; tail is still filled
	struct message *spare; // one message kept for the next use
	size_t backlog_bytes;
	bool has_bulk;
	bool is_pulling_bulk;
	uint32_t credit; // bulk records that may still be sent

	const struct api_punt *punts[LINK_PUNT_BATCH];
	unsigned int n_punts;
	uint32_t punt_credit; // punts done with that the dataplane does not know of yet
	struct link_stats stats;
	uint8_t in[READ_MESSAGES][API_MSG_MAX] __attribute__((aligned(8)));
};

static void lose(struct link *link);

static struct log_limit refusals = { .per_second = 5 };
#define log_refused(...) log_write_limited(&refusals, LOG_LEVEL_ERR, "link_refused " __VA_ARGS__)

enum link_state link_state(const struct link *link)
{
	return link->state;
}

const struct link_stats *link_stats(const struct link *link)
{
	return &link->stats;
}

static struct message *message_take(struct link *link, bool is_secret)
{
	struct message *m = is_secret ? secret_alloc(sizeof(*m)) : link->spare;

	if (is_secret && m != NULL)
		m->is_secret = true;
	if (is_secret)
		return m;
	if (m != NULL)
		link->spare = NULL;
	else
		m = malloc(sizeof(*m));
	if (m == NULL)
		return NULL;
	m->next = NULL;
	m->len = 0;
	m->is_secret = false;
	return m;
}

static void message_give(struct link *link, struct message *m)
{
	if (m->is_secret)
		secret_free(m, sizeof(*m));
	else if (link->spare == NULL)
		link->spare = m;
	else
		free(m);
}

static void *put(struct link *link, enum api_type type, uint16_t flags, uint32_t len)
{
	struct message *m = link->tail;
	bool is_secret = type == API_SA_SET;
	struct api_rec *rec;

	assert(len >= api_min_len((uint16_t)type) && len <= API_MSG_MAX && len % 8 == 0);
	if (m == NULL || API_MSG_MAX - m->len < len || m->is_secret != is_secret) {
		m = message_take(link, is_secret);
		if (m == NULL) {
			log_err("link_lost reason=out_of_memory");
			lose(link);
			return NULL;
		}
		if (link->tail != NULL)
			link->tail->next = m;
		else
			link->head = m;
		link->tail = m;
	}
	rec = (struct api_rec *)(void *)(m->data + m->len);
	memset(rec, 0, len);
	*rec = (struct api_rec){ .type = (uint16_t)type, .flags = flags, .len = len };
	m->len += len;
	link->backlog_bytes += len;
	return rec;
}

void *link_put(struct link *link, enum api_type type, uint16_t flags, uint32_t len)
{
	return link->state == LINK_UP ? put(link, type, flags, len) : NULL;
}

static void fifo_clear(struct link *link)
{
	while (link->head != NULL) {
		struct message *m = link->head;

		link->head = m->next;
		message_give(link, m);
	}
	link->tail = NULL;
	link->backlog_bytes = 0;
}

static void event_drop(struct event **event)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
}

static void close_socket(struct link *link)
{
	event_drop(&link->on_read);
	event_drop(&link->on_write);
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->state = LINK_DOWN;
	link->n_punts = 0;
	link->punt_credit = 0;
	fifo_clear(link);
}

static void retry_later(struct link *link)
{
	struct timeval wait = { .tv_sec = link->backoff_ms / 1000,
		.tv_usec = (link->backoff_ms % 1000) * 1000 };

	link->backoff_ms *= 2;
	if (link->backoff_ms > LINK_BACKOFF_MAX_MS)
		link->backoff_ms = LINK_BACKOFF_MAX_MS;
	if (link->address.sun_path[0] != '\0')
		event_add(link->on_retry, &wait);
}

// Closes the connection and tries again after the back-off.
static void lose(struct link *link)
{
	bool was_up = link->state == LINK_UP;

	if (link->fd < 0)
		return;
	close_socket(link);
	if (was_up) {
		log_warn("link_down");
		link->handlers.down(link->handlers.ctx);
	}
	retry_later(link);
}

// Sends the FIFO. Returns: true when it is empty, false when the socket is full or lost.
static bool send_fifo(struct link *link)
{
	while (link->head != NULL) {
		struct message *m = link->head;
		ssize_t n = send(link->fd, m->data, m->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
			link->stats.n_blocked++;
			return false;
		}
		if (n < 0) {
			log_debug("link_send_failed error=%s", strerror(errno));
			lose(link);
			return false;
		}
		link->stats.n_messages_out++;
		link->backlog_bytes -= m->len;
		link->head = m->next;
		if (link->head == NULL)
			link->tail = NULL;
		message_give(link, m);
	}
	return true;
}

// Fills one message with bulk records. Returns: false when there is nothing to send now.
static bool pull_bulk(struct link *link)
{
	uint32_t n = link->credit < LINK_BULK_RECORDS ? link->credit : LINK_BULK_RECORDS;
	unsigned int n_put;

	if (link->state != LINK_UP || !link->has_bulk || n == 0)
		return false;
	link->is_pulling_bulk = true;
	n_put = link->handlers.bulk(link->handlers.ctx, n);
	link->is_pulling_bulk = false;
	assert(n_put <= n);
	if (link->state != LINK_UP)
		return false;
	link->credit -= n_put;
	if (n_put < n)
		link->has_bulk = false;
	return link->head != NULL;
}

static bool has_output(const struct link *link)
{
	return link->head != NULL || (link->state == LINK_UP && link->has_bulk && link->credit > 0);
}

void link_flush(struct link *link)
{
	if (link->fd < 0 || link->is_pulling_bulk)
		return;
	for (unsigned int i = 0; send_fifo(link) && i < BULK_MESSAGES; i++)
		if (!pull_bulk(link))
			break;
	if (link->fd < 0)
		return;
	if (has_output(link))
		event_add(link->on_write, NULL);
	else
		event_del(link->on_write);
}

void link_bulk_ready(struct link *link)
{
	link->has_bulk = true;
	if (link->fd >= 0 && has_output(link))
		event_add(link->on_write, NULL);
}

static void writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	link_flush(arg);
}

static int input_hello(struct link *link, const struct api_rec *rec)
{
	const struct api_hello *hello = (const struct api_hello *)(const void *)rec;

	if (rec->type != API_HELLO || rec->len != sizeof(*hello)) {
		log_refused("reason=no_hello type=%u len=%u", rec->type, rec->len);
		return -EPROTO;
	}
	if (hello->version != API_VERSION) {
		log_refused("reason=version ours=%u dataplane=%u", API_VERSION, hello->version);
		return -EPROTO;
	}
	link->state = LINK_UP;
	link->backoff_ms = LINK_BACKOFF_MIN_MS;
	link->credit = API_BULK_WINDOW;
	link->stats.n_connects++;
	link->handlers.up(link->handlers.ctx, hello);
	return 0;
}

static int input_credit(struct link *link, const struct api_credit *credit)
{
	if (credit->n > API_BULK_WINDOW - link->credit) {
		log_refused("reason=credit_overrun given=%u outstanding=%u", credit->n,
			API_BULK_WINDOW - link->credit);
		return -EPROTO;
	}
	link->credit += credit->n;
	return 0;
}

static void input_punt(struct link *link, const struct api_punt *punt)
{
	link->stats.n_punts++;
	if (link->backlog_bytes > LINK_BACKLOG_BYTES) {
		link->stats.n_punts_dropped++;
		link->punt_credit++;
		return;
	}
	link->punts[link->n_punts++] = punt;
	if (link->n_punts == LINK_PUNT_BATCH)
		link_input_done(link);
}

static int input_record(struct link *link, const struct api_rec *rec)
{
	switch (rec->type) {
	case API_PUNT:
		input_punt(link, (const struct api_punt *)(const void *)rec);
		return 0;
	case API_CREDIT:
		return input_credit(link, (const struct api_credit *)(const void *)rec);
	case API_SYNC_DONE:
	case API_BINDING_ERR:
	case API_COUNTERS:
	case API_SA_ERR:
	case API_SA_EVENT:
		link->handlers.record(link->handlers.ctx, rec);
		return 0;
	default:
		log_refused("reason=record_type type=%u", rec->type);
		return -EPROTO;
	}
}

int link_input(struct link *link, const void *msg, size_t len)
{
	struct api_walk walk = api_walk_start(msg, len);
	const struct api_rec *rec;

	link->stats.n_messages_in++;
	while ((rec = api_walk_next(&walk)) != NULL) {
		int error = link->state == LINK_HELLO ? input_hello(link, rec)
						      : input_record(link, rec);

		if (error != 0)
			return error;
		if (link->state == LINK_DOWN) // lost while handling
			return 0;
	}
	if (walk.error != 0)
		log_refused("reason=malformed_record");
	return walk.error;
}

static void put_punt_credit(struct link *link)
{
	struct api_punt_credit *credit;

	if (link->punt_credit == 0)
		return;
	credit = link_put(link, API_PUNT_CREDIT, 0, sizeof(*credit));
	if (credit == NULL)
		return;
	credit->n = link->punt_credit;
	link->punt_credit = 0;
}

void link_input_done(struct link *link)
{
	unsigned int n = link->n_punts;

	link->n_punts = 0;
	link->punt_credit += n;
	if (n > 0)
		link->handlers.punts(link->handlers.ctx, link->punts, n);
	put_punt_credit(link);
	link->handlers.turn(link->handlers.ctx);
}

// Reads one message. Returns: its length, 0 when there is none now, -1 when the peer is gone or
// sent what no peer sends.
static ssize_t receive(struct link *link, uint8_t *buf)
{
	struct iovec iov = { .iov_base = buf, .iov_len = API_MSG_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = recvmsg(link->fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n > 0 && (msg.msg_flags & MSG_TRUNC) != 0) {
		link->stats.n_protocol_errors++;
		log_refused("reason=message_too_long");
		return -1;
	}
	return n > 0 ? n : -1;
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	bool is_lost = false;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < READ_MESSAGES && !is_lost && link->fd >= 0; i++) {
		ssize_t n = receive(link, link->in[i]);

		if (n == 0)
			break;
		if (n > 0 && link_input(link, link->in[i], (size_t)n) != 0) {
			link->stats.n_protocol_errors++;
			n = -1;
		}
		is_lost = n < 0;
	}
	if (is_lost) {
		lose(link);
		return;
	}
	link_input_done(link);
	link_flush(link);
}

int link_attach(struct link *link, int fd)
{
	struct api_hello *hello;

	close_socket(link);
	link->fd = fd;
	if (evutil_make_socket_nonblocking(fd) != 0 || evutil_make_socket_closeonexec(fd) != 0)
		return -errno;
	link->on_read = event_new(link->base, fd, EV_READ | EV_PERSIST, readable, link);
	link->on_write = event_new(link->base, fd, EV_WRITE | EV_PERSIST, writable, link);
	if (link->on_read == NULL || link->on_write == NULL) {
		close_socket(link);
		return -ENOMEM;
	}
	event_add(link->on_read, NULL);
	link->state = LINK_HELLO;
	hello = put(link, API_HELLO, 0, sizeof(*hello));
	if (hello == NULL)
		return -ENOMEM;
	hello->version = API_VERSION;
	link->handlers.hello(link->handlers.ctx, hello);
	link_flush(link);
	return 0;
}

static void try_connect(struct link *link)
{
	const void *address = &link->address;
	const struct sockaddr *to = address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;

	if (fd < 0 || connect(fd, to, sizeof(link->address)) != 0)
		error = errno;
	if (error == 0) {
		link->last_error = 0;
		if (link_attach(link, fd) == 0)
			return;
	} else {
		if (error != link->last_error)
			log_info("link_waiting path=%s reason=\"%s\"", link->address.sun_path,
				strerror(error));
		link->last_error = error;
		if (fd >= 0)
			close(fd);
	}
	retry_later(link);
}

static void retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	try_connect(arg);
}

struct link *link_new(
	struct event_base *base, const char *path, const struct link_handlers *handlers)
{
	struct link *link;

	if (strlen(path) >= sizeof(link->address.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	link = calloc(1, sizeof(*link));
	if (link == NULL)
		return NULL;
	link->base = base;
	link->handlers = *handlers;
	link->fd = -1;
	link->backoff_ms = LINK_BACKOFF_MIN_MS;
	link->address.sun_family = AF_UNIX;
	memcpy(link->address.sun_path, path, strlen(path) + 1);
	link->on_retry = evtimer_new(base, retry, link);
	if (link->on_retry == NULL) {
		free(link);
		errno = ENOMEM;
		return NULL;
	}
	return link;
}

void link_free(struct link *link)
{
	if (link == NULL)
		return;
	close_socket(link);
	event_free(link->on_retry);
	free(link->spare);
	free(link);
}

void link_start(struct link *link)
{
	try_connect(link);
}
