# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A port of two members, of which one is active, on a switch with the access network behind it."""

import pytest

from harness import netns
from harness.lab import Lab, configuration, network

DEVICE = "net_bonding0,mode=1,slave=net_tap0,slave=net_tap1"
MEMBERS = ("dtap0", "dtap1")  # what the kernel calls them
SWITCH = "switch0"


def make_lab():
    config = configuration([network("open", 1)])
    config["dataplane"]["ports"][1]["device"] = DEVICE
    lab = Lab(config["home_networks"], config=config)
    try:
        lab.namespaces.sysctl(lab.ha, "net.ipv6.conf.h1.disable_ipv6", 1)
        lab.ha_run("ip", "link", "add", SWITCH, "type", "bridge", "stp_state", "0")
        lab.namespaces.sysctl(lab.ha, f"net.ipv6.conf.{SWITCH}.disable_ipv6", 1)
        lab.ha_run("ip", "link", "set", SWITCH, "up")
        lab.ha_run("ip", "link", "set", "h1", "master", SWITCH)
        lab.start()
        for n, member in enumerate(MEMBERS):
            lab.namespaces.sysctl(lab.ha, f"net.ipv6.conf.{member}.disable_ipv6", 1)
            # A switch keeps what is for the address of its own side.
            lab.ha_run("ip", "link", "set", member, "address", f"02:00:00:00:0b:{n:02x}")
            lab.ha_run("ip", "link", "set", member, "master", SWITCH)
        lab.access.box_mac = bytes.fromhex(
            lab.namespaces.mac(lab.ha, "acc0").replace(":", ""))
    except BaseException:
        print("\n".join(lab.close()))
        raise
    return lab


@pytest.fixture(scope="module")
def lab(root):
    one = make_lab()
    yield one
    problems = one.close()
    assert not problems, "\n".join(problems)


def port(lab):
    return next(row for row in lab.box.rows("ports") if row["name"] == "acc0")


def set_member(lab, member, state):
    lab.ha_run("ip", "link", "set", member, state)


def wait_active(lab, member):
    lab.box.wait_for(lambda: port(lab)["active"] == member, 5, f"{member} to be active")


def sent_by(lab, member):
    """Packets that the kernel has had from the box by this member."""
    path = f"/sys/class/net/{member}/statistics/rx_packets"
    return int(lab.ha_run("cat", path))


def assert_serves(lab, by):
    """A mobile registers and has traffic both ways; what goes to it goes by this member alone."""
    before = {member: sent_by(lab, member) for member in MEMBERS}
    mobile = lab.mobile()
    mobile.register()
    for _ in range(5):
        mobile.receive_down()
        mobile.receive_up()
    for member in MEMBERS:
        n = sent_by(lab, member) - before[member]
        assert n >= 6 if member == by else n == 0, (member, n)


def test_bond_serves_by_one_member(lab):
    assert (port(lab)["active"], port(lab)["carrier"]) == ("net_tap0", "up")
    assert_serves(lab, by="dtap0")


def test_the_other_member_takes_over_and_back(lab):
    set_member(lab, "dtap0", "down")
    wait_active(lab, "net_tap1")
    assert_serves(lab, by="dtap1")
    set_member(lab, "dtap0", "up")
    assert_serves(lab, by="dtap1")
    set_member(lab, "dtap1", "down")
    wait_active(lab, "net_tap0")
    assert_serves(lab, by="dtap0")
    set_member(lab, "dtap1", "up")
    assert port(lab)["carrier"] == "up"


def test_carrier_goes_with_the_last_member_and_comes_with_the_first(lab):
    for members, state in ((MEMBERS, "down"), (MEMBERS[1:], "up")):
        for member in members:
            set_member(lab, member, state)
        lab.box.wait_for(lambda: port(lab)["carrier"] == state, 5, f"the bond to be {state}")
    wait_active(lab, "net_tap1")
    assert_serves(lab, by="dtap1")
    set_member(lab, "dtap0", "up")


@pytest.mark.parametrize("members", [
    "", ",slave=net_af_packet3", ",slave=" + "x" * 40, ",slave=net_tap0" * 9])
def test_members_that_do_not_do(root, members):
    config = configuration([network("open", 1)])
    config["dataplane"]["ports"][1]["device"] = "net_bonding0,mode=1" + members
    lab = Lab(config["home_networks"], config=config)
    try:
        with pytest.raises(AssertionError):
            lab.box.start_dataplane()
        assert "acc0" in lab.box.logs() and "port_member" in lab.box.logs()
    finally:
        lab.close()
