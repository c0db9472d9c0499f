// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The two sockets that unwiredctl talks to: the control process' management socket and the
// dataplane's DPDK telemetry. Blocking; errors are said on stderr.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// Called with every reply line before the last. Returns: false to stop.
typedef bool (*client_line_fn)(void *ctx, const json_t *line);

// Sends one request to RUN_DIR/control.sock and hands every reply line but the last to on_line.
// request: borrowed.
// Returns: the last line, owned by the caller; or NULL after an error was written.
json_t *client_control(
	const char *run_dir, const json_t *request, client_line_fn on_line, void *ctx);

// An open telemetry connection.
struct client_telemetry {
	int fd;
	size_t max_output_len;
};

// Connects to the telemetry socket under run_dir.
// Returns: 0 or negative errno; is_quiet: without a word on stderr.
int client_telemetry_open(struct client_telemetry *telemetry, const char *run_dir, bool is_quiet);

// Sends a command ("/unwired/ports", "/unwired/routes,64").
// Returns: what it answered, owned by the caller; or NULL after an error was written.
json_t *client_telemetry_get(struct client_telemetry *telemetry, const char *command);

void client_telemetry_close(struct client_telemetry *telemetry);
