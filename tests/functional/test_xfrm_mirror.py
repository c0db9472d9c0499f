# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""unwired-xfrm beside a kernel that has ESP: what ip-xfrm puts there, as an IKE daemon would, arrives as the
records of controlplane/learned.h. The listener is played."""

import socket
import struct
import time

import pytest

from harness.box import BUILD
from harness.guest import Guest
from harness.netns import Namespaces
from test_control_alone import Alone, configuration
from test_control_ipsec import sas

HOME, AGENT, CARE_OF = "2001:db8:1::100", "2001:db8:1::1", "2001:db8:a1::2"
KEY_SHA1, KEY_AES, KEY_GCM = "11" * 20, "22" * 16, "33" * 20
SIGNALLING, DISCOVERY, ROUTABILITY, PAYLOAD = 1, 2, 3, 4  # enum api_sa_use
IN, OUT = 1, 2
BEGIN, MOBILE, END = 1, 2, 3

LISTENER = '''
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("/run/ike.sock")
os.chmod("/run/ike.sock", 0o666)
s.listen(1)
while True:
    c, _ = s.accept()
    while True:
        m = c.recv(65536)
        if not m:
            break
        with open("/tmp/heard", "a") as f:
            f.write(m.hex() + "\\n")
'''

GCM = f"aead 'rfc4106(gcm(aes))' 0x{KEY_GCM} 128"
CBC = f"enc 'cbc(aes)' 0x{KEY_AES} auth-trunc 'hmac(sha1)' 0x{KEY_SHA1} 96"


def parse(record):
    """A record as (type, home, agent, protect, associations)."""
    version, kind, length = struct.unpack("=HHI", record[:8])
    body = record[40:]
    assert version == 1 and length == len(body)
    if kind != MOBILE:
        return kind, None, None, 0, []
    n, protect, at, found = body[0], body[1], 2, []
    for _ in range(n):
        (spi, use, direction, encryption, authentication, esn, window, _, packets, _, n_enc,
         n_auth) = struct.unpack_from(">IBBBBBHIQQBB", body, at)
        at += 33
        found.append({"spi": spi, "use": use, "direction": direction, "encryption": encryption,
                      "authentication": authentication, "esn": esn, "window": window,
                      "packets": packets, "enc": body[at:at + n_enc].hex(),
                      "auth": body[at + n_enc:at + n_enc + n_auth].hex()})
        at += n_enc + n_auth
    assert at == len(body)
    return (kind, socket.inet_ntop(socket.AF_INET6, record[8:24]),
            socket.inet_ntop(socket.AF_INET6, record[24:40]), protect, found)


@pytest.fixture(scope="module")
def guest(root):
    namespaces = Namespaces()
    machine = None
    try:
        machine = Guest(namespaces.add("router"), programs=[BUILD / "ike" / "unwired-xfrm"])
        machine.run(f"cat >/tmp/listen.py <<'END'\n{LISTENER}\nEND\n"
                    "touch /tmp/heard; python3 -S -B /tmp/listen.py >/tmp/listen.log 2>&1 &")
        yield machine
    finally:
        if machine is not None:
            machine.close()
        namespaces.close()


class Mirror:
    """unwired-xfrm in the guest, and what it said since the last question."""

    def __init__(self, machine):
        self.machine = machine
        machine.run("/bin/ip xfrm state flush; /bin/ip xfrm policy flush; : >/tmp/heard")
        machine.run("unwired-xfrm --run-dir /run >/tmp/mirror.log 2>&1 & echo $! >/tmp/mirror.pid")
        self.n = 0
        assert [r[0] for r in self.expect(2)] == [BEGIN, END]

    def expect(self, n):
        """The next records, n of them at least."""
        deadline = time.monotonic() + 60  # an emulated processor on a busy machine
        while True:
            lines = self.machine.run("cat /tmp/heard").split()
            if len(lines) >= self.n + n:
                new, self.n = lines[self.n:], len(lines)
                return [parse(bytes.fromhex(line)) for line in new]
            assert time.monotonic() < deadline, self.machine.run("cat /tmp/mirror.log /tmp/listen.log")
            time.sleep(0.2)

    def last(self):
        """What it said of the mobile last, when it has come to rest."""
        found = self.expect(1)
        time.sleep(0.5)
        lines = self.machine.run("cat /tmp/heard").split()
        found += [parse(bytes.fromhex(line)) for line in lines[self.n:]]
        self.n = len(lines)
        kind, home, agent, protect, associations = found[-1]
        assert (kind, home, agent) == (MOBILE, HOME, AGENT)
        return protect, {(a["use"], a["direction"]): a for a in associations}

    def xfrm(self, *lines):
        self.machine.run("set -e\n" + "\n".join(f"/bin/ip xfrm {line}" for line in lines))

    def end(self):
        self.machine.run("kill $(cat /tmp/mirror.pid); sleep 0.3")


@pytest.fixture
def mirror(guest):
    one = Mirror(guest)
    yield one
    one.end()


def policy(direction, use_proto, reqid, mode="transport"):
    """A policy of the home agent's end. use_proto: what follows proto."""
    here, there = (AGENT, HOME) if direction == "out" else (HOME, AGENT)
    if mode == "transport":
        return (f"policy add src {here} dst {there} proto {use_proto} dir {direction} "
                f"tmpl proto esp reqid {reqid} mode transport")
    ends = (AGENT, CARE_OF) if direction == "out" else (CARE_OF, AGENT)
    inner = f"dst {HOME}" if direction == "out" else f"src {HOME}"
    return (f"policy add {inner} {use_proto} dir {direction} tmpl src {ends[0]} dst {ends[1]} "
            f"proto esp reqid {reqid} mode tunnel")


