# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""One home agent under test: its two real processes in a namespace, and what the CLI says of it."""

import ipaddress
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref

from . import account

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("UNWIRED_BUILD", ROOT / "build-test")).resolve()
DATAPLANE = BUILD / "dataplane" / "unwired-dataplane"
CONTROL = BUILD / "controlplane" / "unwired-control"
CTL = BUILD / "controlplane" / "unwiredctl"

SANITIZER_WORDS = ("AddressSanitizer", "runtime error:", "LeakSanitizer")
START_TIMEOUT_S = 30


class Process:
    """One of our programs: started, waited for until it says READY, ended by its number."""

    def __init__(self, name, command, log):
        self.name = name
        self.log = log
        notify = log.with_suffix(".notify")
        notify.unlink(missing_ok=True)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        ready.bind(str(notify))
        notify.chmod(0o777)  # the program has given up root when it reports
        ready.settimeout(0.1)
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                env=dict(os.environ, NOTIFY_SOCKET=str(notify)))
        self.ready = ready

    def wait_ready(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                if b"READY=1" in self.ready.recv(4096):
                    self.ready.close()
                    return
            except TimeoutError:
                pass
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not start (exit status "
                                     f"{self.popen.poll()}):\n{self.tail()}")

    def tail(self, n_lines=25):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-n_lines:])

    @property
    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        """As a crash: SIGKILL."""
        self.popen.kill()
        self.popen.wait()

    def end(self, timeout_s=10):
        """As an operator: SIGTERM. Returns the exit status."""
        if self.alive:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGABRT)
            self.popen.wait()
            return "did not end on SIGTERM"


class Box:
    """A home agent in a namespace, its files in a directory of its own."""

    _all = weakref.WeakSet()

    def __init__(self, namespace, config, subscribers=None, after_dataplane=None):
        self.namespace = namespace
        self.config = config
        self.after_dataplane = after_dataplane or (lambda: None)
        self.wrap = {}  # words to start a program with, by its name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="unwired-test-"))
        self.dir.chmod(0o755)
        self.run_dir = self.dir / "run"
        self.state_dir = self.dir / "state"
        self.config_file = self.dir / "unwired.json"
        self.dataplane = None
        self.control = None
        self.buffers_at_start = 0
        self.problems = []
        self._all.add(self)
        if subscribers is not None:
            self.write_subscribers(subscribers)
            config["subscribers"] = {"file": "subscribers.jsonl"}
        self.write_config()

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config, indent=2))

    def write_subscribers(self, subscribers):
        path = self.dir / "subscribers.jsonl"
        path.write_text("".join(json.dumps(s) + "\n" for s in subscribers))
        path.chmod(0o640)
        for user in ("unwired", "nobody"):
            try:
                shutil.chown(path, user)
                return
            except LookupError:
                continue

    def _start(self, program, name):
        command = ["ip", "netns", "exec", self.namespace, *self.wrap.get(name, ()),
                   str(program), "--config", str(self.config_file), "--run-dir", str(self.run_dir),
                   "--state-dir", str(self.state_dir)]
        process = Process(name, command, self.dir / f"{name}.log")
        try:
            process.wait_ready()
        except BaseException:
            process.kill()
            raise
        return process

    def start_dataplane(self):
        self.dataplane = self._start(DATAPLANE, "dataplane")
        self.buffers_at_start = account.buffers(self)
        self.after_dataplane()

    def start_control(self):
        self.control = self._start(CONTROL, "control")

    def start(self):
        self.start_dataplane()
        self.start_control()
        self.wait_synced()

    def kill_control(self):
        self.control.kill()
        self.control = None

    def kill_dataplane(self):
        self.dataplane.kill()
        self.dataplane = None

    def ctl_process(self, *verb, timeout_s=15):
        return subprocess.run([str(CTL), "--run-dir", str(self.run_dir), *map(str, verb)],
                              capture_output=True, text=True, timeout=timeout_s)

    def ctl(self, *verb):
        """What the CLI answers with --json, decoded."""
        done = self.ctl_process("--json", *verb)
        assert done.returncode == 0, f"unwiredctl {verb}: {done.returncode} {done.stderr}"
        return json.loads(done.stdout)

    def telemetry(self, command):
        """What the dataplane itself answers, whatever control does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(5)
            client.connect(str(self.run_dir / "dpdk" / "unwired" / "dpdk_telemetry.v2"))
            client.recv(1024)
            client.send(command.encode())
            return json.loads(client.recv(1 << 16))[command.partition(",")[0]]

    @classmethod
    def running(cls):
        """All whose dataplane runs."""
        return [box for box in cls._all if box.dataplane is not None and box.dataplane.alive]

    def sync(self):
        """How far the dataplane has what control knows, in one word; None while control is away."""
        done = self.ctl_process("--json", "show", "sync")
        return json.loads(done.stdout)["dataplane"] if done.returncode == 0 else None

    def wait_synced(self, timeout_s=20):
        """Waits until control has filled the dataplane."""
        self.wait_for(lambda: self.sync() == "synced", timeout_s, "control and dataplane in step")
        # The kernel makes the route of a new address a little later, on a busy machine much later.
        agents = {str(ipaddress.ip_address(a)) + "/128"
                  for net in self.config["home_networks"] for a in net["agent_addresses"]}
        self.wait_for(lambda: agents <= {r["prefix"] for r in self.rows("routes")
                                         if r["type"] == "local"}, timeout_s, "agent addresses")

    @staticmethod
    def wait_for(holds, timeout_s, what):
        deadline = time.monotonic() + timeout_s
        while True:
            if holds():
                return
            assert time.monotonic() < deadline, f"waited {timeout_s} s for: {what}"
            time.sleep(0.05)

    def rows(self, *verb):
        """A listing as a list of objects; never an empty one."""
        rows = self.ctl("show", *verb)
        assert rows, f"show {verb} is empty"
        return rows

    def drops(self):
        """Drops by name."""
        drops = {}
        for row in self.rows("drops"):
            drops[row["reason"]] = drops.get(row["reason"], 0) + row["packets"]
        return drops

    def binding(self, home):
        """The binding of a home address, or None."""
        done = self.ctl_process("--json", "show", "binding", home)
        if done.returncode == 1 and "no such binding" in done.stderr:
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def logs(self):
        return "\n".join(f"--- {p.name}\n{p.read_text(errors='replace')[-6000:]}"
                         for p in sorted(self.dir.glob("*.log")))

    def close(self):
        """Ends both. Returns what was wrong about the end, a list of sentences."""
        for process in (self.control, self.dataplane):
            if process is None:
                continue
            was_alive = process.alive
            status = process.end()
            if not was_alive:
                self.problems.append(f"{process.name} had died by itself: {status}")
            elif status != 0:
                self.problems.append(f"{process.name} ended with {status}")
        for log in self.dir.glob("*.log"):
            text = log.read_text(errors="replace")
            if any(word in text for word in SANITIZER_WORDS):
                self.problems.append(f"sanitizer report in {log.name}:\n{text[-4000:]}")
        return self.problems

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
