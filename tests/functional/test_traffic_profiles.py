# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The profiles for TRex and Pktgen-DPDK make the traffic of unwired-traffic. Neither generator runs here."""

import importlib.util
import ipaddress
import pathlib
import struct
import subprocess
import sys
import types

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

PROFILES = pathlib.Path(__file__).resolve().parents[2] / "perf" / "profiles"
HOME, CARE_OF = (int(ipaddress.IPv6Address(a)) for a in ("2001:db8:1::1:0", "2400::"))
N_MOBILES = 40


def number(address, base):
    return int(ipaddress.IPv6Address(address)) - base


def checksum_is_right(ip):
    data = bytes(ip[UDP])
    given = struct.unpack_from("!H", data, 6)[0]
    fresh = ip.copy()
    del fresh[UDP].chksum
    return given == struct.unpack_from("!H", bytes(fresh[UDP]), 6)[0]


def test_captures_for_pktgen(tmp_path):
    subprocess.run([str(PROFILES / "pktgen_pcap"), "--core-mac", "02:00:00:00:00:01", "--access-mac",
                    "02:00:00:00:00:02", "--mobiles", str(N_MOBILES), "--size", "imix", "--packets", "240",
                    str(tmp_path)], check=True, timeout=60)
    down, up = rdpcap(str(tmp_path / "down.pcap")), rdpcap(str(tmp_path / "up.pcap"))
    assert len(down) == len(up) == 240
    assert sorted({len(p) for p in down}) == [78, 590, 1474]
    assert {len(p) for p in up} == {len(p) + 40 for p in down}
    mobiles = {number(p[IPv6].dst, HOME) for p in down}
    assert len(mobiles) > N_MOBILES // 2 and max(mobiles) < N_MOBILES
    for packet in up:
        outer, inner = packet[IPv6], packet[IPv6].payload
        assert packet.dst == "02:00:00:00:00:02" and outer.dst == "2001:db8:1::1" and outer.nh == 41
        assert number(outer.src, CARE_OF) == number(inner.src, HOME) in range(N_MOBILES)
    assert all(checksum_is_right(p[IPv6]) for p in down[:20])
    assert all(checksum_is_right(p[IPv6].payload) for p in up[:20])


@pytest.fixture
def trex(monkeypatch):
    """The profile, loaded against a stand-in that keeps what TRex' classes are called with."""
    api = types.ModuleType("trex.stl.api")
    api.Ether, api.IPv6, api.UDP = Ether, IPv6, UDP
    for name in ("STLFlowLatencyStats", "STLPktBuilder", "STLScVmRaw", "STLStream", "STLTXCont",
                 "STLVmFlowVar", "STLVmWrFlowVar"):
        def keep(*args, _name=name, **kwargs):
            return types.SimpleNamespace(kind=_name, args=args, **kwargs)
        setattr(api, name, keep)
    for name in ("trex", "trex.stl"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "trex.stl.api", api)
    spec = importlib.util.spec_from_file_location("trex_unwired", PROFILES / "trex_unwired.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.register()


def write_field(packet, write, value):
    """What TRex' engine would do: value + add_val at "LAYER[:n].field" + fixup."""
    name, field = write.pkt_offset.split(".")
    layer, _, nth = name.partition(":")
    assert layer == "IPv6"
    at = 14 + 40 * int(nth or 0) + {"src": 8, "dst": 24}[field] + write.offset_fixup
    packet[at:at + 4] = struct.pack("!I", value + write.add_val)


@pytest.mark.parametrize("direction", [0, 1])
def test_profile_for_trex(trex, direction):
    streams = trex.get_streams(direction, ["--mobiles", str(N_MOBILES), "--size", "imix"])
    assert len(streams) == 4  # three sizes and one for latency
    assert [s.mode.pps for s in streams[:3]] == [7, 4, 1]
    for stream in streams:
        variable, *writes = stream.packet.vm.args[0]
        assert (variable.min_value, variable.max_value, variable.op) == (0, N_MOBILES - 1, "random")
        packet = bytearray(bytes(stream.packet.pkt))
        assert len(packet) - 40 * direction in (78, 590, 1474)
        for write in writes:
            write_field(packet, write, 39)
        frame = Ether(bytes(packet))
        if direction == 0:
            assert number(frame[IPv6].dst, HOME) == 39
        else:
            assert number(frame[IPv6].src, CARE_OF) == 39
            assert number(frame[IPv6].payload.src, HOME) == 39
            assert frame[IPv6].nh == 41
