"""Servers are recognised from the environ, and what each hides is said."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from bsguard.core import wire
from bsguard.core.wire import TABLE, recognise
from tests.unit.support import table

SERVERS: dict[str, tuple[dict[str, Any], str, str, str, bool]] = {
    "gunicorn": ({"SERVER_SOFTWARE": "gunicorn/27.0.1"}, "gunicorn", "27.0.1", "gunicorn >= 24, Python parser", False),
    "gunicorn at the edge": (
        {"SERVER_SOFTWARE": "gunicorn/23.0.0"},
        "gunicorn",
        "23.0.0",
        "gunicorn 23",
        False,
    ),
    "an older gunicorn": ({"SERVER_SOFTWARE": "gunicorn/22.0.0"}, "gunicorn", "22.0.0", "gunicorn 22", False),
    "an old gunicorn": ({"SERVER_SOFTWARE": "gunicorn/20.1.0"}, "gunicorn", "20.1.0", "gunicorn < 22", False),
    "gunicorn of no version we can read": (
        {"SERVER_SOFTWARE": "gunicorn/dev"},
        "gunicorn",
        "dev",
        "gunicorn < 22",
        False,
    ),
    "waitress": ({"SERVER_SOFTWARE": "waitress"}, "waitress", "", "waitress", False),
    "uWSGI": ({"uwsgi.version": b"2.0"}, "uwsgi", "", "uWSGI", False),
    "granian": ({"SERVER_SOFTWARE": "Granian/1.6"}, "granian", "1.6", "granian", True),
    "granian by its own key": ({"granian.tls": 1}, "granian", "", "granian", True),
    "pywsgi": ({"SERVER_SOFTWARE": "gevent/24.1"}, "pywsgi", "24.1", "gevent pywsgi", True),
    "cheroot": ({"SERVER_SOFTWARE": "Cheroot/10.0"}, "cheroot", "10.0", "cheroot", False),
    "Werkzeug": ({"SERVER_SOFTWARE": "Werkzeug/3.1"}, "werkzeug", "3.1", "wsgiref, Werkzeug", False),
    "wsgiref": ({"SERVER_SOFTWARE": "WSGIServer/0.2"}, "wsgiref", "0.2", "wsgiref, Werkzeug", False),
    "an unknown one": ({"SERVER_SOFTWARE": "Zebra/1"}, "unknown", "", "", False),
    "none at all": ({}, "unknown", "", "", False),
}


@pytest.fixture(autouse=True)
def _no_other_server_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uwsgi", "granian", "gevent.pywsgi", "gunicorn_h1c", "gunicorn"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize(("environ", "name", "version", "row", "close"), table(15, SERVERS))
def test_a_server_is_known_by_its_name(environ: dict[str, Any], name: str, version: str, row: str, close: bool) -> None:
    server = recognise(environ)

    assert (server.name, server.version, server.honours_close) == (name, version, close)
    assert server.blind_spots == (TABLE[row] if row else ())


def test_every_row_of_the_reference_is_reached() -> None:
    assert {row[3] for row in SERVERS.values()} - {""} | {"gunicorn >= 24, C parser"} == set(TABLE)
    assert all(text for row in TABLE.values() for text in row)


MODULES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "the C parser is loaded": (
        "gunicorn_h1c",
        {"SERVER_SOFTWARE": "gunicorn/27.0"},
        "gunicorn",
        "gunicorn >= 24, C parser",
    ),
    "uWSGI is loaded": ("uwsgi", {}, "uwsgi", "uWSGI"),
    "granian is loaded": ("granian", {}, "granian", "granian"),
    "gevent is loaded and gives no raw target": ("gevent.pywsgi", {}, "pywsgi", "gevent pywsgi"),
}


@pytest.mark.parametrize(("module", "environ", "name", "row"), table(4, MODULES))
def test_what_is_loaded_tells_where_the_environ_does_not(
    monkeypatch: pytest.MonkeyPatch, module: str, environ: dict[str, Any], name: str, row: str
) -> None:
    monkeypatch.setitem(sys.modules, module, types.ModuleType(module))

    assert recognise(environ).name == name
    assert recognise(environ).blind_spots == TABLE[row]


def test_gunicorn_that_does_not_tell_its_version_is_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gunicorn")
    module.__version__ = "23.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gunicorn", module)

    assert recognise({"SERVER_SOFTWARE": "gunicorn"}).version == "23.1"
    assert recognise({"SERVER_SOFTWARE": "hidden", "gunicorn.socket": object()}) == wire.Server(
        "gunicorn", "23.1", TABLE["gunicorn 23"]
    )


@pytest.mark.parametrize("version", ["²", "9" * 5000, "", "x.y", "-1", "²²/1"])
def test_a_version_that_is_no_number_is_no_crash(version: str) -> None:
    assert recognise({"SERVER_SOFTWARE": f"gunicorn/{version}"}).name == "gunicorn"
