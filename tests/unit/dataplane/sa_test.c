// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The SA table: what control may do to it, what workers find in it and what is left behind.

#include "dataplane/sa.c"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dataplane/suite.h"

enum { N_SLOTS = 64, MAX_EVENTS = 4096 };

static const struct ip6 agent = { { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
static const struct ip6 other_agent = { { 0x20, 1, 0xd, 0xb8, [15] = 2 } };

static struct {
	enum api_sa_event_type type;
	uint32_t slot, spi;
	uint64_t packets;
} events[MAX_EVENTS];
static unsigned int n_events;
static bool control_hears;

static bool on_event(const struct sa *sa, enum api_sa_event_type type)
{
	if (!control_hears)
		return false;
	events[n_events].type = type;
	events[n_events].slot = sa->slot;
	events[n_events].packets = sa->packets;
	events[n_events++].spi = sa->spi;
	return true;
}

static unsigned int count_events(enum api_sa_event_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_events; i++)
		n += events[i].type == type;
	return n;
}

static void setup(void)
{
	n_events = 0;
	control_hears = true;
	CU_ASSERT_EQUAL_FATAL(sa_init(N_SLOTS, on_event), 0);
}

// A record with room for its keys.
union record {
	struct api_sa_set set;
	struct {
		uint8_t head[sizeof(struct api_sa_set)];
		uint8_t keys[64];
	};
};

static union record gcm(uint32_t slot, uint32_t spi, uint8_t use, uint8_t direction)
{
	union record r = { .set = {
				   .slot = slot,
				   .spi = spi,
				   .use = use,
				   .direction = direction,
				   .encryption = API_SA_AES_GCM_16,
				   .authentication = API_SA_AEAD,
				   .enc_key_len = 20,
				   .replay_window = direction == API_SA_IN ? 64 : 0,
				   .seq_next = 1,
				   .seq_limit = 100,
				   .home = { { 0x20, 1, [14] = (uint8_t)(slot >> 8),
					   (uint8_t)slot } },
			   } };

	memset(r.keys, (int)spi, sizeof(r.keys));
	return r;
}

static int set(const union record *r)
{
	return sa_set(&r->set, 0, &agent);
}

static struct sa *look_up(uint32_t spi, const struct ip6 *dst)
{
	struct sa *sa;

	sa_lookup_bulk(&spi, &dst, &sa, 1);
	return sa;
}

static struct api_sa_del name_of(const union record *r)
{
	return (struct api_sa_del){
		.slot = r->set.slot,
		.spi = r->set.spi,
		.use = r->set.use,
		.direction = r->set.direction,
		.agent = r->set.agent,
	};
}

static void settle(void)
{
	for (unsigned int i = 0; i < 100 && !sa_poll(); i++)
		;
}

static void test_set_and_find(void)
{
	union record in = gcm(5, 2000, API_SA_SIGNALLING, API_SA_IN);
	union record out = gcm(5, 3000, API_SA_SIGNALLING, API_SA_OUT);
	struct api_sa_del del = name_of(&in);

	setup();
	CU_ASSERT_PTR_NULL(look_up(2000, &agent));
	CU_ASSERT_PTR_NULL(sa_home(5));
	in.set.protect = out.set.protect = API_SA_BIT(API_SA_PAYLOAD);
	CU_ASSERT_EQUAL(set(&in), 0);
	CU_ASSERT_EQUAL(set(&out), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(look_up(2000, &agent));
	CU_ASSERT_EQUAL(look_up(2000, &agent)->slot, 5);
	CU_ASSERT_PTR_NULL(look_up(2001, &agent));
	CU_ASSERT_PTR_NULL(look_up(2000, &other_agent));
	CU_ASSERT_PTR_NULL(look_up(3000, &agent)); // what we send under is nothing that comes in
	CU_ASSERT_EQUAL(sa_out(5, API_SA_SIGNALLING)->spi, 3000);
	CU_ASSERT_PTR_NULL(sa_out(5, API_SA_PAYLOAD));
	CU_ASSERT_PTR_NULL(sa_out(6, API_SA_SIGNALLING));
	CU_ASSERT_PTR_NULL(sa_out(N_SLOTS, API_SA_SIGNALLING));
	CU_ASSERT_EQUAL(sa_protect(5), API_SA_BIT(API_SA_PAYLOAD));
	CU_ASSERT_TRUE(ip6_eq(sa_home(5), &in.set.home));
	CU_ASSERT_EQUAL(sa_count(), 2);
	CU_ASSERT_EQUAL(sa_del(&del), 0);
	CU_ASSERT_EQUAL(sa_del(&del), -ENOENT);
	CU_ASSERT_PTR_NULL(look_up(2000, &agent));
	settle();
	CU_ASSERT_EQUAL(n_events, 1);
	CU_ASSERT_EQUAL(events[0].type, API_SA_FINAL);
	CU_ASSERT_EQUAL(events[0].spi, 2000);
	sa_free();
}

// What is against the rules leaves no trace.
static void test_refused(void)
{
	union record good = gcm(5, 2000, API_SA_SIGNALLING, API_SA_IN), bad;

	setup();
	CU_ASSERT_EQUAL(set(&good), 0);
#define REFUSED(error, change)                     \
	do {                                       \
		bad = good;                        \
		bad.set.spi = 2100;                \
		change;                            \
		CU_ASSERT_EQUAL(set(&bad), error); \
	} while (0)
	REFUSED(-ENOSPC, bad.set.slot = 0);
	REFUSED(-ENOSPC, bad.set.slot = N_SLOTS);
	REFUSED(-EOPNOTSUPP, bad.set.spi = 255);
	REFUSED(-EOPNOTSUPP, bad.set.use = 0);
	REFUSED(-EOPNOTSUPP, bad.set.use = API_SA_USE_MAX);
	REFUSED(-EOPNOTSUPP, bad.set.direction = 0);
	REFUSED(-EOPNOTSUPP, bad.set.direction = 3);
	REFUSED(-EOPNOTSUPP, bad.set.enc_key_len = 16);
	REFUSED(-EOPNOTSUPP, bad.set.auth_key_len = 20);
	REFUSED(-EOPNOTSUPP, bad.set.encryption = 0);
	REFUSED(-EOPNOTSUPP, bad.set.replay_window = 33);
	REFUSED(-EOPNOTSUPP, bad.set.replay_window = 4128);
	REFUSED(-EOPNOTSUPP, (bad.set.flags = API_SA_ESN, bad.set.replay_window = 0));
	REFUSED(-EOPNOTSUPP, (bad.set.direction = API_SA_OUT, bad.set.seq_next = 0));
	REFUSED(-EEXIST, (bad.set.spi = 2000, bad.set.slot = 6));
#undef REFUSED
	CU_ASSERT_EQUAL(sa_count(), 1);
	CU_ASSERT_PTR_NULL(look_up(2100, &agent));
	CU_ASSERT_EQUAL(look_up(2000, &agent)->slot, 5);
	sa_free();
}

static void same_again(bool is_shared)
{
	union record out = gcm(1, 3000, API_SA_PAYLOAD, API_SA_OUT);
	union record in = gcm(1, 2000, API_SA_PAYLOAD, API_SA_IN);
	struct sa *sa;

	setup();
	CU_ASSERT_EQUAL(set(&out), 0);
	CU_ASSERT_EQUAL(set(&in), 0);
	sa = sa_out(1, API_SA_PAYLOAD);
	for (uint64_t i = 1; i <= 40; i++)
		CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), i);
	sa_count_packet(sa, 100, false);
	CU_ASSERT_TRUE(replay_mark(&look_up(2000, &agent)->replay, 9));

	// A restarted control process begins where it has reserved to, never earlier.
	out.set.seq_next = 20;
	CU_ASSERT_EQUAL(set(&out), 0);
	CU_ASSERT_PTR_EQUAL(sa_out(1, API_SA_PAYLOAD), sa);
	CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), 41);
	out.set.seq_next = 70;
	CU_ASSERT_EQUAL(set(&out), 0);
	CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), 70);
	CU_ASSERT_EQUAL(sa->packets, 1);
	CU_ASSERT_EQUAL(set(&in), 0);
	CU_ASSERT_FALSE(replay_may_pass(&look_up(2000, &agent)->replay, 9));
	// A lower limit takes nothing back.
	out.set.seq_limit = 10;
	CU_ASSERT_EQUAL(set(&out), 0);
	CU_ASSERT_EQUAL(sa->seq_limit, 100);
	settle();
	CU_ASSERT_EQUAL(count_events(API_SA_FINAL), 0);

	// Other keys are another SA: with numbers and a window of its own.
	out.keys[0] ^= 1;
	out.set.seq_next = 1;
	CU_ASSERT_EQUAL(set(&out), 0);
	CU_ASSERT_EQUAL(sa_seq_take(sa_out(1, API_SA_PAYLOAD), is_shared), 1);
	in.keys[0] ^= 1;
	CU_ASSERT_EQUAL(set(&in), 0);
	CU_ASSERT_TRUE(replay_may_pass(&look_up(2000, &agent)->replay, 9));
	settle();
	CU_ASSERT_EQUAL(count_events(API_SA_FINAL), 2);
	CU_ASSERT_EQUAL(sa_count(), 2);
	sa_free();
}

