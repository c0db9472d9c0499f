// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Who may register what: subscribers imported from a file of JSON lines into an indexed file,
// STATE_DIR/subscribers.index (mode 0600, it has the keys). A start with an unchanged source uses the
// index as it is. One line:
//
//   {"mn_id": "alice@example.net", "home_addresses": ["2001:db8:1::100"], "allowed": true,
//    "max_lifetime_s": 300, "keys": [{"spi": 1000, "algorithm": "hmac-sha1", "key": "0a0b..."}],
//    "security_associations": [...], "protect": ["payload"], "agent_address": "2001:db8:1::1"}
//
// security_associations is described in controlplane/association.h; who has them has one home address.
// mn_id or home_addresses must be there; members that begin with // are comments. A home address
// counts in every domain.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "controlplane/association.h"
#include "controlplane/bcache.h"
#include "dataplane/base/addr.h"

enum {
	SUBSCRIBER_MAX_HOMES = 16,
	SUBSCRIBER_MAX_KEYS = 4,
	SUBSCRIBER_KEY_MAX = 64, // bytes, one block of the digest
	SUBSCRIBER_KEY_MIN = 8,
};

enum subscriber_algorithm { SUBSCRIBER_HMAC_SHA1 = 1 }; // RFC 4285 section 5.1

struct subscriber_key {
	uint32_t spi;
	uint8_t algorithm; // enum subscriber_algorithm
	uint8_t len;
	uint8_t key[SUBSCRIBER_KEY_MAX]; // never logged
};

// One subscriber, plain data, a copy of what the index has.
struct subscriber {
	uint32_t line; // in the source, for messages
	uint32_t max_lifetime_s; // 0 = what the network has
	bool is_allowed; // false: refuse with status 129
	uint8_t mn_id_len; // 0 = none
	uint8_t n_homes;
	uint8_t n_keys;
	uint8_t mn_id[BCE_MN_ID_MAX];
	struct ip6 homes[SUBSCRIBER_MAX_HOMES];
	struct subscriber_key keys[SUBSCRIBER_MAX_KEYS];
	// While a line is read: where its security associations are, any = at the network's first agent
	// address. The index has it in struct subscriber_secured.
	struct ip6 agent;
};

struct subscribers_counts {
	uint64_t n_subscribers;
	uint64_t n_homes;
	uint64_t n_keys;
	uint64_t n_secured; // subscribers with security associations
};

// A subscriber's security associations. Wipe it after use.
struct subscriber_secured {
	uint32_t ref; // of subscribers_find_secured
	uint32_t line; // in the source, for messages
	struct ip6 home;
	struct ip6 agent; // any = the network's first
	struct associations all;
};

struct subscribers;

// Opens the index of the source file in the state directory, importing the source when path, size or
// time of change differ from what was imported. source may be NULL: nobody is subscribed. Every bad
// line goes to err as "SOURCE: line N: field: reason"; keys never do. A source with keys that others
// may read or write is refused. security_id: reserve_id of the security associations' numbers; with another
// one an index that has some is made again.
// Returns: an owned set, or NULL with errno: EINVAL (errors were written to err) or that of a call,
// said on err too.
struct subscribers *subscribers_open(
	const char *state_dir, const char *source, uint64_t security_id, FILE *err);
void subscribers_close(struct subscribers *subs);

// As open, for the same set: another source, or the same one changed. The old subscribers stay in force
// until subscribers_take, whatever is in the file: a start compares that with the source. An import
// runs in a thread, and ends when subscribers_fd is readable: then call subscribers_end. err is
// borrowed until then.
// Returns: 0 (prepared), 1 (an import has begun), or negative errno with nothing prepared.
int subscribers_begin(struct subscribers *subs, const char *source, FILE *err);
int subscribers_fd(const struct subscribers *subs);

// Returns: 0 (prepared), or negative errno with nothing prepared.
int subscribers_end(struct subscribers *subs);

// Both, and waits in between.
int subscribers_prepare(struct subscribers *subs, const char *source, FILE *err);

// Puts what was prepared in force; or drops it, and what is being prepared.
void subscribers_take(struct subscribers *subs);
void subscribers_drop(struct subscribers *subs);

// Copies the subscriber of a home address, or MN-ID (len 1..BCE_MN_ID_MAX), to *out.
// Returns: 0, -ENOENT, or negative errno (the index cannot be read).
int subscribers_find_by_home(
	const struct subscribers *subs, const struct ip6 *home, struct subscriber *out);
int subscribers_find_by_mn_id(
	const struct subscribers *subs, const void *mn_id, size_t len, struct subscriber *out);

// Calls fn for every subscriber with security associations, in the order of the file; s is borrowed for
// the call. is_next: those of what is prepared, if anything is.
// fn:      0 = go on, else stop with it.
// Returns: that, 0 at the end, or negative errno.
int subscribers_each_secured(const struct subscribers *subs, bool is_next,
	int (*fn)(void *ctx, const struct subscriber_secured *s), void *ctx);

// As that, of the index that is in the state directory, when its security_id is another one.
int subscribers_each_foreign(const char *state_dir, uint64_t security_id,
	int (*fn)(void *ctx, const struct subscriber_secured *s), void *ctx);

// Copies the security associations of a reference. Returns: 0 or -EBADMSG.
int subscribers_find_secured(
	const struct subscribers *subs, uint32_t ref, struct subscriber_secured *out);

// What a subscriber will be looked for by: an MN-ID or a home address (len 16), borrowed.
struct subscribers_key {
	const void *p;
	uint8_t len;
	bool is_mn_id;
};

// Fetches the memory of n searches to come, so that their waits overlap; n of 32 is enough.
void subscribers_fetch(
	const struct subscribers *subs, const struct subscribers_key keys[], unsigned int n);

// The key of an SPI, borrowed from *subscriber, or NULL.
const struct subscriber_key *subscriber_find_key(const struct subscriber *subscriber, uint32_t spi);

// True when the address is one of the subscriber's, or none is listed.
bool subscriber_has_home(const struct subscriber *subscriber, const struct ip6 *home);

struct subscribers_counts subscribers_counts(const struct subscribers *subs);
