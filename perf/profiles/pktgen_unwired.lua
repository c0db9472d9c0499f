-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 the Unwired authors
--
-- Pktgen-DPDK: replays the captures of pktgen_pcap from both sides of a home agent and searches the highest
-- rate, in per cent of the line, that loses nothing (RFC 2544).
--
--     pktgen_pcap --core-mac MAC --access-mac MAC --mobiles 1000000 /var/tmp/unwired
--     pktgen -l 0-4 -n 4 -- -P -m "[1:2].0,[3:4].1" -s 0:/var/tmp/unwired/down.pcap \
--         -s 1:/var/tmp/unwired/up.pcap -f pktgen_unwired.lua
--
-- Port 0 is at the core side, port 1 at the access side. What port 0 sends comes back at port 1 with 40 bytes
-- more, and the other way round.

package.path = package.path .. ";?.lua;../?.lua"
require "Pktgen"

local TRIAL_MS, STRAGGLERS_MS = 10000, 2000
local PRECISION = 1.0 -- per cent of the line
local DIRECTIONS = { { name = "down", from = 0, to = 1 }, { name = "up", from = 1, to = 0 } }

-- Sends from the given ports at a rate. Returns the share that was lost in the worst direction.
local function trial(directions, rate)
	local worst = 0

	pktgen.clr()
	for _, d in ipairs(directions) do
		pktgen.set(tostring(d.from), "count", 0)
		pktgen.set(tostring(d.from), "rate", rate)
	end
	for _, d in ipairs(directions) do
		pktgen.start(tostring(d.from))
	end
	pktgen.delay(TRIAL_MS)
	for _, d in ipairs(directions) do
		pktgen.stop(tostring(d.from))
	end
	pktgen.delay(STRAGGLERS_MS)
	for _, d in ipairs(directions) do
		local sent = pktgen.portStats(tostring(d.from), "port")[d.from].opackets
		local received = pktgen.portStats(tostring(d.to), "port")[d.to].ipackets
		local lost = sent > 0 and math.max(0, sent - received) / sent or 1

		printf("%6.2f %% %-4s sent %d received %d lost %.4f %%\n", rate, d.name, sent, received,
			lost * 100)
		worst = math.max(worst, lost)
	end
	return worst
end

local function search(directions, what)
	local low, high, rate = 0, 100, 100

	repeat
		if trial(directions, rate) == 0 then
			low = rate
		else
			high = rate
		end
		rate = (low + high) / 2
	until high - low <= PRECISION or low == 100
	printf("%s: nothing is lost up to %.2f %% of the line\n", what, low)
end

pktgen.screen("off")
search({ DIRECTIONS[1] }, "down")
search({ DIRECTIONS[2] }, "up")
search(DIRECTIONS, "both")
pktgen.quit()