static void test_same_again(void)
{
	same_again(false);
	same_again(true);
}

static void test_rekeying(void)
{
	union record old_in = gcm(1, 2000, API_SA_PAYLOAD, API_SA_IN);
	union record old_out = gcm(1, 3000, API_SA_PAYLOAD, API_SA_OUT);
	union record new_in = gcm(1, 2001, API_SA_PAYLOAD, API_SA_IN);
	union record new_out = gcm(1, 3001, API_SA_PAYLOAD, API_SA_OUT);
	struct api_sa_del del = name_of(&old_in);

	setup();
	set(&old_in);
	set(&old_out);
	CU_ASSERT_EQUAL(set(&new_in), 0);
	CU_ASSERT_EQUAL(set(&new_out), 0);
	CU_ASSERT_PTR_NOT_NULL(look_up(2000, &agent)); // both, until the mobile has changed too
	CU_ASSERT_PTR_NOT_NULL(look_up(2001, &agent));
	CU_ASSERT_EQUAL(sa_out(1, API_SA_PAYLOAD)->spi, 3001);
	settle();
	CU_ASSERT_EQUAL(n_events, 1);
	CU_ASSERT_EQUAL(events[0].spi, 3000);
	CU_ASSERT_EQUAL(sa_del(&del), 0);
	CU_ASSERT_PTR_NULL(look_up(2000, &agent));
	CU_ASSERT_PTR_NOT_NULL(look_up(2001, &agent));
	sa_free();
}

