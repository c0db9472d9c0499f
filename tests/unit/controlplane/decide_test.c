// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Binding Updates row by row from the text. A row starts from a right registration of a node that is
// away from home and changes what it names.

#include "controlplane/decide.h"

#include "controlplane/mesgid.h"
#include "tests/unit/controlplane/packets.h"

#define HOME "2001:db8:1::100"
#define COA "2001:db8:11::100"
#define COA2 "2001:db8:12::100"
#define AGENT "2001:db8:1::1"
#define SERVED \
	"2001:db8:1::200" // a home address that is bound to HOME: registering it as CoA loops
#define MULTICAST "ff0e::1"
#define LINK_LOCAL "fe80::1"

#define NOW_NS 1000000000000ULL
#define NOW_NTP 0xe5f1c00180000000ULL
#define SECOND (1ULL << 32)

enum { HR = MH_BU_A | MH_BU_H };

static bool is_own(void *ctx, const struct ip6 *address)
{
	struct ip6 agent = ip(AGENT);

	(void)ctx;
	return ip6_eq(address, &agent);
}

static bool would_loop(void *ctx, const struct ip6 *home, const struct ip6 *coa)
{
	struct ip6 served = ip(SERVED), node = ip(HOME);

	(void)ctx;
	return ip6_eq(coa, &served) && ip6_eq(home, &node);
}

// One case with all that a decision looks at.
struct world {
	struct ip6chain chain;
	struct mh bu;
	struct binding_view old;
	struct decide_network network;
	struct decide_policy policy;
	struct decide_input in;
};

// A right first registration: sequence 16, lifetime 420 s, nothing known before.
static void world_make(struct world *w)
{
	*w = (struct world){
		.chain = { .src = ip(COA), .dst = ip(AGENT), .home = ip(HOME), .has_home = true },
		.bu = { .msg = { .type = MH_BU, .bu = { 16, HR, 105 } } },
		.old = { BINDING_NONE, NOW_NS + 1, ip(COA), 15, 0 },
		.network = { .max_lifetime_s = 420 },
		.policy = { .is_allowed = true },
	};
	w->in = (struct decide_input){
		.chain = &w->chain,
		.bu = &w->bu,
		.network = &w->network,
		.is_agent = true,
		.has_room = true,
		.auth = AUTH_NOT_USED,
		.now_ns = NOW_NS,
		.now_ntp = NOW_NTP,
		.hooks = { is_own, would_loop, NULL },
	};
}

static void bind(struct world *w, enum binding_state state)
{
	w->old.state = state;
	w->in.old = &w->old;
}

static void at_home(struct world *w, bool has_home_option)
{
	w->chain.src = ip(HOME);
	w->chain.has_home = has_home_option;
}

static void put_alt_coa(struct world *w, const char *coa)
{
	w->bu.opt.has_alt_coa = true;
	w->bu.opt.alt_coa = ip(coa);
}

// Checks what every verdict must have: an answer to the wire source, a refusal that grants nothing.
static void check_common(const struct world *w, const struct decide_verdict *v)
{
	bool is_at_home = ip6_eq(&w->chain.src, &w->chain.home);

	if (v->kind == DECIDE_DROP) {
		CU_ASSERT_NOT_EQUAL(v->drop, DECIDE_DROP_NONE);
		return;
	}
	CU_ASSERT_EQUAL(v->drop, DECIDE_DROP_NONE);
	CU_ASSERT(ip6_eq(&v->ba_dst, &w->chain.src));
	CU_ASSERT_EQUAL(v->ba_has_routed, w->chain.has_home && !is_at_home);
	CU_ASSERT_EQUAL(v->kind == DECIDE_REFUSE, v->ba.status >= 128);
	CU_ASSERT_EQUAL(v->ba.flags & (MH_BA_K | MH_BA_R), 0);
	CU_ASSERT_EQUAL(v->lifetime_s, v->ba.lifetime_4s * 4U);
	if (v->kind == DECIDE_REFUSE || v->kind == DECIDE_DEREGISTER)
		CU_ASSERT_EQUAL(v->ba.lifetime_4s, 0);
	if (v->ba.status != MH_STATUS_SEQUENCE)
		CU_ASSERT_EQUAL(v->ba.sequence, w->bu.msg.bu.sequence);
}

