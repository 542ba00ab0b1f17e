"""What the pages say about operating a guard: what `check` notices, and that workers share one event store."""

from __future__ import annotations

import json
import multiprocessing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from werkzeug.middleware.proxy_fix import ProxyFix

from bsguard import BSGuard, Protocol, Tenant, stack
from bsguard.cli import group
from bsguard.core.events import ServerRecognised
from bsguard.observe.store import EventStore
from bsguard.testing import environ, run

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS_MAX = 30.0
WORKERS = 4
ROUNDS = 25


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A Flask application that is about to be guarded, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    made = Flask("checked", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    made.config["BSGUARD_MODE"] = "enforce"
    return made


def check(app: Flask) -> dict[str, list[tuple[str, str]]]:
    """What `flask bsguard check` says: levels and messages by subject."""
    answer = CliRunner().invoke(group, ["check", "--json"], obj=ScriptInfo(create_app=lambda: app))
    found: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(answer.stdout)["checks"]:
        found.setdefault(one["subject"], []).append((one["level"], f"{one['message']} {one['remedy']}"))
    return found


def test_check_says_that_no_secrets_are_set(app: Flask) -> None:
    BSGuard(app)

    assert [level for level, _ in check(app)["secrets"]] == ["warn"]


def test_check_says_that_secrets_are_set(app: Flask) -> None:
    app.config["BSGUARD_SECRET_KEYS"] = ["0123456789abcdef", "fedcba9876543210"]
    BSGuard(app)

    assert check(app)["secrets"] == [("ok", "2 set ")]


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_check_notices_proxy_fix_without_a_declared_proxy(where: str, app: Flask) -> None:
    if where == "inside":
        app.wsgi_app = ProxyFix(app.wsgi_app)
    BSGuard(app)
    if where == "outside":
        app.wsgi_app = ProxyFix(app.wsgi_app)

    assert ("fail", "ProxyFix is in use") in [(level, text[:18]) for level, text in check(app)["proxy"]]


def test_check_does_not_ask_for_what_is_set_already(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("limit_request_line = 8190\n", encoding="utf-8")
    BSGuard(app)

    assert [text for _, text in check(app)["gunicorn"] if text.endswith("set limit_request_line = 8190")] == []


def test_a_layer_in_a_stack_goes_by_its_own_surfaces() -> None:
    def application(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    surfaces = [{"name": "api", "kind": "api", "hosts": ["api.example.com"], "prefixes": ["/v1"]}]
    tenant = partial(Tenant, settings={"SURFACES": surfaces})
    stranger = environ(headers={"Host": "evil.example.com"})

    assert run(stack(application, tenant), dict(stranger)).status == 421
    assert run(stack(application, Protocol, tenant), dict(stranger)).status == 421


def _work(path: Path, barrier: Any, lost: Any) -> None:
    """One worker: makes its store's first event together with all others."""
    store = EventStore(path, rows_max=1000)
    barrier.wait(_SECONDS_MAX)
    store(ServerRecognised(time=0.0, server="test", version="", blind_spots=()))
    store.flush()
    lost.put(store.dropped)


def test_workers_that_start_together_drop_no_event(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    dropped = []
    for turn in range(ROUNDS):
        path = tmp_path / f"{turn}.sqlite"
        barrier, lost = fork.Barrier(WORKERS), fork.Queue()
        workers = [fork.Process(target=_work, args=(path, barrier, lost)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        dropped += [lost.get(timeout=_SECONDS_MAX) for _ in workers]
        for worker in workers:
            worker.join(_SECONDS_MAX)

    assert len(dropped) == ROUNDS * WORKERS
    assert sum(dropped) == 0
