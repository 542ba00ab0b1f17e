"""The OWASP Core Rule Set, loaded as published, against its own regression tests."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from bsguard.seclang.model import Marker
from tests.seclang import crs

pytestmark = pytest.mark.skipif(not crs.CRS.is_dir(), reason=f"needs the Core Rule Set in {crs.CRS}")

#: The tests that do not come out, each with its reason.
KNOWN = {
    entry["test"]: entry["reason"]
    for entry in tomllib.loads(Path(__file__).with_name("crs_misses.toml").read_text())["miss"]
}


def test_every_construct_is_known() -> None:
    program = crs.rule_set().program
    links = sum(len(rule.links) for rule in program.rules)
    markers = sum(isinstance(item, Marker) for item in program.items)

    assert (len(program.rules) - 1, links - 1, markers) == (630, 703, 30)  # without the set-up action of the tests
    assert program.notices == ()


def test_targets_updated_by_id_reach_their_rules() -> None:
    rule = next(rule for rule in crs.rule_set().program.rules if rule.id == 942550)
    excluded = {str(variable) for variable in rule.links[0].variables if variable.excluded}

    assert {"!REQUEST_COOKIES:/^_ga(?:_\\w+)?$/", "!REQUEST_COOKIES:__gads"} <= excluded


def test_regression() -> None:
    rules = crs.rule_set()
    cases = crs.cases()
    missed = {case.name: found for case in cases if (found := case.misses(rules))}

    assert len(cases) == crs.COUNT
    assert missed.keys() == KNOWN.keys(), {name: missed.get(name) for name in missed.keys() ^ KNOWN.keys()}
    assert len(KNOWN) <= crs.COUNT * 0.005


def test_a_miss_is_seen() -> None:
    """The runner can fail: without the rules, nearly every test that wants a report misses it."""
    rules = crs.RuleSet.parse("SecRuleEngine DetectionOnly")
    cases = crs.cases()
    outcomes = Counter(bool(case.misses(rules)) for case in cases)

    assert outcomes[True] > 2900


def test_blocking_stops_at_the_threshold() -> None:
    rules = crs.rule_set(1, "On", plain=True)
    headers = [("Host", "example.com"), ("User-Agent", "tests"), ("Accept", "*/*")]
    attack = rules.inspect(target="/?q=1%27%20or%20%271%27=%271%20union%20select%201", headers=headers)
    harmless = rules.inspect(target="/?q=blue+whale", headers=headers)

    assert (attack.verdict.action, attack.verdict.status, attack.verdict.rule_id) == ("deny", 403, 949110)
    assert attack.scores["blocking_inbound_anomaly_score"] >= 5
    assert harmless.verdict.allowed
    assert harmless.rule_ids == ()
