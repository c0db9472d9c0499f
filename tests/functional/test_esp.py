# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""ESP in the dataplane, with scapy as the mobile's end of each SA and the test as control: every
algorithm and size, both modes and ways, and all that must not pass (RFC 4303, RFC 3776, RFC 4877)."""

import os
import struct
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    HAO, ICMPv6EchoRequest, ICMPv6MPSol, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment, IPv6ExtHdrRouting, MIP6MH_BA, MIP6MH_BU, MIP6MH_HoT, MIP6MH_HoTI, Raw,
    defragment6, fragment6)

from harness import esp, keeper, mip6
from harness.keeper import DISCOVERY, IN, OUT, PAYLOAD, ROUTABILITY, SIGNALLING
from harness.lab import CORRESPONDENT, Lab, network

pytestmark = pytest.mark.sanitize

AGENT = "2001:db8:1::1"
HOME, OTHER_HOME = "2001:db8:1::100", "2001:db8:1::200"
CARE_OF, SECOND_CARE_OF, OTHER_CARE_OF = "2001:db8:a1::2", "2001:db8:a2::2", "2001:db8:a1::9"
STRICT_HOME, STRICT_PREFIX = "2001:db8:2::100", "2001:db8:2::/64"
SLOT, OTHER_SLOT, STRICT_SLOT = 7, 8, 9


class Bed:
    """The box without its control process, two homes in an open network and one in a strict one."""

    def __init__(self, **dataplane):
        networks = [network("open", 1, "ipsec"), network("strict", 2, "ipsec")]
        self.lab = Lab(networks, max_sas=64, **dataplane)
        self.lab.judges_form = False
        self.spi = 0x1000
        try:
            self.lab.box.start_dataplane()
            self.keeper = keeper.Keeper(self.lab.box.run_dir / "dataplane.sock")
            self.fill()
        except BaseException:
            print("\n".join(self.lab.close()))
            raise

    def fill(self, sas=()):
        k = self.keeper
        k.sync_begin()
        k.agent(0, AGENT)
        k.agent(1, "2001:db8:2::1")
        k.home_prefix(1, "2001:db8:1::/64")
        k.home_prefix(2, STRICT_PREFIX, (SIGNALLING, DISCOVERY, ROUTABILITY))
        for sa in sas:
            sa()
        k.binding(1, HOME, CARE_OF, SLOT)
        k.binding(2, OTHER_HOME, OTHER_CARE_OF, OTHER_SLOT)
        k.binding(3, STRICT_HOME, "2001:db8:a1::22", STRICT_SLOT, home_prefix=2)
        k.sync_end()
        self.settle()

    def settle(self):
        """Returns when all records before have taken effect: the answer goes the same way."""
        mark = self.lab.core.mark()
        name = os.urandom(8)
        self.keeper.packet_out(IPv6(src=AGENT, dst=CORRESPONDENT) / UDP(sport=9, dport=9) / name)
        self.lab.core.expect(lambda f: f.raw.endswith(name), mark)

    def sa(self, use, direction, suite=esp.GCM, slot=SLOT, home=HOME, **how):
        """A new SA on both ends. Returns the mobile's."""
        self.spi += 1
        self.keeper.sa(suite, slot, self.spi, use, direction, home, **how)
        self.settle()
        return esp.Association(suite, self.spi)

    def sas(self):
        """`show sas` by SPI."""
        rows, first = [], 0
        while first >= 0:
            page = self.lab.box.telemetry(f"/unwired/sas,{first}")
            rows += page["items"].values()
            first = page["next"]
        return {row["spi"]: row for row in rows}

    def drops(self):
        total, first = {}, 0
        while first >= 0:
            page = self.lab.box.telemetry(f"/unwired/drops,{first}")
            for row in page["items"].values():
                total[row["reason"]] = total.get(row["reason"], 0) + row["packets"]
            first = page["next"]
        return total

    def encapsulated(self):
        rows = self.lab.box.telemetry("/unwired/workers")["items"].values()
        return sum(row["encapsulated"] for row in rows)

    def dropped(self, send, reason, n=1):
        """Sends what must be dropped n times for exactly that reason, with nothing else happening."""
        before = self.drops()
        marks = [(wire, wire.mark()) for wire in (self.lab.core, self.lab.access)]
        self.keeper.receive()
        n_punts = len(self.keeper.punts)
        send()
        deadline = time.monotonic() + 5
        while (now := self.drops()).get(reason, 0) - before.get(reason, 0) < n:
            assert time.monotonic() < deadline, (reason, {
                k: v - before.get(k, 0) for k, v in now.items() if v != before.get(k, 0)})
            time.sleep(0.02)
        changed = {k: v - before.get(k, 0) for k, v in now.items() if v != before.get(k, 0)}
        assert changed == {reason: n}
        self.settle()
        assert len(self.keeper.punts) == n_punts
        for wire, mark in marks:
            assert wire.count(lambda f: f.next_header in (esp.PROTOCOL, 41, 58, 135) and
                              f.raw[54] not in (133, 134, 135, 136), mark) == 0

    def close(self):
        self.keeper.close()
        return self.lab.close()


