// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the management socket shows, as JSON.
#pragma once

#include <jansson.h>

#include "controlplane/control.h"

// One binding with the counters that its living version has in the dataplane (NULL: none known).
// Returns: an owned object.
json_t *mgmt_show_binding(
	const struct control *control, const struct bce *bce, const struct api_counters *living);

// The home networks. Returns: an owned array.
json_t *mgmt_show_networks(const struct control *control);

// Each returns an owned object.
json_t *mgmt_show_status(const struct control *control);
json_t *mgmt_show_sync(const struct control *control);

// Finds a live binding by "ADDRESS[@DOMAIN]", or by MN-ID (the newest one). Without a domain the home
// prefixes of all domains are tried.
// Returns: a handle or BCACHE_NONE.
uint32_t mgmt_show_find(const struct control *control, const char *key);

// Text that may go into JSON: bytes that are not printable ASCII become '?'.
// Returns: an owned string.
json_t *mgmt_show_text(const void *text, size_t len);
