# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The authentication option and its replay protection (RFC 4285), computed here by hashlib."""

import pytest
from scapy.layers.inet6 import MIP6OptMsgAuth, MIP6OptReplayProtection

from conftest import AUTH_SUBSCRIBERS, WITHOUT_MESG_ID
from harness import mip6

pytestmark = pytest.mark.sanitize

_unused = {"auth": iter(AUTH_SUBSCRIBERS), "no-mesg-id": iter(WITHOUT_MESG_ID)}


@pytest.fixture
def subscriber(lab):
    """A mobile with a key that no test has used."""
    return take(lab, "auth")


def take(lab, network_name):
    row = next(_unused[network_name])
    key = row["keys"][0]
    return lab.mobile(network_name, home=row["home_addresses"][0], spi=key["spi"],
                      key=bytes.fromhex(key["key"]), mn_id=row["mn_id"].encode())


def send(mobile, packet):
    mark = mobile.wire.mark()
    mobile.wire.send(packet)
    return mark


def test_accepted_and_the_answer_is_signed(lab, subscriber):
    m = subscriber
    mesg_id = mip6.ntp_now()
    answer = m.update(mesg_id=mesg_id)
    assert answer.status == 0
    assert answer.option(MIP6OptReplayProtection).timestamp == mesg_id
    option = answer.options[-1]
    assert isinstance(option, MIP6OptMsgAuth)
    assert (option.subtype, option.mspi, len(option.authdata)) == (1, m.spi, 12)
    assert answer.authentic(m.key, m.care_of, m.home)
    assert not answer.authentic(bytes(16), m.care_of, m.home)
    m.receive_down()
    m.receive_up()


def test_movement_refresh_and_deregistration(lab, subscriber):
    m = subscriber
    for seq, care_of, lifetime_s in ((1, m.care_of, 400), (2, m.care_of, 400),
                                     (3, m.second_care_of, 400), (4, m.second_care_of, 0)):
        answer = m.update(seq=seq, care_of=care_of, lifetime_s=lifetime_s)
        assert (answer.status, answer.lifetime_s) == (0, lifetime_s)
        assert answer.authentic(m.key, care_of, m.home)
    m.assert_unbound()


def test_wrong_authenticator_is_146_and_not_larger_than_the_update(lab, subscriber):
    m = subscriber
    packet = m.update_packet(1, key=bytes(16))
    answer = m.answer(send(m, packet))
    assert answer.status == 146
    assert len(answer.frame.ip_bytes) <= len(bytes(packet))
    m.assert_unbound()


def test_update_signed_for_another_care_of_address_is_146(lab, subscriber):
    """Somebody on the way changed the source."""
    m = subscriber
    m.register()
    answer = m.update(care_of=m.second_care_of, signed_care_of=m.care_of)
    assert answer.status == 146
    m.assert_bound()


