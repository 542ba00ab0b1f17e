"""Exceptions from the settings and from the overrides table: exactly the named rule, in exactly the named scope."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Protocol, Tenant, guard, stack
from bsguard.core import codes
from bsguard.core.overrides import Override
from bsguard.core.verdict import Finding
from bsguard.stores.overrides import POLL_SECONDS, SQLiteOverrides
from bsguard.testing import FakeClock, environ, run
from tests.wsgi.requests import REFUSED, SETTINGS
from tests.wsgi.support import App, arrange, cases, denier, hello, named, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wsgi.requests import Case

RULE = "protocol.method"
NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z, where FakeClock starts

# (id, scope, whether it covers BREW /legacy/x from 127.0.0.1)
SCOPES = [
    ("the rule alone", {"rule": RULE}, True),
    ("a pattern of rules", {"rule": "protocol.m*"}, True),
    ("another rule", {"rule": "protocol.version"}, False),
    ("a longer rule", {"rule": "protocol.method-override"}, False),
    ("a pattern of other rules", {"rule": "protocol.json.*"}, False),
    ("its path", {"rule": RULE, "path": "/legacy/x"}, True),
    ("all below", {"rule": RULE, "path": "/legacy/**"}, True),
    ("one segment", {"rule": RULE, "path": "/legacy/{name}"}, True),
    ("a shorter path", {"rule": RULE, "path": "/legacy"}, False),
    ("another path", {"rule": RULE, "path": "/legacy/x/y"}, False),
    ("another case", {"rule": RULE, "path": "/Legacy/x"}, False),
    ("its method", {"rule": RULE, "method": "BREW"}, True),
    ("its method in small letters", {"rule": RULE, "method": "brew"}, True),
    ("another method", {"rule": RULE, "method": "GET"}, False),
    ("its network", {"rule": RULE, "addresses": ["127.0.0.0/8", "10.0.0.0/8"]}, True),
    ("its address", {"rule": RULE, "addresses": "127.0.0.1"}, True),
    ("another network", {"rule": RULE, "addresses": ["10.0.0.0/8"]}, False),
    ("not yet expired", {"rule": RULE, "expires": "2023-11-15"}, True),
    ("just expired", {"rule": RULE, "expires": "2023-11-14T22:13:20"}, False),
    ("expiring in a second", {"rule": RULE, "expires": "2023-11-14T22:13:21+00:00"}, True),
    ("all of it", {"rule": RULE, "path": "/legacy/*", "method": "BREW", "addresses": ["127.0.0.1"]}, True),
    ("all but the method", {"rule": RULE, "path": "/legacy/*", "method": "GET", "addresses": ["127.0.0.1"]}, False),
]


@pytest.mark.parametrize("source", ["settings", "overrides"])
@pytest.mark.parametrize("row", cases(SCOPES, 22))
def test_an_exception_holds_in_its_scope_only(row: Any, source: str) -> None:
    _, scope, covered = row
    events: list[Any] = []
    exception = {**scope, "comment": "the old kettle"}
    settings = {"EXCEPTIONS": [exception]} if source == "settings" else {}
    table = Table([exception] if source == "overrides" else [])
    app = Protocol(hello, settings=settings, clock=FakeClock(), emit=events.append, overrides=table)

    assert run(app, environ("BREW", "/legacy/x")).status == (200 if covered else 405)
    excepted = named(events, "rule.excepted")
    assert [(event.rule, event.action, event.comment) for event in excepted] == (
        [(RULE, "excepted", "the old kettle")] if covered else []
    )


class Table:
    """Run-time exceptions held in memory."""

    def __init__(self, values: list[dict[str, Any]]) -> None:
        self._entries = tuple(
            Override(kind="exception", value=value, author="me", comment="why", created=NOW) for value in values
        )

    def active(self, kind: Any, now: float, /) -> tuple[Override, ...]:
        return self._entries


@pytest.mark.parametrize("case", cases(REFUSED, 21))
def test_each_rule_can_be_excepted(case: Case, tmp_path: Path) -> None:
    events: list[Any] = []
    settings = {**SETTINGS, "EXCEPTIONS": [{"rule": case.rule, "comment": "needed"}]}
    run(arrange("guard", hello, settings, tmp_path, emit=events.append), case.make())

    assert case.rule in rules_of(named(events, "rule.excepted"))
    assert case.rule not in rules_of(named(events, "request.denied"))


def test_an_exception_lets_only_its_own_finding_pass() -> None:
    settings = {"EXCEPTIONS": [{"rule": RULE, "comment": "needed"}]}

    assert run(Protocol(hello, settings=settings), environ("BREW", "/")).status == 200
    assert run(Protocol(hello, settings=settings), environ("BREW", "/a%2Fb")).status == 400


def test_an_exception_by_tag_covers_the_rules_that_carry_it() -> None:
    settings = {"EXCEPTIONS": [{"tag": "free-text", "comment": "prompts are prose"}]}
    tagged = Finding("denier.sql", codes.RESTRICTED, "looks like SQL", tags=("sql", "free-text"))
    other = Finding("denier.path", codes.RESTRICTED, "looks like a path", tags=("path",))

    assert run(denier("inspect_head", tagged)(hello, settings=settings), environ()).status == 200
    assert run(denier("inspect_head", other)(hello, settings=settings), environ()).status == 404


def test_an_exception_names_the_path_that_a_mounted_app_has_from_outside() -> None:
    settings = {"EXCEPTIONS": [{"rule": RULE, "path": "/shop/legacy", "comment": "needed"}]}
    request = environ("BREW", "/shop/legacy", SCRIPT_NAME="/shop", PATH_INFO="/legacy")

    assert run(Protocol(hello, settings=settings), request).status == 200


def test_an_exception_names_the_client_behind_a_declared_proxy() -> None:
    settings = {
        "TRUSTED_PROXIES": ["10.0.0.0/8"],
        "EXCEPTIONS": [{"rule": RULE, "addresses": ["198.51.100.7"], "comment": "the monitor"}],
    }
    https = {"X-Forwarded-Proto": "https"}
    app = Protocol(hello, settings=settings)

    def status(peer: str, client: str) -> int:
        return run(app, environ("BREW", "/", headers=https | {"X-Forwarded-For": client}, peer=peer)).status

    assert status("10.0.0.1", "198.51.100.7") == 200
    assert status("10.0.0.1", "198.51.100.8") == 405
    assert status("203.0.113.9", "198.51.100.7") in (403, 405)


def test_an_excepted_body_rule_still_hands_the_body_on() -> None:
    settings = {"EXCEPTIONS": [{"rule": "protocol.json.*", "path": "/legacy", "comment": "an old client"}]}
    app = App()
    headers = {"Content-Type": "application/json"}
    stacked = stack(app, partial(Protocol, settings=settings), partial(Tenant, settings=settings))

    assert run(stacked, environ("POST", "/legacy", headers=headers, body=b'{"a":1,"a":2}')).status == 200
    assert run(stacked, environ("POST", "/other", headers=headers, body=b'{"a":1,"a":2}')).status == 400
    assert app.bodies == [b'{"a":1,"a":2}']


# --- the table ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table(tmp_path: Path, clock: FakeClock) -> Iterator[SQLiteOverrides]:
    """The table as another process has it open: the operator's."""
    made = SQLiteOverrides(tmp_path / "state" / "overrides.sqlite", clock)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path, clock: FakeClock) -> Any:
    config = {"MODE": "enforce", "STATE_DIR": tmp_path / "state", "EVENTS_STORED": False}
    return guard(hello, config, clock=clock)


