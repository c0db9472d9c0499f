# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What strangers, thieves and eavesdroppers try against a home agent with IPsec, and the rows of the
conformance list that ask for IPsec. The test has the attacker's place: it sees and plays every wire."""

import base64
import os
import pathlib
import threading
import time
import urllib.request

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    HAO, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, MIP6MH_HoT, MIP6MH_HoTI,
    MIP6OptAltCoA, Raw)

from harness import memory, mip6, netns, sas
from harness.lab import CORRESPONDENT, Lab, network
from harness.sealed import ESP, Sealed, numbers

pytestmark = pytest.mark.sanitize

AGENT = "2001:db8:1::1"
PREFIX = "2001:db8:1::"
N_MOBILES = 16
METRICS_PORT = 9464
SUITES = [{"encryption": "aes-gcm-16"}, {"encryption": "chacha20-poly1305"},
          {"encryption": "aes-cbc", "authentication": "hmac-sha256-128"}]


PLANTED = b"planted key "  # what every key begins with; 12 bytes are 16 digits of base64
SPELLINGS = (PLANTED, PLANTED.hex().encode(), PLANTED.hex().upper().encode(), base64.b64encode(PLANTED))


def planted(listed):
    """The associations with keys that a search finds."""
    for one in listed:
        for name in ("encryption_key", "authentication_key"):
            if name in one:
                one[name] = PLANTED.hex() + one[name][2 * len(PLANTED):]
    return listed


class Bed(Lab):
    """A lab whose subscribers all have associations of every use; all their payload is protected."""

    def __init__(self):
        self.listed = {f"{PREFIX}{0x100 + n:x}": planted(sas.associations(
            0x1000 + 16 * n, **SUITES[n % len(SUITES)])) for n in range(N_MOBILES)}
        self.free = list(self.listed)
        super().__init__([network("secure", 1, "ipsec"), network("open", 2)], [
            {"home_addresses": [home], "security_associations": listed, "protect": ["payload"]}
            for home, listed in self.listed.items()])
        self.judges_form = False
        self.config["telemetry"] = {"listen": f"127.0.0.1:{METRICS_PORT}"}
        self.box.write_config()
        self.never_bound, self.victim = self.sealed(), self.sealed()

    def sealed(self):
        """A mobile of its own home address."""
        home = self.free.pop()
        return Sealed(self, self.networks["secure"], list(self.listed).index(home) + 1, home,
                      self.listed[home])

    def dropped(self, packet, reason):
        """Sends from the access side what must be dropped for that reason, and be answered by nobody."""
        marks = [(wire, wire.mark()) for wire in self.wires]
        with self.counting_drops() as drops:
            self.access.send(packet)
            self.settle()
        assert drops == {reason: 1}
        src = IPv6(bytes(packet)).src
        for wire, mark in marks:
            assert not wire.count(lambda f: f.src == AGENT and f.dst == src, mark)


@pytest.fixture(scope="module")
def bed(root):
    made = Bed()
    try:
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


def state(bed, home):
    row = bed.box.binding(home)
    return row and (row["sequence"], row["care_of"])


UNPROTECTED = {"registers": {}, "ends": {"lifetime_s": 0}, "from-home": {"hao": False},
               "ends-from-home": {"hao": False, "lifetime_s": 0}}


@pytest.mark.parametrize("how", UNPROTECTED.values(), ids=UNPROTECTED)
@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
def test_unprotected_update(bed, how, bound):
    """MIPv6-HA 2.2.3, 2.2.6 and NEMO-HA 2.2.3, 2.2.6: no answer at all, no binding; attack 1."""
    victim = bed.victim if bound else bed.never_bound
    if bound:
        victim.register()
    before = state(bed, victim.home)
    assert (before is not None) == bound
    care_of = victim.home if how.get("hao") is False else victim.second_care_of
    bed.dropped(mip6.binding_update(victim.home, care_of, AGENT, victim.seq + 1, **how), "esp_required")
    assert state(bed, victim.home) == before


