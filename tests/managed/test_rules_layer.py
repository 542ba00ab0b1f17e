"""A layer made of rules: what it shows them, what becomes of what they find, and how exceptions act before them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bsguard.core.codes import BLOCKED
from bsguard.core.config import Wanted
from bsguard.core.errors import ConfigError
from bsguard.core.exemptions import Exemption, Parameter
from bsguard.core.request import Request
from bsguard.core.settings import Settings
from bsguard.core.verdict import Finding
from bsguard.seclang.facts import engine_request
from bsguard.seclang.layer import masked
from bsguard.standard import read_plan
from bsguard.testing import FakeClock, environ, run
from tests.managed.support import Small, SmallConfig, Table, hello, judge

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


# --- exceptions -----------------------------------------------------------------------------------------------------

# (scope, target, status, excepted, matched)
EXCEPTIONS: dict[str, tuple[dict[str, Any], str, int, list[str], list[str]]] = {
    "by id": ({"rule": "waf.942"}, SQL, 200, ["942"], []),
    "by a pattern": ({"rule": "waf.94*"}, SQL, 200, ["942"], []),
    "by tag": ({"tag": "attack-sqli"}, SQL, 200, ["942"], []),
    "another tag": ({"tag": "attack-rce"}, SQL, 403, [], ["942", "949"]),
    "another rule": ({"rule": "waf.941"}, SQL, 403, [], ["942", "949"]),
    "on its path": ({"rule": "waf.942", "path": "/search"}, SQL, 200, ["942"], []),
    "on another path": ({"rule": "waf.942", "path": "/other"}, SQL, 403, [], ["942", "949"]),
    "for its method": ({"rule": "waf.942", "method": "GET"}, SQL, 200, ["942"], []),
    "for another method": ({"rule": "waf.942", "method": "PUT"}, SQL, 403, [], ["942", "949"]),
    "for its address": ({"rule": "waf.942", "addresses": ["127.0.0.0/8"]}, SQL, 200, ["942"], []),
    "for another address": ({"rule": "waf.942", "addresses": ["10.0.0.0/8"]}, SQL, 403, [], ["942", "949"]),
    "not yet expired": ({"rule": "waf.942", "expires": "2023-11-15"}, SQL, 200, ["942"], []),
    "expired": ({"rule": "waf.942", "expires": "2023-11-14"}, SQL, 403, [], ["942", "949"]),
    "of its parameter": ({"rule": "waf.942", "parameter": "ARGS:q"}, SQL, 200, ["942"], []),
    "of its parameter in other case": ({"rule": "waf.942", "parameter": "args:Q"}, SQL, 200, ["942"], []),
    "of parameters by a pattern": ({"rule": "waf.942", "parameter": "ARGS:q*"}, SQL, 200, ["942"], []),
    "of all of a collection": ({"rule": "waf.942", "parameter": "ARGS"}, SQL, 200, ["942"], []),
    "of another parameter": ({"rule": "waf.942", "parameter": "ARGS:p"}, SQL, 403, [], ["942", "949"]),
    "of its parameter by tag": ({"tag": "language-sql", "parameter": "ARGS:q"}, SQL, 200, ["942"], []),
    "of its parameter, and another has it too": (
        {"rule": "waf.942", "parameter": "ARGS:q"},
        f"{SQL}&r=union+select",
        403,
        ["942"],
        ["942", "949"],
    ),
    "the other rules still score": (
        {"rule": "waf.942"},
        "/?q=union+select+<script&r=<script",
        403,
        ["942"],
        ["941", "949"],
    ),
    "of the rule that decides": ({"rule": "waf.949"}, SQL, 200, ["949"], ["942"]),
    "of a rule that refuses by itself": ({"rule": "waf.930"}, "/a/etc/passwd", 200, ["930"], []),
}


@pytest.mark.parametrize("source", ["settings", "overrides"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_act_before_rules_score(name: str, source: str) -> None:
    assert len(EXCEPTIONS) == 23
    scope, target, status, excepted, matched = EXCEPTIONS[name]
    exception = {**scope, **WHY}
    held = {"settings": {"EXCEPTIONS": [exception]}} if source == "settings" else {"overrides": Table(exception)}

    seen = judge(environ(target=target), **held)

    assert (seen.status, seen.excepted, seen.matched) == (status, excepted, matched)


MODES: dict[str, tuple[tuple[tuple[str, str], ...], str, int, list[str], list[str]]] = {
    "a rule that scores, off": ((("waf.942", "off"),), SQL, 200, [], []),
    "a rule that scores, monitored": ((("waf.942", "monitor"),), SQL, 200, ["942"], []),
    "a rule that refuses, off": ((("waf.930", "off"),), "/etc/passwd", 200, [], []),
    "a rule that refuses, monitored": ((("waf.930", "monitor"),), "/etc/passwd", 200, ["930"], ["930"]),
    "the rule that decides, monitored": ((("waf.949", "monitor"),), SQL, 200, ["942", "949"], ["949"]),
    "another rule": ((("waf.941", "off"),), SQL, 403, ["942", "949"], []),
}


@pytest.mark.parametrize("name", MODES)
def test_modes_of_single_rules(name: str) -> None:
    assert len(MODES) == 6
    modes, target, status, matched, would = MODES[name]

    seen = judge(environ(target=target), config=SmallConfig(rule_modes=modes))

    assert (seen.status, seen.matched, seen.rules("request.would_be_denied")) == (status, matched, would)


def test_a_rule_that_is_kept_from_acting_controls_nothing() -> None:
    class Controlling(Small):
        text = 'SecRule ARGS "@streq x" "id:1,phase:1,deny,msg:\'X\',ctl:ruleRemoveById=2"\n' + (
            'SecRule ARGS "@streq x" "id:2,phase:2,deny,msg:\'Y\'"'
        )

    seen = judge(environ(target="/?q=x"), layer=Controlling, config=SmallConfig(rule_modes=(("waf.1", "monitor"),)))

    assert seen.denied == ["2"]


CHAIN = """
SecRule REQUEST_METHOD "@streq GET" "id:7,phase:2,deny,msg:'Chain',chain"
    SecRule ARGS "@contains x" ""
