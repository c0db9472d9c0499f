// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What the disk of the state directory takes by itself for what a group commit needs of it.
#pragma once

#include "perf/load_report.h"

// Writes blocks of a group's size over a file in dir, one after the other, each followed by fdatasync,
// for so many seconds; the file goes away. latency: gets the microseconds of each.
// Returns: 0 or negative errno.
int load_disk_measure(const char *dir, double seconds, struct report_latency *latency);