@pytest.fixture(scope="module")
def shared_bed(root):
    made = Bed()
    yield made
    problems = made.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def bed(shared_bed):
    """The bed as at its start."""
    shared_bed.fill()
    shared_bed.keeper.events.clear()
    return shared_bed


def probe(src, dst, length, hlim=64):
    """A packet of that many bytes at least, with bytes nobody else sends."""
    return bytes(IPv6(src=src, dst=dst, hlim=hlim) / UDP(sport=7, dport=7) / os.urandom(max(0, length - 48)))


def hop_on(packet):
    return packet[:7] + bytes([packet[7] - 1]) + packet[8:]


def up(association, inner, care_of=CARE_OF, agent=AGENT, **how):
    """A mobile's tunnel packet under ESP."""
    return bytes(IPv6(src=care_of, dst=agent, nh=esp.PROTOCOL) / Raw(association.seal(inner, 41, **how)))


def came_out(bed, inner, mark, wire=None):
    """The packet that the box forwarded, which must be inner with one hop less."""
    expected = hop_on(inner)
    return (wire or bed.lab.core).expect(lambda f: f.ip_bytes == expected, mark, what="the inner packet")


def next_sealed(bed, care_of, mark, number=0):
    """The ESP packet to a care-of address since mark, whole."""
    def is_ours(frame):
        return frame.dst == care_of and frame.next_header in (esp.PROTOCOL, 43)
    frame, at = bed.lab.access.wait(is_ours, mark, what="ESP")
    return frame


SIZES = [48, 49, 50, 63, 64, 65, 127, 128, 500, 1280, 1380]


@pytest.mark.parametrize("suite", esp.SUITES, ids=repr)
def test_tunnel_of_every_algorithm_and_size(bed, suite):
    inward, outward = bed.sa(PAYLOAD, IN, suite), bed.sa(PAYLOAD, OUT, suite, protect=[PAYLOAD])
    ivs = set()
    for length in SIZES:
        mark, inner = bed.lab.core.mark(), probe(HOME, CORRESPONDENT, length)
        bed.lab.access.send(up(inward, inner))
        came_out(bed, inner, mark)

        mark, inner = bed.lab.access.mark(), probe(CORRESPONDENT, HOME, length)
        bed.lab.core.send(inner)
        sealed = next_sealed(bed, CARE_OF, mark).ip_bytes
        assert (sealed[8:24], sealed[40:44]) == (mip6.packed(AGENT), struct.pack("!I", outward.spi))
        assert outward.open(sealed[40:]) == (hop_on(inner), 41)
        assert suite.encryption == 4 or length < 64 or inner[48:] not in sealed
        assert (len(sealed) - 40) % 4 == 0
        ivs.add(sealed[44:64])
    assert len(ivs) == len(SIZES)
    row = bed.sas()[inward.spi]
    assert (row["packets"], row["bytes"]) == (len(SIZES), sum(SIZES))
    assert bed.sas()[outward.spi]["sequence"] == len(SIZES) + 1


@pytest.mark.parametrize("suite", esp.SUITES, ids=repr)
def test_signalling_of_every_algorithm(bed, suite):
    care_of = f"2001:db8:a3:{esp.SUITES.index(suite) + 1:x}::2"  # each sender has a rate
    inward, outward = bed.sa(SIGNALLING, IN, suite), bed.sa(SIGNALLING, OUT, suite)
    plain = mip6.binding_update(HOME, care_of, AGENT, 5)
    message = bytes(plain)[40 + 24:]
    bed.keeper.punts.clear()
    bed.lab.access.send(update_under(inward, HOME, care_of, message))
    punt = bed.keeper.wait(lambda: bed.keeper.punts, what="the update")[0]
    assert (punt.sa_slot, punt.sa_use, punt.lane) == (SLOT, SIGNALLING, 1)
    assert (punt.outer_src, punt.outer_dst, punt.tunnelled) == (care_of, AGENT, 0)
    assert punt.packet == bytes(plain)

    answer = (IPv6(src=AGENT, dst=care_of) /
              IPv6ExtHdrRouting(type=2, addresses=[HOME], segleft=1) / MIP6MH_BA(status=0, seq=5))
    mark = bed.lab.access.mark()
    bed.keeper.packet_out(answer, SLOT, SIGNALLING)
    sealed = next_sealed(bed, care_of, mark).ip_bytes
    assert sealed[40] == esp.PROTOCOL and sealed[:40][6] == 43
    assert sealed[40 + 1:40 + 24] == bytes(answer)[40 + 1:40 + 24]
    assert outward.open(sealed[64:]) == (bytes(answer)[64:], 135)
    # To a mobile at home there is no routing header.
    mark = bed.lab.access.mark()
    answer = IPv6(src=AGENT, dst=care_of) / MIP6MH_BA(status=1, seq=6)
    bed.keeper.packet_out(answer, SLOT, SIGNALLING)
    sealed = next_sealed(bed, care_of, mark).ip_bytes
    assert outward.open(sealed[40:]) == (bytes(answer)[40:], 135)


