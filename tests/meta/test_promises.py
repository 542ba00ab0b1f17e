"""Tables and sentences of the documentation that say what happens, tried."""

from __future__ import annotations

import gzip
import io
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from bsguard import guard
from bsguard.core.events import EVENTS
from bsguard.core.paths import PathPattern
from bsguard.testing import Answer, environ, run
from tests.meta.support import DOCS, SETTINGS, samples, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def rows(page: str, number: int) -> list[list[str]]:
    """The rows of the table that comes as *number* on the page."""
    return tables(DOCS / "howto" / page)[number]


def settings_of_sample(page: str, number: int) -> dict[str, Any]:
    """What the sample that comes as *number* on the page puts into ``app.config``, without BSGUARD_."""
    app = type("App", (), {"config": {}})
    python = [sample.text for sample in samples(DOCS / "howto" / page) if sample.language == "python"]
    exec(python[number], {"app": app})
    return {name.removeprefix("BSGUARD_"): value for name, value in app.config.items()}


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """Ask a guarded application that answers with the body it was given."""

    def echo(request: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [request["wsgi.input"].read()]

    def asked(settings: dict[str, Any], *request: Any, **facts: Any) -> Answer:
        return run(guard(echo, {"MODE": "enforce", "STATE_DIR": tmp_path, **settings}), environ(*request, **facts))

    return asked


def test_surfaces_answer_as_the_table_says(ask: Any) -> None:
    settings = settings_of_sample("surfaces.md", 0)
    ran = 0
    for request, answer in rows("surfaces.md", 0):
        url = urlsplit(request.strip("`"))
        form = ask(settings, "POST", url.path, headers={"Host": url.netloc, **FORM}, body=b"a=b").status
        plain = ask(settings, "GET", url.path, headers={"Host": url.netloc}).status
        expected = {"judged as API": (200, 415), "judged as website": (200, 200)}
        ran += 1

        status = int(answer[:3]) if answer[:3].isdigit() else 0
        assert plain == (status or 200), request
        assert form in ((status, 415) if status else expected[answer][1:]), request

    assert ran == 5


def test_path_patterns_match_as_the_table_says() -> None:
    compared = 0
    for patterns, matches, misses in rows("exceptions.md", 1):
        for pattern in re.findall(r"`([^`]+)`", patterns):
            parsed = PathPattern.parse(pattern)
            for path in re.findall(r"`([^`]+)`", matches):
                compared += 1
                assert parsed.matches(path), (pattern, path)
            for path in re.findall(r"`([^`]+)`", misses):
                compared += 1
                assert not parsed.matches(path), (pattern, path)

    assert compared == 13


def test_events_have_the_levels_that_the_table_says() -> None:
    told = {
        event: getattr(logging, level.strip("`"))
        for level, names in rows("events.md", 0)
        for event in re.findall(r"`([a-z_.]+)`", names)
    }

    assert told == {event.name: event.level for event in EVENTS}


class Reads(io.BytesIO):
    """A stream that tells how much of it was read."""

    def reads(self) -> int:
        return self.tell()


BODY = b'{"a": "' + b"x" * 2000 + b'"}'
READ = {
    "without a body": ({}, b"", False, 0),
    "with a `Content-Length`, not JSON": (FORM, BODY, False, len(BODY)),
    "with a `Content-Length`, JSON": (JSON, BODY, False, len(BODY)),
    "chunked, JSON": (JSON, BODY, True, len(BODY)),
    "chunked, not JSON": (FORM, BODY, True, len(BODY)),
    "refused by its head": ({**JSON, "Host": "not a host"}, BODY, False, 0),
    "on a streaming path": (JSON, BODY, True, 0),
}


@pytest.mark.parametrize("case", READ)
def test_bodies_are_read_as_the_table_says(case: str, tmp_path: Path) -> None:
    headers, body, chunked, read = READ[case]
    seen: list[int] = []
    stream = Reads(body)

    def application(_request: Any, start_response: Any) -> list[bytes]:
        seen.append(stream.reads())
        start_response("200 OK", [])
        return []

    app = guard(application, {"MODE": "enforce", "STATE_DIR": tmp_path, "STREAMING_PATHS": ["/stream"]})
    request = environ("POST", "/stream" if "streaming" in case else "/", headers=headers, body=body, chunked=chunked)
    run(app, request | {"wsgi.input": stream})

    assert case in {row[0] for row in rows("bodies.md", 0)}
    assert len(rows("bodies.md", 0)) == len(READ)
    assert (seen or [stream.reads()]) == [read]


def test_limits_of_bodies_are_those_of_the_table(ask: Any) -> None:
    shown = {row[0].strip("`"): row for row in rows("bodies.md", 1)}
    big = b'{"a": "' + b"x" * 4000 + b'"}'

    assert set(shown) == {"BSGUARD_BODY_BYTES_MAX", "BSGUARD_INSPECT_BYTES_MAX"}
    for name, row in shown.items():
        number, unit = row[1].split()
        assert int(number) * {"KiB": 1024, "MiB": 1024 * 1024}[unit] == SETTINGS[name].default
    for small in ({"INSPECT_BYTES_MAX": 1024}, {"INSPECT_BYTES_MAX": 1024, "BODY_BYTES_MAX": 1024}):
        refused = ask(small, "POST", "/", headers=JSON, body=big)
        passed = ask({**small, "MODE": "monitor"}, "POST", "/", headers=JSON, body=big)

        assert (refused.status, b"BSE1119" in refused.body) == (413, True)
        assert (passed.status, passed.body) == (200, big)


REMEDIES = {
    "protocol.https": ("GET", "/", {}, {"peer": "203.0.113.9"}, {"PROTOCOL_HTTPS_PATHS_EXEMPT": ["/"]}),
    "protocol.method": ("PURGE", "/", {}, {}, {"PROTOCOL_METHODS": ["GET", "PURGE"]}),
    "protocol.body.method": ("DELETE", "/", JSON, {"body": b"{}"}, {"PROTOCOL_BODY_METHODS": ["DELETE"]}),
    "protocol.content-type.not-json": ("POST", "/", FORM, {"body": b"a=b"}, {"PROTOCOL_CONTENT_TYPES": {"/": ["*/*"]}}),
    "protocol.content-encoding": (
        *("POST", "/", {"Content-Encoding": "gzip", **JSON}, {"body": gzip.compress(b"{}")}),
        {"PROTOCOL_CONTENT_ENCODINGS": ["gzip"]},
    ),
    "protocol.upgrade": ("GET", "/", {"Upgrade": "websocket"}, {}, {"PROTOCOL_UPGRADES": ["websocket"]}),
    "protocol.method-override": (
        *("POST", "/", {"X-HTTP-Method-Override": "PUT"}, {}),
        {"PROTOCOL_METHOD_OVERRIDE": True},
    ),
    "protocol.target.double-slash": ("GET", "/a//b", {}, {}, {"PROTOCOL_PATH_FORMS": ["double-slash"]}),
    "body.size": ("POST", "/", JSON, {"body": b" " * 200_000 + b"{}"}, {"INSPECT_BYTES_MAX": 1_048_576}),
    "waf.102001": (
        *("POST", "/", JSON, {"body": b'{"comment": "1 union select password from users -- "}'}),
        {"WAF_PROFILES": [{"parameter": "comment", "profile": "free_text"}]},
    ),
}


@pytest.mark.parametrize("rule", REMEDIES)
def test_the_settings_that_adopting_advises_are_remedies(rule: str, ask: Any) -> None:
    method, target, headers, facts, remedy = REMEDIES[rule]
    api = {"SURFACES": [{"name": "api", "kind": "api"}]}
    advised = {
        name for row in rows("adopt.md", 1) if f"`{rule}`" in row[0] for name in re.findall(r"`([^`]+)`", row[1])
    }

    assert ask(api, method, target, headers=headers, **facts).status >= 400
    assert ask({**api, **remedy}, method, target, headers=headers, **facts).status == 200
    assert {f"BSGUARD_{name}" for name in remedy} <= advised


def advised_rules() -> Iterator[str]:
    """The first rule of each row of advice."""
    for row in rows("adopt.md", 1):
        yield re.findall(r"`([^`]+)`", row[0])[0]


def test_all_advice_is_tried() -> None:
    assert set(advised_rules()) == set(REMEDIES)
    assert len(rows("adopt.md", 1)) == len(REMEDIES) + 1  # two rows about HTTPS
