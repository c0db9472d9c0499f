# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Sequence numbers modulo 2^16 (RFC 6275 9.5.1); ids of the conformance list."""

import pytest

pytestmark = pytest.mark.sanitize

INSIDE = [("2.5.3", 15, 16, "AH"), ("2.5.7", 15, 16, "H"),
          ("2.5.4", 15, 32782, "AH"), ("2.5.8", 15, 32782, "H"),
          ("2.7.3", 32783, 32784, "AH"), ("2.7.7", 32783, 32784, "H"),
          ("2.7.4", 32783, 14, "AH"), ("2.7.8", 32783, 14, "H")]

OUTSIDE = [("2.6.7", 15, 14, "AH"), ("2.6.10", 15, 14, "H"),
           ("2.6.8", 15, 15, "AH"), ("2.6.11", 15, 15, "H"),
           ("2.6.9", 15, 32783, "AH"), ("2.6.12", 15, 32783, "H"),
           ("2.8.7", 32783, 32782, "AH"), ("2.8.10", 32783, 32782, "H"),
           ("2.8.8", 32783, 32783, "AH"), ("2.8.11", 32783, 32783, "H"),
           ("2.8.9", 32783, 15, "AH"), ("2.8.12", 32783, 15, "H")]


@pytest.mark.parametrize("first, second, flags", [c[1:] for c in INSIDE],
                         ids=[c[0] for c in INSIDE])
def test_number_ahead_moves_the_binding(lab, first, second, flags):
    mobile = lab.mobile()
    assert mobile.update(seq=first, flags=flags).status == 0
    answer = mobile.update(seq=second, care_of=mobile.second_care_of, flags=flags)
    assert (answer.status, answer.seq) == (0, second)
    mobile.receive_down(care_of=mobile.second_care_of)


@pytest.mark.parametrize("first, second, flags", [c[1:] for c in OUTSIDE],
                         ids=[c[0] for c in OUTSIDE])
def test_number_behind_is_refused_and_moves_nothing(lab, first, second, flags):
    """Also X6275.9.5.1-5 and X6275.9.5.4-2: the answer goes to the source, in a routing header."""
    mobile = lab.mobile()
    assert mobile.update(seq=first, flags=flags).status == 0
    answer = mobile.update(seq=second, care_of=mobile.second_care_of, flags=flags)
    assert (answer.status, answer.seq) == (135, first)
    assert answer.dst == mobile.second_care_of
    assert answer.routing_home == mobile.home
    mobile.receive_down(care_of=mobile.care_of)


@pytest.mark.parametrize("seq", [0, 1, 32767, 32768, 65535])
def test_any_number_is_accepted_without_a_binding(lab, seq):
    """X6275.9.5.1-1"""
    answer = lab.mobile().update(seq=seq)
    assert (answer.status, answer.seq) == (0, seq)


def test_numbers_wrap_around(lab):
    mobile = lab.mobile()
    for seq in (65534, 65535, 0, 1):
        assert mobile.update(seq=seq).status == 0


def test_refused_update_leaves_the_number_as_it_was(lab):
    mobile = lab.mobile()
    mobile.register(seq=500)
    assert mobile.update(seq=400).seq == 500
    assert mobile.update(seq=501).status == 0


def test_refusal_also_for_a_deregistration(lab):
    mobile = lab.mobile()
    mobile.register(seq=500)
    answer = mobile.update(seq=500, lifetime_s=0)
    assert (answer.status, answer.seq) == (135, 500)
    mobile.assert_bound()
