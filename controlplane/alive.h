// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signs of life to the service manager, for work that is longer than a turn of the loop.
#pragma once

// Says that the process lives, at most once a second: to the watchdog, and for a start's time-out.
// Cheap: call it often.
void alive_tell(void);
