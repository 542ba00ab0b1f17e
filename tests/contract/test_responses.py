"""Answers of the application, held against the document: reported, and never changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bsguard import Contract
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.testing import environ, run
from tests.contract.support import Guarded, operation, spec

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS: dict[str, tuple[str, str, bytes, tuple[str, ...]]] = {
    "as declared": ("200 OK", "application/json", b'{"n": 1}', ()),
    "a wrong type": ("200 OK", "application/json; charset=utf-8", b'{"n": "x"}', ("body /n type",)),
    "a write-only property": ("200 OK", "application/json", b'{"n": 1, "secret": "x"}', ("body /secret forbidden",)),
    "what is no JSON": ("200 OK", "application/json", b"{", ("body syntax",)),
    "another media type": ("200 OK", "text/html", b"<p>", ("header Content-Type content",)),
    "another status": ("418 I am a teapot", "application/json", b"{}", ("request status",)),
    "a range of statuses": ("503 Service Unavailable", "text/plain", b"x", ()),
    "too long to keep": ("200 OK", "application/json", b'"' + b"x" * 3_000 + b'"', ()),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_are_held_against_the_document(case: str, tmp_path: Path) -> None:
    status, media_type, body, violations = ANSWERS[case]
    properties = {"n": {"type": "integer"}, "secret": {"type": "string", "writeOnly": True}}
    schema = {"type": "object", "required": ["n"], "properties": properties}
    answers = {
        "200": {"description": "a", "content": {"application/json": {"schema": schema}}},
        "5XX": {"description": "b"},
    }
    (tmp_path / "api.json").write_text(json.dumps(spec({"/x": {"get": {"operationId": "x", "responses": answers}}})))
    told: list[Any] = []

    def app(_request: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("Content-Type", media_type)])
        return [body[:2], body[2:]]

    config = {"DOCUMENTS": [tmp_path / "api.json"], "RESPONSE_RATIO": 1.0, "RESPONSE_BYTES_MAX": 2048}
    answer = run(Contract(app, config, emit=told.append), environ("GET", "/x"))

    assert (answer.status, answer.body) == (int(status[:3]), body)
    assert [event.violations for event in told if event.name == "response.violated"] == (
        [violations] if violations else []
    )


def test_answers_are_not_read_unless_wanted(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, spec({"/x": {"get": operation()}}))

    assert guarded.layer.response_bytes_kept(Request.of(environ(), Settings())[0]) == 0