def test_home_address_option_before_esp(bed):
    """X6275.9.3.1-2: without a binding it is processed under a valid SA, and no Binding Error is sent;
    the sender of one that is not valid gets none either."""
    mobile = bed.sealed()
    forged = bytearray(bytes(mobile.update_packet(1)))
    forged[-1] ^= 1
    bed.dropped(bytes(forged), "esp_icv")
    unknown = bytearray(bytes(mobile.update_packet(1)))
    unknown[64:68] = b"\x7f\0\0\1"
    bed.dropped(bytes(unknown), "esp_no_sa")
    mark = bed.access.mark()
    assert mobile.register().status == 0
    assert not bed.access.count(lambda f: mip6.is_mobility(f, 7), mark)


def test_update_of_another(bed):
    """X6275.10.3.1-3, attack 1: the SA of one home address registers no other, whichever says so."""
    thief, victim = bed.sealed(), bed.sealed()
    thief.register()
    before = state(bed, thief.home)
    for hao_of in (victim, thief):
        stolen = mip6.binding_update(hao_of.home, thief.care_of, AGENT, thief.seq + 1)
        sealed = bytearray(thief.transport("signalling", stolen))
        sealed[48:64] = mip6.packed(victim.home)
        bed.dropped(bytes(sealed), "esp_selector")
    assert state(bed, victim.home) is None and state(bed, thief.home) == before
    victim.register()
    before = state(bed, victim.home)
    stolen = mip6.binding_update(victim.home, thief.care_of, AGENT, victim.seq + 1)
    bed.dropped(thief.transport("signalling", stolen), "esp_selector")
    assert state(bed, victim.home) == before


def test_replayed_update(bed):
    """Attack 2: not while the dataplane lives, and not when its windows are new."""
    mobile = bed.sealed()
    old = mobile.update_packet(mobile.seq + 1)
    bed.access.send(old)
    mobile.seq += 1
    mobile.register(care_of=mobile.second_care_of)
    before = state(bed, mobile.home)
    bed.dropped(old, "esp_replay")
    assert state(bed, mobile.home) == before
    bed.box.kill_dataplane()
    bed.box.start_dataplane()
    bed.box.wait_synced()
    mark = bed.access.mark()
    bed.access.send(old)
    refused = mobile.answer(mark)
    assert (refused.status, refused.seq) == (135, mobile.seq)
    assert state(bed, mobile.home) == before


def test_rewritten_source(bed):
    """Attack 14: what the man in the middle makes of the outer header moves nothing."""
    mobile = bed.sealed()
    mobile.register()
    payload = os.urandom(12)
    mark = bed.core.mark()
    bed.access.send(mobile.tunnelled(mobile.up_inner(payload), mobile.second_care_of))
    bed.core.expect(lambda f: payload in f.raw and f.src == mobile.home, mark)
    down = mobile.down_packet(os.urandom(12))
    assert mobile.receive_sealed(down, "payload", mobile.care_of)[40:] == bytes(down)[40:]
    # ESP covers the Alternate Care-of Address, not the source of the Update.
    mobile.seq += 1
    update = bytearray(mobile.update_packet(
        mobile.seq, options=[MIP6OptAltCoA(acoa=mobile.care_of)]))
    update[8:24] = mip6.packed(mobile.second_care_of)
    bed.access.send(bytes(update))
    bed.box.wait_for(lambda: state(bed, mobile.home)[0] == mobile.seq, 5, "the Update")
    assert state(bed, mobile.home)[1][0]["address"] == mobile.care_of


def payloads(home):
    yield "udp", IPv6(src=CORRESPONDENT, dst=home) / UDP(dport=9) / Raw(os.urandom(64))
    yield "tcp", IPv6(src=CORRESPONDENT, dst=home) / TCP(dport=9) / Raw(os.urandom(64))
    yield "echo", IPv6(src=CORRESPONDENT, dst=home) / ICMPv6EchoRequest(data=os.urandom(64))
    yield "fragment", (IPv6(src=CORRESPONDENT, dst=home) / IPv6ExtHdrFragment(nh=17, m=1, id=7) /
                       Raw(os.urandom(64)))
    yield "options", (IPv6(src=CORRESPONDENT, dst=home) / IPv6ExtHdrDestOpt() / UDP(dport=9) /
                      Raw(os.urandom(64)))
    yield "full", IPv6(src=CORRESPONDENT, dst=home) / UDP(dport=9) / Raw(os.urandom(1340))


