# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Home registration, refresh, movement, de-registration and lifetimes (RFC 6275 9.5.1, 10.3)."""

import time

import pytest
from scapy.layers.inet6 import IPv6, MIP6OptAltCoA, MIP6OptBRAdvice, MIP6OptMNID, MIP6OptUnknown

from harness import mip6
from harness.stream import Stream, arrivals, numbered

pytestmark = pytest.mark.sanitize


@pytest.mark.parametrize("flags", ["AH", "H"], ids=["2.1.5", "2.1.6-without-A"])
def test_registration_is_acknowledged_and_carries_traffic(lab, flags):
    mobile = lab.mobile()
    answer = mobile.update(seq=4711, lifetime_s=400, flags=flags)
    assert answer.status == 0
    assert answer.routing_home == mobile.home
    assert answer.seq == 4711
    assert answer.lifetime_s == 400
    assert int(answer.header.flags) == 0
    assert answer.options == []  # X6275.10.3.1-13: no Binding Refresh Advice
    mobile.receive_down()
    mobile.receive_up()


def test_registration_from_the_same_port_as_correspondents(lab):
    mobile = lab.mobile()
    mobile.use_core()
    mobile.register()
    mobile.receive_down()
    mobile.receive_up()


def test_refresh_changes_nothing_but_the_lifetime(lab):
    mobile = lab.mobile()
    mobile.register(lifetime_s=400)
    before = lab.box.binding(mobile.home)
    answer = mobile.register(lifetime_s=200)  # 2.1.7
    assert answer.lifetime_s == 200
    mobile.assert_bound()
    after = lab.box.binding(mobile.home)
    assert after["sequence"] == before["sequence"] + 1
    assert after["care_of"] == before["care_of"]
    assert after["lifetime_s"] == 200


def test_movement_takes_the_tunnel_along(lab):
    """5.1.5, 5.1.6, 6.1.3, 6.1.4"""
    mobile = lab.mobile()
    mobile.register()
    mobile.receive_down()
    mobile.receive_up()
    mobile.register(care_of=mobile.second_care_of)
    mobile.receive_down(care_of=mobile.second_care_of)
    mobile.receive_up(care_of=mobile.second_care_of)


def test_movement_back_and_forth(lab):
    mobile = lab.mobile()
    for turn in range(6):
        care_of = (mobile.care_of, mobile.second_care_of)[turn % 2]
        mobile.register(care_of=care_of)
        mobile.receive_down(care_of=care_of)


def test_nothing_goes_to_the_old_care_of_address_after_the_acknowledgement(lab):
    """The change is published before it is acknowledged; and it loses and doubles nothing."""
    mobile = lab.mobile()
    mobile.register()
    mark = lab.access.mark()
    with Stream(lab.core, mobile.down_packet(numbered(0)), per_s=1000) as stream:
        for turn in range(5):
            time.sleep(0.15)
            new = (mobile.second_care_of, mobile.care_of)[turn % 2]
            sent_at = lab.access.mark()
            mobile.send_update(care_of=new)
            _, answer_at = lab.access.wait(
                lambda f: mip6.is_mobility(f, 6, mobile.home, new), sent_at)
            time.sleep(0.15)
            later = [f for f in lab.access.since(answer_at) if mip6.packed(mobile.home) in f.raw
                     and f.next_header == 41]
            assert later, "the stream had stopped"
            assert {f.dst for f in later} == {new}
    came = [n for n, _ in arrivals(lab.access, mark, until=stream.sent)]
    assert came == list(range(stream.sent))


@pytest.mark.parametrize("flags", ["AH", "H"], ids=["3.1.11", "3.1.12-without-A"])
def test_deregistration_from_the_care_of_address(lab, flags):
    mobile = lab.mobile()
    mobile.register()
    mobile.assert_bound()
    answer = mobile.update(lifetime_s=0, flags=flags)
    assert (answer.status, answer.lifetime_s, answer.seq) == (0, 0, mobile.seq)
    assert answer.routing_home == mobile.home
    assert answer.options == []
    mobile.assert_unbound()
    assert lab.box.binding(mobile.home) is None


