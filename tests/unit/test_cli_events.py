"""``events``: what the guard did, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo

from bsguard import BSGuard
from bsguard.cli import group, main
from bsguard.testing import environ, run
from tests.unit.support import App

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from bsguard.standard import Guard

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def events(state: Path, tmp_path: Path) -> Callable[..., Result]:
    path = tmp_path / "guard.json"
    path.write_text(json.dumps({"STATE_DIR": str(state), "MODE": "enforce"}))
    return lambda *words: CliRunner().invoke(main, ["--config", str(path), "events", *words])


@pytest.fixture
def ids(make_guard: Callable[..., Guard]) -> list[str]:
    """Ids of three refused requests whose events are stored."""
    made = make_guard(App())
    sent = [environ(method, "/caf%C3%A9", headers={"Expect": "tea"}) for method in ("TRACE", "GET", "DEBUG")]
    answers = [run(made, one) for one in sent]
    made.store.flush()  # type: ignore[union-attr]
    return [answer.header("X-Request-Id") for answer in answers]


def test_the_newest_are_listed_last(events: Any, ids: list[str]) -> None:
    done = events("list")
    lines = done.stdout.splitlines()

    assert done.exit_code == 0
    assert len(lines) == 6
    assert lines[0].startswith("2023-11-14 22:13:20  server.recognised  server=unknown")
    assert "  request.denied  " in lines[-1]
    assert f"request_id={ids[2]}  method=DEBUG  path=/café" in lines[-1]
    assert "rule=protocol.expect  code=BSE1112" in lines[-1]
    assert "identity=" not in lines[-1]


def test_a_limit_keeps_the_newest(events: Any, ids: list[str]) -> None:
    lines = [json.loads(line) for line in events("list", "--limit", "2", "--json").stdout.splitlines()]

    assert [one["rule"] for one in lines] == ["protocol.method", "protocol.expect"]
    assert {one["request_id"] for one in lines} == {ids[2]}
    assert [one["id"] for one in lines] == sorted(one["id"] for one in lines)


def test_all_of_one_request_are_shown(events: Any, ids: list[str]) -> None:
    done = events("show", ids[0], "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.exit_code == 0
    assert [one["rule"] for one in found] == ["protocol.method", "protocol.expect"]
    assert len(events("show", ids[1]).stdout.splitlines()) == 1


def test_an_unknown_request_has_no_events(events: Any, ids: list[str]) -> None:
    done = events("show", "nobody")

    assert (done.exit_code, done.stdout) == (1, "")


def test_before_the_first_request_that_is_said(events: Any, state: Path) -> None:
    done = events("list")

    assert done.exit_code == 1
    assert done.stderr == f"Error: no events are stored yet: {state / 'events.sqlite'} does not exist\n"


def test_a_spoilt_file_is_said(events: Any, state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "events.sqlite").write_bytes(b"garbage" * 100)
    done = events("list")

    assert done.exit_code == 1
    assert done.stderr == f"Error: {state / 'events.sqlite'}: file is not a database\n"


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "many"])
def test_a_limit_has_its_bounds(events: Any, limit: str) -> None:
    assert events("list", "--limit", limit).exit_code == 2


def test_wrong_settings_are_said(tmp_path: Path) -> None:
    (tmp_path / "guard.json").write_text('{"MODUS": 1}')
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "guard.json"), "events", "list"])

    assert done.exit_code == 1
    assert "bsguard.E001 BSGUARD_MODUS" in done.stderr


def test_a_flask_application_s_events_are_read(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path / "instance"))
    app.config.update(BSGUARD_MODE="enforce", BSGUARD_EVENTS_LOGGED=False)
    BSGuard(app)
    made = app.extensions["bsguard"]
    run(made, environ("TRACE"))
    made.store.flush()
    done = CliRunner().invoke(group, ["events", "list", "--json"], obj=ScriptInfo(create_app=lambda: app))

    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["server.recognised", "request.denied"]
    made.store.close()
    made.overrides.close()


def test_text_of_clients_cannot_move_the_terminal(events: Any, make_guard: Callable[..., Guard]) -> None:
    made = make_guard(App())
    run(made, environ("GET", "/a%1b%5B2J%0d%0arequest.denied"))
    made.store.flush()  # type: ignore[union-attr]
    done = events("list")

    assert len(done.stdout.splitlines()) == len(made.store.recent())  # type: ignore[union-attr]
    assert "\x1b" not in done.stdout
