// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The store of the binding cache: an append-only log in one LMDB file, STATE_DIR/bindings.mdb. Key:
// a number that grows by one; value: the whole record of a handle (controlplane/record.h). A group
// of records is one transaction, durable when store_commit returns 0. A cleaner inside the commit
// keeps the log within about twice what lives. Expiry writes nothing: a record carries its end.
//
// Order of use: open, replay, then groups: begin, put..., commit; change the table only when commit
// gave 0. What was deleted is put as BCE_HOLD; when the hold (or an expired binding) is over, forget.
//
// durability "sync": a commit is on the disk, with data and LMDB's root page. "relaxed": the data is
// on the disk, the root page follows with the next commit (MDB_NOMETASYNC): a power cut may take the
// newest group, never the consistency. A killed process loses nothing in either.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "controlplane/bcache.h"
#include "dataplane/base/addr.h"

enum { STORE_ERR_LEN = 512 };

// Two readings of one moment.
struct store_time {
	uint64_t boot_ns; // CLOCK_BOOTTIME
	uint64_t wall_ns; // CLOCK_REALTIME, only to bridge a reboot
};

// A binding as the store has it. In the file stand neither home_prefix nor care_of.agent, which are
// indexes of a configuration (0 after replay): the agent's address stands for the latter.
struct store_entry {
	uint32_t handle;
	struct ip6 agent; // address of the home agent that care_of is served from
	struct bce bce; // state BCE_LIVE or BCE_HOLD
};

struct store_options {
	const char *dir; // state directory, exists
	uint32_t n_slots; // handles are below it: bcache_slots(max_bindings)
	enum config_durability durability;
	uint8_t boot_id[16]; // of this boot of the machine: store_boot_id
	// Called again and again while the file is checked, with how many handles have been seen in it
	// so far. A few milliseconds of work, or false = there is none now. NULL without.
	bool (*meanwhile)(void *ctx, uint32_t n_handles);
	void *meanwhile_ctx;
};

struct store_stats {
	uint64_t n_live; // handles with a newest entry
	uint64_t n_log; // entries in the file
	uint64_t n_commits;
	uint64_t n_commit_errors;
	uint64_t n_cleaned; // entries the cleaner removed
	uint64_t n_moved; // entries the cleaner had to append again
	int last_error; // negative errno of the newest group; 0 = it was committed
	bool has_failed; // see store_commit
};

struct store;

// Reads the boot id of this machine. Returns: 0 or negative errno.
int store_boot_id(uint8_t out[16]);

// Locks the state directory (flock on STATE_DIR/lock, held until store_close), checks the file in a
// child process, so that damage is an error and not a crash, and opens it; makes a new store with a
// new id in a directory without one.
// Returns: an owned store, or NULL with errno and a sentence in err: EBUSY (another process has the
// directory), EBADMSG (damaged, cut short or not ours; nothing is repaired), EPROTONOSUPPORT (other
// version), EOVERFLOW (a handle above n_slots: max_bindings was lowered too far), or that of a call.
// Thread: before other threads exist (it forks).
struct store *store_open(const struct store_options *options, char err[static STORE_ERR_LEN]);
void store_close(struct store *store);

// Gives every record that is alive or was so less than hold_ns ago, once, its newest version, in the
// order of the log. expires_ns is of this boot's clock; after a reboot it is reckoned by wall time,
// and never farther than the granted lifetime (of a hold: hold_ns) from now. A record whose
// end has passed is still within hold_ns after it: its floors count, and the dataplane may not have
// heard of its end. What is left out, and what take refuses, is forgotten.
// Returns: 0 or negative errno.
struct store_replay_fns {
	// 0 = taken, -ESTALE = forget this one, other negative errno = stop with it.
	int (*take)(void *ctx, const struct store_entry *entry);
	// Some entries before it is taken: time to fetch memory. NULL without.
	void (*expect)(void *ctx, const struct store_entry *entry);
};
int store_replay(struct store *store, struct store_time now, uint64_t hold_ns,
	const struct store_replay_fns *fns, void *ctx);

// Begins a group. Returns: 0, -EIO (has_failed), or negative errno.
int store_begin(struct store *store);

// Adds an entry to the group; a later one of the same handle wins. After an error the group is lost:
// store_commit says why, store_abort only counts it.
// Returns: 0, -ENOSPC (map full), -EINVAL (handle or state), or negative errno.
int store_put(struct store *store, const struct store_entry *entry, struct store_time now);

// Fetches the memory of a store_put to come.
void store_fetch(const struct store *store, uint32_t handle);

// Makes the group durable. On error nothing of it is in the store, and the group is over.
// Returns: 0; -ENOSPC (file system or map full: try again with the next group); other negative errno
// (has_failed is set: the file cannot be trusted, every group is refused until store_rebuild).
int store_commit(struct store *store);
void store_abort(struct store *store);

// The handle is free again (its hold is over, or its binding expired hold_ns ago): the cleaner may
// drop what the log has of it. Writes nothing. Not inside a group.
void store_forget(struct store *store, uint32_t handle);

// Writes all entries into a new file that takes the place of the old one; has_failed is then clear. The
// id stays. In steps, each of which makes some entries that next gives (until false) durable, so that
// whoever must not be kept waiting has a turn in between; store_forget may be called meanwhile.
// Returns: begin: 0; step: 1 = there are more, 0 = it is done; or negative errno with the old file
// untouched and the rebuild over.
int store_rebuild_begin(struct store *store);
int store_rebuild_step(struct store *store, struct store_time now,
	bool (*next)(void *ctx, struct store_entry *out), void *ctx);

// All of it at once. Returns: 0 or negative errno.
int store_rebuild(struct store *store, struct store_time now,
	bool (*next)(void *ctx, struct store_entry *out), void *ctx);

// Random, made with the store, never 0.
uint64_t store_id(const struct store *store);

// Number of the newest entry; grows with every change, over restarts too.
uint64_t store_generation(const struct store *store);

// No entry has a handle from here on.
uint32_t store_handles(const struct store *store);

struct store_stats store_stats(const struct store *store);
