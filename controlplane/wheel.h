// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The lifetimes of the bindings: one timer per handle in slots of one second. A refresh that
// lengthens costs nothing (the record has the new end; when the old slot comes up the owner arms it
// again); what shortens is moved at once. Nothing is allocated after wheel_new.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefault;
struct wheel;

// A wheel for handles 0..n_slots-1, standing at now_ns. All times are CLOCK_BOOTTIME.
// Returns: an owned wheel, or NULL with errno ENOMEM.
struct wheel *wheel_new(uint32_t n_slots, uint64_t now_ns);
void wheel_free(struct wheel *wheel);

// Sees to it that wheel_take gives this handle, at the latest in the second after at_ns. Does nothing
// when it is armed for that or earlier.
void wheel_arm(struct wheel *wheel, uint32_t handle, uint64_t at_ns);

// Fetches the memory of a wheel_arm to come.
void wheel_fetch(const struct wheel *wheel, uint32_t handle);

// Has the memory of the handles below n_handles fetched.
void wheel_prefault(const struct wheel *wheel, uint32_t n_handles, struct prefault *prefault);

// Takes up to max handles whose time has come at now_ns; they are disarmed. The owner compares with
// the record: when its end is later (it was refreshed), wheel_arm it again. Never gives a handle
// before the time it was armed for. *has_more is set when more may be due: go on in the next turn.
// Returns: how many handles were written to out.
size_t wheel_take(struct wheel *wheel, uint64_t now_ns, uint32_t *out, size_t max, bool *has_more);
