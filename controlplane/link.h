// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The control process' end of the socket to the dataplane (dataplane/api/records.h): connects and
// reconnects, exchanges hellos, sends in order without ever blocking, keeps bulk records inside the
// credit window, and gives credit for punts when their handler is done with them.
//
// There is one FIFO of messages. What belongs to a group of answers is put into it and flushed;
// bulk records are pulled from the owner only while the FIFO is empty, a message at a time, so they
// are never copies that a newer state could overtake, and never stand long before an answer.
// Thread: the loop's only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/api/records.h"

struct event_base;
struct link;

enum {
	LINK_PUNT_BATCH = 1024, // most punts in one call of the handler
	LINK_BACKLOG_BYTES = 1 << 20, // unsent output above this: punts are dropped and counted
	LINK_BULK_RECORDS = 256, // of one message
	LINK_BACKOFF_MIN_MS = 50,
	LINK_BACKOFF_MAX_MS = 1000,
};

enum link_state { LINK_DOWN, LINK_HELLO, LINK_UP };

// What the owner does with the link's news. Records are borrowed until the handler returns.
struct link_handlers {
	void *ctx; // borrowed as long as the link lives
	void (*hello)(void *ctx, struct api_hello *out); // fills ours: capacity, store, counts
	void (*up)(void *ctx, const struct api_hello *peer); // hellos agree: time to fill
	void (*down)(void *ctx); // an up link was lost
	void (*punts)(void *ctx, const struct api_punt *const punts[], unsigned int n);
	// SYNC_DONE, BINDING_ERR, COUNTERS, SA_ERR, SA_EVENT
	void (*record)(void *ctx, const struct api_rec *rec);
	void (*turn)(void *ctx); // what was read has been handed over
	// Puts at most n bulk records with link_put; returns how many it put; fewer than n means that
	// there is nothing more to send until link_bulk_ready.
	unsigned int (*bulk)(void *ctx, unsigned int n);
};

struct link_stats {
	uint64_t n_connects, n_protocol_errors, n_punts, n_punts_dropped;
	uint64_t n_messages_in, n_messages_out, n_blocked; // blocked: sends that met a full socket
};

// Makes a link that connects to the socket at path.
// Returns: an owned link, or NULL with errno.
struct link *link_new(
	struct event_base *base, const char *path, const struct link_handlers *handlers);

// Closes and frees; the handlers are not called. NULL is fine.
void link_free(struct link *link);

// Starts to connect, and goes on trying until it works, now and after every loss.
void link_start(struct link *link);

// Takes over a connected SEQPACKET socket in place of connecting. fd: moved.
// Returns: 0 or negative errno.
int link_attach(struct link *link, int fd);

// Room for a record of len bytes (a multiple of 8, at most API_MSG_MAX) at the end of the FIFO,
// zeroed but for its head. Borrowed until the next call into the link.
// Returns: the record, or NULL when the link is not up or memory is short (then it closes).
void *link_put(struct link *link, enum api_type type, uint16_t flags, uint32_t len);

// Sends what stands in the FIFO as far as the socket takes it; the rest follows by itself.
void link_flush(struct link *link);

// Says that the bulk handler has something to send.
void link_bulk_ready(struct link *link);

enum link_state link_state(const struct link *link);
const struct link_stats *link_stats(const struct link *link);

// Handles one received message: 8-byte aligned, borrowed. For the link itself and its tests.
// Returns: 0, or -EPROTO when the connection must be closed.
int link_input(struct link *link, const void *msg, size_t len);

// Hands the punts that link_input collected to the handler. Call before the messages go away.
void link_input_done(struct link *link);
