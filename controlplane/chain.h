// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling in batches: parse → authorise → decide → commit → replicate → publish → answer. Each
// step goes over the whole batch. The binding cache changes only when the store has committed, and
// the dataplane knows of a change before its answer is sent.
#pragma once

#include "controlplane/control.h"

struct chain;

// Returns: an owned chain, or NULL with errno ENOMEM. control: borrowed.
struct chain *chain_new(struct control *control);
void chain_free(struct chain *chain);

// The link's punt handler: takes a batch of at most LINK_PUNT_BATCH through the chain and flushes
// the link. chain: a struct chain; punts are borrowed until it returns.
//
// Signalling that came inside a reverse tunnel is dropped: RFC 6275 lets a mobile node send Binding
// Updates to its home agent from the care-of address with the Home Address option, or from home, and
// never through the tunnel that the Update itself sets up (sections 11.7.1, 11.5.5). What comes so is
// an Update whose care-of address would be the home address, sent by whoever holds the tunnel.
void chain_punts(void *chain, const struct api_punt *const punts[], unsigned int n);
