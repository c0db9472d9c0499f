// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The table of security associations: slots, which bindings name and where each use finds what it sends
// under, and inbound SAs by SPI and agent address.
//
// One writer (main lcore); any number of readers (workers, online in RCU) without a lock. An SA never
// changes but for counters, numbers and its window; a new key is a new SA. Death: unlinked, one grace
// period for all that died meanwhile, reported, wiped, reused. The hash is keyed, since SPIs come from
// outside. All of an SA lies in locked memory (dataplane/locked.h), untouched entries take none.
#pragma once

#include <rte_prefetch.h>

#include "dataplane/api/records.h"
#include "dataplane/esp_key.h"
#include "dataplane/rcu.h"
#include "dataplane/replay.h"

enum { SA_PER_SLOT = 4 }; // the table holds so many SAs a slot, however they are shared out

struct sa {
	// One line with what every packet reads. Written before it is published, but for what says otherwise.
	uint32_t spi; // host order
	uint32_t slot;
	uint8_t use, direction;
	uint8_t domain; // index
	bool is_esn;
	uint32_t is_over; // atomic: it carries nothing any more
	const struct esp_suite *suite;
	struct ip6 agent_address;
	// Out. Atomic: main lcore writes. Numbers below the floor are not used any more; from `low` on, which is
	// no more than the limit, control is asked for more.
	uint64_t seq_floor, seq_low;
	uint32_t next; // in its bucket, 0 = last; atomic: main lcore writes
	uint16_t agent;

	// One line with what every packet writes: workers, relaxed.
	uint64_t seq __rte_cache_aligned; // out: the next number, unless the floor is higher
	uint64_t packets, bytes; // that passed every check; payload
	uint64_t life_packets, life_bytes; // UINT64_MAX = no limit; atomic: main lcore writes
	uint64_t peer; // in: keyed hash of the source of the last good packet
	uint32_t told; // SA_TOLD_*: what the main lcore was told of
	uint32_t event_next; // on the list of those that it has not heard yet

	// The rest of what workers write, and what few packets read.
	uint64_t bad_icv __rte_cache_aligned; // in: dropped
	uint64_t replayed, mismatched; // in: dropped
	uint64_t refused; // dropped for lifetime or numbers
	uint64_t seq_limit; // out: first number not to be used; atomic: main lcore writes
	struct ip6 home; // written before it is published

	struct replay replay __rte_cache_aligned; // in
	struct esp_key key;

	// The main lcore's.
	uint32_t index;
	uint32_t mark; // of the synchronisation that named it last
	uint32_t sibling; // the next one of its slot
	uint32_t later; // the next one that waits for a grace period or for use
	uint16_t window;
	bool is_dying; // out of sight
	bool is_learned; // from an IKE daemon, to be shown
};

// What a slot has: one line. Main lcore writes, workers read.
struct sa_slot {
	struct sa *out[API_SA_USE_MAX]; // what each use sends under
	struct ip6 home; // valid while there is a first SA
	uint32_t first; // list of its SAs
	uint32_t protect; // uses that its mobile may have only under an SA: API_SA_BIT of each
} __rte_cache_aligned;
static_assert(sizeof(struct sa_slot) == RTE_CACHE_LINE_SIZE, "a slot is one line");

enum {
	SA_TOLD_LOW = 0x1,
	SA_TOLD_OVER = 0x2,
};

// Told of what became of an SA. Borrowed: sa, for the call only. Returns: false when control could not
// hear it. Thread: main lcore.
typedef bool (*sa_event_fn)(const struct sa *sa, enum api_sa_event_type event);

// Makes the table for slots 1..n_slots-1; 0: no table. With the right to lock memory.
// Returns: 0 or negative errno with the reason logged.
int sa_init(uint32_t n_slots, sa_event_fn tell);
void sa_free(void);

// Whether there is a table. Set once, before start.
extern bool sa_is_on;
extern struct sa_slot *sa_slot_list; // [sa_n_slots]; both likewise
extern uint32_t sa_n_slots;

// Takes an SA in. domain and agent_address: of the record's, looked up. Returns: 0, -ENOSPC, -EEXIST or
// -EOPNOTSUPP as struct api_sa_err says; -EAGAIN: only what waits for a grace period is in the way.
// Thread: main lcore.
int sa_set(const struct api_sa_set *set, uint8_t domain, const struct ip6 *agent_address);
// Returns: 0 or -ENOENT. Thread: main lcore.
int sa_del(const struct api_sa_del *del);
int sa_grant(const struct api_sa_grant *grant);

// Tells what workers had to say, finishes what a passed grace period allows. Returns: true when nothing
// is left to finish. Thread: main lcore, every turn.
bool sa_poll(void);

// Mark and sweep. Thread: main lcore.
void sa_mark_begin(void);
void sa_sweep_begin(void);
// Looks at the next `budget` entries. Returns: true when the sweep is complete.
bool sa_sweep(uint32_t budget);

