// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the modules of the control process share: one of each, made and ended by main.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "controlplane/auth.h"
#include "controlplane/bcache.h"
#include "controlplane/limiter.h"
#include "controlplane/link.h"
#include "controlplane/networks.h"
#include "controlplane/replicate.h"
#include "controlplane/stats.h"
#include "controlplane/store.h"
#include "controlplane/subscribers.h"
#include "controlplane/wheel.h"

struct chain;
struct event_base;
struct learn_link;
struct mgmt;
struct reload;
struct reserve;
struct sas;

// How far the dataplane has what the binding cache has.
enum control_sync {
	CONTROL_SYNC_NONE, // no dataplane
	CONTROL_SYNC_RUNNING, // being filled
	CONTROL_SYNC_DONE,
	CONTROL_SYNC_REFUSED, // its sweep guard stopped: resync --force or a look at the store
};

// Everything is owned here and used by the loop's thread only.
struct control {
	const char *config_path; // borrowed from the command line
	const char *run_dir, *state_dir; // borrowed
	struct config *config;
	struct event_base *base;
	struct networks networks;
	struct subscribers *subscribers;
	struct reserve *reserve;
	struct sas *sas;
	struct subscriber_secured *sas_secrets; // locked memory for those that are being sent
	struct store *store;
	struct bcache *bcache;
	uint32_t n_fetched; // records whose memory was fetched before the store was read
	struct wheel *wheel;
	struct auth *auth;
	struct link *link;
	struct replicate *replicate;
	struct learn_link *learn;
	struct chain *chain;
	struct mgmt *mgmt;
	struct reload *reload; // on its way, NULL = none
	struct limiter limiter;
	struct stats stats;
	uint16_t mpa_identifier; // of the last advertisement that nobody asked for
	uint64_t instance; // random, of this life of the process
	uint64_t started_ns; // CLOCK_MONOTONIC
	bool is_held_over; // no binding waits for what is to be learned any more (controlplane/held.h)
	struct {
		enum control_sync state;
		uint64_t id; // of the last SYNC_BEGIN
		bool is_forced; // the SYNC_END of it
		bool is_end_due; // SYNC_END is still to be sent
		uint32_t n_live, n_stale; // of the last SYNC_DONE
		uint32_t n_kept; // entries of the dataplane, beside ours, that take room there
		bool is_full; // a binding was refused for want of room, and none taken since
		uint64_t n_runs;
		uint64_t n_errors; // bindings that the dataplane refused since the last SYNC_BEGIN
		uint64_t refused_ns; // CLOCK_MONOTONIC of the last of them
	} sync;
	struct {
		bool is_due;
		uint32_t at; // handles up to here have been looked at
		uint32_t n_ended, n_served;
	} review;
	struct {
		bool is_running;
		uint32_t at; // handles up to here are in the new file
	} rebuild; // of the store
	struct api_hello peer; // of the dataplane, while the link is up
};

// Seconds that an ended binding's floors are kept: RFC 6275 section 10.3.2 asks for 10; with
// timestamps until no accepted one could pass again (twice the window of RFC 4285 section 6, and 1).
enum { CONTROL_HOLD_S = 10, CONTROL_HOLD_MESGID_S = 15 };

// The most bindings that may live: ours and what the dataplane said.
uint32_t control_max_bindings(const struct control *control);

// The hold of a binding of this home prefix, nanoseconds.
uint64_t control_hold_ns(const struct control *control, uint16_t home_prefix);

// Both clocks, now.
struct store_time control_time(void);
