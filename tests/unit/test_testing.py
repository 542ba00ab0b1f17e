"""The helpers for users' own tests do what they say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from wsgiref.validate import validator

import pytest

import bsguard
from bsguard import testing
from bsguard.testing import Answer, FakeClock, environ, run, spellings
from tests.unit.support import table


def test_a_fake_clock_moves_only_when_it_is_told_to() -> None:
    clock = FakeClock(10.0)
    clock.advance(2.5)

    assert clock.now() == clock.now() == 12.5
    clock.advance(-2.5)
    assert clock.now() == 10.0
    assert FakeClock().now() == 1_700_000_000.0


ENVIRONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "RAW_URI": "/"}),
    "a target": ({"target": "/a%20b?c=%20"}, {"PATH_INFO": "/a b", "QUERY_STRING": "c=%20", "RAW_URI": "/a%20b?c=%20"}),
    "a target in UTF-8": ({"target": "/caf%C3%A9"}, {"PATH_INFO": "/caf\xc3\xa9"}),
    "headers": (
        {"headers": {"X-A-b": "1", "Content-Type": "a/b", "Host": "h"}},
        {"HTTP_X_A_B": "1", "CONTENT_TYPE": "a/b", "HTTP_HOST": "h"},
    ),
    "a body": ({"body": b"123"}, {"CONTENT_LENGTH": "3"}),
    "a length that is not the body's": (
        {"body": b"123", "headers": {"Content-Length": "9"}},
        {"CONTENT_LENGTH": "9"},
    ),
    "a chunked body": ({"body": b"123", "chunked": True}, {"HTTP_TRANSFER_ENCODING": "chunked"}),
    "a peer": ({"peer": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.1"}),
    "something of one's own": ({"SCRIPT_NAME": "/app", "RAW_URI": "/x"}, {"SCRIPT_NAME": "/app", "RAW_URI": "/x"}),
}


@pytest.mark.parametrize(("given", "expected"), table(9, ENVIRONS))
def test_an_environ_is_as_a_server_makes_it(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = environ(**given)

    assert {key: made.get(key) for key in expected} == expected
    assert made["wsgi.input"].read() == given.get("body", b"")
    assert ("CONTENT_LENGTH" in made) is ("CONTENT_LENGTH" in expected)


def test_an_environ_keeps_to_the_rules_of_wsgi() -> None:
    def app(sent: dict[str, Any], start_response: Any) -> list[bytes]:
        sent["wsgi.input"].read(1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    sent = environ("POST", "/a", body=b"x")
    assert run(validator(app), sent).body == b"hello"


def test_an_answer_is_collected_as_a_server_does() -> None:
    closed: list[bool] = []

    class Chunks(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(sent: dict[str, Any], start_response: Any) -> Any:
        write = start_response("404 Not Found", [])
        write(b"one ")
        start_response("200 OK", [("X-A", "1"), ("x-a", "2")], None)
        return Chunks([b"two ", b"three"])

    answer = run(app, environ())

    assert answer == Answer(200, (("X-A", "1"), ("x-a", "2")), b"one two three")
    assert answer.header("X-a") == "1, 2"
    assert answer.header("Y") == ""
    assert closed == [True]


def test_what_an_app_raises_is_raised_and_its_iterable_is_closed() -> None:
    closed: list[bool] = []

    class Breaking:
        def __iter__(self) -> Any:
            yield b"one"
            raise RuntimeError("app")

        def close(self) -> None:
            closed.append(True)

    def app(sent: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return Breaking()

    with pytest.raises(RuntimeError, match="app"):
        run(app, environ())
    assert closed == [True]


def test_spellings_are_keys_that_all_look_like_the_name() -> None:
    found = spellings("X-Account-Id")

    assert len(found) == len(set(found)) == 11
    assert all(key.startswith("HTTP_") for key in found)
    assert found[0] == "HTTP_X_ACCOUNT_ID"


def test_public_names_are_loaded_when_they_are_used() -> None:
    assert set(bsguard._HOMES) <= set(dir(bsguard))
    for name in bsguard._HOMES:
        assert getattr(bsguard, name).__name__.lower() == name.lower()
    with pytest.raises(AttributeError, match="has no attribute 'Zebra'"):
        _ = bsguard.Zebra
    assert testing.environ is environ


def test_importing_a_layer_loads_neither_flask_nor_what_else_is_large() -> None:
    script = (
        "import sys, bsguard; from bsguard import guard, stack, Protocol, Tenant, identify; import bsguard.testing; "
        "print(sorted({'flask', 'werkzeug', 'click', 'sqlalchemy', 'sqlite3', 'openapi_core'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True)

    assert done.stdout == "[]\n"
