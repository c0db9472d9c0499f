// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The Binding Update List of a mobile node: what was asked of the home agent for one home address,
// what it granted, and when to speak next. Pure: time comes in as a parameter, nothing is sent here.
// RFC 6275 sections 11.1, 11.7 and 11.8.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

enum {
	BUL_N_SENT = 8, // transmissions of one exchange that an acknowledgement may still match
	BUL_MAX_UPDATE_RATE = 3, // Binding Updates in a second, RFC 6275 section 12
};

#define BUL_NEVER_NS UINT64_MAX

// One transmission of a Binding Update.
struct bul_sent {
	uint16_t sequence;
	uint64_t mesg_id; // RFC 4285 section 6 timestamp, 0 without
	uint64_t at_ns;
};

// The entry of one home address. All times are of the monotonic clock.
struct bul {
	struct ip6 home;
	uint16_t sequence; // last one used

	// What the home agent acknowledged last.
	bool is_bound;
	struct ip6 bound_care_of;
	uint32_t lifetime_s; // granted
	uint64_t bound_until_ns;

	// The exchange under way, if any.
	bool is_outstanding;
	bool is_refused; // by the last answer; nothing is sent until bul_ask
	struct ip6 care_of; // asked for
	uint32_t asked_lifetime_s; // 0: de-registration
	uint64_t started_ns; // first transmission
	uint64_t timeout_ns; // of the next transmission
	uint32_t n_sent;
	struct bul_sent sent[BUL_N_SENT]; // slot n_sent % BUL_N_SENT is written next

	uint64_t next_ns; // when to send next, BUL_NEVER_NS = not at all
	uint32_t refresh_lifetime_s; // lifetime that refreshes ask for

	uint64_t n_acknowledged, n_retransmitted, n_refused;
	uint64_t rtt_ns; // first transmission to acknowledgement, of the last exchange
};

// A Binding Acknowledgement as it matters here.
struct bul_answer {
	uint16_t sequence;
	uint8_t status;
	uint32_t lifetime_s;
	uint32_t refresh_s; // Binding Refresh Advice, 0 without
	bool has_mesg_id;
	uint64_t mesg_id;
};

enum bul_verdict {
	BUL_IGNORED_NO_EXCHANGE, // nothing was asked
	BUL_IGNORED_SEQUENCE, // matches no outstanding Binding Update
	BUL_IGNORED_MESG_ID, // not the timestamp that was sent, RFC 4285 section 6
	BUL_BOUND,
	BUL_DEREGISTERED,
	BUL_SEQUENCE_CORRECTED, // status 135: sent again at once with the next number
	BUL_CLOCK_CORRECTED, // status 144: sent again at once; the caller sets its clock offset
	BUL_RETRY, // refused for now: retransmitted later
	BUL_REFUSED, // refused for good
};

// Starts the entry of a home address; first_sequence may be any number.
void bul_init(struct bul *bul, const struct ip6 *home, uint16_t first_sequence);

// Asks for a binding to care_of (a registration, a move), or with lifetime_s 0 for its end. Replaces
// an exchange under way; the first transmission is due at now_ns.
void bul_ask(struct bul *bul, const struct ip6 *care_of, uint32_t lifetime_s, uint64_t now_ns);

// Refreshes a binding now (a Binding Refresh Request came). RFC 6275 section 11.7.4.
void bul_refresh(struct bul *bul, uint64_t now_ns);

// When there is something to do (bul_expire, bul_send), or BUL_NEVER_NS.
uint64_t bul_due_ns(const struct bul *bul);

// Ends a binding whose lifetime is over. Returns: true when it ended just now.
bool bul_expire(struct bul *bul, uint64_t now_ns);

// True when a Binding Update is to be sent now (first, again, or to refresh).
bool bul_wants_send(const struct bul *bul, uint64_t now_ns);

// Notes a transmission: takes the next sequence number and sets the time of the next one.
// Returns: the transmission, borrowed until the next call, for the caller to fill in mesg_id.
// RFC:     6275 section 11.8: 1.5 s for a first registration, else 1 s, doubled up to 32 s.
struct bul_sent *bul_send(struct bul *bul, uint64_t now_ns);

// Takes in an acknowledgement that has passed authentication.
// RFC:     6275 section 11.7.3.
enum bul_verdict bul_answer(struct bul *bul, const struct bul_answer *answer, uint64_t now_ns);

// True while a move waits for its acknowledgement: packets sent now could reach the home agent
// before the binding that allows them.
bool bul_is_moving(const struct bul *bul);

// What the entry is doing, for people: "unbound", "registering", "bound", "moving", ...
const char *bul_state(const struct bul *bul);

// The last transmissions of Binding Updates to one home agent.
struct bul_rate {
	uint64_t at_ns[BUL_MAX_UPDATE_RATE];
	unsigned int next;
};

// Takes a transmission at now_ns if that keeps within MAX_UPDATE_RATE.
// Returns: 0 when taken, else the time from which on it may be tried again.
uint64_t bul_rate_take(struct bul_rate *rate, uint64_t now_ns);