// The outbound SAs of an SPI and an agent address, one by one: the mobiles choose these SPIs, so there may be
// several. after: the one before, NULL = begin. Returns: NULL at the end. Thread: main lcore.
const struct sa *sa_find_sent(
	uint32_t spi, const struct ip6 *agent_address, const struct sa *after);

uint32_t sa_count(void);

// The entry at place i of the table, 1 <= i <= sa_places(), or NULL. For `show sas`: names only what
// readers may read. Thread: any online in RCU, or the main lcore.
const struct sa *sa_at(uint32_t i);
uint32_t sa_places(void);

// --- Workers ---------------------------------------------------------------------------------------

// Looks up n inbound SAs. Shape: spis[n] (host order), dsts[n], out[n], n <= 64; out[i] = NULL on a miss.
// Owns: out[i] borrowed until the worker's next quiescent state.
void sa_lookup_bulk(
	const uint32_t *spis, const struct ip6 *const *dsts, struct sa **out, unsigned int n);

// What a use of a slot sends under, or NULL. Borrowed likewise.
static inline struct sa *sa_out(uint32_t slot, enum api_sa_use use)
{
	return likely(slot < sa_n_slots) ? rcu_load(&sa_slot_list[slot].out[use]) : NULL;
}

// The uses that a slot's mobile may have only under an SA: API_SA_BIT of each.
static inline uint32_t sa_protect(uint32_t slot)
{
	return likely(slot < sa_n_slots)
		       ? __atomic_load_n(&sa_slot_list[slot].protect, __ATOMIC_RELAXED)
		       : 0;
}

// Fetches a slot for the calls above.
static inline void sa_slot_prefetch(uint32_t slot)
{
	rte_prefetch0(&sa_slot_list[slot]);
}

// Fetches what every packet under the SA of a use reads and changes; its keys: esp.c.
static inline void sa_out_prefetch(uint32_t slot, enum api_sa_use use)
{
	const struct sa *sa = sa_out(slot, use);

	if (likely(sa != NULL)) {
		rte_prefetch0(sa);
		rte_prefetch0(&sa->seq);
	}
}

// The home address of a slot, or NULL while nothing stands in it. Borrowed likewise.
const struct ip6 *sa_home(uint32_t slot);

// The next sequence number of an outbound SA, for show.
static inline uint64_t sa_seq(const struct sa *sa)
{
	uint64_t seq = __atomic_load_n(&sa->seq, __ATOMIC_RELAXED);
	uint64_t seq_floor = __atomic_load_n(&sa->seq_floor, __ATOMIC_RELAXED);

	return RTE_MAX(seq, seq_floor);
}

// sa_seq_take where there may be none, or somebody is to be told; and what it says of a number that was taken.
uint64_t sa_seq_take_slowly(struct sa *sa);
uint64_t sa_seq_judge(struct sa *sa, uint64_t seq);

// Takes the next sequence number of an outbound SA. is_shared: other workers do, too; else nobody but this
// worker writes it. Returns: 0 when there is none.
static inline uint64_t sa_seq_take(struct sa *sa, bool is_shared)
{
	uint64_t low = __atomic_load_n(&sa->seq_low, __ATOMIC_RELAXED);
	uint64_t seq = __atomic_load_n(&sa->seq, __ATOMIC_RELAXED);

	if (unlikely(seq < __atomic_load_n(&sa->seq_floor, __ATOMIC_RELAXED) || seq >= low))
		return sa_seq_take_slowly(sa);
	if (!is_shared) {
		__atomic_store_n(&sa->seq, seq + 1, __ATOMIC_RELAXED);
		return seq;
	}
	seq = __atomic_fetch_add(&sa->seq, 1, __ATOMIC_RELAXED);
	return likely(seq < low) ? seq : sa_seq_judge(sa, seq);
}

// Ends an SA: it carries nothing any more.
void sa_end(struct sa *sa);

// Counts a packet of so many bytes. is_shared: other workers count too. Ends the SA when that was its last
// one.
static inline void sa_count_packet(struct sa *sa, uint64_t bytes, bool is_shared)
{
	uint64_t all_packets, all_bytes;

	if (is_shared) {
		all_packets = __atomic_add_fetch(&sa->packets, 1, __ATOMIC_RELAXED);
		all_bytes = __atomic_add_fetch(&sa->bytes, bytes, __ATOMIC_RELAXED);
	} else {
		all_packets = sa->packets + 1;
		all_bytes = sa->bytes + bytes;
		__atomic_store_n(&sa->packets, all_packets, __ATOMIC_RELAXED);
		__atomic_store_n(&sa->bytes, all_bytes, __ATOMIC_RELAXED);
	}
	if (unlikely(all_packets >= __atomic_load_n(&sa->life_packets, __ATOMIC_RELAXED) ||
		     all_bytes >= __atomic_load_n(&sa->life_bytes, __ATOMIC_RELAXED)))
		sa_end(sa);
}

static inline void sa_count_drop(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static inline bool sa_is_over(const struct sa *sa)
{
	return unlikely(__atomic_load_n(&sa->is_over, __ATOMIC_RELAXED) != 0);
}
