"""Workers die by SIGKILL: at every named place of every verb, and at random. Nothing is ever half done."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from bsguard.billing import Ledger, create_schema
from bsguard.billing.points import POINTS
from bsguard.billing.testing import assert_invariants, at_every_point
from tests.billing.mixed import missing_facts, prepare
from tests.billing.processes import Worker
from tests.billing.support import sqlite_url

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

SCENARIOS: dict[str, dict[str, Any]] = {
    "topup": {"verb": "topup", "args": ["acme", 7], "options": {"key": "{id}"}},
    "grant": {"verb": "grant", "args": ["acme", 7], "options": {"key": "{id}"}},
    "adjust": {"verb": "adjust", "args": ["acme", 7], "options": {"key": "{id}", "actor": "x", "reason": "y"}},
    "reserve": {"verb": "reserve", "args": ["plain", 5, "new-{id}"]},
    "reserve with grants": {"verb": "reserve", "args": ["acme", 5, "new-{id}"]},
    "charge": {"verb": "charge", "args": ["open-{id}", 3]},
    "release": {"verb": "release", "args": ["open-{id}"]},
    "refund": {"verb": "refund", "args": ["charged-{id}"]},
}
PASSED_TWICE = {"before", "locked", "moved", "written", "committed"}


def points_of(engine: Engine) -> tuple[str, ...]:
    """The places that an operation can pass; PostgreSQL makes all steps in one statement."""
    return POINTS if engine.dialect.name == "sqlite" else ("before", "locked", "written", "committed")


def commands(points: tuple[str, ...]) -> list[dict[str, Any]]:
    made = []
    for name, scenario in SCENARIOS.items():
        for point in points:
            identity = f"{name}-{point}".replace(" ", "-")
            args = [part.format(id=identity) if isinstance(part, str) else part for part in scenario["args"]]
            options = {key: text.format(id=identity) for key, text in scenario.get("options", {}).items()}
            # For an account with grants, the plain reservation is tried first and does nothing.
            time = 2 if name == "reserve with grants" and point in PASSED_TWICE else 1
            what = {"scenario": name, "point": point, "id": identity, "time": time}
            made.append({**what, "verb": scenario["verb"], "args": args, "options": options})
    return made


def ready(ledger: Ledger, made: list[dict[str, Any]]) -> None:
    """Holds for the scenarios that settle, with parts from grants and parts that were bought."""
    ledger.topup("plain", 10_000)
    ledger.topup("acme", 10_000)
    for number, command in enumerate(made):
        ledger.grant("acme", 2 + number % 5)
        if command["scenario"] in ("charge", "release", "refund"):
            ledger.reserve("acme", 5, f"open-{command['id']}")
            ledger.reserve("acme", 5, f"charged-{command['id']}")
            ledger.charge(f"charged-{command['id']}", 5)
    ledger.grant("acme", 1_000)


def test_killed_at_every_place(engine: Engine, url: str) -> None:
    """Each operation is killed at each place, then audited as a whole, then repeated: it counts once."""
    ledger = Ledger(engine)
    places = points_of(engine)
    made = commands(places)
    ready(ledger, made)
    total = sum(_all(ledger))

    results = Worker("killed_at_points", url=url, commands=made).result(120)

    reached = {(one["scenario"], one["point"]) for one in results if one["killed"]}
    assert all(one["killed"] or one["exit"] == 0 for one in results), [r for r in results if r["exit"] not in (0, -9)]
    points = {point for _, point in reached}
    assert {"before", "committed"} <= points
    if engine.dialect.name == "sqlite":
        assert points == set(POINTS) - {"emptied"}
    assert len(reached) >= len(SCENARIOS) * 2
    assert_invariants(ledger)
    fresh = [getattr(ledger, one["verb"])(*one["args"], **one["options"]) for one in made]
    again = Counter((one["point"], outcome.replayed) for one, outcome in zip(made, fresh, strict=True))
    assert again["committed", True] == len(SCENARIOS)
    assert again["before", False] == len(SCENARIOS)
    assert_invariants(ledger)
    assert sum(_all(ledger)) == total + (3 * 7 - 3 + 5) * len(places)


def _all(ledger: Ledger) -> list[int]:
    balances = [ledger.balance(name) for name in ("acme", "plain")]
    return [part for balance in balances for part in (balance.available, balance.reserved)]


def test_an_expiry_killed_at_every_place(engine: Engine, url: str) -> None:
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    made = [{"verb": "expire", "args": [], "point": point} for point in points_of(engine)]
    soon = "2001-01-01T00:00:00+00:00"
    for number in range(len(POINTS)):
        _expiring(ledger, number, soon)

    results = Worker("killed_at_points", url=url, commands=made).result(120)

    assert sum(one["killed"] for one in results) >= 2
    assert_invariants(ledger)
    ledger.expire()
    assert_invariants(ledger)
    balance = ledger.balance("acme")
    assert (balance.available, balance.reserved, balance.lapsed) == (100, 0, 0)


def _expiring(ledger: Ledger, number: int, moment: str) -> None:
    from datetime import datetime

    past = datetime.fromisoformat(moment)
    ledger.reserve("acme", 3, f"g{number}", expires_at=past)
    ledger.grant("acme", 4, expires_at=past)


def kill_at_random(engine: Engine, url: str, folder: Path, kills: int, seconds: int) -> None:
    ledger = Ledger(engine, lock_timeout_ms=10_000)
    prepare(ledger)
    notes = str(folder / "notes")

    worker = Worker("killed_at_random", url=url, seed=11, kills=kills, at_once=3, notes=notes)
    audits = 0
    while worker.running():
        assert ledger.audit() == ()
        audits += 1
    counts = worker.result(seconds)

    assert counts["killed"] >= kills
    assert audits >= 2
    assert missing_facts(engine, list(folder.glob("notes*"))) == []
    ledger.expire()
    assert_invariants(ledger)


def test_killed_at_random(engine: Engine, url: str, tmp_path: Path) -> None:
    kill_at_random(engine, url, tmp_path, 40, 60)


@pytest.mark.long
def test_killed_at_random_five_hundred_times(engine: Engine, url: str, tmp_path: Path) -> None:
    """Five hundred on each engine."""
    kill_at_random(engine, url, tmp_path, 500, 600)


def test_a_connection_from_before_a_fork_is_not_used_after_it(engine: Engine) -> None:
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    with engine.connect() as connection:
        # The pool gives out the connection that was returned last.
        mine = id(connection.connection.driver_connection)
    child = os.fork()
    if child == 0:
        with engine.connect() as connection:
            os._exit(int(id(connection.connection.driver_connection) == mine))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ledger.balance("acme").available == 100


def test_sqlite_begins_with_the_lock(tmp_path: Path) -> None:
    """Otherwise what was read may be old when it is written, which SQLite refuses without waiting."""
    engine = create_engine(sqlite_url(tmp_path))
    create_schema(engine)
    ledger = Ledger(engine)
    other = create_engine(engine.url, connect_args={"timeout": 0})
    refused: list[bool] = []

    def hook(name: str) -> None:
        if name == "locked":
            with other.connect() as connection, pytest.raises(OperationalError):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            refused.append(True)

    with at_every_point(hook):
        ledger.topup("acme", 1)

    assert refused
    engine.dispose()
    other.dispose()


def test_a_forked_child_uses_connections_of_its_own(engine: Engine, url: str) -> None:
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ledger.reserve("acme", 10, "child")
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert ledger.reserve("acme", 10, "parent").available == 80
    assert ledger.audit() == ()
    other = create_engine(url)
    assert Ledger(other).balance("acme").reserved == 20
    other.dispose()