static struct decide_verdict decide(const struct world *w)
{
	struct decide_verdict v = decide_bu(&w->in);

	check_common(w, &v);
	return v;
}

struct row {
	const char *what;
	void (*change)(struct world *w);
	enum decide_kind kind;
	int result; // drop reason or status
};

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct world w;

		world_make(&w);
		rows[i].change(&w);
		struct decide_verdict v = decide(&w);
		int result = v.kind == DECIDE_DROP ? (int)v.drop : v.ba.status;

		if (v.kind != rows[i].kind || result != rows[i].result)
			printf("\n    %s: %s %s %d", rows[i].what, decide_kind_name(v.kind),
				decide_drop_name(v.drop), v.ba.status);
		CU_ASSERT_EQUAL(v.kind, rows[i].kind);
		CU_ASSERT_EQUAL(result, rows[i].result);
	}
}

#define CHANGE(name, ...)                 \
	static void name(struct world *w) \
	{                                 \
		__VA_ARGS__;              \
	}

CHANGE(nothing, (void)w)
CHANGE(source_multicast, w->chain.src = ip(MULTICAST))
CHANGE(source_any, w->chain.src = ip("::"))
CHANGE(came_routed, w->chain.has_routed = true)
CHANGE(home_multicast, w->chain.home = ip(MULTICAST))
CHANGE(home_link_local, w->chain.home = ip(LINK_LOCAL))
CHANGE(home_loopback, w->chain.home = ip("::1"))
CHANGE(home_any, w->chain.home = ip("::"))
CHANGE(home_bad_while_bound, w->chain.home = ip(MULTICAST); bind(w, BINDING_LIVE))
CHANGE(source_link_local, w->chain.src = ip(LINK_LOCAL))
CHANGE(alt_multicast, put_alt_coa(w, MULTICAST))
CHANGE(alt_link_local, put_alt_coa(w, LINK_LOCAL))
CHANGE(alt_loopback, put_alt_coa(w, "::1"))
CHANGE(alt_any, put_alt_coa(w, "::"))
CHANGE(alt_bad_at_the_end, put_alt_coa(w, "::"); w->bu.msg.bu.lifetime_4s = 0)
CHANGE(nonce_indices, w->bu.opt.has_nonce_indices = true)
CHANGE(correspondent, w->bu.msg.bu.flags = MH_BU_A; w->bu.opt.has_nonce_indices = true)
CHANGE(correspondent_held, w->bu.msg.bu.flags = MH_BU_A; bind(w, BINDING_HELD))
CHANGE(correspondent_expired, w->bu.msg.bu.flags = MH_BU_A; bind(w, BINDING_LIVE);
	w->old.expires_ns = NOW_NS)
CHANGE(correspondent_bound, w->bu.msg.bu.flags = MH_BU_A; bind(w, BINDING_LIVE))
CHANGE(correspondent_end, w->bu.msg.bu.flags = MH_BU_A; w->bu.msg.bu.lifetime_4s = 0;
	bind(w, BINDING_LIVE))
CHANGE(correspondent_old, w->bu.msg.bu.flags = MH_BU_A; w->bu.msg.bu.sequence = 15;
	bind(w, BINDING_LIVE))