@pytest.mark.parametrize("suite", [s for s in esp.SUITES if s.encryption != 4], ids=repr)
def test_home_test_messages_of_every_algorithm(bed, suite):
    """X6275.8.4-5: each cipher and authentication that is offered, which null encryption is not."""
    inward, outward = bed.sa(ROUTABILITY, IN, suite), bed.sa(ROUTABILITY, OUT, suite, protect=[ROUTABILITY])
    init = bytes(IPv6(src=HOME, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=os.urandom(8)))
    mark = bed.lab.core.mark()
    bed.lab.access.send(up(inward, init))
    came_out(bed, init, mark)
    test = bytes(IPv6(src=CORRESPONDENT, dst=HOME) / MIP6MH_HoT(token=os.urandom(8)))
    mark = bed.lab.access.mark()
    bed.lab.core.send(test)
    assert outward.open(next_sealed(bed, CARE_OF, mark).ip_bytes[40:]) == (hop_on(test), 41)


def update_under(association, home, care_of, message, agent=AGENT, next_header=135, **how):
    """A message with a Home Address option and ESP behind it, RFC 3776 section 3.1."""
    sealed = association.seal(message, next_header, **how)
    return bytes(IPv6(src=care_of, dst=agent) /
                 IPv6ExtHdrDestOpt(nh=esp.PROTOCOL, options=[HAO(hoa=home)]) / Raw(sealed))


def update(home=HOME, care_of=CARE_OF, agent=AGENT, seq=5):
    return bytes(mip6.binding_update(home, care_of, agent, seq))[40 + 24:]


def test_discovery(bed):
    inward, outward = bed.sa(DISCOVERY, IN), bed.sa(DISCOVERY, OUT)
    plain = IPv6(src=CARE_OF, dst=AGENT) / IPv6ExtHdrDestOpt(options=[HAO(hoa=HOME)]) / ICMPv6MPSol(id=3)
    bed.keeper.punts.clear()
    bed.lab.access.send(update_under(inward, HOME, CARE_OF, bytes(plain)[64:], next_header=58))
    punt = bed.keeper.wait(lambda: bed.keeper.punts, what="the solicitation")[0]
    assert (punt.sa_slot, punt.sa_use, punt.lane) == (SLOT, DISCOVERY, 2)
    assert punt.packet == bytes(plain)
    mark = bed.lab.access.mark()
    answer = bytes(IPv6(src=AGENT, dst=CARE_OF, nh=58) / Raw(b"\x93\0\0\0\0\3\0\0"))
    bed.keeper.packet_out(answer, SLOT, DISCOVERY)
    assert outward.open(next_sealed(bed, CARE_OF, mark).ip_bytes[40:]) == (answer[40:], 58)
    # The SA is for nothing else.
    bed.dropped(lambda: bed.lab.access.send(
        update_under(inward, HOME, CARE_OF, bytes(ICMPv6EchoRequest()), next_header=58)), "esp_selector")
    bed.dropped(lambda: bed.lab.access.send(
        update_under(inward, HOME, CARE_OF, update())), "esp_selector")


def test_wrong_check_values(bed):
    tunnel, signalling = bed.sa(PAYLOAD, IN), bed.sa(SIGNALLING, IN, learned=True)
    good = up(tunnel, probe(HOME, CORRESPONDENT, 100))
    for at in (44, 48, 60, len(good) - 1):
        broken = good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
        bed.dropped(lambda: bed.lab.access.send(broken), "esp_icv")
    good = update_under(signalling, HOME, CARE_OF, update())
    broken = good[:-1] + bytes([good[-1] ^ 0x80])
    bed.dropped(lambda: bed.lab.access.send(broken), "esp_icv")
    rows = bed.sas()
    assert (rows[tunnel.spi]["bad_check_values"], rows[tunnel.spi]["packets"]) == (4, 0)
    assert rows[tunnel.spi]["sequence"] == 0  # the window has not moved
    assert [rows[sa.spi]["source"] for sa in (tunnel, signalling)] == ["file", "ike"]
    other = esp.Association(esp.GCM, tunnel.spi, (bytes(20), b""))
    bed.dropped(lambda: bed.lab.access.send(up(other, probe(HOME, CORRESPONDENT, 100))), "esp_icv")


