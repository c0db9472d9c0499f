// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/mesgid.h"

#include "dataplane/base/clock.h"

#define NTP_TO_UNIX_S 2208988800ULL // from 1900 to 1970

uint64_t mesgid_from_wall_ns(uint64_t wall_ns)
{
	uint64_t seconds = wall_ns / CLOCK_NS_PER_S + NTP_TO_UNIX_S;
	uint64_t fraction = ((wall_ns % CLOCK_NS_PER_S) << 32) / CLOCK_NS_PER_S;

	return seconds << 32 | fraction;
}

bool mesgid_is_valid(uint64_t id, uint64_t now, uint32_t window_s, uint64_t last)
{
	uint64_t distance = mesgid_is_later(id, now) ? id - now : now - id;

	if (distance > (uint64_t)window_s << 32)
		return false;
	return last == 0 || mesgid_is_later(id, last);
}
