// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Mobile prefix discovery: solicitations are answered, and bound mobiles are told of changed prefixes, all
// of it under their security associations. RFC 6275 section 10.6.
#pragma once

#include "controlplane/codec/ip6chain.h"
#include "controlplane/control.h"

// Answers a Mobile Prefix Solicitation, at most one a second of a mobile; it acknowledges what was told
// before.
void discovery_solicited(
	struct control *control, const struct api_punt *punt, const struct ip6chain *chain);

// A Binding Update of this slot was accepted: what was told in vain is told again.
void discovery_updated(struct control *control, uint32_t sa_slot);

// Sends what is due, and sees to it that no bound mobile goes without an advertisement for too long.
// Looks at a part of the slots. Once a second.
void discovery_tick(struct control *control);
