"""``check``: what stands between a configuration and enforcing it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from werkzeug.middleware.proxy_fix import ProxyFix

from bsguard import BSGuard, __version__
from bsguard.cli import group, main, server
from bsguard.testing import FakeClock, environ, run
from tests.unit.support import SURFACES, App, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from bsguard.standard import Guard

READY: dict[str, Any] = {
    "MODE": "enforce",
    "SECRET_KEYS": ["c4nary7c4nary7c4nary7"],
    "TRUSTED_PROXIES": ["10.0.0.0/8"],
    "SURFACES": SURFACES,
}

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def checked(state: Path, tmp_path: Path) -> Callable[..., dict[str, list[dict[str, str]]]]:
    """Results of ``check --json`` by subject, for a settings file."""

    def check(config: dict[str, Any] | None = None, *words: str, exit_code: int = 0) -> dict[str, list[dict[str, str]]]:
        path = tmp_path / "guard.json"
        path.write_text(json.dumps({"STATE_DIR": str(state), **READY, **(config or {})}))
        done = CliRunner().invoke(main, ["--config", str(path), "check", "--json", *words])
        document = json.loads(done.stdout)

        assert done.exit_code == exit_code, done.output
        assert document["ok"] is (exit_code == 0)
        assert "c4nary7" not in done.output
        found: dict[str, list[dict[str, str]]] = {}
        for one in document["checks"]:
            assert set(one) == {"level", "subject", "message", "remedy"}
            found.setdefault(one["subject"], []).append(one)
        return found

    return check


@pytest.fixture(autouse=True)
def _reference_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "version_of", lambda package: (23, 0, 0))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def levels(found: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    return {subject: [one["level"] for one in results] for subject, results in found.items()}


def test_a_configuration_that_is_ready_is_told_so(checked: Any, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        'forwarder_headers = ""\nworker_class = "gthread"\nthreads = 4\nlimit_request_line = 8190\n'
    )
    found = checked({"PROTOCOL_TARGET_BYTES_MAX": 4000})

    assert {level for results in found.values() for level in [one["level"] for one in results]} == {"ok"}
    assert list(found) == ["settings", "mode", "state", "secrets", "store", "proxy", "surfaces", "server", "gunicorn"]


def test_results_are_told_in_words_with_their_remedies(state: Path, tmp_path: Path) -> None:
    (tmp_path / "guard.toml").write_text(f'BSGUARD_STATE_DIR = "{state}"\nMODE = "monitor"\n')
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "guard.toml"), "check"])
    lines = done.output.splitlines()

    assert done.exit_code == 0
    assert lines[0] == "ok    settings: read; layers: protocol, waf, limiter, session, tenant"
    assert (
        lines[1]
        == "warn  mode: not enforcing: protocol monitor, waf monitor, limiter monitor, session monitor, tenant monitor"
    )
    assert lines[2].startswith('      set BSGUARD_MODE = "enforce"')


RESULTS: dict[str, tuple[dict[str, Any], str, str, str, int]] = {
    "not enabled": ({"ENABLED": False}, "mode", "fail", "nothing is guarded", 1),
    "monitoring": (
        {"MODE": "monitor"},
        "mode",
        "warn",
        "not enforcing: protocol monitor, waf monitor, limiter monitor, session monitor, tenant monitor",
        0,
    ),
    "one layer off": ({"TENANT_MODE": "off"}, "mode", "warn", "not enforcing: tenant off", 0),
    "no secrets": ({"SECRET_KEYS": []}, "secrets", "warn", "none set", 0),
    "no proxy": ({"TRUSTED_PROXIES": []}, "proxy", "warn", "no proxy declared", 0),
    "a proxy on a socket": ({"TRUSTED_PROXIES": "unix"}, "proxy", "ok", "trusted: unix", 0),
    "everybody a proxy": ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "proxy", "fail", "every client is believed", 1),
    "everybody in six a proxy": ({"TRUSTED_PROXIES": ["::1", "::/0"]}, "proxy", "fail", "has ::/0", 1),
    "no surfaces": ({"SURFACES": []}, "surfaces", "warn", "none declared", 0),
    "an API of every path beside a site": (
        {"SURFACES": [{"name": "api", "kind": "api", "hosts": ["a.test"]}, {"name": "site"}]},
        "surfaces",
        "warn",
        "api claims every path",
        0,
    ),
    "an exception that is over": (
        {"EXCEPTIONS": [{"rule": "protocol.method", "comment": "old", "expires": "2020-01-01"}]},
        "exceptions",
        "warn",
        "expired: protocol.method",
        0,
    ),
    "an exception for a tag that is over": (
        {"EXCEPTIONS": [{"tag": "legacy", "comment": "old", "expires": "2020-01-01"}]},
        "exceptions",
        "warn",
        "expired: legacy",
        0,
    ),
    "an unknown setting": ({"MODUS": 1}, "settings", "fail", "bsguard.E001 BSGUARD_MODUS", 1),
    "a wrong value": ({"MODE": "c4nary7"}, "settings", "fail", "bsguard.E002 BSGUARD_MODE", 1),
}


@pytest.mark.parametrize(("config", "subject", "level", "words", "exit_code"), table(14, RESULTS))
def test_each_subject_is_looked_at(
    checked: Any, config: dict[str, Any], subject: str, level: str, words: str, exit_code: int
) -> None:
    results = checked(config, exit_code=exit_code)[subject]

    assert [one["level"] for one in results if words in one["message"]] == [level]
    assert level == "ok" or subject == "settings" or all(one["remedy"] for one in results if one["level"] == level)


def test_a_guard_without_any_layer_is_not_ready(checked: Any) -> None:
    assert "fail" in {level for found in levels(checked({"LAYERS": []}, exit_code=1)).values() for level in found}


def test_all_problems_of_the_settings_are_results(checked: Any) -> None:
    found = checked({"MODUS": 1, "MODE": "on", "PROTOCOL_HTTPS": "perhaps"}, exit_code=1)

    assert levels(found) == {"settings": ["fail", "fail", "fail"]}


def test_a_state_directory_that_cannot_be_used_fails(checked: Any, state: Path) -> None:
    state.symlink_to(os.curdir)
    found = checked(exit_code=1)

    assert found["state"][0]["level"] == "fail"
    assert "is a link or a file" in found["state"][0]["message"]
    assert "are lost" in found["state"][0]["message"]


def test_a_proxy_that_was_seen_and_is_not_declared_fails(
    checked: Any, make_guard: Callable[..., Guard], clock: FakeClock
) -> None:
    clock.advance(time.time() - clock.now())  # the command goes by the machine's clock
    made = make_guard(App())
    run(made, environ(headers={"X-Forwarded-For": "192.0.2.7"}))
    made.store.flush()  # type: ignore[union-attr]

    found = checked({"TRUSTED_PROXIES": [], "MODE": "monitor"}, exit_code=1)["proxy"]
    assert found[0]["message"] == (
        "in the last day, requests with forwarding headers came from 127.0.0.1, which is not declared"
    )
    assert levels(checked({"TRUSTED_PROXIES": "127.0.0.1"}))["proxy"] == ["ok"]


def test_the_server_that_was_seen_is_told_with_what_it_hides(checked: Any, make_guard: Callable[..., Guard]) -> None:
    made = make_guard(App())
    run(made, environ(SERVER_SOFTWARE="waitress"))
    made.store.flush()  # type: ignore[union-attr]
    found = checked()["server"]

    assert found[0]["level"] == "warn"
    assert found[0]["message"].startswith("last served by waitress: duplicate Transfer-Encoding")


def test_spoilt_events_do_not_break_the_check(checked: Any, state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "events.sqlite").write_bytes(b"garbage" * 100)

    assert levels(checked())["server"] == ["ok"]


VERSIONS: dict[str, tuple[tuple[int, ...], str, str]] = {
    "none": ((), "warn", "gunicorn is not installed here"),
    "an old one": ((22, 0, 0), "fail", "gunicorn 22.0.0 lets smuggled requests through"),
    "the reference": ((23, 0, 0), "ok", "gunicorn 23.0.0"),
    "a newer one": ((27, 0, 1), "ok", "gunicorn 27.0.1"),
}


@pytest.mark.parametrize(("version", "level", "words"), table(4, VERSIONS))
def test_the_installed_server_is_judged_by_its_version(
    checked: Any, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], level: str, words: str
) -> None:
    monkeypatch.setattr(server, "version_of", lambda package: version)
    (result,) = checked(exit_code=int(level == "fail"))["server"]

    assert (result["level"], result["message"].partition(";")[0]) == (level, words)


GUNICORN: dict[str, tuple[str, str, str]] = {
    "headers from the proxy": ("", "warn", "headers named SCRIPT_NAME, PATH_INFO"),
    "both spellings as one header": ('header_map = "dangerous"', "fail", "header_map is dangerous"),
    "workers without threads": ("", "warn", "sync workers"),
    "everybody's word on HTTPS": ('forwarded_allow_ips = "*"', "warn", "forwarded_allow_ips has *"),
    "a shorter request line": ("limit_request_line = 1000", "warn", "limit_request_line is 1000"),
    "a syntax error": ("workers =", "fail", "cannot be read: SyntaxError"),
    "a value that gunicorn refuses": ("workers = 'many'", "fail", "cannot be read"),
    "a file that raises": ("1 / 0", "fail", "cannot be read: ZeroDivisionError"),
}


@pytest.mark.parametrize(("text", "level", "words"), table(8, GUNICORN))
def test_the_server_s_settings_are_judged(checked: Any, tmp_path: Path, text: str, level: str, words: str) -> None:
    (tmp_path / "prod.py").write_text(text + "\n")
    results = checked(None, "--gunicorn-config", str(tmp_path / "prod.py"), exit_code=int(level == "fail"))["gunicorn"]

    assert [one["level"] for one in results if words in one["message"]] == [level]


def test_the_c_parser_is_told_where_it_is_in_use(checked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "gunicorn_h1c" or None)
    for text, exit_code in (("", 1), ('http_parser = "python"', 0)):
        (tmp_path / "gunicorn.conf.py").write_text(text)
        results = checked(exit_code=exit_code)["gunicorn"]
        assert any("bare LF" in one["message"] for one in results) is bool(exit_code)


def test_without_a_server_s_settings_that_is_said(checked: Any) -> None:
    (result,) = checked()["gunicorn"]

    assert (result["level"], result["remedy"]) == ("warn", "name it with --gunicorn-config")


def test_a_settings_file_that_looks_at_where_it_lies_is_read_as_gunicorn_reads_it(checked: Any, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("from pathlib import Path\nchdir = str(Path(__file__).parent)\n")

    assert checked()["gunicorn"][0]["level"] == "ok"


def flask_check(app: Flask, *words: str) -> Result:
    return CliRunner().invoke(group, ["check", *words], obj=ScriptInfo(create_app=lambda: app))


def test_a_flask_application_is_checked_by_its_own_settings(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path / "instance"))
    app.config.update(BSGUARD_MODE="enforce", BSGUARD_SURFACES=SURFACES)
    BSGuard(app)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    done = flask_check(app, "--json")
    checks = {one["subject"]: one for one in json.loads(done.stdout)["checks"]}

    assert done.exit_code == 1
    assert checks["proxy"]["message"] == "ProxyFix is in use, but BSGUARD_TRUSTED_PROXIES is empty"
    assert checks["state"]["message"].startswith(str(tmp_path / "instance" / "bsguard"))


def test_proxy_fix_within_the_guard_is_found_too(tmp_path: Path) -> None:
    app = Flask("site", instance_path=str(tmp_path / "instance"))
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    BSGuard(app)

    assert "ProxyFix is in use" in flask_check(app).output


def test_a_flask_application_without_a_guard_fails(tmp_path: Path) -> None:
    done = flask_check(Flask("site", instance_path=str(tmp_path / "instance")), "--json")

    assert done.exit_code == 1
    assert "this application is not guarded" in done.stdout


def test_the_version_is_told() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "bsguard", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)

    assert done.stdout.startswith("Usage: python -m bsguard [OPTIONS] COMMAND")


@pytest.mark.parametrize("words", [[], ["check"], ["--config", "gone.json", "check"], ["--config", ".", "check"]])
def test_without_a_settings_file_the_use_is_told(words: list[str]) -> None:
    done = CliRunner().invoke(main, words)

    assert done.exit_code == 2
    assert "Traceback" not in done.output