// RFC 6275 sections 6.1, 6.1.7, 9.5.1; conformance 2.2.7, 2.2.9 to 2.2.14, X6275.6.1.7-1.
static void test_validity(void)
{
	static const struct row rows[] = {
		{ "right", nothing, DECIDE_REGISTER, 0 },
		{ "multicast source", source_multicast, DECIDE_DROP, DECIDE_DROP_SOURCE },
		{ "unspecified source", source_any, DECIDE_DROP, DECIDE_DROP_SOURCE },
		{ "type 2 routing header", came_routed, DECIDE_DROP, DECIDE_DROP_ROUTED },
		{ "multicast home", home_multicast, DECIDE_DROP, DECIDE_DROP_HOME },
		{ "link-local home", home_link_local, DECIDE_DROP, DECIDE_DROP_HOME },
		{ "loopback home", home_loopback, DECIDE_DROP, DECIDE_DROP_HOME },
		{ "unspecified home", home_any, DECIDE_DROP, DECIDE_DROP_HOME },
		{ "bound", home_bad_while_bound, DECIDE_DROP, DECIDE_DROP_HOME },
		{ "link-local source", source_link_local, DECIDE_DROP, DECIDE_DROP_COA },
		{ "multicast CoA", alt_multicast, DECIDE_DROP, DECIDE_DROP_COA },
		{ "link-local CoA", alt_link_local, DECIDE_DROP, DECIDE_DROP_COA },
		{ "loopback CoA", alt_loopback, DECIDE_DROP, DECIDE_DROP_COA },
		{ "unspecified CoA", alt_any, DECIDE_DROP, DECIDE_DROP_COA },
		{ "bad CoA, lifetime 0", alt_bad_at_the_end, DECIDE_DROP, DECIDE_DROP_COA },
		{ "nonce indices with H", nonce_indices, DECIDE_DROP, DECIDE_DROP_NONCE },
		{ "H=0", correspondent, DECIDE_DROP, DECIDE_DROP_NOT_HOME },
		{ "H=0, held", correspondent_held, DECIDE_DROP, DECIDE_DROP_NOT_HOME },
		{ "H=0, expired", correspondent_expired, DECIDE_DROP, DECIDE_DROP_NOT_HOME },
		{ "H=0, bound", correspondent_bound, DECIDE_REFUSE, MH_STATUS_TYPE_CHANGE },
		{ "H=0, end", correspondent_end, DECIDE_REFUSE, MH_STATUS_TYPE_CHANGE },
		{ "H=0, old number", correspondent_old, DECIDE_REFUSE, MH_STATUS_SEQUENCE },
	};

	run_rows(rows, N_ROWS(rows));
}

CHANGE(auth_missing, w->in.auth = AUTH_MISSING)
CHANGE(auth_no_sa, w->in.auth = AUTH_NO_SA)
CHANGE(auth_failed, w->in.auth = AUTH_FAILED)
CHANGE(auth_failed_old, w->in.auth = AUTH_FAILED; bind(w, BINDING_LIVE); w->bu.msg.bu.sequence = 1)
CHANGE(auth_ok, w->in.auth = AUTH_OK)
CHANGE(authentic_elsewhere, w->in.auth = AUTH_OK; w->in.network = NULL)
CHANGE(mesg_id_missing, w->in.auth = AUTH_OK; w->network.needs_mesg_id = true)

static void put_mesg_id(struct world *w, uint64_t id)
{
	w->in.auth = AUTH_OK;
	w->network.needs_mesg_id = true;
	w->bu.opt.has_mesg_id = true;
	w->bu.opt.mesg_id = id;
}

CHANGE(mesg_id_now, put_mesg_id(w, NOW_NTP))
CHANGE(mesg_id_early, put_mesg_id(w, NOW_NTP - 7 * SECOND - 1))
CHANGE(mesg_id_late, put_mesg_id(w, NOW_NTP + 7 * SECOND + 1))
CHANGE(mesg_id_edges, put_mesg_id(w, NOW_NTP - 7 * SECOND))
CHANGE(mesg_id_again, put_mesg_id(w, NOW_NTP); bind(w, BINDING_LIVE); w->old.mesg_id = NOW_NTP)
CHANGE(mesg_id_again_gone, put_mesg_id(w, NOW_NTP); bind(w, BINDING_NONE); w->old.mesg_id = NOW_NTP)
CHANGE(mesg_id_older, put_mesg_id(w, NOW_NTP - 1); bind(w, BINDING_LIVE); w->old.mesg_id = NOW_NTP)
CHANGE(mesg_id_newer, put_mesg_id(w, NOW_NTP + 1); bind(w, BINDING_LIVE); w->old.mesg_id = NOW_NTP)
CHANGE(mesg_id_old_number, mesg_id_newer(w); w->bu.msg.bu.sequence = 3)
CHANGE(mesg_id_optional, mesg_id_newer(w); w->network.needs_mesg_id = false)
CHANGE(mesg_id_optional_old_number, mesg_id_optional(w); w->bu.msg.bu.sequence = 3)
CHANGE(mesg_id_optional_again, mesg_id_again(w); w->network.needs_mesg_id = false)
CHANGE(mesg_id_unauthenticated, put_mesg_id(w, 1); w->in.auth = AUTH_NOT_USED)

