"""Longer paths through the documentation, walked as told: the quickstart, and the settings for gunicorn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from bsguard import Waf
from bsguard.testing import environ, run
from tests.meta.support import DOCS, PACKAGE, samples

if TYPE_CHECKING:
    from pathlib import Path

QUICKSTART = DOCS / "quickstart.md"
WAF = DOCS / "howto" / "waf.md"
ORDER = b'{"price": 100, "price": 1}'
_SECONDS_MAX = 60.0

# Sends the quickstart's order, as from this machine, and ends as a server does.
_SEND = """
from app import app
from bsguard import testing

answer = testing.run(app, testing.environ("POST", "/orders", headers={"Content-Type": "application/json"}, body=ORDER))
print(answer.status, answer.header("X-Request-Id"), answer.body.decode())
"""


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in *folder*, with the package under test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BSGUARD_", "FLASK_"))}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(folder)])},
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )


def send(folder: Path) -> tuple[int, str, Any, str]:
    """Send the order; the status, the request id, the answer and what the log said."""
    done = python(folder, "-c", _SEND.replace("ORDER", repr(ORDER)))
    assert done.returncode == 0, done.stderr
    status, request_id, body = done.stdout.split(" ", 2)
    return int(status), request_id, json.loads(body), done.stderr


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    """A folder with the ``app.py`` of the quickstart."""
    app, enforce = (sample.text for sample in samples(QUICKSTART) if sample.language == "python")
    assert enforce.strip() == 'app.config["BSGUARD_MODE"] = "enforce"'
    (tmp_path / "app.py").write_text(app, encoding="utf-8")
    return tmp_path


def enforce(folder: Path) -> None:
    """Change the one line, as told."""
    text = (folder / "app.py").read_text(encoding="utf-8")
    changed, times = re.subn(r'= "monitor".*', '= "enforce"', text)
    assert times == 1
    (folder / "app.py").write_text(changed, encoding="utf-8")


def test_the_quickstart_reports_first(quickstart: Path) -> None:
    status, request_id, body, log = send(quickstart)
    flask = ("-m", "flask", "--app", "app", "bsguard", "events")
    listed = python(quickstart, *flask, "list", "--limit", "1").stdout
    shown = python(quickstart, *flask, "show", request_id).stdout
    told = next(line for line in QUICKSTART.read_text(encoding="utf-8").splitlines() if "  request.would_be_d" in line)

    assert (status, body) == (201, {"price": 1})
    assert f"request.would_be_denied request_id='{request_id}'" in log
    assert "bsguard monitors in protocol, waf, limiter, session, tenant" in log
    assert listed == shown
    # But for time, id and cost, the line is the one on the page.
    assert re.sub(r"^[\d-]+ [\d:]+|_id=\w+|_us=\d+", "", listed.strip()) == re.sub(
        r"^[\d-]+ [\d:]+|_id=\w+|_us=\d+", "", told
    )


def test_the_quickstart_then_refuses(quickstart: Path) -> None:
    enforce(quickstart)
    status, request_id, body, log = send(quickstart)

    assert status == 400
    assert body["error"]["code"] == "BSE1121"
    assert body["request_id"] == request_id
    assert "request.denied" in log


def test_the_quickstarts_check_says_what_the_page_shows(quickstart: Path) -> None:
    done = python(quickstart, "-m", "flask", "--app", "app", "bsguard", "check")
    page = QUICKSTART.read_text(encoding="utf-8")
    shown = page.split("$ flask bsguard check\n")[1].split("```")[0].splitlines()
    missing = [line for line in shown if line not in done.stdout.splitlines()]

    assert done.returncode == 0, done.stdout
    assert len(shown) >= 5
    assert missing == []


def test_check_has_nothing_against_the_gunicorn_settings_that_are_told(quickstart: Path) -> None:
    settings, target = [s.text for s in samples(DOCS / "howto/gunicorn.md") if s.language == "python"]
    (quickstart / "gunicorn.conf.py").write_text(settings, encoding="utf-8")
    app = (quickstart / "app.py").read_text(encoding="utf-8").replace("BSGuard(app)\n", f"{target}BSGuard(app)\n")
    (quickstart / "app.py").write_text(app, encoding="utf-8")

    done = python(quickstart, "-m", "flask", "--app", "app", "bsguard", "check", "--json")
    about = [one for one in json.loads(done.stdout)["checks"] if one["subject"] == "gunicorn"]

    assert [one for one in about if one["level"] != "ok"] == []
    assert len(about) == 1


def test_gunicorn_takes_the_settings_that_are_told(quickstart: Path) -> None:
    pytest.importorskip("gunicorn")
    settings = next(s.text for s in samples(DOCS / "howto/gunicorn.md") if s.language == "python")
    (quickstart / "gunicorn.conf.py").write_text(settings, encoding="utf-8")

    done = python(quickstart, "-m", "gunicorn", "--check-config", "-c", "gunicorn.conf.py", "app:app")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/?u=http://localhost:6379/", 403),
        ("/?u=https://127.0.0.1", 403),
        ("/?u=http://localhost.example.com", 200),
        ("/?q=how+to+reach+localhost", 200),
    ],
)
def test_the_rule_that_the_guide_writes_does_what_it_says(tmp_path: Path, target: str, status: int) -> None:
    (rule,) = (sample.text for sample in samples(WAF) if sample.language == "apache")
    (tmp_path / "own.conf").write_text(rule, encoding="utf-8")
    app = Waf(Response("fine"), {"RULES": [str(tmp_path / "own.conf")], "DEFAULTS": False})
    assert run(app, environ("GET", target)).status == status
