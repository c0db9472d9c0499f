// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Checks of single configuration values, each for itself.
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "config/key.h"

enum { VALUE_FAULT_MAX = 192 }; // room for what is wrong with a value

// Checks the value of a key that is no list.
// Shape:   *number gets the number, truth value or word of a key that has one.
// Returns: 0, or -EINVAL with what is wrong in what.
int value_check(
	const struct key *key, json_t *value, uint32_t *number, char what[static VALUE_FAULT_MAX]);

// Checks one element of a list key that is not made of objects, and writes it to at.
// Shape:   at points to a uint16_t (KEY_CORES; UINT16_MAX when wrong), struct ip6_prefix
//          (KEY_PORT_ADDRESSES, KEY_HOME_PREFIXES), struct ip6 (KEY_AGENT_ADDRESSES); KEY_WORDS
//          writes nothing. at is zeroed before.
// Returns: as value_check.
int value_check_element(
	const struct key *key, json_t *value, void *at, char what[static VALUE_FAULT_MAX]);
