// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/alive.h"

#include <stdint.h>
#include <systemd/sd-daemon.h>

#include "dataplane/base/clock.h"

void alive_tell(void)
{
	static uint64_t last_ns;
	uint64_t now_ns = clock_mono_ns();

	if (now_ns - last_ns < CLOCK_NS_PER_S)
		return;
	last_ns = now_ns;
	sd_notify(0, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000");
}
