# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What an operator does and relies on: reload, events, metrics, rights, links that fail, full disks."""

import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6, Raw

from conftest import AUTH_SUBSCRIBERS
from harness import netns
from harness.box import CTL
from harness.lab import CORRESPONDENT, network


def subscribed(lab, row):
    key = row["keys"][0]
    return lab.mobile("auth", home=row["home_addresses"][0], spi=key["spi"],
                      key=bytes.fromhex(key["key"]), mn_id=row["mn_id"].encode())


@pytest.fixture
def lab(own_lab):
    made = own_lab([network("open", 1), network("auth", 2, "auth-option")], AUTH_SUBSCRIBERS[:2],
                   start=False)
    made.box.config["telemetry"] = {"listen": "[::1]:9273"}
    made.box.write_config()
    return made.start()


@pytest.mark.parametrize("how", ["cli", "signal"])
def test_reload_takes_new_subscribers(lab, how):
    late = subscribed(lab, AUTH_SUBSCRIBERS[5])
    mark, _ = late.send_update()
    late.assert_silence(mark)
    first = subscribed(lab, AUTH_SUBSCRIBERS[0])
    assert first.update().status == 0
    lab.box.write_subscribers(AUTH_SUBSCRIBERS[:6])
    if how == "cli":
        done = lab.box.ctl_process("reload")
        assert done.returncode == 0, done.stderr
    else:
        lab.box.control.popen.send_signal(signal.SIGHUP)
        lab.box.wait_for(lambda: lab.box.ctl("status")["subscribers"] == 6, 5, "the reload")
    assert late.update().status == 0
    first.assert_bound()


def test_reload_refuses_bad_subscribers_as_a_whole(lab):
    file = lab.box.dir / "subscribers.jsonl"
    good = file.read_text()
    file.write_text(good + '{"mn_id": "x", "home_addresses": ["nonsense"]}\n')
    done = lab.box.ctl_process("reload")
    assert done.returncode == 1
    assert "line 3" in done.stderr and "home_addresses" in done.stderr
    assert lab.box.ctl("status")["subscribers"] == 2
    assert subscribed(lab, AUTH_SUBSCRIBERS[1]).update().status == 0


def test_reload_takes_a_new_home_network(lab):
    one = lab.mobile()
    one.register()
    lab.box.config["home_networks"].append(network("later", 7, max_lifetime_s=40))
    lab.box.write_config()
    done = lab.box.ctl_process("reload")
    assert done.returncode == 0, done.stderr
    lab.networks["later"] = lab.box.config["home_networks"][-1]
    new = lab.mobile("later")
    assert new.register(lifetime_s=400).lifetime_s == 40
    new.assert_bound()
    one.assert_bound()


def test_reload_refuses_what_needs_a_restart(lab):
    lab.box.config["dataplane"]["max_bindings"] = 5000
    lab.box.write_config()
    done = lab.box.ctl_process("reload")
    assert done.returncode == 1
    assert "dataplane.max_bindings" in done.stderr
    one = lab.mobile()
    one.register()
    one.assert_bound()


def test_reload_refuses_a_wrong_configuration(lab):
    lab.box.config["home_networks"][0]["max_lifetime_s"] = 5
    lab.box.write_config()
    done = lab.box.ctl_process("reload")
    assert done.returncode == 1
    assert "home_networks[0].max_lifetime_s" in done.stderr
    assert lab.mobile().update().status == 0


def test_restarted_dataplane_gets_the_configuration_in_force(lab):
    """Not the half-edited file."""
    one = lab.mobile()
    one.register()
    lab.box.config_file.write_text('{ "node": ')
    lab.box.kill_dataplane()
    lab.box.start_dataplane()
    lab.box.wait_synced()
    one.assert_bound()


def test_monitor_tells_events(lab):
    monitor = subprocess.Popen(
        [str(CTL), "--run-dir", str(lab.box.run_dir), "--json", "monitor"],
        stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)
        one = lab.mobile()
        one.register(seq=1)
        one.register(seq=2)
        one.register(seq=3, care_of=one.second_care_of)
        assert one.update(seq=3).status == 135
        assert one.update(seq=4, lifetime_s=0).status == 0
        events = [json.loads(monitor.stdout.readline()) for _ in range(5)]
    finally:
        monitor.terminate()
        monitor.wait()
    assert [e["event"] for e in events] == [
        "registered", "refreshed", "moved", "refused", "deregistered"]
    assert {e["home_address"] for e in events} == {one.home}


def test_metrics_are_served(lab):
    one = lab.mobile()
    one.register()
    with netns.inside(lab.ha):
        reply = urllib.request.urlopen("http://[::1]:9273/metrics", timeout=5)
        text = reply.read().decode()
    lines = text.splitlines()
    assert "unwired_bindings 1" in lines
    assert 'unwired_answers_total{status="0"} 1' in lines
    assert lines[-1] == "# EOF"


def status_of(task):
    return dict(line.split(":\t", 1) for line in task.joinpath("status").read_text().splitlines()
                if ":\t" in line)


def test_rights_are_given_up(lab):
    """The main thread of the dataplane keeps CAP_NET_ADMIN; nobody else keeps anything."""
    for process, main_capabilities in ((lab.box.dataplane, 1 << 12), (lab.box.control, 0)):
        pid = process.popen.pid
        tasks = sorted(pathlib.Path(f"/proc/{pid}/task").iterdir(), key=lambda t: int(t.name))
        for task in tasks:
            status = status_of(task)
            allowed = main_capabilities if int(task.name) == pid else 0
            assert set(status["Uid"].split()) != {"0"} and "0" not in status["Uid"].split()
            assert "0" not in status["Gid"].split()
            assert int(status["CapEff"], 16) == allowed
            assert int(status["CapPrm"], 16) == allowed
            assert status["NoNewPrivs"] == "1"
            if process is lab.box.dataplane:
                assert status["Seccomp"] == "2"


