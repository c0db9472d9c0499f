# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Reloads that take home networks away, that fail half-way, and configurations that are wrong."""

import os
import signal
import subprocess
import time

import pytest

from conftest import AUTH_SUBSCRIBERS
from harness.box import CONTROL
from harness.lab import network


@pytest.fixture
def lab(own_lab):
    return own_lab([network("open", 1), network("other", 2)], AUTH_SUBSCRIBERS[:2])


def registered(lab, network_name, n):
    mobiles = [lab.mobile(network_name) for _ in range(n)]
    mark = lab.access.mark()
    for one in mobiles:
        one.send_update()
    for one in mobiles:
        assert one.answer(mark).status == 0
    return mobiles


def without(lab, name):
    """Writes the configuration without a home network; returns the whole one."""
    whole = lab.box.config["home_networks"]
    lab.box.config["home_networks"] = [n for n in whole if n["name"] != name]
    lab.box.write_config()
    return whole


def assert_not_served(lab, one):
    payload = os.urandom(12)
    mark = lab.access.mark()
    lab.core.send(one.down_packet(payload))
    time.sleep(0.2)
    assert lab.access.count(lambda f: payload in f.raw, mark) == 0


def log_of(lab):
    return lab.box.control.log.read_text(errors="replace")


def alarms(lab, word):
    return [a for a in lab.box.ctl("status")["alarms"] if word in a]


def test_home_network_is_taken_away(lab):
    """Its bindings end for good, in a few commits; the others are not touched."""
    gone, kept = registered(lab, "other", 60), registered(lab, "open", 3)
    before = lab.box.ctl("status")
    whole = without(lab, "other")
    lab.box.ctl("reload")
    lab.box.wait_synced()
    lab.box.wait_for(lambda: lab.box.ctl("status")["bindings"] == 3, 5, "the end of bindings")
    after = lab.box.ctl("status")
    assert after["store"]["commits"] - before["store"]["commits"] <= 2
    assert_not_served(lab, gone[0])
    kept[0].assert_bound()
    assert not alarms(lab, "refused")
    lab.box.config["home_networks"] = whole
    lab.box.write_config()
    lab.box.ctl("reload")
    lab.box.wait_synced()
    assert lab.box.ctl("status")["bindings"] == 3
    gone[1].register(seq=9)
    gone[1].assert_bound()


@pytest.mark.parametrize("file", ["running.json.new", "running.json"])
def test_reload_that_cannot_be_kept_changes_nothing(lab, file):
    """Neither bindings nor subscribers nor networks."""
    one = lab.mobile("other")
    one.register()
    without(lab, "other")
    lab.box.write_subscribers(AUTH_SUBSCRIBERS[:5])
    blocker = lab.box.state_dir / file
    blocker.unlink(missing_ok=True)
    (blocker / "full").mkdir(parents=True)
    done = lab.box.ctl_process("reload")
    assert done.returncode == 1
    assert f"{file}:" in done.stderr
    refusals = [line for line in log_of(lab).splitlines() if "reload_refused" in line]
    assert len(refusals) == 1 and 'step="running.json"' in refusals[0]
    assert refusals[0].endswith('"')
    status = lab.box.ctl("status")
    assert (status["bindings"], status["subscribers"]) == (1, 2)
    assert {n["name"] for n in lab.box.rows("networks")} == {"open", "other"}
    one.assert_bound()
    assert one.update(seq=7).status == 0
    blocker.joinpath("full").rmdir()
    blocker.rmdir()
    lab.box.ctl("reload")
    assert lab.box.ctl("status")["subscribers"] == 5
    assert_not_served(lab, one)


def test_start_with_a_home_network_missing_destroys_nothing(lab):
    """An alarm says so, handles are not reused, and a corrected file serves the bindings again."""
    lost, kept = registered(lab, "other", 3), registered(lab, "open", 1)
    lab.box.kill_control()
    whole = without(lab, "other")
    lab.box.start_control()
    status = lab.box.ctl("status")
    assert (status["bindings"], status["bindings_unserved"]) == (1, 3)
    assert any("3 bindings" in a for a in alarms(lab, "home network of the configuration"))
    assert any("bindings_unserved n=3" in line and " err " in line.lower()
               for line in log_of(lab).splitlines()), log_of(lab)
    new = registered(lab, "open", 5)
    lab.box.config["home_networks"] = whole
    lab.box.write_config()
    lab.box.ctl("reload")
    lab.box.wait_synced()
    lab.box.wait_for(lambda: lab.box.ctl("status")["bindings"] == 9, 5, "bindings to be served")
    assert lab.box.ctl("status")["bindings_unserved"] == 0
    assert not alarms(lab, "home network of the configuration")
    for one in lost + kept + new:
        one.assert_bound()
    assert lost[0].update(seq=lost[0].seq).status == 135


def test_reload_of_subscribers_sends_no_bindings_again(lab):
    lab.box.write_subscribers(AUTH_SUBSCRIBERS[:4])
    before = lab.box.ctl("show", "sync")["resyncs"]
    lab.box.ctl("reload")
    assert lab.box.ctl("status")["subscribers"] == 4
    assert lab.box.ctl("show", "sync")["resyncs"] == before


def test_reload_warns_of_authentication_none(own_lab):
    lab = own_lab([network("open", 1, "auth-option")], AUTH_SUBSCRIBERS[:1])
    assert "authentication_none" not in log_of(lab)
    lab.box.config["home_networks"][0]["authentication"] = "none"
    lab.box.write_config()
    lab.box.ctl("reload")
    assert "authentication_none home_network=open" in log_of(lab)


def test_hold_without_control_follows_the_lifetimes(own_lab):
    """A longer max_lifetime_s that a reload brings is waited for when control dies."""
    lab = own_lab([network("open", 1, max_lifetime_s=4)])
    lab.box.config["home_networks"][0]["max_lifetime_s"] = 420
    lab.box.write_config()
    lab.box.ctl("reload")
    lab.box.wait_synced()
    one = lab.mobile()
    assert one.register().lifetime_s > 100
    lab.box.kill_control()
    time.sleep(6)
    one.assert_bound()


def test_signal_during_the_start_is_kept(own_lab):
    """A SIGHUP that comes early neither kills control nor is lost."""
    lab = own_lab([network("open", 1)], start=False)
    command = [str(CONTROL), "--config", str(lab.box.config_file), "--run-dir",
               str(lab.box.run_dir), "--state-dir", str(lab.box.state_dir)]
    lab.box.run_dir.mkdir()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: (
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP]),
            signal.raise_signal(signal.SIGHUP))) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if " reloaded " in line:
                    break
            assert any(" reloaded " in line for line in lines), lines
        finally:
            process.terminate()
        assert process.wait(10) == 0
