// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Requests on the management socket, parsed and checked.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mgmt_verb {
	MGMT_STATUS,
	MGMT_SHOW_BINDINGS,
	MGMT_SHOW_BINDING,
	MGMT_SHOW_NETWORKS,
	MGMT_SHOW_SYNC,
	MGMT_CLEAR_BINDING,
	MGMT_RELOAD,
	MGMT_RESYNC,
	MGMT_MONITOR,
	MGMT_N_VERBS,
};

enum { MGMT_TEXT_MAX = 127, MGMT_ERROR_LEN = 256 };

// One request. Texts are empty when absent.
struct mgmt_request {
	enum mgmt_verb verb;
	char key[MGMT_TEXT_MAX + 1]; // ADDRESS[@DOMAIN] or MN-ID
	char network[MGMT_TEXT_MAX + 1];
	char after[MGMT_TEXT_MAX + 1]; // ADDRESS[@DOMAIN]
	uint32_t limit; // 0 = all
	bool is_forced;
};

// Reads one line of JSON of len bytes.
// Returns: 0, or -EINVAL with a sentence in error that names the member.
// Test:    tests/unit/controlplane/mgmt_request_test.c, tests/fuzz/mgmt.c
int mgmt_request_parse(
	const char *line, size_t len, struct mgmt_request *out, char error[static MGMT_ERROR_LEN]);
