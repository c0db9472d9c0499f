# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Builds the measured programs and runs them."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-perf"


class Failed(Exception):
    """A step that did not do its part; the text is for people."""


def step(what, *command, timeout_s=3600):
    """Runs a step with its output kept for when it fails."""
    print(f"{what}...", end=" ", flush=True)
    done = subprocess.run([str(c) for c in command], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout_s)
    if done.returncode != 0:
        print("failed")
        raise Failed("\n".join(done.stdout.splitlines()[-30:]) + f"\n{what} failed")
    print("done", flush=True)


def build():
    """A release build of its own. Returns the folder with the programs."""
    ready = os.environ.get("UNWIRED_BUILD")
    if ready:
        return pathlib.Path(ready)
    step("installing what is missing", "scripts/install")
    step("building", "scripts/build", BUILD, "--buildtype=release", "-Dtests=false")
    return BUILD


def eal(cores, memory_mb, has_hugepages, *more):
    """Arguments of the EAL for a program that needs no device of this machine."""
    lcores = ",".join(f"{i}@{core}" for i, core in enumerate(cores))
    kind = ["--in-memory"] if has_hugepages else ["--no-huge"]
    return ["--lcores", lcores, "--no-pci", "--no-telemetry", "--log-level", "error", *kind, "-m",
            str(memory_mb), "--file-prefix", f"unwired-perf-{os.getpid()}",
            "--force-max-simd-bitwidth=512", *more]


def run(command, timeout_s):
    """Runs a program. Returns what it said; raises Failed with that when it fails."""
    command = [str(c) for c in command]
    name = pathlib.Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout_s)
    except OSError as error:
        raise Failed(f"{name}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{name} took longer than {timeout_s} s") from error
    said = (done.stderr + done.stdout).strip()
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}\n{said[-3000:]}\n{name} ended with {done.returncode}")
    return done


def run_json(program, arguments, timeout_s, into="--json"):
    """Runs a program that writes its findings as JSON to the file that the option `into` names.
    Returns them; raises Failed with what it said."""
    with tempfile.TemporaryDirectory(prefix="unwired-perf-") as folder:
        out = pathlib.Path(folder) / "out.json"
        done = run([program, into, out, *arguments], timeout_s)
        if done.stderr.strip():
            print(done.stderr.strip(), file=sys.stderr)
        return json.loads(out.read_text())


def version():
    """The commit that is measured, with a + when files differ from it."""
    def git(*words):
        return subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=ROOT, capture_output=True,
                              text=True).stdout.strip()
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if git("status", "--porcelain") else "")
