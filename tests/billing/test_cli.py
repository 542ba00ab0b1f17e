"""The commands: what they print, as text and as JSON, and how they exit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import create_engine, text

from bsguard.billing import Ledger
from bsguard.cli.billing import billing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine


@pytest.fixture
def run(url: str) -> Callable[..., Any]:
    def invoke(*words: str) -> Any:
        return CliRunner().invoke(billing, ["--database", url, *words], catch_exceptions=False)

    return invoke


def test_from_an_empty_database_to_an_audit(bare_engine: Engine, run: Callable[..., Any]) -> None:
    before = run("balance", "acme")
    assert (before.exit_code, "flask bsguard billing init" in before.output) == (2, True)
    assert run("init").exit_code == 0
    assert json.loads(run("init", "--json").output) == {"version": "0001"}

    assert run("topup", "acme", "100", "--key", "p1").output == "acme: 100 added, then 100 available\n"
    again = json.loads(run("topup", "acme", "100", "--key", "p1", "--json").output)
    assert (again["replayed"], again["available"], again["key"]) == (True, 100, "p1")
    assert run("balance", "acme").output == "acme: 100 available, 0 reserved, floor 0\n"
    assert json.loads(run("balance", "acme", "--json").output)["spendable"] == 100
    assert json.loads(run("balance", "acme", "--json", "--as-of", "2001-01-01").output)["available"] == 0
    audit = run("audit")
    assert (audit.exit_code, audit.output) == (0, "the books are right\n")
    assert json.loads(run("audit", "--json").output) == {"findings": 0}


def test_tables_that_no_migration_knows_are_left_alone(engine: Engine, run: Callable[..., Any]) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE bsguard_billing_version SET version_num = '0002'"))
    try:
        shown = run("init")
    finally:
        with engine.begin() as connection:
            connection.execute(text("UPDATE bsguard_billing_version SET version_num = '0001'"))

    assert shown.exit_code == 2
    assert shown.output.startswith("Error: the tables are of version 0002, version 0001 is needed; install ")


def test_history_in_pages(ledger: Ledger, run: Callable[..., Any]) -> None:
    for number in range(3):
        ledger.topup("acme", number + 1, key=f"k{number}")

    page = [json.loads(line) for line in run("history", "acme", "--limit", "2", "--json").output.splitlines()]
    rest = run("history", "acme", "--cursor", page[-1]["cursor"]).output

    assert [line.get("amount") for line in page] == [3, 2, None]
    assert page[0]["written_at"].startswith("2023-11-14T")
    assert rest.split()[0] == "1"
    assert "older entries" not in rest


def test_sweep_ends_what_is_due(engine: Engine, run: Callable[..., Any]) -> None:
    from datetime import UTC, datetime

    past = datetime(2001, 1, 1, tzinfo=UTC)
    ledger = Ledger(engine)
    ledger.topup("acme", 100)
    ledger.reserve("acme", 30, "g", expires_at=past)
    ledger.grant("acme", 7, expires_at=past)

    told = json.loads(run("sweep", "--json").output)

    assert told == {"holds": 1, "released": 30, "grants": 1, "unburned": 7}
    assert run("sweep").output == "0 holds released (0 credits), 0 grants ended (0 credits)\n"


def test_audit_names_what_is_wrong_and_exits_with_one(engine: Engine, run: Callable[..., Any]) -> None:
    Ledger(engine).topup("acme", 100)
    with engine.begin() as connection:
        connection.execute(text("UPDATE bsguard_account SET available = 101"))

    shown = run("audit")
    told = [json.loads(line) for line in run("audit", "--json").output.splitlines()]

    assert shown.exit_code == 1
    assert "acme" in shown.output
    assert {"balance", "trial_balance"} <= {one["check"] for one in told}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("topup", "acme", "0"), "must be greater than zero"),
        (("topup", "acme", "-5"), "must be greater than zero"),
        (("topup", "acme", "5", "--kye", "k"), "unexpected extra argument"),
        (("topup", "acme", "1.5"), "not a valid integer"),
        (("balance", "nobody"), "there is no account 'nobody'"),
        (("history", "nobody"), "there is no account 'nobody'"),
        (("history", "acme", "--cursor", "x"), "cursor is not one"),
    ],
    ids=["zero", "negative", "mistyped option", "fraction", "unknown balance", "unknown history", "bad cursor"],
)
def test_what_cannot_be_done_is_told_in_a_line(
    engine: Engine, run: Callable[..., Any], words: tuple[str, ...], says: str
) -> None:
    shown = run(*words)

    assert shown.exit_code == 2
    assert says in shown.output
    assert "Traceback" not in shown.output


def test_a_database_that_is_not_there(tmp_path: Any) -> None:
    shown = CliRunner().invoke(billing, ["--database", f"sqlite:///{tmp_path}/no/x.db", "audit"])

    assert shown.exit_code == 2
    assert "unable to open database file" in shown.output


def test_the_flask_application_names_the_database(engine: Engine, url: str) -> None:
    Ledger(engine).topup("acme", 5)
    other = create_engine(url)

    def app_with(**extensions: Any) -> Flask:
        app = Flask("shop")
        app.extensions.update(extensions)
        return app

    class FlaskSqlalchemy:
        engine = other

    configured = Flask("shop")
    configured.config["SQLALCHEMY_DATABASE_URI"] = url
    group = click.Group("bsguard", commands={"billing": billing})
    outputs = []
    for app in (app_with(bsguard_billing=other), app_with(sqlalchemy=FlaskSqlalchemy()), configured, app_with()):
        info = ScriptInfo(create_app=lambda app=app: app)
        outputs.append(CliRunner().invoke(group, ["billing", "balance", "acme"], obj=info))
    other.dispose()

    assert [shown.exit_code for shown in outputs] == [0, 0, 0, 2]
    assert "names no database" in outputs[-1].output