def state(direction, spi, reqid, algorithm, mode="transport", more=""):
    there = HOME if mode == "transport" else CARE_OF
    src, dst = (AGENT, there) if direction == "out" else (there, AGENT)
    return (f"state add src {src} dst {dst} proto esp spi {spi} reqid {reqid} mode {mode} "
            f"{algorithm} {more}")


SIGNALLING_BOTH_WAYS = (
    policy("in", 135, 1), policy("out", 135, 1),
    state("in", 0x1001, 1, GCM, more="replay-window 32"), state("out", 0x1002, 1, GCM))


def test_signalling_is_joined_by_reqid(mirror):
    mirror.xfrm(*SIGNALLING_BOTH_WAYS)
    protect, found = mirror.last()
    assert protect == 1 << SIGNALLING
    assert set(found) == {(SIGNALLING, IN), (SIGNALLING, OUT)}
    inbound, outbound = found[SIGNALLING, IN], found[SIGNALLING, OUT]
    assert (inbound["spi"], outbound["spi"]) == (0x1001, 0x1002)
    assert inbound["encryption"] == 1 and inbound["authentication"] == 0
    assert inbound["enc"] == KEY_GCM and inbound["window"] == 32


def test_every_use_and_algorithm(mirror):
    chacha = f"aead 'rfc7539esp(chacha20,poly1305)' 0x{'44' * 36} 128"
    null = f"enc 'ecb(cipher_null)' '' auth-trunc 'hmac(sha256)' 0x{'55' * 32} 128"
    wide = f"enc 'cbc(aes)' 0x{'66' * 32} auth-trunc 'hmac(sha512)' 0x{'77' * 64} 256"
    mirror.xfrm(
        policy("in", 135, 1), policy("out", 135, 1), policy("in", 58, 2), policy("out", 58, 2),
        policy("in", "proto 135 type 1", 3, "tunnel"), policy("out", "proto 135 type 3", 3, "tunnel"),
        policy("in", "", 4, "tunnel"), policy("out", "", 4, "tunnel"),
        state("in", 0x2001, 1, CBC), state("out", 0x2002, 1, null),
        state("in", 0x2003, 2, wide), state("out", 0x2004, 2, chacha),
        state("in", 0x2005, 3, GCM, "tunnel"), state("out", 0x2006, 3, GCM, "tunnel"),
        state("in", 0x2007, 4, chacha, "tunnel"), state("out", 0x2008, 4, GCM, "tunnel"))
    protect, found = mirror.last()
    assert protect == sum(1 << use for use in (SIGNALLING, DISCOVERY, ROUTABILITY, PAYLOAD))
    assert {key: (a["spi"], a["encryption"], a["authentication"]) for key, a in found.items()} == {
        (SIGNALLING, IN): (0x2001, 3, 1), (SIGNALLING, OUT): (0x2002, 4, 2),
        (DISCOVERY, IN): (0x2003, 3, 4), (DISCOVERY, OUT): (0x2004, 2, 0),
        (ROUTABILITY, IN): (0x2005, 1, 0), (ROUTABILITY, OUT): (0x2006, 1, 0),
        (PAYLOAD, IN): (0x2007, 2, 0), (PAYLOAD, OUT): (0x2008, 1, 0)}
    assert found[SIGNALLING, IN]["enc"] == KEY_AES and found[SIGNALLING, IN]["auth"] == KEY_SHA1