def test_unknown_and_malformed(bed):
    inward = bed.sa(PAYLOAD, IN)
    stranger = esp.Association(esp.GCM, 0x9999)
    inner = probe(HOME, CORRESPONDENT, 100)
    bed.dropped(lambda: bed.lab.access.send(up(stranger, inner)), "esp_no_sa")
    # The SA is one of this agent address only.
    bed.dropped(lambda: bed.lab.access.send(up(inward, inner, agent="2001:db8:2::1")), "esp_no_sa")
    # An update under an unknown SPI is not answered with a Binding Error either (RFC 6275 9.3.1).
    bed.dropped(lambda: bed.lab.access.send(
        update_under(stranger, "2001:db8:1::dead", CARE_OF, update())), "esp_no_sa")
    sealed = inward.seal(inner, 41)
    for cut in (8, 12, 16, 20, 31, 33, 34):
        bed.dropped(lambda: bed.lab.access.send(
            IPv6(src=CARE_OF, dst=AGENT, nh=50) / Raw(sealed[:cut])), "esp_malformed")
    bed.dropped(lambda: bed.lab.access.send(
        IPv6(src=CARE_OF, dst=AGENT, nh=50) / Raw(sealed[:7])), "esp_malformed")
    mark = bed.lab.core.mark()
    bed.lab.access.send(IPv6(src=CARE_OF, dst=AGENT, nh=50) / Raw(sealed))
    came_out(bed, inner, mark)


def test_replay(bed):
    inward = bed.sa(PAYLOAD, IN, window=32)
    inners = {seq: probe(HOME, CORRESPONDENT, 100) for seq in (1, 40, 9, 8, 41)}
    packets = {seq: up(inward, inner, seq=seq) for seq, inner in inners.items()}
    for seq in (1, 40, 9, 41):
        mark = bed.lab.core.mark()
        bed.lab.access.send(packets[seq])
        came_out(bed, inners[seq], mark)
    for seq in (1, 40, 9, 8, 41):
        bed.dropped(lambda: bed.lab.access.send(packets[seq]), "esp_replay")
    bed.dropped(lambda: bed.lab.access.send(up(inward, inners[1], seq=0)), "esp_replay")
    assert bed.sas()[inward.spi]["sequence"] == 41
    assert bed.sas()[inward.spi]["replayed"] == 6
    # The same SA again, as after a restart of control, does not open the window.
    bed.keeper.sa(esp.GCM, SLOT, inward.spi, PAYLOAD, IN, HOME, window=32)
    bed.settle()
    bed.dropped(lambda: bed.lab.access.send(packets[41]), "esp_replay")


def test_selectors(bed):
    tunnel, signalling, routability = (bed.sa(use, IN) for use in (PAYLOAD, SIGNALLING, ROUTABILITY))
    for association in (tunnel, routability):
        bed.dropped(lambda: bed.lab.access.send(
            update_under(association, HOME, CARE_OF, update())), "esp_selector")
    # The home address of another, in the option and without it.
    bed.dropped(lambda: bed.lab.access.send(
        update_under(signalling, OTHER_HOME, CARE_OF, update(OTHER_HOME))), "esp_selector")
    bed.dropped(lambda: bed.lab.access.send(
        bytes(IPv6(src=OTHER_HOME, dst=AGENT, nh=50) / Raw(signalling.seal(update(), 135)))),
        "esp_selector")
    # Return routability does not go in transport mode, nor does anything else.
    for message, protocol in ((bytes(MIP6MH_HoTI()), 135), (probe(HOME, AGENT, 60), 41),
                              (bytes(UDP()), 17)):
        bed.dropped(lambda: bed.lab.access.send(
            update_under(signalling, HOME, CARE_OF, message, next_header=protocol)), "esp_selector")
    # Inner sources: another's, and nobody's.
    bed.dropped(lambda: bed.lab.access.send(
        up(tunnel, probe(OTHER_HOME, CORRESPONDENT, 100))), "esp_selector")
    bed.dropped(lambda: bed.lab.access.send(
        up(tunnel, probe("2001:db8:1::7777", CORRESPONDENT, 100))), "tunnel_unbound")
    # The one for Home Test Init is for nothing else.
    bed.dropped(lambda: bed.lab.access.send(
        up(routability, probe(HOME, CORRESPONDENT, 100))), "esp_selector")
    init = bytes(IPv6(src=HOME, dst=CORRESPONDENT) / MIP6MH_HoTI())
    mark = bed.lab.core.mark()
    bed.lab.access.send(up(routability, init))
    came_out(bed, init, mark)
    # The payload's carries it, too, unless return routability has to have its own.
    mark = bed.lab.core.mark()
    bed.lab.access.send(up(tunnel, init))
    came_out(bed, init, mark)
    strict = bed.sa(PAYLOAD, IN, protect=[ROUTABILITY])
    bed.dropped(lambda: bed.lab.access.send(up(strict, init)), "esp_selector")


def test_dummy_padding_and_hidden_length(bed):
    inward = bed.sa(PAYLOAD, IN)
    bed.dropped(lambda: bed.lab.access.send(
        bytes(IPv6(src=CARE_OF, dst=AGENT, nh=50) / Raw(inward.seal(os.urandom(50), 59)))), "esp_dummy")
    inner = probe(HOME, CORRESPONDENT, 100)
    mark = bed.lab.core.mark()
    bed.lab.access.send(up(inward, inner + bytes(200)))  # RFC 4303 section 2.7
    came_out(bed, inner, mark)
    bed.dropped(lambda: bed.lab.access.send(up(inward, inner[:-1])), "tunnel_bad_inner")