def test_deregistration_by_alternate_care_of_address_equal_to_the_home_address(lab):
    mobile = lab.mobile()
    mobile.register()
    answer = mobile.update(lifetime_s=0, options=[MIP6OptAltCoA(acoa=mobile.home)])
    assert answer.status == 0
    mobile.assert_unbound()


@pytest.mark.parametrize("hao", [True, False], ids=["with-hao", "without-hao"])
def test_deregistration_from_the_home_address(lab, hao):
    """The source is the home address itself; on a virtual link no answer can reach it."""
    mobile = lab.mobile()
    mobile.register()
    lab.core.send(mip6.binding_update(
        mobile.home, mobile.home, mobile.agent, 2, lifetime_s=0, hao=hao))
    lab.settle(lab.core)
    mobile.assert_unbound()


@pytest.mark.parametrize("flags", ["AH", "H"], ids=["3.2.11", "3.2.12-without-A"])
def test_deregistration_of_an_unknown_mobile(lab, flags):
    answer = lab.mobile().update(lifetime_s=0, flags=flags)
    assert answer.status == 133
    assert answer.routing_home is not None


def test_old_update_within_the_hold_after_deregistration_is_refused(lab):
    """X6275.10.3.2-3 and -4"""
    mobile = lab.mobile()
    mobile.register(seq=100)
    assert mobile.update(seq=101, lifetime_s=0).status == 0
    late = mobile.update(seq=99)
    assert (late.status, late.seq) == (135, 101)
    mobile.assert_unbound()
    assert mobile.update(seq=102).status == 0
    mobile.assert_bound()


@pytest.mark.parametrize("asked_s, granted_s", [(4, 4), (8, 8), (416, 416), (420, 420), (424, 420),
                                                (262140, 420)])
def test_lifetime_is_granted_in_units_of_4_s_up_to_the_maximum(lab, asked_s, granted_s):
    """X6275.10.3.1-7"""
    assert lab.mobile().register(lifetime_s=asked_s).lifetime_s == granted_s


def test_lifetime_is_cut_to_the_subscribers_maximum(lab):
    mobile = lab.mobile(home="2001:db8:1::5407")
    assert mobile.register(lifetime_s=400).lifetime_s == 100


def test_lifetime_is_cut_to_the_prefix_and_a_deprecated_prefix_shows(lab):
    """M12, X6275.10.3.1-8: 203 s valid is 200 s in units of 4 s."""
    answer = lab.mobile("deprecated").update(lifetime_s=400)
    assert (answer.status, answer.lifetime_s) == (1, 200)


def test_binding_ends_with_its_lifetime_unless_refreshed(lab):
    """2.1.8"""
    expiring, refreshed = lab.mobile(), lab.mobile()
    start = time.monotonic()
    expiring.register(lifetime_s=4)
    refreshed.register(lifetime_s=4)
    time.sleep(2.5)
    expiring.assert_bound()
    refreshed.register(lifetime_s=40)
    lab.box.wait_for(lambda: lab.box.binding(expiring.home) is None, 8, "expiry")
    assert 4 <= time.monotonic() - start < 7
    expiring.assert_unbound()
    refreshed.assert_bound()
    assert expiring.register(seq=expiring.seq + 1).status == 0


def test_alternate_care_of_address_is_bound_and_the_source_is_answered(lab):
    """X6275.9.5.1-3"""
    mobile = lab.mobile()
    answer = mobile.update(options=[MIP6OptAltCoA(acoa=mobile.second_care_of)])
    assert answer.status == 0
    assert answer.dst == mobile.care_of
    mobile.receive_down(care_of=mobile.second_care_of)


def test_unknown_options_and_padding_are_skipped(lab):
    """X6275.6.1.7-2"""
    answer = lab.mobile().update(options=[
        MIP6OptUnknown(otype=200, odata=b"x" * 5), MIP6OptBRAdvice(rinter=3),
        MIP6OptUnknown(otype=18, odata=b""), MIP6OptUnknown(otype=19, odata=b"\0" * 30)])
    assert answer.status == 0


def test_reserved_fields_are_ignored(lab):
    """2.1.15"""
    assert lab.mobile().update(reserved=0x000f, res=0xff).status == 0