static void numbers_and_grants(bool is_shared)
{
	union record out = gcm(1, 3000, API_SA_PAYLOAD, API_SA_OUT);
	struct api_sa_grant grant_200 = { .slot = 1,
		.spi = 3000,
		.use = API_SA_PAYLOAD,
		.direction = API_SA_OUT,
		.seq_limit = 200 };
	struct sa *sa;

	setup();
	set(&out);
	sa = sa_out(1, API_SA_PAYLOAD);
	control_hears = false;
	for (uint64_t i = 1; i < 100; i++) {
		CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), i);
		sa_poll();
		CU_ASSERT_TRUE(i > 70 || (sa->told & SA_TOLD_LOW) == 0);
		if (i == 90)
			control_hears = true;
	}
	// Told late, but told, and once.
	CU_ASSERT_EQUAL(count_events(API_SA_LOW), 1);
	for (unsigned int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), 0);
	CU_ASSERT_EQUAL(sa->seq, 100); // not one number lost
	CU_ASSERT_EQUAL(sa_grant(&grant_200), 0);
	for (uint64_t i = 100; i < 200; i++)
		CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), i);
	CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), 0);
	settle();
	CU_ASSERT_EQUAL(count_events(API_SA_LOW), 2);
	CU_ASSERT_EQUAL(count_events(API_SA_EXPIRED), 0);
	grant_200.spi = 3001;
	CU_ASSERT_EQUAL(sa_grant(&grant_200), -ENOENT);
	sa_free();
}

static void test_numbers_and_grants(void)
{
	numbers_and_grants(false);
	numbers_and_grants(true);
}

// Numbers never come round, with and without extended ones.
static void last_number(bool is_shared)
{
	static const uint64_t ends[] = { 1ULL << 32, 1ULL << 56 };

	for (unsigned int i = 0; i < 2; i++) {
		union record out = gcm(1, 3000, API_SA_PAYLOAD, API_SA_OUT);
		struct sa *sa;

		setup();
		out.set.flags = i == 1 ? API_SA_ESN : 0;
		out.set.seq_next = ends[i] - 3;
		out.set.seq_limit = UINT64_MAX;
		CU_ASSERT_EQUAL(set(&out), 0);
		sa = sa_out(1, API_SA_PAYLOAD);
		for (uint64_t n = ends[i] - 3; n < ends[i]; n++)
			CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), n);
		CU_ASSERT_FALSE(sa_is_over(sa));
		for (unsigned int n = 0; n < 10; n++)
			CU_ASSERT_EQUAL(sa_seq_take(sa, is_shared), 0);
		CU_ASSERT_TRUE(sa_is_over(sa));
		settle();
		CU_ASSERT_EQUAL(count_events(API_SA_EXPIRED), 1);
		CU_ASSERT_EQUAL(count_events(API_SA_LOW), 0);
		sa_free();
	}
}