// RFC 4285 sections 5.1.1, 6 and 7; the order authentication, timestamp, sequence number.
static void test_auth(void)
{
	static const struct row rows[] = {
		{ "no option", auth_missing, DECIDE_DROP, DECIDE_DROP_AUTH_MISSING },
		{ "unknown SPI", auth_no_sa, DECIDE_DROP, DECIDE_DROP_NO_SA },
		{ "wrong", auth_failed, DECIDE_REFUSE, MH_STATUS_AUTH_FAIL },
		{ "wrong before old number", auth_failed_old, DECIDE_REFUSE, MH_STATUS_AUTH_FAIL },
		{ "right", auth_ok, DECIDE_REGISTER, 0 },
		{ "right, no network", authentic_elsewhere, DECIDE_REFUSE,
			MH_STATUS_NOT_HOME_SUBNET },
		{ "no MESG-ID", mesg_id_missing, DECIDE_REFUSE, MH_STATUS_MESG_ID_REQUIRED },
		{ "MESG-ID", mesg_id_now, DECIDE_REGISTER, 0 },
		{ "at the edge", mesg_id_edges, DECIDE_REGISTER, 0 },
		{ "too early", mesg_id_early, DECIDE_REFUSE, MH_STATUS_ID_MISMATCH },
		{ "too late", mesg_id_late, DECIDE_REFUSE, MH_STATUS_ID_MISMATCH },
		{ "replay", mesg_id_again, DECIDE_REFUSE, MH_STATUS_ID_MISMATCH },
		{ "replay when gone", mesg_id_again_gone, DECIDE_REFUSE, MH_STATUS_ID_MISMATCH },
		{ "reordered", mesg_id_older, DECIDE_REFUSE, MH_STATUS_ID_MISMATCH },
		{ "later", mesg_id_newer, DECIDE_REFRESH, 0 },
		{ "number not used", mesg_id_old_number, DECIDE_REFRESH, 0 },
		{ "both", mesg_id_optional, DECIDE_REFRESH, 0 },
		{ "both, old number", mesg_id_optional_old_number, DECIDE_REFUSE,
			MH_STATUS_SEQUENCE },
		{ "both, replay", mesg_id_optional_again, DECIDE_REFUSE, MH_STATUS_ID_MISMATCH },
		{ "not checked", mesg_id_unauthenticated, DECIDE_REGISTER, 0 },
	};

	run_rows(rows, N_ROWS(rows));
}

// RFC 4285 section 6: copied when valid, our seconds over its fraction when not; what is remembered is
// only what was accepted.
static void test_mesg_id_of_the_answer(void)
{
	struct decide_verdict v;
	struct world w;

	world_make(&w);
	v = decide(&w);
	CU_ASSERT(!v.ba_has_mesg_id);
	put_mesg_id(&w, NOW_NTP + 5);
	v = decide(&w);
	CU_ASSERT(v.ba_has_mesg_id);
	CU_ASSERT_EQUAL(v.ba_mesg_id, NOW_NTP + 5);
	CU_ASSERT_EQUAL(v.mesg_id, NOW_NTP + 5);
	bind(&w, BINDING_LIVE);
	w.old.mesg_id = NOW_NTP - 1;
	put_mesg_id(&w, 0x1111111122222222ULL);
	v = decide(&w);
	CU_ASSERT_EQUAL(v.ba.status, MH_STATUS_ID_MISMATCH);
	CU_ASSERT_EQUAL(v.ba_mesg_id, (NOW_NTP & 0xffffffff00000000ULL) | 0x22222222);
	CU_ASSERT_EQUAL(v.mesg_id, NOW_NTP - 1);
	w.in.auth = AUTH_NOT_USED; // unchecked: repeated, not remembered
	v = decide(&w);
	CU_ASSERT_EQUAL(v.ba_mesg_id, 0x1111111122222222ULL);
	CU_ASSERT_EQUAL(v.mesg_id, NOW_NTP - 1);
}

