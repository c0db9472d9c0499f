// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Bindings over a restart: what a new process makes of the log of an old one.

#include "controlplane/bindings.h"

#include <errno.h>
#include <event2/event.h>

#include "controlplane/mgmt.h"
#include "controlplane/review.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

enum { MAX_BINDINGS = 3000 };

static const char config_text[] =
	"{\"node\": {\"name\": \"t\"}, \"dataplane\": {\"max_bindings\": 3000, \"ports\": "
	"[{\"name\": \"p0\", \"device\": \"net_null0\", \"addresses\": [\"2001:db8:ff::1/64\"]}]},"
	"\"home_networks\": [{\"name\": \"n\", \"protocols\": [\"mip6\"], \"prefixes\": "
	"[\"2001:db8:1::/64\"], \"agent_addresses\": [\"2001:db8:1::1\"], \"link\": \"virtual\", "
	"\"authentication\": \"none\"}]}";

static char dir[64];

static void close_control(struct control *control)
{
	mgmt_free(control->mgmt);
	link_free(control->link);
	event_base_free(control->base);
	store_close(control->store);
	bcache_free(control->bcache);
	wheel_free(control->wheel);
	config_free(control->config);
	free(control);
}

static struct control *open_control(void)
{
	struct store_options options = { .dir = dir, .n_slots = bcache_slots(MAX_BINDINGS) };
	struct control *control = calloc(1, sizeof(*control));
	char err[STORE_ERR_LEN];

	CU_ASSERT_EQUAL(store_boot_id(options.boot_id), 0);
	control->base = event_base_new();
	control->run_dir = dir;
	control->link = link_new(control->base, "", &(struct link_handlers){ 0 });
	control->mgmt = mgmt_new(control);
	CU_ASSERT_PTR_NOT_NULL_FATAL(control->link);
	CU_ASSERT_PTR_NOT_NULL_FATAL(control->mgmt);
	control->config = config_parse(config_text, strlen(config_text), "test", stderr);
	control->store = store_open(&options, err);
	control->bcache = bcache_new(MAX_BINDINGS);
	control->wheel = wheel_new(options.n_slots, clock_boot_ns());
	CU_ASSERT_PTR_NOT_NULL_FATAL(control->config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(control->store);
	CU_ASSERT_EQUAL(networks_set(&control->networks, control->config), 0);
	return control;
}

// Appends a record as an earlier process did; it ends (ended) end_s from now.
static void put(struct control *control, uint32_t handle, const char *home, enum bce_state state,
	int64_t end_s, uint16_t sequence)
{
	struct store_time now = control_time();
	struct store_entry entry = { .handle = handle,
		.bce = { .state = (uint8_t)state, .sequence = sequence, .lifetime_s = 420 } };

	ip6_parse(home, &entry.bce.home);
	ip6_parse("2001:db8:aa::1", &entry.bce.care_of.address);
	ip6_parse("2001:db8:1::1", &entry.agent);
	entry.bce.care_of.mode = API_TUNNEL_IP6_IP6;
	entry.bce.expires_ns = now.boot_ns + (uint64_t)(end_s * 1000000000);
	CU_ASSERT_EQUAL(store_begin(control->store), 0);
	CU_ASSERT_EQUAL(store_put(control->store, &entry, now), 0);
	CU_ASSERT_EQUAL(store_commit(control->store), 0);
}

static struct control *restart(struct control *control)
{
	close_control(control);
	control = open_control();
	CU_ASSERT_EQUAL(bindings_restore(control), 0);
	return control;
}

static uint32_t find(const struct control *control, const char *home)
{
	struct bcache_key key = { 0 };

	ip6_parse(home, &key.home);
	return bcache_find(control->bcache, &key);
}

static uint8_t state_of(const struct control *control, const char *home)
{
	const struct bce *bce = bcache_at(control->bcache, find(control, home));

	return bce != NULL ? bce->state : BCE_FREE;
}

static void test_restore(void)
{
	struct control *control = open_control();
	const struct bce *bce;

	put(control, 0, "2001:db8:1::a0", BCE_LIVE, 100, 10);
	put(control, 1, "2001:db8:1::a1", BCE_LIVE, -2, 11); // ended within the hold
	put(control, 2, "2001:db8:1::a2", BCE_LIVE, -100000, 12); // ended long ago
	put(control, 3, "2001:db8:1::a3", BCE_HOLD, 5, 13);
	put(control, 4, "2001:db8:9::a4", BCE_LIVE, 100, 14); // of no home network of ours
	control = restart(control);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a0"), BCE_LIVE);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a1"), BCE_HOLD);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a2"), BCE_HOLD);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a3"), BCE_HOLD);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:9::a4"), BCE_UNSERVED);
	bce = bcache_at(control->bcache, find(control, "2001:db8:1::a0"));
	CU_ASSERT_EQUAL(bce->sequence, 10);
	CU_ASSERT_NOT_EQUAL(bce->home_prefix, 0);
	CU_ASSERT_EQUAL(control->networks.prefixes[bce->home_prefix].n_bindings, 1);
	close_control(control);
	scratch_remove(dir);
}

