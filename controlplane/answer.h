// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The packets that answer signalling, put behind what the dataplane was told before.
#pragma once

#include "controlplane/authorise.h"
#include "controlplane/control.h"
#include "controlplane/decide.h"

// Puts a whole IPv6 packet of ours. With a slot it leaves under that slot's association of this use.
// Returns: false when the link does not take it.
bool answer_put(
	struct control *control, const void *packet, size_t len, uint32_t sa_slot, uint8_t sa_use);

// Puts the Binding Acknowledgement of a verdict (DECIDE_REFUSE or above), signed when the Update had
// an MN-HA option of a key that we have, under the security association that the Update came under. A refusal of somebody who is not authenticated is subject to
// the rate limit.
// RFC: 6275 section 9.5.4; 4285 section 5.1.1.
void answer_ba(struct control *control, const struct ip6chain *chain, const struct mh *bu,
	const struct authorise *who, const struct decide_verdict *verdict);

// Puts a Binding Error, status 2, about an unknown Mobility Header type. RFC 6275 sections 9.2, 9.3.3.
void answer_unknown_type(struct control *control, const struct ip6chain *chain);

// Puts an ICMPv6 Parameter Problem about the packet. RFC 6275 section 9.2, RFC 4443 section 3.4.
void answer_param_problem(
	struct control *control, const struct ip6chain *chain, uint8_t code, uint32_t pointer);