// RFC 6275 section 9.5.1: conformance 2.5 to 2.8, 3.3, X6275.9.5.1-1, X6275.10.3.2-3 to -5.
static void test_sequence(void)
{
	static const struct {
		enum binding_state state;
		uint16_t last, seq;
		int status;
	} rows[] = {
		{ BINDING_LIVE, 15, 16, 0 },
		{ BINDING_LIVE, 15, 32782, 0 },
		{ BINDING_LIVE, 15, 15, 135 },
		{ BINDING_LIVE, 15, 0, 135 },
		{ BINDING_LIVE, 15, 32783, 135 },
		{ BINDING_LIVE, 15, 65535, 135 },
		{ BINDING_LIVE, 32783, 14, 0 },
		{ BINDING_LIVE, 32783, 15, 135 },
		{ BINDING_HELD, 15, 15, 135 },
		{ BINDING_HELD, 15, 14, 135 },
		{ BINDING_HELD, 15, 16, 0 },
		{ BINDING_NONE, 15, 0, 0 },
		{ BINDING_NONE, 15, 15, 0 },
		{ BINDING_NONE, 15, 65535, 0 },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		struct world w;

		world_make(&w);
		bind(&w, rows[i].state);
		w.old.sequence = rows[i].last;
		w.bu.msg.bu.sequence = rows[i].seq;
		struct decide_verdict v = decide(&w);

		CU_ASSERT_EQUAL(v.ba.status, rows[i].status);
		CU_ASSERT_EQUAL(v.ba.sequence, rows[i].status == 135 ? rows[i].last : rows[i].seq);
		CU_ASSERT_EQUAL(v.kind == DECIDE_REFRESH,
			rows[i].status == 0 && rows[i].state == BINDING_LIVE);
		w.old.expires_ns = NOW_NS; // over: as if there were none
		v = decide(&w);
		CU_ASSERT_EQUAL(v.kind, DECIDE_REGISTER);
	}
}

// RFC 6275 section 9.5.1: what the binding has seen counts, though it was refused.
static void test_new_to_binding(void)
{
	static const struct {
		enum binding_state state;
		enum auth_result auth;
		uint16_t sequence; // the last one is 5
		const char *coa;
		int status;
		bool is_new;
	} rows[] = {
		{ BINDING_LIVE, AUTH_OK, 6, AGENT, MH_STATUS_INVALID_COA, true },
		{ BINDING_LIVE, AUTH_OK, 5, AGENT, MH_STATUS_SEQUENCE, false },
		{ BINDING_HELD, AUTH_OK, 6, AGENT, MH_STATUS_INVALID_COA, false },
		{ BINDING_LIVE, AUTH_NOT_USED, 6, AGENT, MH_STATUS_INVALID_COA, false },
		{ BINDING_LIVE, AUTH_FAILED, 6, AGENT, MH_STATUS_AUTH_FAIL, false },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		struct world world;

		world_make(&world);
		bind(&world, rows[i].state);
		world.old.sequence = 5;
		world.in.auth = rows[i].auth;
		world.bu.msg.bu.sequence = rows[i].sequence;
		put_alt_coa(&world, rows[i].coa);
		struct decide_verdict v = decide(&world);

		CU_ASSERT_EQUAL(v.ba.status, rows[i].status);
		CU_ASSERT_EQUAL(v.is_new_to_binding, rows[i].is_new);
	}
}

CHANGE(end_none, w->bu.msg.bu.lifetime_4s = 0)
CHANGE(end_live, end_none(w); bind(w, BINDING_LIVE))
CHANGE(end_held, end_none(w); bind(w, BINDING_HELD))
CHANGE(end_expired, end_live(w); w->old.expires_ns = NOW_NS)
CHANGE(end_at_home, end_live(w); at_home(w, true))
CHANGE(end_at_home_plain, end_live(w); at_home(w, false))
CHANGE(end_at_home_none, end_none(w); at_home(w, false))
CHANGE(end_old, end_live(w); w->bu.msg.bu.sequence = 14)
CHANGE(end_old_at_home, end_old(w); at_home(w, false))
CHANGE(end_other_coa, end_live(w); w->chain.src = ip(COA2))
CHANGE(end_router, end_live(w); w->bu.msg.bu.flags |= MH_BU_R)
CHANGE(end_not_allowed, end_live(w); w->policy.is_allowed = false; w->in.policy = &w->policy)
CHANGE(end_no_network, end_live(w); w->in.network = NULL)
CHANGE(end_full, end_live(w); w->in.has_room = false)
CHANGE(end_none_elsewhere, end_none(w); w->in.network = NULL; w->in.is_agent = false)

