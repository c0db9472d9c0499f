// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: what the dataplane sends to control, message by message (each behind two bytes of
// length). Before the hello nothing gets through; a punt handed on lies whole in its message; bulk
// records never exceed the window and what was given back.

#include "controlplane/link.h"
#include "dataplane/api/walk.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGES = 16 };

// What the handlers saw.
struct seen {
	struct link *link;
	bool is_up;
	uint64_t n_bulk, n_credit;
	unsigned int sum; // keeps the reads of packets
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_hello(void *ctx, struct api_hello *out)
{
	(void)ctx;
	(void)out;
}

static void on_up(void *ctx, const struct api_hello *peer)
{
	struct seen *seen = ctx;

	if (seen->is_up || peer->version != API_VERSION)
		abort();
	seen->is_up = true;
	link_bulk_ready(seen->link);
}

static void on_down(void *ctx)
{
	struct seen *seen = ctx;

	if (!seen->is_up)
		abort();
	seen->is_up = false;
}

static void on_punts(void *ctx, const struct api_punt *const punts[], unsigned int n)
{
	struct seen *seen = ctx;

	if (!seen->is_up || n == 0 || n > LINK_PUNT_BATCH)
		abort();
	for (unsigned int i = 0; i < n; i++)
		for (uint32_t at = 0; at < punts[i]->packet_len; at++)
			seen->sum += punts[i]->packet[at];
}

static void on_turn(void *ctx)
{
	(void)ctx;
}

static void on_record(void *ctx, const struct api_rec *rec)
{
	struct seen *seen = ctx;

	if (!seen->is_up || rec->len < api_min_len(rec->type))
		abort();
}

static unsigned int on_bulk(void *ctx, unsigned int n)
{
	struct seen *seen = ctx;

	for (unsigned int i = 0; i < n; i++)
		if (link_put(seen->link, API_BINDING_DEL, API_REC_BULK,
			    sizeof(struct api_binding_del)) == NULL)
			abort();
	seen->n_bulk += n;
	if (seen->n_bulk > API_BULK_WINDOW + seen->n_credit)
		abort();
	return n;
}

static void drain(int peer)
{
	static uint8_t msg[API_MSG_MAX];

	while (recv(peer, msg, sizeof(msg), MSG_DONTWAIT) > 0)
		;
}

// What all credits of a message give back.
static uint64_t credit_in(const void *msg, size_t len)
{
	struct api_walk walk = api_walk_start(msg, len);
	const struct api_rec *rec;
	uint64_t sum = 0;

	while ((rec = api_walk_next(&walk)) != NULL) {
		if (rec->type == API_CREDIT)
			sum += ((const struct api_credit *)(const void *)rec)->n;
	}
	return sum;
}

// Feeds one message at an aligned address of its exact length. Returns: false to stop.
static bool feed(struct seen *seen, int peer, const uint8_t *data, size_t len)
{
	uint8_t *msg = len > 0 ? malloc(len) : NULL;
	int error;

	if (msg == NULL)
		return true;
	memcpy(msg, data, len);
	seen->n_credit += credit_in(msg, len);
	error = link_input(seen->link, msg, len);
	if (error == 0)
		link_input_done(seen->link);
	link_flush(seen->link);
	drain(peer);
	free(msg);
	return error == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	struct seen seen = { 0 };
	struct link_handlers handlers = { .ctx = &seen,
		.hello = on_hello,
		.up = on_up,
		.down = on_down,
		.punts = on_punts,
		.turn = on_turn,
		.record = on_record,
		.bulk = on_bulk };
	int fds[2];

	if (base == NULL)
		base = event_base_new();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) != 0)
		abort();
	seen.link = link_new(base, "", &handlers);
	if (seen.link == NULL || link_attach(seen.link, fds[1]) != 0)
		abort();
	for (unsigned int i = 0; i < MESSAGES && size >= 2; i++) {
		size_t len = (size_t)data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (!feed(&seen, fds[0], data, len))
			break;
		data += len;
		size -= len;
	}
	link_free(seen.link);
	close(fds[0]);
	return 0;
}
