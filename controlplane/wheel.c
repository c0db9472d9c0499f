// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "controlplane/prefault.h"
#include "controlplane/wheel.h"
#include "dataplane/base/clock.h"

// More slots than most lifetimes have seconds: what goes round more than once is visited each time.
enum { WHEEL_SLOTS = 1 << 16, VISITS_PER_TAKEN = 4 };

// A timer, linked into the ring of its slot. Links, not an array per slot: nothing to grow, so that
// arming cannot fail, and what is moved leaves no stale entry behind.
struct node {
	uint32_t next, prev;
	uint32_t at_s; // 0 = disarmed
};

struct wheel {
	struct node *nodes; // n_slots timers, then the heads of the slots, then that of `current`
	uint32_t n_slots;
	uint32_t tick_s; // the next second whose slot is to be taken
};

static uint32_t head_of(const struct wheel *wheel, uint32_t tick_s)
{
	return wheel->n_slots + tick_s % WHEEL_SLOTS;
}

// The ring of a slot that came up and is being worked off.
static uint32_t current_of(const struct wheel *wheel)
{
	return wheel->n_slots + WHEEL_SLOTS;
}

static size_t size_bytes(const struct wheel *wheel)
{
	return ((size_t)wheel->n_slots + WHEEL_SLOTS + 1) * sizeof(*wheel->nodes);
}

struct wheel *wheel_new(uint32_t n_slots, uint64_t now_ns)
{
	struct wheel *wheel = calloc(1, sizeof(*wheel));

	if (wheel == NULL)
		return NULL;
	wheel->n_slots = n_slots;
	wheel->tick_s = (uint32_t)(now_ns / CLOCK_NS_PER_S);
	wheel->nodes = mmap(NULL, size_bytes(wheel), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (wheel->nodes == MAP_FAILED) {
		free(wheel);
		errno = ENOMEM;
		return NULL;
	}
	madvise(wheel->nodes, size_bytes(wheel), MADV_HUGEPAGE);
	for (uint32_t i = n_slots; i <= current_of(wheel); i++)
		wheel->nodes[i].next = wheel->nodes[i].prev = i;
	return wheel;
}

void wheel_free(struct wheel *wheel)
{
	if (wheel == NULL)
		return;
	munmap(wheel->nodes, size_bytes(wheel));
	free(wheel);
}

static void unlink_node(struct wheel *wheel, uint32_t i)
{
	struct node *n = &wheel->nodes[i];

	wheel->nodes[n->prev].next = n->next;
	wheel->nodes[n->next].prev = n->prev;
}

static void link_before(struct wheel *wheel, uint32_t head, uint32_t i)
{
	struct node *n = &wheel->nodes[i];

	n->next = head;
	n->prev = wheel->nodes[head].prev;
	wheel->nodes[n->prev].next = i;
	wheel->nodes[head].prev = i;
}

void wheel_arm(struct wheel *wheel, uint32_t handle, uint64_t at_ns)
{
	uint32_t at_s = (uint32_t)(at_ns / CLOCK_NS_PER_S + (at_ns % CLOCK_NS_PER_S != 0));
	struct node *n;

	if (handle >= wheel->n_slots)
		return;
	n = &wheel->nodes[handle];
	if (at_s == 0)
		at_s = 1;
	if (n->at_s != 0 && n->at_s <= at_s)
		return;
	if (n->at_s != 0)
		unlink_node(wheel, handle);
	n->at_s = at_s;
	link_before(wheel, at_s < wheel->tick_s ? current_of(wheel) : head_of(wheel, at_s), handle);
}

void wheel_fetch(const struct wheel *wheel, uint32_t handle)
{
	if (handle < wheel->n_slots)
		__builtin_prefetch(&wheel->nodes[handle], 1);
}

void wheel_prefault(const struct wheel *wheel, uint32_t n_handles, struct prefault *prefault)
{
	prefault_add(prefault, wheel->nodes, (size_t)n_handles * sizeof(*wheel->nodes));
}

// Makes the ring of the next second the current one, which is empty.
static void advance(struct wheel *wheel)
{
	uint32_t from = head_of(wheel, wheel->tick_s);
	uint32_t to = current_of(wheel);
	struct node *f = &wheel->nodes[from];
	struct node *t = &wheel->nodes[to];

	wheel->tick_s++;
	if (f->next == from)
		return;
	*t = (struct node){ .next = f->next, .prev = f->prev };
	wheel->nodes[t->next].prev = to;
	wheel->nodes[t->prev].next = to;
	f->next = f->prev = from;
}

size_t wheel_take(struct wheel *wheel, uint64_t now_ns, uint32_t *out, size_t max, bool *has_more)
{
	uint32_t now_s = (uint32_t)(now_ns / CLOCK_NS_PER_S);
	uint32_t current = current_of(wheel);
	size_t budget = max * VISITS_PER_TAKEN;
	size_t n = 0;

	// After a long sleep one full round sees every slot.
	if (now_s > wheel->tick_s + WHEEL_SLOTS)
		wheel->tick_s = now_s - WHEEL_SLOTS;
	while (n < max && budget > 0) {
		uint32_t i = wheel->nodes[current].next;

		if (i == current) {
			if (wheel->tick_s > now_s)
				break;
			advance(wheel);
			continue;
		}
		budget--;
		unlink_node(wheel, i);
		if (wheel->nodes[i].at_s > now_s) { // a later round's
			link_before(wheel, head_of(wheel, wheel->nodes[i].at_s), i);
			continue;
		}
		wheel->nodes[i].at_s = 0;
		out[n++] = i;
	}
	*has_more = wheel->nodes[current].next != current || wheel->tick_s <= now_s;
	return n;
}
