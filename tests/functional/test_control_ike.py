# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Security associations that control learns from unwired-xfrm, which the test plays, as it plays the
dataplane."""

import os
import stat
import struct
import time

import pytest

from harness import mip6
from harness.mirror import BEGIN, END, MOBILE, Mirror
from test_control_alone import AGENT, BINDING_SET, SYNC_BEGIN, SYNC_END, Alone, Dataplane, configuration
from test_control_ipsec import (
    CARE_OF, HOME, IN, LOW, OTHER_HOME, OUT, PAYLOAD, SA_DEL, SA_GRANT, SA_SET, SIGNALLING, Sa, answer,
    assert_never_back, event, key_of, mobile, out_of, reload, sas, slot_of, text, update)

THIRD_HOME = "2001:db8:1::102"
GCM, NO_DIGEST = 1, 0
LEARNED = 2  # API_SA_LEARNED


def gcm(use, direction, spi, seed, key_len=20):
    return struct.pack(">IBBBBBHIQQBB", spi, use, direction, GCM, NO_DIGEST, 0,
                       64 if direction == IN else 0, 0, 0, 0, key_len,
                       0) + bytes.fromhex(key_of(seed, key_len))


def both_ways(first, use=SIGNALLING):
    return [gcm(use, IN, first, first), gcm(use, OUT, first + 1, first + 1)]


@pytest.fixture
def running():
    """Control with two mobiles of the file, and a mirror that has said nothing."""
    alone = Alone()
    alone.write(configuration(authentication="ipsec"))
    alone.write_subscribers([mobile(HOME, 2000), mobile(OTHER_HOME, 3000)])
    alone.start()
    alone.play()
    alone.mirror = Mirror(alone.run_dir, AGENT)
    yield alone
    alone.mirror.close()
    alone.close()


def spis(dataplane, home):
    """The SPIs that the dataplane has of a mobile, of all that it was told."""
    slot, found = slot_of(dataplane, home), set()
    for record in [r for r in dataplane.records if r.kind in (SA_SET, SA_DEL)]:
        said = Sa(record)
        if said.slot == slot:
            (found.discard if record.kind == SA_DEL else found.add)(said.spi)
    return found


def state(alone):
    return alone.show("status")["security_associations"]


def await_state(alone, **wanted):
    deadline = time.monotonic() + 5
    while not wanted.items() <= state(alone).items():
        assert time.monotonic() < deadline, (state(alone), alone.tail())
        if alone.dataplane is not None:
            alone.dataplane.receive(0.02)


def test_a_learned_mobile_gets_a_slot_and_numbers(running):
    dataplane = running.dataplane
    running.mirror.mobile(THIRD_HOME, both_ways(5000), protect=1 << PAYLOAD)
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.home == THIRD_HOME][1:])
    inbound, outbound = sorted((sa for sa in sas(dataplane) if sa.home == THIRD_HOME),
                               key=lambda sa: sa.direction)
    assert (inbound.spi, outbound.spi) == (5000, 5001)
    assert inbound.flags == outbound.flags == LEARNED
    assert outbound.enc_key.hex() == key_of(5001, 20) and inbound.window == 64
    assert 1 <= outbound.next < outbound.limit
    assert outbound.protect & (1 << PAYLOAD | 1 << SIGNALLING) == 1 << PAYLOAD | 1 << SIGNALLING
    assert outbound.slot not in (slot_of(dataplane), slot_of(dataplane, OTHER_HOME))
    event(dataplane, outbound, LOW)
    grant = dataplane.wait(lambda: sas(dataplane, SA_GRANT))[0]
    assert grant.id == outbound.id and grant.limit > outbound.limit
    acknowledgement, left_under = answer(dataplane, update(home=THIRD_HOME), outbound.slot)
    assert acknowledgement.status == 0 and left_under == (outbound.slot, SIGNALLING)
    care_of = running.show("show", "binding", THIRD_HOME)["care_of"][0]
    assert (care_of["sa"], care_of["sa_source"]) == (outbound.slot, "ike")
    assert len(sas(dataplane)) == 12 + 2  # nothing of the others was sent again


def test_learned_ones_count_in_the_place_of_the_file(running):
    dataplane = running.dataplane
    slot = slot_of(dataplane)
    running.mirror.mobile(HOME, both_ways(5000))
    dataplane.wait(lambda: spis(dataplane, HOME) == {5000, 5001})
    assert slot_of(dataplane) == slot and len(sas(dataplane, SA_DEL)) == 6
    await_state(running, mobiles=2, mobiles_of_ike=1, standing=8)
    running.mirror.mobile(HOME, [])  # the daemon ended them: the file's count again
    dataplane.wait(lambda: spis(dataplane, HOME) == set(range(2000, 2006)))
    assert_never_back(sas(dataplane))
    assert spis(dataplane, OTHER_HOME) == set(range(3000, 3006))


def test_one_mobile_at_two_agent_addresses():
    alone = Alone()
    second = "2001:db8:1::2"
    alone.write(configuration(authentication="ipsec", agent_addresses=[AGENT, second]))
    alone.write_subscribers([])
    mirror = None
    try:
        alone.start()
        dataplane = alone.play()
        mirror = Mirror(alone.run_dir, AGENT)
        mirror.mobile(HOME, both_ways(5000))
        mirror.mobile(HOME, both_ways(6000), agent=second)
        dataplane.wait(lambda: len(sas(dataplane)) == 4)
        slots = {sa.spi: sa.slot for sa in sas(dataplane)}
        assert slots[5000] == slots[5001] != slots[6000] == slots[6001]
        assert answer(dataplane, update(), slots[5000])[0].status == 0
        moved = mip6.binding_update(HOME, CARE_OF, second, 2)
        acknowledgement, left_under = answer(dataplane, moved, slots[6000])
        assert acknowledgement.status == 0 and left_under == (slots[6000], SIGNALLING)
        assert bindings(dataplane)[-1] == (HOME, slots[6000])
    finally:
        if mirror is not None:
            mirror.close()
        alone.close()


def test_rekeying_touches_nothing_else(running):
    dataplane = running.dataplane
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 5001])
    n = len(dataplane.records)
    running.mirror.mobile(THIRD_HOME, [gcm(SIGNALLING, IN, 6000, 6000), *both_ways(5000)[:1],
                                       gcm(SIGNALLING, OUT, 6001, 6001)])
    dataplane.wait(lambda: spis(dataplane, THIRD_HOME) == {5000, 6000, 6001})
    assert {(r.kind, Sa(r).spi) for r in dataplane.records[n:] if r.kind in (SA_SET, SA_DEL)} == {
        (SA_SET, 6000), (SA_SET, 6001), (SA_DEL, 5001)}
    running.mirror.mobile(THIRD_HOME, [gcm(SIGNALLING, IN, 6000, 6000),
                                       gcm(SIGNALLING, OUT, 6001, 6001)])
    dataplane.wait(lambda: spis(dataplane, THIRD_HOME) == {6000, 6001})


def test_what_is_not_said_again_is_gone(running):
    dataplane = running.dataplane
    running.mirror.all({THIRD_HOME: both_ways(5000), HOME: both_ways(6000)})
    await_state(running, mobiles=3, mobiles_of_ike=2)
    running.mirror.close()  # a mirror that goes leaves what it told
    await_state(running, ike_mirror="away", mobiles_of_ike=2)
    running.mirror = Mirror(running.run_dir, AGENT)
    running.mirror.send(BEGIN)
    running.mirror.mobile(HOME, both_ways(6000))
    time.sleep(0.3)
    await_state(running, mobiles_of_ike=2)  # not before the end
    n = len(dataplane.records)
    running.mirror.send(END)
    await_state(running, mobiles=2, mobiles_of_ike=1)
    dataplane.wait(lambda: spis(dataplane, THIRD_HOME) == set())
    assert {(r.kind, Sa(r).spi) for r in dataplane.records[n:] if r.kind in (SA_SET, SA_DEL)} == {
        (SA_DEL, 5000), (SA_DEL, 5001)}


def test_a_key_that_comes_back_goes_on(running):
    """Though the daemon had ended it: numbers are kept by the key, for a day at least."""
    dataplane = running.dataplane
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 5001])
    running.mirror.mobile(THIRD_HOME, [])
    dataplane.wait(lambda: spis(dataplane, THIRD_HOME) == set())
    running.mirror.mobile(THIRD_HOME, [gcm(SIGNALLING, IN, 6000, 5000), gcm(SIGNALLING, OUT, 6001, 5001)])
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 6001])
    first, second = (sa for sa in sas(dataplane) if sa.spi in (5001, 6001))
    assert second.next >= first.limit
    assert state(running)["forgotten"] == 0


def test_numbers_lost(running):
    """The file with what was used is gone, and the daemon goes on with old keys: they send no more, also
    after another start, until it has made new ones. What it makes from then on is new."""
    dataplane = running.dataplane
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 5001])
    assert answer(dataplane, update(home=THIRD_HOME), slot_of(dataplane, THIRD_HOME))[0].status == 0
    for turn in range(2):
        running.mirror.close()
        running.lose_dataplane()
        running.kill()
        if turn == 0:
            (running.state_dir / "security.mdb").unlink()
        running.start()
        running.mirror = Mirror(running.run_dir, AGENT)
        if turn == 0:
            running.mirror.send(BEGIN)  # and it is killed before the end
        running.mirror.mobile(THIRD_HOME, both_ways(5000))
        await_state(running, mobiles_of_ike=1, lost=1 + 6)  # of the file three of each mobile
        running.dataplane = Dataplane(running.run_dir / "dataplane.sock").accept()
        running.dataplane.wait(lambda: [sa for sa in sas(running.dataplane) if sa.spi == 5000])
        assert not [sa for sa in sas(running.dataplane) if sa.spi == 5001]
    assert "sequence_lost source=ike spi=5001" in running.log.read_text()
    running.mirror.all({THIRD_HOME: both_ways(5000)})
    time.sleep(0.5)  # what comes along with the end of it is taken for old, too
    running.mirror.mobile(THIRD_HOME, both_ways(6000))
    running.dataplane.wait(lambda: [sa for sa in sas(running.dataplane) if sa.spi == 6001])
    await_state(running, lost=6)


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def test_numbers_of_old_keys_are_forgotten(running, monkeypatch):
    """A day later, by a wall clock that stands two days on; those of SAs that stand are not."""
    dataplane = running.dataplane
    for n in range(20):  # rekeying, again and again
        running.mirror.mobile(THIRD_HOME, both_ways(5000 + 2 * n))
        dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 5001 + 2 * n])
    running.mirror.close()
    running.lose_dataplane()
    running.kill()
    for name, value in {"LD_PRELOAD": FAKETIME, "FAKETIME": "+2d", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                        "NO_FAKE_STAT": "1"}.items():
        monkeypatch.setenv(name, value)
    running.start()
    monkeypatch.undo()
    running.mirror = Mirror(running.run_dir, AGENT)
    running.mirror.all({THIRD_HOME: both_ways(5038)})
    await_state(running, forgotten=19, mobiles_of_ike=1)
    before = [sa for sa in sas(dataplane) if sa.spi == 5039][-1]
    running.play()
    running.dataplane.wait(lambda: [sa for sa in sas(running.dataplane) if sa.spi == 5039])
    assert out_of(running.dataplane, SIGNALLING, THIRD_HOME).next >= before.limit


def test_one_sender_at_a_time(running):
    await_state(running, ike_mirror="connected")
    second = Mirror(running.run_dir, AGENT)
    assert second.socket.recv(1) == b""
    second.close()
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    await_state(running, mobiles_of_ike=1)


def test_the_socket_is_for_its_owner(running):
    assert stat.S_IMODE(os.stat(running.run_dir / "ike.sock").st_mode) == 0o600


def test_bad_records_change_nothing(running):
    mirror, good = running.mirror, both_ways(5000)
    mirror.mobile(THIRD_HOME, good)
    await_state(running, mobiles_of_ike=1)
    mirror.socket.send(b"\1\0\2")
    mirror.send(MOBILE, THIRD_HOME, AGENT, b"\0\0", version=2)
    mirror.send(MOBILE, THIRD_HOME, AGENT, b"\0\0", length=3)
    mirror.send(9)
    mirror.send(END, body=b"\0")
    mirror.send(MOBILE, THIRD_HOME, AGENT, b"\1\0" + good[0][:-1])
    mirror.mobile(THIRD_HOME, [good[0][:-2]])
    mirror.mobile(THIRD_HOME, [gcm(SIGNALLING, IN, 5000, 1, key_len=24)])  # no such size
    mirror.mobile(THIRD_HOME, [gcm(SIGNALLING, IN, 255, 1)])
    mirror.mobile(THIRD_HOME, [good[0], gcm(SIGNALLING, OUT, 5001, 5000)])  # one key twice
    mirror.mobile("::", good)
    mirror.socket.send(bytes(65536))
    await_state(running, ike_records_refused=12, mobiles_of_ike=1)
    assert spis(running.dataplane, THIRD_HOME) == {5000, 5001}
    log = running.log.read_text()
    assert "learned_refused" in log and b"PLANTED".hex() not in log and "PLANTED" not in log


def test_homes_without_a_place_are_counted(running):
    running.mirror.mobile("2001:db8:77::1", both_ways(5000))
    running.mirror.mobile(THIRD_HOME, both_ways(6000), agent="2001:db8:1::77")
    await_state(running, mobiles=2, mobiles_of_ike=0, mobiles_of_ike_unplaced=2)
    assert "learned_associations_unused mobiles=" in running.log.read_text()


def test_a_key_of_two_mobiles_sends_for_one_only(running):
    dataplane = running.dataplane
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 5001])
    running.mirror.mobile("2001:db8:1::103", [gcm(SIGNALLING, OUT, 7000, 5001)])
    running.mirror.mobile("2001:db8:1::104", [gcm(SIGNALLING, OUT, 7001, 2001)])  # of the file
    await_state(running, mobiles_of_ike=3, lost=2)
    assert not [sa for sa in sas(dataplane) if sa.spi in (7000, 7001)]
    assert_never_back(sas(dataplane))


def test_a_new_control_process_is_told_again_and_goes_on(running):
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    running.dataplane.wait(lambda: [sa for sa in sas(running.dataplane) if sa.spi == 5001])
    before = sas(running.dataplane)
    running.mirror.close()
    running.lose_dataplane()
    running.kill()
    running.start()
    running.play()
    running.mirror = Mirror(running.run_dir, AGENT)
    running.mirror.all({THIRD_HOME: both_ways(5000)})
    running.dataplane.wait(lambda: [sa for sa in sas(running.dataplane) if sa.spi == 5001])
    assert_never_back(before, sas(running.dataplane))
    assert out_of(running.dataplane, SIGNALLING, THIRD_HOME).slot == \
        [sa.slot for sa in before if sa.home == THIRD_HOME][0]


def bindings(dataplane):
    """(home, slot) of each binding that the dataplane was told of, in order."""
    return [(text(r.body[16:32]), struct.unpack_from("=I", r.body, 60)[0])
            for r in dataplane.kinds(BINDING_SET)]


def restarted(running):
    """A new control process whose mirror has not come yet, and the dataplane that it fills: with a
    binding of the file's and one of the mirror's."""
    dataplane = running.dataplane
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    dataplane.wait(lambda: [sa for sa in sas(dataplane) if sa.spi == 5001])
    slot = slot_of(dataplane, THIRD_HOME)
    assert answer(dataplane, update(home=THIRD_HOME), slot)[0].status == 0
    assert answer(dataplane, update(home=HOME), slot_of(dataplane))[0].status == 0
    assert bindings(dataplane)[0] == (THIRD_HOME, slot)
    running.mirror.close()
    running.lose_dataplane()
    running.kill()
    running.start()
    running.dataplane = Dataplane(running.run_dir / "dataplane.sock").accept()
    running.dataplane.wait(lambda: bindings(running.dataplane))
    return running.dataplane, slot


def test_what_a_new_control_process_has_not_learned_yet_stays_as_it_is(running):
    dataplane, slot = restarted(running)
    for _ in range(10):  # neither the binding without its association, nor the end of the filling
        dataplane.receive(0.1)
    assert [home for home, _ in bindings(dataplane)] == [HOME] and not dataplane.kinds(SYNC_END)
    assert running.show("show", "sync")["held"] == 1
    running.mirror = Mirror(running.run_dir, AGENT)
    running.mirror.send(BEGIN)
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    dataplane.wait(lambda: bindings(dataplane)[1:])
    for _ in range(3):
        dataplane.receive(0.1)
    assert bindings(dataplane)[1:] == [(THIRD_HOME, slot)]
    running.mirror.send(END)
    dataplane.wait(lambda: dataplane.kinds(SYNC_END))
    kinds = [r.kind for r in dataplane.records]
    assert kinds.index(SYNC_BEGIN) < kinds.index(SA_SET) < kinds.index(SYNC_END)
    assert spis(dataplane, THIRD_HOME) == {5000, 5001}
    assert len(bindings(dataplane)) == 2 and running.show("show", "sync")["held"] == 0


def test_the_wait_for_what_was_learned_has_an_end(running):
    dataplane, _ = restarted(running)
    began = time.monotonic()
    while not dataplane.kinds(SYNC_END):
        assert time.monotonic() - began < 8, running.tail()
        dataplane.receive(0.1)
    assert time.monotonic() - began > 3  # five seconds, of which the restart took some
    assert bindings(dataplane) == [(HOME, slot_of(dataplane)), (THIRD_HOME, 0)]
    assert "learned_not_told bindings=1" in running.log.read_text()


def cpu_s(process):
    """The processor time that it has taken."""
    fields = open(f"/proc/{process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_change_among_a_hundred_thousand():
    """What one mobile's new keys cost does not grow with those that have not changed."""
    n_mobiles, n_changes = 100_000, 40
    homes = [f"2001:db8:1::{i >> 16:x}:{i & 0xffff:x}" for i in range(1, n_mobiles + 1)]
    alone = Alone()
    config = configuration(authentication="ipsec")
    config["dataplane"]["max_sas"] = n_mobiles + 2
    alone.write(config)
    alone.write_subscribers([])
    mirror = None
    try:
        alone.start()
        mirror = Mirror(alone.run_dir, AGENT)
        mirror.socket.settimeout(60)
        mirror.all({home: both_ways(0x10000 + 2 * i) for i, home in enumerate(homes)})
        deadline = time.monotonic() + 30
        while state(alone)["mobiles_of_ike"] < n_mobiles:
            assert time.monotonic() < deadline, state(alone)
            time.sleep(0.2)
        time.sleep(0.3)
        before = cpu_s(alone.process)
        for i in range(n_changes):
            mirror.mobile(homes[n_mobiles // n_changes * i], both_ways(0x10000000 + 2 * i))
            time.sleep(0.08)  # each for itself
        time.sleep(0.3)
        took_s = cpu_s(alone.process) - before
        assert took_s / n_changes < 0.003, took_s  # 0.4 ms
        for i in range(5):  # at once, and not when the whole table has had its turn
            began = time.monotonic()
            mirror.mobile(homes[i + 1], [])
            await_state(alone, mobiles_of_ike=n_mobiles - i - 1)
            assert time.monotonic() - began < 0.6
        for i in range(5):
            mirror.mobile(homes[i + 1], both_ways(0x18000000 + 2 * i))
        mirror.mobile(homes[0], [])
        mirror.mobile("2001:db8:1:0:ffff::1", both_ways(0x20000000))
        await_state(alone, mobiles_of_ike=n_mobiles, mobiles_of_ike_unplaced=0)
    finally:
        if mirror is not None:
            mirror.close()
        alone.close()


def test_a_reload_keeps_what_was_learned(running):
    running.mirror.mobile(THIRD_HOME, both_ways(5000))
    await_state(running, mobiles_of_ike=1)
    assert reload(running, [mobile(HOME, 2000)]).returncode == 0
    await_state(running, mobiles=2, mobiles_of_ike=1, standing=8)
    assert spis(running.dataplane, THIRD_HOME) == {5000, 5001}
