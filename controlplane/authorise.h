// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Who sends a Binding Update, and may they: home network, security association, subscriber, key,
// authenticator.
#pragma once

#include "controlplane/control.h"
#include "controlplane/decide.h"

// What is known of the sender. Plain data, but for network.
struct authorise {
	uint16_t agent; // number of the agent address, or NETWORKS_NO_AGENT
	uint16_t home_prefix; // number of the home prefix, 0 = none of ours
	uint32_t domain;
	const struct config_network *network; // of the home prefix; borrowed, NULL without
	enum auth_result auth;
	uint32_t sa_slot; // that it came under and the answer leaves under, 0 = none
	bool is_dropped; // it is under no association where one is needed, or under a wrong one
	enum stats_drop drop; // with is_dropped
	bool has_policy;
	bool is_listed; // the home address is listed for this subscriber
	bool is_stranger; // authenticated, but the home address is not theirs: no binding of theirs
	bool has_key;
	struct decide_policy policy; // with has_policy
	struct subscriber_key key; // with has_key: signs the answer
	uint8_t mn_id_len;
	uint8_t mn_id[BCE_MN_ID_MAX];
};

// Looks up and verifies. Nothing is changed. In a home network with authentication ipsec an Update counts
// only under a signalling association of its home address and this agent address; another one is dropped
// without an answer.
// RFC: 4285 section 5.1.1; 6275 section 10.3.1; 4877 section 4.2.
void authorise_bu(const struct control *control, const struct api_punt *punt,
	const struct ip6chain *chain, const struct mh *bu, struct authorise *out);

// Whether a packet came under an association of this use, of its sender's home address and of the agent
// address that it is for. Returns: the slot, or 0 with the reason in *why.
uint32_t authorise_sa(const struct control *control, const struct api_punt *punt,
	const struct ip6chain *chain, uint32_t domain, uint8_t use, enum stats_drop *why);

// What authorise_bu will look for first. Borrows both.
struct subscribers_key authorise_key(const struct ip6chain *chain, const struct mh *bu);