def test_handover_inside_the_tunnel(bed):
    inward, signalling = bed.sa(PAYLOAD, IN), bed.sa(SIGNALLING, IN)
    # RFC 6275 10.4.5: with ESP the outer source says nothing.
    inner = probe(HOME, CORRESPONDENT, 100)
    mark = bed.lab.core.mark()
    bed.lab.access.send(up(inward, inner, care_of=SECOND_CARE_OF))
    came_out(bed, inner, mark)
    # RFC 4877 section 5: neither does it stand in the way of the update from there.
    bed.keeper.punts.clear()
    plain = mip6.binding_update(HOME, SECOND_CARE_OF, AGENT, 5)
    bed.lab.access.send(up(inward, bytes(plain), care_of=SECOND_CARE_OF))
    punt = bed.keeper.wait(lambda: bed.keeper.punts, what="the update")[0]
    assert (punt.packet, punt.sa_slot, punt.tunnelled) == (bytes(plain), 0, 1)
    bed.keeper.punts.clear()
    protected = update_under(signalling, HOME, SECOND_CARE_OF, update(care_of=SECOND_CARE_OF))
    bed.lab.access.send(up(inward, protected, care_of=SECOND_CARE_OF))
    punt = bed.keeper.wait(lambda: bed.keeper.punts, what="the protected update")[0]
    assert (punt.packet, punt.sa_slot, punt.sa_use) == (bytes(plain), SLOT, SIGNALLING)
    assert (punt.tunnelled, punt.outer_src) == (1, SECOND_CARE_OF)
    # Another's update, and other packets from there, do not pass.
    other = bytes(mip6.binding_update(OTHER_HOME, SECOND_CARE_OF, AGENT, 5))
    bed.dropped(lambda: bed.lab.access.send(up(inward, other, care_of=SECOND_CARE_OF)), "tunnel_unbound")
    # The tunnel follows the binding.
    outward = bed.sa(PAYLOAD, OUT, protect=[PAYLOAD])
    bed.keeper.binding(1, HOME, SECOND_CARE_OF, SLOT, generation=2)
    bed.settle()
    mark, inner = bed.lab.access.mark(), probe(CORRESPONDENT, HOME, 100)
    bed.lab.core.send(inner)
    assert outward.open(next_sealed(bed, SECOND_CARE_OF, mark).ip_bytes[40:])[0] == hop_on(inner)


def test_unprotected_is_dropped_where_protection_is_required(bed):
    care_of, agent = "2001:db8:a1::22", "2001:db8:2::1"
    bed.dropped(lambda: bed.lab.access.send(
        mip6.binding_update(STRICT_HOME, care_of, agent, 5)), "esp_required")
    bed.dropped(lambda: bed.lab.access.send(
        mip6.binding_update("2001:db8:2::beef", care_of, agent, 5)), "esp_required")
    bed.dropped(lambda: bed.lab.access.send(
        IPv6(src=care_of, dst=agent) / IPv6ExtHdrDestOpt(options=[HAO(hoa=STRICT_HOME)]) /
        ICMPv6MPSol()), "esp_required")
    init = IPv6(src=STRICT_HOME, dst=CORRESPONDENT) / MIP6MH_HoTI()
    bed.keeper.binding(3, STRICT_HOME, care_of, STRICT_SLOT, agent=1, home_prefix=2, generation=3)
    bed.settle()
    bed.dropped(lambda: bed.lab.access.send(IPv6(src=care_of, dst=agent) / init), "esp_required")
    # Payload is not protected there.
    inner = probe(STRICT_HOME, CORRESPONDENT, 100)
    mark = bed.lab.core.mark()
    bed.lab.access.send(bytes(IPv6(src=care_of, dst=agent, nh=41) / Raw(inner)))
    came_out(bed, inner, mark)
    # A Home Test waits for an SA, payload does not.
    test = IPv6(src=CORRESPONDENT, dst=STRICT_HOME) / MIP6MH_HoT()
    bed.dropped(lambda: bed.lab.core.send(test), "esp_no_sa")
    outward = bed.sa(ROUTABILITY, OUT, slot=STRICT_SLOT, home=STRICT_HOME, agent=1)
    mark = bed.lab.access.mark()
    bed.lab.core.send(test)
    assert outward.open(next_sealed(bed, care_of, mark).ip_bytes[40:])[0] == hop_on(bytes(test))
    mark, inner = bed.lab.access.mark(), probe(CORRESPONDENT, STRICT_HOME, 100)
    bed.lab.core.send(inner)
    frame = bed.lab.access.expect(lambda f: f.dst == care_of, mark)
    assert (frame.next_header, frame.ip_bytes[40:]) == (41, hop_on(inner))


