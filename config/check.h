// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Checks of configuration values against each other.
#pragma once

#include "config/config.h"
#include "config/fault.h"

// Checks a configuration that read_document filled, also one with faults: values that are all zero
// were faulty and are passed over. Faults are counted in log.
void check_config(const struct config *config, struct fault_log *log);
