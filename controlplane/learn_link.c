// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/learn_link.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/held.h"
#include "controlplane/learned.h"
#include "controlplane/sas.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

enum {
	RECORDS_IN_A_TURN = 64,
	SETTLE_MS = 50, // records come in groups
	LOOP_PART = 10, // of the loop's time, at most, goes into plans of the whole
	CHANGES_IN_A_TURN = 256,
};

#define RETRY_NS (CLOCK_NS_PER_S / 100) // times LOOP_PART, at least

struct learn_link {
	struct control *control; // borrowed
	struct learn learn;
	struct sockaddr_un address;
	int listener, sender; // -1 = none
	struct event *on_connection, *on_record, *on_settled; // owned
	uint64_t took_ns; // by the last attempt to look at the whole, when it has to be repeated
};

static void close_sender(struct learn_link *link)
{
	if (link->on_record != NULL)
		event_free(link->on_record);
	if (link->sender >= 0)
		close(link->sender);
	link->on_record = NULL;
	link->sender = -1;
}

static bool has_changes(const struct learn_link *link)
{
	return link->learn.n_changed > 0 || link->learn.is_all_changed;
}

static void await(struct learn_link *link)
{
	uint64_t wait_ns = SETTLE_MS * (CLOCK_NS_PER_S / 1000);
	struct timeval wait;

	if (evtimer_pending(link->on_settled, NULL))
		return;
	if (link->took_ns * LOOP_PART > wait_ns)
		wait_ns = link->took_ns * LOOP_PART;
	wait = (struct timeval){ .tv_sec = (time_t)(wait_ns / CLOCK_NS_PER_S),
		.tv_usec = (suseconds_t)(wait_ns % CLOCK_NS_PER_S / 1000) };
	evtimer_add(link->on_settled, &wait);
}

// Makes the whole table anew. Returns: false when it stays as it is, said.
static bool plan(struct control *control)
{
	char *why = NULL;
	size_t why_len;
	FILE *err = open_memstream(&why, &why_len);
	struct sas *sas = NULL;

	if (err != NULL) {
		sas = sas_plan(
			control, &control->networks, control->config->dataplane.max_sas, err);
		fclose(err);
	}
	if (sas != NULL)
		sas_take(control, sas);
	else
		log_err("learned_not_in_force reason=\"%.*s\"",
			why != NULL ? (int)strcspn(why, "\n") : 0, why != NULL ? why : "");
	free(why);
	return sas != NULL;
}

// Puts the next changes in force, one by one. Returns: 0, or negative errno when the whole has to be looked
// at: something failed, or somebody without a place can have one now.
static int change_some(struct learn_link *link)
{
	struct control *control = link->control;
	struct learn_key keys[CHANGES_IN_A_TURN];
	uint32_t n_slots = control->sas->n_slots, n_before = control->sas->n_learned_unplaced;
	size_t n = learn_take_changed(&link->learn, keys, CHANGES_IN_A_TURN);
	int error = reserve_begin(control->reserve);

	if (error != 0)
		return error;
	for (size_t i = 0; i < n && error == 0; i++)
		error = sas_change(control, &keys[i].home, &keys[i].agent);
	if (error != 0)
		reserve_abort(control->reserve);
	else
		error = reserve_commit(control->reserve);
	sas_tell_unplaced(control->sas, link->learn.n - control->sas->n_learned);
	if (error == 0 && n_before > 0 && control->sas->n_slots < n_slots)
		error = -EAGAIN;
	return error;
}

// Everything that was told is in force. What is told from now on is new.
static void all_told(struct control *control)
{
	held_end(control);
	if (reserve_is_in_doubt(control->reserve))
		reserve_end_doubt(control->reserve); // the next time tries again
}

static void settled(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0 };
	struct learn_link *link = arg;
	uint64_t began_ns = clock_mono_ns();

	(void)fd;
	(void)what;
	link->took_ns = 0;
	if (!link->learn.is_all_changed && change_some(link) != 0)
		link->learn.is_all_changed = true;
	else if (link->learn.is_all_changed && plan(link->control))
		learn_drop_changed(&link->learn);
	if (link->learn.is_all_changed) {
		link->took_ns = clock_mono_ns() - began_ns + RETRY_NS;
		await(link);
	}
	if (!link->learn.is_all_changed && has_changes(link))
		evtimer_add(link->on_settled, &soon);
	else if (!link->learn.is_all_changed && link->learn.is_whole)
		all_told(link->control);
	link_bulk_ready(link->control->link);
}

