# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Security associations in the control process, against a dataplane that the test plays."""

import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time
import urllib.request

import pytest
from scapy.layers.inet6 import HAO, ICMPv6MPSol, IPv6, IPv6ExtHdrDestOpt

import test_control_alone as control_alone
from harness import mip6
from test_control_alone import (
    AGENT, AGENT_SET, BINDING_SET, PACKET_OUT, PREFIX_SET, PUNT, SYNC_BEGIN, SYNC_END, Alone,
    configuration, fix_length, text)

SA_SET, SA_DEL, SA_GRANT, SA_ERR, SA_EVENT = 16, 17, 18, 19, 20
SIGNALLING, DISCOVERY, ROUTABILITY, PAYLOAD = 1, 2, 3, 4
IN, OUT = 1, 2
LOW, EXPIRED, FINAL = 1, 2, 3
LANE_MH, LANE_DISCOVERY = 1, 2
HOME, OTHER_HOME, CARE_OF = "2001:db8:1::100", "2001:db8:1::101", "2001:db8:aa::1"
USES = {"signalling": SIGNALLING, "discovery": DISCOVERY, "routability": ROUTABILITY,
        "payload": PAYLOAD}


def key_of(seed, length):
    """A key that a search finds, other for every seed."""
    return (b"PLANTED-KEY" + struct.pack("!I", seed) * 16)[:length].hex()


def association(use, direction, spi, seed, **more):
    return dict({"use": use, "direction": direction, "spi": spi, "encryption": "aes-gcm-16",
                 "encryption_key": key_of(seed, 20)}, **more)


def cbc(use, direction, spi, seed, **more):
    return dict({"use": use, "direction": direction, "spi": spi, "encryption": "aes-cbc",
                 "encryption_key": key_of(seed, 16), "authentication": "hmac-sha1-96",
                 "authentication_key": key_of(seed, 20)}, **more)


def mobile(home, first, make=association, uses=("signalling", "discovery", "routability"), **more):
    """A subscriber with an association of each use each way; SPIs and keys from `first` on."""
    both = [(use, direction) for use in uses for direction in ("in", "out")]
    return dict({"home_addresses": [home], "security_associations": [
        make(use, direction, first + i, first + i) for i, (use, direction) in enumerate(both)]},
        **more)


class Sa:
    """What an SA_SET, SA_DEL or SA_GRANT says."""

    def __init__(self, record):
        body = record.body
        self.slot, self.spi, self.use, self.direction = struct.unpack_from("=IIBB", body)
        self.id = (self.slot, self.spi, self.use, self.direction)
        self.is_bulk = record.is_bulk
        if record.kind == SA_GRANT:
            self.limit = struct.unpack_from("=Q", body, 16)[0]
        if record.kind == SA_SET:
            (self.encryption, self.authentication, self.flags, self.protect, self.agent,
             self.window, enc_len, auth_len) = struct.unpack_from("=BBBBHHHH", body, 10)
            self.domain = struct.unpack_from("=I", body, 24)[0]
            self.home = text(body[32:48])
            (self.next, self.limit, self.life_packets,
             self.life_bytes) = struct.unpack_from("=QQQQ", body, 48)
            self.enc_key = body[80:80 + enc_len]
            self.auth_key = body[80 + enc_len:80 + enc_len + auth_len]


def sas(dataplane, kind=SA_SET):
    return [Sa(r) for r in dataplane.kinds(kind)]


def slot_of(dataplane, home=HOME):
    return next(sa.slot for sa in sas(dataplane) if sa.home == home)


def out_of(dataplane, use, home=HOME):
    return [sa for sa in sas(dataplane)
            if (sa.home, sa.use, sa.direction) == (home, use, OUT)][-1]


def punt(dataplane, packet, slot, use=SIGNALLING, lane=LANE_MH):
    raw = bytes(packet)
    body = struct.pack("=BBHI", lane, 0, 0, len(raw)) + raw[8:40]
    body += struct.pack("=IB3x", slot, use if slot else 0) + raw
    body += bytes(-len(body) % 8)
    dataplane.peer.send(struct.pack("=HHI", PUNT, 0, 8 + len(body)) + body)


def event(dataplane, sa, what, seq=0):
    dataplane.send(SA_EVENT, struct.pack("=IIBBHB3xQQQ", sa.slot, sa.spi, sa.use, sa.direction, 0,
                                         what, seq, 0, 0))


def update(seq=1, home=HOME, **more):
    return mip6.binding_update(home, CARE_OF, AGENT, seq, **more)


def answer(dataplane, packet, slot, use=SIGNALLING):
    """Punts an Update; returns the acknowledgement and the (slot, use) it is to leave under."""
    n = len(dataplane.kinds(PACKET_OUT))
    punt(dataplane, packet, slot, use)
    record = dataplane.wait(lambda: dataplane.kinds(PACKET_OUT)[n:])[0]
    return control_alone.answer_of(record.packet), struct.unpack_from("=IB", record.body, 4)


