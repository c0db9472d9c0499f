# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""unwired-mobile with security associations, against a home agent that the test plays with scapy's ESP."""

import json
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, MIP6MH_BA, MIP6MH_BU, MIP6MH_HoTI
from scapy.packet import Raw

from harness import mip6, sas
from harness.box import BUILD
from harness.netns import Namespaces, inside, run

MOBILE = BUILD / "mobile" / "unwired-mobile"
AGENT, CARE_OF, SECOND = "2001:db8:f::1", "2001:db8:f::2", "2001:db8:f::3"
HOME, CORRESPONDENT = "2001:db8:1::100", "2001:db8:c::9"
ESP, MH, ICMP6 = 50, 135, 58


class Bed:
    """A mobile in one namespace; the test holds the other end of its wire."""

    def __init__(self, listed, **more):
        self.listed = listed  # as the home agent lists them
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="unwired-mobile-"))
        self.spaces = Namespaces()
        self.agent, self.mobile = self.spaces.add("agent"), self.spaces.add("mobile")
        self.spaces.veth(self.agent, "a0", self.mobile, "m0")
        self.spaces.address(self.agent, "a0", f"{AGENT}/64")
        for address in (CARE_OF, SECOND):
            self.spaces.address(self.mobile, "m0", f"{address}/64")
        run("ip", "-n", self.agent, "link", "set", "a0", "arp", "on")
        with inside(self.agent):
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
            self.wire.bind(("a0", 0x86dd))
        self.mac = bytes.fromhex(self.spaces.mac(self.mobile, "m0").replace(":", ""))
        self.own = bytes.fromhex(self.spaces.mac(self.agent, "a0").replace(":", ""))
        self.file = self.dir / "sas.json"
        self.file.write_text(json.dumps(
            dict({"security_associations": sas.mirrored(listed)}, **more)))
        self.log = self.dir / "log"
        self.ends = {(use, direction): sas.scapy_end(listed, use, direction)
                     for use, direction in {(a["use"], a["direction"]) for a in listed}}
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.mobile, str(MOBILE), "--home", HOME, "--home-agent",
                 AGENT, "--care-of", CARE_OF, "--route", "2001:db8:c::/64", "--control",
                 str(self.dir / "socket"), "--security-associations", str(self.file),
                 "--log-level", "debug"], stdout=log, stderr=log)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(5) == 0
            self.process = None

    def command(self, *words):
        return subprocess.run([str(MOBILE), "--control", str(self.dir / "socket"), *words],
                              capture_output=True, text=True, timeout=5)

    def send(self, packet):
        self.wire.send(self.mac + self.own + b"\x86\xdd" + bytes(packet))

    def receive(self, matches, timeout_s=5):
        """The first IPv6 packet of the mobile that matches."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self.wire.settimeout(left)
            try:
                frame, sender = self.wire.recvfrom(65535)
            except socket.timeout:
                break
            packet = frame[14:]
            if sender[2] == socket.PACKET_OUTGOING or packet[8:24] == mip6.packed(AGENT):
                continue
            if matches(packet):
                return packet
        raise AssertionError(f"nothing came: {self.log.read_text()[-2000:]}")

    def receive_update(self):
        """The next Binding Update, opened, with its source."""
        packet = self.receive(lambda p: p[6] == 60 and p[40] == ESP)
        assert packet[42:44] == b"\1\2" and packet[44 + 2:44 + 4] == b"\xc9\x10", "no HAO"
        assert packet[48:64] == mip6.packed(HOME)
        opened, proto = self.ends["signalling", "in"].open(packet[64:])
        assert proto == MH
        update = MIP6MH_BU(opened)
        zeroed = opened[:4] + b"\0\0" + opened[6:]
        assert update.cksum == mip6.mh_checksum(HOME, AGENT, zeroed)
        return update, socket.inet_ntop(socket.AF_INET6, packet[8:24])

    def acknowledge(self, update, care_of, status=0, lifetime_s=400, seal=True, end=None):
        body = bytes(MIP6MH_BA(status=status, seq=update.seq, mhtime=lifetime_s // 4, cksum=0))
        total = mip6.mh_checksum(AGENT, HOME, body)
        body = body[:4] + struct.pack("!H", total) + body[6:]
        self.send_routed(care_of, MH, body, seal and (end or self.ends["signalling", "out"]))

    def send_routed(self, care_of, proto, body, end):
        if end:
            proto, body = ESP, end.seal(body, proto)
        routing = bytes([proto, 2, 2, 1, 0, 0, 0, 0]) + mip6.packed(HOME)
        self.send(bytes(IPv6(src=AGENT, dst=care_of, nh=43, plen=24 + len(body))) + routing + body)

    def register(self):
        update, care_of = self.receive_update()
        self.acknowledge(update, care_of)
        self.wait_status("state=bound")
        return update

    def wait_status(self, text, timeout_s=5):
        deadline = time.monotonic() + timeout_s
        while text not in (status := self.command("status").stdout):
            assert time.monotonic() < deadline, status + self.log.read_text()[-1500:]
            time.sleep(0.05)

    def number(self, name):
        status = self.command("status").stdout
        return int(status.split(f" {name}=")[1].split()[0])

    def host_sends(self, packet):
        """The mobile's host sends an IPv6 packet into its TUN device."""
        with inside(self.mobile), socket.socket(
                socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(bytes(packet), (CORRESPONDENT, 0))

    def close(self):
        self.stop()
        self.wire.close()
        self.spaces.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(params=[{}, {"encryption": "aes-cbc", "authentication": "hmac-sha1-96"},
                        {"encryption": "chacha20-poly1305"},
                        {"encryption": "aes-cbc", "authentication": "hmac-sha256-128"}],
                ids=["gcm", "cbc-sha1", "chacha", "cbc-sha256"])
def bed(request):
    made = Bed(sas.associations(1000, **request.param))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def gcm():
    made = Bed(sas.associations(1000))
    try:
        yield made
    finally:
        made.close()


def test_registration_and_tunnel(bed):
    bed.register()
    inner = IPv6(src=HOME, dst=CORRESPONDENT, nh=17) / Raw(b"\x12\x34\x56\x78\0\x0c\0\0data")
    bed.host_sends(inner)
    packet = bed.receive(lambda p: p[6] == ESP)
    opened, proto = bed.ends["payload", "in"].open(packet[40:])
    assert proto == 41 and opened == bytes(inner)
    with inside(bed.mobile), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((HOME, 4711))
        s.settimeout(3)
        datagram = bytes(IPv6(src=CORRESPONDENT, dst=HOME) / UDP(sport=9, dport=4711) / b"hello")
        sealed = bed.ends["payload", "out"].seal(datagram, 41)
        bed.send(bytes(IPv6(src=AGENT, dst=CARE_OF, nh=ESP, plen=len(sealed))) + sealed)
        assert s.recv(100) == b"hello"
        bed.send(bytes(IPv6(src=AGENT, dst=CARE_OF, nh=ESP, plen=len(sealed))) + sealed)  # replay
        bed.send(bytes(IPv6(src=AGENT, dst=CARE_OF, nh=41, plen=len(datagram))) + datagram)  # clear
        s.settimeout(0.5)
        with pytest.raises(socket.timeout):
            s.recv(100)
    assert bed.number("down_esp") == 1 and bed.number("down_unprotected") == 1


def test_home_test(gcm):
    """Home test messages go under their own association."""
    gcm.start()
    gcm.register()
    hoti = IPv6(src=HOME, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=b"12345678")
    gcm.host_sends(hoti)
    packet = gcm.receive(lambda p: p[6] == ESP)
    opened, proto = gcm.ends["routability", "in"].open(packet[40:])
    assert proto == 41 and opened[8:40] == bytes(hoti)[8:40] and opened[42] == 1


def test_acknowledgement_must_be_protected(gcm):
    gcm.start()
    update, care_of = gcm.receive_update()
    gcm.acknowledge(update, care_of, seal=False)
    gcm.acknowledge(update, care_of, end=sas.scapy_end(sas.associations(1000), "signalling", "out"))
    gcm.acknowledge(update, care_of, end=gcm.ends["discovery", "out"])
    time.sleep(0.3)
    assert "state=bound" not in gcm.command("status").stdout
    assert gcm.number("down_unprotected") == 1 and gcm.number("down_esp") == 2
    gcm.acknowledge(update, care_of)
    gcm.wait_status("state=bound")


def test_move(gcm):
    """After a move everything goes on under the same associations from the new place."""
    gcm.start()
    gcm.register()
    assert gcm.command("move", SECOND).returncode == 0
    update, care_of = gcm.receive_update()
    assert care_of == SECOND
    gcm.acknowledge(update, care_of)
    gcm.wait_status(f"care_of={SECOND} sequence={update.seq}")
    gcm.host_sends(IPv6(src=HOME, dst=CORRESPONDENT, nh=59))
    packet = gcm.receive(lambda p: p[6] == ESP)
    assert packet[8:24] == mip6.packed(SECOND)
    gcm.ends["payload", "in"].open(packet[40:])


def test_restart_uses_no_number_twice(gcm):
    seen = []
    for _ in range(3):
        gcm.start()
        for _ in range(2):
            packet = gcm.receive(lambda p: p[6] == 60 and p[40] == ESP)
            seen.append((packet[64:72], packet[72:80]))
        gcm.stop()
    sequences = [struct.unpack("!I", s[4:])[0] for s, _ in seen]
    assert sequences == sorted(set(sequences))
    assert len({iv for _, iv in seen}) == len(seen)


def test_solicitation(gcm):
    gcm.start()
    gcm.register()
    assert gcm.command("solicit").returncode == 0
    packet = gcm.receive(lambda p: p[6] == 60 and p[40] == ESP)
    opened, proto = gcm.ends["discovery", "in"].open(packet[64:])
    assert proto == ICMP6 and opened[0] == 146
    body = bytes([147, 0, 0, 0]) + opened[4:6] + bytes(2)
    body += bytes([3, 4, 64, 0x60]) + struct.pack("!III", 600, 300, 0) + mip6.packed(AGENT)
    data = mip6.packed(AGENT) + mip6.packed(HOME) + struct.pack("!II", len(body), ICMP6) + body
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:]
    gcm.send_routed(CARE_OF, ICMP6, body, gcm.ends["discovery", "out"])
    deadline = time.monotonic() + 3
    while "home_prefix" not in (log := gcm.log.read_text()):
        assert time.monotonic() < deadline, log[-1000:]
        time.sleep(0.05)
    assert f"prefix={AGENT}/64 flags=0x60 valid_s=600 preferred_s=300" in log
    assert "solicited=yes" in log


