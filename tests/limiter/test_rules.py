"""Rules as data: what is read, and that every wrong one is told with its remedy, all at once."""

from __future__ import annotations

from typing import Any

import pytest

from bsguard import ConfigError
from bsguard.core.config import Wanted
from bsguard.limiter.config import LimiterConfig
from bsguard.limiter.rate import Quota, quota, quotas
from bsguard.limiter.rule import Rule
from bsguard.standard import read_plan
from tests.limiter.support import table

CANARY = "c4nary7c4nary7"

RATES: dict[str, tuple[str, list[tuple[int, int]]]] = {
    "with a slash": ("100/minute", [(100, 60)]),
    "in words": ("5 per 10 minutes", [(5, 600)]),
    "two": ("10/second; 1000/hour", [(10, 1), (1000, 3600)]),
    "two with a comma": ("10/second, 1000/hour", [(10, 1), (1000, 3600)]),
    "of days": ("1000/day", [(1000, 86_400)]),
    "of a month": ("1 per month", [(1, 2_592_000)]),
    "of a year": ("1/year", [(1, 31_104_000)]),
    "in capitals": ("7 PER HOUR", [(7, 3600)]),
    "a multiple with a slash": ("7/2hour", [(7, 7200)]),
}


@pytest.mark.parametrize(("text", "found"), table(9, RATES))
def test_a_rate_is_read_as_flask_limiter_reads_it(text: str, found: list[tuple[int, int]]) -> None:
    assert [(one.amount, one.seconds) for one in quotas(text)] == found


NO_RATES: dict[str, object] = {
    "nothing": "",
    "a word": CANARY,
    "no amount": "per minute",
    "no period": "100",
    "an unknown period": "100/fortnight",
    "zero": "0/minute",
    "negative": "-5/minute",
    "a fraction": "1.5/minute",
    "a number": 100,
    "none": None,
    "a list": ["100/minute"],
    "too many": "1000000001/second",
    "too long": "1 per 2 years",
    "digits of no number": "1²/minute",
    "more behind it": f"100/minute {CANARY}",
    "half of two": "100/minute; nonsense",
    "a number of five thousand digits": "9" * 5000 + "/minute",
}


@pytest.mark.parametrize("value", table(17, NO_RATES))
def test_what_is_no_rate_is_told_with_an_example(value: object) -> None:
    with pytest.raises(Wanted) as caught:
        quotas(value)

    assert "such as 100/minute" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_setting_with_one_rate_takes_no_two() -> None:
    assert quota("5 per 10 minutes") == Quota(5, 600)
    with pytest.raises(Wanted, match="one rate such as"):
        quota("1/second; 2/minute")


GOOD = {"name": "burst", "rate": "5/minute"}

READ: dict[str, tuple[dict[str, Any], str, object]] = {
    "the key is the address by default": ({}, "key", "ip"),
    "an identity": ({"key": "identity"}, "key", "identity"),
    "a constant": ({"key": "global"}, "key", "global"),
    "a header": ({"key": "header:X-Api-Key"}, "header", "HTTP_X_API_KEY"),
    "a cost": ({"cost": 3}, "cost", 3),
    "an action": ({"action": "log"}, "action", "log"),
    "one action by default": ({}, "action", "block"),
    "a lapse": ({"rate": None, "concurrency": 2, "lapse_seconds": 5}, "lapse_seconds", 5),
    "two rates": ({"rate": "1/second; 9/minute"}, "quotas", (Quota(1, 1), Quota(9, 60))),
}


@pytest.mark.parametrize(("more", "field", "value"), table(9, READ))
def test_a_rule_is_read(more: dict[str, Any], field: str, value: object) -> None:
    item = {key: given for key, given in {**GOOD, **more}.items() if given is not None}

    assert getattr(Rule.parse(item), field) == value


