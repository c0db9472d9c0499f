// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/decide.h"

#include "controlplane/mesgid.h"
#include "controlplane/seq.h"
#include "dataplane/base/wire.h"

// A test of the chain: true when it found the verdict, false to go on with the next one.
typedef bool (*decide_test)(const struct decide_input *in, struct decide_verdict *v);

static bool drop(struct decide_verdict *v, enum decide_drop why)
{
	v->kind = DECIDE_DROP;
	v->drop = why;
	return true;
}

static bool refuse(struct decide_verdict *v, enum mh_status status)
{
	v->kind = DECIDE_REFUSE;
	v->ba.status = (uint8_t)status;
	return true;
}

static enum binding_state state_of(const struct decide_input *in)
{
	if (in->old == NULL || in->old->expires_ns <= in->now_ns)
		return BINDING_NONE;
	return in->old->state;
}

static bool has_flag(const struct decide_input *in, enum mh_bu_flag flag)
{
	return (in->bu->msg.bu.flags & flag) != 0;
}

static bool is_own_address(const struct decide_input *in, const struct ip6 *address)
{
	return in->hooks.is_own_address != NULL && in->hooks.is_own_address(in->hooks.ctx, address);
}

static bool would_loop(const struct decide_input *in, const struct decide_verdict *v)
{
	return in->hooks.would_loop != NULL &&
	       in->hooks.would_loop(in->hooks.ctx, &v->home, &v->coa);
}

// RFC 6275 sections 6.1, 6.1.7, 9.5.1, 9.5.4: what fails here gets no answer.
static bool test_validity(const struct decide_input *in, struct decide_verdict *v)
{
	const struct ip6chain *chain = in->chain;

	if (ip6_is_any(&chain->src) || ip6_is_multicast(&chain->src))
		return drop(v, DECIDE_DROP_SOURCE);
	if (chain->has_routed)
		return drop(v, DECIDE_DROP_ROUTED);
	if (!ip6_is_unicast_routable(&v->home))
		return drop(v, DECIDE_DROP_HOME);
	if (!ip6_is_unicast_routable(&v->coa))
		return drop(v, DECIDE_DROP_COA);
	if (has_flag(in, MH_BU_H))
		return in->bu->opt.has_nonce_indices && drop(v, DECIDE_DROP_NONCE);
	// We run no return routability, so no nonce of a correspondent registration can be right:
	// silence, but for the type change of a binding that we hold (test_type).
	return state_of(in) != BINDING_LIVE && drop(v, DECIDE_DROP_NOT_HOME);
}

// RFC 4285 section 5.1.1.
static bool test_auth(const struct decide_input *in, struct decide_verdict *v)
{
	switch (in->auth) {
	case AUTH_NOT_USED:
	case AUTH_OK:
		return false;
	case AUTH_MISSING:
		return drop(v, DECIDE_DROP_AUTH_MISSING);
	case AUTH_FAILED:
		return refuse(v, MH_STATUS_AUTH_FAIL);
	case AUTH_NO_SA:
		break;
	}
	return drop(v, DECIDE_DROP_NO_SA);
}

// A proxy registration speaks for another node; what follows would take the gateway's address for a
// home address. RFC 5213 sections 5.3.1 and 8.2 (the answer repeats the P flag).
static bool test_proxy(const struct decide_input *in, struct decide_verdict *v)
{
	if (!has_flag(in, MH_BU_P))
		return false;
	v->ba.flags = MH_BA_P;
	return refuse(v, MH_STATUS_NO_PROXY);
}

// RFC 4285 section 6: the timestamp counts once the message is authenticated.
static bool test_mesg_id(const struct decide_input *in, struct decide_verdict *v)
{
	const struct mh_options *opt = &in->bu->opt;

	if (in->auth != AUTH_OK)
		return false;
	if (!opt->has_mesg_id) {
		bool is_needed = in->network != NULL && in->network->needs_mesg_id;

		return is_needed && refuse(v, MH_STATUS_MESG_ID_REQUIRED);
	}
	if (!mesgid_is_valid(opt->mesg_id, in->now_ntp, MESGID_WINDOW_S, v->mesg_id)) {
		v->ba_mesg_id = mesgid_mismatch_reply(opt->mesg_id, in->now_ntp);
		return refuse(v, MH_STATUS_ID_MISMATCH);
	}
	v->mesg_id = opt->mesg_id;
	return false;
}

