# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The performance kit: that it works and what it says is sane; never how fast anything is."""

import copy
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as tree

import pytest

from harness.box import BUILD

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERF = ROOT / "perf"
sys.path.insert(0, str(PERF))

from kit import esp, flame, goals, noise, programs, show  # noqa: E402


def run(*command, timeout_s=120):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout_s,
                          env={**os.environ, "UNWIRED_BUILD": str(BUILD)})


def row(name, bindings, ns):
    """A row with seven rounds that scatter by a few per cent."""
    rounds = [ns * (1 + 0.004 * ((i * 5) % 7 - 3)) for i in range(7)]
    return {"row": name, "bindings": bindings, "ns": {**noise.summary(rounds), "rounds": rounds}}


@pytest.fixture
def result():
    """A result as perf/run would write it, on a machine as it might be."""
    rows = [row("memory_lines", 10_000_000, 6.0),
            {"row": "memory", "bindings": 10_000_000, "extra": {"bytes_per_binding": 130.0}},
            row("churn", 10_000_000, 43.1), row("two_workers", 10_000_000, 24.0),
            row("two_separate", 10_000_000, 23.0)]
    rows[-2]["extra"] = {"counters_exact": 1}
    for name, lost in (("flood", 0.02), ("flood_host", 0.3)):
        rows.append(row(name, 10_000_000, 60.0))
        rows[-1]["extra"] = {"lost_percent": {"rounds": [lost, 2.0, lost]},
                             "lost_in_gaps_percent": {"rounds": [0.01, 2.0, 0.01]}}
    for bindings, ns in ((1000, 28.0), (1_000_000, 38.0), (10_000_000, 43.0)):
        rows += [row("mac", bindings, 8.0), row("encap", bindings, ns), row("decap", bindings, ns * 1.3),
                 row("mixed", bindings, ns * 1.1)]
    return {"format": 1, "taken": "2026-01-01T00:00:00", "version": "0", "mode": "full",
            "has_nic": False, "rows": rows, "machine": {
                "cpu": "some", "cores": 2, "is_virtual": True, "kernel": "6", "dpdk": "22",
                "hugepages": True, "core": 1, "heard": [], "tsc_hz": 2e9}}


def written(folder, result):
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result))
    return folder / "result.json"


def slower(result, name, factor):
    """A copy in which one row takes longer by that factor."""
    other = copy.deepcopy(result)
    for each in other["rows"]:
        if each["row"] == name:
            each["ns"]["rounds"] = [v * factor for v in each["ns"]["rounds"]]
    return other


def test_goals_are_judged_by_their_limits(result):
    result["rows"] += [{"row": name, "bindings": 1000, "cpu_us": {"rounds": us}}
                       for name, us in (("reg_secured", [2.5, 2.9, 9.0]), ("reg_open", [2.2, 2.6, 2.0]))]
    beside = {"flood_check": {"lost_beside_percent": [24.0], "time_percent": [4.95]},
              "flood_esp": {"lost_beside_percent": [2.0], "alone_ns": [90.0], "made_ns": [10.0]}}
    result["rows"] += [{"row": name, "bindings": 1000, "extra": {
        key: {"rounds": rounds} for key, rounds in extra.items()}} for name, extra in beside.items()]
    result["rows"].append(row("made", 1000, 8.0))
    table = {goal["id"]: goal for goal in goals.table(result)}
    assert table["encap_1k"]["median"] == pytest.approx(8 / 28, rel=0.02)
    assert table["encap_1k"]["mark"] == "must"
    assert table["misses"]["median"] == pytest.approx((43 - 28) / 12, rel=0.05)
    assert table["misses"]["mark"] == "must"
    assert table["decap"]["mark"] == "MISSED"  # 1/1.3 of encapsulation
    assert table["mixed"]["mark"] == "must"
    assert table["memory"]["mark"] == "must"
    assert table["churn"]["mark"] == "aim"
    assert table["two_exact"]["mark"] == table["two_workers"]["mark"] == "aim"
    assert table["flood_beside"]["median"] == 24.0 and table["flood_beside"]["mark"] == "MISSED"
    assert table["flood_cost"]["median"] == pytest.approx(80 / 20, rel=0.05)
    assert table["check_time"]["median"] == 4.95 and table["check_time"]["mark"] == "aim"
    assert table["secured"]["median"] == pytest.approx(0.3) and table["secured"]["mark"] == "aim"
    assert table["flood"]["median"] < 0.1 and table["flood"]["mark"] != "MISSED"
    assert table["flood_other"]["median"] == pytest.approx(0.29) and table["flood_other"]["mark"] == "MISSED"


def latencies(p99, answers):
    return {"p50": 1, "p99": p99, "p99.9": p99, "max": p99, "answers": answers}


