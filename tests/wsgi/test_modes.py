"""Modes of layers and of single rules: who refuses, who only reports, who does nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import ConfigError, Protocol, Tenant, guard, stack
from bsguard.testing import environ, run
from tests.wsgi.requests import REFUSED, REFUSED_COUNT, SETTINGS
from tests.wsgi.support import App, Breaking, cases, hello, named, passing, rules_of, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wsgi.requests import Case

BREW = ("BREW", "/")


# --- a rule of its own mode -----------------------------------------------------------------------------------------

# (id, layer's mode, rule's mode, status, events of the rule)
RULE_MODES = [
    ("enforce in enforce", "enforce", "enforce", 405, ["request.denied"]),
    ("monitor in enforce", "enforce", "monitor", 200, ["request.would_be_denied"]),
    ("off in enforce", "enforce", "off", 200, []),
    ("enforce in monitor", "monitor", "enforce", 200, ["request.would_be_denied"]),
    ("monitor in monitor", "monitor", "monitor", 200, ["request.would_be_denied"]),
    ("off in monitor", "monitor", "off", 200, []),
    ("enforce in off", "off", "enforce", 200, []),
]


@pytest.mark.parametrize("row", cases(RULE_MODES, 7))
def test_a_rule_has_a_mode_of_its_own_and_is_never_stricter_than_its_layer(row: Any) -> None:
    _, mode, rule_mode, status, expected = row
    events: list[Any] = []
    layer = Protocol(hello, {"RULE_MODES": {"protocol.method": rule_mode}}, mode=mode, emit=events.append)

    assert run(layer, environ(*BREW)).status == status
    assert [event.name for event in events if getattr(event, "rule", "") == "protocol.method"] == expected


@pytest.mark.parametrize("row", cases(RULE_MODES, 7))
def test_the_other_rules_keep_the_mode_of_the_layer(row: Any) -> None:
    _, mode, rule_mode, _, _ = row
    layer = Protocol(hello, {"RULE_MODES": {"protocol.method": rule_mode}}, mode=mode)

    assert run(layer, environ("GET", "/a%2Fb")).status == (400 if mode == "enforce" else 200)


@pytest.mark.parametrize("case", cases([case for case in REFUSED if not case.rule.startswith("body.")], 18))
def test_each_rule_can_be_monitored_alone(case: Case, tmp_path: Path) -> None:
    layer = case.rule.partition(".")[0]
    events: list[Any] = []
    config = {**SETTINGS, "MODE": "enforce", f"{layer.upper()}_RULE_MODES": {case.rule: "monitor"}}
    quiet = {"STATE_DIR": tmp_path / "state", "EVENTS_STORED": False}
    serve(guard(hello, {**config, **quiet}, emit=events.append), case.make())

    assert case.rule in rules_of(named(events, "request.would_be_denied"))
    assert case.rule not in rules_of(named(events, "request.denied"))


def test_a_monitored_rule_does_not_hide_another() -> None:
    layer = Protocol(hello, {"RULE_MODES": {"protocol.method": "monitor"}})

    assert run(layer, environ("BREW", "/a%2Fb")).status == 400


# --- a layer of its own mode ----------------------------------------------------------------------------------------

# (id, protocol's mode, tenant's mode, status of BREW /, of an undeclared host, of broken chunks)
LAYER_MODES = [
    ("both enforce", "enforce", "enforce", 405, 421, 400),
    ("protocol monitors", "monitor", "enforce", 200, 421, 400),
    ("tenant monitors", "enforce", "monitor", 405, 200, 400),
    ("both monitor", "monitor", "monitor", 200, 200, 200),
    ("protocol is off", "off", "enforce", 200, 421, 400),
    ("tenant is off", "enforce", "off", 405, 200, 400),
    ("both are off", "off", "off", 200, 200, 200),
]


@pytest.mark.parametrize("way", [(), (passing,)], ids=["fused", "interrupted"])
@pytest.mark.parametrize("row", cases(LAYER_MODES, 7))
def test_each_layer_has_a_mode_of_its_own(row: Any, way: Any) -> None:
    _, protocol, tenant, *statuses = row
    app = stack(
        hello,
        partial(Protocol, settings=SETTINGS, mode=protocol),
        *way,
        partial(Tenant, settings=SETTINGS, mode=tenant),
    )
    chunks = environ("POST", "/", headers={"Host": "www.test"}, chunked=True) | {"wsgi.input": Breaking(b"a")}
    requests = [
        environ("BREW", "/", headers={"Host": "www.test"}),
        environ("GET", "/", headers={"Host": "evil.test"}),
        chunks,
    ]

    assert [serve(app, request).status for request in requests] == statuses


@pytest.mark.parametrize("row", cases(LAYER_MODES, 7))
def test_the_guard_gives_each_layer_its_mode(row: Any, tmp_path: Path) -> None:
    _, protocol, tenant, *statuses = row
    modes = {"MODE": "monitor", "PROTOCOL_MODE": protocol, "TENANT_MODE": tenant}
    quiet = {"STATE_DIR": tmp_path / "state", "EVENTS_STORED": False}
    app = guard(hello, {**SETTINGS, **quiet, **modes})
    requests = [environ("BREW", "/", headers={"Host": "www.test"}), environ("GET", "/", headers={"Host": "evil.test"})]

    assert [serve(app, request).status for request in requests] == statuses[:2]


def test_a_layer_used_by_hand_enforces() -> None:
    assert run(Protocol(hello), environ(*BREW)).status == 405
    assert run(Protocol(hello, {"MODE": "monitor"}), environ(*BREW)).status == 200
    assert run(Protocol(hello, {"MODE": "monitor"}, mode="enforce"), environ(*BREW)).status == 405


def test_the_guard_monitors_until_it_is_told_to_enforce(tmp_path: Path) -> None:
    quiet = {"STATE_DIR": tmp_path / "state", "EVENTS_STORED": False}

    assert run(guard(hello, quiet), environ(*BREW)).status == 200
    assert run(guard(hello, {**quiet, "MODE": "enforce"}), environ(*BREW)).status == 405
    assert run(guard(hello, {**quiet, "MODE": "enforce", "LAYERS": ["tenant"]}), environ(*BREW)).status == 200


# --- stripping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "stripped"), [("enforce", True), ("monitor", True), ("off", False)])
def test_identity_headers_are_removed_in_every_mode_but_off(mode: Any, stripped: bool) -> None:
    app = App()
    headers = {"X-Account-Id": "victim", "Proxy": "http://evil.test"}
    run(stack(app, partial(Protocol, mode=mode), partial(Tenant, mode=mode)), environ("GET", "/", headers=headers))

    assert ("HTTP_X_ACCOUNT_ID" not in app.environs[0]) == stripped
    assert ("HTTP_PROXY" not in app.environs[0]) == stripped


def test_a_guard_that_is_not_enabled_is_the_app_and_keeps_nothing(tmp_path: Path) -> None:
    app = App()
    made = guard(app, {"ENABLED": False, "MODE": "enforce", "STATE_DIR": tmp_path / "state"})
    request = environ(*BREW, headers={"X-Account-Id": "mine"})
    before = dict(request)
    answer = run(made, request)

    assert answer.status == 200
    assert answer.header("X-Request-Id") == ""
    assert app.environs == [before]
    assert not (tmp_path / "state").exists()


# --- settings -------------------------------------------------------------------------------------------------------

WRONG = [
    ("a mode that is none", lambda: Protocol(hello, {"MODE": "on"}), ["PROTOCOL MODE"]),
    (
        "a rule that is none",
        lambda: Protocol(hello, {"RULE_MODES": {"protocol.metod": "off"}}),
        ["PROTOCOL RULE_MODES"],
    ),
    (
        "a rule of another layer",
        lambda: Tenant(hello, {"RULE_MODES": {"protocol.method": "off"}}),
        ["TENANT RULE_MODES"],
    ),
    ("a misspelt setting", lambda: Protocol(hello, {"METODS": ["GET"]}), ["PROTOCOL METODS"]),
    ("no layers at all", lambda: guard(hello, {"LAYERS": []}), ["LAYERS"]),
    (
        "a rule stricter than its layer",
        lambda: guard(hello, {"MODE": "monitor", "PROTOCOL_RULE_MODES": {"protocol.method": "enforce"}}),
        ["PROTOCOL_RULE_MODES"],
    ),
    (
        "an exception to a rule that is none",
        lambda: guard(hello, {"EXCEPTIONS": [{"rule": "protocol.metod", "comment": "why"}]}),
        ["EXCEPTIONS"],
    ),
    (
        "several, all told at once",
        lambda: guard(hello, {"MOD": "enforce", "PROTOCOL_METHODS": "get", "LAYERS": ["wall"]}),
        ["MOD", "PROTOCOL_METHODS", "LAYERS"],
    ),
]


@pytest.mark.parametrize("row", cases(WRONG, 8))
def test_wrong_settings_are_told_at_start(row: Any) -> None:
    _, make, keys = row
    with pytest.raises(ConfigError) as caught:
        make()

    assert [problem.key for problem in caught.value.problems] == keys


def test_all_refused_requests_were_considered() -> None:
    assert len(REFUSED) == REFUSED_COUNT
    assert sum(case.rule.startswith("body.") for case in REFUSED) == 3
