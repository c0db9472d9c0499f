#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The journey that scripts/demo shows: starts the lab and our programs, moves the mobile, kills both
processes of the home agent, measures at both ends and at the dataplane, and judges the promises."""

import argparse
import atexit
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import demo_chart
from demo_ipsec import Protection
from demo_lab import (CORRESPONDENT, HOME, HOME_AGENT, LAB_ID, PROBE_PORT, ROOT, Failed, Program,
                      care_of, lab, wait_for)
from demo_report import print_report

PROBES_PER_S = 500
TCP_MBIT_S = 50  # beside which a small machine still has time for everything else
SPEED_S = 4
AFTERMATH_S = 1.5  # after a move, or after a process is back: still counted as its time
PORT_LOSSES = "rx_missed", "rx_errors", "rx_no_buffer", "tx_errors"
DEAD_S = 2  # how long the control process stays away


class HomeAgent:
    """The two processes under show, and what the command line tool says of them."""

    def __init__(self, build, directory, config):
        self.build = build
        self.directory = directory
        self.options = ["--config", config,
                        "--run-dir", directory / "run", "--state-dir", directory / "state"]
        self.dataplane = self.control = None

    def start_dataplane(self):
        self.dataplane = Program("dataplane", "ha", [self.build / "dataplane/unwired-dataplane",
                                                     *self.options], self.directory, True)
        lab("route")

    def start_control(self):
        self.control = Program("control", "ha", [self.build / "controlplane/unwired-control",
                                                 *self.options], self.directory, True)

    def tell(self, *words):
        """What the tool prints, or None when it fails."""
        done = subprocess.run([self.build / "controlplane/unwiredctl", "--run-dir",
                               self.directory / "run", *words],
                              capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def ctl(self, *verb):
        """The same for programs."""
        answer = self.tell("--json", *verb)
        return None if answer is None else json.loads(answer)

    def is_synced(self):
        status = self.ctl("status")
        return status is not None and status.get("dataplane") == "synced"

    def bindings(self):
        return {b["home_address"]: b["care_of"][0]["address"]
                for b in self.ctl("show", "bindings") or []}

    def rows(self, what):
        """A listing of the dataplane."""
        listing = self.ctl("show", what) or []
        return listing["items"] if isinstance(listing, dict) else listing

    def counters(self):
        """Named drops, what the port took in and gave out, and what the core router sent to it."""
        link = json.loads(subprocess.run(
            ["ip", "-n", f"uw-{LAB_ID}-core", "-s", "-j", "link", "show", "core-ha"],
            capture_output=True, text=True, check=True).stdout)[0]["stats64"]
        ports = [p for p in self.rows("ports") if p["name"] == "core0"]
        drops = {row["reason"]: row["packets"] for row in self.rows("drops")}
        if not ports or not drops:
            raise Failed("the dataplane shows no counters")
        del drops["host_protocol"]  # what this machine itself says that is no IPv6
        return {
            "drops": drops,
            "port_rx": ports[0]["rx_packets"],
            "port_lost": sum(ports[0][name] for name in PORT_LOSSES),
            "offered": link["tx"]["packets"],
        }


class Mobile:
    """The mobile client."""

    def __init__(self, build, directory, protection):
        self.program_file = build / "mobile/unwired-mobile"
        self.socket = directory / "mobile.sock"
        keys = ["--security-associations", protection.mobile_file] if protection else []
        self.program = Program("mobile", "mn", [
            self.program_file, "--home", HOME, "--home-agent", HOME_AGENT, "--care-of", care_of(1),
            "--lifetime", "60", "--control", self.socket, *keys], directory)

    def command(self, *words):
        done = subprocess.run([self.program_file, "--control", self.socket, *words],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"mobile {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def status(self):
        """Its lines as dictionaries: the home address, then care-of addresses, then drops."""
        return [dict(word.split("=", 1) for word in line.split() if "=" in word)
                for line in self.command("status").splitlines()]

    def is_bound(self, address):
        if not self.socket.exists():
            return False
        home = self.status()[0]
        return home["state"] == "bound" and home["care_of"] == address

    def overruns(self):
        return sum(int(line.get("overruns", 0)) for line in self.status())


class Journey:
    """What happens, when, and what was seen of it."""

    def __init__(self, build, seconds, directory, protection):
        self.build = build
        self.seconds = seconds
        self.directory = directory
        self.protection = protection  # None without IPsec
        self.agent = HomeAgent(build, directory, protection.config if protection
                               else ROOT / "config/examples/lab.json")
        self.mobile = None
        self.here = 1
        self.start_ns = self.end_ns = 0
        self.events = []  # dictionaries, in order of time
        self.promises = []  # (text, was it kept)
        self.epochs = []  # (counters at the start, at the end) of each life of the dataplane

    def promise(self, text, kept):
        self.promises.append((text, bool(kept)))

    def start(self):
        lab("up")
        if self.protection:
            self.protection.start()
        self.agent.start_dataplane()
        self.agent.start_control()
        wait_for("control and dataplane in step", self.agent.is_synced)
        self.mobile = Mobile(self.build, self.directory, self.protection)
        wait_for("the first registration", lambda: self.mobile.is_bound(care_of(1)))

    def start_traffic(self):
        probe = ROOT / "scripts/demo_probe.py"
        python = ["/usr/bin/python3", "-B"]
        self.echo = Program("echo", "mn", [*python, probe, "echo", HOME, PROBE_PORT, "unwired0",
                                           self.directory / "echo.json"], self.directory)
        self.ping = Program("ping", "cn", ["ping", "-i", "0.2", "-D", HOME], self.directory)
        self.tcp_server = Program("iperf3-server", "mn", ["iperf3", "-s", "-1", "-B", HOME],
                                  self.directory)
        time.sleep(0.5)
        self.tcp = Program("iperf3", "cn", [
            "iperf3", "-c", HOME, "-B", CORRESPONDENT, "-t", self.seconds + 1, "-b",
            f"{TCP_MBIT_S}M", "-J"], self.directory)
        self.send = Program("probe", "cn", [
            *python, probe, "send", CORRESPONDENT, HOME, PROBE_PORT, PROBES_PER_S,
            self.directory / "probe.json"], self.directory)
        time.sleep(0.5)
        self.start_ns = time.time_ns()

    def sleep_until(self, share):
        """Waits until this share of the journey is over."""
        left_s = share * self.seconds - (time.time_ns() - self.start_ns) / 1e9
        if left_s > 0:
            time.sleep(left_s)

    def event(self, letter, text):
        event = {"letter": letter, "text": text, "at_ns": time.time_ns(), "rtt_ms": None,
                 "blind_ns": None, "seconds": None}
        self.events.append(event)
        print(f"  {(event['at_ns'] - self.start_ns) / 1e9:5.1f} s  {text}", flush=True)
        return event

    def move(self, n, cut):
        """A handover; with cut the old access network goes away at the same moment."""
        kind = "the old one is cut off first" if cut else "both are there for a while"
        number = 1 + sum(1 for e in self.events if e["letter"].isdigit())
        event = self.event(str(number), f"handover {number}: acc{self.here} to acc{n}, {kind}")
        if cut:
            lab("link", str(self.here), "down")
        self.mobile.command("move", care_of(n))
        event["blind_ns"] = time.time_ns() - event["at_ns"]
        wait_for(f"handover {number}", lambda: self.mobile.is_bound(care_of(n)))
        event["rtt_ms"] = float(self.mobile.status()[0]["rtt_ms"])
        bound = self.agent.bindings()
        self.promise(f"handover {number} moved the binding", bound == {HOME: care_of(n)})
        if cut:
            time.sleep(0.3)
            lab("link", str(self.here), "up")
        self.here = n

    def kill_control(self):
        before = self.agent.counters()
        event = self.event("C", "kill -9 of the control process")
        self.agent.control.kill()
        time.sleep(DEAD_S)
        self.agent.start_control()
        wait_for("control and dataplane in step", self.agent.is_synced)
        event["seconds"] = (time.time_ns() - event["at_ns"]) / 1e9
        self.promise("the binding outlived the control process",
                     self.agent.bindings() == {HOME: care_of(self.here)})
        time.sleep(1)
        after = self.agent.counters()
        event["dropped"] = sum(after["drops"].values()) - sum(before["drops"].values())
        event["missed"] = after["port_lost"] - before["port_lost"]
        self.promise("the dataplane lost no packet while control was away",
                     event["dropped"] == 0 and event["missed"] == 0)

    def meet_a_stranger(self):
        """A Binding Update without protection must change nothing."""
        before = self.agent.counters()["drops"].get("esp_required", 0)
        self.event("U", "unprotected Update for the home address")
        self.protection.send_unprotected_update()
        self.protection.n_refused = self.agent.counters()["drops"]["esp_required"] - before
        self.promise("an unprotected Binding Update was dropped, counted, and changed nothing",
                     self.protection.n_refused == 1
                     and self.agent.bindings() == {HOME: care_of(self.here)})

    def kill_dataplane(self):
        self.epochs[-1][1] = self.agent.counters()
        acknowledged = self.mobile.status()[0]["acknowledged"]
        event = self.event("D", "kill -9 of the dataplane")
        self.agent.dataplane.kill()
        self.agent.start_dataplane()
        wait_for("control and dataplane in step", self.agent.is_synced)
        event["seconds"] = (time.time_ns() - event["at_ns"]) / 1e9
        fresh = self.agent.counters()
        fresh["drops"] = {}  # all that it dropped since it began
        self.epochs.append([fresh, None])
        self.promise("the binding outlived the dataplane",
                     self.agent.bindings() == {HOME: care_of(self.here)})
        self.promise("control refilled the dataplane without a word from the mobile",
                     self.mobile.status()[0]["acknowledged"] == acknowledged)

    def travel(self):
        self.epochs.append([self.agent.counters(), None])
        self.sleep_until(0.10)
        self.move(2, cut=False)
        self.sleep_until(0.22)
        self.move(3, cut=True)
        self.sleep_until(0.36)
        self.kill_control()
        if self.protection:
            self.sleep_until(0.48)
            self.meet_a_stranger()
        self.sleep_until(0.52)
        self.move(1, cut=True)
        self.sleep_until(0.66)
        self.kill_dataplane()
        self.sleep_until(0.86)
        self.move(2, cut=False)
        self.sleep_until(1)
        self.end_ns = time.time_ns()

    def finish(self):
        """Ends the traffic and collects what was recorded."""
        time.sleep(0.3)  # what is on its way may arrive
        self.send.end()
        self.echo.end()
        self.ping.popen.send_signal(signal.SIGINT)
        self.ping.popen.wait(5)
        tcp_status = self.tcp.popen.wait(self.seconds + 30)
        self.tcp_server.end()
        self.epochs[-1][1] = self.agent.counters()
        self.mobile_status = self.mobile.status()
        if self.protection:
            self.protection.sas = self.agent.tell("show", "sas")
            self.protection.stop()
            self.protection.judge(self)
        self.measure_speed()
        self.promise("the TCP connection lived through all of it", tcp_status == 0)
        self.promise("no registration was lost",
                     self.agent.bindings() == {HOME: care_of(self.here)}
                     and self.mobile_status[0]["refused"] == "0"
                     and "binding_expired" not in self.mobile.program.log.read_text())
        self.judge_losses(json.loads((self.directory / "probe.json").read_text()),
                          json.loads((self.directory / "echo.json").read_text()))

    def measure_speed(self):
        """TCP to the mobile with nothing beside it."""
        server = Program("speed-server", "mn", ["iperf3", "-s", "-1", "-B", HOME], self.directory)
        time.sleep(0.3)
        client = Program("speed", "cn", ["iperf3", "-c", HOME, "-B", CORRESPONDENT, "-t", SPEED_S,
                                         "-J"], self.directory)
        client.popen.wait(SPEED_S + 20)
        server.end()

    def judge_losses(self, probe, echo):
        """Attaches to every event what was lost in its time; the rest is lost elsewhere."""
        sent, arrived, back = probe["sent"], dict(echo["received"]), dict(probe["back"])
        arrivals = sorted(arrived.values())
        self.samples = echo["samples"]
        self.n_sent = sum(1 for at_ns in sent if at_ns < self.end_ns)
        self.n_elsewhere = demo_chart.lost_between(sent, back, sent[0], self.end_ns)
        for event, following in zip(self.events, [*self.events[1:], {"at_ns": self.end_ns}]):
            start_ns = event["at_ns"] - 20_000_000  # what was on its way
            end_ns = event["at_ns"] + int(((event["seconds"] or 0) + AFTERMATH_S) * 1e9)
            span = start_ns, min(end_ns, following["at_ns"] - 20_000_000)
            lost = demo_chart.lost_between(sent, back, *span)
            event["lost_there"] = demo_chart.lost_between(sent, arrived, *span)
            event["lost_back"] = lost - event["lost_there"]
            event["gap_ms"] = demo_chart.longest_gap_ns(arrivals, *span) / 1e6
            self.n_elsewhere -= lost
            self.judge_event(event)

    def judge_event(self, event):
        if event["letter"].isdigit():
            # Until the acknowledgement: the command (with the cut) and the signalling round trip,
            # and one packet at either end of it.
            blind_s = event["blind_ns"] / 1e9 + event["rtt_ms"] / 1e3
            event["allowed"] = int(blind_s * PROBES_PER_S) + 2
            self.promise(f"handover {event['letter']} lost no more than its signalling takes",
                         max(event["lost_there"], event["lost_back"]) <= event["allowed"])
        elif event["letter"] == "C":
            lost = event["lost_there"] + event["lost_back"]
            self.promise("no packet was lost at the ends while control was away",
                         lost <= self.mobile.overruns())


def build_arguments():
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--ipsec", action="store_true")
    arguments = parser.parse_args()
    if not 20 <= arguments.seconds <= 3600:
        parser.error("--seconds must be 20 to 3600")
    return arguments


def clean_up(journey, keep):
    if keep:
        run = journey.directory / "run"
        print(f"\nThe lab is still up: scripts/lab --id {LAB_ID} status\n"
              f"  {journey.build}/controlplane/unwiredctl --run-dir {run} show bindings\n"
              f"  {journey.build}/mobile/unwired-mobile --control {journey.directory}/mobile.sock"
              f" status\n  ends with: scripts/lab --id {LAB_ID} down; rm -r {journey.directory}")
        return
    subprocess.run([ROOT / "scripts/lab", "--id", LAB_ID, "down"], check=False)
    shutil.rmtree(journey.directory, ignore_errors=True)


def main():
    arguments = build_arguments()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="unwired-demo-"))
    directory.chmod(0o755)  # the programs give up root
    protection = Protection(directory) if arguments.ipsec else None
    journey = Journey(arguments.build.resolve(), arguments.seconds, directory, protection)
    atexit.register(clean_up, journey, arguments.keep)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        print("starting the lab and the home agent")
        journey.start()
        journey.start_traffic()
        journey.travel()
        journey.finish()
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        for name in ("dataplane", "control", "mobile"):
            log = directory / f"{name}.log"
            if log.exists():
                print(f"--- last lines of {name}", file=sys.stderr)
                print("\n".join(log.read_text(errors="replace").splitlines()[-8:]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print_report(journey)
    return 0 if all(kept for _, kept in journey.promises) else 1


if __name__ == "__main__":
    sys.exit(main())
