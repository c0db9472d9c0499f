// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The security associations of all mobiles: one slot for each mobile's home address at its home agent
// address, with what is known of its associations but for the keys, which stay in the index of the
// subscribers or in the table of what was learned, whose associations count in the place of those. The
// dataplane's SA_* records (dataplane/api/records.h) say the same of them.
//
// A slot stays with its mobile over restarts (controlplane/reserve.h), and is of the first home network
// with authentication ipsec that has the home address, at any of that network's agent addresses: the file's
// are at the first one unless it says another.
//
// Thread: the loop's only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "controlplane/association.h"
#include "controlplane/control.h"
#include "controlplane/hindex.h"
#include "controlplane/reserve.h"

enum { SAS_LOW_MAX = 256 };

enum sas_state {
	SAS_WAITING, // to be sent to the dataplane
	SAS_STANDING, // sent
	SAS_REFUSED, // by the dataplane
	SAS_EXPIRED, // its lifetime or its numbers are over: new keys are needed
	SAS_LOST, // outbound: nobody knows which numbers it used: new keys are needed
	SAS_STATE_MAX,
};

// One association. next and limit are those of the last SA_SET or SA_GRANT.
struct sas_entry {
	struct association_mark mark;
	uint64_t settings; // digest of what the mark does not cover
	uint64_t since_s; // CLOCK_REALTIME of its first import
	uint64_t lifetime_s; // 0 = no limit
	uint64_t next, limit; // outbound: the first number granted, and the first that is not
	uint64_t grant; // how many were granted last
	uint64_t granted_ns; // CLOCK_MONOTONIC
	int error; // of SAS_REFUSED, negative errno
	uint32_t spi;
	uint8_t use; // enum api_sa_use
	uint8_t direction; // enum api_sa_direction
	uint8_t state; // enum sas_state
	uint8_t flags; // RESERVE_*
	bool has_esn, has_counter;
	bool is_queued, is_low, is_warned;
	bool is_ready; // queued: its numbers are on the disk
};

struct sas_slot {
	struct reserve_home home; // n 0: the slot is free
	uint32_t line,
		ref; // of the subscriber, in the file and in its index; 0: it has none for this home
	bool is_learned; // of unwired-xfrm (controlplane/learn.h), in the place of the subscriber's
	uint8_t protect; // of the network and the mobile together
	uint8_t n;
	struct sas_entry *list; // owned
	// Of mobile prefix discovery (controlplane/discovery.h); times are CLOCK_MONOTONIC, 0 = none.
	uint64_t prefixes; // digest of what is advertised
	uint64_t told_ns; // of the last advertisement
	uint64_t tell_ns; // when the next one is due
	uint8_t n_told; // transmissions of the one in hand
	bool is_untold; // the mobile has not acknowledged it
	bool is_changed; // and is to be told so
};

// Names an association that the dataplane is to forget.
struct sas_gone {
	uint32_t slot, spi;
	uint8_t use, direction;
	struct ip6 agent;
};

struct sas {
	uint32_t max; // slots are below it; 0 = none
	uint32_t n_slots; // in use
	uint32_t top; // slots in use are below it
	uint32_t n_entries;
	// Mobiles with no network with authentication ipsec, of the subscribers and of those learned, where
	// there may be no room, too.
	uint32_t n_unplaced, n_learned_unplaced;
	uint32_t n_learned; // slots
	struct sas_slot *slots; // owned
	struct hindex index; // slots by home
	struct hindex marks; // outbound entries with a counter by their mark: SAS_REF
	uint32_t free_at; // slots below it are in use
	uint32_t fresh_at; // slots below it are in use or remembered
	uint64_t *remembered; // owned: bits of the slots that the reserve has somebody for
	uint32_t look_at; // slot that discovery_tick looked at last
	uint64_t ends_ns; // CLOCK_BOOTTIME: the next end of a lifetime, or warning of one
	// What is to be sent: first the gone ones, then the queue.
	struct sas_gone *gone; // owned
	uint32_t n_gone, gone_at, room_gone;
	uint32_t *
		queue; // owned, room for n_entries and more; SAS_REF of each, or of what stood there
	uint32_t n_queue, queue_at, room_queue,
		ready_at; // before ready_at the numbers are on the disk
	uint32_t low[SAS_LOW_MAX]; // SAS_REF of those that want more numbers
	uint32_t n_low;
};

// A reference to entry i of a slot.
#define SAS_REF(slot, i) ((uint32_t)(slot) << 4 | (uint32_t)(i))
static_assert(ASSOCIATION_MAX <= 16, "an index fits in a reference");

// Makes the table that the subscribers (those prepared, if any are), what was learned, networks and max_sas
// ask for, beside
// the one in force; new slots and associations are on the disk then. What is wrong goes to err.
// Returns: an owned table, or NULL with errno EINVAL (more mobiles than slots) or that of a call.
struct sas *sas_plan(
	struct control *control, const struct networks *networks, uint32_t max_sas, FILE *err);

// Puts a planned table in force, in place of control->sas, and sends what is new or gone. Cannot fail.
// Call it when the subscribers, networks and configuration that it was made of are in force.
void sas_take(struct control *control, struct sas *next);

// Puts what changed in what was learned of a home address at an agent address in force, in the table that
// is. A group of the reserve is open. Returns: 0, or negative errno with nothing changed.
int sas_change(struct control *control, const struct ip6 *home, const struct ip6 *agent);

// Notes how many of those learned have no place, and warns when there are more than before.
void sas_tell_unplaced(struct sas *sas, uint32_t now);

// Makes room in what is to be sent: for all entries and n_queue more, and for n_gone more that are gone.
// Returns: 0 or -ENOMEM.
int sas_make_room(struct sas *sas, uint32_t n_queue, uint32_t n_gone);

void sas_free(struct sas *sas);

// Looks whether the index of subscribers, as the last life left it, was reckoned with another reserve than
// this one. Then nothing in it with a counter may send again: it is not known which numbers it used. Before
// subscribers_open. Returns: 0 or negative errno.
int sas_recover(const char *state_dir, struct reserve *reserve);

// The slot of a mobile's home address, or 0. sas may be NULL.
uint32_t sas_find(
	const struct sas *sas, const struct ip6 *home, uint32_t domain, const struct ip6 *agent);

// The slot of this number, borrowed, or NULL when it is free or there is none.
const struct sas_slot *sas_at(const struct sas *sas, uint32_t slot);

// The hash of the index.
uint64_t sas_hash(const struct reserve_home *home);

// Counts the associations by state.
void sas_count(const struct sas *sas, uint32_t n[static SAS_STATE_MAX]);

const char *sas_state_name(uint8_t state);
