// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// From JSON to struct config by the key table.
#pragma once

#include <jansson.h>

#include "config/config.h"
#include "config/fault.h"

// Fills *config (zeroed) from document with the table's defaults, and checks each value for
// itself. A list element that is wrong stays all zero, so that indices stand.
// Owns: what it allocates belongs to config, also after faults.
// Returns: 0 or -ENOMEM; faults are counted in log.
int read_document(json_t *document, struct config *config, struct fault_log *log);
