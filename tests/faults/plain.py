# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""A path beside the box's, of as many links, with a process in the middle that does nothing but pass
on: how late its packets are is the machine's doing."""

import os
import pathlib
import subprocess

from harness import netns
from harness.netns import Namespaces
from harness.wire import Wire

RELAY = pathlib.Path(__file__).resolve().parent / "relay.py"


class PlainPath:
    """From the wire `near` to the wire `far`, over a relay on the worker's core."""

    def __init__(self, lab):
        prefix, middle = lab.namespaces.prefix, lab.namespaces.add("plain")
        ends = [(prefix + "peer", "q0", "r0"), (prefix + "access", "q1", "r1")]
        for name, outside, inside in ends:
            Namespaces.veth(name, outside, middle, inside)
            for where, interface in ((name, outside), (middle, inside)):
                netns.run("ip", "netns", "exec", where, "sysctl", "-qw",
                          f"net.ipv6.conf.{interface}.disable_ipv6=1")
        core = lab.config["dataplane"]["worker_cores"][0]
        self.relay = subprocess.Popen(
            ["ip", "netns", "exec", middle, str(RELAY), str(core), "r0", "r1"],
            stdout=subprocess.PIPE)
        self.relay.stdout.readline()
        self.near, self.far = (Wire(name, outside, os.devnull) for name, outside, _ in ends)

    def close(self):
        self.relay.kill()
        self.relay.wait()
        self.relay.stdout.close()
        self.near.close()
        self.far.close()
