// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/codec/mh_parse.h"

#include "controlplane/codec/mh_options.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"

enum {
	MH_HEADER_LEN = 6, // up to and with the checksum
	MH_AT_PAYLOAD_PROTO = 0,
	MH_AT_HEADER_LEN = 1,
};

// Bytes of each message up to its options. RFC 6275 sections 6.1.2 to 6.1.9.
static const uint8_t fixed_len[MH_N_TYPES] = {
	[MH_BRR] = 8,
	[MH_HOTI] = 16,
	[MH_COTI] = 16,
	[MH_HOT] = 24,
	[MH_COT] = 24,
	[MH_BU] = 12,
	[MH_BA] = 12,
	[MH_BE] = 24,
};

static void read_bu(struct rcursor *r, struct mh_message *m)
{
	m->bu.sequence = rcursor_u16(r);
	m->bu.flags = rcursor_u16(r);
	m->bu.lifetime_4s = rcursor_u16(r);
}

static void read_ba(struct rcursor *r, struct mh_message *m)
{
	m->ba.status = rcursor_u8(r);
	m->ba.flags = rcursor_u8(r);
	m->ba.sequence = rcursor_u16(r);
	m->ba.lifetime_4s = rcursor_u16(r);
}

static void read_be(struct rcursor *r, struct mh_message *m)
{
	m->be.status = rcursor_u8(r);
	rcursor_u8(r); // reserved
	rcursor_copy(r, &m->be.home, sizeof(m->be.home));
}

// The first 16 bits are reserved in a Test Init, the nonce index in a Test.
static void read_test(struct rcursor *r, struct mh_message *m)
{
	uint16_t index = rcursor_u16(r);
	bool has_token = m->type == MH_HOT || m->type == MH_COT;

	m->test.nonce_index = has_token ? index : 0;
	m->test.cookie = rcursor_u64(r);
	m->test.token = has_token ? rcursor_u64(r) : 0;
}

static void read_message(struct rcursor *r, struct mh_message *m)
{
	switch ((enum mh_type)m->type) {
	case MH_BU:
		read_bu(r, m);
		break;
	case MH_BA:
		read_ba(r, m);
		break;
	case MH_BE:
		read_be(r, m);
		break;
	case MH_HOTI:
	case MH_COTI:
	case MH_HOT:
	case MH_COT:
		read_test(r, m);
		break;
	case MH_BRR:
	case MH_N_TYPES:
		rcursor_u16(r); // reserved
		break;
	}
}

// The checksum covers Header Len octets. A sender whose Header Len is too short for its type may
// have summed what it built, all of the payload: that is taken as right too, so that it is told.
static bool is_checksum_right(const struct ip6chain *c, const struct mh *mh, bool is_too_short)
{
	const struct ip6 *src = ip6chain_upper_src(c);
	const struct ip6 *dst = ip6chain_upper_dst(c);

	if (cksum_ip6(src, dst, PROTO_MH, mh->data, mh->len) == 0)
		return true;
	return is_too_short && cksum_ip6(src, dst, PROTO_MH, mh->data, c->payload_len) == 0;
}

enum mh_verdict mh_parse(const struct ip6chain *chain, struct mh *out)
{
	*out = (struct mh){ .data = chain->packet + chain->payload_at };
	struct rcursor r = rcursor_make(out->data, chain->payload_len);
	uint8_t payload_proto = rcursor_u8(&r);

	out->len = (uint16_t)((rcursor_u8(&r) + 1) * 8);
	out->msg.type = rcursor_u8(&r);
	if (!r.ok || out->len > chain->payload_len)
		return MH_TRUNCATED;
	bool is_known = out->msg.type < MH_N_TYPES;
	bool is_too_short = is_known && out->len < fixed_len[out->msg.type];

	if (!is_checksum_right(chain, out, is_too_short))
		return MH_CHECKSUM;
	if (!is_known)
		return MH_UNKNOWN_TYPE;
	if (payload_proto != PROTO_NONE) {
		out->pointer = (uint32_t)chain->payload_at + MH_AT_PAYLOAD_PROTO;
		return MH_PAYLOAD_PROTO;
	}
	if (is_too_short) {
		out->pointer = (uint32_t)chain->payload_at + MH_AT_HEADER_LEN;
		return MH_TOO_SHORT;
	}
	r = rcursor_make(out->data, out->len);
	rcursor_bytes(&r, MH_HEADER_LEN);
	read_message(&r, &out->msg);
	return mh_options_parse(r, fixed_len[out->msg.type], &out->opt) ? MH_OK : MH_BAD_OPTION;
}

const struct ip6 *mh_bu_home(const struct ip6chain *chain)
{
	return ip6chain_upper_src(chain);
}

const struct ip6 *mh_bu_coa(const struct ip6chain *chain, const struct mh *bu)
{
	return bu->opt.has_alt_coa ? &bu->opt.alt_coa : &chain->src;
}

const char *mh_verdict_name(enum mh_verdict verdict)
{
	static const char *const names[MH_VERDICT_MAX] = {
		[MH_OK] = "ok",
		[MH_TRUNCATED] = "truncated",
		[MH_CHECKSUM] = "checksum",
		[MH_UNKNOWN_TYPE] = "unknown_type",
		[MH_PAYLOAD_PROTO] = "payload_proto",
		[MH_TOO_SHORT] = "too_short",
		[MH_BAD_OPTION] = "bad_option",
	};

	return verdict < MH_VERDICT_MAX ? names[verdict] : "unknown";
}

const char *mh_status_name(uint8_t status)
{
	switch ((enum mh_status)status) {
	case MH_STATUS_ACCEPTED:
		return "accepted";
	case MH_STATUS_PREFIX_DISCOVERY:
		return "accepted but prefix discovery necessary";
	case MH_STATUS_UNSPECIFIED:
		return "reason unspecified";
	case MH_STATUS_PROHIBITED:
		return "administratively prohibited";
	case MH_STATUS_RESOURCES:
		return "insufficient resources";
	case MH_STATUS_NO_HOME_AGENT:
		return "home registration not supported";
	case MH_STATUS_NOT_HOME_SUBNET:
		return "not home subnet";
	case MH_STATUS_NOT_AGENT:
		return "not home agent for this mobile node";
	case MH_STATUS_DAD_FAILED:
		return "duplicate address detection failed";
	case MH_STATUS_SEQUENCE:
		return "sequence number out of window";
	case MH_STATUS_TYPE_CHANGE:
		return "registration type change disallowed";
	case MH_STATUS_NO_ROUTER:
		return "mobile router operation not permitted";
	case MH_STATUS_ID_MISMATCH:
		return "message id mismatch";
	case MH_STATUS_MESG_ID_REQUIRED:
		return "message id required";
	case MH_STATUS_AUTH_FAIL:
		return "authentication failed";
	case MH_STATUS_NO_PROXY:
		return "proxy registration not enabled";
	case MH_STATUS_INVALID_COA:
		return "invalid care-of address";
	}
	return "unknown";
}
