// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling in batches: parse → authorise → look up → decide → commit → replicate → publish → answer. Each
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
// An Update that comes inside the reverse tunnel of its own home address is dropped: RFC 6275 sections
// 11.7.1 and 11.5.5 have a mobile node send it from the care-of address, and what comes so would make
// the home address its own care-of address. A mobile behind another mobile has that one's home
// address as care-of address and sends through that one's tunnel.
void chain_punts(void *chain, const struct api_punt *const punts[], unsigned int n);
