# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What another implementation's mobile sent under its manual keys (RFC 3776), said to our home agent:
it must be opened, checked and answered as that implementation's home agent answered it."""

import ipaddress
import pathlib
import struct

import pytest

from harness import mip6, sas
from harness.lab import Lab, network

pytestmark = pytest.mark.sanitize

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "esp.hex"
AGENT, HOME = "2001:db8:1::1", "2001:db8:1::100"
ESP, ROUTING, MH, ICMP6 = 50, 43, 135, 58
USES = {2000: ("signalling", "in"), 2001: ("signalling", "out"),
        2002: ("discovery", "in"), 2003: ("discovery", "out")}
KEYS = {"encryption_key": bytes(range(16)).hex(), "authentication": "hmac-sha1-96",
        "authentication_key": bytes(range(0x10, 0x24)).hex()}
SETS = {"09-ipsec-aes": {"encryption": "aes-cbc", **KEYS},
        "10-ipsec-espnull": {"encryption": "null",
                             **{k: v for k, v in KEYS.items() if k != "encryption_key"}}}


class Captured:
    """A packet under ESP in transport mode, opened with the keys of its set."""

    def __init__(self, raw, ends):
        self.raw = raw
        self.src, self.dst = (str(ipaddress.IPv6Address(raw[at:at + 16])) for at in (8, 24))
        at = 40 if raw[6] == ESP else 64  # behind one header of 24 bytes
        self.head = raw[40:at]
        assert raw[6] == ESP or raw[40] == ESP
        self.spi, self.number = struct.unpack_from("!II", raw, at)
        self.use, self.direction = USES[self.spi]
        self.message, self.protocol = ends[self.spi].open(raw[at:])


class Bed:
    """Our home agent with the captured keys, on one wire behind which all the world is."""

    def __init__(self, name):
        listed = [{"use": use, "direction": direction, "spi": spi, **SETS[name]}
                  for spi, (use, direction) in USES.items()]
        self.ends = {spi: sas.scapy_end(listed, *USES[spi]) for spi in USES}
        lines = VECTORS.read_text().splitlines()
        self.packets = [Captured(bytes.fromhex(line), self.ends)
                        for title, line in zip(lines[::3], lines[1::3]) if name in title]
        self.lab = Lab([network("captured", 1, "ipsec"), network("open", 2)],
                       [{"home_addresses": [HOME], "security_associations": listed}], n_ports=1)
        try:
            self.lab.start()
        except BaseException:
            print("\n".join(self.lab.close()))
            raise

    def exchanges(self):
        """(what the mobile sent, what the other home agent answered), in order, of one away from home."""
        away = [p for p in self.packets if p.head]
        asked = [p for p in away if p.direction == "in"]
        answered = [p for p in away if p.direction == "out"]
        assert [p.use for p in asked] == [p.use for p in answered] and len(asked) >= 6
        return list(zip(asked, answered))

    def ask(self, raw, like):
        """Sends a packet, and gives the answer that has the form of another one."""
        mark = self.lab.core.mark()
        self.lab.core.send(raw)
        frame = self.lab.core.expect(
            lambda f: f.src == AGENT and f.dst == like.dst and f.next_header in (ROUTING, ESP), mark,
            what="an answer under ESP")
        return Captured(frame.ip_bytes, self.ends)

    def dropped(self, raw, reason):
        """Sends what must be dropped for that reason, and answered by nobody."""
        mark = self.lab.core.mark()
        with self.lab.counting_drops() as drops:
            self.lab.core.send(raw)
            self.lab.settle(self.lab.core)
        assert drops == {reason: 1}
        asker = {str(ipaddress.IPv6Address(raw[8:24])), HOME}
        assert not self.lab.core.count(lambda f: f.src == AGENT and f.dst in asker, mark)


@pytest.fixture(params=SETS)
def bed(root, request):
    made = Bed(request.param)
    yield made
    problems = made.lab.close()
    assert not problems, "\n".join(problems)


def checksum_holds(packet, src, dst):
    zeroed = packet.message[:4] + b"\0\0" + packet.message[6:]
    return packet.message[4:6] == struct.pack("!H", mip6.mh_checksum(src, dst, zeroed))


def test_answered_as_captured(bed):
    """Each Binding Update and the Mobile Prefix Solicitation, from both foreign links."""
    for asked, captured in bed.exchanges():
        answer = bed.ask(asked.raw, captured)
        assert (answer.spi, answer.protocol) == (captured.spi, captured.protocol)
        # The type 2 routing header before ESP, with the home address (RFC 3776 section 3.1).
        assert answer.head == captured.head and (answer.head[2], answer.head[3]) == (2, 1)
        if asked.use == "signalling":
            # Status, flags, sequence number, the lifetime asked for: the very bytes.
            assert answer.message == captured.message and checksum_holds(answer, AGENT, HOME)
            care_of = bed.lab.box.binding(HOME)["care_of"][0]["address"]
            assert care_of == asked.src and bed.lab.box.binding(HOME)["care_of"][0]["sa"] > 0
        else:
            assert answer.protocol == ICMP6 and answer.message[0] == captured.message[0] == 147
            assert answer.message[4:6] == asked.message[4:6]  # the identifier
            prefix = answer.message[8:40]
            assert prefix[:3] == captured.message[8:11] and prefix[3] & 0x20  # with our address
            assert prefix[16:32] == mip6.packed(AGENT)


def test_numbers_of_answers_rise(bed):
    last = {}
    for asked, captured in bed.exchanges():
        answer = bed.ask(asked.raw, captured)
        assert answer.number > last.get(answer.spi, 0)
        last[answer.spi] = answer.number
    assert set(last) == {2001, 2003}


def test_what_is_said_again_is_not_heard(bed):
    """Attack 2: the capture as an attacker would play it."""
    exchanges = bed.exchanges()
    for asked, captured in exchanges:
        bed.ask(asked.raw, captured)
    before = bed.lab.box.binding(HOME)
    for asked, _ in exchanges:
        bed.dropped(asked.raw, "esp_replay")
    after = bed.lab.box.binding(HOME)
    assert (after["sequence"], after["care_of"]) == (before["sequence"], before["care_of"])


def test_what_was_touched_is_not_heard(bed):
    """One bit of the SPI, the number, the text, the check value. ESP does not cover the home address
    in front of it: that is the selector's matter."""
    def touched(raw, at):
        return raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1:]

    asked, captured = bed.exchanges()[0]
    for at, reason in ((66, "esp_no_sa"), (71, "esp_icv"), (75, "esp_icv"), (100, "esp_icv"),
                       (len(asked.raw) - 1, "esp_icv")):
        bed.dropped(touched(asked.raw, at), reason)
    assert bed.lab.box.binding(HOME) is None
    assert bed.ask(asked.raw, captured).message == captured.message
    before = bed.lab.box.binding(HOME)
    bed.dropped(touched(bed.exchanges()[1][0].raw, 63), "esp_selector")
    assert bed.lab.box.binding(HOME)["sequence"] == before["sequence"]


def test_return_home(bed):
    """From the home address itself, without Home Address option: the last packet of the mobile."""
    for asked, captured in bed.exchanges():
        bed.ask(asked.raw, captured)
    asked, captured = (next(p for p in bed.packets if not p.head and p.direction == way)
                       for way in ("in", "out"))
    assert (asked.src, captured.dst) == (HOME, HOME)
    bed.lab.core.send(asked.raw)
    bed.lab.box.wait_for(lambda: bed.lab.box.binding(HOME) is None, 5, "the end of the binding")
