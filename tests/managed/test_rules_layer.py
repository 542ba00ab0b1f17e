"""A layer made of rules: what it shows them, what becomes of what they find, and how exceptions act before them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.seclang.facts import engine_request
from bsguard.seclang.layer import masked
from bsguard.testing import environ
from tests.managed.support import Small, judge

SQL = "/search?q=1+union+select+2"
WHY = {"comment": "the search of the old shop"}


def form(body: bytes, **more: Any) -> dict[str, Any]:
    return environ("POST", "/form", headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body, **more)


def test_a_score_over_the_threshold_refuses_and_says_what_made_it() -> None:
    seen = judge(environ(target=SQL))

    assert seen.status == 403
    assert seen.denied == ["949"]
    assert seen.matched == ["942", "949"]
    matched, scored = seen.one("rule.matched"), seen.one("anomaly.scored")
    assert (matched.variables, matched.text, matched.score, matched.action) == (
        ("ARGS:q",),
        "xxxxx xxxxxx",
        5,
        "logged",
    )
    assert matched.reason == "SQL in …"
    assert (scored.score, scored.threshold, scored.rules, scored.action) == (5, 5, ("waf.942 +5",), "denied")
    assert seen.one("request.denied").reason == "Score 5 …"
    assert "union" not in repr(seen.events)


def test_less_than_the_threshold_passes_and_is_reported() -> None:
    seen = judge(environ(target="/?q=<script"))

    assert (seen.status, seen.matched, seen.denied) == (200, ["941"], [])


def test_the_head_decides_before_the_body_is_read() -> None:
    request = form(b"q=1") | {"HTTP_USER_AGENT": "scanner/1"}
    stream = request["wsgi.input"]

    seen = judge(request)

    assert (seen.status, seen.denied) == (403, ["913"])
    assert stream.tell() == 0


BODIES: dict[str, tuple[str, bytes, list[str]]] = {
    "a form": ("application/x-www-form-urlencoded", b"a=1&q=union+select", ["942", "949"]),
    "JSON, deep": ("application/json", b'{"a":' * 200 + b'"union select"' + b"}" * 200, ["942", "949"]),
    "JSON, the second of two keys": ("application/json", b'{"a":1,"a":"union select"}', ["942", "949"]),
    "multipart": (
        "multipart/form-data; boundary=B",
        b'--B\r\nContent-Disposition: form-data; name="q"\r\n\r\nunion select\r\n--B--\r\n',
        ["942", "949"],
    ),
    "XML": ("application/xml", b"<a><b>union select</b></a>", ["942", "949"]),
    "text of no known kind": ("text/weird", b"<SCRIPT", ["941"]),
    "nothing bad": ("application/json", b'{"a":"union of people"}', []),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_are_seen_however_they_come(name: str, chunked: bool) -> None:
    assert len(BODIES) == 7
    media_type, body, matched = BODIES[name]

    seen = judge(environ("POST", "/x", headers={"Content-Type": media_type}, body=body, chunked=chunked))

    assert seen.matched == matched
    assert seen.status == (403 if "949" in matched else 200)


BROKEN: dict[str, tuple[str, bytes, int, str]] = {
    "JSON that ends early": ("application/json", b'{"a":', 400, "unreadable"),
    "JSON of another kind": ("application/json", b"<xml/>", 400, "unreadable"),
    "JSON deeper than is looked at": ("application/json", b"[" * 5000 + b"]" * 5000, 413, "limit"),
    "multipart without a boundary": ("multipart/form-data", b"--B\r\n", 400, "unreadable"),
    "more arguments than are looked at": ("application/x-www-form-urlencoded", b"&a=1" * 5000, 413, "limit"),
    "XML that is none": ("application/xml", b"<a><b></a>", 400, "unreadable"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_body_that_cannot_be_read_is_refused_with_a_code(name: str) -> None:
    assert len(BROKEN) == 6
    media_type, body, status, rule = BROKEN[name]
    request = environ("POST", "/x", headers={"Content-Type": media_type}, body=body)

    seen = judge(request)

    assert (seen.status, seen.denied) == (status, [rule])
    monitored = judge(environ("POST", "/x", headers={"Content-Type": media_type}, body=body), mode="monitor")
    assert (monitored.status, monitored.rules("request.would_be_denied")) == (200, [rule])


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_a_body_over_the_limit_is_refused_and_the_query_is_judged_all_the_same(chunked: bool) -> None:
    body = b"a=" + b"x" * 200_000
    request = environ("POST", SQL, headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body)
    small = environ("POST", "/", headers={"Content-Type": "text/plain"}, body=body, chunked=chunked)

    assert judge(small).denied == ["size"]
    seen = judge(request, settings={"EXCEPTIONS": [{"rule": "body.size", **WHY}]})
    assert (seen.status, seen.denied, seen.excepted) == (403, ["949"], ["size"])


def test_a_broken_chunked_body_is_reported_once() -> None:
    class Broken:
        def read(self, _size: int = -1) -> bytes:
            raise OSError("reset")

    request = environ("POST", "/", headers={"Content-Type": "application/json"}, body=b"{}", chunked=True)
    request["wsgi.input"] = Broken()
    seen = judge(request, mode="monitor", app=lambda _e, start: (start("200 OK", []), [])[1])

    assert seen.rules("request.would_be_denied") == ["broken"]


def test_files_do_not_count_and_the_fields_beside_them_do() -> None:
    file = b'--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"x" * 300_000
    field = b'\r\n--B\r\nContent-Disposition: form-data; name="q"\r\n\r\nunion select\r\n--B--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}

    assert judge(environ("POST", "/x", headers=headers, body=file + b"\r\n--B--\r\n")).status == 200
    assert judge(environ("POST", "/x", headers=headers, body=file + field)).denied == ["949"]


def test_a_declared_path_takes_files_of_any_size_and_nothing_else() -> None:
    settings = {"FILE_PATHS": ["/files/**"]}
    body = b"<script" * 50_000

    def put(path: str, media_type: str) -> Any:
        return judge(environ("PUT", path, headers={"Content-Type": media_type}, body=body), settings=settings)

    assert put("/files/1", "image/png").status == 200
    assert put("/files/1", "text/html").denied == ["size"]
    assert put("/other", "image/png").denied == ["size"]


def test_a_streaming_path_has_its_query_judged_and_its_body_left_alone() -> None:
    request = environ("POST", "/stream?q=union+select", body=b"x" * 10)
    stream = request["wsgi.input"]

    seen = judge(request, settings={"STREAMING_PATHS": ["/stream"]})

    assert (seen.status, seen.denied, stream.tell()) == (403, ["949"], 0)


# --- what the rules are shown ---------------------------------------------------------------------------------------

# (changes to the environ of GET /a%20b?x=%41, target)
TARGETS: dict[str, tuple[dict[str, Any], bytes]] = {
    "as on the wire": ({}, b"/a%20b?x=%41"),
    "in absolute form": ({"RAW_URI": "http://localhost/a%20b?x=%41"}, b"http://localhost/a%20b?x=%41"),
    "without the raw target": ({"RAW_URI": ""}, b"/a%20b?x=%41"),
    "another path than the application sees": ({"PATH_INFO": "/evil path"}, b"/evil%20path?x=%41"),
    "another query than the application sees": ({"QUERY_STRING": "y=1"}, b"/a%20b?y=1"),
    "mounted": ({"SCRIPT_NAME": "/m", "RAW_URI": "/m/a%20b?x=%41"}, b"/m/a%20b?x=%41"),
    "bytes that are not ASCII": ({"RAW_URI": "", "PATH_INFO": "/\xe9?#"}, b"/%E9%3F%23?x=%41"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_target_is_what_the_application_sees(name: str) -> None:
    assert len(TARGETS) == 7
    changes, target = TARGETS[name]
    request = Request(environ(target="/a%20b?x=%41") | changes, Settings())

    assert engine_request(request).target == target


def test_headers_have_names_again() -> None:
    headers = {"User-Agent": "me", "Content-Type": "text/plain", "X-\xe9": "\xff"}
    request = Request(environ("POST", headers=headers, body=b"12", peer="203.0.113.9"), Settings())
    seen = engine_request(request)

    assert set(seen.headers) == {
        (b"Host", b"localhost"),
        (b"User-Agent", b"me"),
        (b"X-\xc9", b"\xff"),
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"2"),
    }
    assert (seen.method, seen.protocol, seen.client) == (b"POST", b"HTTP/1.1", b"203.0.113.9")
    assert seen.unique_id == request.id.encode()


def test_names_in_events_are_shown_if_they_are_plain() -> None:
    plain, odd = judge(environ(target="/?a.b[0]=union+select")), judge(environ(target="/?union+select+p4ss'=1"))

    assert plain.one("rule.matched").variables == ("ARGS:a.b[0]",)
    assert odd.one("rule.matched").variables == ("ARGS_NAMES:xxxxx xxxxxx x0xx'",)


def test_text_in_events_is_a_shape() -> None:
    assert masked(b"p4ss-W0rd: ' OR 1=1--\x00\xff" + b"a" * 100) == "x0xx-x0xx: ' xx 0=0--??" + "x" * 41


def test_a_bug_in_the_rules_fails_closed() -> None:
    class Buggy(Small):
        def inspect_body(self, request: Request) -> Any:
            raise RuntimeError

    assert judge(environ(), layer=Buggy).status == 503
    assert judge(environ(), layer=Buggy, mode="monitor").status == 200
    assert judge(environ(target=SQL), mode="off").events[-1].name == "request.finished"


def test_a_body_that_is_judged_reaches_the_application_whole() -> None:
    got: list[bytes] = []

    def keeper(request: Any, start_response: Any) -> list[bytes]:
        got.append(request["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    body = json.dumps({"a": "b" * 100_000}).encode()
    for chunked in (False, True):
        request = environ("POST", "/", headers={"Content-Type": "application/json"}, body=body, chunked=chunked)
        assert judge(request, app=keeper).status == 200

    assert got == [body, body]
