# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Has tshark decode what the box sent, and says what it finds wrong."""

import subprocess

# Notes about traffic as a whole, not about a packet's form: the answer to an echo request goes the
# other way, which is not in the file, or a probe was meant to go unanswered.
_ABOUT_THE_CONVERSATION = ("No response seen to ICMPv6 request",)


def complaints(pcap):
    """The malformed, error and warning notes of tshark about a capture: "frame: note" lines."""
    done = subprocess.run(
        ["tshark", "-r", str(pcap), "-n",
         "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
         "-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "ipv6.defragment:FALSE",
         "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000",
         "-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message", "-e", "_ws.col.Info"],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines()
            if not any(known in line for known in _ABOUT_THE_CONVERSATION)]
