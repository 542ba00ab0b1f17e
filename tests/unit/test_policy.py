"""What becomes of a finding: the mode of the layer, the mode of the rule, exceptions."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core.exemptions import Exemption
from bsguard.core.overrides import NO_OVERRIDES, Override
from bsguard.core.policy import Policy, Ruling
from bsguard.core.verdict import ALLOW, Verdict
from bsguard.testing import FakeClock, environ, run
from tests.unit.support import App, a_finding, request_of, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.standard import Guard

OUTCOMES = {
    ("enforce", None): "refuse",
    ("enforce", "enforce"): "refuse",
    ("enforce", "monitor"): "report",
    ("enforce", "off"): "ignore",
    ("monitor", None): "report",
    ("monitor", "enforce"): "report",
    ("monitor", "monitor"): "report",
    ("monitor", "off"): "ignore",
}


class Table:
    """Overrides that a test fills."""

    def __init__(self, *entries: Override) -> None:
        self.entries = entries
        self.asked = 0

    def active(self, kind: str, now: float, /) -> tuple[Override, ...]:
        self.asked += 1
        return self.entries


def entry(**value: object) -> Override:
    return Override(kind="exception", value=value, author="ops", comment="why", created=0.0)


def policy(
    mode: Any = "enforce", rule: str | None = None, *exceptions: dict[str, Any], overrides: Any = None
) -> Policy:
    modes: Any = () if rule is None else (("protocol.method", rule),)
    parsed = tuple(Exemption.parse({"comment": "why", **one}) for one in exceptions)
    return Policy(mode, modes, parsed, overrides or NO_OVERRIDES, FakeClock())


def outcome(made: Policy, **finding: Any) -> str:
    return made.rule_on(a_finding(**finding), request_of(environ())).outcome


@pytest.mark.parametrize(("mode", "rule"), OUTCOMES)
def test_the_layer_and_the_rule_decide_together(mode: str, rule: str | None) -> None:
    assert outcome(policy(mode, rule)) == OUTCOMES[mode, rule]


def test_every_pair_of_modes_was_looked_at() -> None:
    assert set(OUTCOMES) == set(itertools.product(["enforce", "monitor"], [None, "enforce", "monitor", "off"]))


def test_a_mode_is_of_one_rule_only() -> None:
    assert outcome(policy("enforce", "off"), rule="protocol.version") == "refuse"


def test_what_only_reports_is_logged_in_every_mode() -> None:
    for mode, rule in OUTCOMES:
        assert outcome(policy(mode, rule), action="log") == "log"


def test_a_challenge_is_ruled_on_like_a_denial() -> None:
    assert outcome(policy(), action="challenge") == "refuse"
    assert outcome(policy("monitor"), action="challenge") == "report"


def test_an_exception_comes_before_everything_else() -> None:
    excepted = {"rule": "protocol.m*"}
    for mode, rule in OUTCOMES:
        assert outcome(policy(mode, rule, excepted)) == "except"

    ruling = policy("enforce", None, {"rule": "a.b"}, excepted).rule_on(a_finding(), request_of(environ()))
    assert ruling == Ruling("except", "why")


def test_an_exception_made_at_run_time_counts_like_a_declared_one() -> None:
    overrides = Table()
    made = policy(overrides=overrides)
    assert outcome(made) == "refuse"
    overrides.entries = (entry(rule="protocol.method"),)
    assert outcome(made) == "except"
    overrides.entries = ()

    assert outcome(made) == "refuse"


@pytest.mark.parametrize(
    "value",
    table(
        6,
        {
            "nothing": {},
            "an unknown key": {"rule": "protocol.method", "until": 1},
            "rule and tag": {"rule": "protocol.method", "tag": "x"},
            "a bad network": {"rule": "protocol.method", "addresses": ["x"]},
            "no text": {"rule": 7},
            "a comment of its own that is no text": {"rule": "protocol.method", "comment": 7},
        },
    ),
)
def test_an_entry_that_cannot_be_read_excepts_nothing_and_the_others_still_count(value: dict[str, object]) -> None:
    assert outcome(policy(overrides=Table(entry(**value)))) == "refuse"
    assert outcome(policy(overrides=Table(entry(**value), entry(rule="protocol.method")))) == "except"


@pytest.mark.parametrize("value", [[], ["rule"], "rule", 7, None])
def test_an_entry_whose_value_is_no_mapping_excepts_nothing(value: Any) -> None:
    broken = Override(kind="exception", value=value, author="ops", comment="why", created=0.0)

    assert outcome(policy(overrides=Table(broken))) == "refuse"


def test_verdicts_are_data() -> None:
    assert Verdict() == ALLOW
    assert ALLOW.findings == ()
    assert ALLOW.remove == ()
    assert a_finding().action == "deny"
    with pytest.raises(AttributeError, match="cannot assign"):
        ALLOW.remove = ("X",)  # type: ignore[misc]


#: Modes of the guard, the layer and one rule; whether a TRACE then passes, and what is reported.
RULINGS: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "enforcing": ({}, 405, ["denied"]),
    "monitoring": ({"MODE": "monitor"}, 200, ["would_deny"]),
    "off": ({"MODE": "off"}, 200, []),
    "one layer monitors": ({"PROTOCOL_MODE": "monitor"}, 200, ["would_deny"]),
    "one layer is off": ({"PROTOCOL_MODE": "off"}, 200, []),
    "one layer enforces": ({"MODE": "monitor", "PROTOCOL_MODE": "enforce"}, 405, ["denied"]),
    "another layer monitors": ({"TENANT_MODE": "monitor"}, 405, ["denied"]),
    "one rule monitors": ({"PROTOCOL_RULE_MODES": {"protocol.method": "monitor"}}, 200, ["would_deny"]),
    "one rule is off": ({"PROTOCOL_RULE_MODES": {"protocol.method": "off"}}, 200, []),
    "another rule is off": ({"PROTOCOL_RULE_MODES": {"protocol.version": "off"}}, 405, ["denied"]),
    "an exception": ({"EXCEPTIONS": [{"rule": "protocol.method", "comment": "why"}]}, 200, ["excepted"]),
    "an exception for another path": (
        {"EXCEPTIONS": [{"rule": "protocol.method", "path": "/other", "comment": "why"}]},
        405,
        ["denied"],
    ),
    "an exception while monitoring": (
        {"MODE": "monitor", "EXCEPTIONS": [{"rule": "protocol.method", "comment": "why"}]},
        200,
        ["excepted"],
    ),
    "the layer is not in use": ({"LAYERS": ["tenant"]}, 200, []),
}


@pytest.mark.parametrize(("config", "status", "actions"), table(14, RULINGS))
def test_modes_of_guard_layer_and_rule_decide_what_a_request_meets(
    make_guard: Callable[..., Guard], config: dict[str, Any], status: int, actions: list[str]
) -> None:
    app, events = App(), []
    answer = run(make_guard(app, config, emit=events.append), environ("TRACE"))

    assert answer.status == status
    assert app.called == (status == 200)
    assert [event.action for event in events if hasattr(event, "rule")] == actions


def test_headers_are_stripped_in_every_mode_but_off(make_guard: Callable[..., Guard]) -> None:
    sent = {"headers": {"X-Account-Id": "c4nary7"}}
    for config, stripped in (
        ({}, True),
        ({"MODE": "monitor"}, True),
        ({"TENANT_MODE": "monitor"}, True),
        ({"TENANT_RULE_MODES": {"tenant.host": "off"}}, True),
        ({"EXCEPTIONS": [{"rule": "tenant.host", "comment": "why"}]}, True),
        ({"TENANT_MODE": "off"}, False),
        ({"MODE": "off"}, False),
    ):
        app = App()
        run(make_guard(app, config), environ(**sent))
        assert ("HTTP_X_ACCOUNT_ID" not in app.environs[0]) is stripped, config


def test_findings_that_are_excepted_do_not_hide_the_others(make_guard: Callable[..., Guard]) -> None:
    events: list[Any] = []
    config = {"EXCEPTIONS": [{"rule": "protocol.method", "comment": "why"}]}
    answer = run(make_guard(App(), config, emit=events.append), environ("TRACE", headers={"Expect": "tea"}))

    assert answer.status == 417
    assert [(one.rule, one.action) for one in events if hasattr(one, "rule")] == [
        ("protocol.method", "excepted"),
        ("protocol.expect", "denied"),
    ]


#: A rule that is off, and a request that breaks it together with another one.
HIDDEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "a target too long": ("protocol.target.length", {"target": "/a/%2e%2e/b?" + "x" * 9000}, "dot-segment"),
    "an authorization too large": (
        "protocol.authorization.size",
        {"headers": {"Authorization": "Bearer " + "a, Bearer " * 2000}},
        "authorization.invalid",
    ),
    "a length beside chunks": (
        "protocol.framing.te-with-cl",
        {"chunked": True, "CONTENT_LENGTH": "1", "SERVER_PROTOCOL": "HTTP/1.0"},
        "framing",
    ),
}


@pytest.mark.parametrize(("rule", "sent", "other"), table(3, HIDDEN))
def test_a_rule_that_is_off_does_not_switch_off_another(
    make_guard: Callable[..., Guard], rule: str, sent: dict[str, Any], other: str
) -> None:
    app, events = App(), []
    made = make_guard(app, {"PROTOCOL_RULE_MODES": {rule: "off"}}, emit=events.append)
    answer = run(made, environ(**{"method": "POST"} | sent))

    assert answer.status == 400
    assert app.called == 0
    assert any(other in event.rule for event in events if getattr(event, "action", "") == "denied")
