# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the Unwired authors
"""What operators do: reloads of everything that can be reloaded, right and wrong."""

import copy
import json
import os
import pathlib
import re
import shutil

import planted
from harness.lab import Mobile, network
from row import Row

DOCUMENTATION = pathlib.Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
PREFIX_DISCOVERY, NOT_HOME_SUBNET = 1, 132


def live_keys():
    """The keys that take effect with a reload and have more than one value, as documented."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \|.*\| reload \|$", DOCUMENTATION.read_text(), re.M)
    assert rows, "no keys in the documentation"
    return {key for key, value in rows if not value.startswith("nothing")}


class Operator:
    """Edits the configuration file and reloads."""

    def __init__(self, run):
        self.run, self.lab, self.box = run, run.bed.lab, run.bed.box
        self.good = copy.deepcopy(self.box.config)
        self.n = 0x40

    def in_force(self):
        return json.loads((self.box.state_dir / "running.json").read_text())

    def reload(self, config):
        self.box.config_file.write_text(json.dumps(config, indent=2))
        return self.box.ctl_process("reload")

    def take(self, config, what):
        """A reload that must be taken as a whole."""
        done = self.reload(config)
        self.run.require(done.returncode == 0, f"{what}: {done.stderr}")
        self.run.require(self.in_force() == config, f"{what}: another configuration is in force")

    def refuse(self, config, key):
        """A reload that must be refused with the key's name and change nothing."""
        before = self.in_force()
        done = self.reload(config)
        self.run.require(done.returncode == 1 and key in done.stderr,
                         f"wrong {key}: {done.returncode} {done.stderr}")
        self.run.require(self.in_force() == before, f"wrong {key}: another configuration is in force")

    def changed(self, **net):
        """The good configuration with a further network that has these members too."""
        config = copy.deepcopy(self.good)
        config["home_networks"].append({**network("changing", 9), **net})
        return config

    def answer(self, agent="2001:db8:9::1", prefix=9, lifetime_s=400):
        """What a new mobile of the further network is told, or None."""
        self.n += 1
        mobile = Mobile(self.lab, {"agent_addresses": [agent],
                                   "prefixes": [f"2001:db8:{prefix}::/64"]}, 0x1000 + self.n)
        self.last = mobile
        mark, _ = mobile.send_update(lifetime_s=lifetime_s)
        try:
            return mobile.answer(mark, timeout_s=2)
        except AssertionError:
            return None


def _has_limit(operator):
    """Whether a tunnel packet begins with a destination options header."""
    answer = operator.answer()
    if answer is None or answer.status != 0:
        return False
    mark = operator.lab.access.mark()
    operator.lab.core.send(operator.last.down_packet(b"with a limit"))
    operator.lab.access.expect(
        lambda f: f.dst == operator.last.care_of and f.next_header == 60, mark)
    return True


def _status(answer):
    return None if answer is None else answer.status


# Of each live key: a right value and what shows that it is in force, and a wrong value.
CHANGES = {
    "name": ("other", lambda o: any(n["name"] == "other" for n in o.box.rows("networks")), "a b"),
    "protocols": (["mip6"], lambda o: _status(o.answer()) == 0, ["mip7"]),
    "domain": (0, lambda o: _status(o.answer()) == 0, 65536),
    "prefixes": (["2001:db8:9::/64", "2001:db8:e::/64"],
                 lambda o: _status(o.answer(prefix="e")) == 0, ["2001:db8:1::/63"]),
    "agent_addresses": (["2001:db8:9::1", "2001:db8:9::5"],
                        lambda o: _status(o.answer(agent="2001:db8:9::5")) == 0, ["ff02::1"]),
    "link": ("virtual", lambda o: _status(o.answer()) == 0, "nonsense"),
    "authentication": ("auth-option", lambda o: o.answer() is None, "perhaps"),
    "max_lifetime_s": (40, lambda o: o.answer().lifetime_s == 40, 5),
    "prefix_valid_lifetime_s": (84, lambda o: o.answer().lifetime_s == 84, -1),
    "prefix_deprecated": (True, lambda o: _status(o.answer()) == PREFIX_DISCOVERY, "yes"),
    "encapsulation_limit": (4, _has_limit, 256),
    "mesg_id_required": (False, lambda o: _status(o.answer()) == 0, 0),
}


def reload_everything(run):
    """U2: each live key, right and wrong, and mixtures; nothing is ever half applied."""
    operator, bed = Operator(run), run.bed
    tested = {f"home_networks[].{name}" for name in CHANGES} | {"home_networks", "subscribers",
                                                               "subscribers.file"}
    run.require(live_keys() == tested, f"the live keys are not those tested: {live_keys() ^ tested}")
    try:
        for name, (value, shows, wrong) in CHANGES.items():
            operator.take(operator.changed(**{name: value}), name)
            run.require(shows(operator), f"{name} = {value} has no effect")
            operator.refuse(operator.changed(**{name: wrong}), f"home_networks[2].{name}")
            run.require(shows(operator), f"{name} = {value} was lost by a refused reload")
        _mixtures(run, operator)
        _subscribers(run, operator)
        bed.box.config_file.write_text('{ "node": ')
        run.require(bed.box.ctl_process("reload").returncode == 1, "half a file was taken")
    finally:
        operator.take(operator.good, "the configuration as before")
    run.require(not any(n["name"] == "changing" for n in bed.box.rows("networks")),
                "a removed network is still there")
    run.require(_status(operator.answer()) != 0, "a removed network still takes registrations")
    run.note(f"{len(tested)} live keys")


def _mixtures(run, operator):
    """A right change beside a wrong one, and beside one that needs a restart."""
    operator.take(operator.changed(max_lifetime_s=40), "max_lifetime_s")
    config = operator.changed(max_lifetime_s=80)
    config["home_networks"][0]["max_lifetime_s"] = 5
    operator.refuse(config, "home_networks[0].max_lifetime_s")
    config = operator.changed(max_lifetime_s=80)
    config["dataplane"]["max_bindings"] = 5000
    operator.refuse(config, "dataplane.max_bindings")
    run.require(operator.answer().lifetime_s == 40, "a part of a refused configuration is in force")


def _subscribers(run, operator):
    """Another file; a wrong one is refused with all that came with it."""
    box = run.bed.box
    n = box.ctl("status")["subscribers"]
    other = box.dir / "subscribers-other.jsonl"
    more = {"mn_id": "more@example.net", "home_addresses": ["2001:db8:2::77"]}
    owner = [getattr((box.dir / "subscribers.jsonl").stat(), f) for f in ("st_uid", "st_gid")]
    good = (box.dir / "subscribers.jsonl").read_text() + json.dumps(more) + "\n"
    other.write_text(good)
    shutil.copystat(box.dir / "subscribers.jsonl", other)
    os.chown(other, *owner)
    config = operator.changed(max_lifetime_s=40)
    config["subscribers"] = {"file": other.name}
    operator.take(config, "subscribers.file")
    run.require(box.ctl("status")["subscribers"] == n + 1, "the other subscribers are not in force")
    other.write_text(good + '{"mn_id": 7}\n')
    config["home_networks"][-1]["max_lifetime_s"] = 80
    operator.refuse(config, f"line {len(planted.SUBSCRIBERS) + 2}")
    run.require(box.ctl("status")["subscribers"] == n + 1 and operator.answer().lifetime_s == 40,
                "a part of a refused configuration is in force")


ROWS = [
    Row("U2", "reloads of every live key, right and wrong", reload_everything, data_bar_ms=0),
]