def test_payload_that_must_be_protected(bed):
    plain = bytes(IPv6(src=CARE_OF, dst=AGENT, nh=41) / Raw(probe(HOME, CORRESPONDENT, 100)))
    inward = bed.sa(PAYLOAD, IN, protect=[PAYLOAD])
    bed.dropped(lambda: bed.lab.access.send(plain), "esp_required")
    bed.dropped(lambda: bed.lab.core.send(probe(CORRESPONDENT, HOME, 100)), "esp_no_sa")
    # RFC 6275 10.4.6: signalling to us is not payload.
    bed.keeper.punts.clear()
    bed.lab.access.send(IPv6(src=CARE_OF, dst=AGENT) / mip6.binding_update(HOME, HOME, AGENT, 5, hao=False))
    bed.keeper.wait(lambda: bed.keeper.punts, what="the update")
    # Without the slot's protection the tunnel is a plain one again.
    bed.keeper.sa(esp.GCM, SLOT, inward.spi, PAYLOAD, IN, HOME)
    bed.settle()
    mark = bed.lab.core.mark()
    bed.lab.access.send(plain)
    bed.lab.core.expect(lambda f: f.src == HOME, mark)


def test_too_big_and_fragments(bed):
    outward = bed.sa(PAYLOAD, OUT, protect=[PAYLOAD])
    # 1500 less outer header, ESP header, IV and check value, a multiple of four, less the trailer.
    limit = ((1500 - 40 - 16 - 16) & ~3) - 2
    mark = bed.lab.core.mark()
    bed.lab.core.send(probe(CORRESPONDENT, HOME, limit + 1))
    error = bed.lab.core.expect(lambda f: ICMPv6PacketTooBig in f.ip, mark)
    assert error.ip[ICMPv6PacketTooBig].mtu == limit
    mark, inner = bed.lab.access.mark(), probe(CORRESPONDENT, HOME, limit)
    bed.lab.core.send(inner)
    frame = next_sealed(bed, CARE_OF, mark)
    assert len(frame.ip_bytes) <= 1500
    assert outward.open(frame.ip_bytes[40:])[0] == hop_on(inner)


def test_path_mtu_under_esp(bed):
    """A Packet Too Big can quote no inner packet: it counts when it quotes a packet that we sent."""
    home, care_of = "2001:db8:1::300", "2001:db8:a1::30"
    bed.keeper.binding(30, home, care_of, 30)
    outward = bed.sa(PAYLOAD, OUT, slot=30, home=home, protect=[PAYLOAD])
    mark = bed.lab.access.mark()
    bed.lab.core.send(probe(CORRESPONDENT, home, 1420))
    sent = next_sealed(bed, care_of, mark).ip_bytes
    router = "2001:db8:a1:ffff::1"

    def too_big(quote, mtu):
        return IPv6(src=router, dst=AGENT) / ICMPv6PacketTooBig(mtu=mtu) / Raw(quote[:1200])

    def says(length):
        mark = bed.lab.core.mark()
        bed.lab.core.send(probe(CORRESPONDENT, home, length))
        error = bed.lab.core.expect(lambda f: ICMPv6PacketTooBig in f.ip, mark)
        return error.ip[ICMPv6PacketTooBig].mtu

    def room(mtu):
        return ((mtu - 40 - 16 - 16) & ~3) - 2

    for forged in (sent[:40] + b"\0\0\x77\x77" + sent[44:],  # another SPI
                   sent[:44] + struct.pack("!I", 2) + sent[48:],  # a number to come
                   sent[:44] + struct.pack("!I", 0) + sent[48:],
                   sent[:24] + mip6.packed(CARE_OF) + sent[40:]):  # somebody else's way
        bed.lab.access.send(too_big(forged, 1300))
    bed.lab.access.send(too_big(sent, len(sent)), too_big(sent, 1279))  # it had kept to that; none has it
    bed.settle()
    assert says(1500) == room(1500)
    bed.lab.access.send(too_big(sent, 1400))
    deadline = time.monotonic() + 5
    while says(1500) != room(1400):
        assert time.monotonic() < deadline
    mark, inner = bed.lab.access.mark(), probe(CORRESPONDENT, home, room(1400))
    bed.lab.core.send(inner)
    sealed = next_sealed(bed, care_of, mark).ip_bytes
    assert len(sealed) <= 1400 and outward.open(sealed[40:])[0] == hop_on(inner)