// RFC 6275 section 10.3.2; conformance 3.1 to 3.3.
static void test_deregistration(void)
{
	static const struct row rows[] = {
		{ "bound", end_live, DECIDE_DEREGISTER, 0 },
		{ "unknown", end_none, DECIDE_REFUSE, MH_STATUS_NOT_AGENT },
		{ "in the hold", end_held, DECIDE_REFUSE, MH_STATUS_NOT_AGENT },
		{ "expired", end_expired, DECIDE_REFUSE, MH_STATUS_NOT_AGENT },
		{ "at home", end_at_home, DECIDE_DEREGISTER, 0 },
		{ "at home, no option", end_at_home_plain, DECIDE_DEREGISTER, 0 },
		{ "at home, unknown", end_at_home_none, DECIDE_REFUSE, MH_STATUS_NOT_AGENT },
		{ "old number", end_old, DECIDE_REFUSE, MH_STATUS_SEQUENCE },
		{ "old number at home", end_old_at_home, DECIDE_REFUSE, MH_STATUS_SEQUENCE },
		{ "from elsewhere", end_other_coa, DECIDE_DEREGISTER, 0 },
		{ "R is ignored", end_router, DECIDE_DEREGISTER, 0 },
		{ "no longer allowed", end_not_allowed, DECIDE_DEREGISTER, 0 },
		{ "network gone", end_no_network, DECIDE_DEREGISTER, 0 },
		{ "full", end_full, DECIDE_DEREGISTER, 0 },
		{ "elsewhere", end_none_elsewhere, DECIDE_REFUSE, MH_STATUS_NOT_AGENT },
	};

	run_rows(rows, N_ROWS(rows));
}

CHANGE(not_agent, w->in.is_agent = false)
CHANGE(not_agent_no_network, w->in.is_agent = false; w->in.network = NULL)
CHANGE(no_network, w->in.network = NULL)
CHANGE(no_network_unacked, w->in.network = NULL; w->bu.msg.bu.flags = MH_BU_H)
CHANGE(prefix_over, w->network.prefix_valid_lifetime_s = 3)
CHANGE(home_is_agent, w->chain.home = ip(AGENT))
CHANGE(not_allowed, w->policy.is_allowed = false; w->in.policy = &w->policy)
CHANGE(allowed, w->in.policy = &w->policy)
CHANGE(router, w->bu.msg.bu.flags |= MH_BU_R)
CHANGE(proxy, w->bu.msg.bu.flags |= MH_BU_P)
CHANGE(proxy_end, w->bu.msg.bu.flags |= MH_BU_P; w->bu.msg.bu.lifetime_4s = 0;
	bind(w, BINDING_LIVE))
CHANGE(other_flags, w->bu.msg.bu.flags |= 0x39ff)
CHANGE(no_ack, w->bu.msg.bu.flags = MH_BU_H)
CHANGE(coa_is_home, put_alt_coa(w, HOME))
CHANGE(home_from_home, at_home(w, true))
CHANGE(home_from_home_plain, at_home(w, false))
CHANGE(home_from_home_bound, at_home(w, false); bind(w, BINDING_LIVE))
CHANGE(home_from_home_old, at_home(w, false); bind(w, BINDING_LIVE); w->bu.msg.bu.sequence = 14)
CHANGE(no_home_option, at_home(w, false); put_alt_coa(w, COA))
CHANGE(alt_from_home, at_home(w, true); put_alt_coa(w, COA))
CHANGE(coa_is_agent, put_alt_coa(w, AGENT))
CHANGE(coa_loops, put_alt_coa(w, SERVED))
CHANGE(no_hooks, put_alt_coa(w, SERVED); w->in.hooks = (struct decide_hooks){ 0 })
CHANGE(full, w->in.has_room = false)
CHANGE(full_held, full(w); bind(w, BINDING_HELD))
CHANGE(full_refresh, full(w); bind(w, BINDING_LIVE))
CHANGE(full_move, full(w); bind(w, BINDING_LIVE); w->chain.src = ip(COA2))
CHANGE(refresh, bind(w, BINDING_LIVE))
CHANGE(move, bind(w, BINDING_LIVE); w->chain.src = ip(COA2))
CHANGE(move_by_alt, bind(w, BINDING_LIVE); put_alt_coa(w, COA2))
CHANGE(same_by_alt, bind(w, BINDING_LIVE); w->chain.src = ip(COA2); put_alt_coa(w, COA))
CHANGE(after_hold, bind(w, BINDING_HELD))

