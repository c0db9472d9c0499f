# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Another machine with Debian's kernel, emulated: the far end for what the kernel of this machine may
lack (ESP, Mobile IPv6's header options in XFRM). scripts/guest makes its kernel and file system."""

import base64
import gzip
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

from . import netns
from .box import BUILD, ROOT

BOOT_TIMEOUT_S = 90  # an emulated processor on a busy machine
IMAGE = BUILD / "guest"


class Guest:
    """A booted guest. Its devices eth0, eth1, ... are the taps g0, g1, ... of one namespace.

    programs are paths of ours, which it has in /bin with their libraries. run() is its root's shell.
    close() ends it and takes the taps away.
    """

    def __init__(self, namespace, n_links=1, programs=()):
        netns.run(ROOT / "scripts" / "guest", IMAGE, timeout=300)
        self.programs = programs
        self.namespace, self.n_links = namespace, n_links
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="unwired-guest-"))
        self.popen = None
        self.line = socket.socket(socket.AF_UNIX)
        self.taps = [f"g{n}" for n in range(n_links)]
        self._read = b""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        devices = []
        for n, tap in enumerate(self.taps):
            netns.run("ip", "-n", self.namespace, "tuntap", "add", tap, "mode", "tap")
            netns.run("ip", "-n", self.namespace, "link", "set", tap, "up")
            devices += ["-netdev", f"tap,id={tap},ifname={tap},script=no,downscript=no",
                        "-device", f"virtio-net-pci,netdev={tap},mac=52:54:00:00:00:{n + 1:02x},"
                        "csum=off,guest_csum=off,gso=off,romfile="]
        self._make_initrd()
        with open(self.dir / "qemu.log", "wb") as log:
            self.popen = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, "qemu-system-x86_64", "-accel", "tcg",
                 "-cpu", "max", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot",
                 "-kernel", IMAGE / "vmlinuz", "-initrd", self.dir / "initrd",
                 "-append", "console=ttyS0 quiet panic=-1",
                 "-serial", f"file:{self.dir}/boot.log",
                 "-serial", f"unix:{self.dir}/line,server=on,wait=on", *devices],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.line.connect(str(self.dir / "line"))
                break
            except OSError:
                if self.popen.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log()) from None
                time.sleep(0.05)
        if self._answer(BOOT_TIMEOUT_S) != b"READY":
            raise RuntimeError(self._log())

    def _make_initrd(self):
        """That of the image, and behind it an archive of the programs."""
        files = {pathlib.Path("bin") / path.name: path for path in self.programs}
        for path in self.programs:
            for library in re.findall(r"=> (/\S+)", netns.run("ldd", path)):
                files[pathlib.Path(library[1:])] = pathlib.Path(library)
        shutil.copy(IMAGE / "initrd", self.dir / "initrd")
        root = self.dir / "root"
        for target, source in files.items():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / target)
        if files:
            with open(self.dir / "initrd", "ab") as initrd:
                names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True)
                archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, check=True,
                                         input=names.stdout, capture_output=True)
                initrd.write(gzip.compress(archive.stdout, 1))

    def _log(self):
        return "\n".join(f"{name}: {(self.dir / name).read_text(errors='replace')[-1000:]}"
                         for name in ("qemu.log", "boot.log") if (self.dir / name).exists())

    def _answer(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"the guest does not answer: {self._log()}")
            self.line.settimeout(left)
            more = self.line.recv(65536)
            if not more:
                raise RuntimeError(f"the guest has gone: {self._log()}")
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        return line.strip()

    def run(self, script, check=True, timeout_s=30):
        """Runs a shell script in the guest (/bin/ip is the real one, ip that of busybox).

        Returns its output; with check a failure raises.
        """
        self.line.sendall(base64.b64encode(script.encode()) + b"\n")
        output, _, status = self._answer(timeout_s).rpartition(b" ")
        output = base64.b64decode(output).decode(errors="replace")
        if check and status != b"0":
            raise RuntimeError(f"{script!r} in the guest: status {status.decode()}: {output}")
        return output

    def python(self, program, **how):
        """Runs a Python program in the guest."""
        self.run(f"cat >/tmp/program.py <<'END'\n{program}\nEND\n")
        return self.run("python3 -S -B /tmp/program.py", **how)

    def close(self):
        self.line.close()
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()
        for tap in self.taps:
            netns.run("ip", "-n", self.namespace, "link", "delete", tap, check=False)
        shutil.rmtree(self.dir)
