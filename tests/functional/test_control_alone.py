# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The real control process against a dataplane played by the test: no network, no root needed."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import types
import urllib.request

import pytest
from scapy.layers.inet6 import ICMPv6ParamProblem, IPv6, MIP6OptMNID

from harness import mip6
from harness.box import CONTROL, CTL, ROOT

HELLO, SYNC_BEGIN, SYNC_END, SYNC_DONE, AGENT_SET, PREFIX_SET = 1, 2, 3, 4, 5, 6
BINDING_SET, BINDING_DEL, BINDING_ERR, COUNTERS_GET, COUNTERS = 7, 8, 9, 10, 11
CREDIT, PACKET_OUT, PUNT, PUNT_CREDIT = 12, 13, 14, 15
BULK = 1
WINDOW = 4096
VERSION = int(re.search(r"API_VERSION = (\d+)", (ROOT / "dataplane/api/records.h").read_text())[1])
AGENT, OTHER_AGENT = "2001:db8:1::1", "2001:db8:2::1"
KEY = bytes(range(16))


def text(address):
    return socket.inet_ntop(socket.AF_INET6, address)


class Record:
    """One record that control sent."""

    def __init__(self, kind, flags, body):
        self.kind, self.flags, self.body = kind, flags, body
        self.is_bulk = bool(flags & BULK)
        if kind in (BINDING_SET, BINDING_DEL):
            self.handle, self.generation, self.prefix = struct.unpack_from("=IIH", body)
            self.home = text(body[16:32])
        if kind == BINDING_SET:
            self.care_of = text(body[32:48])
            self.agent, _bid, self.mode = struct.unpack_from("=HHB", body, 48)
        if kind == PACKET_OUT:
            self.packet = body[16:16 + struct.unpack_from("=I", body)[0]]


class Dataplane:
    """The listening end of the socket, as records.h describes it."""

    def __init__(self, path, max_bindings=1000, sync_error=0, version=VERSION, stale=3):
        self.path, self.max_bindings, self.version = path, max_bindings, version
        self.stale, self.sync_id = stale, 0
        self.sync_error = sync_error
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.listener.listen(1)
        self.peer = None
        self.records = []  # but for the credit for punts:
        self.n_punt_credit = 0
        self.gives_credit = True
        self.answers_sync = True
        self.answers_counters = True

    def accept(self, timeout_s=5, n_bindings=0):
        self.listener.settimeout(timeout_s)
        self.peer, _ = self.listener.accept()
        self.records = []
        self.send(HELLO, struct.pack("=IIQQQII", self.version, self.max_bindings, 77, 0, 0,
                                     n_bindings, 0))
        return self

    def send(self, kind, body, flags=0):
        body += bytes(-len(body) % 8)
        self.peer.send(struct.pack("=HHI", kind, flags, 8 + len(body)) + body)

    def receive(self, timeout_s=0.0):
        """Takes in what is there; answers as a dataplane would. Returns False when control is gone."""
        while select.select([self.peer], [], [], timeout_s)[0]:
            timeout_s = 0
            try:
                message = self.peer.recv(1 << 17)
            except ConnectionResetError:
                message = b""
            if not message:
                return False
            self.take(message)
        return True

    def take(self, message):
        assert len(message) <= 60 * 1024
        at, n_bulk = 0, 0
        while at < len(message):
            kind, flags, length = struct.unpack_from("=HHI", message, at)
            record = Record(kind, flags, message[at + 8:at + length])
            at += length
            if kind == PUNT_CREDIT:
                self.n_punt_credit += struct.unpack_from("=I", record.body)[0]
                continue
            self.records.append(record)
            n_bulk += record.is_bulk
            if kind == SYNC_END:
                self.sync_id, force, _ = struct.unpack_from("=QII", record.body)
                if self.answers_sync:
                    self.send_sync_done(0 if force else self.sync_error)
            if kind == COUNTERS_GET and self.answers_counters:
                handle = struct.unpack_from("=I", record.body)[0]
                generation = self.newest(handle).generation
                self.send(COUNTERS, struct.pack("=IIQQQQII", handle, generation, 10, 1000, 20,
                                                2000, 0, 0))
        if n_bulk and self.gives_credit:
            self.send(CREDIT, struct.pack("=II", n_bulk, 0))

    def send_sync_done(self, error=None):
        error = self.sync_error if error is None else error
        self.send(SYNC_DONE, struct.pack("=QiIII", self.sync_id, error, 5, self.stale, 0))

    def newest(self, handle):
        return [r for r in self.records if r.kind == BINDING_SET and r.handle == handle][-1]

    def wait(self, found, timeout_s=5):
        """Receives until found() is true, and returns what it gave."""
        deadline = time.monotonic() + timeout_s
        while True:
            result = found()
            if result:
                return result
            assert time.monotonic() < deadline, [r.kind for r in self.records]
            assert self.receive(0.05), "control closed the connection"

    def kinds(self, *kinds):
        return [r for r in self.records if r.kind in kinds]

    def wait_sync(self):
        self.wait(lambda: self.kinds(SYNC_END))

    def punt(self, *packets, tunnelled=0):
        message = b""
        for packet in packets:
            raw = bytes(packet)
            body = struct.pack("=BBHI", 1, tunnelled, 0, len(raw)) + raw[8:40] + bytes(8) + raw
            body += bytes(-len(body) % 8)
            message += struct.pack("=HHI", PUNT, 0, 8 + len(body)) + body
        self.peer.send(message)

    def packets(self):
        return [r.packet for r in self.kinds(PACKET_OUT)]

    def ask(self, packet):
        """Punts a message and returns control's answer; all it sent meanwhile is in .records."""
        self.receive()
        self.records = [r for r in self.records if r.kind == BINDING_SET]
        self.punt(packet)
        return self.wait(self.packets)[0]

    def update(self, packet):
        return answer_of(self.ask(packet))

    def silent(self, packet, **how):
        """Punts a message that gets no answer: the one behind it does."""
        self.receive()
        n = len(self.packets())
        self.punt(packet, **how)
        probe = bytes(IPv6(src="2001:db8:bb::99", dst=AGENT, nh=135)) + bytes.fromhex(
            "3b0063000000" "0000")
        total = mip6.mh_checksum("2001:db8:bb::99", AGENT, probe[40:])
        self.punt(fix_length(probe[:44] + struct.pack("!H", total) + probe[46:]))
        self.wait(lambda: len(self.packets()) > n)
        assert len(self.packets()) == n + 1 and self.packets()[-1][40 + 2] == 7  # only the probe's

    def close(self):
        if self.peer is not None:
            self.peer.close()
        self.listener.close()
        self.path.unlink(missing_ok=True)