// RFC 6275 sections 10.3.1 and 15.1, RFC 3963 section 6.6, RFC 5213 section 5.3.1; conformance 2.1, 2.2,
// delta D1.
static void test_registration(void)
{
	static const struct row rows[] = {
		{ "no agent here", not_agent, DECIDE_REFUSE, MH_STATUS_NO_HOME_AGENT },
		{ "nor network", not_agent_no_network, DECIDE_REFUSE, MH_STATUS_NO_HOME_AGENT },
		{ "no network", no_network, DECIDE_REFUSE, MH_STATUS_NOT_HOME_SUBNET },
		{ "A=0", no_network_unacked, DECIDE_REFUSE, MH_STATUS_NOT_HOME_SUBNET },
		{ "prefix over", prefix_over, DECIDE_REFUSE, MH_STATUS_NOT_HOME_SUBNET },
		{ "our address as home", home_is_agent, DECIDE_REFUSE, MH_STATUS_PROHIBITED },
		{ "forbidden", not_allowed, DECIDE_REFUSE, MH_STATUS_PROHIBITED },
		{ "allowed", allowed, DECIDE_REGISTER, 0 },
		{ "R", router, DECIDE_REFUSE, MH_STATUS_NO_ROUTER },
		{ "P", proxy, DECIDE_REFUSE, MH_STATUS_NO_PROXY },
		{ "P, end", proxy_end, DECIDE_REFUSE, MH_STATUS_NO_PROXY },
		{ "L, K, unknown flags", other_flags, DECIDE_REGISTER, 0 },
		{ "A=0", no_ack, DECIDE_REGISTER, 0 },
		{ "CoA is home", coa_is_home, DECIDE_REFUSE, MH_STATUS_INVALID_COA },
		{ "from home", home_from_home, DECIDE_REFUSE, MH_STATUS_INVALID_COA },
		{ "plain", home_from_home_plain, DECIDE_REFUSE, MH_STATUS_INVALID_COA },
		{ "bound", home_from_home_bound, DECIDE_REFUSE, MH_STATUS_INVALID_COA },
		{ "old number", home_from_home_old, DECIDE_REFUSE, MH_STATUS_SEQUENCE },
		{ "no home option", no_home_option, DECIDE_REFUSE, MH_STATUS_UNSPECIFIED },
		{ "alternate, from home", alt_from_home, DECIDE_REGISTER, 0 },
		{ "CoA is agent", coa_is_agent, DECIDE_REFUSE, MH_STATUS_INVALID_COA },
		{ "cycle", coa_loops, DECIDE_REFUSE, MH_STATUS_INVALID_COA },
		{ "nobody asked", no_hooks, DECIDE_REGISTER, 0 },
		{ "full", full, DECIDE_REFUSE, MH_STATUS_RESOURCES },
		{ "full, held", full_held, DECIDE_REFUSE, MH_STATUS_RESOURCES },
		{ "not taken, refresh", full_refresh, DECIDE_REFUSE, MH_STATUS_RESOURCES },
		{ "not taken, move", full_move, DECIDE_REFUSE, MH_STATUS_RESOURCES },
		{ "refresh", refresh, DECIDE_REFRESH, 0 },
		{ "move", move, DECIDE_MOVE, 0 },
		{ "move by option", move_by_alt, DECIDE_MOVE, 0 },
		{ "same by option", same_by_alt, DECIDE_REFRESH, 0 },
		{ "after the hold", after_hold, DECIDE_REGISTER, 0 },
	};

	run_rows(rows, N_ROWS(rows));
}