def test_nothing_leaves_in_the_clear():
    """What the file wants protected and has no association for is not sent."""
    bed = Bed([a for a in sas.associations(1000) if (a["use"], a["direction"]) != ("payload", "in")])
    try:
        bed.start()
        bed.register()
        bed.host_sends(IPv6(src=HOME, dst=CORRESPONDENT, nh=59))
        bed.wait_status("up_unprotected=1")
    finally:
        bed.close()


@pytest.mark.parametrize("content, reason", [
    ("{}", "security_associations is missing"), ("[", "is not JSON"),
    ('{"security_associations": [{"use": "x"}]}', "security_associations[0].use: must be one of"),
    ('{"security_associations": [], "protect": ["payload"]}', "payload needs")])
def test_bad_file(tmp_path, content, reason):
    path = tmp_path / "sas.json"
    path.write_text(content)
    done = subprocess.run([str(MOBILE), "--home", HOME, "--home-agent", AGENT, "--care-of", CARE_OF,
                           "--security-associations", str(path)], capture_output=True, text=True,
                          timeout=5)
    assert done.returncode == 1 and reason in done.stderr


def test_one_home_only(tmp_path):
    done = subprocess.run([str(MOBILE), "--home", HOME, "--home", "2001:db8:1::101", "--home-agent",
                           AGENT, "--care-of", CARE_OF, "--security-associations", "x"],
                          capture_output=True, text=True, timeout=5)
    assert done.returncode == 2 and "are of one --home" in done.stderr
