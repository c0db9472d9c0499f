# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""kill -9 of either process and of both, an empty store, control that stays away."""

import os
import shutil
import time

import pytest

from conftest import AUTH_SUBSCRIBERS
from harness.lab import network
from harness.stream import Stream, arrivals, numbered

N_MOBILES = 40

# Fields of a binding that no kill may change.
LASTING = ("home_network", "domain", "home_address", "mn_id", "care_of", "lifetime_s", "sequence",
           "state", "flags")


@pytest.fixture
def lab(own_lab):
    """A box of its own with registered mobiles."""
    made = own_lab([network("open", 1), network("auth", 2, "auth-option")], AUTH_SUBSCRIBERS)
    made.mobiles = [made.mobile() for _ in range(N_MOBILES)]
    for n, one in enumerate(made.mobiles):
        one.register(seq=1000 + n, lifetime_s=400)
    return made


def lasting(lab):
    """{home address: what must last}, of all mobiles."""
    return {b["home_address"]: {k: b.get(k) for k in LASTING}
            for b in lab.box.ctl("show", "bindings", "--limit", 1000)
            if b["home_address"] in {m.home for m in lab.mobiles}}


def assert_all_reachable(mobiles):
    for one in mobiles:
        one.receive_down()
        one.receive_up()


@pytest.mark.sanitize
def test_killed_control_costs_no_packet_and_no_binding(lab):
    before = lasting(lab)
    assert len(before) == N_MOBILES
    down, up = lab.mobiles[0], lab.mobiles[1]
    marks = lab.access.mark(), lab.core.mark()
    with lab.counting_drops() as drops, \
            Stream(lab.core, down.down_packet(numbered(0)), per_s=500) as to_mobile, \
            Stream(lab.access, up.tunnelled(up.up_inner(numbered(0))), per_s=500) as from_mobile:
        time.sleep(0.3)
        lab.box.kill_control()
        time.sleep(0.7)
        lab.box.start_control()
        lab.box.wait_synced()
        time.sleep(0.3)
    came = [n for n, _ in arrivals(lab.access, marks[0], until=to_mobile.sent)]
    assert came == list(range(to_mobile.sent))
    came = [n for n, _ in arrivals(lab.core, marks[1], until=from_mobile.sent)]
    assert came == list(range(from_mobile.sent))
    assert drops == {}
    assert lasting(lab) == before
    assert_all_reachable(lab.mobiles[::8])


@pytest.mark.sanitize
def test_sequence_numbers_survive_the_kill_of_control(lab):
    lab.box.kill_control()
    lab.box.start_control()
    lab.box.wait_synced()
    one = lab.mobiles[7]
    answer = one.update(seq=1007)
    assert (answer.status, answer.seq) == (135, 1007)
    answer = one.update(seq=1006, care_of=one.second_care_of)
    assert (answer.status, answer.seq) == (135, 1007)
    assert one.update(seq=1008, care_of=one.second_care_of).status == 0
    one.receive_down(care_of=one.second_care_of)


def test_counters_survive_the_kill_of_control(lab):
    one = lab.mobiles[3]
    for _ in range(5):
        one.receive_down()
    lab.box.kill_control()
    lab.box.start_control()
    lab.box.wait_synced()
    one.receive_down()
    assert lab.box.binding(one.home)["packets_down"] == 6


def test_deregistration_survives_the_kill_of_control(lab):
    one = lab.mobiles[5]
    assert one.update(lifetime_s=0).status == 0
    lab.box.kill_control()
    lab.box.start_control()
    lab.box.wait_synced()
    one.assert_unbound()
    assert lab.box.binding(one.home) is None
    assert one.update(seq=one.seq).status == 135  # the hold of 10 s is remembered too


def test_every_acknowledged_registration_survives_kills_at_any_moment(lab):
    """A mobile registers again and again; control is killed in the middle; what it was told holds."""
    one = lab.mobiles[9]
    seq, told = 2000, None
    for _ in range(4):
        mark = lab.access.mark()
        for _ in range(50):
            seq += 1
            one.send_update(seq=seq, care_of=(one.care_of, one.second_care_of)[seq % 2])
        time.sleep(0.002 * (seq % 7))
        lab.box.kill_control()
        time.sleep(0.1)
        for care_of in (one.care_of, one.second_care_of):
            for frame in lab.access.since(mark):
                if frame.is_ip6 and frame.dst == care_of and frame.next_header == 43:
                    told = max(told or 0, int.from_bytes(frame.raw[78 + 8:78 + 10], "big"))
        lab.box.start_control()
        lab.box.wait_synced()
        kept = lab.box.binding(one.home)["sequence"]
        assert told is None or kept >= told
        seq = max(seq, kept)
        bound = lab.box.binding(one.home)["care_of"][0]["address"]
        one.receive_down(care_of=bound)
    assert told is not None


