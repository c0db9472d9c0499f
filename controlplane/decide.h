// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What to do with a Binding Update that asks for home registration or its end. Pure: everything it
// looks at is handed in, nothing is changed. RFC 6275 sections 9.5.1, 9.5.4, 10.3.1, 10.3.2.
#pragma once

#include "controlplane/auth.h"
#include "controlplane/codec/mh_parse.h"

enum binding_state {
	BINDING_NONE,
	BINDING_LIVE,
	BINDING_HELD, // de-registered; kept for a while so that a late old Update is known as such
};

// What the decision needs to know of the binding cache's entry for the home address.
struct binding_view {
	enum binding_state state;
	uint64_t
		expires_ns; // CLOCK_BOOTTIME: of the lifetime, of the hold; past = as if BINDING_NONE
	struct ip6 coa;
	uint16_t sequence; // last accepted
	uint64_t mesg_id; // last accepted, also after the binding is gone; 0 = none
};

// What the home network of the home address says.
struct decide_network {
	uint32_t max_lifetime_s;
	uint32_t prefix_valid_lifetime_s; // what is left of it; 0 = infinite
	bool is_prefix_deprecated;
	bool needs_mesg_id; // replay protection by MESG-ID instead of the sequence number
};

// What the subscriber's record says.
struct decide_policy {
	bool is_allowed; // to register this home address
	uint32_t max_lifetime_s; // 0 = that of the network
};

// Questions to the caller's tables. A hook that is NULL answers no.
struct decide_hooks {
	bool (*is_own_address)(
		void *ctx, const struct ip6 *address); // agent address, any of this box
	bool (*would_loop)(void *ctx, const struct ip6 *home, const struct ip6 *coa);
	void *ctx;
};

// Everything that the decision depends on; all pointers borrowed for the call.
struct decide_input {
	const struct ip6chain *chain;
	const struct mh *bu; // a MH_BU that mh_parse called MH_OK
	const struct binding_view *old; // NULL = nothing known of this home address
	const struct decide_network *network; // of the home address; NULL = in none of ours
	const struct decide_policy
		*policy; // NULL = unknown mobile node (allowed where auth_result is)
	bool is_agent; // the packet's destination is a home agent address of ours
	bool has_room; // the dataplane takes this binding
	enum auth_result auth;
	uint64_t now_ns; // CLOCK_BOOTTIME
	uint64_t now_ntp; // mesgid_from_wall_ns
	struct decide_hooks hooks;
};

enum decide_kind {
	DECIDE_DROP, // silently, drop says why
	DECIDE_REFUSE, // answer with status >= 128; only floors change (is_new_to_binding)
	DECIDE_REGISTER, // new binding
	DECIDE_REFRESH, // same care-of address: nothing changes on the wire
	DECIDE_MOVE, // new care-of address
	DECIDE_DEREGISTER, // the binding ends now and is held (control_hold_ns)
};

// Why a Binding Update is dropped; decide_drop_name gives the counter's name.
enum decide_drop {
	DECIDE_DROP_NONE,
	DECIDE_DROP_SOURCE, // wire source is not a unicast address
	DECIDE_DROP_HOME, // home address is not unicast routable
	DECIDE_DROP_COA, // care-of address is not unicast routable
	DECIDE_DROP_ROUTED, // came with a type 2 routing header, RFC 6275 section 6.1
	DECIDE_DROP_NONCE, // nonce indices in a home registration
	DECIDE_DROP_NOT_HOME, // no home registration: we are nobody's correspondent
	DECIDE_DROP_AUTH_MISSING,
	DECIDE_DROP_NO_SA,
	DECIDE_DROP_MAX,
};

// The verdict. From DECIDE_REFUSE on the answer's fields are set.
struct decide_verdict {
	enum decide_kind kind;
	enum decide_drop drop;
	struct ip6 home;
	struct ip6 coa;
	uint32_t lifetime_s; // granted; a multiple of 4
	struct mh_ba ba; // the acknowledgement's fixed part
	struct ip6 ba_dst; // wire destination
	bool ba_has_routed; // with a type 2 routing header that carries home
	bool ba_has_mesg_id;
	uint64_t ba_mesg_id;
	uint64_t mesg_id; // to remember when state changes: last accepted, 0 = none
	// Of a refusal: the authenticated Update was new to the live binding, so its sequence number and
	// MESG-ID are to be remembered, or it could be played back later (RFC 6275 section 9.5.1).
	bool is_new_to_binding;
};

// Decides on one Binding Update. Order: validity (9.5.1, 6.1.7), authentication (RFC 4285 section
// 5.1.1), replay (RFC 4285 section 6, then the sequence number), registration type, then 10.3.2 for
// lifetime 0 or 10.3.1.
//
// Test:     tests/unit/controlplane/decide_test.c
struct decide_verdict decide_bu(const struct decide_input *in);

// Short names for counters and logs ("nonce", "refuse").
const char *decide_drop_name(enum decide_drop drop);
const char *decide_kind_name(enum decide_kind kind);