def test_payload_leaves_in_esp_only(bed):
    """X6275.10.4.2-6: whatever is intercepted."""
    mobile = bed.sealed()
    mobile.register()
    mark = bed.access.mark()
    for name, packet in payloads(mobile.home):
        opened = mobile.receive_sealed(packet, "payload")
        assert opened[40:] == bytes(packet)[40:], name
    assert not bed.access.count(
        lambda f: f.dst == mobile.care_of and f.next_header != ESP, mark)


def test_plain_payload_from_the_care_of_address(bed):
    """X6275.10.4.5-1: the right outer source is no reason."""
    mobile = bed.sealed()
    mobile.register()
    plain = IPv6(src=mobile.care_of, dst=AGENT) / mobile.up_inner(os.urandom(12))
    bed.dropped(plain, "esp_required")


def test_home_test_messages(bed):
    """MIPv6-HA 6.3.1, 6.3.3, 6.3.5, 6.3.7, 6.3.9, 6.3.10; attack 20: HoTI and HoT under their own SA only, and not of another, nor with a Home Address
    option (RFC 6275 9.4.1, 10.4.6)."""
    mobile, other = bed.sealed(), bed.sealed()
    mobile.register()
    other.register()
    init = IPv6(src=mobile.home, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=os.urandom(8))
    bed.dropped(IPv6(src=mobile.care_of, dst=AGENT) / init, "esp_required")
    bed.dropped(other.tunnelled(bytes(init), use="routability"), "esp_selector")
    cookie = os.urandom(8)
    mark = bed.core.mark()
    bed.access.send(mobile.tunnelled(bytes(
        IPv6(src=mobile.home, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=cookie)), use="routability"))
    bed.core.expect(lambda f: cookie in f.raw and f.src == mobile.home, mark)
    token = os.urandom(8)
    test = IPv6(src=CORRESPONDENT, dst=mobile.home) / MIP6MH_HoT(cookie=cookie, token=token)
    mark = bed.access.mark()
    assert token in mobile.receive_sealed(test, "routability")
    assert not bed.access.count(lambda f: token in f.raw, mark)


def test_home_test_messages_follow_the_binding(bed):
    """MIPv6-HA 6.3.2, 6.3.4, 6.3.6, 6.3.8: after a move the tunnel's end is the new care-of address;
    X6275.10.4.6-2: an Update that is refused moves nothing, though it came under the right SA."""
    mobile = bed.sealed()

    def both_ways(care_of):
        cookie, token = os.urandom(8), os.urandom(8)
        mark = bed.core.mark()
        bed.access.send(mobile.tunnelled(bytes(
            IPv6(src=mobile.home, dst=CORRESPONDENT) / MIP6MH_HoTI(cookie=cookie)), care_of, "routability"))
        bed.core.expect(lambda f: cookie in f.raw and f.src == mobile.home, mark)
        test = IPv6(src=CORRESPONDENT, dst=mobile.home) / MIP6MH_HoT(cookie=cookie, token=token)
        assert token in mobile.receive_sealed(test, "routability", care_of)

    mobile.register()
    both_ways(mobile.care_of)
    mobile.register(care_of=mobile.second_care_of)
    both_ways(mobile.second_care_of)
    assert mobile.update(seq=mobile.seq - 1 & 0xffff, care_of=mobile.care_of).status == 135
    both_ways(mobile.second_care_of)


def test_what_the_policy_for_home_test_messages_is_not_for(bed):
    """X6275.10.4.6-1: Updates (all tests have them) and what is for the home agent itself as a correspondent:
    a Home Test Init to it, also from a bound mobile's home address, goes to control."""
    mobile = bed.sealed()
    mobile.register()
    for source in (mobile.home, "2001:db8:a9::9"):
        init = IPv6(src=source, dst=AGENT) / MIP6MH_HoTI(cookie=os.urandom(8))
        before = bed.box.ctl("status")["drops"].get("unused_type", 0)
        with bed.counting_drops() as drops:
            bed.access.send(init)
            bed.settle()
        assert not drops and bed.box.ctl("status")["drops"].get("unused_type", 0) == before + 1


