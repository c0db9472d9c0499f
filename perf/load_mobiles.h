// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Mobile nodes by the million for the load generator: what each one is follows from its number, so
// that only sequence number, place and the time of its last Update are kept (8 bytes).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "dataplane/base/addr.h"

enum { MOBILES_PACKET_MAX = 256, MOBILES_SPI = 1000 };

struct mobiles;

// What lets the home agent believe an Update. The n-th kind has its home addresses, and its agent, n
// steps of the third group of the address above the first.
enum mobiles_proof {
	MOBILES_SIGNED, // an authenticator, RFC 4285
	MOBILES_SECURED, // security associations, which are the dataplane's matter
	MOBILES_OPEN, // nothing: authentication none
	MOBILES_PROOFS,
};

// What an Update is to be.
enum mobiles_update {
	MOBILES_REFRESH, // from where it is; the first registration too
	MOBILES_HANDOVER, // from a new care-of address
	MOBILES_BOGUS, // a wrong authenticator; the mobile's state does not change
};

// n mobiles with home addresses in home_prefix/96 that register at agent from care_of_prefix/64: those of
// the first kind, and of the others as said above. Returns: owned, or NULL with errno.
struct mobiles *mobiles_new(uint32_t n, enum mobiles_proof proof, const struct ip6 *agent,
	const struct ip6 *home_prefix, const struct ip6 *care_of_prefix);
void mobiles_free(struct mobiles *mobiles);

// Builds the whole IPv6 packet of mobile i. due_us: when it was to be sent, for mobiles_answered.
// Returns: its length, or negative errno.
ssize_t mobiles_build(struct mobiles *mobiles, uint32_t i, enum mobiles_update what,
	uint32_t lifetime_s, uint32_t due_us, uint8_t packet[static MOBILES_PACKET_MAX]);

// Reads a packet of the home agent. Returns: the status of the Acknowledgement, with *i its mobile and
// *due_us of its newest Update; or -1 (something else, or of nobody here).
int mobiles_answered(const struct mobiles *mobiles, const uint8_t *packet, size_t len, uint32_t *i,
	uint32_t *due_us);

// Notes the slot of a home address that has security associations.
void mobiles_note_slot(struct mobiles *mobiles, const struct ip6 *home, uint32_t slot);

// The slot of a mobile, 0 without.
uint32_t mobiles_slot(const struct mobiles *mobiles, uint32_t i);

// Writes all of them as lines of a subscribers file. Returns: 0 or negative errno.
int mobiles_write_subscribers(const struct mobiles *mobiles, FILE *out);