def fix_length(packet):
    return packet[:4] + struct.pack("!H", len(packet) - 40) + packet[6:]


def answer_of(packet):
    frame = types.SimpleNamespace(ip=IPv6(packet), ip_bytes=packet)
    answer = mip6.Answer(frame)
    assert answer.checksum_ok
    return answer


def configuration(**network):
    return {
        "node": {"name": "alone-1"},
        "dataplane": {"max_bindings": 1000, "ports": [
            {"name": "p0", "device": "net_null0", "addresses": ["2001:db8:ff::1/64"]}]},
        "home_networks": [
            dict({"name": "open", "protocols": ["mip6"], "prefixes": ["2001:db8:1::/64"],
                  "agent_addresses": [AGENT], "link": "virtual", "authentication": "none",
                  "max_lifetime_s": 420}, **network),
            {"name": "auth", "protocols": ["mip6"], "prefixes": ["2001:db8:2::/64"],
             "agent_addresses": [OTHER_AGENT], "link": "virtual",
             "authentication": "auth-option", "max_lifetime_s": 420}],
        "subscribers": {"file": "subscribers.jsonl"},
    }


SUBSCRIBERS = [
    {"mn_id": "alice@example.net", "home_addresses": ["2001:db8:2::a"],
     "keys": [{"spi": 1000, "algorithm": "hmac-sha1", "key": KEY.hex()}]},
    {"mn_id": "bob@example.net", "home_addresses": ["2001:db8:2::b"],
     "keys": [{"spi": 1001, "algorithm": "hmac-sha1", "key": KEY[::-1].hex()}]},
]


