// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Putting mobiles into a table of security associations: all of them into a new one (sas_plan.c), or one that
// was learned into the one in force (sas_change.c).
//
// Thread: the loop's only.
#pragma once

#include "controlplane/sas.h"

// Where they go. A group of the reserve is open.
struct sas_place {
	struct control *control; // borrowed
	const struct networks *networks; // borrowed
	struct sas *sas; // borrowed
	uint64_t now_s; // CLOCK_REALTIME
};

// The network that a home address has its associations in, and the domain. Returns: borrowed or NULL.
const struct config_network *sas_place_network(
	const struct networks *networks, const struct ip6 *home, uint32_t *domain);

bool sas_place_has_agent(const struct config_network *network, const struct ip6 *agent);

// Fills in what follows from associations and network; out->list is owned. Returns: 0 or negative errno.
int sas_place_make(const struct sas_place *place, const struct associations *all,
	const struct config_network *network, struct sas_slot *out);

// The slot that a home had, else a free one, which is its from now on. Returns: 0, -ENOSPC or negative errno.
int sas_place_find(const struct sas_place *place, const struct reserve_home *home, uint32_t *slot);

// Moves a mobile into a free slot, or out of one.
void sas_place_put(struct sas *sas, uint32_t slot, const struct sas_slot *from);
void sas_place_pull(struct sas *sas, uint32_t slot, struct sas_slot *out);

// Brings the slot of a home address at an agent address in line with what was learned of it, or with the
// file when that is nothing any more. old: what stood there (n 0: nothing), its list is owned. slot: 0 when
// nothing has changed. Who has no place does not keep others from theirs.
// Returns: 0, or negative errno with nothing changed.
int sas_place_learned(const struct sas_place *place, const struct ip6 *home,
	const struct ip6 *agent, uint32_t *slot, struct sas_slot *old);