// RFC 6275 section 9.5.1. Where the network asks for replay protection by MESG-ID the sequence number
// is not used (RFC 4285 sections 6 and 7), only copied.
static bool test_sequence(const struct decide_input *in, struct decide_verdict *v)
{
	bool is_replaced = in->auth == AUTH_OK && in->network != NULL && in->network->needs_mesg_id;
	bool is_old = state_of(in) != BINDING_NONE &&
		      !seq_is_greater(in->bu->msg.bu.sequence, in->old->sequence);

	if (is_old && !is_replaced) {
		v->ba.sequence = in->old->sequence;
		return refuse(v, MH_STATUS_SEQUENCE);
	}
	v->is_new_to_binding = in->auth == AUTH_OK && state_of(in) == BINDING_LIVE;
	return false;
}

// RFC 6275 section 9.5.1: every binding here is a home registration.
static bool test_type(const struct decide_input *in, struct decide_verdict *v)
{
	return !has_flag(in, MH_BU_H) && refuse(v, MH_STATUS_TYPE_CHANGE);
}

// RFC 6275 section 10.3.2. A held binding does not count as one.
static bool test_deregistration(const struct decide_input *in, struct decide_verdict *v)
{
	if (in->bu->msg.bu.lifetime_4s != 0)
		return false;
	if (state_of(in) != BINDING_LIVE)
		return refuse(v, MH_STATUS_NOT_AGENT);
	v->kind = DECIDE_DEREGISTER;
	return true;
}

// RFC 6275 section 10.3.1: are we the home agent of this home address. Our own addresses are nobody's
// home address. RFC 3963 section 6.6: an agent without mobile router support says so.
static bool test_home(const struct decide_input *in, struct decide_verdict *v)
{
	const struct decide_network *network = in->network;

	if (!in->is_agent)
		return refuse(v, MH_STATUS_NO_HOME_AGENT);
	if (network == NULL || (network->prefix_valid_lifetime_s != 0 &&
				       network->prefix_valid_lifetime_s < MH_LIFETIME_UNIT_S))
		return refuse(v, MH_STATUS_NOT_HOME_SUBNET);
	if (is_own_address(in, &v->home) || (in->policy != NULL && !in->policy->is_allowed))
		return refuse(v, MH_STATUS_PROHIBITED);
	return has_flag(in, MH_BU_R) && refuse(v, MH_STATUS_NO_ROUTER);
}