@pytest.mark.parametrize("p99,mark", [(2000, "must"), (20000, "MISSED")])
def test_every_answer_counts(result, p99, mark):
    """Those that came while others had the core, too."""
    result["rows"].append({"row": "reg_refresh", "bindings": 1000, "latency_us": latencies(p99, 10000),
                           "extra": {"undisturbed_us": latencies(1000, 9000)}})
    table = {goal["id"]: goal for goal in goals.table(result)}
    assert table["answer"]["median"] == p99 / 1000
    assert table["answer"]["mark"] == mark


def test_what_was_not_measured_is_said(result):
    result["rows"] = [r for r in result["rows"] if r["bindings"] != 10_000_000]
    marks = {goal["id"]: goal["mark"] for goal in goals.table(result)}
    assert marks["encap_10m"] == marks["misses"] == marks["memory"] == "-"
    result["table"] = goals.table(result)
    text = "\n".join(show.lines(result))
    assert text.count("not measured") == 3 + 5 + 12 + 7  # and no registrations or ESP at all
    assert "WITHOUT a network card" in text


def test_esp_is_judged_against_the_cipher_alone(result):
    """Against both drivers of DPDK with one key, and against a loop with as many keys as SAs."""
    result["rows"] += [row("raw_mb_64", 1, 50.0), row("raw_gcm_64", 1, 40.0), row("raw_mb_1400", 1, 130.0),
                       row("gcm_keys_64", 1000, 25.0), row("gcm_keys_64", 1, 20.0),
                       row("esp_encap_64", 1000, 90.0), row("esp_encap_64", 1, 80.0),
                       row("esp_encap_1400", 1000, 200.0), row("esp_decap_64", 1000, 150.0),
                       row("esp_forged_64", 1000, 140.0)]
    table = {goal["id"]: goal for goal in goals.table(result)}
    assert table["esp_64"]["median"] == pytest.approx(50 / 90) and table["esp_64"]["mark"] == "must"
    assert table["esp_64_gcm"]["median"] == pytest.approx(40 / 90) and table["esp_64_gcm"]["mark"] == "MISSED"
    assert table["esp_1400"]["median"] == pytest.approx(130 / 200) and table["esp_1400"]["mark"] == "MISSED"
    assert table["esp_1400_gcm"]["mark"] == "-"
    assert table["esp_64_loop"]["median"] == pytest.approx(25 / 90)
    assert table["esp_wrong"]["median"] == pytest.approx(140 / 150) and table["esp_wrong"]["mark"] == "must"


