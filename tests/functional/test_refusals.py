# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What is refused, and what is dropped without a word; ids of the conformance list."""

import pytest
from scapy.layers.inet6 import (
    HAO, ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, MIP6MH_BE,
    MIP6MH_Generic, MIP6OptAltCoA, MIP6OptNonceIndices, MIP6OptUnknown, Raw)

from harness import mip6
from harness.lab import network

pytestmark = pytest.mark.sanitize

NOT_ROUTABLE = ["ff02::1", "ff0e::1", "fe80::1", "::1", "::"]


# Answered with a status.

@pytest.mark.parametrize("flags", ["AH", "H"], ids=["2.2.4", "2.2.5-without-A"])
@pytest.mark.parametrize("home", ["2001:db8:99::5", "2001:db8:1:1::5"])
def test_home_address_outside_the_home_prefixes_is_132(lab, home, flags):
    mobile = lab.mobile(home=home)
    answer = mobile.update(flags=flags)
    assert answer.status == 132
    assert answer.routing_home == home
    assert lab.box.binding(home) is None


def test_home_address_of_a_stricter_network_is_judged_by_its_own_rules(lab):
    """Sent to the agent of the open network, for a home address that needs authentication."""
    mobile = lab.mobile()
    mobile.home = f"2001:db8:2::77:{mobile.number:x}"
    mark, _ = mobile.send_update()
    mobile.assert_silence(mark)
    assert lab.box.binding(mobile.home) is None


def test_forbidden_subscriber_is_129(lab):
    """X6275.10.3.1-2"""
    mobile = lab.mobile(home="2001:db8:1::bad")
    assert mobile.update().status == 129
    mobile.assert_unbound()


def test_change_of_the_registration_type_is_139_and_keeps_the_binding(lab):
    """X6275.9.5.1-2"""
    mobile = lab.mobile()
    mobile.register()
    assert mobile.update(flags="A").status == 139
    mobile.assert_bound()


def test_mobile_router_is_140(lab):
    """X3963.6.6-1"""
    mobile = lab.mobile()
    assert mobile.update(flags="AHR").status == 140
    mobile.assert_unbound()


def test_proxy_registration_is_152(lab):
    mobile = lab.mobile()
    assert mobile.update(flags="AHP").status == 152
    mobile.assert_unbound()


@pytest.mark.parametrize("what", ["home", "agent", "other_agent"])
def test_care_of_address_of_ours_is_174_and_keeps_the_binding(lab, what):
    """Traps 19 and 28, X6275.15.1-1"""
    mobile = lab.mobile()
    mobile.register()
    care_of = {"home": mobile.home, "agent": mobile.agent, "other_agent": "2001:db8:3::1"}[what]
    assert mobile.update(options=[MIP6OptAltCoA(acoa=care_of)]).status == 174
    mobile.assert_bound()


def test_loop_of_two_mobiles_is_refused(lab):
    """X6275.15.1-1: each the other's care-of address."""
    one, other = lab.mobile(), lab.mobile()
    one.register(options=[MIP6OptAltCoA(acoa=other.home)])
    assert other.update(options=[MIP6OptAltCoA(acoa=one.home)]).status in (129, 174)


def test_every_refusal_goes_to_the_source_with_the_home_address(lab):
    """X6275.9.5.4-2"""
    mobile = lab.mobile()
    mobile.register(seq=9)
    for how, status in (({"seq": 9}, 135), ({"seq": 10, "flags": "A"}, 139),
                        ({"seq": 11, "options": [MIP6OptAltCoA(acoa=mobile.agent)]}, 174)):
        answer = mobile.update(care_of=mobile.second_care_of, **how)
        assert (answer.status, answer.dst, answer.routing_home) == (
            status, mobile.second_care_of, mobile.home)
        assert answer.lifetime_s == 0
        assert len(answer.frame.ip_bytes) <= 40 + 24 + 16


# Dropped without a word.

