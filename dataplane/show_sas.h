// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// `show sas` over DPDK telemetry: security associations with their account, never their keys.
#pragma once

// Registers the command. Before start. Returns: 0 or negative errno.
int show_sas_register(void);
