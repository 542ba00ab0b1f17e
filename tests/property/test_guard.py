"""Any environ at all: nothing raises, nothing of ours is a 500, and no refusal gives back what was sent."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsguard import Protocol, Tenant, guard
from bsguard.core.errors import BodyError
from bsguard.core.request import Request
from bsguard.core.verdict import Verdict
from bsguard.testing import environ, run
from tests.property.support import CANARY, app, joined, looks, native

if TYPE_CHECKING:
    from bsguard.standard import Guard

SURFACES = [
    {"name": "api", "kind": "api", "hosts": ["api.test"], "prefixes": ["/v1"]},
    {"name": "site", "kind": "web", "hosts": ["www.test"]},
]
SETTINGS: dict[str, Any] = {
    "MODE": "enforce",
    "EVENTS_LOGGED": False,
    "EVENTS_STORED": False,
    "TRUSTED_PROXIES": ["10.0.0.0/8", "unix"],
    "INSPECT_BYTES_MAX": 2048,
    "BODY_BYTES_MAX": 4096,
    "CORS_ORIGINS": ["https://app.test"],
}

HEADERS = [
    *("HOST", "ACCEPT", "AUTHORIZATION", "COOKIE", "ORIGIN", "EXPECT", "UPGRADE", "CONNECTION", "TRANSFER_ENCODING"),
    *("CONTENT_ENCODING", "CONTENT_LENGTH", "CONTENT_TYPE", "X_FORWARDED_FOR", "X_FORWARDED_PROTO", "FORWARDED", "VIA"),
    *(
        "X_ACCOUNT_ID",
        "X_ACCOUNT_ID ",
        "x-account-id",
        "PROXY",
        "X_REQUEST_ID",
        "X_HTTP_METHOD_OVERRIDE",
        "SCRIPT_NAME",
    ),
    *("PATH_INFO", "HTTP2_SETTINGS", "X_A", "", "\xff", "\0", " X", "X_" + "A" * 300),
]
#: Values that some check knows what to do with, so that requests come further than the first check.
KNOWN = [
    *("api.test", "www.test", "application/json", "application/json; charset=utf-8", "text/plain", "chunked", "gzip"),
    *("application/problem+json", "https://app.test", "Bearer abc", "10.0.0.1", "https", "100-continue", "websocket"),
    *("identity", "identity, identity", "2", "0", "7", "", "a/b; c=d"),
]
values = st.sampled_from(KNOWN) | native(30) | joined(CANARY, *KNOWN, ",", " ", ";", max_size=4)
PIECES = ["/", "v1", "a", "%41", "..", ".", "%2e", "%2f", "\\", "%00", "?", "#", "\xff", "//", "%", CANARY, "\xc3\xa9"]
BODIES = [b"", b"{}", b'{"a": 1}', b"[1, 2", b'{"a":1,"a":2}', b"\xff", b"x" * 2048, b"x" * 2049, b"x" * 5000]


class Stream(io.BytesIO):
    """A server's stream that may break."""

    breaks = False

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if not piece and size and self.breaks:
            raise OSError(CANARY)
        return piece


