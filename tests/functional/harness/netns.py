# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Network namespaces and veth pairs of one lab, and sockets inside them."""

import contextlib
import ctypes
import itertools
import os
import subprocess
import threading

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_lab_number = itertools.count()


def run(*command, check=True, timeout=30):
    """Runs a command; its output on failure becomes the message."""
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


@contextlib.contextmanager
def inside(namespace):
    """This thread is in that namespace for the time of the block. Sockets made there stay there."""
    here = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        yield
    finally:
        _libc.setns(here, _CLONE_NEWNET)
        os.close(here)
        os.close(there)


class Namespaces:
    """The namespaces of one lab: names unique to this run, removed by close()."""

    def __init__(self):
        self.prefix = f"ut{os.getpid()}n{next(_lab_number)}-"
        self.names = []

    def add(self, short):
        """Makes a namespace with loopback up and no duplicate address detection."""
        name = self.prefix + short
        run("ip", "netns", "add", name)
        self.names.append(name)
        self.sysctl(name, "net.ipv6.conf.all.accept_dad", 0)
        self.sysctl(name, "net.ipv6.conf.default.accept_dad", 0)
        self.sysctl(name, "net.ipv6.conf.default.dad_transmits", 0)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    @staticmethod
    def sysctl(name, key, value):
        run("ip", "netns", "exec", name, "sysctl", "-qw", f"{key}={value}")

    @staticmethod
    def veth(name_a, if_a, name_b, if_b, mtu=1500):
        """A veth pair between two namespaces, offloads off, both ends up."""
        run("ip", "-n", name_a, "link", "add", if_a, "type", "veth",
            "peer", "name", if_b, "netns", name_b)
        for name, interface in ((name_a, if_a), (name_b, if_b)):
            run("ip", "netns", "exec", name, "ethtool", "-K", interface, "tx", "off", "gro", "off")
            run("ip", "-n", name, "link", "set", interface, "mtu", mtu, "up")

    @staticmethod
    def address(name, interface, address):
        run("ip", "-n", name, "-6", "address", "add", address, "dev", interface, "nodad")

    @staticmethod
    def route(name, *words):
        run("ip", "-n", name, "-6", "route", "replace", *words)

    @staticmethod
    def mac(name, interface):
        return run("ip", "netns", "exec", name, "cat",
                   f"/sys/class/net/{interface}/address").strip()

    def close(self):
        for name in reversed(self.names):
            run("ip", "netns", "delete", name, check=False)
        self.names.clear()
