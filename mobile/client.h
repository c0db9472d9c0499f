// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The mobile node: its Binding Update List, the TUN device with the home addresses and the sockets of
// its care-of addresses, driven by one event loop.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mobile/bul.h"
#include "mobile/care_of.h"
#include "mobile/options.h"
#include "mobile/security.h"
#include "mobile/tun.h"

struct event;
struct event_base;
struct command_server;

enum { CLIENT_MAX_CARE_OFS = 8 }; // kept open; the one left longest ago makes room

// A care-of address with its event.
struct client_path {
	struct care_of care_of;
	struct event *event;
	struct event *esp_event; // NULL without security associations
	struct client *client;
};

// Why packets did not go through, and signalling that was not taken.
struct client_drops {
	uint64_t up_unbound; // sent by the host without a binding
	uint64_t up_source; // from an address that is no home address
	uint64_t down_source; // tunnelled by someone else than the home agent
	uint64_t down_destination; // to an address that is no home address
	uint64_t down_malformed;
	uint64_t down_left; // to a care-of address that was left too long ago
	uint64_t down_ecn; // RFC 6040
	uint64_t up_unprotected; // no security association to send it under
	uint64_t down_unprotected; // not under one, and should be
	uint64_t down_esp; // check value, replay, or not for its association's use
	uint64_t signal_malformed;
	uint64_t signal_ignored;
};

struct client {
	const struct options *options; // borrowed
	struct auth *auth; // owned
	struct security *security; // owned, NULL without
	uint16_t solicitation; // identifier of the last one
	bool is_soliciting; // it waits for its answer
	struct event_base *base; // owned
	struct tun tun;
	struct event *tun_event;
	bool is_holding; // the TUN is not read while a move waits for its acknowledgement
	int signal_fd;
	struct event *signal_event;
	struct event *timer;
	struct event *interrupt, *terminate;
	struct command_server *commands;
	unsigned int n_buls;
	struct bul buls[OPTIONS_MAX_HOMES];
	struct bul_rate rate;
	struct client_path paths[CLIENT_MAX_CARE_OFS];
	struct client_path *here; // where the mobile is now
	int64_t clock_offset_s; // of the home agent's clock, RFC 4285 section 6
	uint64_t last_mesg_id;
	struct client_drops drops;
};

// Opens everything and registers; client_run then serves until a signal or the quit command.
// Returns: 0, or negative errno with the reason logged and everything undone.
int client_start(struct client *client, const struct options *options);
int client_run(struct client *client);
void client_stop(struct client *client);
