# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""TRex stateless profile: the traffic of unwired-traffic.

TRex port 0 is at the core side of the home agent and sends plain packets to random home addresses; port 1
is at the access side and sends tunnels from the care-of addresses of random mobiles. Mobile i has home
address --home + i and care-of address --care-of + i, as unwired-traffic --register binds them. The MACs
of the home agent are the destinations of TRex' port configuration (dest_mac in trex_cfg.yaml).

    start -f trex_unwired.py -m 10mpps --port 0 1 -t --mobiles 1000000 --size imix
"""

import argparse
import ipaddress

from trex.stl.api import (
    UDP, Ether, IPv6, STLFlowLatencyStats, STLPktBuilder, STLScVmRaw, STLStream, STLTXCont, STLVmFlowVar,
    STLVmWrFlowVar)

LOW = 12  # offset of the last 32 bits in an address
PORT = 9
# Frames at the core side without FCS, and how often each comes.
IMIX = ((78, 7), (590, 4), (1474, 1))
LATENCY_PPS = 1000
CORE, ACCESS = 0, 1


def low_bits(address):
    return int(ipaddress.IPv6Address(address)) & 0xffffffff


class Unwired:
    """One stream for each size, and one that measures latency."""

    def tunables(self, tunables):
        parser = argparse.ArgumentParser(prog="trex_unwired.py", description=__doc__.split("\n", 1)[0])
        parser.add_argument("--home", default="2001:db8:1::1:0")
        parser.add_argument("--care-of", default="2400::")
        parser.add_argument("--mobiles", type=int, default=1000)
        parser.add_argument("--agent", default="2001:db8:1::1")
        parser.add_argument("--correspondent", default="2001:db8:20::20")
        parser.add_argument("--size", default="78", help="bytes without FCS, or imix")
        return parser.parse_args(tunables)

    def packet(self, options, direction, size):
        """A packet whose addresses are filled in by the engine, and the engine's program."""
        mobile = STLVmFlowVar(name="mobile", min_value=0, max_value=options.mobiles - 1, size=4,
                              op="random")
        home = low_bits(options.home)
        if direction == CORE:
            headers = (Ether() / IPv6(src=options.correspondent, dst=options.home) /
                       UDP(sport=PORT, dport=PORT))
            writes = [STLVmWrFlowVar(fv_name="mobile", pkt_offset="IPv6.dst", offset_fixup=LOW,
                                     add_val=home)]
            length = size
        else:
            headers = (Ether() / IPv6(src=options.care_of, dst=options.agent) /
                       IPv6(src=options.home, dst=options.correspondent) /
                       UDP(sport=PORT, dport=PORT))
            writes = [STLVmWrFlowVar(fv_name="mobile", pkt_offset="IPv6.src", offset_fixup=LOW,
                                     add_val=low_bits(options.care_of)),
                      STLVmWrFlowVar(fv_name="mobile", pkt_offset="IPv6:1.src", offset_fixup=LOW,
                                     add_val=home)]
            length = size + 40
        # The checksum of UDP is that of mobile 0: a home agent forwards without looking at it.
        return STLPktBuilder(pkt=headers / (b"\0" * (length - len(headers))),
                             vm=STLScVmRaw([mobile, *writes]))

    def get_streams(self, direction=0, tunables=(), **kwargs):
        options = self.tunables(tunables)
        sizes = IMIX if options.size == "imix" else ((int(options.size), 1),)
        streams = [STLStream(packet=self.packet(options, direction, size),
                             mode=STLTXCont(pps=share), isg=i * 0.1)
                   for i, (size, share) in enumerate(sizes)]
        streams.append(STLStream(packet=self.packet(options, direction, max(sizes)[0]),
                                 mode=STLTXCont(pps=LATENCY_PPS),
                                 flow_stats=STLFlowLatencyStats(pg_id=10 + direction)))
        return streams


def register():
    return Unwired()