def test_message_id_floor_survives_the_kill_of_control(lab):
    """A captured update of a binding that has ended in between stays worthless."""
    row = AUTH_SUBSCRIBERS[0]
    one = lab.mobile("auth", home=row["home_addresses"][0], spi=row["keys"][0]["spi"],
                     key=bytes.fromhex(row["keys"][0]["key"]), mn_id=row["mn_id"].encode())
    captured = one.update_packet(1)
    mark = one.wire.mark()
    one.wire.send(captured)
    assert one.answer(mark).status == 0
    assert one.update(seq=2, lifetime_s=0).status == 0
    lab.box.kill_control()
    lab.box.start_control()
    lab.box.wait_synced()
    mark = one.wire.mark()
    one.wire.send(captured)
    assert one.answer(mark).status == 144
    one.assert_unbound()


@pytest.mark.sanitize
def test_killed_dataplane_is_refilled(lab):
    before = lasting(lab)
    lab.box.kill_dataplane()
    lab.box.start_dataplane()
    lab.box.wait_synced()
    assert_all_reachable(lab.mobiles[::8])
    assert lasting(lab) == before
    one = lab.mobiles[2]
    assert one.update(care_of=one.second_care_of).status == 0
    one.receive_down(care_of=one.second_care_of)


def test_both_killed(lab):
    before = lasting(lab)
    lab.box.kill_control()
    lab.box.kill_dataplane()
    lab.box.start_dataplane()
    lab.box.start_control()
    lab.box.wait_synced()
    assert lasting(lab) == before
    assert_all_reachable(lab.mobiles[::8])
    one = lab.mobiles[11]
    assert one.update(seq=1011).status == 135


def test_binding_that_expires_while_control_is_away_is_gone_after(lab):
    one = lab.mobiles[13]
    one.register(lifetime_s=4)
    lab.box.kill_control()
    time.sleep(4.2)
    one.assert_bound()  # the dataplane knows no lifetimes
    lab.box.start_control()
    lab.box.wait_synced()
    one.assert_unbound()
    assert_all_reachable(lab.mobiles[14:16])


@pytest.mark.sanitize
def test_empty_store_cuts_nobody_off_until_it_is_forced(lab):
    """The sweep guard: a wrong or empty store would remove more than 5 % of the live bindings."""
    lab.box.kill_control()
    shutil.rmtree(lab.box.state_dir)
    lab.box.start_control()
    lab.box.wait_for(lambda: lab.box.sync() == "sweep-refused", 10,
                     "the alarm of the sweep guard")
    assert_all_reachable(lab.mobiles[::8])
    # New registrations work meanwhile.
    fresh = lab.mobile()
    fresh.register()
    fresh.assert_bound()
    done = lab.box.ctl_process("resync", "--force")
    assert done.returncode == 0, done.stderr
    lab.box.wait_synced()
    for one in lab.mobiles[::8]:
        one.assert_unbound()
    fresh.assert_bound()
    assert lab.mobiles[0].update(seq=1).status == 0


def test_orphaned_dataplane_stops_after_its_hold(own_lab):
    lab = own_lab([network("open", 1)], orphan_hold_s=2)
    one = lab.mobile()
    one.register()
    lab.box.kill_control()
    start = time.monotonic()
    time.sleep(1)
    one.assert_bound()

    def has_ended():
        payload = os.urandom(12)
        mark = lab.access.mark()
        lab.core.send(one.down_packet(payload))
        time.sleep(0.1)
        return lab.access.count(lambda f: payload in f.raw, mark) == 0

    lab.box.wait_for(has_ended, 5, "the end of the hold")
    assert time.monotonic() - start >= 1.9
    lab.box.start_control()
    lab.box.wait_synced()
    one.assert_bound()


def test_programs_start_in_any_order(own_lab):
    lab = own_lab([network("open", 1)], start=False)
    lab.box.start_control()
    assert lab.box.sync() != "synced"
    lab.box.start_dataplane()
    lab.box.wait_synced()
    one = lab.mobile()
    one.register()
    one.assert_bound()


def test_new_dataplane_keeps_still_about_home_addresses_until_it_is_filled(own_lab):
    """It cannot know yet who is bound: no error, and no packet by the default route."""
    lab = own_lab([network("open", 1)], start=False)
    lab.box.start_dataplane()
    one = lab.mobile()
    marks = lab.core.mark(), lab.access.mark()
    with lab.counting_drops() as drops:
        lab.core.send(one.down_packet(b"too early"))
        lab.box.wait_for(lambda: lab.box.drops().get("not_filled"), 3, "the drop")
    for wire, mark in zip((lab.core, lab.access), marks):
        assert wire.count(lambda f: b"too early" in f.raw, mark) == 0
    assert drops == {"not_filled": 1}
    lab.box.start_control()
    lab.box.wait_synced()
    one.assert_unbound()


def test_clean_restart_of_both(lab):
    before = lasting(lab)
    assert lab.box.control.end() == 0
    assert lab.box.dataplane.end() == 0
    lab.box.start_dataplane()
    lab.box.start_control()
    lab.box.wait_synced()
    assert lasting(lab) == before
    assert_all_reachable(lab.mobiles[::8])