def test_key_management_bit_is_never_granted(lab):
    """X6275.10.3.1-11"""
    assert int(lab.mobile().register(flags="AHK").header.flags) == 0


def test_link_local_compatibility_bit_is_taken(lab):
    mobile = lab.mobile()
    mobile.register(flags="AHL")
    mobile.assert_bound()


def test_mobile_node_identifier_is_kept(lab):
    """M15"""
    mobile = lab.mobile()
    mobile.register(options=[MIP6OptMNID(subtype=1, id=b"dave@example.net")])
    assert lab.box.binding(mobile.home)["mn_id"] == "dave@example.net"
    assert lab.box.binding("dave@example.net")["home_address"] == mobile.home


def test_cli_shows_the_whole_binding(lab):
    mobile = lab.mobile()
    mobile.register(seq=77, lifetime_s=300)
    for _ in range(3):
        mobile.receive_down()
    mobile.receive_up()
    binding = lab.box.binding(mobile.home)
    assert set(binding) >= {
        "home_network", "domain", "home_address", "prefixes", "mn_id", "care_of", "lifetime_s",
        "expires_at", "sequence", "serving_ha", "state", "flags", "packets_down", "bytes_down",
        "packets_up", "bytes_up"}
    assert binding["home_network"] == "open"
    assert binding["home_address"] == mobile.home
    assert binding["sequence"] == 77
    assert binding["lifetime_s"] == 300
    assert [c["address"] for c in binding["care_of"]] == [mobile.care_of]
    inner = 40 + 8 + 12
    assert (binding["packets_down"], binding["bytes_down"]) == (3, 3 * inner)
    assert (binding["packets_up"], binding["bytes_up"]) == (1, inner)


def test_counters_are_exact_across_a_movement(lab):
    mobile = lab.mobile()
    mobile.register()
    for turn in range(4):
        care_of = (mobile.care_of, mobile.second_care_of)[turn % 2]
        mobile.register(care_of=care_of)
        mobile.receive_down(care_of=care_of)
        mobile.receive_up(care_of=care_of)
    binding = lab.box.binding(mobile.home)
    assert (binding["packets_down"], binding["packets_up"]) == (4, 4)


def test_clear_ends_a_binding(lab):
    mobile = lab.mobile()
    mobile.register()
    done = lab.box.ctl_process("clear", "binding", mobile.home)
    assert done.returncode == 0, done.stderr
    lab.settle()
    mobile.assert_unbound()


def test_many_mobiles_are_kept_apart(lab):
    """X6275.8.4-1"""
    mobiles = [lab.mobile() for _ in range(200)]
    mark = lab.access.mark()
    for i, mobile in enumerate(mobiles):
        mobile.send_update(seq=i * 300 & 0xffff, lifetime_s=100 + 4 * (i % 50))
    for i, mobile in enumerate(mobiles):
        answer = mobile.answer(mark)
        assert (answer.status, answer.seq, answer.lifetime_s) == (
            0, i * 300 & 0xffff, 100 + 4 * (i % 50))
    for mobile in mobiles[::7]:
        mobile.receive_down()
        mobile.receive_up()


def test_updates_of_one_mobile_in_a_burst_are_taken_in_order(lab):
    mobile = lab.mobile()
    mark = lab.access.mark()
    for seq in range(10, 30):
        mobile.send_update(seq=seq, care_of=(mobile.care_of, mobile.second_care_of)[seq % 2])
    lab.settle()
    answers = [mip6.Answer(f) for f in lab.access.since(mark)
               if f.is_ip6 and mip6.is_mobility(f, 6, mobile.home)]
    assert [(a.seq, a.status) for a in answers] == [(s, 0) for s in range(10, 30)]
    mobile.receive_down(care_of=mobile.second_care_of)


def test_acknowledgement_is_an_ordinary_packet(lab):
    mobile = lab.mobile()
    answer = mobile.register()
    ip = answer.frame.ip[IPv6]
    assert ip.hlim >= 64
    assert answer.frame.raw[:6] == lab.access.own_mac
    assert answer.mobility[0] == 59 and answer.mobility[3] == 0