def test_why_the_cipher_alone_was_not_measured_is_said(result, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    result["missing"] = dict.fromkeys(goals.RAW, esp.raw_missing(other=1))
    result["table"] = goals.table(result)
    for text in ("\n".join(show.lines(result)), "\n".join(show.markdown({**result, "micro": []}))):
        assert text.count("not measured: dpdk-test-crypto-perf is not installed") == 4
    monkeypatch.undo()
    assert "second core" in esp.raw_missing(other=None)


@pytest.mark.parametrize("said", ["", "#lcore id,Buffer Size(B)\n", (
    "#lcore id,Buffer Size(B),Burst Size,Enqueued,Dequeued,Failed Enq,Failed Deq,Ops(Millions)\n"
    "1,64,32,100,100,0,0,20.0\n1,1400,32,100,90,0,10,8.0\n")])
def test_what_the_cipher_alone_failed_at_is_no_figure(said):
    with pytest.raises(programs.Failed):
        esp.raw_ns(said)
    good = said.replace("90,0,10", "100,0,0")
    if said.count("\n") == 3:
        assert esp.raw_ns(good) == {64: 50.0, 1400: 125.0}


def test_lines_of_real_cards_by_arithmetic(result):
    rows = {(gbps, name): (mpps, cores) for gbps, name, mpps, cores in show.line_rows(result)}
    mpps, cores = rows[100, "78 B"]
    assert mpps == pytest.approx(100e3 / 8 / (78 + 40 + 4 + 20))
    assert cores[1000] == pytest.approx(mpps * (28 + 15) / 1e3, rel=0.01)
    assert rows[10, "imix"][0] < rows[10, "78 B"][0]


def test_markdown_has_every_row(result):
    """Some tables are not measured at every number of bindings."""
    cycles = {**noise.summary([10.0, 11.0, 12.0]), "rounds": [10.0, 11.0, 12.0]}
    result["micro"] = [{"row": name, "entries": n, "cycles": cycles} for name, n in (
        ("encap", 1000), ("encap", 1_000_000), ("police", 1_000_000), ("fib", 1000), ("fib", 100_000))]
    result["table"] = goals.table(result)
    text = "\n".join(show.markdown(result))
    assert "| encap | 11 (5.5) | 11 (5.5) |" in text
    assert "| police | 11 (5.5) at 1M |  |" in text
    assert "| fib | 11 (5.5) at 1k, 11 (5.5) at 100k |  |" in text


def test_chart_has_our_curves_and_the_peers(result):
    peers = json.loads((PERF / "peers.json").read_text())
    picture = tree.fromstring(show.svg(result, peers))
    texts = {t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"M: MAC forwarding", "Unwired encapsulation", "two random memory lines"} <= texts
    assert {p["name"] for p in peers["peers"]} <= texts
    lines = list(picture.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 4 + len(peers["peers"])


@pytest.mark.parametrize("name,factor,status,word", [
    ("encap", 1.0, 0, "nothing became slower"),
    ("encap", 1.01, 0, "nothing became slower"),  # less than three per cent
    ("encap", 1.10, 1, "SLOWER"),
    ("encap", 0.80, 0, "faster"),
    ("mac", 1.0, 0, "nothing became slower"),
])
def test_compare_tells_changes_from_noise(tmp_path, result, name, factor, status, word):
    old = written(tmp_path / "old", result)
    new = written(tmp_path / "new", slower(result, name, factor))
    done = run(PERF / "compare", old, new)
    assert done.returncode == status, done.stdout + done.stderr
    assert word in done.stdout


def test_compare_takes_a_slower_machine_for_no_change(tmp_path, result):
    other = result
    for name in ("mac", "encap", "decap", "mixed", "memory_lines"):
        other = slower(other, name, 1.5)
    other["rows"] = [r for r in other["rows"] if r["row"] != "memory_lines"] + [
        r for r in result["rows"] if r["row"] == "memory_lines"]
    done = run(PERF / "compare", written(tmp_path / "old", result), written(tmp_path / "new", other))
    assert done.returncode == 0, done.stdout


def test_compare_refuses_what_is_no_result(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    done = run(PERF / "compare", tmp_path / "x.json", tmp_path / "x.json")
    assert done.returncode == 2
    assert "no result" in done.stderr


def test_smoke_run(root, tmp_path):
    """The real thing, for seconds."""
    done = run(PERF / "run", "--smoke", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["mode"] == "smoke" and found["has_nic"] is False
    by_name = {r["row"]: r for r in found["rows"]}
    assert {"mac", "encap", "decap", "mixed", "esp_encap_64", "esp_decap_1400", "esp_forged_64",
            "gcm_keys_64"} <= set(by_name)
    if not found["missing"]:
        assert {"raw_mb_64", "raw_gcm_1400"} <= set(by_name)
    for each in found["rows"]:
        if "ns" in each:
            rounds = each["ns"]["rounds"]
            assert len(rounds) == 2 and min(rounds) > 0
    micro = {r["row"]: r for r in found["micro"]}
    assert {"bindtab look-up", "bindtab insert", "fib6 look-up", "fib4 look-up", "classify", "encap",
            "up: decap", "up: forward", "reassembly of two", "police, a token"} <= set(micro)
    assert all(r["cycles"]["min"] > 0 for r in micro.values())
    for name in ("reg_initial", "reg_refresh"):
        assert by_name[name]["cpu_us"]["min"] > 0
        assert by_name[name]["extra"]["refused"] == by_name[name]["extra"]["lost"] == 0
    assert by_name["reg_restart"]["extra"]["seconds"] > 0
    checks = by_name["flood_check"]["extra"]  # every one dropped for its reason, or the bench had failed
    assert checks["time_percent"]["max"] > 0 and checks["checked_percent"]["max"] < 100
    assert found["table"] and found["machine"]["tsc_hz"] > 1e8
    tree.fromstring((tmp_path / "chart.svg").read_text())
    tables = (tmp_path / "tables.md").read_text()
    assert "| encap | 1k |" in tables and "| bindtab look-up |" in tables and "| reg_refresh | 2k |" in tables
    assert "this was a smoke run" in done.stdout.lower()


def test_a_flame_graph_has_a_box_for_every_share():
    """Stacks of elsewhere are left out, inner functions of libraries have the library's name."""
    stacks = flame.stacks_of("\n".join((
        "main<0a>;run[inline];loop_run<0b>;commit<0c>;mdb_put<0d>;mdb_strerror<0e> 6",
        "main<0a>;run[inline];loop_run<0b>;auth_sign.constprop.0<1c>;HMAC_Init_ex@@OPENSSL_3.0.0<1d>;"
        "SEED_ofb128_encrypt@@OPENSSL_3.0.0<1e> 3", "main<0a>;run[inline];loop_run<0b>;commit<0c> 1",
        "main<0a>;open_state<2b> 90", "not a stack")), "loop_run")
    assert stacks == {("loop_run", "commit", "mdb_put", "liblmdb"): 6,
                      ("loop_run", "auth_sign", "libcrypto"): 3, ("loop_run", "commit"): 1}
    root = tree.fromstring(flame.svg(stacks, "what & where"))
    ns = "{http://www.w3.org/2000/svg}"
    shares = {g.find(ns + "title").text: float(g.find(ns + "rect").get("width")) for g in root.iter(ns + "g")}
    whole = shares["loop_run: 100.0 %"]
    assert shares["commit: 70.0 %"] == pytest.approx(0.7 * whole, abs=0.1)
    assert shares["liblmdb: 60.0 %"] == pytest.approx(0.6 * whole, abs=0.1)
    assert shares["libcrypto: 30.0 %"] == pytest.approx(0.3 * whole, abs=0.1)
    assert len(shares) == 6