@st.composite
def environs(draw: Any) -> dict[str, Any]:
    raw = draw(st.just("/v1/a") | joined(*PIECES) | native())
    body = draw(st.sampled_from(BODIES) | st.binary(max_size=50))
    made = environ(
        draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) | native(6)), "/", body=body
    )
    made["RAW_URI"] = raw
    made["PATH_INFO"] = draw(st.just("/v1/a") | st.just(raw.partition("?")[0]) | native())
    made["QUERY_STRING"] = draw(st.just("") | st.just(raw.partition("?")[2]) | native())
    made["HTTP_HOST"] = draw(st.sampled_from(["api.test", "www.test", "localhost"]) | native(12))
    made["REMOTE_ADDR"] = draw(st.sampled_from(["127.0.0.1", "10.0.0.1", "9.9.9.9", "", "::1"]) | native(12))
    made["SERVER_PROTOCOL"] = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2"]) | native(8))
    for name in draw(st.lists(st.sampled_from(HEADERS), max_size=5)):
        made["HTTP_" + name] = draw(values)
    if draw(st.booleans()):
        made["CONTENT_TYPE"] = draw(values)
    framing = draw(st.sampled_from(["right", "right", "chunked", "none", "wrong", "wild"]))
    if framing in ("chunked", "none"):
        made.pop("CONTENT_LENGTH", None)
    if framing == "chunked":
        made["HTTP_TRANSFER_ENCODING"] = "chunked"
    elif framing == "wrong":
        made["CONTENT_LENGTH"] = str(draw(st.integers(0, 6000)))
    elif framing == "wild":
        made["CONTENT_LENGTH"] = draw(native(8))
    stream = Stream(body)
    stream.breaks = draw(st.integers(1, 5)) == 1
    made["wsgi.input"] = stream
    optional = [
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
        "REMOTE_ADDR",
    ]
    optional += ["HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "wsgi.input_terminated", "wsgi.errors"]
    for name in draw(st.lists(st.sampled_from(optional), max_size=2)):
        made.pop(name, None)
    return made


class Reading:
    """An app that reads its body and survives what that raises."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Any], bytes, bool]] = []

    def __call__(self, sent: dict[str, Any], start_response: Any) -> list[bytes]:
        length = sent.get("CONTENT_LENGTH")
        body, broke = b"", False
        try:
            while piece := sent["wsgi.input"].read(1000):
                body += piece
                if length and length.isdigit() and len(body) >= int(length):
                    break
        except OSError:
            broke = True
        self.seen.append((dict(sent), body, broke))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]


READING = Reading()


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Guard]:
    state = {"STATE_DIR": tmp_path_factory.mktemp("guard") / "state"}
    api = {"SURFACES": SURFACES}
    return {
        "plain": guard(READING, {**SETTINGS, **state}),
        "with surfaces": guard(READING, {**SETTINGS, **state, **api}),
        "monitoring": guard(READING, {**SETTINGS, **state, **api, "MODE": "monitor"}),
        "problems": guard(READING, {**SETTINGS, **state, "ERROR_FORMAT": "problem"}),
    }


@looks(150)
@given(sent=environs(), name=st.sampled_from(["plain", "with surfaces", "monitoring", "problems"]))
def test_any_environ_is_answered_and_a_passed_body_is_the_one_that_was_sent(
    guards: dict[str, Guard], sent: dict[str, Any], name: str
) -> None:
    data = sent["wsgi.input"].getvalue()
    breaks = sent["wsgi.input"].breaks
    length = sent.get("CONTENT_LENGTH", "")
    READING.seen.clear()
    answer = run(guards[name], sent)

    assert answer.status == 200 or 400 <= answer.status < 500 or answer.status == 505
    assert len(READING.seen) == (answer.status == 200)
    if name == "monitoring":
        assert answer.status == 200
    if READING.seen:
        seen, body, broke = READING.seen[0]
        assert [key for key in seen if "ACCOUNT" in key.upper()] == []
        assert "HTTP_PROXY" not in seen
        assert data.startswith(body) or (length.isdigit() and body == data[: int(length)])
        expected = data[: int(length)] if length.isdigit() and len(length) < 10 else data
        assert broke or len(body) >= len(expected)
        assert not broke or breaks
    else:
        assert CANARY.encode() not in answer.body
        assert all(CANARY not in value for key, value in answer.headers if key != "X-Request-Id")
        assert len(answer.header("X-Request-Id")) >= 1


@looks(80)
@given(sent=environs(), surfaces=st.booleans())
def test_layers_judge_any_environ_without_an_exception(sent: dict[str, Any], surfaces: bool) -> None:
    settings = {"SURFACES": SURFACES} if surfaces else {}
    for kind in (Protocol, Tenant):
        layer = kind(app, settings=settings)
        copied = dict(sent)
        request = Request.of(copied, layer.settings)[0]
        verdict = layer.inspect_head(request)
        assert isinstance(verdict, Verdict)
        try:
            assert isinstance(layer.inspect_body(request), Verdict)
        except BodyError:
            assert request.body.present
        finally:
            request.close()


@looks(50)
@given(sent=environs())
def test_the_same_request_is_judged_the_same_again(guards: dict[str, Guard], sent: dict[str, Any]) -> None:
    data, breaks = sent["wsgi.input"].getvalue(), sent["wsgi.input"].breaks
    codes = []
    for _ in range(2):
        again = Stream(data)
        again.breaks = breaks
        answer = run(guards["with surfaces"], sent | {"wsgi.input": again})
        codes.append(
            (
                answer.status,
                json.loads(answer.body)["error"]["code"] if answer.body[:2] == b'{"' and answer.status != 200 else "",
            )
        )

    assert codes[0] == codes[1]
