// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The control process' numbers for Prometheus: GET /metrics in OpenMetrics text.
#pragma once

#include "controlplane/control.h"

struct metrics;

// Listens on telemetry.listen of the configuration ("[::1]:9273").
// Returns: an owned server, or NULL with errno. control: borrowed.
struct metrics *metrics_new(struct control *control);

// NULL is fine.
void metrics_free(struct metrics *metrics);