class Alone:
    """Control in a directory of its own, with the dataplane that the test plays."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="unwired-alone-"))
        self.dir.chmod(0o755)
        self.run_dir, self.state_dir = self.dir / "run", self.dir / "state"
        self.config_file = self.dir / "unwired.json"
        self.log = self.dir / "control.log"
        self.process = None
        self.dataplane = None
        self.run_dir.mkdir(mode=0o755)
        self.write(configuration())
        self.write_subscribers(SUBSCRIBERS)

    def write(self, config):
        self.config_file.write_text(json.dumps(config, indent=1))

    def write_subscribers(self, subscribers):
        path = self.dir / "subscribers.jsonl"
        path.write_text("".join(json.dumps(s) + "\n" for s in subscribers))
        path.chmod(0o600)
        if os.geteuid() == 0:
            for user in ("unwired", "nobody"):
                try:
                    shutil.chown(path, user)
                    break
                except LookupError:
                    continue

    def start(self):
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                [str(CONTROL), "--config", str(self.config_file), "--run-dir", str(self.run_dir),
                 "--state-dir", str(self.state_dir), "--log-level", "debug"],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not (self.run_dir / "control.sock").exists() or self.ctl("status").returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, self.tail()
            time.sleep(0.02)

    def play(self, **how):
        """Becomes the dataplane, up to the end of the first filling."""
        self.dataplane = Dataplane(self.run_dir / "dataplane.sock", **how)
        self.dataplane.accept().wait_sync()
        self.wait_status("dataplane", ("synced", "sweep-refused"))
        return self.dataplane

    def lose_dataplane(self):
        self.dataplane.close()
        self.dataplane = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        (self.run_dir / "control.sock").unlink(missing_ok=True)

    def ctl(self, *verb):
        return subprocess.run([str(CTL), "--run-dir", str(self.run_dir), "--json",
                               *map(str, verb)], capture_output=True, text=True, timeout=15)

    def show(self, *verb):
        """Asks while the dataplane goes on answering."""
        child = subprocess.Popen([str(CTL), "--run-dir", str(self.run_dir), "--json",
                                  *map(str, verb)], stdout=subprocess.PIPE, text=True)
        while child.poll() is None:
            if self.dataplane is not None:
                self.dataplane.receive(0.01)
            else:
                time.sleep(0.01)
        output = child.stdout.read()
        child.stdout.close()
        assert child.returncode == 0
        return json.loads(output)

    def wait_status(self, key, values):
        deadline = time.monotonic() + 10
        while self.show("status")[key] not in values:
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.02)

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]

    def close(self):
        status = 0
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
                status = "killed"
        if self.dataplane is not None:
            self.dataplane.close()
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        shutil.rmtree(self.dir, ignore_errors=True)
        assert status == 0, log
        assert "Sanitizer" not in log and "runtime error" not in log, log[-4000:]


@pytest.fixture
def alone():
    made = Alone()
    yield made
    made.close()


@pytest.fixture
def running(alone):
    alone.start()
    alone.play()
    return alone


def update(n=1, seq=1, care_of="2001:db8:aa::1", agent=AGENT, **how):
    return mip6.binding_update(f"2001:db8:1::{n:x}:0", care_of, agent, seq, **how)


def alice(seq=1, mesg_id=True, key=KEY, spi=1000, home="2001:db8:2::a", **how):
    if mesg_id is True:
        mesg_id = mip6.ntp_now()
    how.setdefault("mn_id", b"alice@example.net")
    return mip6.authenticated_update(home, how.pop("care_of", "2001:db8:aa::1"), OTHER_AGENT, seq,
                                     spi, key, mesg_id=mesg_id, **how)


def test_fill_begins_and_ends_and_names_the_networks(running):
    kinds = [r.kind for r in running.dataplane.records]
    assert kinds == [HELLO, SYNC_BEGIN, AGENT_SET, AGENT_SET, PREFIX_SET, PREFIX_SET, SYNC_END]
    hello = struct.unpack_from("=IIQQQII", running.dataplane.records[0].body)
    assert hello[0] == VERSION and hello[1] == 1000 and hello[3] != 0 and hello[5] == 0


def test_registration_is_published_before_it_is_answered(running):
    dataplane = running.dataplane
    answer = dataplane.update(update(seq=7, lifetime_s=400))
    assert (answer.status, answer.seq, answer.lifetime_s) == (0, 7, 400)
    assert (answer.src, answer.dst, answer.routing_home) == (
        AGENT, "2001:db8:aa::1", "2001:db8:1::1:0")
    assert [r.kind for r in dataplane.records] == [BINDING_SET, PACKET_OUT]
    record = dataplane.records[0]
    assert (record.home, record.care_of, record.mode) == (
        "2001:db8:1::1:0", "2001:db8:aa::1", 1)
    assert not record.is_bulk


def test_refresh_does_not_touch_the_dataplane_and_a_move_does(running):
    dataplane = running.dataplane
    dataplane.update(update(seq=1))
    first = dataplane.kinds(BINDING_SET)[0]
    assert dataplane.update(update(seq=2)).status == 0
    assert len(dataplane.kinds(BINDING_SET)) == 1
    assert dataplane.update(update(seq=3, care_of="2001:db8:cc::1")).status == 0
    second = dataplane.kinds(BINDING_SET)[1]
    assert second.care_of == "2001:db8:cc::1"
    assert second.handle == first.handle and second.generation != first.generation


def test_deregistration_holds_the_sequence_number(running):
    dataplane = running.dataplane
    dataplane.update(update(seq=5))
    answer = dataplane.update(update(seq=6, lifetime_s=0))
    assert (answer.status, answer.lifetime_s) == (0, 0)
    assert [r.kind for r in dataplane.kinds(BINDING_DEL, PACKET_OUT)] == [BINDING_DEL, PACKET_OUT]
    assert dataplane.update(update(seq=6)).status == 135
    assert dataplane.update(update(seq=7)).status == 0
    assert dataplane.update(update(n=9, seq=1, lifetime_s=0)).status == 133


def test_updates_of_one_home_in_one_batch_see_each_other(running):
    dataplane = running.dataplane
    dataplane.punt(update(seq=1), update(seq=2, care_of="2001:db8:cc::2"), update(seq=2),
                   update(seq=3, lifetime_s=0), update(seq=4, care_of="2001:db8:dd::4"))
    dataplane.wait(lambda: len(dataplane.packets()) == 5)
    answers = [answer_of(p) for p in dataplane.packets()]
    assert [a.status for a in answers] == [0, 0, 135, 0, 0]
    kinds = [(r.kind, getattr(r, "care_of", None))
             for r in dataplane.kinds(BINDING_SET, BINDING_DEL)]
    assert kinds == [(BINDING_SET, "2001:db8:aa::1"), (BINDING_SET, "2001:db8:cc::2"),
                     (BINDING_DEL, None), (BINDING_SET, "2001:db8:dd::4")]
    assert len({r.handle for r in dataplane.kinds(BINDING_SET, BINDING_DEL)}) == 1
    assert running.show("status")["bindings"] == 1


def test_a_cycle_made_in_one_batch_is_refused(running):
    dataplane = running.dataplane
    dataplane.punt(update(n=1, care_of="2001:db8:1::2:0"), update(n=2, care_of="2001:db8:1::1:0"))
    dataplane.wait(lambda: len(dataplane.packets()) == 2)
    assert [answer_of(p).status for p in dataplane.packets()] == [0, 174]


@pytest.mark.parametrize("packet,status", [
    (mip6.binding_update("2001:db8:9::1", "2001:db8:aa::1", AGENT, 1), 132),
    (mip6.binding_update("2001:db8:2::a", "2001:db8:aa::1", AGENT, 1), None),
    (update(care_of=AGENT), 174),
    (update(care_of="2001:db8:ff::1"), 174),
    (update(flags="AHP"), 152),
    (update(agent="2001:db8:ff::1"), 131),
], ids=["subnet", "no-auth", "agent", "port", "proxy", "no-agent"])
def test_refusals(running, packet, status):
    if status is None:
        running.dataplane.silent(packet)
    else:
        assert running.dataplane.update(packet).status == status
    assert running.show("status")["bindings"] == 0


def test_signalling_inside_its_own_tunnel_is_dropped(running):
    own = mip6.binding_update("2001:db8:1::1:0", "2001:db8:1::1:0", AGENT, 1, hao=False)
    running.dataplane.silent(own, tunnelled=1)
    assert running.show("status")["drops"] == {"tunnelled": 1, "mh_unknown_type": 1}


def test_a_mobile_behind_a_mobile_registers_through_its_tunnel(running):
    dataplane = running.dataplane
    assert dataplane.update(update(n=1)).status == 0
    dataplane.receive()
    dataplane.records.clear()
    dataplane.punt(update(n=2, care_of="2001:db8:1::1:0"), tunnelled=1)
    packet = dataplane.wait(dataplane.packets)[0]
    assert answer_of(packet).status == 0
    assert IPv6(packet).dst == "2001:db8:1::1:0"
    assert dataplane.kinds(BINDING_SET)[0].care_of == "2001:db8:1::1:0"


def test_registration_over_an_expired_binding_is_a_new_one(running):
    dataplane = running.dataplane
    assert dataplane.update(update(seq=1, lifetime_s=4)).status == 0
    old = dataplane.kinds(BINDING_SET)[0]
    time.sleep(4.02)  # over, and as a rule not yet swept
    dataplane.records.clear()
    assert dataplane.update(update(seq=2)).status == 0
    new = [r for r in dataplane.kinds(BINDING_SET) if r.generation != old.generation]
    assert new and new[-1].generation != 0


def test_malformed_headers_get_parameter_problems(running):
    raw = bytearray(bytes(update()))
    raw[64] = 58  # payload proto
    raw[68:70] = bytes(2)
    raw[68:70] = struct.pack("!H", mip6.mh_checksum("2001:db8:1::1:0", AGENT, bytes(raw[64:])))
    problem = IPv6(running.dataplane.ask(bytes(raw)))
    assert ICMPv6ParamProblem in problem
    assert (problem[ICMPv6ParamProblem].code, problem[ICMPv6ParamProblem].ptr) == (0, 64)
    assert problem.dst == "2001:db8:aa::1"


def test_errors_are_limited(running):
    raw = bytearray(bytes(update()))
    raw[66] = 99  # type
    raw[68:70] = bytes(2)
    raw[68:70] = struct.pack("!H", mip6.mh_checksum("2001:db8:1::1:0", AGENT, bytes(raw[64:])))
    for _ in range(10):
        running.dataplane.punt(*[bytes(raw)] * 50)
    time.sleep(0.3)
    running.dataplane.receive(0.3)
    assert 100 <= len(running.dataplane.packets()) <= 200
    assert running.show("status")["drops"]["answer_limited"] >= 300


def test_authentication(running):
    dataplane = running.dataplane
    answer = dataplane.update(alice(seq=1))
    assert answer.status == 0
    assert answer.authentic(KEY, "2001:db8:aa::1", "2001:db8:2::a")
    assert dataplane.update(alice(seq=2, key=b"x" * 16)).status == 146
    assert dataplane.update(alice(seq=2, mesg_id=None)).status == 145
    assert dataplane.update(alice(seq=2, mesg_id=mip6.ntp_now(-60))).status == 144
    dataplane.silent(alice(seq=2, spi=4711))
    binding = running.show("show", "binding", "alice@example.net")
    assert (binding["home_address"], binding["sequence"]) == ("2001:db8:2::a", 1)


def test_a_refused_update_cannot_be_played_back(alone):
    """A mobile is refused for something that may change; its Update must not come true later."""
    config = configuration()
    config["home_networks"][1]["mesg_id_required"] = False
    alone.write(config)
    alone.start()
    dataplane = alone.play()
    assert dataplane.update(alice(seq=1, mesg_id=None)).status == 0
    captured = alice(seq=5, mesg_id=None, care_of=OTHER_AGENT)
    assert dataplane.update(captured).status == 174
    answer = dataplane.update(captured)
    assert (answer.status, answer.seq) == (135, 5)
    alone.kill()
    alone.start()
    dataplane.accept().wait_sync()
    assert dataplane.update(captured).status == 135
    binding = alone.show("show", "binding", "2001:db8:2::a")
    assert binding["care_of"][0]["address"] == "2001:db8:aa::1"
    assert dataplane.update(alice(seq=6, mesg_id=None)).status == 0


def carol(n, seq=1, **how):
    """A subscriber without a list of home addresses."""
    return mip6.authenticated_update(f"2001:db8:2::ca:{n:x}", "2001:db8:aa::1", OTHER_AGENT, seq,
                                     1002, KEY, mn_id=b"carol@example.net", **how)


def test_home_addresses_of_a_mobile_are_bounded(alone):
    config = configuration()
    config["home_networks"][1]["mesg_id_required"] = False
    alone.write(config)
    alone.write_subscribers([{"mn_id": "carol@example.net", "keys": [
        {"spi": 1002, "algorithm": "hmac-sha1", "key": KEY.hex()}]}])
    alone.start()
    dataplane = alone.play()
    dataplane.punt(*[carol(n) for n in range(10)])
    dataplane.wait(lambda: len(dataplane.packets()) == 10)
    dataplane.punt(*[carol(n) for n in range(10, 20)])
    dataplane.wait(lambda: len(dataplane.packets()) == 20)
    assert [answer_of(p).status for p in dataplane.packets()] == [0] * 16 + [130] * 4
    assert dataplane.update(carol(3, seq=2)).status == 0
    # What is held counts too, and may live again.
    assert dataplane.update(carol(3, seq=3, lifetime_s=0)).status == 0
    assert dataplane.update(carol(17, seq=2)).status == 130
    assert dataplane.update(carol(3, seq=4)).status == 0
    status = alone.show("status")
    assert (status["bindings"], status["over_quota"]) == (16, 5)


def test_holds_make_room_for_what_lives(alone):
    config = configuration()
    config["dataplane"]["max_bindings"] = 16
    alone.write(config)
    alone.start()
    dataplane = alone.play(max_bindings=16)
    for n in range(100):  # more than there are records
        assert dataplane.update(update(n=n)).status == 0
        assert dataplane.update(update(n=n, seq=2, lifetime_s=0)).status == 0
    for n in range(200, 216):
        assert dataplane.update(update(n=n)).status == 0
    status = alone.show("status")
    assert (status["bindings"], status["bindings_held"]) == (16, 2 + 64)
    assert status["holds_forgotten"] == 100 - status["bindings_held"]
    assert dataplane.update(update(n=99, seq=3)).status == 130
    assert dataplane.update(update(n=200, seq=2, lifetime_s=0)).status == 0
    assert dataplane.update(update(n=99, seq=2)).status == 135  # the newest are remembered


def test_the_owner_of_a_listed_address_may_change_its_name(alone):
    alone.write_subscribers([{"home_addresses": ["2001:db8:2::a"], "keys": SUBSCRIBERS[0]["keys"]}])
    alone.start()
    dataplane = alone.play()
    assert dataplane.update(alice(seq=1, mn_id=b"old@example.net")).status == 0
    assert dataplane.update(alice(seq=2, mn_id=b"new@example.net")).status == 0
    assert dataplane.update(alice(seq=3, mn_id=None, lifetime_s=0)).status == 0


def test_a_home_address_that_is_not_ours_takes_the_same_proof(running):
    dataplane = running.dataplane
    dataplane.silent(mip6.binding_update("2001:db8:9::1", "2001:db8:aa::1", OTHER_AGENT, 1))
    assert dataplane.update(alice(home="2001:db8:9::1")).status == 132


def test_replays_are_answered_within_a_budget(running):
    dataplane = running.dataplane
    update = alice()
    assert dataplane.update(update).status == 0
    dataplane.punt(*[update] * 150)
    dataplane.punt(*[update] * 150)
    running.wait_status("punts", (301,))
    status = running.show("status")
    assert status["answers"]["144"] + status["drops"]["answer_limited"] == 300
    assert status["drops"]["answer_limited"] > 100


def test_a_subscriber_cannot_touch_the_home_address_of_another(running):
    dataplane = running.dataplane
    bob = mip6.authenticated_update("2001:db8:2::b", "2001:db8:bb::b", OTHER_AGENT, 1, 1001,
                                    KEY[::-1], mn_id=b"bob@example.net", mesg_id=mip6.ntp_now())
    assert dataplane.update(alice(seq=8, home="2001:db8:2::b")).status == 129  # listed for Bob
    assert dataplane.update(bob).status == 0
    assert dataplane.update(alice(seq=9, home="2001:db8:2::b")).status == 129
    assert dataplane.update(alice(seq=10, home="2001:db8:2::b", lifetime_s=0)).status == 133
    assert running.show("show", "binding", "2001:db8:2::b")["care_of"][0]["address"] == (
        "2001:db8:bb::b")


def test_a_full_table_refuses_before_the_commit(alone):
    alone.start()
    dataplane = alone.play(max_bindings=3)
    for n in range(3):
        assert dataplane.update(update(n=n)).status == 0
    assert dataplane.update(update(n=4)).status == 130
    assert dataplane.update(update(n=1, seq=2, care_of="2001:db8:cc::1")).status == 0
    assert dataplane.update(update(n=2, seq=2, lifetime_s=0)).status == 0
    assert dataplane.update(update(n=4, seq=2)).status == 0


def test_an_end_goes_before_what_needs_its_room(alone):
    config = configuration()
    config["dataplane"]["max_bindings"] = WINDOW + 200
    alone.write(config)
    alone.start()
    dataplane = alone.play(max_bindings=WINDOW + 200)
    for start in range(0, WINDOW + 200, 100):
        dataplane.punt(*[update(n=n) for n in range(start, start + 100)])
        dataplane.wait(lambda: len(dataplane.packets()) >= start + 100)
    alone.lose_dataplane()
    alone.dataplane = dataplane = Dataplane(alone.run_dir / "dataplane.sock",
                                            max_bindings=WINDOW + 200)
    dataplane.gives_credit = False
    dataplane.accept()
    dataplane.wait(lambda: len(dataplane.kinds(BINDING_SET)) == WINDOW)
    # All credit is used: the word of this end has to wait, and its room with it.
    assert alone.ctl("clear", "binding", "2001:db8:1::1:0").returncode == 0
    dataplane.punt(update(n=5000))
    assert answer_of(dataplane.wait(dataplane.packets)[0]).status == 130
    assert not dataplane.kinds(BINDING_DEL)
    before = len(dataplane.records)
    dataplane.gives_credit = True
    dataplane.send(CREDIT, struct.pack("=II", WINDOW, 0))
    dataplane.wait_sync()
    bulk = [r for r in dataplane.records[before:] if r.is_bulk]
    assert [r.kind for r in bulk] == [BINDING_DEL] + [BINDING_SET] * 200
    assert dataplane.update(update(n=5000, seq=2)).status == 0


def test_expiry_is_published(running):
    dataplane = running.dataplane
    assert dataplane.update(update(lifetime_s=4)).lifetime_s == 4
    record = dataplane.wait(lambda: dataplane.kinds(BINDING_DEL), timeout_s=8)[0]
    assert record.home == "2001:db8:1::1:0" and record.is_bulk
    assert running.show("status")["expired"] == 1
    assert dataplane.update(update(seq=1)).status == 0  # no number is left after expiry


def test_kill_and_restart_keep_what_was_acknowledged(alone):
    alone.start()
    dataplane = alone.play()
    for n in range(50):
        assert dataplane.update(update(n=n, seq=1000 + n)).status == 0
    assert dataplane.update(update(n=3, seq=2000, lifetime_s=0)).status == 0
    alone.kill()
    alone.start()
    dataplane.accept().wait_sync()
    sets = dataplane.kinds(BINDING_SET)
    assert {r.home for r in sets} == {
        text(socket.inet_pton(socket.AF_INET6, f"2001:db8:1::{n:x}:0"))
        for n in range(50) if n != 3}
    assert all(r.is_bulk for r in sets)
    assert [r.home for r in dataplane.kinds(BINDING_DEL)] == ["2001:db8:1::3:0"]
    assert dataplane.update(update(n=7, seq=1007)).status == 135
    assert dataplane.update(update(n=3, seq=2000)).status == 135
    assert dataplane.update(update(n=7, seq=1008)).status == 0


def test_a_new_dataplane_is_filled(running):
    for n in range(20):
        running.dataplane.update(update(n=n))
    running.lose_dataplane()
    running.wait_status("dataplane", ("away",))
    running.play()
    assert len(running.dataplane.kinds(BINDING_SET)) == 20
    assert running.dataplane.update(update(n=1, seq=2)).status == 0


def test_bulk_respects_the_window_and_answers_pass(alone):
    config = configuration()
    config["dataplane"]["max_bindings"] = 6000
    alone.write(config)
    alone.start()
    dataplane = alone.play(max_bindings=6000)
    for start in range(0, 5000, 100):
        dataplane.punt(*[update(n=n) for n in range(start, start + 100)])
        dataplane.wait(lambda: len(dataplane.packets()) >= start + 100)
    alone.lose_dataplane()
    alone.dataplane = dataplane = Dataplane(alone.run_dir / "dataplane.sock", max_bindings=6000)
    dataplane.gives_credit = False
    dataplane.accept()
    dataplane.wait(lambda: len(dataplane.kinds(BINDING_SET)) == WINDOW)
    dataplane.receive(0.3)
    assert len(dataplane.kinds(BINDING_SET)) == WINDOW and not dataplane.kinds(SYNC_END)
    dataplane.punt(update(n=1, seq=2, care_of="2001:db8:cc::1"))
    answer = answer_of(dataplane.wait(dataplane.packets)[0])
    assert answer.status == 0 and not dataplane.kinds(SYNC_END)
    dataplane.gives_credit = True
    dataplane.send(CREDIT, struct.pack("=II", WINDOW, 0))
    dataplane.wait_sync()
    assert len({r.home for r in dataplane.kinds(BINDING_SET)}) == 5000
    assert dataplane.newest(dataplane.kinds(PACKET_OUT) and next(
        r.handle for r in dataplane.kinds(BINDING_SET)
        if r.home == "2001:db8:1::1:0")).care_of == "2001:db8:cc::1"


def test_sweep_guard_alarms_until_forced(alone):
    alone.start()
    dataplane = alone.play(sync_error=-125, max_bindings=4)
    status = alone.show("status")
    assert status["dataplane"] == "sweep-refused"
    assert any("resync --force" in a for a in status["alarms"])
    # What it keeps takes room, as far as it says.
    assert dataplane.update(update()).status == 0
    assert dataplane.update(update(n=2)).status == 130
    dataplane.stale = 2
    dataplane.send_sync_done()
    assert dataplane.update(update(n=2, seq=2)).status == 0
    assert dataplane.update(update(n=3, seq=2)).status == 130
    assert alone.show("resync") == {"started": True, "force": False}
    alone.wait_status("dataplane", ("sweep-refused",))
    assert alone.show("resync", "--force") == {"started": True, "force": True}
    alone.wait_status("dataplane", ("synced",))


def test_another_version_is_refused(alone):
    alone.start()
    alone.dataplane = dataplane = Dataplane(alone.run_dir / "dataplane.sock", version=99)
    dataplane.accept()
    deadline = time.monotonic() + 5
    while dataplane.receive(0.05):
        assert time.monotonic() < deadline
    assert "link_refused reason=version" in alone.tail()


def test_garbage_from_the_dataplane_closes_the_link_and_no_more(running):
    running.dataplane.peer.send(struct.pack("=HHI", 4711, 0, 8))
    running.dataplane.accept().wait_sync()
    assert running.dataplane.update(update()).status == 0


def test_bindings_are_listed_in_pages(running):
    dataplane = running.dataplane
    dataplane.punt(*[update(n=n) for n in range(150)])
    dataplane.wait(lambda: len(dataplane.packets()) == 150)
    listed = running.show("show", "bindings")
    assert len({b["home_address"] for b in listed}) == 150
    assert all((b["packets_down"], b["bytes_up"]) == (10, 2000) for b in listed)
    head = running.show("show", "bindings", "--limit", 70)
    tail = running.show("show", "bindings", "--after", head[-1]["home_address"])
    assert head + tail == listed or [b["home_address"] for b in head + tail] == [
        b["home_address"] for b in listed]
    assert running.show("show", "bindings", "--network", "auth") == []
    dataplane.answers_counters = False
    assert running.show("show", "binding", listed[0]["home_address"])["packets_down"] == 0


def test_retired_counters_are_added(running):
    dataplane = running.dataplane
    dataplane.update(update(seq=1))
    first = dataplane.kinds(BINDING_SET)[0]
    dataplane.update(update(seq=2, care_of="2001:db8:cc::1"))
    dataplane.send(COUNTERS, struct.pack("=IIQQQQII", first.handle, first.generation, 1, 100, 2,
                                         200, 1, 0))
    binding = running.show("show", "binding", "2001:db8:1::1:0")
    assert [binding[k] for k in ("packets_down", "bytes_down", "packets_up", "bytes_up")] == [
        11, 1100, 22, 2200]


def test_counters_of_an_ended_binding_are_not_those_of_the_next(running):
    dataplane = running.dataplane
    dataplane.update(update(seq=1))
    first = dataplane.kinds(BINDING_SET)[0]
    dataplane.punt(update(seq=2, lifetime_s=0), update(seq=3))
    dataplane.wait(lambda: len(dataplane.kinds(BINDING_SET)) == 2)
    second = dataplane.kinds(BINDING_SET)[1]
    assert second.handle == first.handle
    dataplane.send(COUNTERS, struct.pack("=IIQQQQII", first.handle, first.generation, 1, 100, 2,
                                         200, 1, 0))
    assert running.show("show", "binding", "2001:db8:1::1:0")["packets_down"] == 10
    dataplane.send(COUNTERS, struct.pack("=IIQQQQII", first.handle, second.generation, 1, 100, 2,
                                         200, 1, 0))
    assert running.show("show", "binding", "2001:db8:1::1:0")["packets_down"] == 11


def test_what_the_dataplane_refuses_is_tried_again(running):
    dataplane = running.dataplane
    dataplane.update(update())
    first = dataplane.kinds(BINDING_SET)[0]
    dataplane.answers_counters = False
    dataplane.send(BINDING_ERR, struct.pack("=IIiI", first.handle, first.generation, -28, 0))
    again = dataplane.wait(lambda: [r for r in dataplane.kinds(BINDING_SET) if r.is_bulk])[0]
    assert (again.home, again.generation) == (first.home, first.generation)
    assert any("refused" in a for a in running.show("status")["alarms"])
    # Nothing is promised before it has been taken: neither that binding nor another one.
    assert dataplane.update(update(seq=2)).status == 130
    assert dataplane.update(update(seq=3, care_of="2001:db8:cc::1")).status == 130
    assert dataplane.update(update(n=2)).status == 130
    dataplane.send(COUNTERS, struct.pack("=IIQQQQII", first.handle, first.generation, 0, 0, 0, 0,
                                         0, 0))
    assert dataplane.update(update(seq=4)).status == 0
    assert dataplane.update(update(n=2, seq=2)).status == 0


def test_a_binding_whose_agent_the_dataplane_lacks_is_not_promised_again(running):
    dataplane = running.dataplane
    dataplane.answers_counters = False
    dataplane.update(update())
    first = dataplane.kinds(BINDING_SET)[0]
    dataplane.send(BINDING_ERR, struct.pack("=IIiI", first.handle, first.generation, -2, 0))
    dataplane.wait(lambda: [r for r in dataplane.kinds(BINDING_SET) if r.is_bulk])
    assert dataplane.update(update(seq=2)).status == 130
    assert dataplane.update(update(n=2)).status == 0  # that says nothing of others
    assert dataplane.update(update(seq=3, lifetime_s=0)).status == 0


def test_clear_binding(running):
    dataplane = running.dataplane
    dataplane.update(update(seq=10, options=[MIP6OptMNID(subtype=1, id=b"eve@example.net")]))
    assert running.show("clear", "binding", "eve@example.net") == {"cleared": "2001:db8:1::1:0"}
    dataplane.wait(lambda: dataplane.kinds(BINDING_DEL))
    assert running.ctl("show", "binding", "2001:db8:1::1:0").returncode == 1
    assert dataplane.update(update(seq=10)).status == 135
    assert dataplane.update(update(seq=11)).status == 0


def test_monitor_tells_what_happens(running):
    child = subprocess.Popen([str(CTL), "--run-dir", str(running.run_dir), "--json", "monitor"],
                             stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)
        running.dataplane.update(update(seq=1))
        running.dataplane.update(update(seq=1))
        events = [json.loads(child.stdout.readline()) for _ in range(2)]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert [(e["event"], e["status"]) for e in events] == [("registered", 0), ("refused", 135)]
    assert events[0]["home_address"] == "2001:db8:1::1:0"


def test_reload_takes_networks_and_subscribers_and_nothing_else(running):
    dataplane = running.dataplane
    dataplane.update(update())
    config = configuration(max_lifetime_s=100)
    config["home_networks"].append(
        {"name": "third", "protocols": ["mip6"], "prefixes": ["2001:db8:3::/64"],
         "agent_addresses": ["2001:db8:3::1"], "link": "virtual", "authentication": "none"})
    running.write(config)
    running.write_subscribers(SUBSCRIBERS[:1])
    running.show("reload")
    status = running.show("status")
    assert (status["subscribers"], status["bindings"]) == (1, 1)
    assert len(running.show("show", "networks")) == 3
    assert json.loads((running.state_dir / "running.json").read_text()) == config
    assert dataplane.update(update(seq=2)).lifetime_s == 100
    config["dataplane"]["max_bindings"] = 2000
    running.write(config)
    done = running.ctl("reload")
    assert done.returncode == 1 and "dataplane.max_bindings" in done.stderr
    config["dataplane"]["max_bindings"] = 1000
    config["home_networks"] = config["home_networks"][1:]
    running.write(config)
    running.show("reload")
    dataplane.wait(lambda: running.show("status")["bindings"] == 0)  # in groups, afterwards
    dataplane.wait(lambda: dataplane.kinds(BINDING_DEL))


def test_bad_reload_changes_nothing(running):
    running.config_file.write_text("{")
    done = running.ctl("reload")
    assert done.returncode == 1 and "unwired.json" in done.stderr
    running.write(configuration())
    with open(running.dir / "subscribers.jsonl", "a", encoding="ascii") as file:
        file.write("nonsense\n")
    done = running.ctl("reload")
    assert done.returncode == 1 and "line 3" in done.stderr
    assert running.show("status")["subscribers"] == 2


def test_a_second_process_is_locked_out(running):
    done = subprocess.run([str(CONTROL), "--config", str(running.config_file), "--run-dir",
                           str(running.run_dir), "--state-dir", str(running.state_dir)],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "start_failed" in done.stderr
    assert running.show("status")["bindings"] == 0


def test_config_error_is_2(alone):
    alone.write(configuration(authentication="perhaps"))
    done = subprocess.run([str(CONTROL), "--config", str(alone.config_file)], capture_output=True,
                          text=True, timeout=10)
    assert done.returncode == 2
    assert f"{alone.config_file}: home_networks[0].authentication: " in done.stderr


def test_rights_are_given_up(running):
    status = pathlib.Path(f"/proc/{running.process.pid}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s1$", status, re.M)
    assert re.search(r"^CapEff:\s0+$", status, re.M) or os.geteuid() != 0
    assert re.search(r"^Uid:\s0\s", status, re.M) is None


def test_metrics(alone):
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    alone.write(dict(configuration(), telemetry={"listen": f"[::1]:{port}"}))
    alone.start()
    alone.play()
    alone.dataplane.update(update())
    with urllib.request.urlopen(f"http://[::1]:{port}/metrics", timeout=5) as reply:
        assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
        lines = reply.read().decode().splitlines()
    assert "unwired_bindings 1" in lines
    assert 'unwired_answers_total{status="0"} 1' in lines
    assert 'unwired_signalling_drops_total{reason="tunnelled"} 0' in lines
    assert lines[-1] == "# EOF"


def test_nothing_acknowledged_is_lost_whenever_it_is_killed(alone):
    acknowledged = {}
    seq = 0
    for turn in range(8):
        alone.start()
        if turn == 0:
            dataplane = alone.play()
        else:
            dataplane.accept().wait_sync()
            there = {r.home: r.care_of for r in dataplane.kinds(BINDING_SET)}
            for home, (care_of, _) in acknowledged.items():
                # An Update whose answer was lost may have counted too, an older one never.
                assert int(there[home].rsplit(":", 1)[1], 16) >= int(
                    care_of.rsplit(":", 1)[1], 16), home
        deadline = time.monotonic() + 0.05 + 0.07 * turn
        while time.monotonic() < deadline:
            seq += 1
            packets = []
            for n in range(20):
                care_of = f"2001:db8:aa::{seq:x}"
                packets.append(update(n=n, seq=seq, care_of=care_of))
            dataplane.punt(*packets)
            dataplane.receive(0.005)
        alone.process.kill()
        while dataplane.receive(0.5):
            pass
        for packet in dataplane.packets():
            answer = answer_of(packet)
            assert answer.status == 0
            acknowledged[answer.routing_home] = (answer.dst, answer.seq)
        alone.kill()
    assert len(acknowledged) == 20 and seq > 20
    alone.start()
    dataplane.accept().wait_sync()
    for home, (_, last) in acknowledged.items():
        old = mip6.binding_update(home, "2001:db8:ee::1", AGENT, last)
        assert dataplane.update(old).status == 135


def test_a_full_disk_refuses_and_recovers(alone):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    alone.state_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0777", "tmpfs",
                    str(alone.state_dir)], check=True)
    try:
        alone.start()
        dataplane = alone.play()
        assert dataplane.update(update(n=1)).status == 0
        filler = alone.state_dir / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        statuses = []
        for seq in range(2, 30):
            packets = [update(n=n, seq=seq, care_of="2001:db8:cc::9") for n in range(40)]
            dataplane.records = []
            dataplane.punt(*packets)
            dataplane.wait(lambda: len(dataplane.packets()) == 40)
            statuses = [answer_of(p).status for p in dataplane.packets()]
            assert set(statuses) in ({0}, {130})  # a group counts as a whole
            if statuses[0] == 130:
                assert not dataplane.kinds(BINDING_SET)  # nothing was published either
                break
        assert statuses[0] == 130
        assert "commit_failed" in alone.log.read_text()
        filler.unlink()
        deadline = time.monotonic() + 10
        while dataplane.update(update(n=1, seq=100 + seq)).status == 130:
            seq += 1
            assert time.monotonic() < deadline, alone.tail()
        alone.kill()
        alone.start()
        dataplane.accept().wait_sync()
        assert "2001:db8:1::1:0" in [r.home for r in dataplane.kinds(BINDING_SET)]
    finally:
        if alone.process is not None and alone.process.poll() is None:
            alone.process.terminate()
            alone.process.wait()
        subprocess.run(["umount", str(alone.state_dir)], check=True)


def test_hangup_reloads(running):
    running.write(configuration(max_lifetime_s=80))
    running.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while "reloaded" not in running.tail():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert running.dataplane.update(update()).lifetime_s == 80


def test_a_slow_monitor_loses_events_and_is_told(running):
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        monitor.connect(str(running.run_dir / "control.sock"))
        monitor.sendall(b'{"verb": "monitor"}\n')
        time.sleep(0.2)
        dataplane = running.dataplane
        for seq in range(1, 61):
            dataplane.punt(*[update(n=n, seq=seq) for n in range(100)])
        dataplane.wait(lambda: len(dataplane.packets()) == 6000, timeout_s=20)
        monitor.settimeout(5)
        with monitor.makefile("r") as lines:
            for _ in range(1000):
                lines.readline()
            dataplane.punt(*[update(n=n, seq=61) for n in range(100)])
            dataplane.wait(lambda: len(dataplane.packets()) == 6100)
            told = 0
            events = 1000
            while not told and events < 6100:
                event = json.loads(lines.readline())["event"]
                events += 1
                if event["event"] == "lost":
                    told = event["n"]
    assert told > 0


@pytest.mark.parametrize("line,error", [
    (b"nonsense\n", "request: "),
    (b'{"verb": "fly"}\n', "verb: unknown"),
    (b"x" * 5000, "request: longer"),
], ids=["nonsense", "verb", "long"])
def test_bad_requests_are_answered_and_the_next_one_too(running, line, error):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(running.run_dir / "control.sock"))
        client.settimeout(5)
        client.sendall(line)
        with client.makefile("r") as lines:
            reply = json.loads(lines.readline())
            assert reply["end"] and reply["error"].startswith(error)
            client.sendall(b'\n{"verb": "status"}\n')
            replies = [json.loads(lines.readline())]
            while "result" not in replies[-1]:
                replies.append(json.loads(lines.readline()))
            assert replies[-1]["result"]["node"] == "alone-1"


def test_a_client_that_shut_down_its_side_gets_its_list(running):
    dataplane = running.dataplane
    dataplane.punt(*[update(n=n) for n in range(200)])
    dataplane.wait(lambda: len(dataplane.packets()) == 200)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(running.run_dir / "control.sock"))
        client.sendall(b'{"verb": "show bindings"}\n{"verb": "status"}\n')
        client.shutdown(socket.SHUT_WR)
        received = b""
        client.setblocking(False)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            dataplane.receive(0.01)
            try:
                piece = client.recv(65536)
            except BlockingIOError:
                continue
            if not piece:
                break
            received += piece
    replies = [json.loads(line) for line in received.splitlines()]
    assert sum(len(r.get("items", ())) for r in replies) == 200
    assert replies[-1]["result"]["bindings"] == 200


def reload_process(alone):
    return subprocess.Popen([str(CTL), "--run-dir", str(alone.run_dir), "reload"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def add_home_network(alone):
    config = configuration()
    config["home_networks"].append(dict(config["home_networks"][0], name="later",
                                        prefixes=["2001:db8:7::/64"],
                                        agent_addresses=["2001:db8:7::1"]))
    alone.write(config)


def test_reload_is_done_when_the_dataplane_has_it(running):
    dataplane = running.dataplane
    dataplane.answers_sync = False
    add_home_network(running)
    mark = len(dataplane.records)
    child = reload_process(running)
    dataplane.wait(lambda: [r for r in dataplane.records[mark:] if r.kind == SYNC_END])
    another = running.ctl("reload")
    assert another.returncode == 1 and "on its way" in another.stderr
    assert dataplane.update(update(seq=1)).status == 0
    assert child.poll() is None
    dataplane.send_sync_done()
    assert child.wait(5) == 0
    child.communicate()
    again = running.ctl("reload")  # nothing is new to the dataplane
    assert again.returncode == 0, again.stderr


def test_reload_does_not_wait_for_ever(running):
    running.dataplane.answers_sync = False
    add_home_network(running)
    child = reload_process(running)
    begin = time.monotonic()
    while child.poll() is None:
        running.dataplane.receive(0.1)
        assert time.monotonic() - begin < 40
    assert child.returncode == 1
    assert "dataplane has not confirmed" in child.communicate()[1]
    assert time.monotonic() - begin > 15


def test_reload_does_not_wait_for_a_dataplane_that_is_away(running):
    running.lose_dataplane()
    add_home_network(running)
    done = running.ctl("reload")
    assert done.returncode == 0, done.stderr


def many_subscribers(n):
    return [{"mn_id": f"n{i}@example.net", "home_addresses": [f"2001:db8:2::{1 + (i >> 16):x}:{i & 65535:x}"],
             "keys": [{"spi": 1000, "algorithm": "hmac-sha1", "key": f"{i:032x}"}]}
            for i in range(n)]


def test_signalling_goes_on_while_subscribers_are_imported(running):
    """And nobody new is subscribed before all are."""
    dataplane = running.dataplane
    running.write_subscribers(SUBSCRIBERS + many_subscribers(100000))
    child = reload_process(running)
    waits = []
    while child.poll() is None:
        begin = time.monotonic()
        assert dataplane.update(update(seq=len(waits) + 1)).status == 0
        waits.append(time.monotonic() - begin)
    assert child.wait() == 0, child.communicate()[1]
    child.communicate()
    assert len(waits) > 20
    assert sorted(waits)[len(waits) // 2] < 0.05 and max(waits) < 0.5
    assert json.loads(running.ctl("status").stdout)["subscribers"] == 100002
    last = mip6.authenticated_update("2001:db8:2::2:869f", "2001:db8:aa::1", OTHER_AGENT, 1, 1000,
                                     (99999).to_bytes(16, "big"), mesg_id=mip6.ntp_now(),
                                     mn_id=b"n99999@example.net")
    assert dataplane.update(last).status == 0


def test_end_does_not_wait_for_an_import(running):
    running.write_subscribers(SUBSCRIBERS + many_subscribers(100000))
    child = reload_process(running)
    time.sleep(0.1)
    begin = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(5) == 0
    assert time.monotonic() - begin < 2
    child.communicate()
    assert not (running.state_dir / "subscribers.index.new").exists()
