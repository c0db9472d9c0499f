// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Policing of signalling before anybody has authenticated it: token buckets of three classes, and of
// each sender, that is each pair of a source /64 and a home address. Nothing else is remembered of a
// sender, so what nobody has proved changes nothing but how soon the same sender is heard again.
//
// Why: an honest mobile node sends at most 3 updates a second (RFC 6275 section 11.8); what a flood
// may cost is bounded here, before it reaches the main lcore or control. Class by class, so that
// senders who show nothing take no room from those whose binding we hold. Errors, which anybody can make
// us send, are limited here as well.
// Buckets stand in tables of a fixed size that a keyed hash leads into: others can share one only by
// chance, and classes never do. They are shared by the workers, so a limit is one limit.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

enum {
	POLICE_SENDER_PER_S = 3, // RFC 6275 section 12, MAX_UPDATE_RATE
	POLICE_SENDER_BURST = 10,
	POLICE_BUDGET_MIN = 64, // packets a second of a class
	// Errors sent: in all, and to one receiver.
	POLICE_ERRORS_PER_S = 1000,
	POLICE_ERRORS_BURST = 100,
	POLICE_RECEIVER_PER_S = 100,
	POLICE_RECEIVER_BURST = 50,
};

enum police_class {
	POLICE_KNOWN, // from the care-of address of the binding of its home address
	POLICE_MOVED, // the home address is bound, but to another care-of address
	POLICE_UNKNOWN, // all else
	POLICE_CLASSES,
};

enum police_verdict { POLICE_PASS, POLICE_OVER_CLASS, POLICE_OVER_SENDER };

// Draws the key, empties nothing: buckets are full at first. tsc_hz: of the time that police_take is given.
// Before start. Returns: 0, or -EIO with the reason logged.
int police_init(uint64_t tsc_hz);

// A keyed hash of who sent a message: the upper half of source, and home. Never 0. Thread: any.
uint64_t police_sender(const struct ip6 *source, const struct ip6 *home);

// Fetches what police_take will need of a sender while the class has tokens. Thread: any worker.
void police_prefetch(enum police_class class, uint64_t sender, uint64_t now_tsc);

// Takes a token of the sender and one of the class, or none. Thread: any worker.
// Cost: one shared line; with a token left in the class, one line of the sender's, too.
enum police_verdict police_take(enum police_class class, uint64_t sender, uint64_t now_tsc);

// Takes a token for an error to a receiver, and one of those for all errors, or none: RFC 4443 section
// 2.4 (f), RFC 6275 section 9.3.3. receiver: the upper half of an IPv6 address, an IPv4 address.
// Returns: true when the error may be sent. Thread: any worker.
bool police_error(uint64_t receiver, uint64_t now_tsc);

// Sets what a class gets, at least POLICE_BUDGET_MIN. Thread: main lcore; workers follow soon.
void police_budget_set(enum police_class class, uint32_t per_s);
// The budget in force, packets a second. Thread: any.
uint32_t police_budget(enum police_class class);
