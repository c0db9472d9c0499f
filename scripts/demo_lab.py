# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The lab that scripts/demo plays in: its addresses, and programs in its namespaces."""

import os
import pathlib
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAB_ID = "demo"
HOME = "2001:db8:1::100"
HOME_AGENT = "2001:db8:1::1"
CORRESPONDENT = "2001:db8:20::20"
PROBE_PORT = 7000
START_S = 20


def care_of(n):
    return f"2001:db8:1{n}::100"


class Failed(Exception):
    """The demo cannot go on."""


def lab(*words):
    done = subprocess.run([ROOT / "scripts/lab", "--id", LAB_ID, *words], text=True,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed(f"lab {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def wait_for(what, condition, seconds=START_S):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


class Program:
    """A process in one of the lab's namespaces, its output in a file."""

    def __init__(self, name, namespace, command, directory, notifies=False):
        self.name = name
        self.log = directory / f"{name}.log"
        self.ready = None
        env = dict(os.environ)
        if notifies:
            path = directory / f"{name}.notify"
            path.unlink(missing_ok=True)
            self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.ready.bind(str(path))
            path.chmod(0o777)  # the program gives up root before it reports
            env["NOTIFY_SOCKET"] = str(path)
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                ["ip", "netns", "exec", f"uw-{LAB_ID}-{namespace}", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        if self.ready:
            wait_for(f"{name} to be ready", self._is_ready)
            self.ready.close()

    def _is_ready(self):
        if self.popen.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-10:]
            raise Failed(f"{self.name} ended with status {self.popen.returncode}:\n"
                         + "\n".join(tail))
        try:
            return b"READY=1" in self.ready.recv(4096)
        except BlockingIOError:
            return False

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def end(self, seconds=5):
        """As told to end; the exit status."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
