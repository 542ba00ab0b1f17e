"""``flask bsguard …`` in a Flask project: check, and the events that were stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bsguard
from bsguard import BSGuard
from bsguard.cli import group
from bsguard.extension import guard_of
from tests.flask_ext.support import cases

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

TEA = {"Expect": "tea"}


def invoke(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(group, words)  # type: ignore[no-any-return]


def checks(app: Flask, *words: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """The exit code, the worst level of each subject, and the whole document of ``check --json``."""
    result = invoke(app, "check", "--json", *words)
    document = json.loads(result.stdout)
    worst: dict[str, str] = {}
    for one in document["checks"]:
        worst[one["subject"]] = max(worst.get(one["subject"], ""), one["level"], key=("", "ok", "warn", "fail").index)
    return result.exit_code, worst, document


def _proxy_fix_inside(app: Flask) -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    BSGuard(app)


def _proxy_fix_outside(app: Flask) -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    BSGuard(app)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]


def _proxy_seen(app: Flask) -> None:
    BSGuard(app)
    app.test_client().get("/", headers={"X-Forwarded-For": "203.0.113.9"}, environ_base={"REMOTE_ADDR": "10.0.0.7"})
    guard_of(app).store.flush()  # type: ignore[union-attr]


def _state_is_a_file(app: Flask) -> None:
    Path(app.instance_path).write_text("a file")
    BSGuard(app)


KEYS = ["0123456789abcdef0123456789abcdef"]
SURFACES = [{"name": "api", "kind": "api", "prefixes": ["/v1"]}]
EXPIRED = [{"rule": "protocol.expect", "comment": "old", "expires": "2020-01-01"}]

# (id, settings, how it is guarded, exit code, subject, its level)
CHECKS = [
    ("defaults", {}, BSGuard, 0, "mode", "warn"),
    ("enforcing", {"BSGUARD_MODE": "enforce"}, BSGuard, 0, "mode", "ok"),
    ("one layer monitors", {"BSGUARD_MODE": "enforce", "BSGUARD_TENANT_MODE": "monitor"}, BSGuard, 0, "mode", "warn"),
    ("not enabled", {"BSGUARD_ENABLED": False}, BSGuard, 1, "mode", "fail"),
    ("secrets of its own making", {}, BSGuard, 0, "secrets", "warn"),
    ("secrets set", {"BSGUARD_SECRET_KEYS": KEYS}, BSGuard, 0, "secrets", "ok"),
    ("no proxy", {}, BSGuard, 0, "proxy", "warn"),
    ("a proxy declared", {"BSGUARD_TRUSTED_PROXIES": ["10.0.0.0/8"]}, BSGuard, 0, "proxy", "ok"),
    ("everybody declared a proxy", {"BSGUARD_TRUSTED_PROXIES": ["0.0.0.0/0"]}, BSGuard, 1, "proxy", "fail"),
    ("ProxyFix outside, no proxy declared", {}, _proxy_fix_outside, 1, "proxy", "fail"),
    ("ProxyFix inside, no proxy declared", {}, _proxy_fix_inside, 1, "proxy", "fail"),
    ("an undeclared proxy was seen", {}, _proxy_seen, 1, "proxy", "fail"),
    ("no surfaces", {}, BSGuard, 0, "surfaces", "warn"),
    ("surfaces", {"BSGUARD_SURFACES": SURFACES}, BSGuard, 0, "surfaces", "ok"),
    ("an expired exception", {"BSGUARD_EXCEPTIONS": EXPIRED}, BSGuard, 0, "exceptions", "warn"),
    ("a state folder", {}, BSGuard, 0, "state", "ok"),
    ("no state folder", {}, _state_is_a_file, 1, "state", "fail"),
]


@pytest.mark.parametrize("row", cases(CHECKS, 17))
def test_check_says_what_stands_before_enforcing(row: Any, make_app: Any) -> None:
    _, settings, setup, code, subject, level = row
    app = make_app(**settings)
    setup(app)
    exit_code, worst, document = checks(app)

    assert worst[subject] == level
    assert exit_code == code
    assert document["ok"] == (code == 0)
    for one in document["checks"]:
        assert set(one) == {"level", "subject", "message", "remedy"}
        assert one["level"] in ("ok", "warn", "fail")


def test_check_without_json_says_the_same(make_app: Any) -> None:
    app = make_app(BSGUARD_TRUSTED_PROXIES=["0.0.0.0/0"])
    BSGuard(app)
    result = invoke(app, "check")
    _, _, document = checks(app)

    assert result.exit_code == 1
    assert "FAIL  proxy" in result.stdout
    assert all(one["message"] in result.stdout for one in document["checks"])


def test_check_shows_no_secret(make_app: Any) -> None:
    app = make_app(BSGUARD_SECRET_KEYS=KEYS)
    BSGuard(app)

    assert KEYS[0] not in invoke(app, "check", "--json").output


def test_check_of_an_app_that_is_not_guarded_fails(make_app: Any) -> None:
    result = invoke(make_app(), "check", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    assert "not guarded" in result.stdout


def test_check_reads_the_gunicorn_file_that_is_named(make_app: Any, tmp_path: Path) -> None:
    app = make_app()
    BSGuard(app)
    path = tmp_path / "gunicorn.conf.py"
    path.write_text('header_map = "dangerous"\nworker_class = "gthread"\nthreads = 4\n')
    code, worst, _ = checks(app, "--gunicorn-config", str(path))

    assert (code, worst["gunicorn"]) == (1, "fail")


# --- events ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(make_app: Any) -> Flask:
    """An app that refused one request, excepted another and answered a third."""
    made: Flask = make_app(
        BSGUARD_MODE="enforce",
        BSGUARD_EXCEPTIONS=[{"rule": "protocol.expect", "path": "/search", "comment": "an old client"}],
    )
    BSGuard(made)
    return made


def ask(app: Flask) -> list[str]:
    """Send the three requests; the ids of their answers."""
    client = app.test_client()
    answers = [client.get("/", headers=TEA), client.get("/search", headers=TEA), client.get("/")]
    guard_of(app).store.flush()  # type: ignore[union-attr]
    return [answer.headers["X-Request-Id"] for answer in answers]


def test_events_list_shows_what_the_guard_did_newest_last(app: Flask) -> None:
    ids = ask(app)
    result = invoke(app, "events", "list", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert [event["event"] for event in events] == ["server.recognised", "request.denied", "rule.excepted"]
    assert [event.get("request_id") for event in events] == [None, *ids[:2]]
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)


def test_events_list_is_readable_without_json(app: Flask) -> None:
    ids = ask(app)
    result = invoke(app, "events", "list")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 3
    for word in ("request.denied", "rule=protocol.expect", "code=BSE1112", f"request_id={ids[0]}", "path=/"):
        assert word in result.stdout


@pytest.mark.parametrize(("limit", "shown"), [("1", ["rule.excepted"]), ("2", ["request.denied", "rule.excepted"])])
def test_events_list_shows_the_newest_ones(app: Flask, limit: str, shown: list[str]) -> None:
    ask(app)
    result = invoke(app, "events", "list", "--limit", limit, "--json")

    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == shown


def test_events_show_tells_all_of_one_request(app: Flask) -> None:
    ids = ask(app)
    result = invoke(app, "events", "show", ids[0], "--json")
    (event,) = [json.loads(line) for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert (event["rule"], event["code"], event["action"]) == ("protocol.expect", "BSE1112", "denied")
    assert event["reason"]
    assert "comment=an old client" in invoke(app, "events", "show", ids[1]).stdout


def test_events_show_of_an_unknown_request_fails(app: Flask) -> None:
    ask(app)
    result = invoke(app, "events", "show", "nobody")

    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("show", "any")], ids=" ".join)
def test_events_of_an_app_that_has_none_is_said(app: Flask, words: tuple[str, ...]) -> None:
    result = invoke(app, "events", *words)

    assert result.exit_code == 1
    assert "no events are stored yet" in result.output


def test_events_of_an_app_that_is_not_guarded_is_said(make_app: Any) -> None:
    result = invoke(make_app(), "events", "list")

    assert result.exit_code == 1
    assert "not guarded" in result.output


def test_a_damaged_event_store_is_said(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "instance0" / "bsguard" / "events.sqlite").write_bytes(b"no database" * 1000)
    result = invoke(app, "events", "list")

    assert result.exit_code == 1
    assert "events.sqlite" in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


# --- as a user types it ---------------------------------------------------------------------------------------------

PROJECT = """
from flask import Flask
from bsguard import BSGuard

def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env()
    BSGuard(app)
    return app
"""


def test_flask_finds_the_commands_by_itself(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(PROJECT)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(bsguard.__file__).parents[1]),
        "FLASK_BSGUARD_MODE": "enforce",
    }
    command = [sys.executable, "-W", "error", "-m", "flask", "--app", "shop", "bsguard", "check", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert {one["subject"]: one["level"] for one in json.loads(done.stdout)["checks"]}["mode"] == "ok"
