// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Reading a Mobility Header: the checks of RFC 6275 section 9.2, then the message and its options.
#pragma once

#include "controlplane/codec/ip6chain.h"
#include "controlplane/codec/mh.h"

enum mh_verdict {
	MH_OK,
	MH_TRUNCATED, // drop: the packet ends before the header does
	MH_CHECKSUM, // drop
	MH_UNKNOWN_TYPE, // answer with Binding Error status 2; type is set
	MH_PAYLOAD_PROTO, // answer with Parameter Problem code 0 at pointer
	MH_TOO_SHORT, // answer with Parameter Problem code 0 at pointer
	MH_BAD_OPTION, // drop: an option is malformed, twice or out of its place
	MH_VERDICT_MAX,
};

// A parsed message. Borrows the packet.
struct mh {
	struct mh_message msg;
	const uint8_t *data; // the Mobility Header in the packet
	uint16_t len; // of the Mobility Header, bytes
	uint32_t pointer; // of a Parameter Problem: offset in the packet
	struct mh_options opt;
};

// Reads the Mobility Header that is the payload of a walked packet.
//
// Why:      an option behind the MN-HA authentication option is not covered by it, so anything
//           but padding and MN-AAA there is malformed; the same for Binding Authorization Data.
//           Options of which a second one would be ambiguous are malformed when repeated.
// Owns:     *out borrows the packet of chain.
// Returns:  what to do; msg and opt are whole after MH_OK only, msg.type is set from
//           MH_UNKNOWN_TYPE on.
// RFC:      6275 sections 6.1, 6.2, 9.2; 4285 sections 5, 5.1.
// Test:     tests/unit/controlplane/mh_test.c, tests/fuzz/mh.c
enum mh_verdict mh_parse(const struct ip6chain *chain, struct mh *out);

// Short name of a verdict ("bad_option"), for counters and logs.
const char *mh_verdict_name(enum mh_verdict verdict);

// The home address and the care-of address that a Binding Update speaks of. RFC 6275 section 9.5.1.
const struct ip6 *mh_bu_home(const struct ip6chain *chain);
const struct ip6 *mh_bu_coa(const struct ip6chain *chain, const struct mh *bu);