def test_home_test_init_with_home_address_option(bed):
    mobile = bed.sealed()
    mobile.register()
    cookie = os.urandom(8)
    init = (IPv6(src=mobile.care_of, dst=CORRESPONDENT) /
            IPv6ExtHdrDestOpt(options=[HAO(hoa=mobile.home)]) / MIP6MH_HoTI(cookie=cookie))
    mark = bed.core.mark()
    bed.access.send(mobile.tunnelled(bytes(init), use="routability"))
    bed.settle()
    assert not bed.core.count(lambda f: cookie in f.raw, mark)


def test_numbers_under_traffic_and_kills(bed):
    """I6: no (SPI, number) and no (SPI, IV) twice, while packets flow and each process is killed."""
    mobile = bed.sealed()
    mobile.register()
    end = threading.Event()
    packet = bytes(mobile.down_packet(b"numbers"))

    def flow():
        while not end.wait(0.001):
            bed.core.send(packet)

    mark = bed.access.mark()
    sender = threading.Thread(target=flow)
    sender.start()
    after = []
    try:
        for kill in (bed.box.kill_control, bed.box.kill_dataplane, bed.box.kill_control):
            time.sleep(0.5)
            kill()
            if bed.box.dataplane is None:
                bed.box.start_dataplane()
            if bed.box.control is None:
                bed.box.start_control()
            bed.box.wait_synced()
            mobile.register()
            after.append(bed.access.mark())
            time.sleep(0.5)
    finally:
        end.set()
        sender.join()
    bed.settle()
    frames = bed.access.since(mark)
    seen = numbers(frames, AGENT)
    assert len(seen) > 500 and all(numbers(bed.access.since(m), AGENT) for m in after)
    assert len({(spi, number) for spi, number, _ in seen}) == len(seen)
    assert len({(spi, iv) for spi, _, iv in seen}) == len(seen)
    for spi in {spi for spi, _, _ in seen}:
        rising = [number for s, number, _ in seen if s == spi]
        assert rising == sorted(rising)


def has_key(content):
    return any(key in content for key in SPELLINGS)


def test_keys_are_nowhere(bed):
    """I12: after traffic, a kill and a reload no key is in logs, answers, metrics, telemetry, the
    directory of sockets, nor in what a core file would hold."""
    mobile = bed.sealed()
    mobile.register()
    mobile.receive_sealed(mobile.down_packet(b"down"), "payload")
    assert bed.box.ctl_process("reload").returncode == 0
    shown = [bed.box.logs()]
    for verb in ("status", "sync", "bindings", "sas", "drops", "workers", "ports", "networks"):
        words = ("status",) if verb == "status" else ("show", verb)
        shown += [bed.box.ctl_process(*words).stdout, bed.box.ctl_process("--json", *words).stdout]
    commands = bed.box.telemetry("/")
    assert "/unwired/sas" in commands
    for command in commands:
        if command.startswith("/unwired/"):
            shown.append(str(bed.box.telemetry(f"{command},0")))
    with netns.inside(bed.ha):
        shown.append(urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics",
                                            timeout=5).read().decode())
    assert "unwired_security_associations" in shown[-1]
    assert not has_key("\n".join(map(str, shown)).encode())
    for path in pathlib.Path(bed.box.run_dir).rglob("*"):
        if path.is_file():
            assert not has_key(path.read_bytes()), path
    assert has_key((bed.box.dir / "subscribers.jsonl").read_bytes())
    if memory.is_sanitized(bed.box.control.popen.pid):
        return
    for process in (bed.box.dataplane, bed.box.control):
        found = memory.search(process.popen.pid, SPELLINGS, dumped=True)
        assert not found, (process.name, found)
    assert memory.search(bed.box.dataplane.popen.pid, SPELLINGS, dumped=False)
