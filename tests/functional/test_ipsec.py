# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The whole home agent with security associations: mobiles by scapy's ESP, and unwired-mobile."""

import json
import os
import pathlib
import struct
import subprocess
import time

import pytest
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, MIP6MH_HoT, MIP6MH_HoTI, MIP6OptAltCoA

from harness import mip6, netns, sas
from harness.box import BUILD
from harness.lab import ACCESS_BOX, ACCESS_PEER, CORRESPONDENT, Lab, Mobile, network
from harness.sealed import ESP, MH, Sealed, numbers

pytestmark = pytest.mark.sanitize

ICMP6 = 58
MOBILE = BUILD / "mobile" / "unwired-mobile"
AGENT = "2001:db8:1::1"
HOME, OTHER, STRICT, REAL = (f"2001:db8:{n}" for n in
                             ("1::100", "1::101", "1::102", "1::200"))


def associations(first, **how):
    return sas.associations(first, **how)


@pytest.fixture(scope="module")
def bed(root):
    listed = {HOME: associations(1000), OTHER: associations(2000),
              STRICT: associations(3000, encryption="aes-cbc", authentication="hmac-sha256-128"),
              REAL: associations(4000)}
    subscribers = [{"home_addresses": [home], "security_associations": listed[home],
                    "protect": ["payload"]} for home in listed]
    lab = Lab([network("secure", 1, "ipsec"), network("open", 2)], subscribers)
    lab.judges_form = False
    lab.listed = listed
    try:
        lab.start()
        yield lab
    finally:
        problems = lab.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def mobile(bed):
    """One mobile for all tests, in each of them at other places: the box polices senders."""
    made = getattr(bed, "sealed", None)
    if made is None:
        made = bed.sealed = Sealed(bed, bed.networks["secure"], 1, HOME, bed.listed[HOME])
    made.number += 1
    made.care_of, made.second_care_of = (f"2001:db8:{net}:{made.number:x}::2" for net in ("a1", "a2"))
    return made


def test_registers_and_is_answered_under_esp(bed, mobile):
    mark = mobile.wire.mark()
    assert mobile.register().lifetime_s > 0
    clear = [f for f in mobile.wire.since(mark) if f.is_ip6 and f.dst == mobile.care_of and
             f.ip_bytes[40] == MH]
    assert not clear
    row = bed.box.binding(HOME)
    assert row["care_of"][0]["address"] == mobile.care_of and row["care_of"][0]["sa"] > 0


def test_refusal_is_answered_under_esp(mobile):
    mobile.register()
    assert mobile.update(seq=mobile.seq - 5 & 0xffff).status == 135
    mobile.seq = mobile.seq + 5 & 0xffff


def test_unprotected_update_is_ignored(bed, mobile):
    """RFC 6275 10.3.1: no answer, no change."""
    mobile.register()
    before = bed.box.binding(HOME)
    plain = Mobile(bed, bed.networks["secure"], 9, HOME)
    mark, _ = plain.send_update(seq=mobile.seq + 1 & 0xffff)
    plain.assert_silence(mark)
    after = bed.box.binding(HOME)
    assert (after["sequence"], after["care_of"]) == (before["sequence"], before["care_of"])


def test_update_for_another_home(bed, mobile):
    """The association of one home address registers no other."""
    mobile.register()
    thief = Sealed(bed, bed.networks["secure"], 1, OTHER, bed.listed[HOME])
    thief.ends = mobile.ends
    mark, _ = thief.send_update(seq=1)
    thief.assert_silence(mark, OTHER)
    assert bed.box.binding(OTHER) is None
    assert bed.box.binding(HOME)["sequence"] == mobile.seq


def test_update_that_is_replayed(bed, mobile):
    """The same bytes once more, from the same place or another: nothing happens."""
    mobile.register()
    sent = mobile.update_packet(mobile.seq + 1 & 0xffff)
    mark = bed.access.mark()
    bed.access.send(sent)
    mobile.seq = mobile.seq + 1 & 0xffff
    assert mobile.answer(mark, mobile.seq).status == 0
    mark = bed.access.mark()
    moved = sent[:8] + mip6.packed("2001:db8:a3::66") + sent[24:]
    with bed.counting_drops() as drops:
        bed.access.send(sent, moved)
        bed.settle()
    assert drops["esp_replay"] == 2
    mobile.assert_silence(mark, HOME, mobile.care_of, "2001:db8:a3::66")