BAD: dict[str, tuple[object, str]] = {
    "no mapping": ([CANARY], "a mapping"),
    "no name": ({"rate": "5/minute"}, '"name"'),
    "a name in capitals": ({**GOOD, "name": "Burst"}, '"name"'),
    "an empty name": ({**GOOD, "name": ""}, '"name"'),
    "a name with a quote": ({**GOOD, "name": 'a"b'}, '"name"'),
    "a name with a line end": ({**GOOD, "name": "a\n"}, '"name"'),
    "a name too long": ({**GOOD, "name": "a" * 41}, '"name"'),
    "a name that is a number": ({**GOOD, "name": 7}, '"name"'),
    "neither rate nor concurrency": ({"name": "a"}, 'either "rate" or "concurrency"'),
    "both": ({**GOOD, "concurrency": 2}, 'either "rate" or "concurrency"'),
    "an unknown key": ({**GOOD, CANARY: 1}, "only the keys action, concurrency, cost"),
    "an unknown kind of key": ({**GOOD, "key": "cookie"}, '"key" as ip, identity'),
    "a header without name": ({**GOOD, "key": "header:"}, '"key" as ip, identity'),
    "a header that is none": ({**GOOD, "key": "header:X Y"}, "header"),
    "an address with a name": ({**GOOD, "key": "ip:x"}, '"key" as ip, identity'),
    "a key that is a number": ({**GOOD, "key": 7}, '"key" as ip, identity'),
    "a cost over the amount": ({**GOOD, "cost": 6}, "fits into each rate"),
    "a cost over one of two amounts": ({**GOOD, "rate": "9/minute; 2/second", "cost": 3}, "fits into each rate"),
    "a cost of nothing": ({**GOOD, "cost": 0}, '"cost"'),
    "a cost that is a flag": ({**GOOD, "cost": True}, '"cost"'),
    "no action": ({**GOOD, "action": "ban"}, '"action"'),
    "no path": ({**GOOD, "path": "v1"}, '"/"'),
    "no method": ({**GOOD, "methods": ["G T"]}, '"methods"'),
    "no surface": ({**GOOD, "surface": 3}, '"surface"'),
    "no concurrency": ({"name": "a", "concurrency": 0}, '"concurrency"'),
    "a cost over the concurrency": ({"name": "a", "concurrency": 2, "cost": 3}, '"cost"'),
    "a lapse without concurrency": ({**GOOD, "lapse_seconds": 5}, '"lapse_seconds"'),
    "an endless lapse": ({"name": "a", "concurrency": 1, "lapse_seconds": 10**9}, '"lapse_seconds"'),
}


