# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Linux as the mobile node with IPsec, in a guest with Debian's kernel: its XFRM adds and takes the Home
Address option, the type 2 routing header and ESP, in transport and tunnel mode. Only the contents of the
Binding Update are played."""

import re
import time

import pytest

from harness import netns, sas
from harness.guest import Guest
from harness.lab import CORE_BOX, CORRESPONDENT, Lab, network

AGENT = "2001:db8:1::1"
LINKS = [("2001:db8:a::1", "2001:db8:a::2"), ("2001:db8:b::1", "2001:db8:b::2")]  # router, care-of

# The kernel's names of what harness/sas.py names.
AEADS = {"aes-gcm-16": "rfc4106(gcm(aes))", "chacha20-poly1305": "rfc7539esp(chacha20,poly1305)"}
CIPHERS = {"aes-cbc": "cbc(aes)", "null": "ecb(cipher_null)"}
DIGESTS = {"hmac-sha1-96": ("hmac(sha1)", 96), "hmac-sha256-128": ("hmac(sha256)", 128),
           "hmac-sha384-192": ("hmac(sha384)", 192), "hmac-sha512-256": ("hmac(sha512)", 256)}
SUITES = [("aes-gcm-16", None), ("chacha20-poly1305", None), ("aes-cbc", "hmac-sha1-96"),
          ("aes-cbc", "hmac-sha256-128"), ("aes-cbc", "hmac-sha384-192"),
          ("aes-cbc", "hmac-sha512-256"), ("null", "hmac-sha1-96"), ("null", "hmac-sha256-128")]

# Sends a Binding Update from the home address and waits for the answer: "STATUS SEQUENCE LIFETIME".
REGISTER = """
import socket, struct, sys
home, agent, care_of, seq, lifetime = "{home}", "{agent}", "{care_of}", {seq}, {lifetime}
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 135)
s.bind((home, 0))
s.settimeout({timeout})
def total(src, dst, body):
    data = src + dst + struct.pack("!IHBB", len(body), 0, 0, 135) + body
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return 0xffff - n
p = lambda a: socket.inet_pton(socket.AF_INET6, a)
body = struct.pack("!BBBBHHHH", 59, 3, 5, 0, 0, seq, 0xc000, lifetime)
body += b"\\1\\0\\3\\x10" + p(care_of)
body = body[:4] + struct.pack("!H", total(p(home), p(agent), body)) + body[6:]
s.sendto(body, (agent, 0))
while True:
    answer = s.recv(2048)
    if answer[2] == 6:
        print(answer[6], *struct.unpack("!HH", answer[8:12]))
        break