def entry(scope: dict[str, object], *, expires: float | None = None) -> Override:
    return Override(kind="exception", value=scope, author="ops", comment="ticket 7", created=NOW, expires=expires)


def test_an_exception_made_at_run_time_is_felt_by_a_running_guard(
    guarded: Any, table: SQLiteOverrides, clock: FakeClock
) -> None:
    assert run(guarded, environ("BREW", "/")).status == 405

    number = table.add(entry({"rule": RULE}))
    clock.advance(POLL_SECONDS)
    assert run(guarded, environ("BREW", "/")).status == 200
    assert run(guarded, environ("GET", "/a%2Fb")).status == 400

    table.delete(number)
    clock.advance(POLL_SECONDS)
    assert run(guarded, environ("BREW", "/")).status == 405


def test_an_exception_made_at_run_time_ends_by_itself(guarded: Any, table: SQLiteOverrides, clock: FakeClock) -> None:
    table.add(entry({"rule": RULE}, expires=NOW + 60))

    assert run(guarded, environ("BREW", "/")).status == 200
    clock.advance(59)
    assert run(guarded, environ("BREW", "/")).status == 200
    clock.advance(1)
    assert run(guarded, environ("BREW", "/")).status == 405


def test_one_entry_that_cannot_be_read_does_not_stop_the_others(guarded: Any, table: SQLiteOverrides) -> None:
    table.add(entry({"rule": "*"}))
    table.add(entry({"rule": "protocol.expect"}))

    assert run(guarded, environ("BREW", "/")).status == 405
    assert run(guarded, environ("GET", "/", headers={"Expect": "tea"})).status == 200


def test_other_kinds_of_entries_except_nothing(guarded: Any, table: SQLiteOverrides) -> None:
    table.add(Override(kind="ban", value={"rule": RULE}, author="ops", comment="x", created=NOW))

    assert run(guarded, environ("BREW", "/")).status == 405


def test_an_exception_outlives_a_restart(tmp_path: Path, table: SQLiteOverrides, clock: FakeClock) -> None:
    config = {"MODE": "enforce", "STATE_DIR": tmp_path / "state", "EVENTS_STORED": False}
    guard(hello, config, clock=clock)
    table.add(entry({"rule": RULE}))
    table.close()

    assert run(guard(hello, config, clock=clock), environ("BREW", "/")).status == 200


def test_a_table_that_is_damaged_excepts_nothing_and_breaks_nothing(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / "overrides.sqlite").write_bytes(b"this is no database" * 100)
    app = guard(hello, {"MODE": "enforce", "STATE_DIR": folder, "EVENTS_STORED": False}, clock=clock)

    assert run(app, environ("BREW", "/")).status == 405
    assert run(app, environ()).status == 200
