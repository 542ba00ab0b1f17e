"""Refusals: their form, their headers, and nothing that was submitted."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from bsguard.core import codes
from bsguard.core.codes import CODES, Code
from bsguard.core.cors import refusal_headers
from bsguard.core.respond import refusal
from bsguard.testing import environ
from tests.unit.support import request_of, table

PROBLEM = {"Accept": "application/problem+json"}


def answer(code: Code = codes.RESTRICTED, sent: dict[str, Any] | None = None, **more: Any) -> Any:
    settings = more.pop("settings", {})
    request = request_of(sent or environ(), **settings)
    status, headers, body = refusal(request, code, **more)
    return request, status, dict(headers), body


def test_the_envelope_is_as_documented() -> None:
    request, status, headers, body = answer()

    assert status == "404 Not Found"
    assert json.loads(body) == {
        "status": "error",
        "error": {"code": "BSE1001", "type": "not_found", "message": "Restricted access"},
        "request_id": request.id,
    }
    assert headers == {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request.id,
    }


@pytest.mark.parametrize(
    ("sent", "settings"),
    table(
        4,
        {
            "by Accept with parameters": (
                environ(headers={"Accept": "application/problem+json;a=b;q=0.1, */*;q=0"}),
                {},
            ),
            "by Accept": (environ(headers=PROBLEM), {}),
            "by Accept in capitals": (environ(headers={"Accept": "text/html, Application/Problem+JSON;q=0.5"}), {}),
            "by setting": (environ(), {"ERROR_FORMAT": "problem"}),
        },
    ),
)
def test_problem_details_are_given_where_they_are_asked_for(sent: dict[str, Any], settings: dict[str, Any]) -> None:
    request, _, headers, body = answer(sent=sent, settings=settings)

    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body) == {
        "type": "urn:bsguard:error:not_found",
        "title": "Restricted access",
        "status": 404,
        "code": "BSE1001",
        "instance": f"urn:bsguard:request:{request.id}",
    }


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*",
        "application/json",
        "",
        "application/problem+json;q=0",
        "*/*, application/problem+json; Q=0.000",
        "x-application/problem+json",
        "text/html;a=application/problem+json",
    ],
)
def test_a_wildcard_is_no_wish_for_problem_details(accept: str) -> None:
    assert answer(sent=environ(headers={"Accept": accept}))[2]["Content-Type"] == "application/json"


def test_a_head_request_gets_the_same_headers_and_no_body() -> None:
    _, _, headers, body = answer(sent=environ("HEAD"))

    assert body == b""
    assert int(headers["Content-Length"]) > 100


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)
@pytest.mark.parametrize("form", ["envelope", "problem"])
def test_every_code_can_be_answered_in_both_forms(code: Code, form: str) -> None:
    _, status, headers, body = answer(code, settings={"ERROR_FORMAT": form})

    assert status.startswith(f"{code.status} ")
    assert status.partition(" ")[2]
    assert code.id in body.decode("ascii")
    assert int(headers["Content-Length"]) == len(body)


def test_codes_are_one_table_without_doubles() -> None:
    assert len(CODES) == 50
    assert len({code.id for code in CODES}) == 50
    assert {code.group for code in CODES} == {
        "tenant",
        "protocol",
        "waf",
        "limiter",
        "managed",
        "contract",
        "session",
        "guard",
    }
    for code in CODES:
        assert HTTPStatus(code.status).phrase
        assert 400 <= code.status < 500 or code.status in (503, 505)
        assert code.message
        assert code.when.endswith(".")


def test_a_body_too_large_is_answered_in_today_s_words() -> None:
    assert answer(codes.BODY_TOO_LARGE)[1] == "413 Content Too Large"


def test_headers_of_the_finding_and_a_name_for_the_id_are_used() -> None:
    request, _, headers, _ = answer(
        codes.METHOD_NOT_ALLOWED, headers=(("Allow", "GET"),), settings={"REQUEST_ID_HEADER": "X-Trace"}
    )

    assert headers["Allow"] == "GET"
    assert headers["X-Trace"] == request.id
    assert "X-Request-Id" not in headers


CLOSING = {codes.INVALID_FRAMING, codes.BODY_BROKEN, codes.MALFORMED_HEADER}


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)
def test_the_connection_is_closed_where_the_framing_was_at_fault_and_the_server_listens(code: Code) -> None:
    assert ("Connection" in answer(code, close=True)[2]) is (code in CLOSING)
    assert "Connection" not in answer(code)[2]


EXPOSED = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Allow"
ORIGIN = "https://app.test"
CORS: dict[str, tuple[dict[str, Any], str | None, list[tuple[str, str]]]] = {
    "nothing declared": ({}, ORIGIN, []),
    "a declared origin": (
        {"CORS_ORIGINS": [ORIGIN]},
        ORIGIN,
        [("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Expose-Headers", EXPOSED), ("Vary", "Origin")],
    ),
    "a declared origin with credentials": (
        {"CORS_ORIGINS": [ORIGIN], "CORS_CREDENTIALS": True},
        ORIGIN,
        [
            ("Access-Control-Allow-Origin", ORIGIN),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", EXPOSED),
            ("Vary", "Origin"),
        ],
    ),
    "another origin": ({"CORS_ORIGINS": [ORIGIN]}, "https://evil.test", [("Vary", "Origin")]),
    "an origin that only begins the same": ({"CORS_ORIGINS": [ORIGIN]}, ORIGIN + ".evil.test", [("Vary", "Origin")]),
    "no origin": ({"CORS_ORIGINS": [ORIGIN]}, None, [("Vary", "Origin")]),
    "an empty origin": ({"CORS_ORIGINS": ["*"]}, "", [("Vary", "Origin")]),
    "the null origin": ({"CORS_ORIGINS": [ORIGIN]}, "null", [("Vary", "Origin")]),
    "every origin": (
        {"CORS_ORIGINS": ["*"]},
        "https://evil.test",
        [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED), ("Vary", "Origin")],
    ),
    "every origin, and one by name": (
        {"CORS_ORIGINS": ["*", ORIGIN]},
        ORIGIN,
        [("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Expose-Headers", EXPOSED), ("Vary", "Origin")],
    ),
}


@pytest.mark.parametrize(("settings", "origin", "headers"), table(10, CORS))
def test_a_refusal_can_be_read_by_declared_origins_only(
    settings: dict[str, Any], origin: str | None, headers: list[tuple[str, str]]
) -> None:
    sent = environ(headers={} if origin is None else {"Origin": origin})
    request = request_of(sent, **settings)

    assert refusal_headers(request) == headers
    assert refusal(request, codes.RESTRICTED)[1][5:] == headers