// A care-of address that is the home address asks for a tunnel into itself: only lifetime 0 ends a
// binding (RFC 6275 section 6.1.7). Our own addresses and cycles of bindings are refused by policy
// (section 15.1). A registration needs the Home Address option (section 10.3.1).
static bool test_coa(const struct decide_input *in, struct decide_verdict *v)
{
	if (ip6_eq(&v->coa, &v->home) || is_own_address(in, &v->coa) || would_loop(in, v))
		return refuse(v, MH_STATUS_INVALID_COA);
	return !in->chain->has_home && refuse(v, MH_STATUS_UNSPECIFIED);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

// RFC 6275 section 10.3.1: never above what was asked for nor above what the prefix has left. Returns
// units of 4 s.
static uint32_t grant_4s(const struct decide_input *in)
{
	uint32_t s = least((uint32_t)in->bu->msg.bu.lifetime_4s * MH_LIFETIME_UNIT_S,
		in->network->max_lifetime_s);

	if (in->network->prefix_valid_lifetime_s != 0)
		s = least(s, in->network->prefix_valid_lifetime_s);
	if (in->policy != NULL && in->policy->max_lifetime_s != 0)
		s = least(s, in->policy->max_lifetime_s);
	return s / MH_LIFETIME_UNIT_S;
}

// RFC 6275 section 10.3.1: status 1 when the prefix is deprecated or becomes invalid at the end of the
// lifetime; both times in units of 4 s.
static enum mh_status accepted_status(const struct decide_network *network, uint32_t units)
{
	uint32_t valid_s = network->prefix_valid_lifetime_s;

	if (network->is_prefix_deprecated ||
		(valid_s != 0 && units == valid_s / MH_LIFETIME_UNIT_S))
		return MH_STATUS_PREFIX_DISCOVERY;
	return MH_STATUS_ACCEPTED;
}

// RFC 6275 section 10.3.1: the registration itself; the last test always finds a verdict.
static bool test_registration(const struct decide_input *in, struct decide_verdict *v)
{
	bool is_live = state_of(in) == BINDING_LIVE;
	uint32_t units = grant_4s(in);

	if (units == 0) // a policy below one unit allows no binding
		return refuse(v, MH_STATUS_PROHIBITED);
	if (!in->has_room)
		return refuse(v, MH_STATUS_RESOURCES);
	v->ba.status = (uint8_t)accepted_status(in->network, units);
	v->ba.lifetime_4s = (uint16_t)units;
	v->lifetime_s = units * MH_LIFETIME_UNIT_S;
	if (!is_live)
		v->kind = DECIDE_REGISTER;
	else if (ip6_eq(&in->old->coa, &v->coa))
		v->kind = DECIDE_REFRESH;
	else
		v->kind = DECIDE_MOVE;
	return true;
}

struct decide_verdict decide_bu(const struct decide_input *in)
{
	static const decide_test tests[] = {
		test_validity,
		test_auth,
		test_proxy,
		test_mesg_id,
		test_sequence,
		test_type,
		test_deregistration,
		test_home,
		test_coa,
		test_registration,
	};
	const struct ip6chain *chain = in->chain;
	struct decide_verdict v = {
		.home = *mh_bu_home(chain),
		.coa = *mh_bu_coa(chain, in->bu),
		.ba = { .sequence = in->bu->msg.bu.sequence },
		.ba_dst = chain->src, // RFC 6275 section 9.5.4: not the Alternate Care-of Address
		.ba_has_routed = chain->has_home && !ip6_eq(&chain->src, &chain->home),
		.ba_has_mesg_id = in->bu->opt.has_mesg_id,
		.ba_mesg_id = in->bu->opt.mesg_id,
		.mesg_id = in->old != NULL ? in->old->mesg_id : 0,
	};

	for (size_t i = 0; !tests[i](in, &v); i++)
		;
	return v;
}

const char *decide_drop_name(enum decide_drop why)
{
	static const char *const names[DECIDE_DROP_MAX] = {
		[DECIDE_DROP_NONE] = "none",
		[DECIDE_DROP_SOURCE] = "source",
		[DECIDE_DROP_HOME] = "home",
		[DECIDE_DROP_COA] = "coa",
		[DECIDE_DROP_ROUTED] = "routed",
		[DECIDE_DROP_NONCE] = "nonce",
		[DECIDE_DROP_NOT_HOME] = "not_home",
		[DECIDE_DROP_AUTH_MISSING] = "auth_missing",
		[DECIDE_DROP_NO_SA] = "no_sa",
	};

	return why < DECIDE_DROP_MAX ? names[why] : "unknown";
}

const char *decide_kind_name(enum decide_kind kind)
{
	static const char *const names[] = {
		[DECIDE_DROP] = "drop",
		[DECIDE_REFUSE] = "refuse",
		[DECIDE_REGISTER] = "register",
		[DECIDE_REFRESH] = "refresh",
		[DECIDE_MOVE] = "move",
		[DECIDE_DEREGISTER] = "deregister",
	};

	return kind <= DECIDE_DEREGISTER ? names[kind] : "unknown";
}