// RFC 6275 section 10.3.1, function M12; conformance X6275.10.3.1-7 and -8.
static void test_lifetime(void)
{
	static const struct {
		uint16_t asked_4s;
		uint32_t network_s, valid_s, policy_s;
		bool is_deprecated;
		int status;
		uint16_t granted_4s;
	} rows[] = {
		{ 105, 420, 0, 0, false, 0, 105 },
		{ 1, 420, 0, 0, false, 0, 1 },
		{ 65535, 420, 0, 0, false, 0, 105 },
		{ 65535, 262140, 0, 0, false, 0, 65535 },
		{ 65535, UINT32_MAX, 0, 0, false, 0, 65535 },
		{ 105, 420, 0, 100, false, 0, 25 },
		{ 105, 420, 0, 4, false, 0, 1 },
		{ 105, 420, 0, 3, false, 129, 0 },
		{ 105, 420, 0, 900, false, 0, 105 },
		{ 105, 420, 421, 0, false, 1, 105 }, // in units of 4 s just as long
		{ 105, 420, 424, 0, false, 0, 105 },
		{ 105, 420, 200, 0, false, 1, 50 },
		{ 105, 420, 203, 0, false, 1, 50 },
		{ 50, 420, 204, 0, false, 0, 50 },
		{ 105, 420, 0, 0, true, 1, 105 },
		{ 105, 420, 900, 100, true, 1, 25 },
		{ 105, 420, 4, 0, false, 1, 1 },
		{ 105, 420, 3, 0, false, 132, 0 },
	};

	for (size_t i = 0; i < N_ROWS(rows); i++) {
		struct world w;

		world_make(&w);
		w.bu.msg.bu.lifetime_4s = rows[i].asked_4s;
		w.network.max_lifetime_s = rows[i].network_s;
		w.network.prefix_valid_lifetime_s = rows[i].valid_s;
		w.network.is_prefix_deprecated = rows[i].is_deprecated;
		w.policy.max_lifetime_s = rows[i].policy_s;
		w.in.policy = &w.policy;
		struct decide_verdict v = decide(&w);

		CU_ASSERT_EQUAL(v.ba.status, rows[i].status);
		CU_ASSERT_EQUAL(v.ba.lifetime_4s, rows[i].granted_4s);
	}
}

// The answer goes where the Update came from, the binding to the option's address; a proxy's answer
// repeats its flag.
static void test_answer(void)
{
	struct ip6 coa2 = ip(COA2), home = ip(HOME);
	struct decide_verdict v;
	struct world w;

	world_make(&w);
	put_alt_coa(&w, COA2);
	v = decide(&w);
	CU_ASSERT(ip6_eq(&v.coa, &coa2) && ip6_eq(&v.home, &home));
	CU_ASSERT(ip6_eq(&v.ba_dst, &w.chain.src) && v.ba_has_routed);
	world_make(&w);
	end_at_home_plain(&w);
	v = decide(&w);
	CU_ASSERT(ip6_eq(&v.ba_dst, &home) && !v.ba_has_routed);
	world_make(&w);
	end_at_home(&w);
	v = decide(&w);
	CU_ASSERT(ip6_eq(&v.ba_dst, &home) && !v.ba_has_routed);
	world_make(&w);
	proxy(&w);
	CU_ASSERT_EQUAL(decide(&w).ba.flags, MH_BA_P);
}

static void test_names(void)
{
	for (int i = 0; i < DECIDE_DROP_MAX; i++)
		CU_ASSERT_STRING_NOT_EQUAL(decide_drop_name((enum decide_drop)i), "unknown");
	CU_ASSERT_STRING_EQUAL(decide_drop_name(DECIDE_DROP_MAX), "unknown");
	for (int i = 0; i <= DECIDE_DEREGISTER; i++)
		CU_ASSERT_STRING_NOT_EQUAL(decide_kind_name((enum decide_kind)i), "unknown");
	CU_ASSERT_STRING_EQUAL(
		decide_kind_name((enum decide_kind)(DECIDE_DEREGISTER + 1)), "unknown");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "what is dropped", test_validity },
		{ "authentication and replay", test_auth },
		{ "MESG-ID of the answer", test_mesg_id_of_the_answer },
		{ "sequence numbers", test_sequence },
		{ "refused, but new", test_new_to_binding },
		{ "de-registration", test_deregistration },
		{ "registration", test_registration },
		{ "granted lifetime", test_lifetime },
		{ "where the answer goes", test_answer },
		{ "names", test_names },
		CU_TEST_INFO_NULL,
	};

	return suite_run("decide", tests);
}