def test_wrong_check_value(bed, mobile):
    """One bit on the way: dropped by name, and the number may still be used by the right packet."""
    mobile.register()
    seq = mobile.seq + 1 & 0xffff
    sent = mobile.update_packet(seq)
    with bed.counting_drops() as drops:
        bed.access.send(sent[:-1] + bytes([sent[-1] ^ 1]))
        bed.settle()
    assert drops["esp_icv"] == 1
    mark = bed.access.mark()
    bed.access.send(sent)
    assert mobile.answer(mark, seq).status == 0
    mobile.seq = seq


def test_source_changed_on_the_way(bed, mobile):
    """RFC 3776 4.1: the care-of address that counts is the one under ESP."""
    seq = mobile.seq + 1 & 0xffff
    sent = mobile.update_packet(
        seq, options=[MIP6OptAltCoA(acoa=mobile.care_of)])
    bed.access.send(sent[:8] + mip6.packed("2001:db8:a3::66") + sent[24:])
    bed.box.wait_for(lambda: bed.box.binding(HOME)["sequence"] == seq, 5, "the registration")
    assert bed.box.binding(HOME)["care_of"][0]["address"] == mobile.care_of
    mobile.seq = seq


def test_payload_both_ways_and_after_a_move(bed, mobile):
    for care_of in (mobile.care_of, mobile.second_care_of):
        assert mobile.update(care_of=care_of).status == 0
        down = mobile.down_packet(b"down" + os.urandom(8))
        assert mobile.receive_sealed(down, "payload", care_of)[40:] == bytes(down)[40:]
        payload = os.urandom(12)
        mark = bed.core.mark()
        bed.access.send(mobile.tunnelled(mobile.up_inner(payload), care_of))
        bed.core.expect(lambda f: payload in f.raw and f.src == HOME, mark)
    mobile.register()


def test_payload_in_the_clear_is_dropped(bed, mobile):
    mobile.register()
    payload = os.urandom(12)
    mark = bed.core.mark()
    with bed.counting_drops() as drops:
        bed.access.send(IPv6(src=mobile.care_of, dst=AGENT) / mobile.up_inner(payload))
        bed.settle()
    assert not bed.core.count(lambda f: payload in f.raw, mark)
    assert drops["esp_required"] == 1


def test_home_test_messages(bed, mobile):
    """RFC 6275 10.4.6: under their own association both ways, from the place where the mobile is."""
    mobile.register()
    hoti = IPv6(src=HOME, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=os.urandom(8))
    mark = bed.core.mark()
    bed.access.send(mobile.tunnelled(bytes(hoti), use="routability"))
    bed.core.expect(lambda f: f.src == HOME and f.next_header == MH and f.raw[56] == 1, mark)
    hot = IPv6(src=CORRESPONDENT, dst=HOME) / MIP6MH_HoT(cookie=os.urandom(8), token=os.urandom(8))
    opened = mobile.receive_sealed(hot, "routability")
    assert opened[42] == 3
    with bed.counting_drops() as drops:
        bed.access.send(IPv6(src=mobile.care_of, dst=AGENT) / hoti)
        bed.settle()
    assert drops["esp_required"] == 1


def test_prefix_solicitation(bed, mobile):
    mobile.register()
    time.sleep(1.1)
    body = struct.pack("!BBHHH", 146, 0, 0, 77, 0)
    data = mip6.packed(HOME) + mip6.packed(AGENT) + struct.pack("!II", len(body), ICMP6) + body
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:]
    head = bytes(mip6.mobile_headers(mobile.care_of, AGENT, HOME))
    packet = head[:4] + struct.pack("!H", 24 + len(body)) + head[6:40] + bytes([ICMP6]) + head[41:]
    mark = bed.access.mark()
    bed.access.send(mobile.transport("discovery", packet + body))
    raw = bed.access.expect(
        lambda f: f.dst == mobile.care_of and f.ip_bytes[40] == ESP and f.next_header == 43 and
        f.ip_bytes[64:68] == struct.pack("!I", mobile.ends["discovery", "out"].spi),
        mark).ip_bytes
    opened, proto = mobile.open("discovery", raw[64:])
    assert proto == ICMP6 and opened[0] == 147 and opened[4:6] == struct.pack("!H", 77)
    assert opened[8:12] == bytes([3, 4, 64, 0x60]) and opened[24:40] == mip6.packed(AGENT)