def drop_cases():
    def packet(m, **how):
        return mip6.binding_update(m.home, m.care_of, m.agent, 50, **how)

    def bad_checksum(m):
        return packet(m, cksum=0xdead)

    def nonce_indices(m):
        return packet(m, options=[MIP6OptNonceIndices(olen=4, hni=1, coni=2)])

    def alternate(address):
        return lambda m: packet(m, options=[MIP6OptAltCoA(acoa=address)])

    def home(address):
        return lambda m: mip6.binding_update(address, m.care_of, m.agent, 50)

    def cut_option(m):
        whole = bytes(mip6.bu_header(50, 400, "AH", [MIP6OptAltCoA(acoa=m.second_care_of)], cksum=0))
        cut = whole[:1] + b"\x02" + whole[2:24]
        return with_checksum(m, cut)

    def option_past_the_end(m):
        whole = bytearray(bytes(mip6.bu_header(50, 400, "AH", cksum=0)))
        whole[12:14] = b"\xc8\x20"
        return with_checksum(m, bytes(whole))

    def short_alternate(m):
        whole = bytes(mip6.bu_header(50, 400, "AH", cksum=0))[:12] + b"\x03\x02\0\0"
        return with_checksum(m, whole)

    def two_home_addresses(m):
        return (IPv6(src=m.care_of, dst=m.agent) /
                IPv6ExtHdrDestOpt(options=[HAO(hoa=m.home), HAO(hoa=m.home)]) /
                mip6.bu_header(50, 400))

    return {
        "1.1.8-checksum": bad_checksum,
        "2.2.8-nonce-indices": nonce_indices,
        "X6275.9.2-3-cut": cut_option,
        "X6275.9.2-3-past-the-end": option_past_the_end,
        "X6275.9.2-3-short-option": short_alternate,
        "two-home-addresses": two_home_addresses,
        **{f"X6275.6.1.7-1-{a}": alternate(a) for a in NOT_ROUTABLE},
        **{f"2.2.14-home-{a}": home(a) for a in NOT_ROUTABLE},
    }


def with_checksum(mobile, mobility):
    """A Mobility Header as it is, only the checksum filled in."""
    value = mip6.mh_checksum(mobile.home, mobile.agent, mobility)
    return (IPv6(src=mobile.care_of, dst=mobile.agent) /
            IPv6ExtHdrDestOpt(nh=mip6.MOBILITY, options=[HAO(hoa=mobile.home)]) /
            Raw(mobility[:4] + value.to_bytes(2, "big") + mobility[6:]))


@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
@pytest.mark.parametrize("make", drop_cases().values(), ids=drop_cases().keys())
def test_dropped_silently_and_without_effect(lab, make, bound):
    """Also X6275.9.5.1-4: the number of a dropped update can be used again."""
    mobile = lab.mobile()
    if bound:
        mobile.register(seq=49)
    mark = mobile.wire.mark()
    mobile.wire.send(make(mobile))
    mobile.assert_silence(mark)
    if bound:
        mobile.assert_bound()
        assert lab.box.binding(mobile.home)["sequence"] == 49
    else:
        assert lab.box.binding(mobile.home) is None
    assert mobile.update(seq=50).status == 0


@pytest.mark.parametrize("source", ["ff0e::5", "::", "::1"])
def test_update_from_a_source_that_is_none_is_dropped(lab, source):
    """X6275.9.5.4-1"""
    mobile = lab.mobile()
    mark = mobile.wire.mark()
    mobile.wire.send(mip6.binding_update(mobile.home, source, mobile.agent, 1))
    mobile.assert_silence(mark)
    assert lab.box.binding(mobile.home) is None


def test_registration_without_home_address_option_makes_no_binding(lab):
    """X6275.10.3.1-4"""
    mobile = lab.mobile()
    mobile.send_update(hao=False)
    lab.settle()
    assert lab.box.binding(mobile.home) is None
    assert lab.box.binding(mobile.care_of) is None


def test_update_without_h_from_a_stranger_makes_no_binding(lab):
    mobile = lab.mobile()
    mobile.send_update(flags="A")
    lab.settle()
    assert lab.box.binding(mobile.home) is None


def test_updates_inside_the_tunnel_change_nothing(lab):
    """The inner source can be forged by whoever knows the care-of address."""
    mobile = lab.mobile()
    mobile.register(seq=5)
    mobile.wire.send(mobile.tunnelled(mip6.binding_update(
        mobile.home, mobile.second_care_of, mobile.agent, 6)))
    lab.settle()
    assert lab.box.binding(mobile.home)["sequence"] == 5
    mobile.assert_bound()


# Answered with ICMPv6 Parameter Problem or Binding Error.

@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
@pytest.mark.parametrize("field, pointer", [({"nh": 6}, 64), ({"len": 0}, 65)],
                         ids=["1.1.9-payload-proto", "1.1.10-header-len"])