static void test_last_number(void)
{
	last_number(false);
	last_number(true);
}

enum { N_TAKEN = 20000 };

static struct sa *taken_from;
static uint8_t taken[4 * N_TAKEN];

static void *take_numbers(void *highest)
{
	for (unsigned int i = 0; i < N_TAKEN; i++) {
		uint64_t seq = sa_seq_take(taken_from, true);

		if (seq == 0)
			continue;
		if (seq >= sizeof(taken) || seq <= *(uint64_t *)highest)
			abort();
		*(uint64_t *)highest = seq;
		__atomic_fetch_add(&taken[seq], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

// Two workers at once, while control grants and raises: no number twice, each worker's in order, none from
// a limit on.
static void test_numbers_of_two(void)
{
	union record out = gcm(1, 3000, API_SA_PAYLOAD, API_SA_OUT);
	uint64_t highest[2] = { 0 };
	pthread_t threads[2];

	setup();
	set(&out);
	taken_from = sa_out(1, API_SA_PAYLOAD);
	memset(taken, 0, sizeof(taken));
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, take_numbers, &highest[i]);
	for (out.set.seq_limit = 100; out.set.seq_limit < 3 * N_TAKEN; out.set.seq_limit += 100) {
		out.set.seq_next = out.set.seq_limit / 3;
		set(&out);
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < sizeof(taken); i++)
		CU_ASSERT_TRUE(taken[i] <= (i > 0 && i < out.set.seq_limit));
	CU_ASSERT_TRUE(highest[0] > 0 || highest[1] > 0);
	sa_free();
}

static void test_lifetimes(void)
{
	union record in = gcm(1, 2000, API_SA_PAYLOAD, API_SA_IN);
	struct sa *sa;

	for (unsigned int i = 0; i < 2; i++) {
		setup();
		in.set.life_packets = i == 0 ? 10 : 0;
		in.set.life_bytes = i == 0 ? 0 : 1000;
		set(&in);
		sa = look_up(2000, &agent);
		for (unsigned int n = 0; n < 9; n++)
			sa_count_packet(sa, 100, i);
		CU_ASSERT_FALSE(sa_is_over(sa));
		sa_count_packet(sa, 100, i);
		CU_ASSERT_TRUE(sa_is_over(sa));
		sa_count_packet(sa, 100, i);
		settle();
		CU_ASSERT_EQUAL(count_events(API_SA_EXPIRED), 1);
		sa_free();
	}
}

// Nothing of a key is left where an SA was, and nothing of the SA goes before readers are done.
static void test_wiped_after_grace(void)
{
	union record in = gcm(1, 2000, API_SA_PAYLOAD, API_SA_IN);
	struct api_sa_del del = name_of(&in);
	const uint8_t *bytes;
	struct sa *sa;
	bool is_clean = true;

	setup();
	set(&in);
	sa = look_up(2000, &agent);
	rcu_online(0);
	CU_ASSERT_EQUAL(sa_del(&del), 0);
	for (unsigned int i = 0; i < 10; i++)
		CU_ASSERT_FALSE(sa_poll());
	CU_ASSERT_EQUAL(sa->spi, 2000); // a worker still uses it
	CU_ASSERT_EQUAL(memcmp(sa->key.raw, in.keys, 20), 0);
	rcu_quiescent(0);
	settle();
	rcu_offline(0);
	CU_ASSERT_EQUAL(count_events(API_SA_FINAL), 1);
	bytes = (const uint8_t *)sa;
	for (size_t i = 0; i < sizeof(*sa); i++)
		is_clean &= bytes[i] == 0;
	CU_ASSERT_TRUE(is_clean);
	sa_free();
}

// Locked, and not in core files.
static void test_locked(void)
{
	union record in = gcm(1, 2000, API_SA_PAYLOAD, API_SA_IN);
	char line[512];
	bool is_inside = false, is_locked = false, is_dumped = true;
	unsigned long from, to, at;
	FILE *f;

	setup();
	set(&in);
	at = (unsigned long)(uintptr_t)look_up(2000, &agent);
	f = fopen("/proc/self/smaps", "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_inside = at >= from && at < to;
		if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
			is_locked = strstr(line, " lo") != NULL;
			is_dumped = strstr(line, " dd") == NULL;
		}
	}
	fclose(f);
	CU_ASSERT_TRUE(is_locked);
	CU_ASSERT_FALSE(is_dumped);
	sa_free();
}

// Those that errors from the way may be about.
static void test_sent(void)
{
	union record a = gcm(1, 3000, API_SA_PAYLOAD, API_SA_OUT);
	union record b = gcm(2, 3000, API_SA_PAYLOAD, API_SA_OUT);
	union record in = gcm(3, 3000, API_SA_PAYLOAD, API_SA_IN);
	struct api_sa_del del = name_of(&a);
	const struct sa *first, *second;

	setup();
	CU_ASSERT_PTR_NULL(sa_find_sent(3000, &agent, NULL));
	set(&a);
	set(&b);
	set(&in);
	first = sa_find_sent(3000, &agent, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	second = sa_find_sent(3000, &agent, first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	CU_ASSERT_EQUAL(first->slot + second->slot, 3);
	CU_ASSERT_PTR_NULL(sa_find_sent(3000, &agent, second));
	CU_ASSERT_PTR_NULL(sa_find_sent(3000, &other_agent, NULL));
	CU_ASSERT_PTR_NULL(sa_find_sent(3001, &agent, NULL));
	CU_ASSERT_EQUAL(sa_del(&del), 0);
	first = sa_find_sent(3000, &agent, NULL);
	CU_ASSERT_EQUAL(first->slot, 2);
	CU_ASSERT_PTR_NULL(sa_find_sent(3000, &agent, first));
	sa_free();
}

static void test_full(void)
{
	const uint32_t n = (N_SLOTS)*SA_PER_SLOT;
	union record in;

	setup();
	for (uint32_t i = 0; i < n; i++) {
		in = gcm(1 + i % (N_SLOTS - 1), 1000 + i, API_SA_PAYLOAD, API_SA_IN);
		CU_ASSERT_EQUAL_FATAL(set(&in), 0);
	}
	in = gcm(1, 999, API_SA_PAYLOAD, API_SA_IN);
	CU_ASSERT_EQUAL(set(&in), -ENOSPC);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(look_up(1000 + i, &agent));
	// One goes: there is room after its grace period, not before.
	in = gcm(1, 1000, API_SA_PAYLOAD, API_SA_IN);
	{
		struct api_sa_del del = name_of(&in);

		CU_ASSERT_EQUAL(sa_del(&del), 0);
	}
	in = gcm(1, 999, API_SA_PAYLOAD, API_SA_IN);
	CU_ASSERT_EQUAL(set(&in), -EAGAIN);
	settle();
	CU_ASSERT_EQUAL(set(&in), 0);
	sa_free();
}

static void test_sweep(void)
{
	union record r[20];

	setup();
	for (uint32_t i = 0; i < 20; i++) {
		r[i] = gcm(1 + i, 1000 + i, API_SA_PAYLOAD, i % 2 == 0 ? API_SA_IN : API_SA_OUT);
		CU_ASSERT_EQUAL(set(&r[i]), 0);
	}
	sa_mark_begin();
	for (uint32_t i = 0; i < 20; i += 3)
		CU_ASSERT_EQUAL(set(&r[i]), 0);
	CU_ASSERT_EQUAL(sa_count(), 20);
	sa_sweep_begin();
	while (!sa_sweep(4))
		;
	CU_ASSERT_EQUAL(sa_count(), 7);
	settle();
	CU_ASSERT_EQUAL(count_events(API_SA_FINAL), 13);
	for (uint32_t i = 0; i < 20; i++) {
		bool is_there = i % 2 == 0 ? look_up(1000 + i, &agent) != NULL
					   : sa_out(1 + i, API_SA_PAYLOAD) != NULL;

		CU_ASSERT_EQUAL(is_there, i % 3 == 0);
	}
	sa_free();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "set, find, delete", test_set_and_find },
		{ "what is refused", test_refused },
		{ "the same again", test_same_again },
		{ "rekeying", test_rekeying },
		{ "numbers and grants", test_numbers_and_grants },
		{ "the last number", test_last_number },
		{ "numbers of two workers", test_numbers_of_two },
		{ "lifetimes", test_lifetimes },
		{ "wiped, after a grace period", test_wiped_after_grace },
		{ "locked memory", test_locked },
		{ "sent under", test_sent },
		{ "full", test_full },
		{ "sweep", test_sweep },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("sa", tests);
}
