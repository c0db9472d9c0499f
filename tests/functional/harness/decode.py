# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Has tshark decode what the box sent, and says what it finds wrong."""

import subprocess

_WARNING = 0x600000  # tshark's severities: chat, note, warning, error
_MAX_LINES = 8

# Notes about a conversation and not about a packet's form: answers go the other way, which is not
# in the file; what kernels at both ends do with lost packets is theirs.
_ABOUT_THE_CONVERSATION = (
    "No response seen to ICMPv6 request", "No response seen to ICMP request", "D-SACK Sequence",
    "Connection reset (RST)")


def complaints(pcap):
    """The malformed, error and warning notes of tshark about a capture, one line a frame."""
    fields = ("frame.number", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message",
              "_ws.col.Info")
    done = subprocess.run(
        ["tshark", "-r", str(pcap), "-n",
         "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
         "-o", "tcp.analyze_sequence_numbers:FALSE",
         "-d", "udp.port==1-65535,data", "-d", "tcp.port==1-65535,data",
         "-Y", f"_ws.malformed || _ws.expert.severity >= {_WARNING:#x}",
         "-T", "fields", "-E", "aggregator=|", *(w for f in fields for w in ("-e", f))],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = []
    for line in done.stdout.splitlines():
        number, malformed, severities, messages, info = line.split("\t")
        bad = [message for severity, message in zip(severities.split("|"), messages.split("|"))
               if int(severity, 0) >= _WARNING and message not in _ABOUT_THE_CONVERSATION]
        if bad or malformed:
            found.append(f"frame {number}: {'; '.join(bad) or 'malformed'} ({info})")
    if len(found) > _MAX_LINES:
        found[_MAX_LINES:] = [f"and {len(found) - _MAX_LINES} more"]
    return found
