// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/pmtu.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/wire.h"

enum {
	SLOTS = 4096,
	WAYS = 8, // slots that an address may stand in
	LIFETIME_S = 600,
};

struct pmtu_entry {
	struct ip6 care_of;
	uint16_t mtu;
	uint64_t expires_ns;
	struct pmtu_entry *next; // among the retired
};

uint16_t pmtu_floor = UINT16_MAX;

static struct pmtu_entry *slots[SLOTS]; // published
static struct hash_seed seed;
static uint32_t n_entries;
static uint64_t n_learned;
static struct pmtu_entry *retired, *waiting; // unlinked; waiting for waiting_token
static uint64_t waiting_token, poll_ns;

int pmtu_init(void)
{
	return hash_seed_draw(&seed);
}

static void list_free(struct pmtu_entry **list)
{
	while (*list != NULL) {
		struct pmtu_entry *e = *list;

		*list = e->next;
		free(e);
	}
}

void pmtu_free(void)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		free(slots[i]);
		slots[i] = NULL;
	}
	list_free(&retired);
	list_free(&waiting);
	n_entries = 0;
	pmtu_floor = UINT16_MAX;
}

static unsigned int slot_of(const struct ip6 *care_of)
{
	return (unsigned int)hash_ip6(&seed, care_of) % (SLOTS / WAYS) * WAYS;
}

uint16_t pmtu_get(const struct ip6 *care_of, uint16_t link_mtu)
{
	unsigned int at = slot_of(care_of);

	for (unsigned int i = 0; i < WAYS; i++) {
		const struct pmtu_entry *e = rcu_load(&slots[at + i]);

		if (e != NULL && ip6_eq(&e->care_of, care_of))
			return RTE_MIN(e->mtu, link_mtu);
	}
	return link_mtu;
}

static void floor_renew(void)
{
	uint16_t floor = UINT16_MAX;

	for (unsigned int i = 0; i < SLOTS && n_entries > 0; i++) {
		if (slots[i] != NULL)
			floor = RTE_MIN(floor, slots[i]->mtu);
	}
	__atomic_store_n(&pmtu_floor, floor, __ATOMIC_RELAXED);
}

static void slot_put(struct pmtu_entry **slot, struct pmtu_entry *entry)
{
	struct pmtu_entry *old = *slot;

	rcu_publish(slot, entry);
	n_entries += (entry != NULL) - (old != NULL);
	if (old != NULL) {
		old->next = retired;
		retired = old;
	}
}

void pmtu_learn(const struct ip6 *care_of, uint32_t mtu)
{
	unsigned int at = slot_of(care_of);
	struct pmtu_entry *entry, **place = &slots[at];

	mtu = RTE_MIN(RTE_MAX(mtu, (uint32_t)IP6_MIN_MTU), (uint32_t)UINT16_MAX - 1);
	// Its own slot, else a free one, else that of the oldest.
	for (unsigned int i = 0; i < WAYS; i++) {
		struct pmtu_entry *e = slots[at + i];

		if (e != NULL && ip6_eq(&e->care_of, care_of)) {
			if (e->mtu <= mtu)
				return;
			place = &slots[at + i];
			break;
		}
		if (*place != NULL && (e == NULL || e->expires_ns < (*place)->expires_ns))
			place = &slots[at + i];
	}
	entry = malloc(sizeof(*entry));
	if (entry == NULL)
		return;
	*entry = (struct pmtu_entry){
		.care_of = *care_of,
		.mtu = (uint16_t)mtu,
		.expires_ns = clock_mono_ns() + LIFETIME_S * CLOCK_NS_PER_S,
	};
	slot_put(place, entry);
	n_learned++;
	floor_renew();
}

void pmtu_poll(void)
{
	uint64_t now = clock_mono_ns();

	if (waiting != NULL && rcu_done(waiting_token))
		list_free(&waiting);
	if (waiting == NULL && retired != NULL) {
		waiting = retired;
		retired = NULL;
		waiting_token = rcu_start();
	}
	if (n_entries == 0 || now < poll_ns)
		return;
	poll_ns = now + CLOCK_NS_PER_S;
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (slots[i] != NULL && slots[i]->expires_ns < now)
			slot_put(&slots[i], NULL);
	}
	floor_renew();
}

uint32_t pmtu_count(void)
{
	return n_entries;
}

uint64_t pmtu_learned(void)
{
	return n_learned;
}