// The dataplane hears of every end before it is forgotten, however long ago it was.
static void test_ends_are_told(void)
{
	struct control *control;

	scratch_make(dir);
	control = open_control();
	put(control, 2, "2001:db8:1::a2", BCE_LIVE, -100000, 12);
	control = restart(control);
	CU_ASSERT(bcache_is_dirty(control->bcache, 2));
	while (bindings_expire(control))
		;
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a2"), BCE_HOLD);
	bcache_clear_dirty(control->bcache, 2); // told
	wheel_arm(control->wheel, 2, 0);
	usleep(1100000); // the wheel turns once a second
	while (bindings_expire(control))
		;
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a2"), BCE_FREE);
	close_control(control);
	scratch_remove(dir);
}

// A binding that ended and was forgotten, then came again under another handle.
static void test_older_handle(void)
{
	struct control *control;

	scratch_make(dir);
	control = open_control();
	put(control, 5, "2001:db8:1::b", BCE_LIVE, -20, 1);
	put(control, 9, "2001:db8:1::b", BCE_LIVE, 100, 2);
	control = restart(control);
	CU_ASSERT_EQUAL(find(control, "2001:db8:1::b"), 9);
	CU_ASSERT_EQUAL(bcache_at(control->bcache, 9)->sequence, 2);
	CU_ASSERT_PTR_NULL(bcache_at(control->bcache, 5));
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, 1);
	CU_ASSERT_EQUAL(store_stats(control->store).n_live, 1);
	close_control(control);
	scratch_remove(dir);
}

// As many live ones as fit, and ended ones in the log: those that live come first.
static void test_full(void)
{
	struct control *control;

	scratch_make(dir);
	control = open_control();
	for (uint32_t i = 0; i < MAX_BINDINGS; i++) {
		char home[IP6_STRLEN];

		snprintf(home, sizeof(home), "2001:db8:1::c:%x", i);
		put(control, i, home, BCE_LIVE, 100, 1);
	}
	put(control, MAX_BINDINGS + 1, "2001:db8:1::d", BCE_LIVE, -20, 1);
	control = restart(control);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, MAX_BINDINGS);
	close_control(control);
	scratch_remove(dir);
}

// Takes the home network away, or gives it back, as a reload does.
static void set_networks(struct control *control, uint16_t n)
{
	control->config->n_networks = n;
	CU_ASSERT_EQUAL(networks_set(&control->networks, control->config), 0);
}

static unsigned int review(struct control *control)
{
	unsigned int n_turns = 0;

	review_begin(control);
	do {
		review_turn(control);
		n_turns++;
	} while (control->review.is_due && n_turns < 100);
	CU_ASSERT_FALSE(control->review.is_due);
	return n_turns;
}