@pytest.mark.parametrize(("item", "words"), table(28, BAD))
def test_a_wrong_rule_is_told_with_what_is_wanted(item: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan({"LIMITER_RULES": [item]}, prefix="BSGUARD_")

    (problem,) = caught.value.problems
    assert problem.key == "BSGUARD_LIMITER_RULES"
    assert words in problem.message
    assert CANARY not in f"{caught.value}{caught.value!r}"


def rule(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "rate": "5/minute", **more}


AT_ODDS: dict[str, tuple[dict[str, object], str]] = {
    "two of one name": ({"RULES": [rule("a"), rule("a", path="/x")]}, "has two rules of one name"),
    "the name of a default": ({"RULES": [rule("global", path="/x")]}, "has two rules of one name"),
    "the second rate of one, and another": (
        {"RULES": [rule("a", rate="5/minute; 9/hour"), rule("a-2", path="/x")]},
        "has two rules of one name",
    ),
    "the same twice": ({"RULES": [rule("a"), rule("b")]}, "b can never take effect, because a always does before"),
    "one that another is stricter than": (
        {"RULES": [rule("a", rate="9/minute"), rule("b")]},
        "a can never take effect, because b always does before",
    ),
    "one that only reports behind one that refuses": (
        {"RULES": [rule("a", action="log", rate="9/minute"), rule("b")]},
        "a can never take effect",
    ),
    "a surface that nobody declared": ({"RULES": [rule("a", surface="api")]}, "BSGUARD_SURFACES does not declare"),
    "bans longer than the longest": (
        {"BAN_SECONDS": 700, "BAN_SECONDS_MAX": 600},
        "must not be larger than BSGUARD_LIMITER_BAN_SECONDS_MAX",
    ),
    "credentials in no header": ({"CREDENTIAL_HEADERS": []}, "set DEFAULTS to False"),
    "a mode of all own rules": ({"RULES": [rule("a")], "RULE_MODES": {"limiter.rule.*": "off"}}, "rule ids of this"),
    "a mode of an own rule that does not exist": (
        {"RULES": [rule("a")], "RULE_MODES": {"limiter.rule.b": "off"}},
        "names a rule that BSGUARD_LIMITER_RULES does not have",
    ),
    "a mode of a rule that does not exist": ({"RULE_MODES": {"limiter.nothing": "off"}}, "rule ids of this layer"),
}


@pytest.mark.parametrize(("values", "words"), table(12, AT_ODDS))
def test_rules_at_odds_are_told(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan({f"LIMITER_{key}": value for key, value in values.items()}, prefix="BSGUARD_")

    (problem,) = caught.value.problems
    assert words in problem.message


APART: dict[str, list[dict[str, Any]]] = {
    "a burst and a sustained rate": [rule("a", rate="10 per 10 seconds"), rule("b", rate="60 per 10 minutes")],
    "one method each": [rule("a", methods=["GET"]), rule("b", methods=["POST"])],
    "one path each": [rule("a", path="/x"), rule("b", path="/y")],
    "one key each": [rule("a", key="ip"), rule("b", key="identity")],
    "one header each": [rule("a", key="header:X-A"), rule("b", key="header:X-B")],
    "one that reports before one that refuses": [rule("a", action="log", rate="3/minute"), rule("b")],
    "one that costs more": [rule("a", cost=2), rule("b")],
    "a number at once and a rate": [{"name": "a", "concurrency": 2}, rule("b")],
}


@pytest.mark.parametrize("rules", table(8, APART))
def test_rules_that_each_take_effect_are_fine(rules: list[dict[str, Any]]) -> None:
    config = read_plan({"LIMITER_RULES": rules}).layers["limiter"]

    assert isinstance(config, LimiterConfig)
    assert [one.name for one in config.rules] == ["a", "b"]


def test_all_problems_are_told_at_once() -> None:
    values = {"GLOBAL_RATE": "x", "RULES": [{}], "BAN_SECONDS": 0, "NOTHING": 1, "EXEMPT_NETWORKS": ["x"]}
    with pytest.raises(ConfigError) as caught:
        read_plan({f"LIMITER_{key}": value for key, value in values.items()}, prefix="BSGUARD_")

    assert sorted(problem.key.removeprefix("BSGUARD_LIMITER_") for problem in caught.value.problems) == sorted(values)


def test_an_own_rule_may_have_a_mode() -> None:
    plan = read_plan({"LIMITER_RULES": [rule("a")], "LIMITER_RULE_MODES": {"limiter.rule.a": "monitor"}})

    assert plan.layers["limiter"].rule_modes == (("limiter.rule.a", "monitor"),)  # type: ignore[attr-defined]


def test_exceptions_and_events_know_the_names_of_own_rules() -> None:
    exception = {"rule": "limiter.rule.a", "comment": "ours"}
    plan = read_plan({"LIMITER_RULES": [rule("a")], "EXCEPTIONS": [exception]})

    assert plan.layers["limiter"].rule_ids(plan.settings) == ("limiter.rule.a",)
    with pytest.raises(ConfigError, match="names a rule that does not exist"):
        read_plan({"LIMITER_RULES": [rule("b")], "EXCEPTIONS": [exception]})