"""


def algorithm(listed):
    """The words of ip-xfrm for an entry of security_associations."""
    key = "0x" + listed["encryption_key"] if "encryption_key" in listed else "''"
    if listed["encryption"] in AEADS:
        return f"aead '{AEADS[listed['encryption']]}' {key} 128"
    name, bits = DIGESTS[listed["authentication"]]
    return (f"enc '{CIPHERS[listed['encryption']]}' {key} "
            f"auth-trunc '{name}' 0x{listed['authentication_key']} {bits}")


class KernelMobile:
    """One home address in the guest, with the SAs of one suite."""

    def __init__(self, guest, number, suite):
        self.guest, self.number, self.seq = guest, number, 0
        self.home = f"2001:db8:1::f:{number:x}"
        self.uses = ("signalling", "payload")
        self.listed = sas.associations(0x1000 * number, self.uses, encryption=suite[0],
                                       authentication=suite[1])
        self.link, self.moves = None, 0

    def subscriber(self):
        return {"mn_id": f"guest{self.number}@example.net", "home_addresses": [self.home],
                "security_associations": self.listed, "protect": ["payload"]}

    def state(self, use, direction, care_of):
        """ip-xfrm's words for the SA of a use and direction, as the home agent sees it."""
        one = next(a for a in self.listed if (a["use"], a["direction"]) == (use, direction))
        here = self.home if use == "signalling" else care_of
        src, dst = (here, AGENT) if direction == "in" else (AGENT, here)
        mode = "transport" if use == "signalling" else "tunnel"
        # A kernel that moves an SA takes its numbers along; here each link makes it anew.
        more = "replay-window 32" if direction == "out" else f"replay-oseq {self.moves * 1000}"
        return (f"state add src {src} dst {dst} proto esp spi {one['spi']} "
                f"reqid {self.number * 2 + (use == 'payload')} mode {mode} {algorithm(one)} {more}")

    def attach(self, link):
        """The mobile's side of a movement: RFC 3775's states of XFRM with another care-of address."""
        care_of, number = LINKS[link][1], self.number * 2
        lines = [f"state deleteall proto {p} src {s} dst {d}" for p, s, d in (
            ("hao", self.home, AGENT), ("route2", AGENT, self.home))]
        if self.link is None:
            lines = ["state flush proto esp", "policy flush"] if self.number == 1 else []
            lines += [self.state("signalling", d, care_of) for d in ("in", "out")]
            lines += [
                f"policy add src {self.home} dst {AGENT} proto 135 dir out priority 1 "
                f"tmpl proto hao mode ro level use tmpl proto esp reqid {number} mode transport",
                f"policy add src {AGENT} dst {self.home} proto 135 dir in priority 1 "
                f"tmpl proto esp reqid {number} mode transport tmpl proto route2 mode ro level use"]
        else:
            old = LINKS[self.link][1]
            ends = {"in": (old, AGENT), "out": (AGENT, old)}
            lines += ["state delete src {} dst {} proto esp spi {}".format(
                *ends[a["direction"]], a["spi"]) for a in self.listed if a["use"] == "payload"]
            lines += [f"policy delete src {self.home} dst ::/0 dir out",
                      f"policy delete src ::/0 dst {self.home} dir in"]
        lines += [f"state add src {self.home} dst {AGENT} proto hao mode ro coa {care_of}",
                  f"state add src {AGENT} dst {self.home} proto route2 mode ro coa {care_of}"]
        lines += [self.state("payload", d, care_of) for d in ("in", "out")]
        lines += [
            f"policy add src {self.home} dst ::/0 dir out priority 9 tmpl src {care_of} dst {AGENT} "
            f"proto esp reqid {number + 1} mode tunnel",
            f"policy add src ::/0 dst {self.home} dir in priority 9 tmpl src {AGENT} dst {care_of} "
            f"proto esp reqid {number + 1} mode tunnel"]
        self.guest.run("set -e\n" + "\n".join(f"/bin/ip xfrm {line}" for line in lines) +
                       f"\n/bin/ip -6 address replace {self.home}/128 dev lo nodad home\n"
                       f"/bin/ip -6 route replace default via {LINKS[link][0]} dev eth{link} "
                       f"src {self.home}")
        self.link = link
        self.moves += 1

    def n_opened(self):
        """How many packets the kernel has opened with the SA of the payload."""
        spi = next(a["spi"] for a in self.listed
                   if (a["use"], a["direction"]) == ("payload", "out"))
        shown = self.guest.run("/bin/ip -s xfrm state").split("\nsrc ")
        one = next(text for text in shown if f"spi 0x{spi:08x}" in text)
        return int(re.search(r"(\d+)\(packets\)\s+add", one).group(1))

    def register(self, lifetime_s=400):
        self.seq += 1
        return self.guest.python(REGISTER.format(
            home=self.home, agent=AGENT, care_of=LINKS[self.link][1], seq=self.seq,
            lifetime=lifetime_s // 4, timeout=15)).split()


class Bed:
    """The box, a router for both links of the guest, and a correspondent."""

    def __init__(self):
        self.guest = None
        self.mobiles = [KernelMobile(None, n + 1, suite) for n, suite in enumerate(SUITES)]
        self.lab = Lab([network("ipsec", 1, "ipsec")], [m.subscriber() for m in self.mobiles],
                       n_ports=1, max_sas=64)
        try:
            self._build()
        except BaseException:
            print("\n".join(self.close()))
            raise

    def _build(self):
        spaces = self.lab.namespaces
        router = spaces.prefix + "peer"
        self.cn = spaces.add("cn")
        spaces.sysctl(router, "net.ipv6.conf.all.forwarding", 1)
        spaces.veth(self.cn, "c0", router, "n0")
        spaces.address(router, "n0", "2001:db8:20::1/64")
        spaces.address(self.cn, "c0", f"{CORRESPONDENT}/64")
        spaces.route(self.cn, "default", "via", "2001:db8:20::1")
        spaces.route(router, "2001:db8:1::/64", "via", CORE_BOX)
        self.lab.start()
        self.guest = Guest(router, len(LINKS))
        for n, (ours, care_of) in enumerate(LINKS):
            spaces.address(router, f"g{n}", f"{ours}/64")
            self.guest.run(f"/bin/ip link set eth{n} up\n"
                           f"/bin/ip -6 address add {care_of}/64 dev eth{n} nodad")
        for mobile in self.mobiles:
            mobile.guest = self.guest

    def ping(self, home, size, count=3):
        """Pings from the correspondent. Returns how many answers came."""
        out = netns.run("ip", "netns", "exec", self.cn, "ping", "-n", "-i", "0.2", "-W", "3",
                        "-c", count, "-s", size, "-M", "do", home, check=False, timeout=60)
        return int(re.search(r"(\d+) received", out).group(1))

    def close(self):
        if self.guest is not None:
            self.guest.close()
        return self.lab.close()


@pytest.fixture(scope="module")
def bed(root):
    made = Bed()
    yield made
    problems = made.close()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("number", range(len(SUITES)), ids=["-".join(filter(None, s)) for s in SUITES])
def test_registration_and_payload(bed, number):
    """Update and Acknowledgement in transport mode, echo both ways in tunnel mode."""
    mobile = bed.mobiles[number]
    mobile.attach(0)
    assert mobile.register() == ["0", "1", "100"]
    for size in (8, 100, 1300):
        assert bed.ping(mobile.home, size) == 3
    out = bed.guest.run(f"ping -c 3 -I {mobile.home} {CORRESPONDENT}")
    assert "3 packets received" in out


def test_movement_takes_binding_and_tunnel_along(bed):
    mobile = bed.mobiles[0]
    mobile.attach(1)
    assert mobile.register()[0] == "0"
    shown = bed.lab.box.binding(mobile.home)
    assert shown["care_of"][0]["address"] == LINKS[1][1]
    assert bed.ping(mobile.home, 1000) == 3
    with bed.lab.counting_drops() as drops:
        assert bed.ping(mobile.home, 1000) == 3
    assert not [name for name in drops if name.startswith("esp")]


def test_largest_packet_and_the_one_beyond(bed):
    """The room in the tunnel is told exactly: what fits arrives, a byte more is answered."""
    mobile = bed.mobiles[1]
    out = netns.run("ip", "netns", "exec", bed.cn, "ping", "-n", "-W", "3", "-c", 2, "-s", 1452, "-M",
                    "do", mobile.home, check=False)
    mtu = int(re.search(r"mtu[= ](\d+)", out).group(1))
    # Of 1500: 40 outer header, 8 ESP, 8 IV, 16 check value, 2 trailer, in steps of four.
    assert mtu == 1426
    before = mobile.n_opened()
    bed.ping(mobile.home, mtu - 48)  # the kernel's own tunnel has less room for the answers
    assert mobile.n_opened() == before + 3


def test_wrong_key_is_heard_by_nobody(bed):
    mobile = bed.mobiles[2]
    bed.guest.run(f"/bin/ip xfrm state deleteall src {mobile.home} dst {AGENT} proto esp")
    spoilt = dict(next(a for a in mobile.listed
                       if (a["use"], a["direction"]) == ("signalling", "in")))
    spoilt["authentication_key"] = "00" * 20
    good, mobile.listed = mobile.listed, [
        spoilt if a["spi"] == spoilt["spi"] else a for a in mobile.listed]
    line = mobile.state("signalling", "in", LINKS[0][1])
    mobile.listed = good
    bed.guest.run(f"/bin/ip xfrm {line}")
    with bed.lab.counting_drops() as drops:
        bed.guest.python(REGISTER.format(home=mobile.home, agent=AGENT, care_of=LINKS[0][1], seq=9,
                                         lifetime=100, timeout=2), check=False)
        time.sleep(0.5)
    assert drops.get("esp_icv", 0) >= 1
    shown = bed.lab.box.binding(mobile.home)
    assert shown["sequence"] == 1
