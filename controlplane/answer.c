// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/answer.h"

#include "controlplane/codec/icmp6.h"
#include "controlplane/codec/mh_build.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/wire.h"

enum { ANSWER_HOP_LIMIT = 64 };

static bool may_send(struct control *control, const struct ip6 *to)
{
	if (limiter_take(&control->limiter, to, clock_mono_ns()))
		return true;
	control->stats.drops[STATS_DROP_LIMITED]++;
	return false;
}

bool answer_put(
	struct control *control, const void *packet, size_t len, uint32_t sa_slot, uint8_t sa_use)
{
	struct api_packet_out *out =
		link_put(control->link, API_PACKET_OUT, 0, api_rec_len(sizeof(*out), len));

	if (out == NULL)
		return false;
	out->packet_len = (uint32_t)len;
	out->sa_slot = sa_slot;
	out->sa_use = sa_slot != 0 ? sa_use : 0;
	memcpy(out->packet, packet, len);
	return true;
}

// Puts the IPv6 headers in front of a message that stands in packet at the length of the head.
static bool put_mh(struct control *control, uint8_t *packet, size_t size,
	const struct ip6chain_head *head, ssize_t mh_len, uint32_t sa_slot)
{
	ssize_t len = mh_len;

	if (len >= 0)
		len = ip6chain_write(packet, size, head, PROTO_MH, (size_t)mh_len);
	if (len < 0) {
		log_err("answer_failed error=%zd", len);
		return false;
	}
	return answer_put(control, packet, (size_t)len, sa_slot, API_SA_SIGNALLING);
}

// Adds the options of an acknowledgement. Returns: 0 or negative errno.
static int add_options(struct control *control, struct mh_build *b, const uint8_t *mh,
	const struct ip6chain *chain, const struct mh *bu, const struct authorise *who,
	const struct decide_verdict *verdict)
{
	uint8_t *authenticator;

	if (verdict->ba_has_mesg_id)
		mh_build_mesg_id(b, verdict->ba_mesg_id);
	if (!bu->opt.has_mn_ha || !who->has_key)
		return 0;
	authenticator = mh_build_mn_ha(b, bu->opt.mn_ha.spi);
	if (authenticator == NULL)
		return 0; // mh_build_end tells
	return auth_sign(control->auth, who->key.key, who->key.len, mh_bu_coa(chain, bu),
		mh_bu_home(chain), mh, (size_t)(authenticator - mh), authenticator);
}

// A refusal that a copy of an old Update draws as well: the authenticator does not cover the IPv6 source
// that the answer goes to.
static bool is_of_replay(const struct decide_verdict *verdict)
{
	return verdict->ba.status == MH_STATUS_SEQUENCE ||
	       verdict->ba.status == MH_STATUS_ID_MISMATCH ||
	       verdict->ba.status == MH_STATUS_MESG_ID_REQUIRED;
}

void answer_ba(struct control *control, const struct ip6chain *chain, const struct mh *bu,
	const struct authorise *who, const struct decide_verdict *verdict)
{
	struct ip6chain_head head = { .src = chain->dst,
		.dst = verdict->ba_dst,
		.routed = verdict->ba_has_routed ? &verdict->home : NULL,
		.hop_limit = ANSWER_HOP_LIMIT };
	struct mh_message message = { .type = MH_BA, .ba = verdict->ba };
	uint8_t packet[IP6CHAIN_HEAD_MAX + 256] __attribute__((aligned(8)));
	size_t head_len = ip6chain_head_len(&head);
	struct mh_build b;
	int error;

	if (verdict->kind == DECIDE_REFUSE && (who->auth != AUTH_OK || is_of_replay(verdict)) &&
		!may_send(control, &verdict->ba_dst))
		return;
	mh_build_start(&b, packet + head_len, sizeof(packet) - head_len, &message);
	error = add_options(control, &b, packet + head_len, chain, bu, who, verdict);
	if (error != 0) {
		log_err("answer_failed error=%d", error);
		return;
	}
	if (put_mh(control, packet, sizeof(packet), &head,
		    mh_build_end(&b, &head.src,
			    verdict->ba_has_routed ? &verdict->home : &verdict->ba_dst),
		    who->sa_slot))
		control->stats.answers[verdict->ba.status]++;
}

void answer_unknown_type(struct control *control, const struct ip6chain *chain)
{
	struct ip6chain_head head = {
		.src = chain->dst, .dst = chain->src, .hop_limit = ANSWER_HOP_LIMIT
	};
	struct mh_message message = { .type = MH_BE, .be = { .status = MH_BE_UNKNOWN_TYPE } };
	uint8_t packet[IP6CHAIN_HEAD_MAX + 64] __attribute__((aligned(8)));
	size_t head_len = ip6chain_head_len(&head);
	struct mh_build b;

	if (!ip6_is_unicast_routable(&chain->src)) {
		control->stats.drops[STATS_DROP_NOT_ANSWERABLE]++;
		return;
	}
	if (!may_send(control, &chain->src))
		return;
	if (chain->has_home)
		message.be.home = chain->home;
	mh_build_start(&b, packet + head_len, sizeof(packet) - head_len, &message);
	if (put_mh(control, packet, sizeof(packet), &head, mh_build_end(&b, &head.src, &head.dst),
		    0))
		control->stats.n_binding_errors++;
}

void answer_param_problem(
	struct control *control, const struct ip6chain *chain, uint8_t code, uint32_t pointer)
{
	uint8_t packet[IP6_MIN_MTU];
	ssize_t len = icmp6_param_problem(packet, sizeof(packet), &chain->dst, code, pointer,
		chain->packet, chain->packet_len);

	if (len <= 0) {
		control->stats.drops[STATS_DROP_NOT_ANSWERABLE]++;
		return;
	}
	if (may_send(control, &chain->src) && answer_put(control, packet, (size_t)len, 0, 0))
		control->stats.n_param_problems++;
}
