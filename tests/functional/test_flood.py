# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""Floods of signalling that nobody has authenticated, beside mobiles that go on as ever.

Attacks 15, 17 and 18; bars A1, A4 and A8. All floods are bounded in number; nothing is timed.
"""

import ipaddress
import signal
import threading
import time

import pytest
from scapy.layers.inet6 import MIP6MH_Generic

from conftest import AUTH_SUBSCRIBERS, NETWORKS, SUBSCRIBERS
from harness import mip6
from harness.lab import Lab
from harness.stream import Stream, arrivals, numbered

pytestmark = pytest.mark.sanitize

N_FLOOD = 4000
FLOOD_BURST = 20  # packets between two naps of 5 ms
TRIES = 3  # of a mobile until it is heard
AGENT = "2001:db8:2::1"
PUNT_WINDOW = 1024
# What may become of a flood: forwarding drops nothing.
FLOOD_DROPS = {"police_class0", "police_class1", "police_class2", "police_sender",
               "punt_backlog", "punt_superseded", "main_signal_full"}


@pytest.fixture(scope="module")
def lab(root):
    """A lab of its own, whose subscribers no other test uses."""
    made = Lab(NETWORKS, SUBSCRIBERS)
    try:
        made.start()
        yield made
    finally:
        problems = made.close()
    assert not problems, "\n".join(problems)


_unused = iter(AUTH_SUBSCRIBERS)


@pytest.fixture
def mobile(lab):
    """A registered mobile with a key."""
    row = next(_unused)
    key = row["keys"][0]
    one = lab.mobile("auth", home=row["home_addresses"][0], spi=key["spi"],
                     key=bytes.fromhex(key["key"]), mn_id=row["mn_id"].encode())
    one.register()
    return one


@pytest.fixture
def traffic(lab):
    """Another mobile, with traffic both ways that must not lose a packet."""
    one = lab.mobile()
    one.register()
    return one


def source(n):
    """An address in a /64 of its own, behind the access network."""
    return str(ipaddress.IPv6Address("2001:db8:a6::66") + (n << 64))


def home(n):
    return str(ipaddress.IPv6Address("2001:db8:2::f00:0") + n)


def forged(mobile):
    """An update with everything right for the mobile's home, but the key."""
    return bytes(mip6.authenticated_update(mobile.home, source(0), AGENT, 1, mobile.spi,
                                           b"nobody's key", mobile.mn_id, mip6.ntp_now()))


def unknown_homes(mobile):
    """Updates for homes that are not bound, each from elsewhere."""
    packet = forged(mobile)
    return [mip6.readdressed(packet, source(n), home(n), n) for n in range(N_FLOOD)]


def wrong_authenticators(mobile):
    """Updates for the mobile's home, each from elsewhere."""
    packet = forged(mobile)
    return [mip6.readdressed(packet, source(n), mobile.home, n) for n in range(N_FLOOD)]


def spoofed_sources(mobile):
    """Updates without authentication for the mobile's home; each from elsewhere."""
    packet = bytes(mip6.binding_update(mobile.home, source(0), AGENT, 1))
    return [mip6.readdressed(packet, source(n), mobile.home, n) for n in range(N_FLOOD)]


def one_sender(mobile):
    """The same unknown pair of source and home again and again."""
    packet = forged(mobile)
    return [mip6.readdressed(packet, source(0), home(0), n) for n in range(N_FLOOD)]


def errors_wanted(_):
    """Messages that ask for Binding Errors and Parameter Problems."""
    packets = [bytes(mip6.mobile_headers(source(0), AGENT, home(0)) /
                     MIP6MH_Generic(mhtype=kind, res=0, msg=body))
               for kind, body in ((77, bytes(10)), (5, bytes(2)))]
    return [mip6.readdressed(packets[n % 2], source(n % 40), home(n), n) for n in range(N_FLOOD)]