// A configuration that lacks a home network at a start takes nothing from its bindings for good: they
// keep their handles, their place in the log, and live again when it is corrected.
static void test_unserved(void)
{
	struct control *control;
	uint32_t handle;

	scratch_make(dir);
	control = open_control();
	put(control, 0, "2001:db8:1::a0", BCE_LIVE, 100, 10);
	put(control, 1, "2001:db8:1::a1", BCE_HOLD, 5, 11);
	put(control, 2, "2001:db8:1::a2", BCE_LIVE, 1, 12); // ends while it is unserved
	close_control(control);
	control = open_control();
	memset(&control->networks, 0, sizeof(control->networks));
	set_networks(control, 0);
	CU_ASSERT_EQUAL(bindings_restore(control), 0);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_unserved, 3);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, 0);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_dirty, 0);
	CU_ASSERT_EQUAL(store_stats(control->store).n_live, 3);
	handle = bcache_reserve(control->bcache);
	CU_ASSERT_EQUAL(handle, 3); // theirs are not given to others
	bcache_release(control->bcache, handle);
	bindings_rebuild_begin(control); // loses nothing of them
	while (bindings_rebuild_turn(control))
		;
	CU_ASSERT_EQUAL(store_stats(control->store).n_log, 3);
	review(control);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_unserved, 3);
	usleep(2100000);
	while (bindings_expire(control))
		;
	set_networks(control, 1);
	review(control);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_unserved, 0);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a0"), BCE_LIVE);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a1"), BCE_HOLD);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a2"), BCE_HOLD);
	CU_ASSERT(bcache_is_dirty(control->bcache, 0));
	CU_ASSERT_EQUAL(bcache_at(control->bcache, 0)->sequence, 10);
	CU_ASSERT_EQUAL(
		control->networks.agents[bcache_at(control->bcache, 0)->care_of.agent].n_bindings,
		1);
	control = restart(control); // corrected by a restart
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:1::a0"), BCE_LIVE);
	CU_ASSERT_EQUAL(bcache_at(control->bcache, 0)->sequence, 10);
	close_control(control);
	scratch_remove(dir);
}

// An unserved binding is kept until it would have ended, with its hold, and then is forgotten.
static void test_unserved_ends(void)
{
	struct control *control;

	scratch_make(dir);
	control = open_control();
	put(control, 0, "2001:db8:9::a0", BCE_LIVE, -CONTROL_HOLD_MESGID_S + 3, 1);
	put(control, 1, "2001:db8:9::a1", BCE_LIVE, -CONTROL_HOLD_MESGID_S - 1, 1);
	control = restart(control);
	while (bindings_expire(control))
		;
	usleep(1100000);
	while (bindings_expire(control))
		;
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:9::a0"), BCE_UNSERVED);
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:9::a1"), BCE_FREE);
	usleep(3100000);
	while (bindings_expire(control))
		;
	CU_ASSERT_EQUAL(state_of(control, "2001:db8:9::a0"), BCE_FREE);
	CU_ASSERT_EQUAL(store_stats(control->store).n_live, 0);
	close_control(control);
	scratch_remove(dir);
}

// The bindings of a home network that goes away end in groups, one a turn, and stay ended.
static void test_review_ends(void)
{
	struct control *control;
	uint64_t n_commits;

	scratch_make(dir);
	control = open_control();
	CU_ASSERT_EQUAL(store_begin(control->store), 0);
	for (uint32_t i = 0; i < 2500; i++) {
		struct store_time now = control_time();
		struct store_entry entry = { .handle = i,
			.bce = { .state = BCE_LIVE,
				.lifetime_s = 420,
				.expires_ns = now.boot_ns + 420 * CLOCK_NS_PER_S } };
		char home[IP6_STRLEN];

		snprintf(home, sizeof(home), "2001:db8:1::c:%x", i);
		ip6_parse(home, &entry.bce.home);
		ip6_parse("2001:db8:1::1", &entry.agent);
		CU_ASSERT_EQUAL_FATAL(store_put(control->store, &entry, now), 0);
	}
	CU_ASSERT_EQUAL(store_commit(control->store), 0);
	control = restart(control);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, 2500);
	review(control); // nothing has changed
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, 2500);
	n_commits = store_stats(control->store).n_commits;
	set_networks(control, 0);
	CU_ASSERT_EQUAL(review(control), 3);
	CU_ASSERT_EQUAL(store_stats(control->store).n_commits - n_commits, 3);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_live, 0);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_hold, 2500);
	control = restart(control);
	CU_ASSERT_EQUAL(bcache_counts(control->bcache).n_hold, 2500);
	close_control(control);
	scratch_remove(dir);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "what lives and what ended", test_restore },
		{ "ends are told before they are forgotten", test_ends_are_told },
		{ "the newer of two handles", test_older_handle },
		{ "a full table", test_full },
		{ "what has no home network at a start", test_unserved },
		{ "the end of what has none", test_unserved_ends },
		{ "the end of a home network", test_review_ends },
		CU_TEST_INFO_NULL,
	};

	log_init("bindings_test", LOG_LEVEL_ERR);
	scratch_make(dir);
	return suite_run("bindings", tests);
}