@pytest.mark.parametrize("bit", [0, 40, 95])
def test_any_flipped_bit_of_the_message_is_146(lab, subscriber, bit):
    m = subscriber
    m.register(seq=1)
    raw = bytearray(bytes(m.update_packet(2)))
    raw[-1 - bit // 8] ^= 1 << bit % 8
    mobility = bytes(raw[64:68]) + b"\0\0" + bytes(raw[70:])
    raw[68:70] = mip6.mh_checksum(m.home, m.agent, mobility).to_bytes(2, "big")
    assert m.answer(send(m, bytes(raw))).status == 146
    assert lab.box.binding(m.home)["sequence"] == 1


def test_changed_lifetime_is_146(lab, subscriber):
    m = subscriber
    m.register(seq=1)
    raw = bytearray(bytes(m.update_packet(2, lifetime_s=400)))
    raw[64 + 10:64 + 12] = b"\0\0"
    mobility = bytes(raw[64:68]) + b"\0\0" + bytes(raw[70:])
    raw[68:70] = mip6.mh_checksum(m.home, m.agent, mobility).to_bytes(2, "big")
    assert m.answer(send(m, bytes(raw))).status == 146
    m.assert_bound()


def test_unknown_spi_is_dropped(lab, subscriber):
    m = subscriber
    mark, _ = m.send_update(spi=65000)
    m.assert_silence(mark)
    m.assert_unbound()


def test_update_without_the_option_is_dropped(lab, subscriber):
    """2.2.6 as far as it is about unprotected updates; attack 1"""
    m = subscriber
    mark = send(m, mip6.binding_update(m.home, m.care_of, m.agent, 1))
    m.assert_silence(mark)
    m.assert_unbound()


def test_home_address_that_nobody_is_subscribed_to_is_not_bound(lab, subscriber):
    m = subscriber
    m.home = "2001:db8:2::dead"
    m.send_update()
    lab.settle()
    m.assert_unbound()


def test_key_of_one_mobile_does_not_register_another(lab, subscriber):
    """X6275.10.3.1-3"""
    owner, thief = subscriber, take(lab, "auth")
    owner.register()
    for spi in (thief.spi, owner.spi):
        owner.send_update(care_of=thief.care_of, spi=spi, key=thief.key, mn_id=thief.mn_id)
    lab.settle()
    owner.assert_bound()
    assert lab.box.binding(thief.home) is None


def test_missing_message_id_is_145(lab, subscriber):
    """Trap 15"""
    m = subscriber
    answer = m.update(mesg_id=None)
    assert answer.status == 145
    assert answer.authentic(m.key, m.care_of, m.home)
    m.assert_unbound()


@pytest.mark.parametrize("offset_s", [-60, -9, 9, 3600])
def test_clock_too_far_off_is_144_with_our_time(lab, subscriber, offset_s):
    """Trap 32: low half of what was sent, high half of the agent's clock."""
    m = subscriber
    mesg_id = mip6.ntp_now(offset_s)
    answer = m.update(mesg_id=mesg_id)
    assert answer.status == 144
    told = answer.option(MIP6OptReplayProtection).timestamp
    assert told & 0xffffffff == mesg_id & 0xffffffff
    assert abs((told >> 32) - (mip6.ntp_now() >> 32)) <= 2
    assert answer.authentic(m.key, m.care_of, m.home)
    m.assert_unbound()
    # The mobile sets its clock by the answer and is accepted.
    assert m.update(mesg_id=mip6.ntp_now()).status == 0


@pytest.mark.parametrize("offset_s", [-4, 4])
def test_clock_a_little_off_is_accepted(lab, subscriber, offset_s):
    assert subscriber.update(mesg_id=mip6.ntp_now(offset_s)).status == 0


def test_replay_of_a_refresh_is_refused(lab, subscriber):
    m = subscriber
    first = m.update_packet(1)
    assert m.answer(send(m, first)).status == 0
    m.register(seq=2, care_of=m.second_care_of)
    assert m.answer(send(m, first)).status == 144
    m.receive_down(care_of=m.second_care_of)


def test_message_id_must_grow(lab, subscriber):
    m = subscriber
    mesg_id = mip6.ntp_now()
    assert m.update(seq=1, mesg_id=mesg_id).status == 0
    assert m.update(seq=2, mesg_id=mesg_id).status == 144
    assert m.update(seq=3, mesg_id=mesg_id - 1).status == 144
    assert m.update(seq=4, mesg_id=mesg_id + 1).status == 0


def test_replay_after_deregistration_is_refused(lab, subscriber):
    """There is no cache entry any more, but its floor: trap 15"""
    m = subscriber
    first = m.update_packet(1)
    assert m.answer(send(m, first)).status == 0
    assert m.update(seq=2, lifetime_s=0).status == 0
    assert m.answer(send(m, first)).status == 144
    m.assert_unbound()


def test_sequence_number_is_only_copied_where_the_message_id_counts(lab, subscriber):
    """RFC 4285 6: this option as opposed to the sequence number"""
    m = subscriber
    m.register(seq=10)
    for seq in (10, 3, 40000):
        answer = m.update(seq=seq)
        assert (answer.status, answer.seq) == (0, seq)


def test_network_without_message_id_accepts_without_and_resists_replay(lab):
    m = take(lab, "no-mesg-id")
    first = m.update_packet(1, mesg_id=None)
    answer = m.answer(send(m, first))
    assert answer.status == 0
    assert answer.option(MIP6OptReplayProtection) is None
    assert answer.authentic(m.key, m.care_of, m.home)
    assert m.answer(send(m, first)).status == 135
    assert m.update(seq=2, lifetime_s=0, mesg_id=None).status == 0
    assert m.answer(send(m, first)).status == 135
    m.assert_unbound()
