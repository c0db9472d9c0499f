// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "controlplane/store.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/store/scratch.h"

#define S 1000000000ULL

enum { SLOTS = 300 };

static const struct store_time t0 = { .boot_ns = 1000 * S, .wall_ns = 1700000000 * S };
static char err_text[STORE_ERR_LEN];

static struct store_options options_of(const char *dir)
{
	return (struct store_options){ .dir = dir, .n_slots = SLOTS, .boot_id = { 1, 2, 3 } };
}

static struct store *open_at(const char *dir)
{
	struct store_options o = options_of(dir);
	struct store *s = store_open(&o, err_text);

	if (s == NULL)
		printf("%s\n", err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

// An entry all of whose fields follow from the handle and a version.
static struct store_entry entry_of(uint32_t handle, uint32_t version)
{
	struct store_entry e = { .handle = handle };
	struct bce *b = &e.bce;

	e.agent.b[15] = 9;
	b->home.b[0] = 0x20;
	b->home.b[15] = (uint8_t)handle;
	b->domain = handle / 256;
	b->generation = version;
	b->care_of.address.b[3] = (uint8_t)version;
	b->care_of.mode = API_TUNNEL_IP6_IP6;
	b->care_of.bid = 7;
	b->care_of.port = 4191;
	b->care_of.priority = 3;
	b->care_of.gre_key = 77;
	b->expires_ns = t0.boot_ns + 100 * S;
	b->mesg_id = 0x1122334455667788ULL + version;
	b->packets_down = version * 3;
	b->bytes_down = version * 5;
	b->packets_up = version * 7;
	b->bytes_up = version * 9;
	b->registered_at_s = 1700000000;
	b->lifetime_s = 420;
	b->sequence = (uint16_t)version;
	b->flags = 0xc000;
	b->state = BCE_LIVE;
	b->mn_id_len = (uint8_t)snprintf((char *)b->mn_id, sizeof(b->mn_id), "user%u", handle);
	return e;
}

static int put_one(struct store *s, const struct store_entry *e)
{
	int err = store_begin(s);

	if (err != 0)
		return err;
	err = store_put(s, e, t0);
	if (err != 0) {
		store_abort(s);
		return err;
	}
	return store_commit(s);
}

// What a replay gave, by handle.
struct table {
	bool is_there[SLOTS];
	struct store_entry entry[SLOTS];
	unsigned n;
};

static int collect(void *ctx, const struct store_entry *e)
{
	struct table *t = ctx;

	CU_ASSERT_FALSE(t->is_there[e->handle]); // each once
	t->is_there[e->handle] = true;
	t->entry[e->handle] = *e;
	t->n++;
	return 0;
}

static const struct store_replay_fns collecting = { .take = collect };

static void replay(struct store *s, struct store_time now, struct table *t)
{
	memset(t, 0, sizeof(*t));
	CU_ASSERT_EQUAL_FATAL(store_replay(s, now, 10 * S, &collecting, t), 0);
}

static void test_empty(void)
{
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_options o = options_of(dir);
	static struct table t;
	uint64_t id = store_id(s);
	struct stat st;
	char path[96];

	CU_ASSERT_NOT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(store_generation(s), 0);
	replay(s, t0, &t);
	CU_ASSERT_EQUAL(t.n, 0);
	// Nobody else may have the directory meanwhile.
	CU_ASSERT_PTR_NULL(store_open(&o, err_text));
	CU_ASSERT_EQUAL(errno, EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err_text, "another process"));
	snprintf(path, sizeof(path), "%s/bindings.mdb", dir);
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	store_close(s);
	// What a killed rebuild left goes away; an ignored SIGCHLD does no harm.
	snprintf(path, sizeof(path), "%s/bindings.mdb.new", dir);
	fclose(fopen(path, "w"));
	signal(SIGCHLD, SIG_IGN);
	s = open_at(dir);
	signal(SIGCHLD, SIG_DFL);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_EQUAL(store_id(s), id);
	store_close(s);
	scratch_remove(dir);
	o.dir = dir;
	CU_ASSERT_PTR_NULL(store_open(&o, err_text));
	CU_ASSERT_EQUAL(errno, ENOENT);
}

static void test_fields(void)
{
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_entry e = entry_of(5, 42);
	static struct table t;
	uint64_t generation;

	CU_ASSERT_EQUAL(put_one(s, &e), 0);
	generation = store_generation(s);
	store_close(s);
	s = open_at(dir);
	CU_ASSERT_EQUAL(store_generation(s), generation);
	replay(s, t0, &t);
	CU_ASSERT_EQUAL(t.n, 1);
	CU_ASSERT_TRUE(entry_eq(&t.entry[5], &e));
	store_close(s);
	scratch_remove(dir);
}

static void test_group(void)
{
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_entry a = entry_of(1, 1), b = entry_of(1, 2), c = entry_of(2, 1);
	struct store_entry bad = entry_of(SLOTS, 1);
	static struct table t;

	CU_ASSERT_EQUAL(store_begin(s), 0);
	CU_ASSERT_EQUAL(store_put(s, &a, t0), 0);
	CU_ASSERT_EQUAL(store_put(s, &b, t0), 0);
	CU_ASSERT_EQUAL(store_commit(s), 0);
	CU_ASSERT_EQUAL(store_begin(s), 0);
	CU_ASSERT_EQUAL(store_put(s, &c, t0), 0);
	store_abort(s);
	CU_ASSERT_EQUAL(store_begin(s), 0);
	CU_ASSERT_EQUAL(store_put(s, &c, t0), 0);
	CU_ASSERT_EQUAL(store_put(s, &bad, t0), -EINVAL);
	CU_ASSERT_EQUAL(store_commit(s), -EINVAL);
	CU_ASSERT_FALSE(store_stats(s).has_failed);
	CU_ASSERT_EQUAL(store_stats(s).n_live, 1);
	CU_ASSERT_EQUAL(store_put(s, &c, t0), -EINVAL); // no group
	CU_ASSERT_EQUAL(store_commit(s), -EINVAL);
	store_close(s);
	s = open_at(dir);
	replay(s, t0, &t);
	CU_ASSERT_EQUAL(t.n, 1);
	CU_ASSERT_EQUAL(t.entry[1].bce.generation, 2);
	store_close(s);
	scratch_remove(dir);
}

// A group that is given up counts as failed only when one of its entries did, and then in the same way.
static void test_abort(void)
{
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_entry e = entry_of(1, 1);

	CU_ASSERT_EQUAL(store_begin(s), 0);
	CU_ASSERT_EQUAL(store_put(s, &e, t0), 0);
	store_abort(s);
	CU_ASSERT_EQUAL(store_stats(s).n_commit_errors, 0);
	CU_ASSERT_EQUAL(store_stats(s).last_error, 0);
	CU_ASSERT_EQUAL(store_begin(s), 0);
	while (store_put(s, &e, t0) == 0)
		;
	store_abort(s);
	CU_ASSERT_EQUAL(store_stats(s).n_commit_errors, 1);
	CU_ASSERT_EQUAL(store_stats(s).last_error, -ENOSPC);
	CU_ASSERT_FALSE(store_stats(s).has_failed);
	CU_ASSERT_EQUAL(put_one(s, &e), 0);
	CU_ASSERT_EQUAL(store_stats(s).last_error, 0);
	store_close(s);
	scratch_remove(dir);
}

static int refuse_first(void *ctx, const struct store_entry *e)
{
	(void)ctx;
	return e->handle == 1 ? -ESTALE : e->handle == 2 ? -EDOM : 0;
}

static const struct store_replay_fns refusing = { .take = refuse_first };

static void test_lifetimes(void)
{
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_options rebooted = options_of(dir);
	struct store_time now = t0;
	struct store_entry live = entry_of(1, 1), hold = entry_of(2, 1);
	static struct table t;

	hold.bce.state = BCE_HOLD;
	hold.bce.expires_ns = t0.boot_ns + 10 * S;
	CU_ASSERT_EQUAL(put_one(s, &live), 0);
	CU_ASSERT_EQUAL(put_one(s, &hold), 0);
	store_close(s);

	s = open_at(dir); // same boot: the wall clock does not matter
	now.boot_ns += 5 * S;
	now.wall_ns += 100000 * S;
	replay(s, now, &t);
	CU_ASSERT_EQUAL(t.n, 2);
	CU_ASSERT_EQUAL(t.entry[1].bce.expires_ns, live.bce.expires_ns);
	store_close(s);

	rebooted.boot_id[0] =
		99; // wall time bridges: 50 s have passed, 50 are left; the hold is over
	s = store_open(&rebooted, err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	now = (struct store_time){ .boot_ns = 3 * S, .wall_ns = t0.wall_ns + 50 * S };
	replay(s, now, &t);
	CU_ASSERT_EQUAL(t.n, 1);
	CU_ASSERT_EQUAL(t.entry[1].bce.expires_ns, 53 * S);
	CU_ASSERT_EQUAL(store_stats(s).n_live, 1);
	store_close(s);

	s = store_open(&rebooted, err_text); // a wall clock of 1970 grants no more than was granted
	now.wall_ns = 0;
	replay(s, now, &t);
	CU_ASSERT_EQUAL(t.n, 2);
	CU_ASSERT_EQUAL(t.entry[1].bce.expires_ns, now.boot_ns + 420 * S);
	CU_ASSERT_EQUAL(t.entry[2].bce.expires_ns, now.boot_ns + 10 * S);
	store_close(s);

	s = store_open(&rebooted, err_text); // ended before this boot, and still within its hold
	now = (struct store_time){ .boot_ns = 2 * S, .wall_ns = t0.wall_ns + 105 * S };
	replay(s, now, &t);
	CU_ASSERT_EQUAL(t.n, 1);
	CU_ASSERT_EQUAL(t.entry[1].bce.expires_ns, 0);
	store_close(s);

	s = open_at(dir); // expired 5 s ago: its floors still count; 10 s ago: gone
	now = t0;
	now.boot_ns += 105 * S;
	replay(s, now, &t);
	CU_ASSERT_EQUAL(t.n, 1);
	CU_ASSERT_TRUE(t.is_there[1] && t.entry[1].bce.expires_ns == t0.boot_ns + 100 * S);
	now.boot_ns += 5 * S;
	replay(s, now, &t);
	CU_ASSERT_EQUAL(t.n, 0);
	store_close(s);

	s = open_at(dir);
	CU_ASSERT_EQUAL(store_replay(s, t0, 10 * S, &refusing, NULL), -EDOM);
	CU_ASSERT_EQUAL(store_stats(s).n_live, 1); // handle 1 was forgotten, handle 2 was not
	store_close(s);
	scratch_remove(dir);
}

// One group of random puts and holds, committed into the model or aborted.
static void random_group(struct store *s, struct table *model, uint32_t version, uint64_t *rng)
{
	static struct table draft;
	uint32_t n = 1 + rng_below(rng, 40);

	draft = *model;
	CU_ASSERT_EQUAL_FATAL(store_begin(s), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct store_entry e = entry_of(rng_below(rng, SLOTS), version);

		if (rng_below(rng, 5) == 0)
			e.bce.state = BCE_HOLD;
		CU_ASSERT_EQUAL_FATAL(store_put(s, &e, t0), 0);
		draft.is_there[e.handle] = true;
		draft.entry[e.handle] = e;
	}
	if (rng_below(rng, 8) == 0) {
		store_abort(s);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(store_commit(s), 0);
	*model = draft;
	model->n = 0;
	for (uint32_t h = 0; h < SLOTS; h++)
		model->n += model->is_there[h];
}

// Forgetting writes nothing and only what has ended may be forgotten: here it is put back at once.
static void forget_and_put(struct store *s, const struct table *model, uint32_t h)
{
	if (!model->is_there[h])
		return;
	store_forget(s, h);
	CU_ASSERT_EQUAL(store_stats(s).n_live, model->n - 1);
	CU_ASSERT_EQUAL_FATAL(put_one(s, &model->entry[h]), 0);
}

static void expect_model(struct store *s, const struct table *model)
{
	static struct table t;

	replay(s, t0, &t);
	CU_ASSERT_EQUAL_FATAL(t.n, model->n);
	for (uint32_t h = 0; h < SLOTS; h++) {
		CU_ASSERT_EQUAL_FATAL(t.is_there[h], model->is_there[h]);
		CU_ASSERT_TRUE_FATAL(!t.is_there[h] || entry_eq(&t.entry[h], &model->entry[h]));
	}
}

// Random puts, holds, forgets, aborts and restarts against a plain array; the log stays bounded.
static void test_model(void)
{
	static struct table model;
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	uint64_t rng = 99;
	uint64_t id = store_id(s), last_generation = 0;

	memset(&model, 0, sizeof(model));
	for (uint32_t round = 0; round < 1500; round++) {
		random_group(s, &model, round, &rng);
		for (uint32_t i = rng_below(&rng, 5); i > 0; i--)
			forget_and_put(s, &model, rng_below(&rng, SLOTS));
		CU_ASSERT_EQUAL_FATAL(store_stats(s).n_live, model.n);
		CU_ASSERT_TRUE_FATAL(store_stats(s).n_log <= 2 * model.n + 256 + 40);
		CU_ASSERT_TRUE(store_generation(s) >= last_generation);
		last_generation = store_generation(s);
		if (round % 100 != 0)
			continue;
		store_close(s);
		s = open_at(dir);
		CU_ASSERT_EQUAL(store_id(s), id);
		CU_ASSERT_EQUAL(store_generation(s), last_generation);
		expect_model(s, &model);
	}
	CU_ASSERT_TRUE(store_stats(s).n_cleaned > 1000);
	CU_ASSERT_TRUE(store_stats(s).n_moved > 0);
	store_close(s);
	scratch_remove(dir);
}

// The relaxed mode, and a change between the modes.
static void test_relaxed(void)
{
	static struct table t;
	char dir[64];
	struct store_options o = options_of(scratch_make(dir));

	for (uint32_t round = 1; round <= 4; round++) {
		struct store_entry e = entry_of(round, round);
		struct store *s;

		o.durability = round % 2 == 1 ? CONFIG_DURABILITY_RELAXED : CONFIG_DURABILITY_SYNC;
		s = store_open(&o, err_text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(put_one(s, &e), 0);
		replay(s, t0, &t);
		CU_ASSERT_EQUAL(t.n, round);
		store_close(s);
	}
	scratch_remove(dir);
}

// More in one group than the file may grow to: refused whole, and the next group works.
static void test_map_full(void)
{
	static struct table t;
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_entry kept = entry_of(1, 1), e = entry_of(1, 2);
	int err = 0;

	CU_ASSERT_EQUAL(put_one(s, &kept), 0);
	CU_ASSERT_EQUAL(store_begin(s), 0);
	for (uint32_t i = 0; err == 0 && i < 1000000; i++)
		err = store_put(s, &e, t0);
	CU_ASSERT_EQUAL(err, -ENOSPC);
	CU_ASSERT_EQUAL(store_put(s, &e, t0), -ENOSPC);
	CU_ASSERT_EQUAL(store_commit(s), -ENOSPC);
	CU_ASSERT_FALSE(store_stats(s).has_failed);
	CU_ASSERT_EQUAL(store_stats(s).n_commit_errors, 1);
	CU_ASSERT_EQUAL(store_stats(s).n_log, 1);
	CU_ASSERT_EQUAL(store_stats(s).last_error, -ENOSPC);
	e = entry_of(2, 3);
	CU_ASSERT_EQUAL(put_one(s, &e), 0);
	CU_ASSERT_EQUAL(store_stats(s).last_error, 0);
	store_close(s);
	s = open_at(dir);
	replay(s, t0, &t);
	CU_ASSERT_EQUAL(t.n, 2);
	CU_ASSERT_TRUE(entry_eq(&t.entry[1], &kept));
	CU_ASSERT_TRUE(entry_eq(&t.entry[2], &e));
	store_close(s);
	scratch_remove(dir);
}

struct feed {
	const struct table *from;
	uint32_t h;
};

static bool feed_next(void *ctx, struct store_entry *out)
{
	struct feed *f = ctx;

	while (f->h < SLOTS && !f->from->is_there[f->h])
		f->h++;
	if (f->h == SLOTS)
		return false;
	*out = f->from->entry[f->h++];
	return true;
}

static void test_rebuild(void)
{
	static struct table model, t;
	struct feed feed = { .from = &model };
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	uint64_t id = store_id(s), generation;

	memset(&model, 0, sizeof(model));
	for (uint32_t h = 0; h < SLOTS; h += 2) {
		struct store_entry e = entry_of(h + 1, 1); // not in the table any more

		CU_ASSERT_EQUAL(put_one(s, &e), 0);
		model.is_there[h] = true;
		model.entry[h] = entry_of(h, 2);
	}
	generation = store_generation(s);
	CU_ASSERT_EQUAL(store_rebuild(s, t0, feed_next, &feed), 0);
	CU_ASSERT_TRUE(store_generation(s) > generation);
	CU_ASSERT_EQUAL(put_one(s, &model.entry[0]), 0); // goes on in the new file
	store_close(s);
	s = open_at(dir);
	CU_ASSERT_EQUAL(store_id(s), id);
	replay(s, t0, &t);
	CU_ASSERT_EQUAL(t.n, SLOTS / 2);
	for (uint32_t h = 0; h < SLOTS; h++)
		CU_ASSERT_TRUE(!t.is_there[h] || entry_eq(&t.entry[h], &model.entry[h]));
	generation = store_generation(s);
	feed.h = SLOTS; // nothing
	CU_ASSERT_EQUAL(store_rebuild(s, t0, feed_next, &feed), 0);
	store_close(s);
	s = open_at(dir);
	CU_ASSERT_EQUAL(store_generation(s), generation); // numbers never go back
	replay(s, t0, &t);
	CU_ASSERT_EQUAL(t.n, 0);
	store_close(s);
	scratch_remove(dir);
}

// Gives handles 0 to 2999 one after the other.
static bool feed_many(void *ctx, struct store_entry *out)
{
	uint32_t *h = ctx;

	if (*h == 3000)
		return false;
	*out = entry_of((*h)++, 1);
	return true;
}

// A rebuild goes on in turns of the loop, and nothing of it shows before its end.
static void test_rebuild_in_steps(void)
{
	char dir[64], path[96];
	struct store_options options = options_of(scratch_make(dir));
	struct store_entry old = entry_of(7, 9);
	uint32_t h = 0, n_steps = 1;
	struct store *s;

	options.n_slots = 4000;
	s = store_open(&options, err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(put_one(s, &old), 0);
	CU_ASSERT_EQUAL(store_rebuild_begin(s), 0);
	CU_ASSERT_EQUAL(store_rebuild_begin(s), -EINVAL);
	CU_ASSERT_EQUAL(store_rebuild_step(s, t0, feed_many, &h), 1);
	CU_ASSERT_EQUAL(store_stats(s).n_live, 1);
	store_close(s); // given up
	snprintf(path, sizeof(path), "%s/bindings.mdb.new", dir);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	s = store_open(&options, err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(store_stats(s).n_live, 1);
	h = 0;
	CU_ASSERT_EQUAL(store_rebuild_begin(s), 0);
	CU_ASSERT_EQUAL(store_rebuild_step(s, t0, feed_many, &h), 1);
	store_forget(s, 5); // it ended meanwhile
	while (store_rebuild_step(s, t0, feed_many, &h) == 1)
		n_steps++;
	CU_ASSERT_TRUE(n_steps > 1);
	CU_ASSERT_EQUAL(store_stats(s).n_live, 2999);
	store_close(s);
	s = store_open(&options, err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(store_stats(s).n_log, 3000);
	store_close(s);
	scratch_remove(dir);
}

static uint32_t most_seen, n_looks;

static bool look(void *ctx, uint32_t n_handles)
{
	CU_ASSERT_PTR_EQUAL(ctx, &most_seen);
	CU_ASSERT_TRUE(n_handles >= most_seen);
	most_seen = n_handles;
	n_looks++;
	return n_looks < 3; // then it is idle
}

// Whoever waits for the check of a file can do something meanwhile.
static void test_meanwhile(void)
{
	char dir[64];
	struct store_options options = options_of(scratch_make(dir));
	uint32_t h = 0;
	struct store *s;

	options.n_slots = 4000;
	options.meanwhile = look;
	options.meanwhile_ctx = &most_seen;
	s = store_open(&options, err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(n_looks, 0); // there was no file
	CU_ASSERT_EQUAL(store_rebuild(s, t0, feed_many, &h), 0);
	CU_ASSERT_EQUAL(store_handles(s), h);
	store_close(s);
	s = store_open(&options, err_text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_TRUE(n_looks > 0);
	CU_ASSERT_TRUE(most_seen <= h);
	store_forget(s, h - 1);
	CU_ASSERT_EQUAL(store_handles(s), h - 1);
	store_close(s);
	scratch_remove(dir);
}

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void test_foreign(void)
{
	static const char *const contents[] = { "", "not a store\n" };
	struct store_options o;
	char dir[64];
	static char zeros[3 * 4096];

	for (int i = 0; i < 3; i++) {
		o = options_of(scratch_make(dir));
		write_file(dir, "bindings.mdb", i < 2 ? contents[i] : zeros,
			i < 2 ? strlen(contents[i]) : sizeof(zeros));
		CU_ASSERT_PTR_NULL(store_open(&o, err_text));
		CU_ASSERT_EQUAL(errno, EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(err_text, "bindings.mdb: damaged"));
		scratch_remove(dir);
	}
}

static void test_slots(void)
{
	char dir[64];
	struct store *s = open_at(scratch_make(dir));
	struct store_options fewer = options_of(dir);
	struct store_entry e = entry_of(200, 1);

	CU_ASSERT_EQUAL(put_one(s, &e), 0);
	store_close(s);
	fewer.n_slots = 200;
	CU_ASSERT_PTR_NULL(store_open(&fewer, err_text));
	CU_ASSERT_EQUAL(errno, EOVERFLOW);
	CU_ASSERT_PTR_NOT_NULL(strstr(err_text, "max_bindings"));
	fewer.n_slots = 201;
	s = store_open(&fewer, err_text);
	CU_ASSERT_PTR_NOT_NULL(s);
	store_close(s);
	scratch_remove(dir);
}

static void test_boot_id(void)
{
	uint8_t a[16] = { 0 }, b[16] = { 0 }, zero[16] = { 0 };

	CU_ASSERT_EQUAL(store_boot_id(a), 0);
	CU_ASSERT_EQUAL(store_boot_id(b), 0);
	CU_ASSERT_EQUAL(memcmp(a, b, 16), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a, zero, 16), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "empty directory and the lock", test_empty },
		{ "every field comes back", test_fields },
		{ "groups, aborts and bad entries", test_group },
		{ "groups given up", test_abort },
		{ "lifetimes over restart and reboot", test_lifetimes },
		{ "random operations against a model", test_model },
		{ "relaxed durability", test_relaxed },
		{ "a group too large", test_map_full },
		{ "rebuild", test_rebuild },
		{ "rebuild in steps", test_rebuild_in_steps },
		{ "something to do while a file is checked", test_meanwhile },
		{ "foreign and empty files", test_foreign },
		{ "max_bindings lowered", test_slots },
		{ "boot id", test_boot_id },
		CU_TEST_INFO_NULL,
	};

	return suite_run("store", tests);
}