def test_fragments_are_made_after_and_taken_before(bed):
    inward, outward = bed.sa(PAYLOAD, IN), bed.sa(PAYLOAD, OUT, protect=[PAYLOAD])
    inner = probe(HOME, CORRESPONDENT, 1400)
    whole = IPv6(src=CARE_OF, dst=AGENT) / IPv6ExtHdrFragment(nh=50) / Raw(inward.seal(inner, 41))
    mark = bed.lab.core.mark()
    pieces = fragment6(whole, 800)
    assert len(pieces) > 1
    bed.lab.access.send(*pieces)
    came_out(bed, inner, mark)
    # The least MTU of a link leaves no room for what must pass.
    bed.lab.ha_run("ip", "-6", "route", "replace", "2001:db8:a0::/44", "via", "2001:db8:fe::2",
                   "dev", "acc0", "mtu", "1280")
    try:
        time.sleep(0.5)
        mark, inner = bed.lab.access.mark(), probe(CORRESPONDENT, HOME, 1280)
        bed.lab.core.send(inner)

        def fragments():
            return [f for f in bed.lab.access.since(mark)
                    if f.is_ip6 and f.dst == CARE_OF and f.next_header == 44]
        bed.lab.box.wait_for(lambda: len(fragments()) == 2, 5, "fragments")
        assert all(len(f.ip_bytes) <= 1280 for f in fragments())
        joined = bytes(defragment6([IPv6(f.ip_bytes) for f in fragments()]))
        assert joined[6] == esp.PROTOCOL
        assert outward.open(joined[40:])[0] == hop_on(inner)
    finally:
        bed.lab.routes()
        bed.lab.ha_run("ip", "-6", "route", "replace", "2001:db8:a0::/44", "via", "2001:db8:fe::2",
                       "dev", "acc0")
        time.sleep(0.5)


def test_numbers_are_granted_and_end(bed):
    outward = bed.sa(PAYLOAD, OUT, protect=[PAYLOAD], seq_next=1000, seq_limit=1008)
    seqs = []
    for _ in range(8):
        mark = bed.lab.access.mark()
        bed.lab.core.send(probe(CORRESPONDENT, HOME, 64))
        seqs.append(struct.unpack_from("!I", next_sealed(bed, CARE_OF, mark).ip_bytes, 44)[0])
    assert seqs == list(range(1000, 1008))
    event = bed.keeper.wait(lambda: [e for e in bed.keeper.events if e.event == keeper.LOW])[0]
    assert (event.spi, event.direction, event.slot) == (outward.spi, OUT, SLOT) and event.seq >= 1006
    encapsulated = bed.encapsulated()
    bed.dropped(lambda: bed.lab.core.send(*(probe(CORRESPONDENT, HOME, 64) for _ in range(5))),
                "esp_sequence", 5)
    assert bed.encapsulated() == encapsulated  # nor do they count for what was sent
    bed.keeper.sa_grant(SLOT, outward.spi, PAYLOAD, 2000)
    bed.settle()
    mark = bed.lab.access.mark()
    bed.lab.core.send(probe(CORRESPONDENT, HOME, 64))
    assert struct.unpack_from("!I", next_sealed(bed, CARE_OF, mark).ip_bytes, 44)[0] == 1008
    # The last of all numbers: the SA ends, and says so.
    last = bed.sa(PAYLOAD, OUT, protect=[PAYLOAD], seq_next=(1 << 32) - 1, seq_limit=1 << 40)
    mark = bed.lab.access.mark()
    bed.lab.core.send(probe(CORRESPONDENT, HOME, 64))
    assert struct.unpack_from("!I", next_sealed(bed, CARE_OF, mark).ip_bytes, 44)[0] == (1 << 32) - 1
    bed.lab.core.send(probe(CORRESPONDENT, HOME, 64))
    event = bed.keeper.wait(lambda: [e for e in bed.keeper.events if e.event == keeper.EXPIRED])[0]
    assert event.spi == last.spi
    bed.dropped(lambda: bed.lab.core.send(probe(CORRESPONDENT, HOME, 64)), "esp_expired")


def test_lifetimes_and_final_accounts(bed):
    inward = bed.sa(PAYLOAD, IN, packets=3)
    for _ in range(3):
        mark, inner = bed.lab.core.mark(), probe(HOME, CORRESPONDENT, 100)
        bed.lab.access.send(up(inward, inner))
        came_out(bed, inner, mark)
    event = bed.keeper.wait(lambda: [e for e in bed.keeper.events if e.event == keeper.EXPIRED])[0]
    assert (event.spi, event.packets, event.bytes, event.seq) == (inward.spi, 3, 300, 3)
    bed.dropped(lambda: bed.lab.access.send(up(inward, inner)), "esp_expired")
    bed.keeper.sa_del(SLOT, inward.spi, PAYLOAD, IN)
    event = bed.keeper.wait(lambda: [e for e in bed.keeper.events if e.event == keeper.FINAL
                                     and e.spi == inward.spi])[0]
    assert (event.packets, event.bytes) == (3, 300)
    bed.dropped(lambda: bed.lab.access.send(up(inward, inner)), "esp_no_sa")


def test_what_is_not_named_again_is_swept(bed):
    kept, gone = bed.sa(PAYLOAD, IN), bed.sa(PAYLOAD, IN)
    assert {kept.spi, gone.spi} <= set(bed.sas())
    bed.fill([lambda: bed.keeper.sa(esp.GCM, SLOT, kept.spi, PAYLOAD, IN, HOME)])
    bed.keeper.wait(lambda: any(e.event == keeper.FINAL and e.spi == gone.spi for e in bed.keeper.events))
    assert kept.spi in bed.sas() and gone.spi not in bed.sas()
    bed.dropped(lambda: bed.lab.access.send(up(gone, probe(HOME, CORRESPONDENT, 100))), "esp_no_sa")


