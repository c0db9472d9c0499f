# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Labs for the tests. A lab that ends badly (a crash, a packet that tshark dislikes) fails a test."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.lab import Lab, network  # noqa: E402

ALICE_KEY, BOB_KEY = bytes(range(16)), bytes(range(16, 32))

SUBSCRIBERS = [
    {"mn_id": "alice@example.net", "home_addresses": ["2001:db8:2::a11ce"],
     "keys": [{"spi": 1000, "algorithm": "hmac-sha1", "key": ALICE_KEY.hex()}]},
    {"mn_id": "bob@example.net", "home_addresses": ["2001:db8:2::b0b"],
     "keys": [{"spi": 1001, "algorithm": "hmac-sha1", "key": BOB_KEY.hex()}]},
    {"mn_id": "carol@example.net", "home_addresses": ["2001:db8:4::ca01"],
     "keys": [{"spi": 1002, "algorithm": "hmac-sha1", "key": BOB_KEY.hex()}]},
    {"mn_id": "mallory@example.net", "home_addresses": ["2001:db8:1::bad"], "allowed": False},
    {"mn_id": "short@example.net", "home_addresses": ["2001:db8:1::5407"], "max_lifetime_s": 100},
]

NETWORKS = [
    network("open", 1),
    network("auth", 2, "auth-option"),
    network("deprecated", 3, prefix_deprecated=True, prefix_valid_lifetime_s=203),
    network("no-mesg-id", 4, "auth-option", mesg_id_required=False),
]


@pytest.fixture(scope="session")
def root():
    """Network namespaces need it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def lab(root):
    """The lab that tests share; each takes a mobile of its own."""
    shared = Lab(NETWORKS, SUBSCRIBERS)
    try:
        shared.start()
    except BaseException:
        print("\n".join(shared.close()))
        raise
    yield shared
    problems = shared.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def own_lab(root):
    """A function that makes and starts a lab for one test alone."""
    made = []

    def make(*args, start=True, **kwargs):
        made.append(Lab(*args, **kwargs))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    problems = [p for one in made for p in one.close()]
    assert not problems, "\n".join(problems)