def test_no_number_is_used_twice(bed, mobile):
    """I6: whatever is killed, the home agent repeats no (SPI, IV), and the mobile goes on."""
    mark = bed.access.mark()
    for kill in (None, "control", "dataplane", "both"):
        if kill in ("control", "both"):
            bed.box.kill_control()
        if kill in ("dataplane", "both"):
            bed.box.kill_dataplane()
            bed.box.start_dataplane()
        if kill in ("control", "both"):
            bed.box.start_control()
        bed.box.wait_synced()
        mobile.register()
        for _ in range(3):
            down = mobile.down_packet(b"down" + os.urandom(8))
            assert mobile.receive_sealed(down, "payload")[40:] == bytes(down)[40:]
    seen = [(spi, iv) for spi, _, iv in numbers(bed.access.since(mark), AGENT)]
    assert len(seen) >= 16 and len(set(seen)) == len(seen)
    for end in mobile.ends.values():
        end.seq += 100  # the window may have gone with the dataplane; ours goes on


def test_show_sas(bed, mobile):
    rows = bed.box.rows("sas")
    mine = [r for r in rows if r["home_address"] == HOME]
    assert {(r["use"], r["direction"]) for r in mine} == {
        (a["use"], a["direction"]) for a in bed.listed[HOME]}
    status = bed.box.ctl("status")
    assert status["security_associations"]["standing"] == len(rows) == 4 * 8


class RealMobile:
    """unwired-mobile on the access network."""

    def __init__(self, lab):
        self.lab = lab
        self.space = lab.namespaces.prefix + "access"
        self.dir = lab.box.dir
        file = self.dir / "mobile.json"
        file.write_text(json.dumps({"security_associations": sas.mirrored(lab.listed[REAL]),
                                    "protect": ["payload"]}))
        netns.Namespaces.route(self.space, AGENT, "via", ACCESS_BOX, "dev", "p1")
        netns.Namespaces.address(self.space, "p1", "2001:db8:fe::3/64")
        self.log = open(self.dir / "mobile.out", "wb")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.space, str(MOBILE), "--home", REAL, "--home-agent", AGENT,
             "--care-of", ACCESS_PEER, "--route", "2001:db8:20::/64", "--control",
             str(self.dir / "mobile.sock"), "--security-associations", str(file)],
            stdout=self.log, stderr=self.log)

    def command(self, *words):
        return subprocess.run([str(MOBILE), "--control", str(self.dir / "mobile.sock"), *words],
                              capture_output=True, text=True, timeout=5).stdout

    def wait(self, text, timeout_s=8):
        deadline = time.monotonic() + timeout_s
        while text not in (status := self.command("status")):
            assert self.process.poll() is None and time.monotonic() < deadline, (
                status + pathlib.Path(self.log.name).read_text())
            time.sleep(0.05)

    def end(self):
        self.process.terminate()
        assert self.process.wait(5) == 0
        self.log.close()


def test_unwired_mobile(bed):
    """Registers, is pinged under ESP, moves, is pinged again, solicits."""
    mobile = RealMobile(bed)
    try:
        mobile.wait("state=bound")
        for care_of in (ACCESS_PEER, "2001:db8:fe::3"):
            if care_of != ACCESS_PEER:
                mobile.command("move", care_of)
                mobile.wait(f"care_of={care_of} sequence=")
                bed.box.wait_for(lambda: bed.box.binding(REAL)["care_of"][0]["address"] == care_of,
                                 5, "the move")
            payload = os.urandom(16)
            core, access = bed.core.mark(), bed.access.mark()
            bed.core.send(IPv6(src=CORRESPONDENT, dst=REAL) /
                          ICMPv6EchoRequest(id=1, seq=1, data=payload))
            bed.core.expect(lambda f: f.src == REAL and payload in f.raw and f.raw[54] == 129, core)
            assert bed.access.count(lambda f: f.next_header == ESP and f.dst == care_of, access) >= 1
            assert not bed.access.count(lambda f: payload in f.raw, access)
        assert mobile.command("solicit") == ""
        bed.box.wait_for(lambda: b"prefix_advertisement" in (bed.box.dir / "mobile.out").read_bytes(),
                         5, "an advertisement")
    finally:
        mobile.end()