def silent(dataplane, packet, slot, **how):
    """Punts what gets no answer: an Update of an honest mobile behind it does."""
    n = len(dataplane.kinds(PACKET_OUT))
    punt(dataplane, packet, slot, **how)
    silent.seq += 1
    punt(dataplane, update(silent.seq, OTHER_HOME), slot_of(dataplane, OTHER_HOME))
    dataplane.wait(lambda: len(dataplane.kinds(PACKET_OUT)) > n)
    time.sleep(0.05)
    dataplane.receive()
    answers = dataplane.kinds(PACKET_OUT)[n:]
    assert len(answers) == 1
    assert text(answers[0].packet[48:64]) == OTHER_HOME


silent.seq = 1000


@pytest.fixture
def alone():
    made = Alone()
    made.write(configuration(authentication="ipsec"))
    made.write_subscribers([mobile(HOME, 2000), mobile(OTHER_HOME, 3000)])
    yield made
    made.close()


@pytest.fixture
def running(alone):
    alone.start()
    alone.play()
    return alone


def reload(alone, subscribers=None, config=None):
    """Reloads while the dataplane goes on answering."""
    if subscribers is not None:
        alone.write_subscribers(subscribers)
    if config is not None:
        alone.write(config)
    child = subprocess.Popen([str(control_alone.CTL), "--run-dir", str(alone.run_dir), "--json",
                              "reload"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 15
    while child.poll() is None:
        assert time.monotonic() < deadline, alone.tail()
        if alone.dataplane is None:
            time.sleep(0.01)
        else:
            alone.dataplane.receive(0.01)
    stdout, stderr = child.communicate()
    return subprocess.CompletedProcess(child.args, child.returncode, stdout, stderr)


# ---- publishing

def test_fill(running):
    """Associations go out between networks and bindings, as the subscribers' file has them."""
    dataplane = running.dataplane
    kinds = [r.kind for r in dataplane.records]
    assert kinds[1] == SYNC_BEGIN and kinds[-1] == SYNC_END
    assert max(i for i, k in enumerate(kinds) if k == PREFIX_SET) < kinds.index(SA_SET)
    found = sas(dataplane)
    assert len(found) == 12 and all(sa.is_bulk for sa in found)
    slots = {sa.home: sa.slot for sa in found}
    assert len(slots) == 2 and 0 not in slots.values()
    for sa in found:
        assert sa.slot == slots[sa.home] and sa.domain == 0
        assert (sa.encryption, sa.authentication, len(sa.enc_key), sa.auth_key) == (1, 0, 20, b"")
        assert sa.enc_key.hex() == key_of(sa.spi, 20)
        assert sa.protect == 1 << SIGNALLING | 1 << DISCOVERY | 1 << ROUTABILITY
        if sa.direction == OUT:
            assert 1 <= sa.next < sa.limit < 2**32 and sa.window == 0
        else:
            assert sa.window == 64
    prefix = next(r for r in dataplane.kinds(PREFIX_SET) if text(r.body[8:24]) == "2001:db8:1::")
    assert struct.unpack_from("=I", prefix.body, 24)[0] == sas(dataplane)[0].protect


def test_settings(alone):
    """Everything that a line may say arrives."""
    alone.write_subscribers([{
        "home_addresses": [HOME], "protect": ["payload"], "security_associations": [
            cbc("payload", "in", 2000, 1, replay_window=4096, lifetime_packets=11,
                lifetime_bytes=12, esn=True),
            cbc("payload", "out", 2001, 2)]}])
    alone.start()
    found = {sa.direction: sa for sa in sas(alone.play())}
    assert (found[IN].encryption, found[IN].authentication) == (3, 1)
    assert found[IN].enc_key.hex() == key_of(1, 16) and found[IN].auth_key.hex() == key_of(1, 20)
    assert (found[IN].window, found[IN].life_packets, found[IN].life_bytes) == (4096, 11, 12)
    assert (found[IN].flags, found[OUT].flags) == (1, 0)
    assert found[OUT].protect & 1 << PAYLOAD


def test_many_mobiles(alone):
    """More associations than a message and the credit window take."""
    n = 1500
    alone.write_subscribers([mobile(f"2001:db8:1::{i:x}", 10000 + 8 * i) for i in range(1, n)])
    alone.start()
    dataplane = alone.play()
    assert len({sa.id for sa in sas(dataplane)}) == 6 * (n - 1)
    assert len({sa.slot for sa in sas(dataplane)}) == n - 1


# ---- sequence numbers

def ranges(found):
    """The numbers granted to each key, in the order of the records."""
    result = {}
    for sa in found:
        if sa.direction == OUT:
            result.setdefault(sa.enc_key, []).append((sa.next, sa.limit))
    return result


def assert_never_back(*lives):
    """No number of a key is granted in two lives."""
    seen = {}
    for life in lives:
        for key, stretches in ranges(life).items():
            for begin, end in stretches:
                assert begin >= seen.get(key, 1), "a number was granted twice"
                assert end > begin
                seen[key] = end


@pytest.mark.parametrize("how", ["kill", "end", "dataplane", "resync"])
def test_numbers_jump(running, how):
    """Whatever ends, what is granted next begins behind all that was granted before."""
    lives = [sas(running.dataplane)]
    for _ in range(3):
        if how in ("kill", "end"):
            running.lose_dataplane()
            if how == "kill":
                running.kill()
            else:
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(10) == 0
            running.start()
            lives.append(sas(running.play()))
        elif how == "dataplane":
            running.lose_dataplane()
            lives.append(sas(running.play()))
        else:
            running.dataplane.records = []
            assert running.ctl("resync").returncode == 0
            running.dataplane.wait(lambda: running.dataplane.kinds(SYNC_END))
            lives.append(sas(running.dataplane))
    assert all(len(life) == 12 for life in lives)
    assert_never_back(*lives)
    assert len({(sa.home, sa.slot) for life in lives for sa in life}) == 2  # slots stay


def test_grant(running):
    """A dataplane that runs low gets more, faster asked the more, and none of it again later."""
    dataplane = running.dataplane
    sa = out_of(dataplane, ROUTABILITY)
    limit, sizes = sa.limit, []
    for i in range(4):
        event(dataplane, sa, LOW)
        grant = dataplane.wait(lambda: sas(dataplane, SA_GRANT)[i:])[0]
        assert grant.id == sa.id and grant.limit > limit
        sizes.append(grant.limit - limit)
        limit = grant.limit
    assert sizes == sorted(set(sizes)) and sizes[-1] >= 16 * (sa.limit - sa.next)
    running.lose_dataplane()
    running.kill()
    running.start()
    assert out_of(running.play(), ROUTABILITY).next >= limit


def test_grants_of_one_turn(running):
    """Many that run low at once share a group."""
    dataplane = running.dataplane
    outbound = [sa for sa in sas(dataplane) if sa.direction == OUT]
    os.kill(running.process.pid, signal.SIGSTOP)
    for sa in outbound:
        event(dataplane, sa, LOW)
        event(dataplane, sa, LOW)  # twice the same is one grant
    os.kill(running.process.pid, signal.SIGCONT)
    dataplane.wait(lambda: len(sas(dataplane, SA_GRANT)) == len(outbound))
    time.sleep(0.2)
    dataplane.receive()
    assert {g.id for g in sas(dataplane, SA_GRANT)} == {sa.id for sa in outbound}
    assert running.show("status")["security_associations"]["grants"] == len(outbound)


def test_numbers_end(alone):
    """Without extended numbers the grants end at 2^32, and then the association is over."""
    alone.start()
    dataplane = alone.play()
    sa = out_of(dataplane, ROUTABILITY)
    limit = sa.limit
    n = 0
    while limit < 2**32:
        event(dataplane, sa, LOW)
        n += 1
        limit = dataplane.wait(lambda: sas(dataplane, SA_GRANT)[n - 1:])[0].limit
        assert n < 1000
    assert limit == 2**32
    event(dataplane, sa, EXPIRED)
    alone.lose_dataplane()
    alone.kill()
    alone.start()
    dataplane = alone.play()
    assert not [s for s in sas(dataplane) if s.id == sa.id]
    assert len(sas(dataplane)) == 11
    assert any("1 security associations are over" in a for a in alone.show("status")["alarms"])


def test_rekey_with_the_same_key(running):
    """A key that comes back under another SPI, or another mobile, goes on where it was."""
    before = out_of(running.dataplane, SIGNALLING)
    running.dataplane.records = []
    moved = mobile(HOME, 2000)
    moved["security_associations"][1]["spi"] = 9999
    assert reload(running, [moved, mobile(OTHER_HOME, 3000)]).returncode == 0
    dataplane = running.dataplane
    after = dataplane.wait(lambda: sas(dataplane))[0]
    assert (after.spi, after.enc_key) == (9999, before.enc_key)
    assert after.next >= before.limit
    assert sas(dataplane, SA_DEL)[0].id == before.id
    del moved["security_associations"]
    other = mobile(OTHER_HOME, 3000)
    other["security_associations"][1]["encryption_key"] = before.enc_key.hex()
    running.dataplane.records = []
    assert reload(running, [moved, other]).returncode == 0
    dataplane.wait(lambda: sas(dataplane))
    assert sas(dataplane)[0].home == OTHER_HOME and sas(dataplane)[0].next >= after.limit


# ---- the file with the numbers

@pytest.mark.parametrize("how", ["gone", "empty", "noise", "cut"])
def test_numbers_lost(alone, how):
    """Nobody knows what a key has used: it is not used again, and new keys are the remedy."""
    alone.write_subscribers([mobile(HOME, 2000), mobile(OTHER_HOME, 3000, make=cbc)])
    alone.start()
    alone.play()
    alone.lose_dataplane()
    alone.kill()
    path = alone.state_dir / "security.mdb"
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "noise":
        path.write_bytes(content[:64] + os.urandom(len(content) - 64))
    else:
        path.write_bytes(content[:4096])
    for _ in range(2):  # the start after that knows it, too
        alone.start()
        dataplane = alone.play()
        found = sas(dataplane)
        assert not [sa for sa in found if sa.home == HOME and sa.direction == OUT]
        assert len([sa for sa in found if sa.home == HOME]) == 3  # what comes in still does
        assert len([sa for sa in found if sa.home == OTHER_HOME]) == 6  # their IVs are random
        assert any("3 security associations used" in a for a in alone.show("status")["alarms"])
        alone.lose_dataplane()
        alone.kill()
    alone.write_subscribers([mobile(HOME, 4000), mobile(OTHER_HOME, 3000, make=cbc)])
    alone.start()
    assert len(sas(alone.play())) == 12
    assert not any("security" in a for a in alone.show("status")["alarms"])


# ---- signalling

def test_registration(running):
    """An Update under the mobile's own association is taken, and answered under it."""
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    ba, under = answer(dataplane, update(1), slot)
    assert ba.status == 0 and under == (slot, SIGNALLING)
    binding = dataplane.kinds(BINDING_SET)[-1]
    assert binding.home == HOME
    assert struct.unpack_from("=I", binding.body, 60)[0] == slot  # care_of.sa_slot
    assert running.show("show", "bindings")[0]["care_of"][0]["sa"] == slot


def test_refusals_are_protected(running):
    """A refusal leaves under the association as well."""
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    assert answer(dataplane, update(10), slot)[0].status == 0
    ba, under = answer(dataplane, update(9), slot)
    assert ba.status == 135 and under == (slot, SIGNALLING)
    ba, under = answer(dataplane, update(12, flags="AHR"), slot)
    assert ba.status >= 128 and under == (slot, SIGNALLING)


def test_unprotected(running):
    """RFC 6275 10.3.1: what is not protected gets no answer and changes nothing."""
    dataplane = running.dataplane
    assert answer(dataplane, update(1), slot_of(dataplane))[0].status == 0
    n = len(dataplane.kinds(BINDING_SET))
    silent(dataplane, update(2), 0)
    silent(dataplane, update(2, lifetime_s=0), 0)
    status = running.show("status")
    assert status["drops"]["unprotected"] == 2
    held = [b for b in running.show("show", "bindings") if b["home_address"] == HOME]
    assert held[0]["sequence"] == 1
    assert [r for r in dataplane.kinds(BINDING_SET)[n:] if r.home == HOME] == []


@pytest.mark.parametrize("use", [DISCOVERY, ROUTABILITY, PAYLOAD])
def test_wrong_use(running, use):
    """An association for something else does not carry an Update."""
    silent(running.dataplane, update(1), slot_of(running.dataplane), use=use)
    assert running.show("status")["drops"]["wrong_sa"] == 1


def test_somebody_elses_home(running):
    """RFC 6275 10.3.1: the association of A registers nobody but A, and A stays as it was."""
    dataplane = running.dataplane
    slot = slot_of(dataplane, HOME)
    assert answer(dataplane, update(1), slot)[0].status == 0
    victim = "2001:db8:1::102"
    running.write_subscribers([mobile(HOME, 2000), mobile(OTHER_HOME, 3000), mobile(victim, 4000)])
    assert running.ctl("reload").returncode == 0
    silent(dataplane, update(2, victim), slot)
    silent(dataplane, update(2, victim, lifetime_s=0), slot)
    silent(dataplane, update(2, "2001:db8:2::a"), slot)  # another network's
    silent(dataplane, update(2, "2001:db8:9::a"), slot)  # nobody's
    assert running.show("status")["drops"]["wrong_sa"] >= 3
    held = {b["home_address"]: b["sequence"] for b in running.show("show", "bindings")}
    assert victim not in held and held[HOME] == 1


def test_unknown_slot(running):
    silent(running.dataplane, update(1), 77777777)
    assert running.show("status")["drops"]["wrong_sa"] == 1


def test_identifier_of_another(running):
    """Under ipsec the list says who it is, not the message."""
    dataplane = running.dataplane
    option = mip6.MIP6OptMNID(subtype=1, id=b"bob@example.net")
    assert answer(dataplane, update(1, options=[option]), slot_of(dataplane))[0].status == 0
    assert running.show("show", "bindings")[0]["mn_id"] == ""


def test_binding_survives(running):
    """After a restart of control the binding names its slot again."""
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    assert answer(dataplane, update(1), slot)[0].status == 0
    running.lose_dataplane()
    running.kill()
    running.start()
    binding = running.play().kinds(BINDING_SET)[0]
    assert struct.unpack_from("=I", binding.body, 60)[0] == slot


def test_malformed_under_esp(running):
    """A Parameter Problem would quote in the clear what was hidden."""
    packet = bytes(update(1))
    body = packet[64:65] + b"\0" + packet[66:68] + b"\0\0" + packet[70:72]
    total = mip6.mh_checksum(HOME, AGENT, body)
    short = fix_length(packet[:64] + body[:4] + struct.pack("!H", total) + body[6:])
    silent(running.dataplane, short, slot_of(running.dataplane))
    assert running.show("status")["drops"]["not_answerable"] == 1


# ---- reload

def test_reload_changes_only(running):
    dataplane = running.dataplane
    slots = {home: slot_of(dataplane, home) for home in (HOME, OTHER_HOME)}
    dataplane.records = []
    third = "2001:db8:1::102"
    changed = mobile(OTHER_HOME, 3000)
    changed["security_associations"][0] = association("signalling", "in", 3100, 3100)
    assert reload(running, [mobile(HOME, 2000), changed, mobile(third, 4000)]).returncode == 0
    dataplane.wait(lambda: len(sas(dataplane)) == 7)
    time.sleep(0.1)
    dataplane.receive()
    assert not dataplane.kinds(SYNC_BEGIN)
    assert [d.id for d in sas(dataplane, SA_DEL)] == [(slots[OTHER_HOME], 3000, SIGNALLING, IN)]
    assert {(s.home, s.spi) for s in sas(dataplane)} == {
        (OTHER_HOME, 3100), *((third, 4000 + i) for i in range(6))}
    assert slot_of(dataplane, OTHER_HOME) == slots[OTHER_HOME]
    assert slot_of(dataplane, third) not in slots.values()


def test_reload_takes_away(running):
    """A mobile without its line loses its associations, and its binding the slot."""
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    assert answer(dataplane, update(1), slot)[0].status == 0
    others = [r for r in dataplane.kinds(SA_SET) if Sa(r).home == OTHER_HOME]
    dataplane.records = []
    assert reload(running, [mobile(OTHER_HOME, 3000)]).returncode == 0
    dataplane.wait(lambda: len(sas(dataplane, SA_DEL)) == 6 and dataplane.kinds(BINDING_SET))
    assert {d.slot for d in sas(dataplane, SA_DEL)} == {slot}
    assert struct.unpack_from("=I", dataplane.kinds(BINDING_SET)[0].body, 60)[0] == 0
    dataplane.records += others
    silent(dataplane, update(2), slot)


SECOND_AGENT = "2001:db8:1::2"


def test_associations_at_another_agent_address(alone):
    """Each mobile's are at the address that its line names, and are good there only."""
    alone.write(configuration(authentication="ipsec", agent_addresses=[AGENT, SECOND_AGENT]))
    alone.write_subscribers([mobile(HOME, 2000, agent_address=SECOND_AGENT),
                             mobile(OTHER_HOME, 3000, agent_address=AGENT)])
    alone.start()
    dataplane = alone.play()
    agents = {text(r.body[8:24]): struct.unpack_from("=H", r.body)[0] for r in dataplane.kinds(AGENT_SET)}
    assert {sa.home: sa.agent for sa in sas(dataplane)} == {
        HOME: agents[SECOND_AGENT], OTHER_HOME: agents[AGENT]}
    slot = slot_of(dataplane)
    packet = mip6.binding_update(HOME, CARE_OF, SECOND_AGENT, 1)
    acknowledgement, left_under = answer(dataplane, packet, slot)
    assert acknowledgement.status == 0 and left_under == (slot, SIGNALLING)
    silent(dataplane, update(2), slot)  # the same at the first
    assert alone.show("status")["drops"]["wrong_sa"] == 1
    for other in (mobile(HOME, 2000, agent_address="2001:db8:2::1"), mobile(HOME, 2000)):
        done = reload(alone, [other, mobile(OTHER_HOME, 3000)])
        assert (done.returncode, "line 1: agent_address: is none of home network open" in done.stderr) == (
            (1, True) if "agent_address" in other and other["agent_address"] != AGENT else (0, False))
    done = reload(alone, [{"home_addresses": [HOME], "agent_address": AGENT}])
    assert "line 1: agent_address: is for security_associations only" in done.stderr
    done = reload(alone, [mobile(HOME, 2000, agent_address="here")])
    assert "line 1: agent_address: must be an IPv6 address" in done.stderr


def test_reload_refused(running):
    """A bad line changes nothing, and its reason has no key in it."""
    dataplane = running.dataplane
    dataplane.records = []
    clash = mobile(OTHER_HOME, 3000)
    clash["security_associations"][0]["spi"] = 2000
    done = reload(running, [mobile(HOME, 2000), clash])
    assert done.returncode == 1
    assert "line 2: security_associations[0].spi: line 1 has the same inbound" in done.stderr
    short = mobile(OTHER_HOME, 3000)
    short["security_associations"][0]["encryption_key"] = key_of(3000, 16)
    done = reload(running, [mobile(HOME, 2000), short])
    assert "must have 20 or 36 bytes with aes-gcm-16" in done.stderr
    assert key_of(3000, 8) not in done.stderr
    dataplane.receive(0.2)
    assert not dataplane.kinds(SA_SET, SA_DEL)
    assert len(sas(running_again(running))) == 12


def running_again(running):
    running.lose_dataplane()
    return running.play()


def test_too_many_mobiles(running):
    config = configuration(authentication="ipsec")
    config["dataplane"]["max_sas"] = 16
    done = reload(running, config=config)
    assert "dataplane.max_sas: restart unwired-dataplane" in done.stderr
    running.lose_dataplane()
    running.kill()
    running.write_subscribers([mobile(f"2001:db8:1::{i:x}", 10000 + 8 * i) for i in range(1, 17)])
    with open(running.log, "ab") as log:
        code = subprocess.run(
            [str(control_alone.CONTROL), "--config", str(running.config_file), "--run-dir",
             str(running.run_dir), "--state-dir", str(running.state_dir)], stderr=log,
            stdout=log, timeout=20).returncode
    assert code == 1
    assert "16 mobiles have security associations (dataplane.max_sas allows 15)" in running.tail()
    running.write_subscribers([mobile(f"2001:db8:1::{i:x}", 10000 + 8 * i) for i in range(1, 13)])
    with open(running.log, "ab") as log:
        code = subprocess.run(
            [str(control_alone.CONTROL), "--config", str(running.config_file), "--run-dir",
             str(running.run_dir), "--state-dir", str(running.state_dir)], stderr=log,
            stdout=log, timeout=20).returncode
    assert code == 1
    assert "have 72 security associations (dataplane.max_sas allows 64)" in running.tail()


def test_first_ipsec_network_needs_a_restart(alone):
    """The dataplane has no room for associations before it is started with some."""
    alone.write(configuration())
    alone.write_subscribers([])
    alone.start()
    done = reload(alone, config=configuration(authentication="ipsec"))
    assert done.returncode == 1
    assert "dataplane.max_sas: restart unwired-dataplane" in done.stderr


def test_protect_changes(running):
    """What the network protects is told anew, of prefixes and of slots."""
    dataplane = running.dataplane
    dataplane.records = []
    config = configuration(authentication="ipsec", protect=["signalling", "payload"])
    assert reload(running, config=config).returncode == 0
    dataplane.wait_sync()
    assert {sa.protect for sa in sas(dataplane)} == {1 << SIGNALLING | 1 << PAYLOAD}
    assert {struct.unpack_from("=I", r.body, 24)[0] for r in dataplane.kinds(PREFIX_SET)} == {
        1 << SIGNALLING | 1 << PAYLOAD, 0}


def test_other_network(alone):
    """Associations of a mobile whose network does not use them are not sent, and said so."""
    alone.write_subscribers([mobile(HOME, 2000), mobile("2001:db8:2::77", 3000)])
    alone.start()
    assert {sa.home for sa in sas(alone.play())} == {HOME}
    assert "security_associations_unused mobiles=1" in alone.log.read_text()


# ---- what the dataplane says

def test_refused(running):
    dataplane = running.dataplane
    sa = sas(dataplane)[0]
    dataplane.send(SA_ERR, struct.pack("=IIBBHi", sa.slot, sa.spi, sa.use, sa.direction, 0, -17))
    dataplane.wait(lambda: any("refused 1 security" in a
                               for a in running.show("status")["alarms"]))
    dataplane.records = []
    assert reload(running).returncode == 0  # tries it again
    dataplane.wait(lambda: [s for s in sas(dataplane) if s.id == sa.id])
    assert not any("refused" in a for a in running.show("status")["alarms"])


def test_lifetime(alone):
    """Time is counted from the first import, over restarts."""
    subscriber = mobile(HOME, 2000)
    subscriber["security_associations"][1]["lifetime_s"] = 4
    subscriber["security_associations"][2]["lifetime_s"] = 3600
    alone.write_subscribers([subscriber])
    alone.start()
    begin = time.time()
    dataplane = alone.play()
    assert len(sas(dataplane)) == 6
    alone.lose_dataplane()
    alone.kill()
    time.sleep(1)
    alone.start()
    dataplane = alone.play()
    gone = dataplane.wait(lambda: sas(dataplane, SA_DEL), 8)
    assert 2.9 <= time.time() - begin <= 6.5
    assert [g.id[1:] for g in gone] == [(2001, SIGNALLING, OUT)]
    alone.lose_dataplane()
    alone.kill()
    alone.start()
    assert 2001 not in {sa.spi for sa in sas(alone.play())}
    assert any("1 security associations are over" in a for a in alone.show("status")["alarms"])


def test_metrics(alone):
    config = configuration(authentication="ipsec")
    port = free_port()
    config["telemetry"] = {"listen": f"127.0.0.1:{port}"}
    alone.write(config)
    alone.start()
    alone.play()
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    assert 'unwired_security_associations{state="standing"} 12' in page
    assert "unwired_security_grants_total 0" in page


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- prefix discovery

def solicitation(home=HOME, identifier=7, care_of=CARE_OF, tail=b"", **fields):
    packet = (IPv6(src=care_of, dst=AGENT, nh=60) / IPv6ExtHdrDestOpt(options=[HAO(hoa=home)]))
    body = struct.pack("!BBHHH", fields.get("type", 146), fields.get("code", 0), 0, identifier,
                       fields.get("reserved", 0)) + tail
    head = bytearray(bytes(packet))
    head[40] = 58
    total = checksum(home, AGENT, body)
    body = body[:2] + struct.pack("!H", total ^ fields.get("spoil", 0)) + body[4:]
    return fix_length(bytes(head) + body)


def checksum(src, dst, body):
    data = mip6.packed(src) + mip6.packed(dst) + struct.pack("!II", len(body), 58) + body
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Advertisement:
    """A Mobile Prefix Advertisement, read by hand."""

    def __init__(self, record):
        packet = record.packet
        self.src, self.dst = text(packet[8:24]), text(packet[24:40])
        assert packet[6] == 43 and packet[42] == 2 and packet[40] == 58
        self.home = text(packet[48:64])
        body = packet[64:]
        self.type, self.code, total, self.identifier, self.flags = struct.unpack("!BBHHH", body[:8])
        assert total == checksum(self.src, self.home, body[:2] + b"\0\0" + body[4:])
        self.prefixes = []
        for at in range(8, len(body), 32):
            kind, units, length, flags, valid, preferred, _ = struct.unpack_from("!BBBBIII", body, at)
            assert (kind, units) == (3, 4)
            self.prefixes.append((text(body[at + 16:at + 32]), length, flags, valid, preferred))
        self.under = struct.unpack_from("=IB", record.body, 4)


def advertisements(dataplane):
    return [Advertisement(r) for r in dataplane.kinds(PACKET_OUT) if r.packet[40] == 58]


def solicit(dataplane, packet, slot, use=DISCOVERY):
    punt(dataplane, packet, slot, use, LANE_DISCOVERY)


def test_solicited(alone):
    alone.write(configuration(authentication="ipsec", prefix_valid_lifetime_s=9000,
                              prefixes=["2001:db8:1::/64", "2001:db8:5::/64"]))
    alone.start()
    dataplane = alone.play()
    slot = slot_of(dataplane)
    assert answer(dataplane, update(1), slot)[0].status == 0
    solicit(dataplane, solicitation(identifier=4711, reserved=0xffff,
                                    tail=bytes([99, 1, 0, 0, 0, 0, 0, 0])), slot)
    told = dataplane.wait(lambda: advertisements(dataplane))[0]
    assert (told.type, told.code, told.identifier, told.flags) == (147, 0, 4711, 0)
    assert (told.src, told.dst, told.home) == (AGENT, CARE_OF, HOME)
    assert told.under == (slot, DISCOVERY)
    assert told.prefixes == [(AGENT, 64, 0x60, 9000, 9000),
                             ("2001:db8:5::", 64, 0x40, 9000, 9000)]


def test_solicited_without_a_binding(running):
    """RFC 6275 9.3.1: what is under an association needs none."""
    dataplane = running.dataplane
    solicit(dataplane, solicitation(), slot_of(dataplane))
    told = dataplane.wait(lambda: advertisements(dataplane))[0]
    assert told.prefixes == [(AGENT, 64, 0x60, 2**32 - 1, 2**32 - 1)]


def test_solicitations_that_do_not_count(running):
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    for packet in (solicitation(spoil=1), solicitation(code=1), solicitation(type=147),
                   solicitation(tail=bytes(8)), solicitation(tail=bytes([9, 2, 0, 0, 0, 0, 0, 0])),
                   solicitation()[:-2]):
        silent(dataplane, packet, slot, use=DISCOVERY, lane=LANE_DISCOVERY)
    for packet, how in ((solicitation(), (0, 0)), (solicitation(), (slot, SIGNALLING)),
                        (solicitation("2001:db8:1::102"), (slot, DISCOVERY))):
        silent(dataplane, packet, how[0], use=how[1], lane=LANE_DISCOVERY)
    drops = running.show("status")["drops"]
    assert drops["solicitation"] == 5 and drops["unprotected"] == 1 and drops["wrong_sa"] == 2


def test_solicited_too_often(running):
    """RFC 6275 6.8: not more than one advertisement a second."""
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    begin = time.monotonic()
    for i in range(20):
        solicit(dataplane, solicitation(identifier=i), slot)
    dataplane.wait(lambda: advertisements(dataplane))
    time.sleep(max(0, begin + 0.5 - time.monotonic()))
    dataplane.receive()
    assert len(advertisements(dataplane)) == 1
    time.sleep(max(0, begin + 1.2 - time.monotonic()))
    solicit(dataplane, solicitation(identifier=99), slot)
    dataplane.wait(lambda: len(advertisements(dataplane)) == 2)
    assert advertisements(dataplane)[1].identifier == 99


def test_not_advertised(alone):
    """RFC 6275 8.4: it can be switched off."""
    alone.write(configuration(authentication="ipsec", prefix_advertisements=False))
    alone.start()
    dataplane = alone.play()
    silent(dataplane, solicitation(), slot_of(dataplane), use=DISCOVERY, lane=LANE_DISCOVERY)
    assert alone.show("status")["drops"]["solicitation"] == 1


def test_prefix_change(alone):
    """A bound mobile is told of a change, again and again until it answers."""
    dataplane, slot, told = begin_change(alone)
    assert (told.dst, told.home, told.under) == (CARE_OF, HOME, (slot, DISCOVERY))
    assert told.prefixes == [(AGENT, 64, 0x60, 2**32 - 1, 0)]
    first = time.monotonic()
    dataplane.wait(lambda: len(advertisements(dataplane)) == 2, 6)
    assert 2.5 < time.monotonic() - first < 5
    assert advertisements(dataplane)[1].prefixes == told.prefixes
    time.sleep(1.1)
    solicit(dataplane, solicitation(identifier=5), slot)  # acknowledges
    dataplane.wait(lambda: len(advertisements(dataplane)) == 3)
    time.sleep(8)
    dataplane.receive()
    assert len(advertisements(dataplane)) == 3
    assert {a.home for a in advertisements(dataplane)} == {HOME}  # the other is not bound


def begin_change(alone):
    """A bound mobile, and a change that it is told of. Returns the dataplane, the slot and the first."""
    def config(**more):
        return configuration(authentication="ipsec", min_prefix_advertisement_s=1, **more)

    alone.write(config())
    alone.start()
    dataplane = alone.play()
    slot = slot_of(dataplane)
    assert answer(dataplane, update(1), slot)[0].status == 0
    assert reload(alone, config=config(prefix_deprecated=True)).returncode == 0
    return dataplane, slot, dataplane.wait(lambda: advertisements(dataplane), 8)[0]


def test_prefix_change_that_nobody_acknowledges(alone):
    """RFC 6275 10.6.2: again after 3, 6 and 12 s, and then with the next Binding Update."""
    dataplane, slot, _ = begin_change(alone)
    times = [time.monotonic()]
    for n in range(2, 5):
        dataplane.wait(lambda: len(advertisements(dataplane)) == n, 16)
        times.append(time.monotonic())
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(wanted - 0.5 < gap < wanted + 2 for gap, wanted in zip(gaps, (3, 6, 12))), gaps
    time.sleep(4)
    dataplane.receive()
    assert len(advertisements(dataplane)) == 4
    assert answer(dataplane, update(2), slot)[0].status == 1  # prefix discovery necessary
    dataplane.wait(lambda: len(advertisements(dataplane)) == 5, 5)


def test_prefix_change_and_the_end_of_the_binding(alone):
    """RFC 6275 10.6.2: nothing more is told when the registration has ended."""
    dataplane, slot, _ = begin_change(alone)
    assert answer(dataplane, update(2, lifetime_s=0), slot)[0].status == 0
    time.sleep(5)
    dataplane.receive()
    assert len(advertisements(dataplane)) == 1


def test_changes_are_told_together(alone):
    """RFC 6275 10.6.2: a second change before the acknowledgement goes out alone, with both."""
    dataplane, _, first = begin_change(alone)
    config = configuration(authentication="ipsec", min_prefix_advertisement_s=1,
                           prefix_deprecated=True, prefix_valid_lifetime_s=3000)
    assert reload(alone, config=config).returncode == 0
    dataplane.wait(lambda: len(advertisements(dataplane)) == 2, 6)
    assert first.prefixes == [(AGENT, 64, 0x60, 2**32 - 1, 0)]
    assert advertisements(dataplane)[1].prefixes == [(AGENT, 64, 0x60, 3000, 0)]
    time.sleep(4)
    dataplane.receive()
    assert {a.prefixes[0][3] for a in advertisements(dataplane)[1:]} == {3000}


# ---- secrets

def test_keys_stay_secret(alone):
    """I12: no key in logs, metrics, answers, nor in a file of the state directory but the index."""
    config = configuration(authentication="ipsec")
    port = free_port()
    config["telemetry"] = {"listen": f"127.0.0.1:{port}"}
    alone.write(config)
    alone.start()
    dataplane = alone.play()
    slot = slot_of(dataplane)
    assert answer(dataplane, update(1), slot)[0].status == 0
    event(dataplane, out_of(dataplane, SIGNALLING), LOW)
    dataplane.wait(lambda: sas(dataplane, SA_GRANT))
    bad = mobile(HOME, 2000)
    bad["security_associations"][3]["encryption_key"] += "0"
    said = reload(alone, [bad]).stderr
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()
    shown = b"".join(alone.ctl(*verb).stdout.encode() for verb in
                     (("status",), ("show", "sync"), ("show", "networks"), ("show", "bindings")))
    planted = b"PLANTED-KEY"
    for where in (said.encode(), page, shown, alone.log.read_bytes()):
        assert planted not in where and planted.hex().encode() not in where
    for path in alone.state_dir.iterdir():
        content = path.read_bytes()
        assert planted.hex().encode() not in content, path
        assert (planted in content) == (path.name == "subscribers.index"), path
        if path.name in ("subscribers.index", "security.mdb"):
            assert path.stat().st_mode & 0o077 == 0


def test_keys_are_not_in_memory_that_is_dumped(running):
    """No core file is made of the process, and its heap forgets the text that keys were read from."""
    pid = running.process.pid
    flags = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # of a process that may not be dumped
    assert re.search(r"VmLck:\s+[1-9]", flags)
    planted = b"PLANTED-KEY"
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights, *_, name = (line.split() + [""])[:6] if line.count(" ") else ("", "")
            if "w" not in rights or name.startswith(("[v", "/")):
                continue
            begin, end = (int(x, 16) for x in area.split("-"))
            if end - begin > 1 << 28:
                continue
            memory.seek(begin)
            try:
                content = memory.read(end - begin)
            except OSError:
                continue
            if planted in content or planted.hex().encode() in content:
                found.append(line)
    assert not found, found
