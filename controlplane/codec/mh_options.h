// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The options part of a Mobility Header, between mh_parse.c and mh_build.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/codec/mh.h"
#include "dataplane/base/cursor.h"

// Where an option has to start: at % multiple == rest, counted from the Mobility Header.
struct mh_align {
	uint8_t multiple; // 1, 2, 4 or 8
	uint8_t rest;
};

// The alignment that the RFC of a type asks for; none for those without or unknown.
struct mh_align mh_options_align(uint8_t type);

// Reads the options in r, whose first byte stands `at` bytes into the Mobility Header.
//
// Owns:     *out borrows the bytes.
// Returns:  false when an option is malformed, ambiguous or out of its place (see mh_parse).
bool mh_options_parse(struct rcursor r, uint16_t at, struct mh_options *out);