def test_parameter_problem(lab, field, pointer, bound):
    """Also X6275.9.2-1 and -2"""
    mobile = lab.mobile()
    if bound:
        mobile.register()
    bad = mobile.update_packet(50, **field)
    mark = mobile.wire.mark()
    mobile.wire.send(bad)
    frame = mobile.wire.expect(
        lambda f: f.next_header == 58 and f.dst == mobile.care_of, mark, what="ICMPv6 error")
    error = frame.ip[ICMPv6ParamProblem]
    assert (error.type, error.code, error.ptr) == (4, 0, pointer)
    assert IPv6ExtHdrRouting not in frame.ip
    assert frame.src == mobile.agent
    assert frame.ip_bytes[48:] == bytes(bad)
    if bound:
        assert lab.box.binding(mobile.home)["sequence"] == 1
    else:
        assert lab.box.binding(mobile.home) is None


@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
@pytest.mark.parametrize("hao", [True, False], ids=["with-hao", "without-hao"])
def test_unknown_message_is_answered_with_binding_error_2(lab, hao, bound):
    """M21, X6275.9.3.1-2, X6275.9.3.3-2 and -3"""
    mobile = lab.mobile()
    if bound:
        mobile.register()
    mark = mobile.wire.mark()
    mobile.wire.send(
        mip6.mobile_headers(mobile.care_of, mobile.agent, mobile.home if hao else None) /
        MIP6MH_Generic(mhtype=77, res=0, msg=b"\0\0" + bytes(8)))
    answer = mip6.Answer(mobile.wire.expect(
        lambda f: mip6.is_mobility(f, 7, dst=mobile.care_of), mark, what="Binding Error"))
    assert answer.checksum_ok
    assert MIP6MH_BE in answer.frame.ip
    assert answer.status == 2
    assert answer.header.ha == (mobile.home if hao else "::")
    assert answer.src == mobile.agent


def test_binding_errors_are_rate_limited(lab):
    """X6275.9.3.3-4"""
    mobile = lab.mobile()
    network = mobile.care_of.removesuffix("2")
    mark = mobile.wire.mark()
    for n in range(2000):  # each from a sender of its own: the dataplane's limit is another one
        mobile.wire.send(mip6.mobile_headers(f"{network}{n:x}", mobile.agent) /
                         MIP6MH_Generic(mhtype=77, res=0, msg=b"\0\0" + bytes(8)))
    lab.settle()
    errors = mobile.wire.count(
        lambda f: mip6.is_mobility(f, 7) and f.dst.startswith(network), mark)
    assert 1 <= errors < 1000


def test_messages_not_meant_for_a_home_agent_change_nothing(lab):
    """A Binding Acknowledgement, a Refresh Request and a Binding Error from a stranger."""
    mobile = lab.mobile()
    mobile.register(seq=3)
    for kind, body in ((6, bytes(8)), (0, b"\0\0"), (7, b"\1\0" + bytes(16))):
        mobile.wire.send(mip6.mobile_headers(mobile.care_of, mobile.agent, mobile.home) /
                         MIP6MH_Generic(mhtype=kind, res=0, msg=body + bytes(-(6 + len(body)) % 8)))
    lab.settle()
    assert lab.box.binding(mobile.home)["sequence"] == 3
    mobile.assert_bound()


def test_full_table_is_130_and_the_others_go_on(own_lab):
    """X6275.9.5.2-1, X6275.10.3.1-5"""
    lab = own_lab([network("open", 1)], max_bindings=16)
    mobiles = [lab.mobile() for _ in range(16)]
    statuses = [m.update(lifetime_s=400).status for m in mobiles]
    assert statuses == [0] * 16
    late = lab.mobile()
    assert late.update().status == 130
    late.assert_unbound()
    for mobile in mobiles:
        mobile.assert_bound()
    assert mobiles[0].update().status == 0  # a refresh needs no room
    assert mobiles[1].update(care_of=mobiles[1].second_care_of).status == 0
    assert mobiles[2].update(lifetime_s=0).status == 0


def test_large_junk_in_options_is_harmless(lab):
    mobile = lab.mobile()
    answer = mobile.update(options=[MIP6OptUnknown(otype=230, odata=bytes(250))] * 5)
    assert answer.status == 0