class Flood(threading.Thread):
    """Sends packets at a pace that the receive rings of a lab bear, to the end or until stopped."""

    def __init__(self, wire, packets):
        super().__init__(daemon=True)
        self.wire = wire
        self.packets = packets
        self.n_bytes = sum(map(len, packets))

    def run(self):
        for at in range(0, len(self.packets), FLOOD_BURST):
            self.wire.send(*self.packets[at:at + FLOOD_BURST])
            time.sleep(0.005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.join()


def heard(mobile, **how):
    """Sends an update as often as it takes, each with a new number as a mobile does; how often."""
    for tries in range(1, TRIES + 1):
        mark, seq = mobile.send_update(**how)
        try:
            answer = mobile.answer(mark, seq=seq, care_of=how.get("care_of"), timeout_s=2)
        except AssertionError:
            continue
        assert answer.status == 0
        return tries
    raise AssertionError(f"not heard in {TRIES} tries: {mobile.lab.box.drops()}")


@pytest.mark.parametrize("kind", [unknown_homes, wrong_authenticators, spoofed_sources, one_sender,
                                  errors_wanted], ids=lambda k: k.__name__)
def test_mobiles_are_heard_and_traffic_flows_beside_a_flood(lab, mobile, traffic, kind):
    packets = kind(mobile)
    mark = lab.access.mark(), lab.core.mark()
    with lab.counting_drops() as drops:
        with (Stream(lab.core, traffic.down_packet(numbered(0)), per_s=200) as down,
              Stream(traffic.wire, traffic.tunnelled(traffic.up_inner(numbered(0))),
                     per_s=200) as up,
              Flood(lab.access, packets) as flood):
            heard(mobile)  # refreshes
            heard(mobile, care_of=mobile.second_care_of)  # moves
            mobile.receive_down(care_of=mobile.second_care_of)
            heard(mobile, care_of=mobile.second_care_of)  # refreshes there
            heard(mobile)  # and back
        came_down = arrivals(lab.access, mark[0], until=down.sent)
        came_up = arrivals(lab.core, mark[1], until=up.sent)
        lab.settle()
    assert [n for n, _ in came_down] == list(range(down.sent))
    assert [n for n, _ in came_up] == list(range(up.sent))
    binding = lab.box.binding(traffic.home)
    assert (binding["packets_down"], binding["packets_up"]) == (down.sent, up.sent)
    assert set(drops) <= FLOOD_DROPS, drops
    mobile.receive_down()
    if kind is one_sender:
        assert drops["police_sender"] > N_FLOOD / 2
    # Nobody gets more out of us than was put in under his name.
    sources = {mip6.packed(source(n)) for n in range(N_FLOOD)}
    n_bytes_out = sum(len(f.ip_bytes) for f in lab.access.since(mark[0])
                      if f.is_ip6 and f.raw[38:54] in sources)
    assert n_bytes_out <= flood.n_bytes


def test_refused_updates_are_answered_with_no_more_than_they_had(lab, mobile):
    """Bar A4, one by one; the care-of addresses differ so that each is its own sender."""
    sent = {}
    mark = lab.access.mark()
    for n, kind in enumerate((wrong_authenticators, spoofed_sources)):
        for i, packet in enumerate(kind(mobile)[:40]):
            src = str(ipaddress.IPv6Address(source(i)) + n)
            sent[src] = len(packet)
            lab.access.send(packet[:8] + mip6.packed(src) + packet[24:])
    lab.settle()
    answers = [f for f in lab.access.since(mark) if f.is_ip6 and f.dst in sent]
    assert answers
    assert all(len(f.ip_bytes) <= sent[f.dst] for f in answers)
    assert len(answers) <= len(sent)


def test_a_mobile_with_a_key_may_not_storm(lab, mobile):
    """Reliability row M4: what it may not send costs others nothing and is counted."""
    n = 300
    packets = [bytes(mobile.update_packet(1000 + i)) for i in range(n)]
    mark = lab.access.mark()
    with lab.counting_drops() as drops:
        lab.access.send(*packets)
        lab.settle()
    answers = lab.access.count(lambda f: mip6.is_mobility(f, 6, mobile.home), mark)
    assert drops["police_sender"] + answers == n
    assert drops["police_sender"] > n / 2
    other = lab.mobile()
    assert other.update().status == 0


def test_one_sender_is_a_network_and_a_home_address(lab):
    """Other homes behind the same network, and other networks for the same home, are heard."""
    one = lab.mobile()
    with lab.counting_drops() as drops:
        for seq in range(1, 40):
            one.wire.send(one.update_packet(seq))
        lab.settle()
    assert drops["police_sender"] >= 10  # a burst before it was bound, and one as a known sender
    neighbour = lab.mobile()
    neighbour.care_of = str(ipaddress.IPv6Address(one.care_of) + 7)
    neighbour.register()
    one.register(seq=100, care_of=one.second_care_of)


@pytest.fixture
def stopped_control(lab):
    """Control stands still, and goes on after the test at the latest."""
    lab.settle()
    control = lab.box.control.popen
    control.send_signal(signal.SIGSTOP)
    yield lambda: control.send_signal(signal.SIGCONT)
    control.send_signal(signal.SIGCONT)


def status(lab):
    return lab.box.telemetry("/unwired/status")


def test_slow_control_gets_the_newest_and_the_known_first(lab, mobile, stopped_control):
    """What waits is bounded, a flood fills half the window, of a sender the newest update waits."""
    late = lab.mobile()
    flood = unknown_homes(mobile)[:800]
    mark = lab.access.mark()
    with lab.counting_drops() as drops:
        Flood(lab.access, flood).run()
        lab.box.wait_for(lambda: status(lab)["punts_waiting"] >= 200, 5, "a queue")
        full = status(lab)
        assert full["punts_on_way"] <= PUNT_WINDOW // 2
        for seq in (1, 2, 3):
            late.send_update(seq=seq)
        lab.box.wait_for(lambda: status(lab)["punts_waiting"] == full["punts_waiting"] + 1, 5,
                         "the newest of three")
        mobile.send_update()
        lab.box.wait_for(lambda: status(lab)["punts_on_way"] == full["punts_on_way"] + 1, 5,
                         "the known mobile's update on its way")
    assert drops["punt_superseded"] == 2
    stopped_control()
    assert mobile.answer(mark).status == 0
    answer = late.answer(mark)
    assert (answer.status, answer.seq) == (0, 3)
    lab.settle()
    assert lab.access.count(lambda f: mip6.is_mobility(f, 6, late.home), mark) == 1
    lab.box.wait_for(lambda: status(lab)["punts_on_way"] == 0, 5, "credit for all")
    assert status(lab)["punts_waiting"] == 0


def test_budgets_follow_what_control_takes(own_lab):
    """While it takes nothing they fall, to rise again when it does."""
    lab = own_lab(NETWORKS, SUBSCRIBERS)
    mobile = lab.mobile("auth", spi=1, key=b"no key that anybody has", mn_id=b"nobody@example.net")
    before = status(lab)
    assert (before["budget_class0_per_s"], before["budget_class1_per_s"],
            before["budget_class2_per_s"]) == tuple(
                before["punts_per_s"] // share for share in (1, 2, 4))
    lab.box.control.popen.send_signal(signal.SIGSTOP)
    try:
        Flood(lab.access, unknown_homes(mobile)[:700]).run()
        lab.box.wait_for(lambda: status(lab)["punts_per_s"] < before["punts_per_s"] / 4, 20,
                         "less for a control process that stands still")
    finally:
        lab.box.control.popen.send_signal(signal.SIGCONT)
    lab.settle()
    low = status(lab)["punts_per_s"]
    Flood(lab.access, unknown_homes(mobile)).run()
    lab.box.wait_for(lambda: status(lab)["punts_per_s"] > low, 5, "more for one that works")