def test_refused(bed):
    inward = bed.sa(PAYLOAD, IN)
    bed.keeper.errors.clear()
    bed.keeper.sa(esp.GCM, OTHER_SLOT, inward.spi, PAYLOAD, IN, OTHER_HOME)
    bed.keeper.sa(esp.GCM, 64, 5000, PAYLOAD, IN, HOME)
    bed.keeper.sa(esp.GCM, SLOT, 5001, PAYLOAD, IN, HOME, keys=(bytes(16), b""))
    bed.keeper.sa(esp.GCM, SLOT, 5002, PAYLOAD, IN, HOME, agent=77)
    bed.keeper.wait(lambda: len(bed.keeper.errors) == 4)
    assert [e[-1] for e in bed.keeper.errors] == [-17, -28, -95, -2]


def test_flood_of_wrong_check_values(bed):
    """Each costs one computation at most, few are computed, and the mobile is heard through them."""
    inward = bed.sa(SIGNALLING, IN)
    sealed = inward.seal(update(), 135, seq=5000)
    forged = [bytes(IPv6(src="2001:db8:a3::66", dst=AGENT) /
                    IPv6ExtHdrDestOpt(nh=50, options=[HAO(hoa=HOME)]) /
                    Raw(sealed[:4] + struct.pack("!I", 1000 + n) + sealed[8:])) for n in range(3000)]
    before = bed.drops()
    for n, packet in enumerate(forged):
        bed.lab.access.send(packet)
        if n == 2000:
            inward.seq = 10
            bed.keeper.punts.clear()
            bed.lab.access.send(update_under(inward, HOME, CARE_OF, update()))
    bed.keeper.wait(lambda: bed.keeper.punts, what="the honest update")
    bed.lab.box.wait_for(lambda: sum(bed.drops()[r] - before[r] for r in ("esp_icv", "esp_budget")) == 3000,
                         10, "the flood")
    computed = bed.drops()["esp_icv"] - before["esp_icv"]
    assert 50 <= computed <= 50 + 50 * 5


def test_keys_are_nowhere(bed):
    suite = esp.SUITES[3]
    bed.sa(PAYLOAD, IN, suite)
    text = str(bed.lab.box.telemetry("/unwired/sas")) + bed.lab.box.logs()
    for key in (suite.enc_key, suite.auth_key):
        assert key.hex() not in text and repr(key)[2:-1] not in text


def association(use, direction, spi, suite):
    return {"use": use, "direction": direction, "spi": spi, "encryption": "aes-cbc",
            "encryption_key": suite.enc_key.hex(), "authentication": "hmac-sha1-96",
            "authentication_key": suite.auth_key.hex()}


def test_registration_through_both_processes(own_lab):
    """RFC 3776 from end to end: update and acknowledgement under ESP, payload in its tunnel."""
    suite = esp.SUITES[3]
    assert suite.name == "cbc128-sha1"
    spis = {("signalling", "in"): 2000, ("signalling", "out"): 2001, ("payload", "in"): 2002,
            ("payload", "out"): 2003}
    lab = own_lab([network("safe", 1, "ipsec"), network("open", 3)], [
        {"home_addresses": [HOME], "protect": ["payload"], "security_associations": [
            association(use, direction, spi, suite) for (use, direction), spi in spis.items()]}])
    ends = {names: esp.Association(suite, spi) for names, spi in spis.items()}
    bare = mip6.binding_update(HOME, CARE_OF, AGENT, 5)
    mark = lab.access.mark()
    lab.access.send(bare)
    lab.settle()
    assert lab.access.count(lambda f: f.dst == CARE_OF, mark) == 0 and lab.box.binding(HOME) is None
    lab.access.send(update_under(ends["signalling", "in"], HOME, CARE_OF, update(seq=6)))
    answer = lab.access.expect(lambda f: f.dst == CARE_OF, mark).ip_bytes
    assert (answer[6], answer[40]) == (43, esp.PROTOCOL)
    message, protocol = ends["signalling", "out"].open(answer[64:])
    assert (protocol, message[2], message[6]) == (135, 6, 0)  # accepted
    inner = probe(HOME, CORRESPONDENT, 200)
    mark = lab.core.mark()
    lab.access.send(up(ends["payload", "in"], inner))
    lab.core.expect(lambda f: f.ip_bytes == hop_on(inner), mark)
    mark, inner = lab.access.mark(), probe(CORRESPONDENT, HOME, 200)
    lab.core.send(inner)
    sealed = lab.access.expect(lambda f: f.dst == CARE_OF and f.next_header == esp.PROTOCOL, mark)
    assert ends["payload", "out"].open(sealed.ip_bytes[40:])[0] == hop_on(inner)
