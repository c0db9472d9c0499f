# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The programs as an operator meets them: options, configuration errors, what they link to."""

import copy
import json
import subprocess

import pytest

from harness.box import CONTROL, CTL, DATAPLANE, ROOT
from harness.lab import configuration, network

PROGRAMS = {"dataplane": DATAPLANE, "control": CONTROL}
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))


def run(program, *arguments):
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True,
                          timeout=20)


@pytest.fixture(params=PROGRAMS.values(), ids=PROGRAMS.keys())
def program(request):
    return request.param


def good():
    return configuration([network("open", 1)])


def changed(path, value):
    """A good configuration with one value changed ("..." takes it away)."""
    config = copy.deepcopy(good())
    at = config
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return config


ERRORS = {
    "dataplane.ports[1].adress": changed(("dataplane", "ports", 1, "adress"), "x"),
    "dataplane.ports[1].name": changed(("dataplane", "ports", 1, "name"), "core0"),
    "dataplane.ports[0].name": changed(("dataplane", "ports", 0, "name"), "a-name-too-long-0"),
    "dataplane.ports[0].addresses[0]": changed(
        ("dataplane", "ports", 0, "addresses"), ["2001:db8::1/129"]),
    "dataplane.max_bindings": changed(("dataplane", "max_bindings"), -1),
    "dataplane.idle": changed(("dataplane", "idle"), "often"),
    "home_networks[0].authentication": changed(("home_networks", 0, "authentication"), ...),
    "home_networks[0].prefixes[0]": changed(("home_networks", 0, "prefixes"), ["2001:db8:1::"]),
    "home_networks[0].agent_addresses[0]": changed(
        ("home_networks", 0, "agent_addresses"), ["ff02::1"]),
    "home_networks[0].max_lifetime_s": changed(("home_networks", 0, "max_lifetime_s"), 421),
    "home_networks[0].protocols[0]": changed(("home_networks", 0, "protocols"), ["pmip6"]),
    "node.name": changed(("node", "name"), 5),
    "nodes": changed(("nodes",), {}),
}


@pytest.mark.parametrize("path, config", ERRORS.items(), ids=ERRORS.keys())
def test_configuration_error_names_its_path(program, tmp_path, path, config):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(config))
    for arguments in (("--config", file, "--check"),
                      ("--config", file, "--run-dir", tmp_path / "run")):
        done = run(program, *arguments)
        assert done.returncode == 2
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"{file}: {path}: ")]
        assert lines, done.stderr
    assert not (tmp_path / "run").exists()


def test_every_configuration_error_is_reported(program, tmp_path):
    config = changed(("dataplane", "idle"), "often")
    config["dataplane"]["max_bindings"] = "many"
    config["home_networks"][0]["link"] = "sometimes"
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(config))
    done = run(program, "--config", file, "--check")
    assert done.returncode == 2
    for path in ("dataplane.idle", "dataplane.max_bindings", "home_networks[0].link"):
        assert f"{file}: {path}: " in done.stderr


def test_syntax_error_names_line_and_column(program, tmp_path):
    file = tmp_path / "wrong.json"
    file.write_text('{\n  "node": { "name": "x", }\n}\n')
    done = run(program, "--config", file, "--check")
    assert done.returncode == 2
    assert f"{file}: line 2 column " in done.stderr


def test_good_configuration_passes_the_check(program, tmp_path):
    file = tmp_path / "good.json"
    file.write_text(json.dumps(good()))
    done = run(program, "--config", file, "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("example", EXAMPLES, ids=[e.name for e in EXAMPLES])
def test_examples_pass_the_check(program, example):
    done = run(program, "--config", example, "--check")
    assert done.returncode == 0, done.stderr
    done = run(CTL, "check", example)
    assert done.returncode == 0, done.stderr


def test_missing_file(program, tmp_path):
    done = run(program, "--config", tmp_path / "none.json", "--check")
    assert done.returncode in (1, 2)
    assert "none.json" in done.stderr


@pytest.mark.parametrize("option", ["--version", "--help"])
@pytest.mark.parametrize("which", [DATAPLANE, CONTROL, CTL], ids=["dataplane", "control", "ctl"])
def test_version_and_help(which, option):
    done = run(which, option)
    assert done.returncode == 0
    assert done.stdout.strip()


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--config"], []],
                         ids=["unknown", "no-value", "nothing"])
def test_wrong_usage_is_2(program, arguments):
    done = run(program, *arguments)
    assert done.returncode == 2
    assert done.stderr


@pytest.mark.parametrize("arguments", [["fly"], ["show"], ["show", "nothing"], []],
                         ids=["verb", "show-alone", "show-what", "nothing"])
def test_wrong_usage_of_the_cli_is_2(arguments):
    done = run(CTL, *arguments)
    assert done.returncode == 2
    assert done.stderr


def test_cli_without_a_box_is_1(tmp_path):
    done = run(CTL, "--run-dir", tmp_path, "status")
    assert done.returncode == 1
    assert done.stderr


def test_control_links_no_dpdk():
    for which in (CONTROL, CTL):
        linked = subprocess.run(["ldd", str(which)], capture_output=True, text=True, check=True)
        assert "librte_" not in linked.stdout


def test_cli_check_names_the_path(tmp_path):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(changed(("dataplane", "idle"), "often")))
    done = run(CTL, "check", file)
    assert done.returncode != 0
    assert f"{file}: dataplane.idle: " in done.stderr