// Reads one record. Returns: false when there is none.
static bool read_record(struct learn_link *link)
{
	static struct log_limit limit = { .per_second = 5 };
	char reason[ASSOCIATION_REASON_LEN];
	uint8_t message[LEARNED_MAX + 1];
	ssize_t n = recv(link->sender, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);
	int error;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		log_info("ike_mirror_gone mobiles=%u", link->learn.n);
		close_sender(link);
		return false;
	}
	link->learn.max = link->control->config->dataplane.max_sas; // a reload may change it
	error = learn_record(&link->learn, message,
		(size_t)n < sizeof(message) ? (size_t)n : sizeof(message), reason);
	explicit_bzero(message, sizeof(message));
	if (error != 0)
		log_write_limited(&limit, LOG_LEVEL_WARN, "learned_refused reason=\"%s\"", reason);
	return true;
}

static void on_record(evutil_socket_t fd, short what, void *arg)
{
	struct learn_link *link = arg;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < RECORDS_IN_A_TURN; i++)
		if (!read_record(link))
			break;
	if (has_changes(link))
		await(link);
	else if (link->learn.is_whole)
		all_told(link->control);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct learn_link *link = arg;
	int sender = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (sender < 0)
		return;
	if (link->sender >= 0) {
		log_warn("ike_mirror_refused reason=\"there is one already\"");
		close(sender);
		return;
	}
	link->sender = sender;
	link->on_record =
		event_new(link->control->base, sender, EV_READ | EV_PERSIST, on_record, link);
	if (link->on_record == NULL || event_add(link->on_record, NULL) != 0) {
		close_sender(link);
		return;
	}
	log_info("ike_mirror_connected");
}

static int listen_at(struct learn_link *link)
{
	const void *address = &link->address;
	mode_t mask;
	int error;

	link->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->listener < 0)
		return -errno;
	unlink(link->address.sun_path);
	mask = umask(0177);
	error = bind(link->listener, address, sizeof(link->address)) == 0 ? 0 : -errno;
	umask(mask);
	if (error == 0 && listen(link->listener, 1) != 0)
		error = -errno;
	return error;
}

static int add_events(struct learn_link *link)
{
	struct event_base *base = link->control->base;

	link->on_settled = evtimer_new(base, settled, link);
	link->on_connection =
		event_new(base, link->listener, EV_READ | EV_PERSIST, on_connection, link);
	if (link->on_settled == NULL || link->on_connection == NULL)
		return -ENOMEM;
	return event_add(link->on_connection, NULL) == 0 ? 0 : -ENOMEM;
}

struct learn_link *learn_link_new(struct control *control)
{
	struct learn_link *link = calloc(1, sizeof(*link));
	int error, n;

	if (link == NULL)
		return NULL;
	link->control = control;
	link->listener = link->sender = -1;
	link->address.sun_family = AF_UNIX;
	learn_init(&link->learn, control->config->dataplane.max_sas);
	n = snprintf(link->address.sun_path, sizeof(link->address.sun_path),
		"%s/" LEARNED_SOCKET_NAME, control->run_dir);
	error = n < 0 || (size_t)n >= sizeof(link->address.sun_path) ? -ENAMETOOLONG
								     : listen_at(link);
	if (error == 0)
		error = add_events(link);
	if (error == 0)
		return link;
	learn_link_free(link);
	errno = -error;
	return NULL;
}

void learn_link_free(struct learn_link *link)
{
	if (link == NULL)
		return;
	close_sender(link);
	if (link->on_connection != NULL)
		event_free(link->on_connection);
	if (link->on_settled != NULL)
		event_free(link->on_settled);
	if (link->listener >= 0) {
		close(link->listener);
		unlink(link->address.sun_path);
	}
	learn_fini(&link->learn);
	free(link);
}

const struct learn *learn_link_table(const struct learn_link *link)
{
	return link != NULL ? &link->learn : NULL;
}

bool learn_link_is_up(const struct learn_link *link)
{
	return link != NULL && link->sender >= 0;
}
