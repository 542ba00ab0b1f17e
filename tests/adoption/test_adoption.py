"""Putting the guard in front of somebody else's application, and taking it away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

import bsguard
from bsguard import BSGuard
from bsguard.testing import capture_events
from tests.adoption import blog
from tests.adoption.variants import CLIENT, PROXY, VARIANTS, SimulatedProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

HERE = Path(__file__).parent
LAST = "    return app\n"
LINES = ("from bsguard import BSGuard\n", "    BSGuard(app)\n")

#: The suite's tests in one variant; a suite that shrank would pass too easily.
SUITE_COUNT = 82


def test_there_are_nine_variants() -> None:
    assert len({variant.name for variant in VARIANTS}) == 9


# --- by the README --------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The blog as a project of its own: the package, its suite, and nothing of this repository."""
    folder = tmp_path / "project"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HERE / "blog", folder / "blog", ignore=without)
    shutil.copytree(HERE / "suite", folder / "tests", ignore=without)
    (folder / "conftest.py").write_text(
        "import pytest\nimport blog\n\n\n@pytest.fixture\ndef create_app():\n    return blog.create_app\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return folder


def run_suite(project: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(bsguard.__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.mark.slow
def test_the_suite_of_a_project_passes_with_the_lines_of_the_readme_and_nothing_else(project: Path) -> None:
    factory = project / "blog" / "__init__.py"
    before = factory.read_text()
    assert before.endswith(LAST)
    factory.write_text(before.replace(LAST, "    " + LINES[0] + LINES[1] + LAST))

    assert f"{SUITE_COUNT} passed" in run_suite(project)

    added = [line for line in factory.read_text().splitlines(keepends=True) if line not in before.splitlines(True)]
    assert [line.lstrip() for line in added] == [line.lstrip() for line in LINES]


def test_without_the_one_line_the_project_is_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = blog.create_app({"TESTING": True}, instance_path=str(project / "one"))
    guarded = blog.create_app({"TESTING": True}, instance_path=str(project / "two"))
    BSGuard(guarded)
    removed = blog.create_app({"TESTING": True}, instance_path=str(project / "two"))

    answers = [app.test_client().get("/auth/login") for app in (plain, removed)]
    assert answers[0].data == answers[1].data
    assert answers[0].headers == answers[1].headers
    assert removed.extensions == plain.extensions
    assert guarded.test_client().get("/auth/login").data == answers[0].data


# --- what differs where it should -----------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    """The blog in each variant."""
    apps: dict[str, Flask] = {}
    for variant in VARIANTS:
        app = blog.create_app({"TESTING": True}, instance_path=str(tmp_path / variant.name))
        variant.install(app)
        apps[variant.name] = app
    yield apps
    for app in apps.values():
        guard = app.extensions.get("bsguard")
        if guard is not None and guard.store is not None:
            guard.store.close()


def test_only_enforcing_refuses_what_is_wrong(made: Any) -> None:
    wrong = {"path": "/auth/login", "headers": {"Expect": "tea"}}
    statuses = {name: app.test_client().get(**wrong).status_code for name, app in made.items()}

    assert statuses == {variant.name: 417 if variant.event == "request.denied" else 200 for variant in VARIANTS}


def test_a_true_alarm_is_raised_in_monitor_and_enforce_alike(made: Any) -> None:
    for variant in VARIANTS:
        with capture_events() as events:
            made[variant.name].test_client().get("/auth/login", headers={"X-HTTP-Method-Override": "DELETE"})
        alarms = [(event.name, event.rule) for event in events if hasattr(event, "rule")]

        assert alarms == ([(variant.event, "protocol.method-override")] if variant.event else [])


def test_claimed_accounts_are_gone_wherever_the_guard_is(made: Any) -> None:
    for variant in VARIANTS:
        app = made[variant.name]
        seen: list[Any] = []
        app.before_request(lambda seen=seen: seen.append(_account()))
        app.test_client().get("/auth/login", headers={"X-Account-Id": "victim"})

        assert seen == (["victim"] if not variant.event else [None]), variant.name


def _account() -> str | None:
    from flask import request

    return request.headers.get("X-Account-Id")


@pytest.mark.parametrize("name", [variant.name for variant in VARIANTS if "proxy" in variant.name])
def test_behind_the_proxy_the_client_is_known(name: str, made: Any) -> None:
    with capture_events() as events:
        answer = made[name].test_client().get("/auth/login")
        answer.close()
    finished = [event for event in events if event.name == "request.finished"]

    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] == "edge-1"
    assert [event.client for event in finished] == [CLIENT]


@pytest.mark.parametrize("fix", [False, True], ids=["without ProxyFix", "with ProxyFix"])
def test_a_proxy_that_is_not_declared_is_refused_and_said(fix: bool, tmp_path: Path) -> None:
    app = blog.create_app({"BSGUARD_MODE": "enforce"}, instance_path=str(tmp_path))
    if fix:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    with capture_events() as events:
        BSGuard(app)
        app.wsgi_app = SimulatedProxy(app.wsgi_app)  # type: ignore[method-assign]
        answer = app.test_client().get("/auth/login")
    app.extensions["bsguard"].store.close()

    assert answer.get_json()["error"]["code"] == "BSE1101"
    assert [event.peer for event in events if event.name == "proxy.undeclared"] == [PROXY]


def test_in_monitor_an_undeclared_proxy_costs_nobody_anything(tmp_path: Path) -> None:
    app = blog.create_app(instance_path=str(tmp_path))
    with capture_events() as events:
        BSGuard(app)
        app.wsgi_app = SimulatedProxy(app.wsgi_app)  # type: ignore[method-assign]
        answers = [app.test_client().get("/auth/login") for _ in range(3)]
    app.extensions["bsguard"].store.close()

    assert [answer.status_code for answer in answers] == [200] * 3
    assert [event.rule for event in events if hasattr(event, "rule")] == ["protocol.https"] * 3
    assert len([event for event in events if event.name == "proxy.undeclared"]) == 1
