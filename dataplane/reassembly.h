// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Reassembly of fragments to our own addresses that carry tunnels or signalling (RFC 8200 section
// 4.5). Everything else that is fragmented is the kernel's matter.
//
// Hostile by nature, so: a small table of fixed size per worker, few fragments a packet, a short time,
// a bound on the buffers held, and overlaps end the packet (RFC 5722). Peers that have completed a
// checked tunnel packet before are known; strangers may not take their places.
#pragma once

#include <stdint.h>

#include "dataplane/base/addr.h"

struct reassembly;
struct worker;
struct rte_mbuf;

// Makes a table that holds at most max_buffers packet buffers. Returns: owned, or NULL.
struct reassembly *reassembly_new(uint32_t max_buffers);
// Frees it with the fragments it holds.
void reassembly_free(struct reassembly *r);

// Takes a fragment to us in (moved); at is the offset of its fragment header. Returns: the whole packet
// when this was its last missing piece (moved to the caller, with the fragment header gone; of several
// segments only where it is larger than a buffer and thus than any port's MTU), or NULL: held, handed
// to the worker where the packet's fragments meet, or dropped and counted.
struct rte_mbuf *reassembly_add(struct worker *w, struct rte_mbuf *m, unsigned int at);

// Drops what has waited too long. Cheap when nothing waits; call it every turn.
void reassembly_poll(struct worker *w);

// Notes that a reassembled packet from src passed the tunnel's source check.
void reassembly_know(struct reassembly *r, const struct ip6 *src);

// Buffers held now.
uint32_t reassembly_held(const struct reassembly *r);
