# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""The test bed: a home agent with registered mobiles, probed while a fault is done to it, and judged
by the invariants at the end of each run."""

import contextlib
import time

import invariants
import planted
from harness import sas
from harness.lab import Lab, network
from harness.mirror import Daemon
from harness.mirror import packed as packed_association
from harness.sealed import Sealed
from plain import PlainPath
from probe import Probe
from roamers import Roamers

N_OPEN, N_AUTH = 4, 2
PROTECT = 1 << 1 | 1 << 4  # signalling, payload
SEALED = "2001:db8:3::"  # the network with authentication ipsec, where a bed has one


def sealed_lists(n):
    """Associations of n mobiles by home address: as RFC 3776 would have them for signalling; payload in
    the clear under a check value, so that the probes can be read on the wire."""
    made = {}
    for i in range(n):
        both = sas.associations(0x10000 + 16 * i, ("signalling",), encryption="aes-cbc",
                                authentication="hmac-sha1-96")
        both += sas.associations(0x10008 + 16 * i, ("payload",), encryption="null",
                                 authentication="hmac-sha256-128")
        made[f"{SEALED}{0x100 + i:x}"] = both
    return made


class Run:
    """What one run of a fault saw."""

    def __init__(self, bed, probe, roamers, is_quick):
        self.bed, self.probe, self.roamers, self.is_quick = bed, probe, roamers, is_quick
        self.data_outages, self.signalling_outages = [], []  # (begin, end) in seconds
        self.signalling_gap_s = 0.0  # longest time without an answer
        self.short = None  # (flow, asked at, acknowledged at)
        self.may_refuse = set()  # statuses that the fault may cause
        self.broken = []  # sentences
        self.notes = []

    @contextlib.contextmanager
    def outage(self, data=False, signalling=False):
        """Marks the time of the block as one in which the box cannot do that."""
        begin = time.time()
        try:
            yield
        finally:
            span = (begin, time.time())
            if data:
                self.data_outages.append(span)
            if signalling:
                self.signalling_outages.append(span)

    def require(self, holds, sentence):
        """Notes a broken promise of the row itself."""
        if not holds:
            self.broken.append(sentence)

    def note(self, text):
        self.notes.append(text)


class Bed:
    """One lab with its mobiles; runs faults one after another."""

    def __init__(self, scratch, **how):
        self.scratch = scratch  # where processes leave core files
        judges_form = how.pop("judges_form", True)
        self.n_probed = how.pop("n_probed", N_OPEN)
        prepare = how.pop("prepare", None)
        listed = sealed_lists(how.pop("n_sealed", 0))
        self.is_learned = how.pop("is_learned", False)  # their associations are of an IKE daemon
        self.mirror = None
        networks = [network("open", 1), network("auth", 2, "auth-option")]
        if listed:
            networks.append(network("sealed", 3, "ipsec", protect=["signalling"]))
        self.lab = Lab(networks, planted.SUBSCRIBERS + [
            {"home_addresses": [home], "security_associations": one} for home, one in listed.items()
            if not self.is_learned], **how)
        self.sealed = [Sealed(self.lab, self.lab.networks["sealed"], 0x4000 + i, home, one)
                       for i, (home, one) in enumerate(listed.items())]
        self.lab.judges_form = judges_form
        self.box = self.lab.box
        self.box.config["telemetry"] = {"listen": "[::1]:9273"}
        self.box.write_config()
        self.plain_path = None
        try:
            self.plain_path = PlainPath(self.lab)
            if prepare is not None:
                prepare(self)
            self.lab.start()
            self.mobiles = [self.lab.mobile() for _ in range(self.n_probed)]
            self.mobiles += [planted.mobile(self.lab, n) for n in range(N_AUTH)]
            self.roaming = [self.lab.mobile(), planted.mobile(self.lab, N_AUTH)]
            if self.is_learned:
                self._learn(listed)
                self.mobiles += self.sealed
            for one in self.mobiles + self.roaming:
                one.register()
            self.rest = invariants.rest_of(self)
        except BaseException:
            self.close()
            raise

    def _learn(self, listed):
        self.mirror = Daemon(self.box.run_dir, self.sealed[0].agent, {
            home: [packed_association(a) for a in one] for home, one in listed.items()},
            PROTECT)
        self.box.wait_for(lambda: self.box.ctl("status")["security_associations"]["standing"] ==
                          sum(map(len, listed.values())), 10, "what is learned")

    def _begin_short(self, run, probe):
        one = self.lab.mobile()
        asked = time.time()
        one.register(lifetime_s=invariants.SHORT_LIFETIME_S)
        run.short = (probe.add(one, True, is_measured=False), asked, time.time())

    def run(self, row, is_quick=False):
        """Does the fault of a row under traffic. Returns the Run with what was broken."""
        probe, roamers = Probe(self.lab, self.mobiles, self.plain_path), Roamers(self.roaming)
        run = Run(self, probe, roamers, is_quick)
        with probe:
            with roamers if row.roams else contextlib.nullcontext():
                if row.has_short:
                    self._begin_short(run, probe)
                time.sleep(0.4)
                row.fault(run)
                time.sleep(0.6)
                if run.short is not None:
                    over = run.short[2] + invariants.SHORT_LIFETIME_S + invariants.EXPIRY_SLACK_S
                    time.sleep(max(0.0, over + 0.4 - time.time()))
        time.sleep(0.3)
        probe.collect()
        if row.roams:
            run.signalling_gap_s = roamers.gap_s()
        invariants.judge(run, row)
        return run

    # What faults do.

    def restart_control(self, run):
        with run.outage(signalling=True):
            self.box.start_control()
            self.box.wait_synced()

    def restart_dataplane(self, run):
        with run.outage(data=True, signalling=True):
            self.box.start_dataplane()
            self.box.wait_synced()

    def bindings(self):
        """What must last of each live binding, by home address."""
        lasting = ("home_network", "domain", "mn_id", "lifetime_s", "sequence", "state", "flags")
        return {b["home_address"]: {**{k: b.get(k) for k in lasting},
                                    "care_of": b["care_of"][0]["address"]}
                for b in self.box.ctl("show", "bindings", "--limit", 100000)}

    def end(self):
        """Both processes die at once and come back alone (I11). Returns what was broken."""
        before = self.bindings()
        self.box.kill_control()
        self.box.kill_dataplane()
        self.box.start_dataplane()
        self.box.start_control()
        self.box.wait_synced()
        after = self.bindings()
        broken = [f"I11: {home} was {what} and is {after.get(home)} after a kill of both"
                  for home, what in before.items()
                  if what["lifetime_s"] > 60 and after.get(home) != what]
        broken += [f"I11: {home} came up from nowhere" for home in after.keys() - before.keys()]
        for one in self.mobiles:
            one.receive_down()
            one.receive_up()
        return broken

    def close(self):
        """Takes everything away. Returns what was wrong, a list of sentences."""
        if self.plain_path is not None:
            self.plain_path.close()
        if self.mirror is not None:
            self.mirror.close()
        return self.lab.close()

