"""Rules about the order of calls, and what settings want."""

from __future__ import annotations

from typing import Any

import pytest

from bsguard import guard
from bsguard.core.errors import ConfigError
from bsguard.core.overrides import Override
from bsguard.session.viewing import newest
from bsguard.testing import FakeClock, environ, run
from tests.session.support import HOME, START, Bench, Service, code_of, table

SEQUENCE = {
    "name": "generate",
    "operation": "POST /v1/generate/{model}",
    "after": ["POST /v1/estimate", "GET /v1/models"],
}


def generate(bench: Bench, **more: Any) -> Any:
    return bench.ask("/v1/generate/sdxl", method="POST", **more)


def test_a_call_out_of_order_is_refused() -> None:
    bench = Bench({"SEQUENCES": [SEQUENCE]})
    answer = generate(bench)
    assert (answer.status, code_of(answer), bench.rules()) == (403, "BSE1603", ["session.sequence.generate"])
    for first in ({"path": "/v1/models"}, {"path": "/v1/estimate", "method": "POST"}):
        bench.ask(**first)
        assert generate(bench, after=599).status == 200
        assert generate(bench, after=2).status == 403
    bench.ask("/v1/models", key="good other")
    assert generate(bench).status == 403


def test_what_did_not_succeed_came_not_before() -> None:
    bench = Bench({"SEQUENCES": [SEQUENCE | {"after": ["GET /status/404", "GET /status/201"]}]})
    bench.ask("/status/404")
    assert generate(bench).status == 403
    bench.ask("/status/201")
    assert generate(bench).status == 200


def test_a_rule_may_only_report() -> None:
    bench = Bench({"SEQUENCES": [SEQUENCE | {"action": "log"}]})
    assert generate(bench).status == 200
    assert [event.name for event in bench.events if hasattr(event, "rule")] == ["rule.logged"]


def test_calls_too_close_together() -> None:
    rule = {"name": "pace", "operation": "GET /v1/usage", "interval_seconds": 10}
    bench = Bench({"SEQUENCES": [rule]})
    assert bench.ask("/v1/usage").status == 200
    answer = bench.ask("/v1/usage", after=4)
    assert (answer.status, code_of(answer), answer.header("Retry-After")) == (429, "BSE1604", "6")
    assert bench.ask("/v1/usage", key="good other").status == 200
    assert bench.ask("/v1/usage", after=6).status == 200


class Table:
    """Overrides in memory."""

    entries: tuple[Override, ...] = ()

    def active(self, kind: str, _now: float) -> tuple[Override, ...]:
        return self.entries if kind == "sequence" else ()


def test_a_confirmed_rule_holds_at_once_and_nonsense_in_the_table_does_not() -> None:
    held = Table()
    bench = Bench(overrides=held)
    assert generate(bench).status == 200
    values: list[Any] = [{"name": "x"}, ["no mapping"], SEQUENCE]
    entries = [Override(kind="sequence", value=value, author="a", comment="b", created=1.0) for value in values]
    held.entries = tuple(entries)
    assert generate(bench).status == 403


WRONG = table(
    13,
    {
        "no list": ("SEQUENCES", 5, "a list of sequence rules"),
        "no mapping": ("SEQUENCES", ["x"], "a mapping"),
        "an unknown key": ("SEQUENCES", [SEQUENCE | {"befor": []}], "only the keys"),
        "no name": ("SEQUENCES", [{"operation": "GET /x", "after": ["GET /y"]}], '"name"'),
        "no operation": ("SEQUENCES", [{"name": "x", "after": ["GET /y"]}], '"operation" and "after"'),
        "an operation without method": ("SEQUENCES", [SEQUENCE | {"operation": "/x"}], "a method"),
        "neither": ("SEQUENCES", [{"name": "x", "operation": "GET /x"}], '"after", "interval_seconds", or both'),
        "too many": ("SEQUENCES", [SEQUENCE | {"after": [f"GET /{n}" for n in range(11)]}], "10 operations"),
        "an action": ("SEQUENCES", [SEQUENCE | {"action": "deny"}], '"block", "log"'),
        "two of one name": ("SEQUENCES", [SEQUENCE, SEQUENCE], "two rules of one name"),
        "a signal": ("ACTIONS", {"speed": "deny"}, "a mapping from volume"),
        "revoke without function": ("ACTIONS", {"leak": "revoke"}, "names no function"),
        "no function": ("REVOKE", "os:nothing", "a function"),
    },
)


@pytest.mark.parametrize(("key", "value", "wanted"), WRONG)
def test_a_wrong_setting_is_told_with_what_is_wanted(key: str, value: object, wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        Bench({key: value})


def test_the_layer_in_the_standard_stack() -> None:
    config = {"LAYERS": ["session"], "MODE": "enforce", "STORE": "memory", "EVENTS_STORED": False}
    clock = FakeClock(START)
    app = guard(Service(), config | {"SESSION_SEQUENCES": [SEQUENCE]}, clock=clock)
    headers = {"Authorization": "Bearer good"}
    assert run(app, environ("POST", "/v1/generate/x", headers=headers, peer=HOME)).status == 403


def test_rules_about_one_operation_leave_the_order_of_others_as_it_is() -> None:
    plain, ruled = Bench(), Bench({"SEQUENCES": [SEQUENCE | {"operation": "POST /v1/generate"}]})
    for bench in (plain, ruled):
        bench.live(4)
        bench.layer.flush()
    transitions = [newest(bench.store, 1)[0][1].transitions for bench in (plain, ruled)]
    assert transitions[0] == transitions[1]