"""


def test_a_parameter_that_a_later_link_looks_at_can_be_excepted() -> None:
    class Chained(Small):
        text = CHAIN

    def seen(target: str, *parameters: str) -> Any:
        scopes = [{"rule": "waf.7", "parameter": parameter, **WHY} for parameter in parameters]
        return judge(environ(target=target), layer=Chained, settings={"EXCEPTIONS": scopes})

    assert seen("/?q=x").denied == ["7"]
    excepted = seen("/?q=x&r=x", "ARGS:q", "ARGS:r")
    assert (excepted.status, excepted.excepted, excepted.matched) == (200, ["7", "7"], [])
    assert (seen("/?q=x&r=x", "ARGS:q").status, seen("/?q=x&r=x", "ARGS:q").excepted) == (403, ["7"])
    assert seen("/?q=y", "ARGS:q").events[-1].name == "request.finished"


def test_exceptions_that_change_at_run_time_are_worked_out_anew() -> None:
    table = Table({"rule": "waf.942", **WHY})
    events: list[Any] = []
    app = Small(hello, overrides=table, clock=FakeClock(), emit=events.append)

    assert run(app, environ(target=SQL)).status == 200
    table.entries = Table({"rule": "waf.941", **WHY}).entries
    assert run(app, environ(target=SQL)).status == 403


def test_a_match_is_one_event() -> None:
    assert judge(environ(target="/?q=<script")).rules("rule.matched", "rule.logged") == ["941"]


def test_an_exception_of_a_parameter_covers_what_is_about_nothing_else() -> None:
    exemption = Exemption.parse({"rule": "waf.942", "parameter": "ARGS:q", **WHY})
    request = Request(environ(), Settings())

    def covered(*parameters: str) -> bool:
        return exemption.covers(Finding("waf.942", BLOCKED, "why", parameters=parameters), request, 0.0)

    assert covered("ARGS:q")
    assert not covered("ARGS:q", "ARGS:r")
    assert not covered()


PARAMETERS: dict[str, tuple[str, str, bool]] = {
    "a name": ("ARGS:prompt", "ARGS:prompt", True),
    "other case": ("ARGS:Prompt", "ARGS:pRompt", True),
    "another name": ("ARGS:prompt", "ARGS:prompts", False),
    "another collection": ("ARGS:prompt", "ARGS_NAMES:prompt", False),
    "a pattern": ("ARGS:json.messages.*.content", "ARGS:json.messages.array_0.content", True),
    "a name with a colon": ("ARGS:a:b", "ARGS:a:b", True),
    "the whole collection": ("REQUEST_BODY", "REQUEST_BODY", True),
    "a name across lines": ("ARGS:a*", "ARGS:a\nb", True),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_a_parameter_covers(name: str) -> None:
    assert len(PARAMETERS) == 8
    text, found, covered = PARAMETERS[name]

    assert Parameter.parse(text).covers(found) is covered


@pytest.mark.parametrize("text", ["ARGS:", ":x", "ARGS prompt", "1", "ARGS:" + "x" * 201, "ä:x"])
def test_what_is_no_parameter(text: str) -> None:
    with pytest.raises(Wanted, match="a parameter such as"):
        Exemption.parse({"rule": "waf.942", "parameter": text, **WHY})


def test_rules_that_know_no_parameters_take_none() -> None:
    exception = {"rule": "protocol.method", "parameter": "ARGS:x", **WHY}

    with pytest.raises(ConfigError, match="names a parameter, and the rules of protocol know none"):
        read_plan({"EXCEPTIONS": [exception]})


def test_an_unknown_collection_is_an_error_that_names_the_nearest() -> None:
    exception = {"rule": "waf.942", "parameter": "ARG:x", **WHY}

    with pytest.raises(ConfigError, match=r"EXCEPTIONS: names a parameter that rules cannot see; did you mean ARGS\?"):
        judge(environ(), settings={"EXCEPTIONS": [exception]}, config={})


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
