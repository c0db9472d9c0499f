# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The dataplane's start as root, from directories that others can write, and its clean end."""

import json
import os
import pathlib
import socket
import stat
import threading

import pytest

from harness.lab import network


@pytest.fixture
def lab(own_lab):
    return own_lab([network("open", 1)], start=False)


def refuses_to_start(lab):
    """What the dataplane says of its refusal; it must have ended with 1."""
    with pytest.raises(AssertionError, match=r"did not start \(exit status 1\)") as raised:
        lab.box.start_dataplane()
    return str(raised.value)


def end_cleanly(lab):
    """The dataplane alone, told to end."""
    process, lab.box.dataplane = lab.box.dataplane, None
    assert process.end() == 0, process.tail()


# Rights.

@pytest.mark.parametrize("name", ["dpdk", "boot"])
def test_links_in_the_run_directory_lead_root_nowhere(lab, name):
    lab.box.run_dir.mkdir()
    victim = lab.box.dir / "victim"
    victim.mkdir(mode=0o700)
    lab.box.run_dir.joinpath(name).symlink_to(victim)
    before = victim.stat()
    text = refuses_to_start(lab)
    assert f"{lab.box.run_dir}/{name}" in text
    after = victim.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid, before.st_gid, before.st_mode)
    assert not list(victim.iterdir())


def test_link_below_leads_root_nowhere(lab):
    lab.box.run_dir.joinpath("dpdk").mkdir(parents=True)
    victim = lab.box.dir / "victim"
    victim.mkdir(mode=0o700)
    lab.box.run_dir.joinpath("dpdk", "unwired").symlink_to(victim)
    refuses_to_start(lab)
    assert victim.stat().st_uid == 0 and not list(victim.iterdir())


def test_run_directory_is_roots_and_shared(lab):
    lab.start()
    run_dir = lab.box.run_dir.stat()
    assert run_dir.st_uid == 0 and stat.S_IMODE(run_dir.st_mode) == 0o1775
    for name in ("dpdk", "boot"):
        directory = lab.box.run_dir.joinpath(name).stat()
        assert directory.st_uid == 0 and not directory.st_mode & 0o022
    kept = lab.box.run_dir.joinpath("boot", "config.json").stat()
    assert kept.st_uid == 0 and stat.S_IMODE(kept.st_mode) == 0o600
    user = int(pathlib.Path(f"/proc/{lab.box.dataplane.popen.pid}/status").read_text()
               .split("Uid:\t")[1].split()[0])
    socket_file = lab.box.run_dir.joinpath("dataplane.sock").stat()
    assert socket_file.st_uid == user and stat.S_IMODE(socket_file.st_mode) == 0o600
    assert lab.box.run_dir.joinpath("dpdk", "unwired").stat().st_uid == user


def test_control_names_no_device(lab):
    """Its own copy of the configuration is never read, even if nothing else can be."""
    lab.start()
    good = lab.box.config
    lab.box.kill_dataplane()
    evil = json.loads(json.dumps(good))
    evil["dataplane"]["ports"][0]["device"] = f"net_pcap0,tx_pcap={lab.box.dir}/owned"
    lab.box.state_dir.joinpath("running.json").write_text(json.dumps(evil))
    lab.box.start_dataplane()
    lab.box.wait_synced()
    lab.box.kill_dataplane()
    lab.box.config_file.write_text("{")
    lab.box.start_dataplane()
    lab.box.wait_synced()
    assert not lab.box.dir.joinpath("owned").exists()
    lab.mobile().register()


def test_kept_configuration_counts_only_while_control_runs(lab):
    lab.start()
    lab.box.kill_dataplane()
    lab.box.kill_control()
    lab.box.config_file.write_text("{")
    with pytest.raises(AssertionError, match="exit status 2"):
        lab.box.start_dataplane()


def test_kept_configuration_of_somebody_else_does_not_count(lab):
    lab.start()
    lab.box.kill_dataplane()
    kept = lab.box.run_dir / "boot" / "config.json"
    os.chown(kept, 65534, 65534)
    lab.box.config_file.write_text("{")
    with pytest.raises(AssertionError, match="exit status 2"):
        lab.box.start_dataplane()


# Memory.

@pytest.mark.parametrize("max_bindings", [3_200_000, 8_000_000])
def test_large_tables_get_the_memory_they_need(lab, max_bindings):
    lab.box.config["dataplane"]["max_bindings"] = max_bindings
    lab.box.write_config()
    lab.box.start_dataplane()
    end_cleanly(lab)


# The end.

def poll_telemetry(path, stop, answers):
    """Asks for everything again and again until the other side is gone."""
    while not stop.is_set():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(5)
            try:
                s.connect(str(path))
                s.recv(1024)
                while not stop.is_set():
                    for what in ("status", "workers", "drops", "ports", "routes", "neighbors"):
                        s.send(b"/unwired/" + what.encode())
                        if not s.recv(65536):
                            break
                        answers.append(what)
            except OSError:
                return


@pytest.mark.parametrize("attempt", range(4))
def test_clean_end_under_telemetry(lab, attempt):
    lab.box.start_dataplane()
    path = lab.box.run_dir / "dpdk" / "unwired" / "dpdk_telemetry.v2"
    stop, answers = threading.Event(), []
    pollers = [threading.Thread(target=poll_telemetry, args=(path, stop, answers))
               for _ in range(6)]
    for poller in pollers:
        poller.start()
    try:
        lab.box.wait_for(lambda: len(answers) > 200, 10, "answers")
        end_cleanly(lab)
    finally:
        stop.set()
        for poller in pollers:
            poller.join()


def test_clean_end_of_an_af_xdp_port(lab):
    """Its driver does at the end what the system call filter must not kill it for."""
    lab.box.config["dataplane"]["ports"][0]["device"] = "net_af_xdp0,iface=h0"
    lab.box.write_config()
    lab.box.start_dataplane()
    end_cleanly(lab)
