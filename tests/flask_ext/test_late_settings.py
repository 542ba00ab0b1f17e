"""A setting that is changed after it was read has no effect, and that must not go unnoticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import BSGuard, ConfigError
from tests.flask_ext.support import ENFORCE, MONITOR, cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask


def _append(app: Flask) -> None:
    app.config["BSGUARD_TRUSTED_PROXIES"].append("172.16.0.0/12")


def _mode_of_a_rule(app: Flask) -> None:
    app.config["BSGUARD_PROTOCOL_RULE_MODES"]["protocol.expect"] = "enforce"


# (id, change, key that is named)
LATE = [
    ("a value changed", lambda app: app.config.update(BSGUARD_MODE="monitor"), "BSGUARD_MODE"),
    ("a value added", lambda app: app.config.update(BSGUARD_REGION="eu"), "BSGUARD_REGION"),
    ("a value removed", lambda app: app.config.pop("BSGUARD_MODE"), "BSGUARD_MODE"),
    ("a misspelt value added", lambda app: app.config.update(BSGUARD_MOD="off"), "BSGUARD_MOD"),
    ("a value of a layer", lambda app: app.config.update(BSGUARD_TENANT_MODE="off"), "BSGUARD_TENANT_MODE"),
    ("switched off", lambda app: app.config.update(BSGUARD_ENABLED=False), "BSGUARD_ENABLED"),
    ("None for nothing", lambda app: app.config.update(BSGUARD_STATE_DIR=None), "BSGUARD_STATE_DIR"),
    ("a list that grew", _append, "BSGUARD_TRUSTED_PROXIES"),
    ("a mapping that was edited", _mode_of_a_rule, "BSGUARD_PROTOCOL_RULE_MODES"),
]


@pytest.fixture
def app(make_app: Any) -> Flask:
    made: Flask = make_app(
        **ENFORCE,
        BSGUARD_TRUSTED_PROXIES=["10.0.0.0/8"],
        BSGUARD_PROTOCOL_RULE_MODES={"protocol.expect": "monitor"},
    )
    BSGuard(made)
    return made


@pytest.mark.parametrize("flag", ["TESTING", "DEBUG"])
@pytest.mark.parametrize("row", cases(LATE, 9))
def test_a_developer_gets_an_error_with_the_remedy(row: Any, flag: str, app: Flask) -> None:
    _, change, key = row
    app.config[flag] = True
    change(app)

    for _ in range(2):
        with pytest.raises(ConfigError, match="before BSGuard") as caught:
            app.test_client().get("/")
        assert [(problem.id, problem.key) for problem in caught.value.problems] == [("bsguard.E004", key)]


@pytest.mark.parametrize("row", cases(LATE, 9))
def test_production_answers_503_and_logs_the_key(row: Any, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    _, change, key = row
    change(app)
    client = app.test_client()

    for _ in range(2):
        answer = client.get("/")
        assert answer.status_code == 503
        assert answer.get_json()["error"]["code"] == "BSE1902"
        assert answer.headers["X-Request-Id"] == answer.get_json()["request_id"]
        assert "BSGUARD" not in answer.text
    assert sum(key in record.getMessage() for record in caplog.records if record.levelname == "ERROR") >= 1


def test_monitoring_refuses_nothing_for_it_and_logs_the_key(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(**MONITOR)
    BSGuard(app)
    app.config["BSGUARD_REGION"] = "eu"

    assert app.test_client().get("/").status_code == 200
    assert [record.levelname for record in caplog.records if "BSGUARD_REGION" in record.getMessage()] == ["ERROR"]


def test_monitoring_is_as_strict_with_a_developer(make_app: Any) -> None:
    app = make_app(**MONITOR, TESTING=True)
    BSGuard(app)
    app.config["BSGUARD_REGION"] = "eu"
    with pytest.raises(ConfigError, match="BSGUARD_REGION"):
        app.test_client().get("/")


def test_the_503_has_the_form_that_is_asked_for(app: Flask) -> None:
    app.config["BSGUARD_MODE"] = "monitor"
    client = app.test_client()
    problem = client.get("/", headers={"Accept": "application/problem+json"})

    assert (problem.status_code, problem.mimetype) == (503, "application/problem+json")
    assert json.loads(problem.text)["code"] == "BSE1902"
    assert client.head("/").data == b""
    assert client.head("/").status_code == 503


def test_all_late_settings_are_named_at_once(app: Flask) -> None:
    app.testing = True
    app.config.update(BSGUARD_MODE="monitor", BSGUARD_REGION="eu", BSGUARD_X=1)
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/")

    assert [problem.key for problem in caught.value.problems] == ["BSGUARD_MODE", "BSGUARD_REGION", "BSGUARD_X"]


def test_the_late_value_is_not_shown(app: Flask) -> None:
    app.testing = True
    app.config["BSGUARD_SECRET_KEYS"] = ["hunter2-hunter2-hunter2"]
    with pytest.raises(ConfigError) as caught:
        app.test_client().get("/")

    assert "hunter2" not in str(caught.value)


HARMLESS: list[tuple[str, Callable[[Flask], Any]]] = [
    ("a key of somebody else", lambda app: app.config.update(TESTING=True, SECRET_KEY="x", MODE="off")),
    ("the same value again", lambda app: app.config.update(BSGUARD_MODE="enforce")),
    ("an equal list", lambda app: app.config.update(BSGUARD_TRUSTED_PROXIES=["10.0.0.0/8"])),
    ("nothing", lambda app: None),
]


@pytest.mark.parametrize("row", cases(HARMLESS, 4))
def test_what_changes_nothing_is_no_error(row: Any, app: Flask) -> None:
    row[1](app)

    assert app.test_client().get("/").status_code == 200


def test_a_change_that_is_taken_back_is_forgotten(app: Flask) -> None:
    app.config["BSGUARD_MODE"] = "monitor"
    assert app.test_client().get("/").status_code == 503

    app.config["BSGUARD_MODE"] = "enforce"
    assert app.test_client().get("/").status_code == 200