def test_rekeying_and_the_end_of_an_sa(mirror):
    mirror.xfrm(*SIGNALLING_BOTH_WAYS)
    mirror.last()
    new = GCM.replace("33", "34")
    mirror.xfrm(state("in", 0x1003, 1, new), state("out", 0x1004, 1, new))
    kind, *_, associations = mirror.expect(1)[-1]
    time.sleep(0.5)
    associations = (mirror.expect(0) or [(kind, 0, 0, 0, associations)])[-1][4]
    assert [a["spi"] for a in associations if a["direction"] == IN] == [0x1003, 0x1001]
    assert [a["spi"] for a in associations if a["direction"] == OUT] == [0x1004]
    mirror.xfrm(f"state delete src {HOME} dst {AGENT} proto esp spi 0x1001",
                f"state delete src {AGENT} dst {HOME} proto esp spi 0x1002")
    assert {a["spi"] for a in mirror.last()[1].values()} == {0x1003, 0x1004}
    mirror.xfrm("state flush")
    assert mirror.last()[1] == {}


def test_hard_expiry_by_time(mirror):
    mirror.xfrm(policy("in", 135, 1), policy("out", 135, 1), state("out", 0x1002, 1, GCM),
                state("in", 0x1001, 1, GCM, more="limit time-hard 2"))
    assert len(mirror.last()[1]) == 2
    assert set(mirror.last()[1]) == {(SIGNALLING, OUT)}


# XFRM_MSG_MIGRATE for the policy of HOME's payload in one direction: no command of iproute2 sends it.
MIGRATE = '''
import socket, struct, sys
agent, home, old, new, way, reqid = sys.argv[1:]
a = lambda t: socket.inet_pton(socket.AF_INET6, t)
out = way == "out"
ends = lambda care_of: a(care_of) + a(agent) if out else a(agent) + a(care_of)
selector = (a(home) + bytes(16) if out else bytes(16) + a(home)) + bytes(8) + struct.pack(
    "=HBBB3xiI", 10, 128 * out, 128 * (not out), 0, 0, 0)
migrate = ends(old) + ends(new) + struct.pack("=BBHIHH", 50, 1, 0, int(reqid), 10, 10)
body = selector + struct.pack("=IB3x", 0, 1 if out else 0) + struct.pack("=HH", 4 + len(migrate), 17) + migrate
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)
s.send(struct.pack("=IHHII", 16 + len(body), 0x21, 5, 1, 0) + body)
error = struct.unpack_from("=i", s.recv(4096), 16)[0]
sys.exit(0 if error == 0 else "migrate: %d" % error)
'''


def test_migration_moves_no_mobile_and_loses_none(mirror, guest):
    """RFC 6275's tunnels follow the binding, not the kernel: what MIGRATE makes of its SAs is read again, so
    that they are known by their new ends when they end."""
    new = "2001:db8:a2::2"
    mirror.xfrm(policy("in", "", 4, "tunnel"), policy("out", "", 4, "tunnel"),
                state("in", 0x5001, 4, GCM, "tunnel"), state("out", 0x5002, 4, GCM.replace("33", "36"), "tunnel"))
    before = mirror.last()
    assert set(before[1]) == {(PAYLOAD, IN), (PAYLOAD, OUT)}
    guest.run(f"cat >/tmp/migrate.py <<'END'\n{MIGRATE}\nEND")
    guest.run(f"set -e; python3 -S -B /tmp/migrate.py {AGENT} {HOME} {CARE_OF} {new} out 4; "
              "/bin/ip xfrm state | grep -q 'dst {new}'".replace("{new}", new))
    time.sleep(0.5)
    mirror.xfrm(f"state delete src {AGENT} dst {new} proto esp spi 0x5002")
    protect, found = mirror.last()
    assert protect == before[0] and set(found) == {(PAYLOAD, IN)}


