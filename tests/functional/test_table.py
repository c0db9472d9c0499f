# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Tables of many routes, over gateways, nexthop objects and groups; and tables that are full.

tests/scale/full_table does the same with a table of the size of the Internet's.
"""

import pytest

from harness.lab import Lab, configuration, network
from harness.table import Table

MAX_ROUTES4, MAX_ROUTES6 = 12000, 4000
ROUTES4, ROUTES6 = 10000, 3000


@pytest.fixture(scope="module")
def table(root):
    config = configuration([network("open", 1)], max_routes=MAX_ROUTES4, max_routes_ip6=MAX_ROUTES6)
    config["dataplane"]["ports"][1]["addresses"].append("198.51.100.1/24")
    lab = Lab(config["home_networks"], config=config)
    try:
        lab.start()
        one = Table(lab, ROUTES4, ROUTES6)
        one.make_gateways()
        lab.box.wait_for(lambda: one.count()[0] >= 128, 10, "the gateways")
        one.base4, one.base6 = one.settled_count()
    except BaseException:
        print("\n".join(lab.close()))
        raise
    yield one
    problems = lab.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def full(table):
    """The table with all routes; they are taken away afterwards."""
    for version in (4, 6):
        table.batch(table.lines("add", version))
    table.wait_count(table.base4 + ROUTES4, table.base6 + ROUTES6)
    yield table
    for version in (4, 6):
        table.batch(table.lines("del", version), check=False)
    table.wait_count(table.base4, table.base6)


def alarms(table):
    return [a for a in table.lab.box.ctl("status")["alarms"] if "no room for" in a]


@pytest.mark.parametrize("version", [4, 6])
def test_packets_go_where_the_kernel_would_send_them(full, version):
    assert not full.mismatches(version, 400)
    # And after every route has another way.
    full.batch(full.lines("replace", version, shift=1))
    full.lab.box.wait_for(lambda: not full.mismatches(version, 200), 10, "the changed routes")
    assert not full.mismatches(version, 400)


def test_routes_of_objects_that_go(full):
    """The kernel drops the routes of a nexthop object without telling of each."""
    for version in (4, 6):
        full.delete_groups(version)
    left = full.count
    full.lab.box.wait_for(lambda: left()[0] == full.base4 + ROUTES4 * 9 // 10, 10, "IPv4 routes to go")
    full.lab.box.wait_for(lambda: left()[1] == full.base6 + ROUTES6 * 9 // 10, 10, "IPv6 routes to go")
    assert not full.mismatches(4, 200) and not full.mismatches(6, 200)
    # An object of the same id that comes in the same moment, with routes of its own, is another.
    full.batch(["nexthop del id 1024", "nexthop add id 1024 via 192.0.2.101 dev core0",
                "route add 198.18.77.0/24 nhid 1024"])
    full.lab.box.wait_for(lambda: any(r["prefix"] == "198.18.77.0/24"
                                      for r in full.lab.box.rows("routes")), 10, "the new route")
    full.batch(["route del 198.18.77.0/24"])
    full.make_gateways()


def test_full_table(table):
    """What has no room is said, counted and left out; what was there stays; room is used at once."""
    lab, room = table.lab, MAX_ROUTES4 - table.learned4()
    over = 500
    prefixes = [f"11.{n >> 8}.{n & 255}.0/24" for n in range(room + over)]
    assert not alarms(table)
    table.batch(table.lines("add", 4, prefixes))
    lab.box.wait_for(lambda: lab.box.telemetry("/unwired/status")["routes_missing"] == over, 10,
                     f"{over} routes without room")
    status = lab.box.telemetry("/unwired/status")
    assert status["routes_ip4"] == table.base4 + room
    assert status["routes_refused"] >= over
    assert alarms(table) and f"{over} routes" in alarms(table)[0]
    log = (lab.box.dir / "dataplane.log").read_text()
    assert "err fib_full key=dataplane.max_routes prefix=11." in log

    # Mobiles are served on, and a new home network's prefix would still find room.
    one = lab.mobile("open")
    one.register()
    one.assert_bound()

    # Those that are there lead on, those that are not have no other way than the rest has.
    table.prefixes[4], before = prefixes[:room], table.prefixes[4]
    table.inside_only = True
    assert not table.mismatches(4, 200)
    table.inside_only = False
    table.prefixes[4] = before

    # Room, and the rest comes in, without the audit, which is a minute away.
    table.batch(table.lines("del", 4, prefixes[:over]))
    lab.box.wait_for(lambda: lab.box.telemetry("/unwired/status")["routes_missing"] == 0, 10,
                     "the rest to find room")
    assert table.count()[0] == table.base4 + room
    assert not alarms(table)
    assert "fib_has_room" in (lab.box.dir / "dataplane.log").read_text()
    table.batch(table.lines("del", 4, prefixes[over:]))
    table.wait_count(table.base4, table.base6)


def test_home_networks_have_room_in_a_full_table(table):
    """A reload with a new home network while the kernel's routes fill the table."""
    lab, room = table.lab, MAX_ROUTES6 - table.learned6()
    prefixes = [f"2c10:{n >> 8:x}:{n & 255:x}00::/48" for n in range(room + 50)]
    table.batch(table.lines("add", 6, prefixes))
    lab.box.wait_for(lambda: lab.box.telemetry("/unwired/status")["routes_missing"] == 50, 10,
                     "a full table")
    late = network("late", 9)
    lab.box.config["home_networks"].append(late)
    lab.box.write_config()
    assert lab.box.ctl_process("reload").returncode == 0
    lab.networks["late"] = late
    lab.box.wait_for(lambda: any(r["prefix"] == "2001:db8:9::/64" and r["type"] == "home"
                                 for r in lab.box.rows("routes")), 10, "the new home prefix")
    one = lab.mobile("late")
    one.register()
    one.assert_bound()
    table.batch(table.lines("del", 6, prefixes))
    lab.box.wait_for(lambda: lab.box.telemetry("/unwired/status")["routes_missing"] == 0, 10,
                     "no routes without room")
