// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The management socket RUN_DIR/control.sock. A request is one line of JSON ({"verb": "status"}), the
// reply lines of JSON of which the last has "end": true and either "result" or "error"; lists come as
// lines {"items": [...]} before it, events as {"event": {...}}. Lists are made page by page as the
// reader takes them; a slow reader of events loses some and is told how many.
// Thread: the loop's only.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/api/records.h"
#include "dataplane/base/addr.h"

struct control;
struct mgmt;

enum {
	MGMT_LINE_MAX = 4096, // of a request
	MGMT_CLIENTS_MAX = 64,
	MGMT_EVENT_BACKLOG = 256 * 1024, // bytes unread by a monitor; beyond it events are lost
	MGMT_PAGE = 64, // items of one line
};

// Listens. Returns: owned, or NULL with errno. control: borrowed.
struct mgmt *mgmt_new(struct control *control);

// Closes all connections and removes the socket. NULL is fine.
void mgmt_free(struct mgmt *mgmt);

bool mgmt_has_monitors(const struct mgmt *mgmt);

// Tells the monitors of something that happened to a binding.
void mgmt_event_binding(struct mgmt *mgmt, const char *what, const struct ip6 *home,
	const struct ip6 *coa, uint16_t sequence, uint8_t status, uint32_t lifetime_s);

// The end of a reload, for whoever asked for it: why it failed (borrowed), or NULL.
void mgmt_reloaded(struct mgmt *mgmt, const char *why);

// The dataplane's answer to a COUNTERS_GET.
void mgmt_counters(struct mgmt *mgmt, const struct api_counters *counters);