def test_listing_of_bindings_in_pages(lab):
    mobiles = [lab.mobile() for _ in range(150)]
    mark = lab.access.mark()
    for one in mobiles:
        one.send_update()
    for one in mobiles:
        assert one.answer(mark).status == 0
    whole = lab.box.ctl("show", "bindings")
    assert {b["home_address"] for b in whole} == {m.home for m in mobiles}
    paged, after = [], []
    while True:
        page = lab.box.ctl("show", "bindings", "--limit", 40, *after)
        paged += page
        if len(page) < 40:
            break
        after = ["--after", page[-1]["home_address"]]
    assert [b["home_address"] for b in paged] == [b["home_address"] for b in whole]
    assert lab.box.ctl("show", "bindings", "--network", "auth") == []
    plain = lab.box.ctl_process("show", "bindings")
    assert len(plain.stdout.splitlines()) == 151


@pytest.mark.parametrize("what", ["ports", "routes", "neighbors", "workers", "drops", "networks",
                                  "sync", "bindings"])
def test_every_listing_has_a_plain_form(lab, what):
    one = lab.mobile()
    one.register()
    one.receive_down()
    done = lab.box.ctl_process("show", what)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2
    assert all(line == line.rstrip() for line in done.stdout.splitlines())


def test_link_that_goes_down_and_comes_back(lab):
    one = lab.mobile()
    one.register()
    one.assert_bound()
    peer = lab.namespaces.prefix + "access"

    def carrier():
        return {p["name"]: p["carrier"] for p in lab.box.rows("ports")}["acc0"]

    netns.run("ip", "-n", peer, "link", "set", "p1", "down")
    lab.box.wait_for(lambda: carrier() == "down", 3, "carrier lost")
    before = lab.access.mark()
    lab.core.send(one.down_packet(b"into the void"))
    netns.run("ip", "-n", peer, "link", "set", "p1", "up")
    netns.run("ip", "-n", peer, "-6", "address", "replace", "2001:db8:fe::2/64", "dev", "p1",
              "nodad")
    lab.box.wait_for(lambda: carrier() == "up", 3, "carrier back")

    def works():
        payload = os.urandom(12)
        lab.core.send(one.down_packet(payload))
        time.sleep(0.1)
        return lab.access.count(lambda f: payload in f.raw, before) == 1

    lab.box.wait_for(works, 8, "traffic after the link came back")


def test_no_route_is_answered(lab):
    netns.run("ip", "-n", lab.ha, "-6", "route", "delete", "default")
    netns.run("ip", "-n", lab.ha, "-6", "route", "add", "2001:db8:20::/48", "via", "2001:db8:ff::2",
              "dev", "core0")
    packet = IPv6(src=CORRESPONDENT, dst="2001:db8:dead::1") / UDP() / Raw(b"nowhere")

    def is_answered():
        mark = lab.core.mark()
        with lab.counting_drops() as drops:
            lab.core.send(packet)
            time.sleep(0.1)
        errors = [f for f in lab.core.since(mark) if f.is_ip6 and f.dst == CORRESPONDENT and
                  ICMPv6DestUnreach in f.ip]
        return drops.get("no_route") == 1 and [f.ip[ICMPv6DestUnreach].code for f in errors] == [0]

    lab.box.wait_for(is_answered, 3, "no route")


def test_full_disk_refuses_and_recovers(own_lab):
    """Nothing is accepted that could not be kept, nothing that was accepted is lost."""
    lab = own_lab([network("open", 1)], start=False)
    lab.box.state_dir.mkdir()
    netns.run("mount", "-t", "tmpfs", "-o", "size=192k,mode=755", "tmpfs", lab.box.state_dir)
    try:
        lab.start()
        kept, refused = [], None
        for _ in range(3000):
            one = lab.mobile()
            answer = one.update()
            if answer.status == 130:
                refused = one
                break
            assert answer.status == 0
            kept.append(one)
        assert refused is not None and kept
        refused.assert_unbound()
        kept[-1].assert_bound()
        def alarms():
            return [a for a in lab.box.ctl("status")["alarms"] if "store cannot be written" in a]

        assert alarms() and "No space left" in alarms()[0]
        netns.run("mount", "-o", "remount,size=64m", lab.box.state_dir)
        lab.box.wait_for(lambda: refused.update().status == 0, 5, "room on the disk")
        refused.assert_bound()
        assert not alarms()
        kept.append(refused)
        lab.box.kill_control()
        lab.box.start_control()
        lab.box.wait_synced()
        after = {b["home_address"] for b in lab.box.ctl("show", "bindings")}
        assert {m.home for m in kept} <= after
    finally:
        if lab.box.control is not None:
            lab.box.control.end()
            lab.box.control = None
        netns.run("umount", "-l", lab.box.state_dir)


@pytest.mark.parametrize("which", ["control", "dataplane"])
def test_second_instance_is_refused(lab, which):
    """It says so and does no harm to the first."""
    from harness.box import CONTROL, DATAPLANE
    program = CONTROL if which == "control" else DATAPLANE
    done = subprocess.run(
        ["ip", "netns", "exec", lab.ha, str(program), "--config", str(lab.box.config_file),
         "--run-dir", str(lab.box.run_dir), "--state-dir", str(lab.box.state_dir)],
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.strip()
    one = lab.mobile()
    one.register()
    one.assert_bound()
    assert lab.box.ctl("status")["dataplane"] == "synced"
    lab.box.rows("workers")
