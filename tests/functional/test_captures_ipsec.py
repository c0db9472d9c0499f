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


# Sets whose tunnels are under ESP, played from the first packet to the last of the mobile away from home.

TUNNELS = VECTORS.with_name("esp_tunnels.hex")
CORRESPONDENT = "2001:db8:20::20"
TUNNEL_USES = {"11-ipsec-payload-tunnel": "payload", "13-ipsec-hoti-esp-tunnel": "routability",
               "14-ipsec-mh-icmp-payload": "payload"}
IPV6 = 41
# The kernel of that home agent had lost the binding, and answered with a Binding Error in the clear.
FORGOTTEN = ("11-ipsec-payload-tunnel", 37)
# The peers' fault: what goes to a correspondent from the care-of address, a Binding Update or (63) a Home
# Test Init with a Home Address option, was caught by the policy for Home Test Init.
STRAY = ("13-ipsec-hoti-esp-tunnel", {15, 20, 41, 44, 45, 46, 63})


class Played:
    """Our home agent with the keys of a set, and the packets of it in order."""

    def __init__(self, name):
        uses = {**USES, 2004: (TUNNEL_USES[name], "in"), 2005: (TUNNEL_USES[name], "out")}
        listed = [{"use": use, "direction": direction, "spi": spi, "encryption": "aes-cbc", **KEYS}
                  for spi, (use, direction) in uses.items()]
        self.name = name
        self.ends = {spi: sas.scapy_end(listed, *uses[spi]) for spi in uses}
        lines = TUNNELS.read_text().splitlines()
        self.packets = [(int(title.split()[-1]), bytes.fromhex(line))
                        for title, line in zip(lines[::2], lines[1::2]) if name in title]
        protect = ["payload"] if TUNNEL_USES[name] == "payload" else []
        self.lab = Lab([network("captured", 1, "ipsec"), network("open", 2)],
                       [{"home_addresses": [HOME], "security_associations": listed,
                         "protect": protect}], n_ports=1)
        self.counts = {}

    def opened(self, raw):
        """What is in a packet under ESP in tunnel mode, or the packet in a plain tunnel."""
        if raw[6] == IPV6:
            return raw[40:]
        inner, protocol = self.ends[int.from_bytes(raw[40:44], "big")].open(raw[40:])
        assert protocol == IPV6
        return inner

    def next_of(self, at, holds):
        return next((raw for _, raw in self.packets[at + 1:] if holds(raw)), None)

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def transport(self, at, number, raw):
        asked = Transport(raw, self.ends)
        mark = self.lab.core.mark()
        self.lab.core.send(raw)
        frame = self.lab.core.expect(lambda f: f.src == AGENT and f.dst == asked.src and
                                     f.next_header in (ROUTING, MH), mark, what=f"an answer to {number}")
        answer = Transport(frame.ip_bytes, self.ends)
        if (self.name, number) == FORGOTTEN:
            assert answer.protocol == ICMP6
            self.count("not forgotten")
            return
        captured = Transport(self.next_of(at, lambda p: p[6] == ROUTING and p[40] == ESP), self.ends)
        assert (answer.spi, answer.head) == (captured.spi, captured.head), number
        if asked.protocol == MH:
            assert answer.message == captured.message, number
        else:
            assert answer.message[0] == captured.message[0] == 147
        self.count("answered")

    def up(self, at, number, raw):
        inner = self.opened(raw)
        expected = inner[:7] + bytes([inner[7] - 1]) + inner[8:]
        if number in STRAY[1] and self.name == STRAY[0]:
            assert inner[8:24] == raw[8:24]  # the care-of address
            with self.lab.counting_drops() as drops:
                self.lab.core.send(raw)
                self.lab.settle(self.lab.core)
            assert drops == {"esp_selector": 1}, number
            self.count("stray")
            return
        assert expected == self.next_of(at, lambda p: p == expected), number
        mark = self.lab.core.mark()
        self.lab.core.send(raw)
        self.lab.core.expect(lambda f: f.ip_bytes == expected, mark, what=f"what is in {number}")
        self.count("up")

    def down(self, at, number, raw):
        care_of = self.lab.box.binding(HOME)["care_of"][0]["address"]
        captured = self.next_of(at, lambda p: p[24:40] == mip6.packed(care_of) and
                                p[6] in (ESP, IPV6) and self.opened(p)[40:] == raw[40:])
        if captured is None:
            self.count("at home")  # by then the mobile was on the home link
            return
        mark = self.lab.core.mark()
        self.lab.core.send(raw)
        frame = self.lab.core.expect(lambda f: f.src == AGENT and f.dst == care_of and
                                     f.next_header == captured[6], mark, what=f"{number} in a tunnel")
        assert self.opened(frame.ip_bytes) == self.opened(captured), number
        if captured[6] == ESP:
            assert frame.ip_bytes[40:44] == captured[40:44]
        self.count("down")

    def play(self):
        for at, (number, raw) in enumerate(self.packets):
            if raw[24:40] == mip6.packed(AGENT) and raw[8:24] != mip6.packed(HOME):
                (self.up if raw[6] in (ESP, IPV6) else self.transport)(at, number, raw)
            elif (raw[8:24], raw[24:40]) == (mip6.packed(CORRESPONDENT), mip6.packed(HOME)):
                self.down(at, number, raw)


class Transport:
    """A message under ESP behind one header of 24 bytes."""

    def __init__(self, raw, ends):
        self.src = str(ipaddress.IPv6Address(raw[8:24]))
        assert raw[40] == ESP
        self.head = raw[40:64]
        self.spi = int.from_bytes(raw[64:68], "big")
        self.message, self.protocol = ends[self.spi].open(raw[64:])


@pytest.mark.parametrize("name, counts", [
    ("11-ipsec-payload-tunnel", {"answered": 2, "up": 6, "down": 6, "not forgotten": 1, "at home": 2}),
    ("13-ipsec-hoti-esp-tunnel", {"answered": 7, "up": 10, "down": 10, "stray": 7}),
    ("14-ipsec-mh-icmp-payload", {"answered": 6, "up": 9, "down": 9})])
def test_tunnels_as_captured(root, name, counts):
    """Every packet of the mobile and of its correspondent away from home: the same is answered, comes out of
    the tunnel, and goes into it, byte by byte in what ESP protects."""
    played = Played(name)
    try:
        played.lab.start()
        played.play()
    finally:
        problems = played.lab.close()
    assert played.counts == counts
    assert not problems, "\n".join(problems)
