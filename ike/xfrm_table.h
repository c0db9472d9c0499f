// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The kernel's SAs and policies, joined: which mobile each SA belongs to, and what it is for. A policy says
// that (RFC 3776 section 4.1, RFC 4877 section 5), and the number reqid ties the SAs to it; without the
// number its addresses do.
//
// Thread: one. Keys are in locked memory (controlplane/secret.h).
#pragma once

#include "ike/xfrm_msg.h"

struct xfrm_table;

// Told of all associations of one mobile when they have changed. Borrowed, for the call.
typedef void (*xfrm_table_changed_fn)(
	void *ctx, const struct ip6 *home, const struct ip6 *agent, const struct associations *all);

// Returns: an owned table, or NULL with errno ENOMEM.
struct xfrm_table *xfrm_table_new(xfrm_table_changed_fn changed, void *ctx);
void xfrm_table_free(struct xfrm_table *table);

// Adds or replaces an SA, in the kernel's order of adding. Returns: 0 or -ENOMEM.
int xfrm_table_set_sa(struct xfrm_table *table, const struct xfrm_sa *sa);
void xfrm_table_delete_sa(struct xfrm_table *table, const struct xfrm_sa_id *id);

// All policies anew: begin forgets them, end finds out what changed.
void xfrm_table_policies_begin(struct xfrm_table *table);
int xfrm_table_add_policy(struct xfrm_table *table, const struct xfrm_policy *policy);
void xfrm_table_policies_end(struct xfrm_table *table);

// All SAs anew: those not set again between the two are gone. Both may begin again without an end, when
// what was read is not whole; nothing is told meanwhile.
void xfrm_table_sas_begin(struct xfrm_table *table);
void xfrm_table_sas_end(struct xfrm_table *table);

// Tells of every mobile that has associations, changed or not.
void xfrm_table_tell_all(struct xfrm_table *table);

// Tells of the mobiles that changed since the last call.
void xfrm_table_tell(struct xfrm_table *table);

struct xfrm_table_counts {
	uint32_t n_sas, n_policies, n_mobiles;
};
struct xfrm_table_counts xfrm_table_counts(const struct xfrm_table *table);
