# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Labs for the tests. A lab that ends badly (a crash, a packet that tshark dislikes) fails a test."""

import hashlib
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import account  # noqa: E402
from harness.box import Box  # noqa: E402
from harness.lab import Lab, network  # noqa: E402



def subscriber(n, net):
    """Subscriber number n with a key of its own, at home in 2001:db8:NET::/64."""
    return {"mn_id": f"user{n}@example.net", "home_addresses": [f"2001:db8:{net}::a:{n:x}"],
            "keys": [{"spi": 1000 + n, "algorithm": "hmac-sha1",
                      "key": hashlib.sha256(b"key %d" % n).digest()[:16].hex()}]}


AUTH_SUBSCRIBERS = [subscriber(n, 2) for n in range(48)]
WITHOUT_MESG_ID = [subscriber(n, 4) for n in range(48, 52)]
SUBSCRIBERS = AUTH_SUBSCRIBERS + WITHOUT_MESG_ID + [
    {"mn_id": "mallory@example.net", "home_addresses": ["2001:db8:1::bad"], "allowed": False},
    {"mn_id": "short@example.net", "home_addresses": ["2001:db8:1::5407"], "max_lifetime_s": 100},
]

NETWORKS = [
    network("open", 1),
    network("auth", 2, "auth-option"),
    network("deprecated", 3, prefix_deprecated=True, prefix_valid_lifetime_s=203),
    network("no-mesg-id", 4, "auth-option", mesg_id_required=False),
]


def pytest_configure():
    """Also a run that is told to end takes its namespaces and processes away."""
    def end(number, frame):
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)


@pytest.fixture(autouse=True)
def account_adds_up():
    """After every test: of each box that still runs, also those that tests share."""
    yield
    problems = [p for box in Box.running() for p in account.problems(box)]
    assert not problems, "\n".join(problems)


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