def test_listener_that_comes_back_is_told_all(mirror, guest):
    mirror.xfrm(*SIGNALLING_BOTH_WAYS)
    mirror.last()
    guest.run("kill $(cat /tmp/mirror.pid); sleep 0.3; "
              "unwired-xfrm --run-dir /run >/tmp/mirror.log 2>&1 & echo $! >/tmp/mirror.pid")
    records = mirror.expect(3)
    assert [r[0] for r in records] == [BEGIN, MOBILE, END]
    assert {a["spi"] for a in records[1][4]} == {0x1001, 0x1002}


def test_a_tunnel_is_of_the_mobile_that_its_selector_names(mirror):
    both = (policy("in", "", 4, "tunnel"), policy("out", "", 4, "tunnel"))
    other = "2001:db8:1::101"
    mirror.xfrm(*both, *(line.replace(HOME, other) for line in both),
                state("in", 0x4001, 4, GCM, "tunnel", f"sel src {HOME}"),
                state("out", 0x4002, 4, GCM, "tunnel", f"sel dst {other}"),
                state("in", 0x4003, 4, GCM, "tunnel"))
    mirror.expect(2)
    time.sleep(0.5)
    mirror.n = 0
    told = {home: {(a["spi"], a["direction"]) for a in all_of}
            for kind, home, _, _, all_of in mirror.expect(2) if kind == MOBILE}
    assert told == {HOME: {(0x4001, IN)}, other: {(0x4002, OUT)}}


def test_what_the_kernel_has_reaches_the_dataplane(mirror, guest):
    """The records as they came from the guest, before control and a dataplane that is played."""
    alone, said = Alone(), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        alone.write(configuration(authentication="ipsec"))
        alone.write_subscribers([])
        alone.start()
        dataplane = alone.play()
        mirror.xfrm(policy("in", 135, 1), policy("out", 135, 1), state("in", 0x1001, 1, CBC),
                    state("out", 0x1002, 1, GCM), policy("in", "", 4, "tunnel"),
                    policy("out", "", 4, "tunnel"),
                    state("in", 0x1003, 4, GCM.replace("33", "34"), "tunnel", "replay-window 32"),
                    state("out", 0x1004, 4, GCM.replace("33", "35"), "tunnel"))
        assert len(mirror.last()[1]) == 4
        said.connect(str(alone.run_dir / "ike.sock"))
        for line in guest.run("cat /tmp/heard").split():
            said.send(bytes.fromhex(line))
        dataplane.wait(lambda: len(sas(dataplane)) >= 4)
        assert {(sa.spi, sa.use, sa.direction, sa.enc_key.hex()) for sa in sas(dataplane)} == {
            (0x1001, SIGNALLING, IN, KEY_AES), (0x1002, SIGNALLING, OUT, KEY_GCM),
            (0x1003, PAYLOAD, IN, "34" * 20), (0x1004, PAYLOAD, OUT, "35" * 20)}
        assert {sa.protect for sa in sas(dataplane)} == {
            sum(1 << use for use in (SIGNALLING, DISCOVERY, ROUTABILITY, PAYLOAD))}
        assert {sa.home for sa in sas(dataplane)} == {HOME}
    finally:
        said.close()
        alone.close()


def test_what_has_no_place_is_ignored_with_a_reason(mirror, guest):
    mirror.xfrm(
        f"state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x3001 mode transport {GCM}",
        f"state add src {HOME} dst {AGENT} proto esp spi 0x3002 mode transport "
        f"enc 'cbc(aes)' 0x{KEY_AES} auth-trunc 'hmac(sha256)' 0x{'11' * 32} 96",
        f"state add src {HOME} dst {AGENT} proto esp spi 0x3003 mode transport "
        f"enc 'cbc(aes)' 0x{KEY_AES}", *SIGNALLING_BOTH_WAYS)
    assert {a["spi"] for a in mirror.last()[1].values()} == {0x1001, 0x1002}
    log = guest.run("cat /tmp/mirror.log")
    assert "xfrm_ignored what=sa reason=\"protocol or address family\"" in log
    assert "xfrm_ignored what=sa reason=\"authentication\"" in log
    assert "xfrm_ignored what=sa reason=\"encryption without authentication\"" in log
    assert KEY_AES not in log and KEY_GCM not in log and KEY_SHA1 not in log


def test_rights_are_given_up(mirror, guest):
    status = guest.run("cat /proc/$(cat /tmp/mirror.pid)/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65534"] * 4
    assert int(fields["CapPrm"], 16) == 1 << 12 and int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
