// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The connection of control, of which there is one at a time: the listener, whole messages in and their
// records one by one, records out through a buffer that messages are cut from. Never blocks.
//
// Thread: main lcore.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/api/records.h"

// Listens on RUN_DIR/dataplane.sock, open to root and the run-time user. As root. lost is told whenever a
// connection has ended. Returns: 0 or negative errno with the reason logged.
int link_conn_init(const char *run_dir, void (*lost)(void));
// Ends the connection, too, and tells nobody.
void link_conn_free(void);

// Takes a connection in. Returns: true when there is a new one.
bool link_conn_accept(void);

// Descriptors to watch: the listener, and the connection or -1. is_blocked: wait for writing, too.
int link_conn_listen_fd(void);
int link_conn_fd(void);
bool link_conn_is_blocked(void);

// Reads a message unless one is in hand. Returns: false when none waits, or the connection has ended.
bool link_conn_receive(void);
// The record of the message in hand that is next, until it is done. Returns: borrowed; NULL at the end of
// the message, or when it was malformed: then the connection has ended.
const struct api_rec *link_conn_next(void);
void link_conn_done(void);

// Room for a record of len bytes towards control, zeroes but for its head, to be filled before the next
// call. Returns: borrowed, or NULL when nobody is connected or it does not fit.
void *link_conn_record(enum api_type type, uint32_t len);
// Bytes that control has not taken yet.
size_t link_conn_backlog(void);
// Sends what it takes now.
void link_conn_flush(void);

// Ends the connection; refuse: since control broke the protocol, which is counted.
void link_conn_close(const char *reason);
void link_conn_refuse(const char *reason);
